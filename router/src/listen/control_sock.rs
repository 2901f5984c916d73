//! `control.sock`: status and shutdown, for root and the router's own user; the status also for the
//! users that may open streams.

use ramson_ipc::control::{LINE_MAX, Request, RequestError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// A client has this long for its request and for taking the answer.
const TIME: Duration = Duration::from_secs(5);

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

/// Answers requests: `status` with the newest text, `shutdown` by waking the main thread.
pub async fn serve(
    listener: UnixListener,
    status: watch::Receiver<String>,
    shutdown: Arc<Notify>,
    uids: Vec<u32>,
) {
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if is_allowed(&socket, &uids) {
            let (status, shutdown) = (status.clone(), Arc::clone(&shutdown));
            tokio::task::spawn_local(async move {
                let _ = timeout(TIME, answer(socket, &status, &shutdown)).await;
            });
        }
    }
}

async fn answer(
    mut socket: UnixStream,
    status: &watch::Receiver<String>,
    shutdown: &Notify,
) -> std::io::Result<()> {
    let text = match read_request(&mut socket).await? {
        Ok(Request::Status) => status.borrow().clone(),
        Ok(Request::Shutdown) if !is_allowed(&socket, &[]) => "error: not allowed\n".into(),
        Ok(Request::Shutdown) => {
            shutdown.notify_one();
            "shutdown: started\n".to_owned()
        }
        Err(e) => format!("error: {e}\n"),
    };
    socket.write_all(text.as_bytes()).await?;
    socket.shutdown().await
}

async fn read_request(socket: &mut UnixStream) -> std::io::Result<Result<Request, RequestError>> {
    let mut buf = Vec::new();
    loop {
        match Request::decode(&buf) {
            Ok(Some((request, _))) => return Ok(Ok(request)),
            Ok(None) => {}
            Err(e) => return Ok(Err(e)),
        }
        let mut chunk = [0; LINE_MAX];
        let n = socket.read(&mut chunk).await?;
        if n == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buf.extend_from_slice(chunk.get(..n).unwrap_or_default());
    }
}
