//! `ramson ctl`: how the box is, and the few things that are done to it while it runs.

use ramson_gateway::backup;
use ramson_gateway::channel::ShortId;
use ramson_gateway::clock::date;
use ramson_gateway::config::Config;
use ramson_gateway::ctl::{self, Sockets};
use ramson_gateway::supervisor::directory::Directory;
use ramson_gateway::supervisor::machine;
use ramson_gateway::supervisor::update::SOCKET;
use ramson_ipc::control::RESEED_MAX;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zeroize::Zeroizing;

const USAGE: &str = "\
usage: ramson ctl [--config FILE] [--router-sock FILE] COMMAND

  status                   router and gateway: one line `key: value` each
  devices                  who was seen on the LAN lately
  new-identity DEVICE|all  the next connections of a device, or of all, come from another
                           destination; those that are open keep theirs
  password-code            a code with which a new password of the box's page can be set
  reseed FILE              give the router a reseed file (su3); its signature is verified
  clock                    what time it is here, and who says so
  clock set DATE TIME      set it, in UTC: clock set 2026-11-26 20:05:11
  log                      the newest lines of the log
  ports                    which ports there are, and what they are for
  ports set LAN WAN        these ports, as they are called now, become the LAN's and the WAN's
  ports confirm            a change of the ports stays; else it is undone after a while
  version                  what runs, from which slot, and what the last update came to
  update FILE              write an update to the other slot; it is tried at the next start
  reboot, power-off        end everything in order, and begin anew or not
  backup FILE              save the identity; who has that file can be this box
  restore FILE             take a saved identity, and begin anew
  factory-reset yes        forget everything, and begin anew
  reload                   set rules, routes and kernel settings again

  --config FILE            the gateway's, for its socket; default /etc/ramson/gateway.toml, and
                           without that file the socket's default
  --router-sock FILE       the router's sockets.control; default /run/ramson/control.sock

Exit code 0: done; 1: an error, or one of the two does not answer; 2: wrong usage.";

const FORGETS: &str = "\
this forgets the identity of the router, of devices and of sites, passwords, settings, and all that
the router knows of others; say: ramson ctl factory-reset yes";

const CONFIG: &str = "/etc/ramson/gateway.toml";

enum Command {
    Status,
    Ask(String),
    Reseed(PathBuf),
    Backup(PathBuf),
    Restore(PathBuf),
    Update(PathBuf),
}

struct Arguments {
    config: Option<PathBuf>,
    router: PathBuf,
    command: Command,
}

