//! The root part of the gateway. See `ramson_gateway::supervisor`.

use ramson_gateway::config::Config;
use ramson_gateway::privileges;
use ramson_gateway::supervisor::{self, Options};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
usage: supervisor [--config FILE] [--gatewayd PROGRAM] [--remove-rules-on-exit]
       supervisor --check-config [--config FILE]

  --config FILE           default /etc/ramson/gateway.toml
  --gatewayd PROGRAM      default: gatewayd beside this program
  --remove-rules-on-exit  leave no rules behind; without it the box stays sealed
  --check-config          say whether the file is good, do nothing else";

struct Arguments {
    options: Options,
    check: bool,
}

fn arguments() -> Result<Arguments, String> {
    let beside = std::env::current_exe().map(|exe| exe.with_file_name("gatewayd"));
    let mut options = Options {
        config_path: "/etc/ramson/gateway.toml".into(),
        gatewayd: beside.unwrap_or_else(|_| "gatewayd".into()),
        remove_rules_on_exit: false,
    };
    let mut check = false;
    let mut args = std::env::args_os().skip(1);
    while let Some(arg) = args.next() {
        let mut path = || args.next().map(PathBuf::from).ok_or(USAGE);
        match arg.to_str() {
            Some("--config") => {
                options.config_path = std::path::absolute(path()?).map_err(|e| e.to_string())?
            }
            Some("--gatewayd") => {
                options.gatewayd = std::path::absolute(path()?).map_err(|e| e.to_string())?
            }
            Some("--remove-rules-on-exit") => options.remove_rules_on_exit = true,
            Some("--check-config") => check = true,
            _ => return Err(USAGE.into()),
        }
    }
    Ok(Arguments { options, check })
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("supervisor: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let Arguments { options, check } = arguments()?;
    let config = Config::load(&options.config_path).map_err(|e| e.to_string())?;
    if check {
        println!("{}: good", options.config_path.display());
        return Ok(());
    }
    if !nix::unistd::Uid::effective().is_root() {
        return Err("needs root".into());
    }
    privileges::restrict_supervisor()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| format!("runtime: {e}"))?;
    runtime.block_on(supervisor::run(config, options))
}
