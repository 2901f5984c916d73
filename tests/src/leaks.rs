//! What a LAN client tries in order to reach the world past the gateway.
//!
//! Every attempt is expected to fail; whether something got out is not judged here but by the
//! capture on the line (`capture`).

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, sendto,
    socket,
};

use crate::fault::Outcome;
use crate::lan::CLIENT;
use crate::netns::Netns;
use crate::{probe, wall};

/// A resolver of the outside world (a documentation address).
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 53);
const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const SERVER_6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);
const PATIENCE: Duration = Duration::from_millis(1500);

/// How one attempt ended.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub what: String,
    /// A TCP connection came about.
    pub connected: bool,
    /// The refusal came at once, not by timing out.
    pub refused: bool,
    pub seconds: f64,
}

/// TCP connections to ports of the outside; 53 is apart, because the gateway answers there.
pub fn tcp_attempts(client: &Netns) -> Outcome<Vec<Attempt>> {
    let v4 = [80, 443, 853, 4444, 14000].map(|port| (IpAddr::V4(SERVER), port));
    let v6 = [80, 443].map(|port| (IpAddr::V6(SERVER_6), port));
    client.inside(|| {
        Ok(v4
            .iter()
            .chain(&v6)
            .map(|to| tcp_attempt((*to).into()))
            .collect())
    })
}

fn tcp_attempt(to: SocketAddr) -> Attempt {
    let start = wall::now();
    let result = TcpStream::connect_timeout(&to, PATIENCE);
    let kind = result.as_ref().err().map(std::io::Error::kind);
    Attempt {
        what: format!("TCP {to}"),
        connected: result.is_ok(),
        refused: kind.is_some_and(|kind| kind != ErrorKind::TimedOut),
        seconds: wall::since(start),
    }
}

/// Names asked of a resolver of the outside, by UDP and TCP.
pub fn dns_attempts(client: &Netns) -> Outcome<()> {
    client.inside(|| {
        let question = probe::dns_question("www.example.org");
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        for port in [53, 5353] {
            let _ = socket.send_to(&question, (RESOLVER, port));
        }
        if let Ok(mut stream) = TcpStream::connect_timeout(&(RESOLVER, 53).into(), PATIENCE) {
            let mut framed = (question.len() as u16).to_be_bytes().to_vec();
            framed.extend(&question);
            let _ = std::io::Write::write_all(&mut stream, &framed);
        }
        Ok(())
    })
}

/// Datagrams, pings and forged source addresses, v4 and v6.
pub fn other_attempts(client: &Netns, forged: Ipv4Addr) -> Outcome<()> {
    client.ip(&["addr", "add", &format!("{forged}/32"), "dev", "eth0"])?;
    client.inside(|| {
        for source in [CLIENT, forged] {
            let socket = UdpSocket::bind((source, 0))?;
            for port in [53, 123, 443, 9999, 14000] {
                for _ in 0..3 {
                    let _ = socket.send_to(b"past the gateway?", (SERVER, port));
                }
            }
        }
        let socket = UdpSocket::bind("[::]:0")?;
        for port in [53, 443, 9999] {
            let _ = socket.send_to(b"past the gateway?", (SERVER_6, port));
        }
        ping_v4(SERVER)?;
        ping_v6(SERVER_6)
    })?;
    client
        .ip(&["addr", "del", &format!("{forged}/32"), "dev", "eth0"])
        .map(|_| ())
}

/// One datagram to the outside from wherever this is called: the capture's positive control.
pub fn one_datagram(namespace: &Netns) -> Outcome<()> {
    namespace.inside(|| {
        UdpSocket::bind("0.0.0.0:0")?.send_to(b"seen?", (SERVER, 9999))?;
        Ok(())
    })
}

/// An echo request by hand, with a right checksum (RFC 792).
fn ping_v4(to: Ipv4Addr) -> Outcome<()> {
    let raw = SockType::Raw;
    let flags = SockFlag::SOCK_CLOEXEC;
    let made = socket(AddressFamily::Inet, raw, flags, SockProtocol::Icmp)?;
    let echo = [8, 0, 0xf7, 0xfd, 0, 1, 0, 1];
    let octets = to.octets();
    let address = SockaddrIn::new(octets[0], octets[1], octets[2], octets[3], 0);
    let _ = sendto(made.as_raw_fd(), &echo, &address, MsgFlags::empty());
    Ok(())
}

/// The kernel fills in the checksum of ICMPv6 (RFC 3542).
fn ping_v6(to: Ipv6Addr) -> Outcome<()> {
    let raw = SockType::Raw;
    let flags = SockFlag::SOCK_CLOEXEC;
    let made = socket(AddressFamily::Inet6, raw, flags, SockProtocol::IcmpV6)?;
    let address = SockaddrIn6::from(std::net::SocketAddrV6::new(to, 0, 0, 0));
    let _ = sendto(
        made.as_raw_fd(),
        &[128, 0, 0, 0, 0, 1, 0, 1],
        &address,
        MsgFlags::empty(),
    );
    Ok(())
}
