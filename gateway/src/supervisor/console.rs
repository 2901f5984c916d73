//! The life of the console: its socket, its directory, the code of the first password, and what it
//! asks. Another user's process, as `gatewayd` is; it parses what visitors send, and may ask what
//! `ramson ctl` may.

use super::admin::{LINE_MAX, Request};
use super::directory::Directory;
use super::pace::Pace;
use crate::config::{Config, FirstPassword};
use crate::console::access::Window;
use crate::console::clock;
use crate::console::handover::{self, Handed};
use nix::time::{ClockId, clock_gettime};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long a password may be set without one: after the machine was switched on, or after root
/// said so.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// How long the console may take to take an answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// Name of its directory below the state directory.
const DIR: &str = "console";

/// The process, and what it may do.
pub struct Console {
    program: PathBuf,
    config_path: PathBuf,
    /// Uid and gid; `None`: there is no console.
    user: Option<(u32, u32)>,
    /// Whose the socket is.
    gateway: (u32, u32),
    running: Option<(std::process::Child, tokio::net::UnixStream)>,
    /// What has come of the next request.
    line: Vec<u8>,
    window: Window,
    pace: Pace,
}

impl Console {
    /// Not started yet. `program` is beside the gateway's own.
    ///
    /// # Errors
    /// The system has no random numbers for the code.
    pub fn new(
        config: &Config,
        (program, config_path): (PathBuf, PathBuf),
        user: Option<(u32, u32)>,
        gateway: (u32, u32),
    ) -> Result<Self, String> {
        let code = match config.console.first_password {
            FirstPassword::Code => Some(random_code()?),
            FirstPassword::Visitor => None,
        };
        let now = clock();
        Ok(Self {
            program,
            config_path,
            user,
            gateway,
            running: None,
            line: Vec::new(),
            window: Window {
                until: now + WINDOW.saturating_sub(switched_on()),
                code,
                replaces: false,
            },
            pace: Pace::default(),
        })
    }

    /// The next thing that the console wants; keeps it running meanwhile. Nothing is lost when
    /// this is cancelled.
    pub async fn next(&mut self, config: &Config) -> Request {
        if self.user.is_none() {
            return std::future::pending().await;
        }
        loop {
            if self.running.is_none() {
                tokio::time::sleep(self.pace.left()).await;
                self.pace.start();
                match self.start(config) {
                    Ok(running) => self.running = Some(running),
                    Err(e) => {
                        eprintln!("supervisor: console: {e}");
                        self.pace.failed();
                        continue;
                    }
                }
            }
            if let Some(request) = self.read().await {
                return request;
            }
            eprintln!("supervisor: console: ended, or asked for what there is not");
            self.stop();
            self.pace.ended();
        }
    }

    /// One request; `None`: it is gone, or says what is none.
    async fn read(&mut self) -> Option<Request> {
        let (_, channel) = self.running.as_mut()?;
        let most = usize::try_from(LINE_MAX).unwrap_or(0);
        // It waits for each answer before it asks again.
        while !self.line.ends_with(b"\n") {
            let full = self.line.len() >= most;
            if full || channel.read_buf(&mut self.line).await.ok()? == 0 {
                return None;
            }
        }
        let line = std::mem::take(&mut self.line);
        let request = Request::parse(std::str::from_utf8(&line).ok()?.strip_suffix('\n')?);
        // A code is for who is at the box.
        request.filter(|request| *request != Request::PasswordCode)
    }

    /// The answer to what [`Console::next`] said.
    pub async fn answer(&mut self, text: &str) {
        let Some((_, channel)) = self.running.as_mut() else {
            return;
        };
        let len = u32::try_from(text.len()).unwrap_or(0);
        let bytes = [&len.to_be_bytes()[..], text.as_bytes()].concat();
        let written = tokio::time::timeout(PATIENCE, channel.write_all(&bytes)).await;
        if !matches!(written, Ok(Ok(()))) {
            self.stop();
            self.pace.ended();
        }
    }

