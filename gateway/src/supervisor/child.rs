//! The life of `gatewayd`: started as its own user with nothing but the handed sockets, started
//! again with back-off when it dies.
//!
//! The sockets are made anew for each start and not kept here: while `gatewayd` is dead nobody
//! listens, and the rules refuse clients at once instead of letting them wait.

use super::{Options, sockets};
use crate::channel::{self, Question};
use crate::config::Config;
use crate::handover::{self, Secrets};
use crate::supervisor::pace::Pace;
use crate::supervisor::state;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

/// How long it may take to stop before it is killed.
const STOP: Duration = Duration::from_secs(5);

/// How long a living process is left alone when no signal comes.
pub(super) const IDLE: Duration = Duration::from_secs(3600);

/// A process, and our end of the socket of its handover.
type Started = (std::process::Child, tokio::net::UnixStream);

/// The process, or the pause before the next one.
pub struct Child {
    program: PathBuf,
    config_path: PathBuf,
    user: (u32, u32),
    process: Option<std::process::Child>,
    /// Our end of the socket of the handover; `gatewayd` ends when it is closed.
    channel: Option<tokio::net::UnixStream>,
    pace: Pace,
}

impl Child {
    /// Not started yet; `user` is uid and gid.
    #[must_use]
    pub fn new(options: &Options, user: (u32, u32)) -> Self {
        Self {
            program: options.gatewayd.clone(),
            config_path: options.config_path.clone(),
            user,
            process: None,
            channel: None,
            pace: Pace::default(),
        }
    }

    /// Looks after the process: notices its death, starts it when due. How long to wait before
    /// the next look, unless a signal comes.
    pub fn tend(&mut self, config: &Config, secrets: &Secrets) -> Duration {
        if let Some(process) = self.process.as_mut() {
            match process.try_wait() {
                Ok(None) => return IDLE,
                Ok(Some(status)) => eprintln!("supervisor: gatewayd ended: {status}"),
                Err(e) => eprintln!("supervisor: gatewayd: {e}"),
            }
            self.process = None;
            self.channel = None;
            self.pace.ended();
        }
        let left = self.pace.left();
        if !left.is_zero() {
            return left;
        }
        self.pace.start();
        match self.start(config, secrets) {
            Ok((process, channel)) => {
                self.process = Some(process);
                self.channel = Some(channel);
                IDLE
            }
            Err(e) => {
                eprintln!("supervisor: gatewayd: {e}");
                self.pace.failed()
            }
        }
    }

    fn start(&self, config: &Config, secrets: &Secrets) -> Result<Started, String> {
        let sockets = sockets::make(config)?;
        let (ours, theirs) = UnixStream::pair().map_err(|e| e.to_string())?;
        let places = state::places(&config.paths, self.user)?;
        handover::send(&ours, &sockets, &places, secrets).map_err(|e| format!("handover: {e}"))?;
        let text = |e: std::io::Error| format!("handover: {e}");
        ours.set_nonblocking(true).map_err(text)?;
        let channel = tokio::net::UnixStream::from_std(ours).map_err(text)?;
        let process = Command::new(&self.program)
            .arg("--config")
            .arg(&self.config_path)
            .arg("--lan")
            .arg(config.lan.address.to_string())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .uid(self.user.0)
            .gid(self.user.1)
            .spawn()
            .map_err(|e| format!("{}: {e}", self.program.display()))?;
        Ok((process, channel))
    }

    /// Ends the process and waits for it.
    pub async fn stop(&mut self) {
        let Some(process) = self.process.take() else {
            return;
        };
        self.channel = None;
        end(process, STOP).await;
    }

    /// What `gatewayd` answers, or a line that says why it does not.
    pub async fn ask(&mut self, question: Question) -> String {
        match &mut self.channel {
            Some(channel) => channel::ask(channel, question).await,
            None => "error: gatewayd is down\n".into(),
        }
    }

    /// Lines for the status.
    pub async fn status(&mut self) -> String {
        let state = match &self.process {
            Some(process) => format!("running, pid {}", process.id()),
            None => "down".into(),
        };
        let own = self.ask(Question::Status).await;
        let starts = self.pace.starts();
        format!("gatewayd: {state}\ngatewayd starts: {starts}\n{own}")
    }
}

/// Asks a process to end, waits, and kills it when the time is over.
pub(super) async fn end(mut process: std::process::Child, time: Duration) {
    if let Ok(pid) = i32::try_from(process.id()) {
        // It may have ended by itself.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    let deadline = Instant::now() + time;
    while Instant::now() < deadline {
        if !matches!(process.try_wait(), Ok(None)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let _ = process.kill();
    let _ = process.wait();
}
