//! The supervisor's own socket: one request line, an answer of `key: value` lines, end. Only
//! root and the supervisor's own user are heard.

use super::directory::Directory;
use crate::channel::ShortId;
use crate::config::Interface;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a peer may take to say its line or to take the answer: the supervisor waits.
const PATIENCE: Duration = Duration::from_millis(500);

/// Longest request line.
pub const LINE_MAX: u64 = 48;

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// How things are.
    Status,
    /// Set everything again.
    Reload,
    /// A line for each device of the LAN.
    Devices,
    /// A new identity for a device; for all without one.
    NewIdentity(Option<ShortId>),
    /// The console has a password: the time in which one can be set without another is over.
    PasswordSet,
    /// What time it is, and who says so.
    Clock,
    /// What time it is, seconds since 1970.
    ClockSet(i64),
    /// What runs, from which slot, and what the last update came to.
    Version,
    /// Something about the machine as a whole.
    Machine(Wish),
    /// Which ports there are, and what they are for.
    Ports,
    /// These ports become the LAN's and the WAN's.
    ChoosePorts(Interface, Interface),
    /// A change of the ports stays.
    ConfirmPorts,
    /// A code with which a new password of the console can be set.
    PasswordCode,
}

/// What may be wanted of the machine as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The newest lines of the log.
    Log,
    /// An end, and a new beginning.
    Reboot,
    /// An end.
    PowerOff,
    /// That all is forgotten.
    Reset,
    /// The identity as text.
    Backup,
    /// That an identity is restored which lies ready.
    Restore,
}

/// A request and the way back.
pub struct Asked {
    /// What is asked.
    pub request: Request,
    stream: UnixStream,
}

/// Requests that wait while the supervisor is busy; more wait in the listener's own queue.
const WAITING: usize = 4;

/// The listening socket. A task of its own reads from it: whatever else the supervisor wakes up
/// for, a request that has begun to arrive is not lost.
pub struct Admin {
    requests: Receiver<Asked>,
    reads: JoinHandle<()>,
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.reads.abort();
    }
}

impl Admin {
    /// Replaces what an earlier run left there. Within a runtime.
    ///
    /// # Errors
    /// In words: another supervisor listens there, or others than root can change the directory.
    pub fn bind(path: &Path) -> Result<Self, String> {
        let named = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
        else {
            return Err(named(&"is no name of a socket"));
        };
        let dir = Directory::open(dir)?;
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(named(&"another supervisor listens there"));
        }
        let listener = dir.listen(path, name).and_then(|listener| {
            listener.set_nonblocking(true)?;
            UnixListener::from_std(listener)
        });
        let (sender, requests) = channel(WAITING);
        let reads = tokio::spawn(accept(listener.map_err(|e| named(&e))?, sender));
        Ok(Self { requests, reads })
    }

    /// The next well-formed request of somebody allowed; loses none when it is cancelled.
    pub async fn next(&mut self) -> Asked {
        match self.requests.recv().await {
            Some(asked) => asked,
            // The task ends with this value only.
            None => std::future::pending().await,
        }
    }
}

/// Passes on well-formed requests of those allowed; others are told and forgotten.
async fn accept(listener: UnixListener, requests: Sender<Asked>) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            tokio::time::sleep(PATIENCE).await;
            continue;
        };
        let own = nix::unistd::Uid::effective().as_raw();
        let allowed = stream
            .peer_cred()
            .is_ok_and(|cred| [0, own].contains(&cred.uid()));
        let request = if allowed {
            read(&mut stream).await
        } else {
            None
        };
        match request {
            Some(request) => {
                if requests.send(Asked { request, stream }).await.is_err() {
                    return;
                }
            }
            None => say(&mut stream, "error: refused\n").await,
        }
    }
}

impl Asked {
    /// Answers and closes.
    pub async fn reply(mut self, text: &str) {
        say(&mut self.stream, text).await;
    }
}

async fn say(stream: &mut UnixStream, text: &str) {
    // A peer that does not listen loses its answer.
    let _ = timeout(PATIENCE, stream.write_all(text.as_bytes())).await;
}

