//! `stream.sock`: the gateway's streams, one connection each.

use super::chunked::Chunked;
use super::conn::Registry;
use super::http;
use super::local::Local as _;
use super::pump::{End, Filter, Pump};
use ramson_ipc::{Answer, FRAME_MAX, Kind, Open, Reason};
use ramson_proto::router::input::ClientCmd;
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
                http::exchange(socket, &registry, open.tag, Some(fixed)).await;
            }
        }
        Kind::Raw => raw(socket, &registry, open, rest).await,
    }
}

async fn raw(socket: UnixStream, registry: &Registry, open: Open, rest: Vec<u8>) {
    let Some(conn) = registry.register() else {
        return refuse(socket, Reason::Limit).await;
    };
    let (id, tag, host, port) = (conn.id, open.tag, open.name, open.port);
    conn.send(ClientCmd::Open {
        id,
        tag,
        host,
        port,
    })
    .await;
    let opened = Answer::Opened.encode().unwrap_or_default();
    let mut pump = Pump::new(Chunked::new(socket, rest), conn, Filter::Raw(opened));
    if let End::Refused(why) = pump.run().await {
        let frame = Answer::Refused(reason(why)).encode().unwrap_or_default();
        // A client that is gone needs no reason.
        let _ = pump.socket.write_plain(&frame).await;
    }
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
        Refusal::Unusable => Reason::Unusable,
        Refusal::NoAnswer => Reason::NoAnswer,
        Refusal::Rejected | Refusal::Empty => Reason::Rejected,
        Refusal::Limit => Reason::Limit,
        Refusal::Closing => Reason::Closing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "local")]
    async fn connections_are_bounded_and_come_back() {
        let name = format!("ramson-stream-{}.sock", std::process::id());
        let path = std::env::temp_dir().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        let (cmds, _core) = tokio::sync::mpsc::channel(1);
        let own = nix::unistd::geteuid().as_raw();
        let registry = Registry::new(cmds);
        tokio::task::spawn_local(serve_at_most(2, listener, registry, vec![own]));
        let connect = async || UnixStream::connect(&path).await.unwrap();
        // One that says nothing waits for its frame; the third is closed at once.
        let mut held = vec![connect().await, connect().await];
        let closed = async |mut s: UnixStream| {
            let read = timeout(Duration::from_secs(2), s.read_u8()).await;
            read.is_ok_and(|byte| byte.is_err())
        };
        assert!(closed(connect().await).await);
        drop(held.pop());
        let mut again = false;
        for _ in 0..100 {
            let mut s = connect().await;
            let read = timeout(Duration::from_millis(100), s.read_u8()).await;
            again = read.is_err();
            if again {
                break;
            }
        }
        assert!(again, "a place that was given back is not used");
        std::fs::remove_file(&path).unwrap();
    }
}
