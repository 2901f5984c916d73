//! Runs `routerd` in a slot as the unprivileged user it is made for.
//!
//! The program is copied next to its files, because a build directory may be out of that user's
//! reach.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bins;
use crate::fault::{About, Fault, Outcome};
use crate::process::Process;
use crate::slot::{GATEWAY_USER, ROUTER_USER, Slot};
use crate::{netns, places, process, wall};

/// A running `routerd`.
pub struct Router {
    process: Process,
    namespace: String,
    program: PathBuf,
    config: PathBuf,
}

impl Router {
    /// Starts it in the slot; returns once its stream socket is there.
    pub fn start(slot: &Slot, hops: u8) -> Outcome<Router> {
        Router::start_with(slot, hops, "")
    }

    /// The same with more sections of configuration.
    pub fn start_with(slot: &Slot, hops: u8, more: &str) -> Outcome<Router> {
        let config = slot.write_config(hops, more)?;
        let program = copy_program("routerd", slot.folder())?;
        for path in [slot.data(), slot.run()] {
            chown(&path, Some(ROUTER_USER), Some(GATEWAY_USER)).about("owner of router files")?;
        }
        let user = ROUTER_USER.to_string();
        let mut command = slot.namespace.command("setpriv");
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"]);
        command.arg(&program).arg(&config);
        let log = slot.folder().join("routerd.log");
        let namespace = slot.namespace.name().to_string();
        let process = Process::start("routerd", command, &log)?;
        let mut router = Router {
            process,
            namespace,
            program,
            config,
        };
        let step = Duration::from_millis(50);
        wall::until(
            "stream socket of routerd",
            Duration::from_secs(20),
            step,
            || {
                router.check()?;
                Ok(slot.stream_socket().exists().then_some(()))
            },
        )?;
        Ok(router)
    }

    /// A fault with its last words if it has ended.
    pub fn check(&mut self) -> Outcome<()> {
        self.process.check()
    }

    /// What it says of itself, or why it does not.
    pub fn status(&self) -> String {
        let mut command = netns::command_in(&self.namespace, &self.program);
        command.arg("status").arg("--config").arg(&self.config);
        process::output(&mut command).unwrap_or_else(|fault| fault.to_string())
    }

    /// A number out of the status; 0 when it is not there.
    pub fn number(&self, key: &str) -> u64 {
        let status = self.status();
        let line = status
            .lines()
            .find_map(|l| l.strip_prefix(key)?.strip_prefix(": "));
        line.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
    }

    /// Waits until a number of it has grown to `least`.
    pub fn wait_for(&mut self, key: &str, least: u64, limit: Duration) -> Outcome<u64> {
        let what = format!("{key} of routerd at {least}");
        let reached = wall::until(&what, limit, Duration::from_millis(250), || {
            self.check()?;
            Ok(Some(self.number(key)).filter(|now| *now >= least))
        });
        reached.map_err(|fault| Fault::new(format!("{fault}\n{}", self.status())))
    }

    pub fn log(&self) -> &Path {
        self.process.log()
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

/// Copies a program under test into `folder` and gives its new path.
pub fn copy_program(name: &str, folder: &Path) -> Outcome<PathBuf> {
    let bin = places::folder(folder.join("bin"))?;
    let to = bin.join(name);
    // One that still runs cannot be written over, but gives up its name.
    let _ = std::fs::remove_file(&to);
    std::fs::copy(bins::find(name)?, &to).about(name)?;
    Ok(to)
}
