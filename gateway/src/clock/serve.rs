//! The process: its sockets, which it makes anew for each round, its stopwatch, and the supervisor
//! at the other end of standard input.

use super::machine::Machine;
use super::report::{LIST, decode_servers};
use super::wire::{LEN, PORT};
use crate::privileges;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UdpSocket, UnixStream};

/// The machine's stopwatch. What the kernel does to bring the clock nearer slowly it does to this
/// one, too.
#[must_use]
pub fn stopwatch() -> Duration {
    let clock = nix::time::ClockId::CLOCK_MONOTONIC;
    nix::time::clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

/// A socket of each family; one that the kernel does not have is not there.
#[derive(Default)]
struct Sockets {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
}

impl Sockets {
    async fn new() -> Self {
        let v4 = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await;
        let v6 = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).await;
        Self {
            v4: v4.ok(),
            v6: v6.ok(),
        }
    }

    async fn send(&self, to: IpAddr, packet: &[u8]) {
        let socket = if to.is_ipv4() { &self.v4 } else { &self.v6 };
        if let Some(socket) = socket {
            // A way that is not there yet is tried again in the next round.
            let _ = socket.send_to(packet, (to, PORT)).await;
        }
    }

    async fn next(&self, buf4: &mut [u8], buf6: &mut [u8]) -> Option<(IpAddr, [u8; LEN])> {
        let (from, bytes) = tokio::select! {
            got = receive(self.v4.as_ref(), buf4) => (got?, buf4),
            got = receive(self.v6.as_ref(), buf6) => (got?, buf6),
        };
        let packet = bytes.first_chunk::<LEN>().copied();
        packet
            .filter(|_| from.port() == PORT)
            .map(|packet| (from.ip(), packet))
    }
}

async fn receive(socket: Option<&UdpSocket>, buf: &mut [u8]) -> Option<SocketAddr> {
    let Some(socket) = socket else {
        return std::future::pending().await;
    };
    match socket.recv_from(buf).await {
        Ok((LEN.., from)) => Some(from),
        _ => None,
    }
}

/// The whole process: its standard input is a socket of the supervisor's.
///
/// # Errors
/// In words: it has privileges, was not started by the supervisor, or what [`serve`] says.
pub fn run() -> Result<(), String> {
    privileges::prove_none()?;
    let text = |e: io::Error| e.to_string();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.map_err(text)?.block_on(async {
        let channel = io::stdin().as_fd().try_clone_to_owned().map_err(text)?;
        let channel = std::os::unix::net::UnixStream::from(channel);
        channel.set_nonblocking(true).map_err(text)?;
        let channel = UnixStream::from_std(channel);
        let channel = channel.map_err(|_| "started by supervisor, not by hand".to_owned())?;
        serve(channel).await.map_err(text)
    })
}

/// Runs until the supervisor is gone.
///
/// # Errors
/// The supervisor says something else than servers, or the system has no random numbers.
pub async fn serve(mut supervisor: UnixStream) -> io::Result<()> {
    let (mut machine, mut sockets) = (Machine::default(), Sockets::default());
    let (mut list, mut got) = ([0; LIST], 0);
    let (mut buf4, mut buf6) = ([0; 512], [0; 512]);
    loop {
        let due = machine
            .deadline()
            .map(|due| due.saturating_sub(stopwatch()));
        tokio::select! {
            () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => {
                let (packets, report) = round(&mut machine)?;
                if !packets.is_empty() {
                    sockets = Sockets::new().await;
                }
                for (to, packet) in packets {
                    sockets.send(to, &packet).await;
                }
                if let Some(report) = report {
                    sockets = Sockets::default();
                    supervisor.write_all(&report.encode()).await?;
                }
            }
            packet = sockets.next(&mut buf4, &mut buf6) => {
                if let Some((from, packet)) = packet {
                    machine.handle_packet(from, &packet, stopwatch());
                }
            }
            said = supervisor.read(&mut list[got..]) => {
                got += match said {
                    Ok(0) | Err(_) => return Ok(()),
                    Ok(n) => n,
                };
                if got == LIST {
                    got = 0;
                    let servers = decode_servers(&list).map_err(io::Error::other)?;
                    machine.set_servers(&servers, stopwatch());
                }
            }
        }
    }
}

type Round = (Vec<(IpAddr, [u8; LEN])>, Option<super::report::Report>);

fn round(machine: &mut Machine) -> io::Result<Round> {
    let mut failed = None;
    let mut random = || {
        let mut bytes = [0; 8];
        failed = getrandom::fill(&mut bytes).err().or(failed);
        u64::from_be_bytes(bytes)
    };
    let round = machine.handle_timeout(stopwatch(), &mut random);
    match failed {
        // A number that can be guessed would be no proof.
        Some(e) => Err(io::Error::other(e)),
        None => Ok(round),
    }
}
