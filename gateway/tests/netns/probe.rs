//! What clients do. Each runs in the namespace of its thread.

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, recv,
    sendto, socket,
};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(3);

/// Refusals have to come faster than this; they take well below a millisecond.
const AT_ONCE: Duration = Duration::from_millis(500);

pub type Found = (ResponseCode, Vec<IpAddr>);

fn query(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(77, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message.to_vec().unwrap()
}

fn found(bytes: &[u8]) -> Found {
    let message = Message::from_vec(bytes).unwrap();
    assert_eq!(message.metadata.id, 77);
    let addresses = message
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(a) => Some(IpAddr::V6(a.0)),
            _ => None,
        });
    (message.metadata.response_code, addresses.collect())
}

/// A connected socket: an answer from another address than the one asked would not arrive.
pub fn dns_udp(server: IpAddr, name: &str, kind: RecordType) -> io::Result<Found> {
    let any = if server.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect((server, 53))?;
    socket.send(&query(name, kind))?;
    let mut buf = [0; 2048];
    let n = socket.recv(&mut buf)?;
    Ok(found(&buf[..n]))
}

pub fn dns_tcp(server: IpAddr, name: &str, kind: RecordType) -> io::Result<Found> {
    let mut stream = TcpStream::connect_timeout(&(server, 53).into(), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let query = query(name, kind);
    let len = u16::try_from(query.len()).unwrap().to_be_bytes();
    // Split on purpose: the length comes byte by byte.
    for part in [&len[..1], &len[1..], &query] {
        stream.write_all(part)?;
    }
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut buf = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut buf)?;
    Ok(found(&buf))
}

/// Sends a request and reads to the end, with a pause before each read.
pub fn fetch(to: SocketAddr, request: &[u8], pause: Duration) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    std::thread::sleep(pause * 10);
    let (mut got, mut buf) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let n = stream.read(&mut buf)?;
        if n == 0 {
            return Ok(got);
        }
        got.extend_from_slice(&buf[..n]);
        std::thread::sleep(pause);
    }
}

/// Sends, half-closes, reads to the end.
pub fn half_close(to: SocketAddr, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(bytes)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut got = Vec::new();
    stream.read_to_end(&mut got)?;
    Ok(got)
}

/// Sends a request, half-closes if `end`, reads to the end.
pub fn ask(to: SocketAddr, request: &[u8], end: bool) -> io::Result<Vec<u8>> {
    if end {
        half_close(to, request)
    } else {
        fetch(to, request, Duration::ZERO)
    }
}

/// Sends a request, reads a little of the answer and leaves: with a reset, or with an end.
pub fn leave(to: SocketAddr, request: &[u8], hard: bool) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    stream.read_exact(&mut [0; 1000])?;
    if hard {
        let linger = nix::libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::Linger, &linger)?;
    } else {
        // All that has come is read, so that closing is no reset of its own.
        stream.shutdown(std::net::Shutdown::Write)?;
    }
    Ok(())
}

/// Connects and waits for what comes; it has to be a refusal or a reset, at once.
pub fn tcp_refused(to: SocketAddr) {
    let start = Instant::now();
    let outcome = TcpStream::connect_timeout(&to, PATIENCE).and_then(|mut stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.read(&mut [0])
    });
    let kind = outcome.map_err(|e| e.kind());
    let refused = [
        io::ErrorKind::ConnectionRefused,
        io::ErrorKind::ConnectionReset,
    ];
    assert!(
        kind.is_err_and(|kind| refused.contains(&kind)),
        "{to}: {kind:?}"
    );
    assert!(start.elapsed() < AT_ONCE, "{to}: {:?}", start.elapsed());
}

/// A datagram has to be answered with an ICMP error, at once.
pub fn udp_refused(to: SocketAddr) {
    let start = Instant::now();
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(to).unwrap();
    socket.send(b"quic?").unwrap();
    let kind = socket.recv(&mut [0; 64]).map_err(|e| e.kind());
    let late = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
    assert!(
        kind.is_err_and(|kind| !late.contains(&kind)),
        "{to}: {kind:?}"
    );
    assert!(start.elapsed() < AT_ONCE, "{to}: {:?}", start.elapsed());
}

