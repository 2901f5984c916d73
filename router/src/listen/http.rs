//! The HTTP proxy: one request a connection, filtered, with pages that say what is happening.

use super::conn::{Conn, Registry};
use super::helper::Asker;
use super::local::Local;
use super::pump::detect::Detect;
use super::pump::exchange::{ANSWER_TIME, Exchange};
use super::pump::{End, Filter, Pump};
use ramson_proto::client::error_page::{self, For, Page};
use ramson_proto::client::http_head::{Head, HeadError, HeadReader, Side};
use ramson_proto::client::http_request::{Request, RequestError, RequestKind};
use ramson_proto::limits;
use ramson_proto::router::output::{ClientEvent, Refusal};
use ramson_proto::wire::hash::DestHash;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

/// A browser has this long to send its request's head.
pub(super) const HEAD_TIME: Duration = Duration::from_secs(30);
/// A finished socket has this long to take its last page.
const LINGER: Duration = Duration::from_secs(5);
/// Isolation tag of everything that uses the explicit proxy.
const PROXY_TAG: &[u8] = b"http-proxy";
/// Browsers open WebSockets through a proxy as a CONNECT to this port; what they say in it is
/// HTTP, and is filtered like any other.
const HTTP_PORT: u16 = 80;
const GREETING: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// Accepts connections until the listener fails for good; above
/// [`limits::HTTP_CONNECTIONS_MAX`] new ones are closed.
pub async fn serve(listener: TcpListener, registry: Registry) {
    let open = Rc::new(());
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            // Out of file descriptors: others have to end first.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if Rc::strong_count(&open) > limits::HTTP_CONNECTIONS_MAX {
            continue;
        }
        let (registry, counted) = (registry.clone(), Rc::clone(&open));
        tokio::task::spawn_local(async move {
            exchange(socket, &registry, PROXY_TAG, None).await;
            drop(counted);
        });
    }
}

/// One request and its answer. `fixed` is the destination of a transparent connection.
pub async fn exchange<S: Local>(
    mut socket: S,
    registry: &Registry,
    tag: &[u8],
    fixed: Option<(&str, u16)>,
) {
    let Some((mut request, mut rest)) = ask(&mut socket, Vec::new(), fixed).await else {
        return farewell(socket).await;
    };
    if request.kind == RequestKind::Tunnel && request.port == HTTP_PORT {
        if socket.write_all(GREETING).await.is_err() || socket.flush().await.is_err() {
            return;
        }
        let inner = (request.host.as_str(), request.port);
        match ask(&mut socket, rest, Some(inner)).await {
            Some(parts) => (request, rest) = parts,
            None => return farewell(socket).await,
        }
    }
    let to = For::from(&request);
    let Some(conn) = registry.open(tag, &request.host, request.port).await else {
        let page = error_page::refused(Refusal::Limit, to.site);
        return answer(socket, &[], &page, to).await;
    };
    if request.kind == RequestKind::Tunnel {
        return tunnel(socket, conn, registry, tag, &request, &rest).await;
    }
    let pump = Pump::new(socket, conn, Filter::Raw(Vec::new()));
    message(pump, registry, tag, &request, &rest).await;
}

/// One request and its answer on a stream that was asked for before the client had said what it
/// speaks; `refused` says why that stream will not open, if it is known.
pub async fn exchange_on<S: Local>(
    mut pump: Pump<S>,
    registry: &Registry,
    tag: &[u8],
    fixed: (&str, u16),
    refused: Option<Refusal>,
) {
    let early = pump.claim();
    let Some((request, rest)) = ask(&mut pump.socket, early, Some(fixed)).await else {
        return farewell(pump.into_socket()).await;
    };
    pump.refused = refused;
    message(pump, registry, tag, &request, &rest).await;
}

/// Says how an exchange ended, where that is not said yet.
async fn conclude<S: Local>(pump: Pump<S>, end: End, to: For<'_>) {
    let page = match end {
        End::Refused(why) => error_page::refused(why, to.site),
        End::BadAnswer(why) => error_page::bad_answer(why),
        End::BadBody => error_page::bad_request(RequestError::Length),
        End::Silent => error_page::silent(ANSWER_TIME.as_secs()),
        End::Finished => return farewell(pump.socket).await,
        End::Reset | End::Http => return,
    };
    let unsent = pump.unsent().to_vec();
    // The stream ends before the page, which may take its time.
    let socket = pump.into_socket();
    answer(socket, &unsent, &page, to).await;
}

