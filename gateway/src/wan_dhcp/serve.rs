//! The process: its socket, its clock, and the supervisor at the other end of standard input.

use super::lease::Lease;
use super::machine::{Action, Machine};
use crate::dhcp4::wire;
use crate::privileges;
use crate::supervisor::uplink::receive;
use dhcproto::Encodable;
use std::io;
use std::os::fd::AsFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UdpSocket, UnixStream};
use tokio::time::Instant;

/// What the supervisor says when a lease cannot be used.
pub const REFUSED: u8 = b'r';

/// Shortest message, bytes: servers of BOOTP's time take no shorter ones.
const MESSAGE_MIN: usize = 300;

/// The whole process: its standard input is a socket of the supervisor's, which hands it another.
///
/// # Errors
/// In words: it has privileges, was not started by the supervisor, or what [`serve`] says.
pub fn run() -> Result<(), String> {
    privileges::prove_none()?;
    let text = |e: io::Error| e.to_string();
    let (socket, mac) = receive(io::stdin().as_fd())
        .map_err(|e| format!("started by supervisor, not by hand: {e}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(text)?;
    runtime.block_on(async {
        let channel = io::stdin().as_fd().try_clone_to_owned().map_err(text)?;
        let channel = std::os::unix::net::UnixStream::from(channel);
        channel.set_nonblocking(true).map_err(text)?;
        let channel = UnixStream::from_std(channel).map_err(text)?;
        let socket = UdpSocket::from_std(socket).map_err(text)?;
        serve(socket, channel, mac).await.map_err(text)
    })
}

/// Runs until the supervisor is gone.
///
/// # Errors
/// The socket is unusable, or the supervisor says something else.
pub async fn serve(socket: UdpSocket, mut supervisor: UnixStream, mac: [u8; 6]) -> io::Result<()> {
    let mut machine = Machine::new(mac, Instant::now().into_std());
    let mut buf = vec![0; 1500];
    loop {
        let due = Instant::from_std(machine.deadline());
        let action = tokio::select! {
            () = tokio::time::sleep_until(due) => {
                let mut random = [0; 4];
                getrandom::fill(&mut random).map_err(io::Error::other)?;
                machine.handle_timeout(now(), u32::from_be_bytes(random))
            }
            got = socket.recv_from(&mut buf) => match got {
                Ok((n, _)) => {
                    let bytes = buf.get(..n).unwrap_or_default();
                    let message = wire::decode(bytes);
                    message.and_then(|message| machine.handle_message(&message, now()))
                }
                Err(e) if crate::dns::is_transient(&e) => None,
                Err(e) => return Err(e),
            },
            said = supervisor.read_u8() => match said {
                Ok(REFUSED) => {
                    machine.refuse(now());
                    None
                }
                Ok(_) => return Err(io::ErrorKind::InvalidData.into()),
                Err(_) => return Ok(()),
            },
        };
        match action {
            Some(Action::Send(message, to)) => {
                let mut bytes = message.to_vec().unwrap_or_default();
                bytes.resize(bytes.len().max(MESSAGE_MIN), 0);
                // A link that is down is asked again.
                let _ = socket.send_to(&bytes, (to, 67)).await;
            }
            Some(Action::Configure(lease)) => {
                supervisor.write_all(&Lease::encode(Some(lease))).await?;
            }
            Some(Action::Deconfigure) => supervisor.write_all(&Lease::encode(None)).await?,
            None => {}
        }
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