fn arguments() -> Result<Option<Arguments>, String> {
    let mut args = std::env::args().skip(1);
    let first = args.next().ok_or(USAGE)?;
    if first == "--help" || first == "help" {
        return Ok(None);
    }
    if first != "ctl" {
        return Err(format!("no such command: {first}\n{USAGE}"));
    }
    let (mut config, mut router) = (None, PathBuf::from(ramson_ipc::CONTROL_SOCK));
    let mut words = Vec::new();
    while let Some(arg) = args.next() {
        let mut path = || {
            args.next()
                .map(PathBuf::from)
                .ok_or(format!("{arg} needs a file\n{USAGE}"))
        };
        match arg.as_str() {
            "--help" => return Ok(None),
            "--config" => config = Some(path()?),
            "--router-sock" => router = path()?,
            _ if arg.starts_with('-') => return Err(format!("no such option: {arg}\n{USAGE}")),
            _ => words.push(arg),
        }
    }
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let command = match words.as_slice() {
        ["status"] => Command::Status,
        ["clock", "set", when @ ..] => {
            let secs = date::parse(&when.join(" "));
            let secs = secs.ok_or("clock set needs a date and a time: 2026-11-26 20:05:11")?;
            Command::Ask(format!("clock-set {secs}"))
        }
        ["ports", "set", lan, wan] => Command::Ask(format!("ports-set {lan} {wan}")),
        ["ports", "confirm"] => Command::Ask("ports-confirm".into()),
        [word @ "ports"] => Command::Ask((*word).to_owned()),
        ["backup", file] => Command::Backup(file.into()),
        ["restore", file] => Command::Restore(file.into()),
        ["update", file] => Command::Update(file.into()),
        ["update"] => return Err("update needs a file".into()),
        ["factory-reset", "yes"] => Command::Ask("factory-reset".into()),
        ["factory-reset"] => return Err(FORGETS.into()),
        [word @ ("log" | "reboot" | "power-off")] => Command::Ask((*word).to_owned()),
        [word @ ("devices" | "reload" | "password-code" | "clock" | "version")] => {
            Command::Ask((*word).to_owned())
        }
        ["new-identity", "all"] => Command::Ask("new-identity all".into()),
        ["new-identity", id] => {
            let id: ShortId = id.parse().map_err(|e| format!("{id} {e}"))?;
            Command::Ask(format!("new-identity {id}"))
        }
        ["reseed", file] => Command::Reseed(file.into()),
        ["reseed"] => return Err("reseed needs a file".into()),
        ["new-identity"] => return Err("new-identity needs a device or the word all".into()),
        [] => return Err(USAGE.into()),
        words => return Err(format!("no such request: {}\n{USAGE}", words.join(" "))),
    };
    Ok(Some(Arguments {
        config,
        router,
        command,
    }))
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(e) => {
            eprintln!("ramson: {e}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("ramson: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what is answered; whether all is well.
fn run(arguments: &Arguments) -> Result<bool, String> {
    let config = match &arguments.config {
        Some(path) => Config::load(path).map_err(|e| e.to_string())?,
        None if Path::new(CONFIG).exists() => {
            Config::load(Path::new(CONFIG)).map_err(|e| e.to_string())?
        }
        None => Config::default(),
    };
    let sockets = Sockets {
        gateway: config.paths.admin_sock.clone(),
        router: arguments.router.clone(),
    };
    match &arguments.command {
        Command::Status => {
            let (text, well) = ctl::status(&sockets);
            print!("{text}");
            Ok(well)
        }
        Command::Ask(line) => {
            let text = ctl::ask(&sockets.gateway, line).map_err(|e| format!("gateway: {e}"))?;
            show(&text)
        }
        Command::Backup(path) => {
            let text = ctl::ask(&sockets.gateway, "backup").map_err(|e| format!("gateway: {e}"))?;
            let text = Zeroizing::new(text);
            if text.starts_with("error: ") {
                return show(&text);
            }
            keep(path, text.as_bytes()).map_err(|e| format!("{}: {e}", path.display()))?;
            Ok(true)
        }
        Command::Restore(path) => {
            let file = Zeroizing::new(load(path, backup::TEXT_MAX)?);
            let entries = backup::decode(&file);
            let entries = entries.map_err(|e| format!("{} {e}", path.display()))?;
            let page = config.users.console.resolve().map_err(|e| e.to_string())?;
            let dir = Directory::open(&config.paths.state_dir)?.give(machine::PAGE, page)?;
            machine::stage(&dir, &entries).map_err(|e| e.to_string())?;
            let text = ctl::ask(&sockets.gateway, "restore");
            show(&text.map_err(|e| format!("gateway: {e}"))?)
        }
        Command::Update(path) => {
            let file = std::fs::File::open(path);
            let file = file.map_err(|e| format!("{}: {e}", path.display()))?;
            let socket = config.paths.console_sock.with_file_name(SOCKET);
            let mut told = |line: &str| println!("{line}");
            ctl::update(&socket, file, &mut told)?;
            println!("restart with: ramson ctl reboot");
            Ok(true)
        }
        Command::Reseed(path) => {
            let file = load(path, RESEED_MAX as usize)?;
            if file.is_empty() || file.len() > RESEED_MAX as usize {
                let why = "is no reseed file: it has 1 byte to 4 MiB";
                return Err(format!("{}: {why}", path.display()));
            }
            let line = format!("reseed {}", file.len());
            let text = ctl::give(&sockets.router, &line, &file);
            show(&text.map_err(|e| format!("router: {e}"))?)
        }
    }
}

/// A file, and one byte more than the longest that is wanted.
fn load(path: &Path, most: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let most = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let read = std::fs::File::open(path).and_then(|f| f.take(most).read_to_end(&mut bytes));
    read.map(|_| bytes)
        .map_err(|e| format!("{}: {e}", path.display()))
}

/// A new file that nobody else can read.
fn keep(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn show(text: &str) -> Result<bool, String> {
    match text.strip_prefix("error: ") {
        Some(what) => Err(what.trim_end().to_owned()),
        None => {
            print!("{text}");
            Ok(true)
        }
    }
}
