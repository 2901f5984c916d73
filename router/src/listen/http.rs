//! The HTTP proxy: one request a connection, filtered, with pages that say what is happening.

use super::conn::Registry;
use super::pump::{End, Filter, Pump};
use ramson_proto::client::error_page::{self, Page};
use ramson_proto::client::http_head::{Head, HeadError};
use ramson_proto::client::http_request::{Request, RequestKind};
use ramson_proto::limits;
use ramson_proto::router::input::ClientCmd;
use ramson_proto::router::output::{ClientEvent, Refusal};
use ramson_proto::wire::hash::DestHash;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

/// A browser has this long to send its request's head.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// A finished socket has this long to take its last page.
const LINGER: Duration = Duration::from_secs(5);
/// Isolation tag of everything that uses the explicit proxy.
const PROXY_TAG: &[u8] = b"http-proxy";

/// Accepts connections until the listener fails for good.
pub async fn serve(listener: TcpListener, registry: Registry) {
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            // Out of file descriptors: others have to end first.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let registry = registry.clone();
        tokio::task::spawn_local(async move {
            exchange(socket, &registry, PROXY_TAG.to_vec(), None, Vec::new()).await;
        });
    }
}

/// One request and its answer. `fixed` is the destination of a transparent connection; `start`
/// are bytes of the request that were read already.
pub async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: S,
    registry: &Registry,
    tag: Vec<u8>,
    fixed: Option<(&str, u16)>,
    start: Vec<u8>,
) {
    let read = timeout(HEAD_TIME, read_head(&mut socket, start)).await;
    let (head, rest) = match read {
        Ok(Ok(Some(parts))) => parts,
        Ok(Err(e)) => return answer(socket, error_page::bad_request(e.into())).await,
        Ok(Ok(None)) | Err(_) => return,
    };
    let request = match Request::filter(head, fixed) {
        Ok(request) => request,
        Err(e) => return answer(socket, error_page::bad_request(e)).await,
    };
    let Some(conn) = registry.register() else {
        return answer(socket, error_page::refused(Refusal::Limit)).await;
    };
    let (id, host, port) = (conn.id, request.host.clone(), request.port);
    conn.send(ClientCmd::Open {
        id,
        tag,
        host,
        port,
    })
    .await;
    let pump = match request.kind {
        RequestKind::Message { body } => message(socket, conn, request, rest, body).await,
        RequestKind::Tunnel => tunnel(socket, conn, rest).await,
    };
    if let Some((socket, End::Refused(why))) = pump {
        answer(socket, error_page::refused(why)).await;
    }
}

async fn message<S: AsyncRead + AsyncWrite + Unpin>(
    socket: S,
    conn: super::conn::Conn,
    request: Request,
    mut rest: Vec<u8>,
    body: u64,
) -> Option<(S, End)> {
    let mut pump = Pump::new(socket, conn, Filter::ResponseHead(Vec::new()));
    let dest = match resolved(&mut pump).await {
        Ok(dest) => dest,
        Err(end) => return Some((pump.socket, end)),
    };
    rest.truncate(usize::try_from(body).unwrap_or(usize::MAX));
    pump.body_left = body - rest.len() as u64;
    pump.pending = request.to_bytes(&dest.b32());
    pump.pending.extend_from_slice(&rest);
    let end = pump.run().await;
    Some((pump.socket, end))
}

async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(
    socket: S,
    conn: super::conn::Conn,
    rest: Vec<u8>,
) -> Option<(S, End)> {
    let mut pump = Pump::new(socket, conn, Filter::Raw);
    if let Err(end) = opened(&mut pump).await {
        return Some((pump.socket, end));
    }
    pump.socket
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .await
        .ok()?;
    pump.pending = rest;
    // From here on the bytes are the client's own: a page in between would corrupt them.
    pump.run().await;
    None
}

/// Waits until the name of the stream is resolved.
async fn resolved<S: AsyncRead + AsyncWrite + Unpin>(pump: &mut Pump<S>) -> Result<DestHash, End> {
    loop {
        match pump.conn.event().await {
            Some(ClientEvent::Resolved { dest, .. }) => return Ok(dest),
            Some(ClientEvent::Credit { n, .. }) => pump.grant(n),
            Some(ClientEvent::Refused { why, .. }) => return Err(End::Refused(why)),
            Some(ClientEvent::Reset { .. }) => return Err(End::Refused(Refusal::NoAnswer)),
            None => return Err(End::Refused(Refusal::Closing)),
            Some(_) => {}
        }
    }
}

/// Waits until the stream is open.
pub(super) async fn opened<S: AsyncRead + AsyncWrite + Unpin>(
    pump: &mut Pump<S>,
) -> Result<(), End> {
    loop {
        match pump.conn.event().await {
            Some(ClientEvent::Opened { .. }) => return Ok(()),
            Some(ClientEvent::Credit { n, .. }) => pump.grant(n),
            Some(ClientEvent::Refused { why, .. }) => return Err(End::Refused(why)),
            Some(ClientEvent::Reset { .. }) => return Err(End::Refused(Refusal::NoAnswer)),
            None => return Err(End::Refused(Refusal::Closing)),
            Some(_) => {}
        }
    }
}

/// Reads up to the end of a head: the head, and what came after it. `None` when the peer left.
async fn read_head<S: AsyncRead + Unpin>(
    socket: &mut S,
    start: Vec<u8>,
) -> Result<Option<(Head, Vec<u8>)>, HeadError> {
    let mut buf = start;
    loop {
        if let Some((head, n)) = Head::parse(&buf)? {
            return Ok(Some((head, buf.split_off(n))));
        }
        let mut chunk = [0; 4096];
        let room = (limits::HTTP_HEAD_MAX + 1)
            .saturating_sub(buf.len())
            .min(chunk.len());
        match socket.read(chunk.get_mut(..room).unwrap_or_default()).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(n) => buf.extend_from_slice(chunk.get(..n).unwrap_or_default()),
        }
    }
}

/// Sends a page and closes in order, so that the page is not lost to a reset.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut socket: S, page: Page) {
    let farewell = async {
        if socket.write_all(&page.to_bytes()).await.is_err() || socket.shutdown().await.is_err() {
            return;
        }
        let mut chunk = [0; 4096];
        while matches!(socket.read(&mut chunk).await, Ok(n) if n > 0) {}
    };
    let _ = timeout(LINGER, farewell).await;
}
