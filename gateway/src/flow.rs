//! One LAN TCP connection and one stream of the router, byte for byte, with half-close.
//!
//! Anything but an orderly end becomes a reset on the LAN side, so that a cut transfer never
//! looks complete. Back-pressure is the sockets' own: each direction holds one fixed buffer.

use crate::router_client::{Opened, RouterClient};
use crate::vip::ClientId;
use nix::sys::socket::{setsockopt, sockopt};
use ramson_ipc::{Kind, Open};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpStream, tcp};
use tokio::sync::watch;

/// Buffer of one direction, bytes.
const BUFFER: usize = 16 * 1024;

/// How long a client may keep its half open in silence after the site has closed the other.
const LINGER: Duration = Duration::from_secs(60);

/// The port whose streams go through the router's HTTP filter.
const HTTP_PORT: u16 = 80;

/// Keep-alive on the LAN: a client that vanished is noticed within four minutes.
const KEEP_ALIVE: (u32, u32, u32) = (120, 30, 4);

/// Runs one flow to its end.
pub async fn run(
    mut lan: TcpStream,
    router: &RouterClient,
    client: ClientId,
    name: String,
    port: u16,
) {
    let kind = if port == HTTP_PORT {
        Kind::Http
    } else {
        Kind::Raw
    };
    let open = Open {
        tag: client.0.to_vec(),
        name,
        port,
        kind,
    };
    // Failing to set these changes nothing that the client could see.
    let _ = lan.set_nodelay(true);
    let _ = keep_alive(&lan);
    let opened = tokio::select! {
        opened = router.open(&open) => opened.ok(),
        () = gone(&lan) => None,
    };
    let orderly = match opened {
        Some(opened) => pump(&mut lan, opened, router).await.is_ok(),
        None => false,
    };
    if !orderly {
        reset(&lan);
    }
}

/// Makes closing the connection a reset.
pub fn reset(lan: &TcpStream) {
    // Fails only for a connection that is reset already.
    let _ = lan.set_zero_linger();
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

async fn pump(lan: &mut TcpStream, opened: Opened, router: &RouterClient) -> io::Result<()> {
    let (lan_read, lan_write) = lan.split();
    let (router_read, router_write) = opened.stream.into_split();
    let (ended, end) = watch::channel(false);
    let down = down(opened.first, router_read, lan_write, router, ended);
    let up = up(lan_read, router_write, end);
    tokio::try_join!(down, up).map(|_| ())
}

/// Router to client. An end is believed only while the router is alive.
async fn down(
    first: Vec<u8>,
    mut from: OwnedReadHalf,
    mut to: tcp::WriteHalf<'_>,
    router: &RouterClient,
    ended: watch::Sender<bool>,
) -> io::Result<()> {
    to.write_all(&first).await?;
    drop(first);
    let mut buf = vec![0; BUFFER];
    loop {
        let n = match from.read(&mut buf).await {
            Ok(0) => break,
            Ok(n) => n,
            // Comes after all bytes, when the router closed without having read all of ours.
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => break,
            Err(e) => return Err(e),
        };
        to.write_all(buf.get(..n).unwrap_or_default()).await?;
    }
    if !router.is_alive().await {
        return Err(io::ErrorKind::ConnectionReset.into());
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
    mut to: OwnedWriteHalf,
    mut end: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buf = vec![0; BUFFER];
    let mut taken = true;
    loop {
        let read = from.read(&mut buf);
        let n = tokio::select! {
            n = read => n?,
            () = silence(&mut end) => return Ok(()),
        };
        if n == 0 {
            break;
        }
        if taken {
            taken = to.write_all(buf.get(..n).unwrap_or_default()).await.is_ok();
        }
    }
    if taken {
        // The router may have closed altogether meanwhile.
        let _ = to.shutdown().await;
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
