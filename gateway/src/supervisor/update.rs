//! Updates: the socket that they come in by, the process that takes one, and what became of the
//! last. What comes is read by that process alone; here are its lines, passed on as text.

use super::directory::Directory;
use crate::config::Config;
use crate::update::slots::Places;
use ramson_layout::state::{Health, State, TRIES};
use ramson_layout::version::Version;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// Name of the socket, beside the console's.
pub const SOCKET: &str = "update.sock";

/// Name of the file that says which update was made last, and its length.
const LAST: &str = "update";
const LAST_LEN: usize = 48;

/// Longest line of the process that is passed on, bytes.
const LINE_MAX: usize = 256;

/// What the system says of itself.
#[derive(Debug, Clone)]
pub struct Files {
    /// Where the slots are: the boot script's.
    pub boot: PathBuf,
    /// Whose updates are taken.
    pub key: PathBuf,
    /// What runs.
    pub version: PathBuf,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            boot: "/run/ramson-boot".into(),
            key: "/etc/ramson/update.pub".into(),
            version: "/etc/ramson/version".into(),
        }
    }
}

/// All of it.
pub struct Updates {
    program: PathBuf,
    files: Files,
    state_dir: PathBuf,
    listener: Option<UnixListener>,
    running: Option<Running>,
    /// What the process said last, since this start.
    said: Option<String>,
    version: Option<Version>,
    places: Option<Places>,
    /// The update that was made last, at whatever start.
    last: Option<Version>,
}

/// The process.
struct Running {
    process: Child,
    lines: UnixStream,
    line: Vec<u8>,
}

impl Updates {
    /// `program` takes one update; `page` may bring it, besides root. Nothing is there where the
    /// machine has other owners.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn new(
        config: &Config,
        program: PathBuf,
        files: Files,
        page: Option<(u32, u32)>,
    ) -> Result<Self, String> {
        let mut this = Self {
            program,
            state_dir: config.paths.state_dir.clone(),
            listener: None,
            running: None,
            said: None,
            version: None,
            places: None,
            last: None,
            files,
        };
        if !config.machine.enabled {
            return Ok(this);
        }
        let version = std::fs::read_to_string(&this.files.version).unwrap_or_default();
        this.version = version.trim().parse().ok();
        let places = Places::read(&this.files.boot);
        this.places = places.unwrap_or_else(|e| {
            eprintln!("supervisor: updates: {e}");
            None
        });
        this.last = last(&this.state_dir);
        let path = config.paths.console_sock.with_file_name(SOCKET);
        let listener = listen(&path, page.unwrap_or((0, 0)));
        this.listener = Some(listener.map_err(|e| format!("{}: {e}", path.display()))?);
        Ok(this)
    }

    /// Takes updates, one at a time. It never ends; nothing is lost when it is cancelled.
    pub async fn run(&mut self) {
        loop {
            let accepted = async {
                match &self.listener {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            };
            let heard = async {
                match &mut self.running {
                    Some(running) => running.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                stream = accepted => match stream {
                    Ok((stream, _)) => self.begin(stream).await,
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(200)).await,
                },
                line = heard => self.hear(line),
            }
        }
    }

    async fn begin(&mut self, mut stream: UnixStream) {
        let why = if self.running.is_some() {
            "another update is running".to_owned()
        } else {
            match self.start(&stream) {
                Ok(running) => {
                    self.said = Some("begins".into());
                    self.running = Some(running);
                    return;
                }
                Err(e) => {
                    eprintln!("supervisor: updates: {e}");
                    e
                }
            }
        };
        // It fits into the socket's buffer; who is gone does not hear of it.
        let _ = stream.write_all(format!("error: {why}\n").as_bytes()).await;
    }

    fn start(&self, stream: &UnixStream) -> Result<Running, String> {
        use std::os::fd::AsFd;
        let text = |e: std::io::Error| e.to_string();
        let theirs = stream.as_fd().try_clone_to_owned().map_err(text)?;
        let theirs = StdStream::from(theirs);
        theirs.set_nonblocking(false).map_err(text)?;
        let (ours, out) = StdStream::pair().map_err(text)?;
        ours.set_nonblocking(true).map_err(text)?;
        let process = Command::new(&self.program)
            .args(["--boot".as_ref(), self.files.boot.as_os_str()])
            .args(["--key".as_ref(), self.files.key.as_os_str()])
            .args(["--version".as_ref(), self.files.version.as_os_str()])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(OwnedFd::from(out)))
            .spawn()
            .map_err(|e| format!("{}: {e}", self.program.display()))?;
        Ok(Running {
            process,
            lines: UnixStream::from_std(ours).map_err(text)?,
            line: Vec::new(),
        })
    }

    /// One line of the process; `None`: it has ended.
    fn hear(&mut self, line: Option<String>) {
        let Some(line) = line else {
            self.stop();
            return;
        };
        if let Some(done) = line.strip_prefix("ok: ") {
            self.last = done.split(' ').next().and_then(|word| word.parse().ok());
            if let Some(version) = self.last
                && let Err(e) = keep(&self.state_dir, version)
            {
                eprintln!("supervisor: updates: {LAST}: {e}");
            }
        }
        self.said = Some(line);
    }

    /// Ends the process, if there is one: what runs is not touched by that.
    pub fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            // It may have ended by itself.
            let _ = running.process.kill();
            let _ = running.process.wait();
            let ended = self.said.as_deref().unwrap_or_default();
            if !ended.starts_with("ok: ") && !ended.starts_with("error: ") {
                self.said = Some("error: it was broken off".into());
            }
        }
    }

    /// Lines about what runs; none where the machine has other owners.
    #[must_use]
    pub fn status(&self) -> String {
        if self.listener.is_none() {
            return String::new();
        }
        let version = match self.version {
            Some(version) => version.to_string(),
            None => "unknown".into(),
        };
        let (slot, came) = match &self.places {
            None => (
                "none, started directly: it cannot be updated".into(),
                String::new(),
            ),
            Some(places) => match places.state() {
                Ok(state) => (slot(places, &state), self.came(places, &state)),
                Err(e) => (format!("the boot state cannot be read: {e}"), String::new()),
            },
        };
        let said = match (&self.said, came.as_str()) {
            (Some(said), _) => said.strip_prefix("ok: ").unwrap_or(said),
            (None, "") => "none yet",
            (None, came) => came,
        };
        format!("version: {version}\nslot: {slot}\nupdate: {said}\n")
    }

    /// What the last update came to, as it shows after a start.
    fn came(&self, places: &Places, state: &State) -> String {
        let (Some(last), Some(running)) = (self.last, places.running) else {
            return String::new();
        };
        let here = self.version.unwrap_or(Version::ZERO);
        if state.wanted != running && state.health(state.wanted) == Health::Trial {
            return match state.tries {
                TRIES.. => {
                    format!("error: the update to {last} did not come up; {here} is running")
                }
                _ => format!("{last} is in slot {} and starts next", state.wanted),
            };
        }
        match state.health(running) {
            _ if last != here => format!("error: the update to {last} was not finished"),
            Health::Trial => format!("{last} is on trial"),
            _ => format!("{last} has shown that it works"),
        }
    }
}

