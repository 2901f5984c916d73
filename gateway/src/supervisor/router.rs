//! The life of the router where it is the supervisor's: started as its own user after the gateway,
//! started again with back-off. Where something else runs it, there is none.
//!
//! Nothing is handed to it and nothing of it is read: it makes its sockets itself, and the gateway
//! asks there until they answer.

use super::child::{IDLE, end};
use super::pace::Pace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

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
    /// It has been asked to end, and is killed then.
    ending: Option<Instant>,
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
            ending: None,
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
                Ok(None) => return self.hurry(),
                Ok(Some(status)) => eprintln!("supervisor: the router ended: {status}"),
                Err(e) => eprintln!("supervisor: the router: {e}"),
            }
            self.process = None;
            self.pace.ended();
            if self.ending.take().is_some() {
                self.pace.at_once();
            }
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

    /// Asks it to end, so that the next one begins at once; nobody waits for that.
    pub fn begin_anew(&mut self) {
        let pid = self.process.as_ref().map(std::process::Child::id);
        if let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended by itself.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            self.ending = Some(Instant::now() + STOP);
        }
        self.pace.at_once();
    }

    /// How long one that has been asked to end has left; it is killed when that is over.
    fn hurry(&mut self) -> Duration {
        let Some(until) = self.ending else {
            return IDLE;
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero()
            && let Some(process) = self.process.as_mut()
        {
            // Its end is heard of as any other.
            let _ = process.kill();
        }
        left.max(Duration::from_millis(100))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// One that does not listen is killed, and nobody has waited for it.
    #[tokio::test]
    async fn one_that_begins_anew_is_not_waited_for() {
        let dir = std::env::temp_dir().join(format!("ramson-anew-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let program = dir.join("router");
        let script = "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.05; done\n";
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let own = (
            nix::unistd::Uid::effective().as_raw(),
            nix::unistd::Gid::effective().as_raw(),
        );
        let config = dir.join("config");
        let mut router = RouterChild::new(Some(Router { program, config }), own);
        assert_eq!(router.tend(false), IDLE);
        assert!(router.process.is_none());
        router.tend(true);
        let first = router.process.as_ref().unwrap().id();
        tokio::time::sleep(Duration::from_millis(200)).await;
        router.begin_anew();
        let left = router.tend(true);
        assert!(left <= STOP && left > STOP / 2, "{left:?}");
        assert_eq!(router.process.as_ref().unwrap().id(), first);
        router.ending = Some(Instant::now());
        let other = async {
            loop {
                tokio::time::sleep(router.tend(true).min(Duration::from_millis(20))).await;
                let now = router.process.as_ref().map(std::process::Child::id);
                if now.is_some_and(|id| id != first) {
                    return;
                }
            }
        };
        let done = tokio::time::timeout(Duration::from_secs(20), other).await;
        assert!(done.is_ok());
        let mut last = router.process.take().unwrap();
        last.kill().unwrap();
        last.wait().unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