/// The request of a connection that may be sent on, and what came after its head. `None` when
/// there is none, or it was answered with a page.
async fn ask<S: Local>(
    socket: &mut S,
    early: Vec<u8>,
    fixed: Option<(&str, u16)>,
) -> Option<(Request, Vec<u8>)> {
    let read = timeout(HEAD_TIME, read_head(socket, early)).await.ok()?;
    let (mut named, mut method) = (fixed.map(|(host, _)| host.to_owned()), String::new());
    let judged = match read {
        Ok(None) => return None,
        Ok(Some((head, rest))) => {
            named = named.or_else(|| head.get("host").map(str::to_owned));
            method = head.start.split(' ').next().unwrap_or_default().to_owned();
            Request::filter(head, fixed).map(|request| (request, rest))
        }
        Err(e) => Err(e.into()),
    };
    match judged {
        Ok(parts) => Some(parts),
        Err(e) => {
            let to = For {
                site: named.as_deref(),
                safe: ["GET", "HEAD", ""].contains(&method.as_str()),
                head_only: method == "HEAD",
            };
            say(socket, &[], &error_page::bad_request(e), to).await;
            None
        }
    }
}

/// A request on its stream, and its answer.
async fn message<S: Local>(
    mut pump: Pump<S>,
    registry: &Registry,
    tag: &[u8],
    request: &Request,
    rest: &[u8],
) {
    let to = For::from(request);
    let found = resolved(&mut pump).await;
    let accepted = registry.accepted();
    let asker = Asker { accepted, tag };
    let page = asker.judge(&mut pump.socket, request, &found, rest).await;
    if let Some(page) = page {
        return answer(pump.into_socket(), &[], &page, to).await;
    }
    let end = match (found, pump.lacks) {
        (Err(end), _) => end,
        (Ok(_), Some(lacks)) => End::Refused(Refusal::NotReady(lacks)),
        (Ok(dest), None) => {
            let (head, asked) = request.to_send(&dest.b32());
            pump.pending = head;
            pump.filter(Filter::Http(Box::new(Exchange::new(request.kind, asked))));
            match pump.upload(rest) {
                Ok(()) => pump.run().await,
                Err(end) => end,
            }
        }
    };
    conclude(pump, end, to).await;
}

/// A CONNECT: after the greeting the bytes are the client's own, unless they turn out to be HTTP:
/// browsers open WebSockets so.
async fn tunnel<S: Local>(
    socket: S,
    conn: Conn,
    registry: &Registry,
    tag: &[u8],
    request: &Request,
    rest: &[u8],
) {
    let filter = Filter::Detect(Box::new(Detect::new(GREETING.to_vec())));
    let mut pump = Pump::new(socket, conn, filter);
    let end = match pump.upload(rest) {
        Ok(()) => pump.run().await,
        Err(end) => end,
    };
    if end != End::Http {
        return conclude(pump, end, For::from(request)).await;
    }
    if pump.greet().await.is_none() {
        let fixed = (request.host.as_str(), request.port);
        exchange_on(pump, registry, tag, fixed, None).await;
    }
}

/// Waits until the name of the stream is resolved.
async fn resolved<S: Local>(pump: &mut Pump<S>) -> Result<DestHash, End> {
    if let Some(why) = pump.refused {
        return Err(End::Refused(why));
    }
    loop {
        if let Some(dest) = pump.dest {
            return Ok(dest);
        }
        match pump.conn.event(true).await {
            Some(ClientEvent::Resolved { dest, .. }) => pump.dest = Some(dest),
            Some(ClientEvent::NotReady { readiness, .. }) => pump.lacks = Some(readiness),
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
    early: Vec<u8>,
) -> Result<Option<(Head, Vec<u8>)>, HeadError> {
    let mut reader = HeadReader::new(Side::Request);
    let mut piece = early;
    loop {
        if let Some((head, n)) = reader.push(&piece)? {
            return Ok(Some((head, piece.split_off(n))));
        }
        piece.resize(4096, 0);
        match socket.read(&mut piece).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(n) => piece.truncate(n),
        }
    }
}

/// Sends a page and closes in order.
async fn answer<S: Local>(mut socket: S, unsent: &[u8], page: &Page, to: For<'_>) {
    if say(&mut socket, unsent, page, to).await {
        farewell(socket).await;
    }
}

/// Sends a page behind what the socket has not taken, and the end.
async fn say<S: Local>(socket: &mut S, unsent: &[u8], page: &Page, to: For<'_>) -> bool {
    let bytes = [unsent, &page.to_bytes(to)].concat();
    let sent = async { socket.write_all(&bytes).await.is_ok() && socket.shutdown().await.is_ok() };
    timeout(LINGER, sent).await == Ok(true)
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
