//! `routerd`: arguments to action.

use ramson_router::config_file::ConfigFile;
use ramson_router::{daemon, files, keys_command};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: ramson_router::Allocator = ramson_router::ALLOCATOR;

const USAGE: &str = "\
routerd: an I2P router

  routerd [FILE | --config FILE]         run in the foreground
  routerd --check-config [--config FILE] judge the configuration and its files, exit
  routerd status [--config FILE]         how the running router is
  routerd shutdown [--config FILE]       stop the running router
  routerd keys show KEYS                 which destination a private-key file is of
  routerd keys import KEYS NAME [--config FILE]
                                         take one of Java I2P or i2pd as NAME into data_dir
  routerd keys export NAME KEYS [--config FILE]
                                         the other way; neither replaces a file

FILE is /etc/ramson/routerd.toml unless given.
";

enum Action {
    Run,
    Check,
    Ask(&'static str),
    Keys(keys_command::Command),
    Help,
}

fn main() -> ExitCode {
    let (action, path) = match arguments(std::env::args().skip(1)) {
        Ok(parsed) => parsed,
        Err(e) => {
            eprintln!("routerd: {e}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if matches!(action, Action::Help) {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    if let Action::Keys(keys_command::Command::Show(file)) = &action {
        return said(keys_command::show(file));
    }
    let result = match ConfigFile::load(&path) {
        Err(e) => Err(e.to_string()),
        Ok(config) => match action {
            Action::Check | Action::Help => {
                files::check(path.clone(), &config).map(|()| println!("{}: ok", path.display()))
            }
            Action::Run => daemon::run(path, &config),
            Action::Ask(request) => ask(&config.path(&config.sockets.control), request),
            Action::Keys(command) => command.run(&config),
        },
    };
    said(result)
}

fn said(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("routerd: {e}");
            ExitCode::FAILURE
        }
    }
}

fn arguments(mut args: impl Iterator<Item = String>) -> Result<(Action, PathBuf), String> {
    let mut action = Action::Run;
    let mut path = PathBuf::from("/etc/ramson/routerd.toml");
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--config" | "-c" => {
                path = args.next().ok_or("--config needs a file")?.into();
            }
            "--check-config" => action = Action::Check,
            "keys" => {
                let mut word = || args.next().ok_or("keys: show, import or export, and what");
                let command = word()?;
                action = Action::Keys(match command.as_str() {
                    "show" => keys_command::Command::Show(word()?.into()),
                    "import" => keys_command::Command::Import(word()?.into(), word()?),
                    "export" => keys_command::Command::Export(word()?, word()?.into()),
                    other => return Err(format!("keys: unknown command {other}")),
                });
            }
            "status" => action = Action::Ask("status\n"),
            "shutdown" => action = Action::Ask("shutdown\n"),
            "--help" | "-h" => action = Action::Help,
            file if !file.starts_with('-') && file.contains(['/', '.']) => path = file.into(),
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok((action, path))
}

fn ask(socket: &Path, request: &str) -> Result<(), String> {
    let named = |e: std::io::Error| format!("{}: {e} (is the router running?)", socket.display());
    let mut stream = UnixStream::connect(socket).map_err(named)?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .map_err(named)?;
    stream.write_all(request.as_bytes()).map_err(named)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(named)?;
    print!("{answer}");
    if answer.starts_with("error:") {
        Err("the router refused the request".to_owned())
    } else {
        Ok(())
    }
}