/// The ICMP types that come back within half a second after an echo request.
pub fn ping(to: Ipv4Addr) -> Vec<u8> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let raw = socket(
        AddressFamily::Inet,
        SockType::Raw,
        flags,
        SockProtocol::Icmp,
    )
    .unwrap();
    let mut echo = [8, 0, 0, 0, 0, 1, 0, 1];
    let checksum = !(0x0800u16 + 1 + 1);
    echo[2..4].copy_from_slice(&checksum.to_be_bytes());
    let [a, b, c, d] = to.octets();
    let to = SockaddrIn::new(a, b, c, d, 0);
    sendto(raw.as_raw_fd(), &echo, &to, MsgFlags::empty()).unwrap();
    let (start, mut types) = (Instant::now(), Vec::new());
    while start.elapsed() < AT_ONCE && types.is_empty() {
        let mut buf = [0; 256];
        match recv(raw.as_raw_fd(), &mut buf, MsgFlags::empty()) {
            Ok(n) if n > 20 => types.push(buf[20]),
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    types
}

/// Whether a connection comes about within a second.
pub fn connects(to: SocketAddr) -> bool {
    TcpStream::connect_timeout(&to, Duration::from_secs(1)).is_ok()
}

/// Sends one packet with a header of our own making; whether the kernel took it.
fn raw(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, fragment: u16, payload: &[u8]) -> bool {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Inet, SockType::Raw, flags, SockProtocol::Raw).unwrap();
    let len = u16::try_from(20 + payload.len()).unwrap();
    let mut packet = vec![0x45, 0];
    packet.extend(len.to_be_bytes());
    packet.extend([0, 7]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(payload);
    let [a, b, c, d] = to.octets();
    sendto(
        socket.as_raw_fd(),
        &packet,
        &SockaddrIn::new(a, b, c, d, 0),
        MsgFlags::empty(),
    )
    .is_ok()
}

/// Two thousand made-up IPv6 neighbours, each asking for a connection: the refusals need their
/// hardware addresses.
pub fn crowd_of_sources() {
    let flags = SockFlag::SOCK_CLOEXEC;
    let (v6, raw) = (AddressFamily::Inet6, SockProtocol::Raw);
    let raw = socket(v6, SockType::Raw, flags, raw).unwrap();
    let to: Ipv6Addr = "2001:db8::5".parse().unwrap();
    for n in 0..2000u16 {
        let from = Ipv6Addr::new(0xfd77, 1, 0, 0, 0, 0, 7, n);
        let mut segment = [0; 20];
        segment[..4].copy_from_slice(&[0x30, 0x39, 1, 0xbb]);
        segment[12..14].copy_from_slice(&[0x50, 2]);
        let pseudo = [&from.octets()[..], &to.octets(), &[0, 20, 0, 6], &segment].concat();
        let words = pseudo
            .chunks(2)
            .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])));
        let sum: u32 = words.sum();
        let sum = (sum & 0xffff) + (sum >> 16);
        let checksum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
        segment[16..18].copy_from_slice(&checksum.to_be_bytes());
        let head = [0x60, 0, 0, 0, 0, 20, 6, 64];
        let packet = [&head[..], &from.octets(), &to.octets(), &segment].concat();
        let to = SockaddrIn6::from(SocketAddrV6::new(to, 0, 0, 0));
        sendto(raw.as_raw_fd(), &packet, &to, MsgFlags::empty()).unwrap();
    }
}

/// Questions from addresses of the LAN where nobody is.
pub fn dns_of_made_up_sources() {
    let question = query("foo.i2p.", RecordType::A);
    let len = u16::try_from(8 + question.len()).unwrap().to_be_bytes();
    let head = [0x30, 0x39, 0, 53, len[0], len[1], 0, 0];
    let datagram = [&head[..], &question].concat();
    for n in 100..164 {
        let from = Ipv4Addr::new(192, 168, 77, n);
        assert!(raw(from, Ipv4Addr::new(203, 0, 113, 53), 17, 0, &datagram));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// As many questions as can be sent, without looking at answers.
pub fn dns_flood(server: IpAddr, count: usize) {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect((server, 53)).unwrap();
    for n in 0..count {
        let question = query(&format!("n{n}.i2p."), RecordType::A);
        // A full buffer is a part of a flood.
        let _ = socket.send(&question);
    }
}

/// Odd protocols, lone segments, fragments, from true and forged sources; how many were sent.
pub fn odd_packets() -> usize {
    let own = Ipv4Addr::new(192, 168, 77, 10);
    let froms = [
        own,
        Ipv4Addr::new(1, 2, 3, 4),
        Ipv4Addr::new(10, 9, 0, 1),
        own,
    ];
    let tos = [[203, 0, 113, 5], [10, 1, 0, 1], [224, 0, 0, 251]].map(Ipv4Addr::from);
    let mut sent = 0;
    for (from, to) in froms.into_iter().flat_map(|from| tos.map(|to| (from, to))) {
        for flags in [0, 0x01, 0x02, 0x04, 0x10, 0x11, 0x14, 0x29] {
            let mut segment = [0; 20];
            segment[..4].copy_from_slice(&[0x30, 0x39, 1, 0xbb]);
            segment[12..14].copy_from_slice(&[0x50, flags]);
            sent += usize::from(raw(from, to, 6, 0, &segment));
        }
        for protocol in [0, 1, 2, 4, 17, 41, 47, 50, 51, 58, 89, 132, 255] {
            sent += usize::from(raw(from, to, protocol, 0, &[8; 64]));
            sent += usize::from(raw(from, to, protocol, 0x2000, &[8; 64]));
            sent += usize::from(raw(from, to, protocol, 0x0010, &[8; 64]));
        }
    }
    sent
}
