//! Takes an update from a socket and writes it to the slot that does not run. Started by
//! `supervisor` only, for one update: the file comes over standard input, which is a socket, and
//! what came of it goes back there; standard output is the supervisor's.

use ramson_gateway::privileges;
use ramson_gateway::update::slots::{Open, Places};
use ramson_gateway::update::{Here, Progress, install};
use ramson_layout::bundle::Arch;
use ramson_layout::key;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Who sends nothing for this long has given up.
const PATIENCE: Duration = Duration::from_secs(30);

const USAGE: &str = "started by supervisor; usage: updater --boot FILE --key FILE --version FILE";

fn main() -> ExitCode {
    let mut peer = match peer() {
        Ok(peer) => peer,
        Err(e) => {
            eprintln!("updater: {e}");
            return ExitCode::FAILURE;
        }
    };
    let (line, code) = match run(&peer) {
        Ok(text) => (format!("ok: {text}"), ExitCode::SUCCESS),
        Err(why) => (format!("error: {why}"), ExitCode::FAILURE),
    };
    eprintln!("updater: {line}");
    println!("{line}");
    // Who has gone hears of it on the page.
    let _ = peer.write_all(format!("{line}\n").as_bytes());
    code
}

fn peer() -> std::io::Result<UnixStream> {
    let peer = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    peer.set_read_timeout(Some(PATIENCE))?;
    peer.set_write_timeout(Some(PATIENCE))?;
    Ok(peer)
}

fn run(peer: &UnixStream) -> Result<String, String> {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let [boot, places, key, trusted, version, here] = args.as_slice() else {
        return Err(USAGE.into());
    };
    if boot != "--boot" || key != "--key" || version != "--version" {
        return Err(USAGE.into());
    }
    privileges::drop_all()?;
    let places = Places::read(Path::new(places))?;
    let places =
        places.ok_or("this box was not started from its own disk: it has no second slot")?;
    let trusted = key::public(&text(trusted.into())?).ok_or("the key of updates is none")?;
    let version = text(here.into())?;
    let version = version.trim().parse();
    let here = Here {
        arch: Arch::of(std::env::consts::ARCH).ok_or("no updates are made for this machine")?,
        version: version.map_err(|e| format!("what runs {e}"))?,
        key: trusted,
    };
    let mut target = Open::other(places)?;
    let (mut from, mut to) = (peer, peer);
    let mut tell = |progress: Progress| {
        println!("{progress}");
        // As above.
        let _ = to.write_all(format!("{progress}\n").as_bytes());
    };
    let installed = install(&mut from, &here, &mut target, &mut tell);
    let installed = installed.map_err(|e| e.to_string())?;
    Ok(format!(
        "{installed} is in slot {} and starts next",
        target.slot()
    ))
}

fn text(path: PathBuf) -> Result<String, String> {
    std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))
}
