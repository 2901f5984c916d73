//! `stream.sock`: the gateway's streams, one connection each.

use super::chunked::Chunked;
use super::conn::Registry;
use super::http;
use super::local::Local as _;
use super::pump::detect::Detect;
use super::pump::{End, Filter, Pump};
use nix::sys::socket::{setsockopt, sockopt};
use ramson_ipc::{Answer, FRAME_MAX, Kind, Open, Reason};
use ramson_proto::router::output::Refusal;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

/// A client has this long to send its frame.
const FRAME_TIME: Duration = Duration::from_secs(10);

/// Connections at once, with a stream or before it; further ones are closed. Who serves strangers
/// must not be able to use up the files that the router's links need.
const CONNECTIONS: usize = 1024;

/// What is written to the gateway and was not read, bytes; the kernel counts its overhead too, and
/// allows the double. Hundreds of streams whose readers stand still hold no more than this here.
const SEND_BUFFER: usize = 12 * 1024;

/// Accepts connections of root, of our own user and of the listed users.
pub async fn serve(listener: UnixListener, registry: Registry, uids: Vec<u32>) {
    serve_at_most(CONNECTIONS, listener, registry, uids).await;
}

async fn serve_at_most(most: usize, listener: UnixListener, registry: Registry, uids: Vec<u32>) {
    let open = Rc::new(());
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if !super::control_sock::is_allowed(&socket, &uids) {
            continue;
        }
        if Rc::strong_count(&open) > most {
            continue;
        }
        // Failing changes how much is held, and nothing that a client could see.
        let _ = setsockopt(&socket, sockopt::SndBuf, &SEND_BUFFER);
        let (registry, one) = (registry.clone(), Rc::clone(&open));
        tokio::task::spawn_local(async move {
            stream(socket, registry).await;
            drop(one);
        });
    }
}

async fn stream(mut socket: UnixStream, registry: Registry) {
    let (open, rest) = match timeout(FRAME_TIME, read_frame(&mut socket)).await {
        Ok(Ok(Some(parts))) => parts,
        Ok(Err(reason)) => return refuse(socket, reason).await,
        Ok(Ok(None)) | Err(_) => return,
    };
    match open.kind {
        Kind::Http => {
            if answer(&mut socket, Answer::Opened).await {
                let (socket, fixed) = (Chunked::new(socket, rest), (open.name.as_str(), open.port));
                http::exchange(socket, &registry, &open.tag, Some(fixed)).await;
            }
        }
        Kind::Raw => raw(socket, &registry, &open, rest).await,
        Kind::Detect => detect(socket, &registry, &open, rest).await,
    }
}

async fn raw(socket: UnixStream, registry: &Registry, open: &Open, rest: Vec<u8>) {
    let Some(conn) = registry.open(&open.tag, &open.name, open.port).await else {
        return refuse(socket, Reason::Limit).await;
    };
    let mut pump = Pump::new(Chunked::new(socket, rest), conn, Filter::Raw(opened()));
    if let End::Refused(why) = pump.run().await {
        refuse_in(&mut pump, why).await;
    }
}

async fn detect(socket: UnixStream, registry: &Registry, open: &Open, rest: Vec<u8>) {
    let Some(conn) = registry.open(&open.tag, &open.name, open.port).await else {
        return refuse(socket, Reason::Limit).await;
    };
    let filter = Filter::Detect(Box::new(Detect::new(opened())));
    let mut pump = Pump::new(Chunked::new(socket, rest), conn, filter);
    let refused = match pump.run().await {
        End::Http => None,
        End::Refused(why) if pump.asks_late().await => Some(why),
        End::Refused(why) => return refuse_in(&mut pump, why).await,
        _ => return,
    };
    if pump.greet().await.is_none() {
        let fixed = (open.name.as_str(), open.port);
        http::exchange_on(pump, registry, &open.tag, fixed, refused).await;
    }
}

fn opened() -> Vec<u8> {
    Answer::Opened.encode().unwrap_or_default()
}

/// Refuses a stream of which the client has heard nothing yet.
async fn refuse_in(pump: &mut Pump<Chunked<UnixStream>>, why: Refusal) {
    let frame = Answer::Refused(reason(why)).encode().unwrap_or_default();
    // A client that is gone needs no reason.
    let _ = pump.socket.write_plain(&frame).await;
}

async fn refuse(mut socket: UnixStream, reason: Reason) {
    // A client that is gone needs no reason.
    answer(&mut socket, Answer::Refused(reason)).await;
}

async fn answer(socket: &mut UnixStream, answer: Answer) -> bool {
    match answer.encode() {
        Ok(frame) => socket.write_all(&frame).await.is_ok(),
        Err(_) => false,
    }
}

async fn read_frame(socket: &mut UnixStream) -> Result<Option<(Open, Vec<u8>)>, Reason> {
    let mut buf = Vec::new();
    loop {
        if let Some((open, n)) = Open::decode(&buf)? {
            return Ok(Some((open, buf.split_off(n))));
        }
        let mut chunk = [0; 1024];
        let room = FRAME_MAX.saturating_sub(buf.len()).min(chunk.len());
        match socket.read(chunk.get_mut(..room).unwrap_or_default()).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(n) => buf.extend_from_slice(chunk.get(..n).unwrap_or_default()),
        }
    }
}

const fn reason(why: Refusal) -> Reason {
    match why {
        Refusal::BadName => Reason::BadName,
        Refusal::UnknownName => Reason::UnknownName,
        Refusal::NotReady(_) => Reason::NotReady,
        Refusal::NoLeaseSet => Reason::NoLeaseSet,
        Refusal::Encrypted | Refusal::Unusable => Reason::Unusable,
        Refusal::NoAnswer => Reason::NoAnswer,
        Refusal::Rejected | Refusal::Empty => Reason::Rejected,
        Refusal::Limit => Reason::Limit,
        Refusal::Closing => Reason::Closing,
    }
}

#[cfg(test)]
mod tests;
