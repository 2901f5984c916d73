//! Ethernet frames by hand, with right lengths and checksums, as no kernel would make them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub type Mac = [u8; 6];

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;

/// Where a frame goes and what it says of its source.
#[derive(Clone, Copy)]
pub struct Path {
    pub from_mac: Mac,
    pub to_mac: Mac,
    pub from: IpAddr,
    pub to: IpAddr,
}

fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2).map(|w| {
        let low = w.get(1).copied().unwrap_or(0);
        u32::from(u16::from_be_bytes([w[0], low]))
    });
    words.sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// Checksum of a segment or datagram with its pseudo-header.
fn checksum(path: &Path, protocol: u8, body: &[u8]) -> u16 {
    let ends = [octets(path.from), octets(path.to)].concat();
    let len = u32::try_from(body.len()).unwrap();
    let zero = fold(sum(&ends) + sum(&len.to_be_bytes()) + u32::from(protocol) + sum(body));
    if zero == 0 { 0xffff } else { zero }
}

impl Path {
    /// The whole frame around a payload; `fragment` and `options` are IPv4's.
    pub fn frame(
        &self,
        protocol: u8,
        ttl: u8,
        fragment: u16,
        options: &[u8],
        body: &[u8],
    ) -> Vec<u8> {
        let ends = [octets(self.from), octets(self.to)].concat();
        let (kind, head) = match self.to {
            IpAddr::V4(_) => {
                let words = u8::try_from(5 + options.len() / 4).unwrap();
                let len = u16::try_from(20 + options.len() + body.len()).unwrap();
                let mut head = vec![0x40 | words, 0];
                head.extend(len.to_be_bytes());
                head.extend([0x12, 0x34]);
                head.extend(fragment.to_be_bytes());
                head.extend([ttl, protocol, 0, 0]);
                head.extend(&ends);
                head.extend(options);
                let check = fold(sum(&head));
                head[10..12].copy_from_slice(&check.to_be_bytes());
                ([8, 0], head)
            }
            IpAddr::V6(_) => {
                let len = u16::try_from(body.len()).unwrap().to_be_bytes();
                let mut head = vec![0x60, 0, 0, 0, len[0], len[1], protocol, ttl];
                head.extend(&ends);
                ([0x86, 0xdd], head)
            }
        };
        [&self.to_mac[..], &self.from_mac, &kind, &head, body].concat()
    }

    pub fn udp(&self, port: u16, payload: &[u8]) -> Vec<u8> {
        let len = u16::try_from(8 + payload.len()).unwrap();
        let mut body = 40_000_u16.to_be_bytes().to_vec();
        body.extend(port.to_be_bytes());
        body.extend(len.to_be_bytes());
        body.extend([0, 0]);
        body.extend(payload);
        let check = checksum(self, UDP, &body);
        body[6..8].copy_from_slice(&check.to_be_bytes());
        self.frame(UDP, 64, 0, &[], &body)
    }

    pub fn tcp(&self, port: u16, flags: u8) -> Vec<u8> {
        let mut body = 40_001_u16.to_be_bytes().to_vec();
        body.extend(port.to_be_bytes());
        body.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        let check = checksum(self, TCP, &body);
        body[16..18].copy_from_slice(&check.to_be_bytes());
        self.frame(TCP, 64, 0, &[], &body)
    }

    /// ICMP or ICMPv6 with type, code and what follows the checksum.
    pub fn icmp(&self, ttl: u8, kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
        let mut body = vec![kind, code, 0, 0];
        body.extend(rest);
        let (protocol, check) = match self.to {
            IpAddr::V4(_) => (1, fold(sum(&body))),
            IpAddr::V6(_) => (58, checksum(self, 58, &body)),
        };
        body[2..4].copy_from_slice(&check.to_be_bytes());
        self.frame(protocol, ttl, 0, &[], &body)
    }
}

/// An ARP question of `from` for `to` (RFC 826).
pub fn arp(from_mac: Mac, from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    let head = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let kind = [8, 6, 0, 1, 8, 0, 6, 4, 0, 1];
    let ends = [&from_mac[..], &from.octets(), &[0; 6], &to.octets()].concat();
    [&head[..], &from_mac, &kind, &ends].concat()
}

/// A neighbour solicitation for `to` (RFC 4861, section 4.3).
pub fn solicitation(from_mac: Mac, from: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = to.octets();
    let group = Ipv6Addr::new(
        0xff02,
        0,
        0,
        0,
        0,
        1,
        u16::from_be_bytes([0xff, a]),
        u16::from_be_bytes([b, c]),
    );
    let path = Path {
        from_mac,
        to_mac: [0x33, 0x33, 0xff, a, b, c],
        from: from.into(),
        to: group.into(),
    };
    let rest = [&[0; 4][..], &to.octets(), &[1, 1], &from_mac].concat();
    path.icmp(255, 135, 0, &rest)
}
