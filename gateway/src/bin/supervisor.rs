//! The root part of the gateway. See `ramson_gateway::supervisor`.

use ramson_gateway::config::Config;
use ramson_gateway::privileges;
use ramson_gateway::supervisor::clock::Hand;
use ramson_gateway::supervisor::router::Router;
use ramson_gateway::supervisor::update::Files;
use ramson_gateway::supervisor::{self, Options};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
usage: supervisor [--config FILE] [--gatewayd PROGRAM] [--remove-rules-on-exit]
                  [--clock-file FILE] [--router PROGRAM --router-config FILE]
                  [--boot-file FILE] [--update-key FILE] [--version-file FILE]
       supervisor --check-config [--config FILE]

  --config FILE           default /etc/ramson/gateway.toml
  --gatewayd PROGRAM      default: gatewayd beside this program
  --router PROGRAM        the router, to be run as its user; without it something else runs it
  --router-config FILE    default /etc/ramson/routerd.toml
  --clock-file FILE       keep a clock of its own, which differs from the machine's by what the file
                          says, instead of the machine's
  --boot-file FILE        which slot was started, and where the others are; default /run/ramson-boot
  --update-key FILE       whose updates are taken; default /etc/ramson/update.pub
  --version-file FILE     what runs; default /etc/ramson/version
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
        router: None,
        clock: Hand::Machine,
        update: Files::default(),
        remove_rules_on_exit: false,
    };
    let (mut router, mut router_config) = (None, None);
    let mut check = false;
    let mut args = std::env::args_os().skip(1);
    while let Some(arg) = args.next() {
        let mut path = || {
            let given = args.next().map(PathBuf::from).ok_or(USAGE)?;
            std::path::absolute(given).map_err(|e| e.to_string())
        };
        match arg.to_str() {
            Some("--config") => options.config_path = path()?,
            Some("--gatewayd") => options.gatewayd = path()?,
            Some("--clock-file") => options.clock = Hand::File(path()?),
            Some("--router") => router = Some(path()?),
            Some("--router-config") => router_config = Some(path()?),
            Some("--boot-file") => options.update.boot = path()?,
            Some("--update-key") => options.update.key = path()?,
            Some("--version-file") => options.update.version = path()?,
            Some("--remove-rules-on-exit") => options.remove_rules_on_exit = true,
            Some("--check-config") => check = true,
            _ => return Err(USAGE.into()),
        }
    }
    options.router = match (router, router_config) {
        (Some(program), config) => Some(Router {
            program,
            config: config.unwrap_or_else(|| "/etc/ramson/routerd.toml".into()),
        }),
        (None, Some(_)) => return Err(USAGE.into()),
        (None, None) => None,
    };
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
    privileges::restrict_supervisor(config.clock.enabled)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| format!("runtime: {e}"))?;
    runtime.block_on(supervisor::run(config, options))
}
