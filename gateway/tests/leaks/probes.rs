//! What a LAN client can send, by threat.

use super::frames::{Mac, Path};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A threat and the frames that try it.
pub struct Probe {
    /// Number in the list of threats.
    pub threat: &'static str,
    pub what: &'static str,
    pub frames: Vec<Vec<u8>>,
}

/// The ends of the LAN link.
#[derive(Clone, Copy)]
pub struct Link {
    pub client: Mac,
    pub gateway: Mac,
}

const CLIENT4: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 10);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0xfd77, 1, 0, 0, 0, 0, 0, 0x10);

/// A server of the Internet, the next hop, and a modem beyond it.
fn outside() -> [IpAddr; 6] {
    [
        "203.0.113.7",
        "10.1.0.1",
        "192.168.100.1",
        "2001:db8::7",
        "2001:db8:1::1",
        "fd00:dead::1",
    ]
    .map(|a| a.parse().unwrap())
}

fn client(to: IpAddr) -> IpAddr {
    match to {
        IpAddr::V4(_) => CLIENT4.into(),
        IpAddr::V6(_) => CLIENT6.into(),
    }
}

impl Link {
    fn to(self, to: IpAddr) -> Path {
        self.from(client(to), to)
    }

    fn from(self, from: IpAddr, to: IpAddr) -> Path {
        Path {
            from_mac: self.client,
            to_mac: self.gateway,
            from,
            to,
        }
    }

    fn all(self, f: impl Fn(Path) -> Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        outside()
            .into_iter()
            .flat_map(|to| f(self.to(to)))
            .collect()
    }
}

/// A question for www.example.org.
const QUESTION: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03org\0\0\x01\0\x01";

/// Everything, once.
pub fn all(link: Link) -> Vec<Probe> {
    let probe = |threat, what, frames| Probe {
        threat,
        what,
        frames,
    };
    vec![
        probe(
            "1",
            "DNS to a resolver of the Internet",
            link.all(|p| vec![p.udp(53, QUESTION), p.tcp(53, 2)]),
        ),
        probe(
            "2",
            "DoT, DoH, DoQ",
            link.all(|p| {
                vec![
                    p.tcp(853, 2),
                    p.tcp(443, 2),
                    p.udp(853, QUESTION),
                    p.udp(443, QUESTION),
                ]
            }),
        ),
        probe("4", "ICMP and ICMPv6", link.all(icmp)),
        probe(
            "5",
            "stray TCP",
            link.all(|p| {
                [0, 1, 4, 0x10, 0x11, 0x14, 0x29, 0x12, 0x18, 2]
                    .map(|flags| p.tcp(443, flags))
                    .to_vec()
            }),
        ),
        probe(
            "6",
            "UDP of time, QUIC, STUN, games",
            link.all(|p| {
                [123, 443, 3478, 5004, 27_015]
                    .map(|port| p.udp(port, b"past?"))
                    .to_vec()
            }),
        ),
        probe(
            "7",
            "other protocols, fragments, source routes",
            link.all(odd),
        ),
        probe("8", "multicast and broadcast", multicast(link)),
        probe("9", "sources of others", foreign(link)),
        probe("26", "guessed virtual addresses", guessed(link)),
        probe(
            "35",
            "port mapping (NAT-PMP, PCP, UPnP)",
            link.all(|p| {
                vec![
                    p.udp(5351, &[0, 0]),
                    p.udp(1900, b"M-SEARCH * HTTP/1.1\r\n\r\n"),
                ]
            }),
        ),
        probe("+8", "a modem's address to a virtual one", modem(link)),
        probe(
            "+3",
            "router advertisement and redirect of a client",
            lies(link),
        ),
    ]
}

fn icmp(p: Path) -> Vec<Vec<u8>> {
    let inner = p.udp(53, b"inner");
    let quoted = [&[0; 4][..], &inner[14..]].concat();
    let echo = [0, 1, 0, 1, 7, 7, 7, 7];
    match p.to {
        IpAddr::V4(_) => vec![
            p.icmp(64, 8, 0, &echo),
            p.icmp(1, 8, 0, &echo),
            p.icmp(64, 13, 0, &[0; 16]),
            p.icmp(64, 3, 1, &quoted),
            p.icmp(64, 11, 0, &quoted),
            p.icmp(64, 0, 0, &echo),
        ],
        IpAddr::V6(_) => vec![
            p.icmp(64, 128, 0, &echo),
            p.icmp(1, 128, 0, &echo),
            p.icmp(64, 1, 0, &quoted),
            p.icmp(64, 2, 0, &quoted),
            p.icmp(64, 129, 0, &echo),
        ],
    }
}