fn slot(places: &Places, state: &State) -> String {
    match places.running {
        None => "rescue: neither system has come up".into(),
        Some(slot) => match state.health(slot) {
            Health::Good => format!("{slot}, good"),
            Health::Trial => format!("{slot}, on trial, start {} of {TRIES}", state.tries),
            Health::Bad => format!("{slot}, not known to be good"),
        },
    }
}

fn listen(path: &Path, owner: (u32, u32)) -> Result<UnixListener, String> {
    let listener = super::console::bind(path, owner)?;
    listener.set_nonblocking(true).map_err(|e| e.to_string())?;
    UnixListener::from_std(listener).map_err(|e| e.to_string())
}

/// Which update was made last.
fn last(dir: &Path) -> Option<Version> {
    let bytes = Directory::open(dir).ok()?.read::<LAST_LEN>(LAST).ok()??;
    std::str::from_utf8(&bytes).ok()?.trim().parse().ok()
}

fn keep(dir: &Path, version: Version) -> Result<(), String> {
    let text = format!("{version:<LAST_LEN$}", version = version.to_string());
    let dir = Directory::open(dir)?;
    dir.write(LAST, text.as_bytes()).map_err(|e| e.to_string())
}

impl Running {
    /// The next line, as plain text.
    async fn next(&mut self) -> Option<String> {
        while !self.line.contains(&b'\n') {
            let full = self.line.len() >= LINE_MAX;
            if full || self.lines.read_buf(&mut self.line).await.ok()? == 0 {
                return None;
            }
        }
        let end = self.line.iter().position(|b| *b == b'\n')?;
        let rest = self.line.split_off(end + 1);
        let line = std::mem::replace(&mut self.line, rest);
        let plain = line.into_iter().filter(|b| (b' '..=b'~').contains(b));
        Some(plain.map(char::from).take(LINE_MAX).collect())
    }
}
