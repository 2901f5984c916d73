//! `control.sock`: status, reseed files and shutdown, for root and the router's own user; the
//! status and the end of a tag also for the users that may open streams, status and reseed files
//! for those of `sockets.admins`.

use crate::seeds::Given;
use ramson_ipc::control::{LINE_MAX, RESEED_MAX, Request, RequestError};
use ramson_proto::router::input::ClientCmd;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::Sender;
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio::time::timeout;

/// A client has this long for its request and for taking the answer.
const TIME: Duration = Duration::from_secs(5);

/// What comes behind an answer is read for this long.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// A reseed file has this long to come and to be read.
const RESEED_TIME: Duration = Duration::from_secs(30);

/// Binds a socket that outlives a crash: one that nobody listens on any more is replaced. Access
/// is judged by the peer's credentials, so the file is open to everyone.
pub fn bind(path: &Path) -> Result<UnixListener, String> {
    use std::os::unix::fs::PermissionsExt as _;
    let named = |e: std::io::Error| format!("{}: {e}", path.display());
    if let Some(dir) = path.parent().filter(|dir| !dir.exists()) {
        std::fs::create_dir_all(dir).map_err(named)?;
        // Clients of other users have to reach the socket.
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).map_err(named)?;
    }
    if path.exists() {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(format!("{}: another router listens there", path.display()));
        }
        std::fs::remove_file(path).map_err(named)?;
    }
    let listener = UnixListener::bind(path).map_err(named)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).map_err(named)?;
    Ok(listener)
}

/// Whether the peer is root, our own user or one of `uids`.
#[must_use]
pub fn is_allowed(socket: &UnixStream, uids: &[u32]) -> bool {
    socket.peer_cred().is_ok_and(|c| {
        c.uid() == 0 || c.uid() == nix::unistd::geteuid().as_raw() || uids.contains(&c.uid())
    })
}

/// What the socket is for, and for whom.
pub struct Control {
    /// The newest status.
    pub status: watch::Receiver<String>,
    /// Woken by a shutdown request.
    pub shutdown: Arc<Notify>,
    /// Where tags that are given up go.
    pub cmds: Sender<ClientCmd>,
    /// Where reseed files go.
    pub reseeds: Sender<Given>,
    /// Who may ask for the status, besides root and ourselves.
    pub uids: Vec<u32>,
    /// Who may bring reseed files too.
    pub admins: Vec<u32>,
    /// One file at a time: each is held in memory.
    pub one: Semaphore,
}

/// Answers requests, each connection by itself.
pub async fn serve(listener: UnixListener, control: Control) {
    let control = Rc::new(control);
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let some = [control.uids.as_slice(), &control.admins].concat();
        if is_allowed(&socket, &some) {
            let control = Rc::clone(&control);
            tokio::task::spawn_local(async move {
                let _ = timeout(2 * RESEED_TIME, control.answer(socket)).await;
            });
        }
    }
}

impl Control {
    async fn answer(&self, mut socket: UnixStream) -> std::io::Result<()> {
        let (request, early) = timeout(TIME, read_request(&mut socket)).await??;
        let not_allowed = || "error: not allowed\n".to_owned();
        let text = match request {
            Ok(Request::Status) => self.status.borrow().clone(),
            Ok(Request::Shutdown) if !is_allowed(&socket, &[]) => not_allowed(),
            Ok(Request::Shutdown) => {
                self.shutdown.notify_one();
                "shutdown: started\n".to_owned()
            }
            Ok(Request::Forget(_)) if !is_allowed(&socket, &self.uids) => not_allowed(),
            Ok(Request::Forget(tag)) => {
                let tag = tag.to_vec();
                // A core that is gone needs to forget nothing.
                let _ = self.cmds.send(ClientCmd::Forget { tag }).await;
                "forget: done\n".to_owned()
            }
            Ok(Request::Reseed(_)) if !is_allowed(&socket, &self.admins) => not_allowed(),
            Ok(Request::Reseed(len)) => {
                timeout(RESEED_TIME, self.reseed(&mut socket, early, len)).await??
            }
            Err(e) => format!("error: {e}\n"),
        };
        timeout(TIME, socket.write_all(text.as_bytes())).await??;
        socket.shutdown().await?;
        // What nobody wants is read all the same: closed over it, the answer would be lost.
        let mut rest = socket.take(2 * u64::from(RESEED_MAX));
        let mut nowhere = tokio::io::sink();
        let drain = tokio::io::copy(&mut rest, &mut nowhere);
        let _ = timeout(DRAIN_TIME, drain).await;
        Ok(())
    }

    /// Takes the file, of which `early` is there.
    async fn reseed(
        &self,
        socket: &mut UnixStream,
        early: Vec<u8>,
        len: u32,
    ) -> std::io::Result<String> {
        let Ok(_one) = self.one.try_acquire() else {
            return Ok("error: another reseed file is being read\n".to_owned());
        };
        let gone = |_| std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let (whole, mut bytes) = (usize::try_from(len).map_err(gone)?, early);
        bytes.truncate(whole);
        let rest = u64::try_from(whole - bytes.len()).map_err(gone)?;
        socket.take(rest).read_to_end(&mut bytes).await?;
        if bytes.len() < whole {
            return Ok(format!("error: {} bytes of {whole} came\n", bytes.len()));
        }
        let (answer, answered) = oneshot::channel();
        let given = Given { bytes, answer };
        let sent = self.reseeds.send(given).await;
        sent.map_err(|_| std::io::Error::from(std::io::ErrorKind::BrokenPipe))?;
        let said = answered.await;
        said.map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }
}

type Read = (Result<Request, RequestError>, Vec<u8>);

/// The request, and what came behind it.
async fn read_request(socket: &mut UnixStream) -> std::io::Result<Read> {
    let mut buf = Vec::new();
    loop {
        match Request::decode(&buf) {
            Ok(Some((request, len))) => return Ok((Ok(request), buf.split_off(len))),
            Ok(None) => {}
            Err(e) => return Ok((Err(e), Vec::new())),
        }
        let mut chunk = [0; LINE_MAX];
        let n = socket.read(&mut chunk).await?;
        if n == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buf.extend_from_slice(chunk.get(..n).unwrap_or_default());
    }
}