fn odd(p: Path) -> Vec<Vec<u8>> {
    let body = [8; 64];
    let protocols = [0, 2, 4, 33, 41, 47, 50, 51, 60, 89, 103, 115, 132, 136, 255];
    let mut all: Vec<_> = protocols
        .iter()
        .map(|protocol| p.frame(*protocol, 64, 0, &[], &body))
        .collect();
    if p.to.is_ipv4() {
        for protocol in [1, 6, 17] {
            all.push(p.frame(protocol, 64, 0x2000, &[], &body));
            all.push(p.frame(protocol, 64, 0x0010, &[], &body));
        }
        // Loose and strict source routes by way of the gateway.
        for kind in [131, 137] {
            all.push(p.frame(17, 64, 0, &[kind, 7, 4, 192, 168, 77, 1, 0], &body));
        }
    } else {
        // Routing and fragment headers before a datagram.
        let inner = p.udp(53, b"past?");
        let inner = &inner[54..];
        all.push(p.frame(
            44,
            64,
            0,
            &[],
            &[&[17, 0, 0, 1, 0, 0, 0, 9][..], inner].concat(),
        ));
        all.push(p.frame(
            43,
            64,
            0,
            &[],
            &[&[17, 0, 0, 0, 0, 0, 0, 0][..], inner].concat(),
        ));
    }
    all
}

fn multicast(link: Link) -> Vec<Vec<u8>> {
    let groups = [
        "224.0.0.251",
        "239.255.255.250",
        "224.0.0.252",
        "255.255.255.255",
        "192.168.77.255",
        "224.0.0.22",
        "ff02::fb",
        "ff02::c",
        "ff05::c",
        "ff0e::1",
    ];
    let all = groups.map(|a| a.parse::<IpAddr>().unwrap());
    let ports = [5353, 1900, 5355, 137, 138];
    all.into_iter()
        .flat_map(|to| {
            let broad = Path {
                to_mac: [0xff; 6],
                ..link.to(to)
            };
            let mut frames: Vec<_> = ports.iter().map(|port| broad.udp(*port, b"who?")).collect();
            frames.extend(ports.iter().map(|port| link.to(to).udp(*port, b"who?")));
            frames.push(broad.frame(2, 1, 0, &[], &[0x16, 0, 0, 0, 0, 0, 0, 0]));
            frames
        })
        .collect()
}

/// Forged sources, among them the WAN's own address and those of its neighbours.
fn foreign(link: Link) -> Vec<Vec<u8>> {
    let sources = [
        "1.2.3.4",
        "10.9.0.1",
        "10.1.0.1",
        "192.168.77.1",
        "192.168.78.5",
        "198.18.0.9",
        "127.0.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "2001:db8::99",
        "::1",
        "fd77:1::1",
        "fc00::5",
        "ff02::1",
    ];
    let mut frames = Vec::new();
    for from in sources.map(|a| a.parse::<IpAddr>().unwrap()) {
        for to in outside()
            .into_iter()
            .filter(|to| to.is_ipv4() == from.is_ipv4())
        {
            let p = link.from(from, to);
            frames.extend([
                p.tcp(443, 2),
                p.tcp(443, 0x11),
                p.udp(443, b"past?"),
                p.udp(53, QUESTION),
            ]);
        }
    }
    frames
}

fn guessed(link: Link) -> Vec<Vec<u8>> {
    (1..60)
        .map(|n| link.to(Ipv4Addr::new(198, 18, n, n).into()).tcp(80, 2))
        .collect()
}

fn modem(link: Link) -> Vec<Vec<u8>> {
    let to = Ipv4Addr::new(198, 18, 7, 7);
    ["10.1.0.1", "192.168.100.1", "10.9.0.1"]
        .map(|from| link.from(from.parse().unwrap(), to.into()).tcp(80, 2))
        .to_vec()
}

/// What would make the box take a client for a router.
fn lies(link: Link) -> Vec<Vec<u8>> {
    let local: Ipv6Addr = "fe80::bad".parse().unwrap();
    let nodes: Ipv6Addr = "ff02::1".parse().unwrap();
    let p = Path {
        from_mac: link.client,
        to_mac: [0x33, 0x33, 0, 0, 0, 1],
        from: local.into(),
        to: nodes.into(),
    };
    let prefix = [
        &[3, 4, 64, 0xc0][..],
        &[0xff; 8],
        &[0; 4],
        &[0x20, 1, 0xd, 0xb8, 0, 9, 0, 0],
        &[0; 8],
    ]
    .concat();
    let advertisement = [&[64, 0, 7, 8][..], &[0; 8], &prefix].concat();
    let target: Ipv6Addr = "2001:db8::7".parse().unwrap();
    let redirect6 = [&[0; 4][..], &local.octets(), &target.octets()].concat();
    let own6: Ipv6Addr = "fd77:1::1".parse().unwrap();
    let to_box = link.from(local.into(), own6.into());
    let own4 = Ipv4Addr::new(192, 168, 77, 1);
    let to_box4 = link.to(own4.into());
    let inner = link
        .from(own4.into(), Ipv4Addr::new(203, 0, 113, 7).into())
        .udp(53, b"x");
    let redirect4 = [&CLIENT4.octets()[..], &inner[14..]].concat();
    vec![
        p.icmp(255, 134, 0, &advertisement),
        to_box.icmp(255, 137, 0, &redirect6),
        to_box4.icmp(64, 5, 1, &redirect4),
    ]
}
