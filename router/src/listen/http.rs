//! The HTTP proxy: one request a connection, filtered, with pages that say what is happening.

use super::conn::{Conn, Registry};
use super::local::Local;
use super::pump::{End, Filter, Pump};
use ramson_proto::client::error_page::{self, Page};
use ramson_proto::client::http_head::{Head, HeadError};
use ramson_proto::client::http_request::{Request, RequestKind};
use ramson_proto::limits;
use ramson_proto::router::input::ClientCmd;
use ramson_proto::router::output::{ClientEvent, Refusal};
use ramson_proto::wire::hash::DestHash;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
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
            exchange(socket, &registry, PROXY_TAG.to_vec(), None).await;
        });
    }
}

/// One request and its answer. `fixed` is the destination of a transparent connection.
pub async fn exchange<S: Local>(
    mut socket: S,
    registry: &Registry,
    tag: Vec<u8>,
    fixed: Option<(&str, u16)>,
) {
    let read = timeout(HEAD_TIME, read_head(&mut socket)).await;
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
    let (socket, end) = match request.kind {
        RequestKind::Message { body } => message(socket, conn, request, rest, body).await,
        RequestKind::Tunnel => tunnel(socket, conn, rest).await,
    };
    match end {
        End::Refused(why) => answer(socket, error_page::refused(why)).await,
        End::Malformed => answer(socket, error_page::bad_response()).await,
        End::Finished => farewell(socket).await,
        End::Reset => {}
    }
}

async fn message<S: Local>(
    socket: S,
    conn: Conn,
    request: Request,
    mut rest: Vec<u8>,
    body: u64,
) -> (S, End) {
    let mut pump = Pump::new(socket, conn, Filter::ResponseHead(Vec::new()));
    let dest = match resolved(&mut pump).await {
        Ok(dest) => dest,
        Err(end) => return (pump.socket, end),
    };
    rest.truncate(usize::try_from(body).unwrap_or(usize::MAX));
    pump.body_left = body - rest.len() as u64;
    pump.pending = request.to_bytes(&dest.b32());
    pump.pending.extend_from_slice(&rest);
    let end = pump.run().await;
    (pump.socket, end)
}

/// A CONNECT: after the greeting all bytes are the client's own, and no page may come among them.
async fn tunnel<S: Local>(socket: S, conn: Conn, rest: Vec<u8>) -> (S, End) {
    let greeting = b"HTTP/1.1 200 Connection established\r\n\r\n".to_vec();
    let mut pump = Pump::new(socket, conn, Filter::Raw(greeting));
    pump.pending = rest;
    let end = pump.run().await;
    (pump.socket, end)
}

/// Waits until the name of the stream is resolved.
async fn resolved<S: Local>(pump: &mut Pump<S>) -> Result<DestHash, End> {
    loop {
        match pump.conn.event(true).await {
            Some(ClientEvent::Resolved { dest, .. }) => return Ok(dest),
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
) -> Result<Option<(Head, Vec<u8>)>, HeadError> {
    let mut buf = Vec::new();
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

/// Sends a page and closes in order.
async fn answer<S: Local>(mut socket: S, page: Page) {
    let bytes = page.to_bytes();
    let sent = async { socket.write_all(&bytes).await.is_ok() && socket.shutdown().await.is_ok() };
    if timeout(LINGER, sent).await == Ok(true) {
        farewell(socket).await;
    }
}

/// Waits a little for the client's end: bytes of it that nobody reads would turn our close into a
/// reset, and destroy what is still on its way.
async fn farewell<S: Local>(mut socket: S) {
    let read = async {
        let mut chunk = [0; 4096];
        while matches!(socket.read(&mut chunk).await, Ok(n) if n > 0) {}
    };
    let _ = timeout(LINGER, read).await;
}

#[cfg(test)]
mod tests;
