//! The page that configures the box. Started by `supervisor` only, which hands it its socket and
//! its directory over standard input. See `ramson_gateway::console`.

use ramson_gateway::config::Config;
use ramson_gateway::console::{clock, handover, serve};
use ramson_gateway::privileges;
use ramson_gateway::supervisor::update::SOCKET;
use ramson_gateway::web::Facts;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("console: {e}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "started by supervisor; usage: console --config FILE --lan ADDRESS";

fn run() -> Result<(), String> {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let [config_flag, path, lan_flag, lan] = args.as_slice() else {
        return Err(USAGE.into());
    };
    if config_flag != "--config" || lan_flag != "--lan" {
        return Err(USAGE.into());
    }
    privileges::prove_none()?;
    let config = Config::load(Path::new(path)).map_err(|e| e.to_string())?;
    let lan: Option<ipnet::Ipv4Net> = lan.to_str().and_then(|lan| lan.parse().ok());
    let lan = lan.ok_or("--lan needs an address with a prefix")?;
    let stdin = std::io::stdin();
    let handed = handover::receive(stdin.as_fd(), clock());
    let handed = handed.map_err(|e| format!("handover: {e}"))?;
    let channel = stdin.as_fd().try_clone_to_owned();
    let channel = channel.map_err(|e| format!("handover: {e}"))?;
    let facts = Facts {
        v4: lan.addr(),
        v6: None,
        name: config.lan.name.clone(),
        domain: config.lan.domain.clone(),
        probes: config.lan.answer_probes,
        console: true,
    };
    let control = config.paths.control_sock;
    let updates = config.paths.console_sock.with_file_name(SOCKET);
    serve::run(
        facts,
        (&control, updates),
        handed,
        UnixStream::from(channel),
    )
}