    /// A password was set: nobody needs the code any more, nor a console that starts anew.
    pub fn password_set(&mut self) -> String {
        self.window.until = clock();
        "password-set: ok\n".to_owned()
    }

    /// A new code, with which a password can be set in place of another; what to tell root.
    pub fn code(&mut self, config: &Config) -> String {
        if self.user.is_none() {
            return "error: there is no console: console.enabled is false\n".into();
        }
        let code = match random_code() {
            Ok(code) => code,
            Err(e) => return format!("error: {e}\n"),
        };
        let shown = String::from_utf8_lossy(&code).into_owned();
        self.window = Window {
            until: clock() + WINDOW,
            code: Some(code),
            replaces: true,
        };
        self.stop();
        self.pace.at_once();
        let (at, minutes) = (config.lan.address.addr(), WINDOW.as_secs() / 60);
        format!("code: {shown}\nset a password within {minutes} minutes: http://{at}/setup\n")
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.line.clear();
        if let Some((mut process, channel)) = self.running.take() {
            drop(channel);
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Lines for the status; none without a console.
    #[must_use]
    pub fn status(&self) -> String {
        if self.user.is_none() {
            return String::new();
        }
        let state = match &self.running {
            Some((process, _)) => format!("running, pid {}", process.id()),
            None => "down".into(),
        };
        format!("console: {state}\nconsole starts: {}\n", self.pace.starts())
    }

    fn start(
        &self,
        config: &Config,
    ) -> Result<(std::process::Child, tokio::net::UnixStream), String> {
        let text = |e: std::io::Error| e.to_string();
        let user = self.user.ok_or("users.console does not exist")?;
        let handed = Handed {
            listener: bind(&config.paths.console_sock, self.gateway)?,
            dir: Directory::open(&config.paths.state_dir)?.give(DIR, user)?,
            window: self.window.clone(),
        };
        let (ours, theirs) = UnixStream::pair().map_err(text)?;
        handover::send(&ours, &handed, clock()).map_err(text)?;
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
            .uid(user.0)
            .gid(user.1)
            .spawn()
            .map_err(|e| format!("{}: {e}", self.program.display()))?;
        Ok((process, channel))
    }
}

/// How long ago the machine was switched on; a stop in between counts.
fn switched_on() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(WINDOW, Duration::from)
}

/// Eight digits.
fn random_code() -> Result<[u8; 8], String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|e| format!("random numbers: {e}"))?;
    let mut number = u64::from_be_bytes(random);
    Ok([(); 8].map(|()| {
        let digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        digit
    }))
}

/// The socket that `gatewayd` alone can connect to, in a directory of root's that others may pass
/// through.
pub(super) fn bind(path: &Path, gateway: (u32, u32)) -> Result<UnixListener, String> {
    let named = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else {
        return Err(named(&"is no name of a socket"));
    };
    let dir = Directory::open(dir)?;
    dir.let_through().map_err(|e| named(&e))?;
    let listener = dir.listen(path, name).map_err(|e| named(&e))?;
    dir.give_name(name, gateway).map_err(|e| named(&e))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_eight_digits_and_differ() {
        let codes: Vec<_> = (0..50).map(|_| random_code().unwrap()).collect();
        assert!(codes.iter().flatten().all(u8::is_ascii_digit));
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn the_socket_is_the_gateways_and_its_directory_roots() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let own = nix::unistd::Uid::effective().as_raw();
        let user = if own == 0 {
            (64_999, 64_999)
        } else {
            (own, own)
        };
        let dir = std::env::temp_dir().join(format!("ramson-csock-{}", std::process::id()));
        let path = dir.join("c.sock");
        for _ in 0..2 {
            let listener = bind(&path, user).unwrap();
            let socket = std::fs::metadata(&path).unwrap();
            assert_eq!((socket.mode() & 0o777, socket.uid()), (0o600, user.0));
            let mode = std::fs::metadata(&dir).unwrap().mode();
            assert_eq!(mode & 0o777, 0o711);
            drop(listener);
        }
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(bind(&path, user).is_err_and(|e| e.contains("written by others")));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
