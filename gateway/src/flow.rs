//! One LAN TCP connection and one stream of the router, byte for byte, with half-close.
//!
//! Anything but an end that was said becomes a reset on the other side, so that a cut transfer
//! never looks complete and an abandoned one does not go on. Back-pressure is the sockets' own:
//! each direction holds one fixed buffer, and what the kernel may hold is in [`buffers`].

pub mod buffers;

use crate::counters::{Count, Counters};
use crate::router_client::{Answers, OpenError, RouterClient};
use nix::sys::socket::{setsockopt, sockopt};
use ramson_ipc::{CHUNK_END, CHUNK_HEAD_LEN, Chunks, Kind, Open, chunk_head};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpStream, UnixStream, tcp, unix};
use tokio::sync::watch;

/// Buffer of one direction, bytes.
pub const BUFFER: usize = 8 * 1024;

/// How long a client may keep its half open in silence after the site has closed the other.
const LINGER: Duration = Duration::from_secs(60);

/// The port whose streams are HTTP whatever they begin with.
const HTTP_PORT: u16 = 80;

/// Keep-alive on the LAN: a client that vanished is noticed within four minutes.
const KEEP_ALIVE: (u32, u32, u32) = (120, 30, 4);

/// What the router is asked for.
#[must_use]
pub fn request(tag: [u8; 16], name: String, port: u16) -> Open {
    let kind = if port == HTTP_PORT {
        Kind::Http
    } else {
        Kind::Detect
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
    buffers::bound_stream(&lan);
    let ended = match router.ask(&open).await {
        Ok(stream) => pump(&mut lan, stream, counters, touch).await,
        Err(why) => Err(Cut::Unopened(why)),
    };
    match ended {
        Ok(()) => orderly(&lan),
        Err(Cut::Unopened(why)) => counters.add(reason(&why)),
        Err(Cut::Broken) => {}
    }
}

/// Why a flow ends without an end that was said.
enum Cut {
    /// There is no stream.
    Unopened(OpenError),
    /// One side reset it, or broke off.
    Broken,
}

impl From<io::Error> for Cut {
    fn from(_: io::Error) -> Self {
        Self::Broken
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

/// Both directions. The client's bytes go to the router before there is an answer: they may be
/// what the router needs to know which page to answer with.
async fn pump(
    lan: &mut TcpStream,
    mut stream: UnixStream,
    counters: &Counters,
    touch: &dyn Fn(),
) -> Result<(), Cut> {
    let (lan_read, lan_write) = lan.split();
    let (mut router_read, router_write) = stream.split();
    let (ended, end) = watch::channel(false);
    let down = async {
        let mut answers = Answers::default();
        let first = answers.wait(&mut router_read).await;
        let first = first.map_err(Cut::Unopened)?;
        counters.add(Count::Opened);
        down(first, router_read, lan_write, ended, touch).await?;
        Ok(())
    };
    let up = async { Ok(up(lan_read, router_write, end, touch).await?) };
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
        buffers::write_all(to.as_ref(), bytes.get(..n).unwrap_or_default()).await?;
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
        if taken {
            taken = tokio::select! {
                written = to.write_all(chunk) => written.is_ok(),
                // A client that resets meanwhile frees the router.
                _ = from.ready(Interest::ERROR) => {
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
            };
        }
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