async fn read(stream: &mut UnixStream) -> Option<Request> {
    let mut line = Vec::new();
    let mut limited = stream.take(LINE_MAX);
    let all = async {
        while !line.ends_with(b"\n") {
            if limited.read_buf(&mut line).await.ok()? == 0 {
                return None;
            }
        }
        Some(())
    };
    timeout(PATIENCE, all).await.ok()??;
    Request::parse(std::str::from_utf8(&line).ok()?.strip_suffix('\n')?)
}

impl Request {
    /// Of a line without its end.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        match line {
            "status" => Some(Self::Status),
            "reload" => Some(Self::Reload),
            "devices" => Some(Self::Devices),
            "password-code" => Some(Self::PasswordCode),
            "password-set" => Some(Self::PasswordSet),
            "new-identity all" => Some(Self::NewIdentity(None)),
            "clock" => Some(Self::Clock),
            "version" => Some(Self::Version),
            "ports" => Some(Self::Ports),
            "ports-confirm" => Some(Self::ConfirmPorts),
            "log" => Some(Self::Machine(Wish::Log)),
            "reboot" => Some(Self::Machine(Wish::Reboot)),
            "power-off" => Some(Self::Machine(Wish::PowerOff)),
            "factory-reset" => Some(Self::Machine(Wish::Reset)),
            "backup" => Some(Self::Machine(Wish::Backup)),
            "restore" => Some(Self::Machine(Wish::Restore)),
            line => match line.split_once(' ')? {
                ("new-identity", id) => Some(Self::NewIdentity(Some(id.parse().ok()?))),
                ("ports-set", both) => {
                    let (lan, wan) = both.split_once(' ')?;
                    let name = |name: &str| Interface::try_from(name.to_owned()).ok();
                    Some(Self::ChoosePorts(name(lan)?, name(wan)?))
                }
                ("clock-set", secs) => Some(Self::ClockSet(secs.parse().ok()?)),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_are_answered_and_nonsense_is_not() {
        let path = std::env::temp_dir().join(format!("ramson-admin-{}", std::process::id()));
        let mut admin = Admin::bind(&path).unwrap();
        let ask = |line: &'static [u8]| {
            let path = path.clone();
            async move {
                let mut stream = UnixStream::connect(path).await.unwrap();
                stream.write_all(line).await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                answer
            }
        };
        let serve = async {
            let asked = admin.next().await;
            assert_eq!(asked.request, Request::Reload);
            asked.reply("done\n").await;
        };
        let clients = async {
            assert_eq!(ask(b"nonsense\n").await, "error: refused\n");
            ask(b"reload\n").await
        };
        assert_eq!(tokio::join!(serve, clients).1, "done\n");
        // One that is taken while something else comes first is still there.
        let interrupted = async {
            for _ in 0..200 {
                tokio::select! {
                    biased;
                    asked = admin.next() => return asked.reply("kept\n").await,
                    () = tokio::task::yield_now() => {}
                }
            }
            panic!("it was lost");
        };
        let slow = async {
            let mut stream = UnixStream::connect(&path).await.unwrap();
            for piece in [b"sta".as_slice(), b"tus", b"\n"] {
                tokio::task::yield_now().await;
                stream.write_all(piece).await.unwrap();
            }
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        assert_eq!(tokio::join!(interrupted, slow).1, "kept\n");
        std::fs::remove_file(&path).unwrap();
    }

    #[tokio::test]
    async fn the_socket_is_private_and_made_only_in_a_directory_of_roots() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let dir = std::env::temp_dir().join(format!("ramson-admin-dir-{}", std::process::id()));
        let path = dir.join("admin.sock");
        let first = Admin::bind(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let second = Admin::bind(&path).map(drop);
        assert!(second.is_err_and(|e| e.contains("another supervisor")));
        drop(first);
        // What an earlier run left is replaced; a planted link is removed, not followed.
        let victim = dir.join("victim");
        std::fs::write(&victim, b"mine").unwrap();
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        drop(Admin::bind(&path).unwrap());
        assert_eq!(std::fs::read(&victim).unwrap(), b"mine");
        // The socket ends with its task.
        tokio::task::yield_now().await;
        drop(Admin::bind(&path).unwrap());
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o777)).unwrap();
        let shared = Admin::bind(&path).map(drop);
        assert!(shared.is_err_and(|e| e.contains("written by others")));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
