//! Child processes: short commands with their output, and long-running ones as guards.
//!
//! A `Process` leads a process group of its own and is ended, with its group, when it is dropped;
//! only processes started here are ever signalled.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::fault::{About, Fault, Outcome};
use crate::{places, stop, wall};

/// Runs a short command to its end and gives back its standard output.
pub fn output(command: &mut Command) -> Outcome<String> {
    let line = describe(command);
    let result = command.stdin(Stdio::null()).output().about(&line)?;
    if !result.status.success() {
        let complaint = String::from_utf8_lossy(&result.stderr).trim().to_string();
        return Err(Fault::new(format!(
            "{line}: {} ({complaint})",
            result.status
        )));
    }
    Ok(String::from_utf8_lossy(&result.stdout).into_owned())
}

/// The same from words.
pub fn run(words: &[&str]) -> Outcome<String> {
    let (program, rest) = words
        .split_first()
        .ok_or_else(|| Fault::new("empty command"))?;
    output(Command::new(program).args(rest))
}

fn describe(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for word in command.get_args() {
        line.push(' ');
        line.push_str(&word.to_string_lossy());
    }
    line
}

/// A long-running child with its log file.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; everything it prints is appended to `log`.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Outcome<Process> {
        let out = OpenOptions::new().create(true).append(true).open(log);
        let out = out.about(&log.to_string_lossy())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .about(&describe(&command))?;
        Ok(Process {
            name: name.to_string(),
            child,
            log: log.to_path_buf(),
        })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// A fault with the process's last words if it has ended.
    pub fn check(&mut self) -> Outcome<()> {
        if self.is_running() {
            return Ok(());
        }
        let words = places::tail(&self.log, 600);
        Err(Fault::new(format!(
            "{} has ended; its last words: {words}",
            self.name
        )))
    }

    /// Asks the group to end, without waiting; `Drop` or `end` waits.
    pub fn ask(&mut self) {
        if self.is_running() {
            self.signal(Signal::SIGTERM);
        }
    }

    /// Ends the process with force and without a word.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        let _ = self.child.wait();
    }

    /// Lets the group stand still, as on a machine that has no time for it.
    pub fn hold(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Ends the process: a request, then after `grace` force.
    pub fn end(&mut self, grace: Duration) {
        self.ask();
        let limit = wall::now() + grace;
        while self.is_running() && wall::now() < limit {
            sleep(Duration::from_millis(10));
        }
        if self.is_running() {
            self.signal(Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }

    /// Waits for a process that ends by itself; `None` when `limit` is over.
    pub fn wait(&mut self, limit: Duration) -> Outcome<Option<bool>> {
        let end = wall::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status.success()));
            }
            stop::check()?;
            if wall::now() >= end {
                return Ok(None);
            }
            sleep(Duration::from_millis(10));
        }
    }

    fn signal(&self, signal: Signal) {
        if let Ok(id) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(id), signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(Duration::from_secs(8));
    }
}
