//! One LAN TCP connection and one stream of the router, byte for byte, with half-close.
//!
//! Anything but an end that was said becomes a reset on the other side, so that a cut transfer
//! never looks complete and an abandoned one does not go on. Back-pressure is the sockets' own:
//! each direction holds one fixed buffer.

use crate::counters::{Count, Counters};
use crate::router_client::{OpenError, Opened, RouterClient};
use nix::sys::socket::{setsockopt, sockopt};
use ramson_ipc::{CHUNK_END, CHUNK_HEAD_LEN, Chunks, Kind, Open, chunk_head};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpStream, tcp, unix};
use tokio::sync::watch;

/// Buffer of one direction, bytes.
const BUFFER: usize = 16 * 1024;

/// How long a client may keep its half open in silence after the site has closed the other.
const LINGER: Duration = Duration::from_secs(60);

/// The port whose streams go through the router's HTTP filter.
const HTTP_PORT: u16 = 80;

/// Keep-alive on the LAN: a client that vanished is noticed within four minutes.
const KEEP_ALIVE: (u32, u32, u32) = (120, 30, 4);

/// What the router is asked for.
#[must_use]
pub fn request(tag: [u8; 16], name: String, port: u16) -> Open {
    let kind = if port == HTTP_PORT {
        Kind::Http
    } else {
        Kind::Raw
    };
    Open {
        tag: tag.to_vec(),
        name,
        port,
        kind,
    }
}

/// Runs one flow to its end. `touch` hears of every byte that moves.
pub async fn run(
    mut lan: TcpStream,
    router: &RouterClient,
    open: Open,
    counters: &Counters,
    touch: &dyn Fn(),
) {
    // Failing to set these changes nothing that the client could see.
    let _ = lan.set_nodelay(true);
    let _ = keep_alive(&lan);
    // Whatever becomes of this process: without an orderly end the client sees a reset.
    reset(&lan);
    let opened = tokio::select! {
        opened = router.open(&open) => opened,
        () = gone(&lan) => return,
    };
    match opened {
        Ok(opened) => {
            counters.add(Count::Opened);
            if pump(&mut lan, opened, touch).await.is_ok() {
                orderly(&lan);
            }
        }
        Err(why) => counters.add(reason(&why)),
    }
}

const fn reason(why: &OpenError) -> Count {
    match why {
        OpenError::Refused(_) => Count::Refused,
        OpenError::Gone(_) => Count::RouterGone,
        OpenError::Protocol => Count::RouterNonsense,
        OpenError::Timeout => Count::RouterSilent,
    }
}

/// Makes closing the connection a reset.
pub fn reset(lan: &TcpStream) {
    // Fails only for a connection that is reset already.
    let _ = lan.set_zero_linger();
}

/// Makes closing the connection an end again.
pub fn orderly(lan: &TcpStream) {
    let linger = nix::libc::linger {
        l_onoff: 0,
        l_linger: 0,
    };
    // Fails only for a connection that is reset already.
    let _ = setsockopt(lan, sockopt::Linger, &linger);
}

fn keep_alive(lan: &TcpStream) -> nix::Result<()> {
    let (idle, interval, count) = KEEP_ALIVE;
    setsockopt(lan, sockopt::KeepAlive, &true)?;
    setsockopt(lan, sockopt::TcpKeepIdle, &idle)?;
    setsockopt(lan, sockopt::TcpKeepInterval, &interval)?;
    setsockopt(lan, sockopt::TcpKeepCount, &count)
}

/// Returns when the client has reset the connection.
async fn gone(lan: &TcpStream) {
    // An error of `ready` means the same.
    let _ = lan.ready(Interest::ERROR).await;
}

async fn pump(lan: &mut TcpStream, opened: Opened, touch: &dyn Fn()) -> io::Result<()> {
    let (lan_read, lan_write) = lan.split();
    let mut stream = opened.stream;
    let (router_read, router_write) = stream.split();
    let (ended, end) = watch::channel(false);
    let down = down(opened.first, router_read, lan_write, ended, touch);
    let up = up(lan_read, router_write, end, touch);
    tokio::try_join!(down, up).map(|_| ())
}

/// Router to client. A connection that closes before the router has said the end was cut.
async fn down(
    first: Vec<u8>,
    mut from: unix::ReadHalf<'_>,
    mut to: tcp::WriteHalf<'_>,
    ended: watch::Sender<bool>,
    touch: &dyn Fn(),
) -> io::Result<()> {
    let (mut chunks, mut buf) = (Chunks::default(), first);
    let mut filled = buf.len();
    loop {
        let bytes = buf.get_mut(..filled).unwrap_or_default();
        let n = chunks.strip(bytes).map_err(io::Error::other)?;
        touch();
        to.write_all(bytes.get(..n).unwrap_or_default()).await?;
        if chunks.is_ended() {
            break;
        }
        buf.resize(BUFFER, 0);
        filled = from.read(&mut buf).await?;
        if filled == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    to.shutdown().await?;
    // Without a receiver the other half has ended before.
    let _ = ended.send(true);
    Ok(())
}

/// Client to router. A router that takes no more is no error: what it sent before may still be
/// on its way to the client, and a reset would destroy it. Then the rest is read and dropped.
async fn up(
    mut from: tcp::ReadHalf<'_>,
    mut to: unix::WriteHalf<'_>,
    mut end: watch::Receiver<bool>,
    touch: &dyn Fn(),
) -> io::Result<()> {
    let mut buf = vec![0; CHUNK_HEAD_LEN + BUFFER];
    let mut taken = true;
    loop {
        let read = from.read(buf.get_mut(CHUNK_HEAD_LEN..).unwrap_or_default());
        let n = tokio::select! {
            n = read => n?,
            () = silence(&mut end) => return Ok(()),
        };
        let Some(head) = chunk_head(n) else { break };
        touch();
        if let Some(place) = buf.first_chunk_mut() {
            *place = head;
        }
        let chunk = buf.get(..CHUNK_HEAD_LEN + n).unwrap_or_default();
        taken = taken && to.write_all(chunk).await.is_ok();
    }
    if taken {
        // The router may have closed altogether meanwhile.
        let _ = to.write_all(&CHUNK_END).await;
    }
    Ok(())
}

/// Returns once the other direction has ended and [`LINGER`] has passed since, or since now.
async fn silence(end: &mut watch::Receiver<bool>) {
    if end.wait_for(|ended| *ended).await.is_err() {
        // The sender is dropped only after it has said so, or together with this future.
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(LINGER).await;
}

#[cfg(test)]
mod tests;
