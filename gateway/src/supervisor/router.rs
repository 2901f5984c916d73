//! The life of the router where it is the supervisor's: started as its own user after the gateway,
//! started again with back-off. Where something else runs it, there is none.
//!
//! Nothing is handed to it and nothing of it is read: it makes its sockets itself, and the gateway
//! asks there until they answer.

use super::child::{IDLE, end};
use super::pace::Pace;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long it may take to write what it knows before it is killed.
const STOP: Duration = Duration::from_secs(15);

/// The program and its configuration.
#[derive(Debug, Clone)]
pub struct Router {
    /// `routerd`.
    pub program: PathBuf,
    /// What it is given as its configuration.
    pub config: PathBuf,
}

/// The router's process, or the pause before the next one.
pub struct RouterChild {
    router: Option<Router>,
    user: (u32, u32),
    process: Option<std::process::Child>,
    pace: Pace,
}

impl RouterChild {
    /// Not started yet; `user` is uid and gid.
    #[must_use]
    pub fn new(router: Option<Router>, user: (u32, u32)) -> Self {
        Self {
            router,
            user,
            process: None,
            pace: Pace::default(),
        }
    }

    /// Looks after the process: notices its death, starts it when due. How long to wait before
    /// the next look, unless a signal comes.
    /// It is not started while it may not be.
    pub fn tend(&mut self, may: bool) -> Duration {
        let Some(router) = &self.router else {
            return IDLE;
        };
        if let Some(process) = self.process.as_mut() {
            match process.try_wait() {
                Ok(None) => return IDLE,
                Ok(Some(status)) => eprintln!("supervisor: the router ended: {status}"),
                Err(e) => eprintln!("supervisor: the router: {e}"),
            }
            self.process = None;
            self.pace.ended();
        }
        if !may {
            return IDLE;
        }
        let left = self.pace.left();
        if !left.is_zero() {
            return left;
        }
        self.pace.start();
        match start(router, self.user) {
            Ok(process) => {
                self.process = Some(process);
                IDLE
            }
            Err(e) => {
                eprintln!("supervisor: the router: {}: {e}", router.program.display());
                self.pace.failed()
            }
        }
    }

    /// Ends it, so that the next one begins at once.
    pub async fn begin_anew(&mut self) {
        self.stop().await;
        self.pace.at_once();
    }

    /// Ends the process and waits for it.
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            end(process, STOP).await;
        }
    }

    /// Lines for the status; none where there is no process of ours.
    #[must_use]
    pub fn status(&self) -> String {
        let state = match (&self.router, &self.process) {
            (None, _) => return String::new(),
            (_, Some(process)) => format!("running, pid {}", process.id()),
            (_, None) => "down".into(),
        };
        let starts = self.pace.starts();
        format!("router process: {state}\nrouter process starts: {starts}\n")
    }
}

fn start(router: &Router, user: (u32, u32)) -> std::io::Result<std::process::Child> {
    Command::new(&router.program)
        .arg("--config")
        .arg(&router.config)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .uid(user.0)
        .gid(user.1)
        .spawn()
}
