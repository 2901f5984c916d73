//! Watches what leaves a slot and judges every frame: only I2P between the router and its peers.
//!
//! It listens in the line namespace, outside the box, so nothing inside can hide a frame from it.
//! What comes in from the network is counted, not judged.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::fault::{About, Fault, Outcome};
use crate::slot::{LINE_PORT, Slot};

/// `sll_pkttype` of frames on their way out of an interface (linux/if_packet.h).
const PACKET_OUTGOING: u8 = 4;
const HEADERS: usize = 128;
const KEPT: usize = 20;

/// What may leave the box.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The router's published address and port.
    pub own: SocketAddrV4,
    /// Its peers' published addresses.
    pub peers: BTreeSet<SocketAddrV4>,
    /// The next hop of the default route: ARP may ask for it.
    pub next_hop: Ipv4Addr,
    /// Whether it may look for neighbours and routers of IPv6.
    pub discovery: bool,
}

/// What a frame was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Tcp,
    Udp,
    Arp,
    /// Discovery of neighbours or routers.
    Discovery,
    /// Something that may not leave, in words.
    Violation(String),
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub tcp: u64,
    pub udp: u64,
    pub arp: u64,
    pub discovery: u64,
    pub incoming: u64,
    pub violations: u64,
    /// The first few violations.
    pub examples: Vec<String>,
}

impl Seen {
    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Tcp => self.tcp += 1,
            Verdict::Udp => self.udp += 1,
            Verdict::Arp => self.arp += 1,
            Verdict::Discovery => self.discovery += 1,
            Verdict::Violation(text) => {
                self.violations += 1;
                if self.examples.len() < KEPT && !self.examples.contains(&text) {
                    self.examples.push(text);
                }
            }
        }
    }

    /// All frames that left the box.
    pub fn outgoing(&self) -> u64 {
        self.tcp + self.udp + self.arp + self.discovery + self.violations
    }
}

/// A running capture.
pub struct Capture {
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<Outcome<Seen>>>,
    line: String,
    frames_before: u64,
}

impl Capture {
    /// Starts to watch; what leaves from now on is judged.
    pub fn start(slot: &Slot, rules: Rules) -> Outcome<Capture> {
        let (descriptor, index) = slot.line.inside(|| {
            let raw = SockType::Raw;
            let all = SockProtocol::EthAll;
            let made = socket(AddressFamily::Packet, raw, SockFlag::SOCK_CLOEXEC, all);
            Ok((made.about("capture socket")?, if_nametoindex(LINE_PORT)?))
        })?;
        setsockopt(&descriptor, sockopt::RcvBufForce, &(64 << 20))?;
        setsockopt(
            &descriptor,
            sockopt::ReceiveTimeout,
            &TimeVal::milliseconds(50),
        )?;
        let frames_before = frames(slot.line.name())?;
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let worker = thread::spawn(move || {
            let mut seen = Seen::default();
            let mut buffer = [0; HEADERS];
            loop {
                match recvfrom::<LinkAddr>(descriptor.as_raw_fd(), &mut buffer) {
                    Ok((length, Some(from))) if from.ifindex() == index as usize => {
                        if from.pkttype() == PACKET_OUTGOING {
                            seen.incoming += 1;
                        } else {
                            seen.count(judge(&buffer[..length], &rules));
                        }
                    }
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(Errno::EAGAIN) if flag.load(Ordering::SeqCst) => return Ok(seen),
                    Err(Errno::EAGAIN) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        });
        let line = slot.line.name().to_string();
        Ok(Capture {
            stop,
            worker: Some(worker),
            line,
            frames_before,
        })
    }

    /// Ends the capture. A fault if frames passed that it did not see.
    pub fn end(mut self) -> Outcome<Seen> {
        let passed = frames(&self.line)?.saturating_sub(self.frames_before);
        self.stop.store(true, Ordering::SeqCst);
        let worker = self
            .worker
            .take()
            .ok_or_else(|| Fault::new("capture ended twice"))?;
        let seen = worker
            .join()
            .unwrap_or_else(|_| Err(Fault::new("the capture panicked")))?;
        if seen.outgoing() < passed {
            let text = format!("the capture saw {} of {passed} frames", seen.outgoing());
            return Err(Fault::new(text));
        }
        Ok(seen)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// Frames that the box has sent, by the line's own counter.
fn frames(line: &str) -> Outcome<u64> {
    let words = [
        "ip", "-n", line, "-s", "-j", "link", "show", "dev", LINE_PORT,
    ];
    let text = crate::process::run(&words)?;
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| Fault::new(error.to_string()))?;
    let count = json
        .pointer("/0/stats64/rx/packets")
        .and_then(serde_json::Value::as_u64);
    count.ok_or_else(|| Fault::new("the line has no frame counter"))
}

/// Judges one Ethernet frame that leaves the box.
pub fn judge(frame: &[u8], rules: &Rules) -> Verdict {
    let cut = || Verdict::Violation("a frame cut short".to_string());
    let Some((head, body)) = frame.split_at_checked(14) else {
        return cut();
    };
    match head[12..] {
        [0x08, 0x00] => judge_ipv4(body, rules).unwrap_or_else(cut),
        [0x08, 0x06] => judge_arp(body, rules).unwrap_or_else(cut),
        [0x86, 0xdd] => judge_ipv6(body, rules).unwrap_or_else(cut),
        [a, b] => Verdict::Violation(format!("EtherType {a:02x}{b:02x}")),
        _ => cut(),
    }
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(Ipv4Addr::from(octets))
}

fn port(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// ARP for the next hop or a peer, in the router's own name.
fn judge_arp(body: &[u8], rules: &Rules) -> Option<Verdict> {
    let (sender, target) = (address(body, 14)?, address(body, 24)?);
    let known = target == rules.next_hop || rules.peers.iter().any(|peer| *peer.ip() == target);
    if sender == *rules.own.ip() && (known || target == sender) {
        return Some(Verdict::Arp);
    }
    Some(Verdict::Violation(format!(
        "ARP from {sender} for {target}"
    )))
}

/// Neighbour and router solicitations and advertisements of neighbours (RFC 4861), which never pass
/// a router: the hop limit proves it.
fn judge_ipv6(body: &[u8], rules: &Rules) -> Option<Verdict> {
    let (next, hops, kind) = (*body.get(6)?, *body.get(7)?, *body.get(40)?);
    if rules.discovery && next == 58 && hops == 255 && matches!(kind, 133 | 135 | 136) {
        return Some(Verdict::Discovery);
    }
    Some(Verdict::Violation(format!(
        "IPv6, next header {next}, {kind}"
    )))
}

fn judge_ipv4(body: &[u8], rules: &Rules) -> Option<Verdict> {
    let header = usize::from(body.first()? & 15) * 4;
    let protocol = *body.get(9)?;
    let (source, target) = (address(body, 12)?, address(body, 16)?);
    let fragment = u16::from_be_bytes(body.get(6..8)?.try_into().ok()?) & 0x3fff;
    let text = format!("IPv4 protocol {protocol} {source} -> {target}");
    if fragment != 0 || !matches!(protocol, 6 | 17) {
        return Some(Verdict::Violation(text));
    }
    let (from, to) = (port(body, header)?, port(body, header + 2)?);
    let peer = rules.peers.iter().any(|peer| *peer.ip() == target);
    let dialled = rules.peers.contains(&SocketAddrV4::new(target, to));
    let answered = peer && from == rules.own.port();
    if source == *rules.own.ip() && (dialled || answered) {
        return Some(if protocol == 6 {
            Verdict::Tcp
        } else {
            Verdict::Udp
        });
    }
    Some(Verdict::Violation(format!("{text} ports {from} -> {to}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            own: "10.41.0.1:14000".parse().unwrap(),
            peers: BTreeSet::from(["10.31.0.1:14000".parse().unwrap()]),
            next_hop: "10.0.0.1".parse().unwrap(),
            discovery: false,
        }
    }

    fn ipv4(protocol: u8, source: &str, target: &str, from: u16, to: u16) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([8, 0, 0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, protocol, 0, 0]);
        frame.extend(source.parse::<Ipv4Addr>().unwrap().octets());
        frame.extend(target.parse::<Ipv4Addr>().unwrap().octets());
        frame.extend(from.to_be_bytes());
        frame.extend(to.to_be_bytes());
        frame
    }

    fn violates(frame: &[u8]) -> bool {
        matches!(judge(frame, &rules()), Verdict::Violation(_))
    }

    #[test]
    fn i2p_with_peers_passes() {
        let (own, peer) = ("10.41.0.1", "10.31.0.1");
        assert_eq!(
            judge(&ipv4(6, own, peer, 40000, 14000), &rules()),
            Verdict::Tcp
        );
        assert_eq!(
            judge(&ipv4(6, own, peer, 14000, 40000), &rules()),
            Verdict::Tcp
        );
        assert_eq!(
            judge(&ipv4(17, own, peer, 14000, 14000), &rules()),
            Verdict::Udp
        );
    }

    #[test]
    fn everything_else_is_a_violation() {
        let (own, peer) = ("10.41.0.1", "10.31.0.1");
        assert!(
            violates(&ipv4(17, own, peer, 40000, 53)),
            "other port of a peer"
        );
        assert!(
            violates(&ipv4(6, own, "203.0.113.5", 40000, 14000)),
            "not a peer"
        );
        assert!(
            violates(&ipv4(17, own, "203.0.113.5", 14000, 53)),
            "own port to a stranger"
        );
        assert!(
            violates(&ipv4(6, "192.168.77.2", peer, 40000, 14000)),
            "a forwarded client"
        );
        assert!(violates(&ipv4(1, own, peer, 0, 0)), "ICMP");
        let mut fragment = ipv4(17, own, peer, 14000, 14000);
        fragment[14 + 7] = 9;
        assert!(violates(&fragment), "a fragment");
        let mut v6 = ipv4(17, own, peer, 14000, 14000);
        v6[12..14].copy_from_slice(&[0x86, 0xdd]);
        assert!(violates(&v6), "IPv6");
        for cut in [0, 13, 14, 20, 33] {
            assert!(
                violates(&ipv4(6, own, peer, 40000, 14000)[..cut]),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn discovery_only_where_it_may_be() {
        let frame = |next, hops, kind| {
            let mut frame = vec![0; 12];
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, next, hops]);
            frame.extend([0; 32]);
            frame.extend([kind, 0]);
            frame
        };
        let may = Rules {
            discovery: true,
            ..rules()
        };
        assert_eq!(judge(&frame(58, 255, 135), &may), Verdict::Discovery);
        assert!(violates(&frame(58, 255, 135)));
        for (next, hops, kind) in [(58, 64, 135), (58, 255, 128), (17, 255, 135), (0, 1, 58)] {
            let verdict = judge(&frame(next, hops, kind), &may);
            assert!(
                matches!(verdict, Verdict::Violation(_)),
                "{next} {hops} {kind}"
            );
        }
    }

    #[test]
    fn arp_only_for_the_link() {
        let arp = |sender: &str, target: &str| {
            let mut frame = vec![0; 12];
            frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1]);
            frame.extend(sender.parse::<Ipv4Addr>().unwrap().octets());
            frame.extend([0; 6]);
            frame.extend(target.parse::<Ipv4Addr>().unwrap().octets());
            frame
        };
        assert_eq!(
            judge(&arp("10.41.0.1", "10.31.0.1"), &rules()),
            Verdict::Arp
        );
        assert_eq!(judge(&arp("10.41.0.1", "10.0.0.1"), &rules()), Verdict::Arp);
        assert!(violates(&arp("192.168.77.1", "10.31.0.1")));
        assert!(violates(&arp("10.41.0.1", "10.99.0.1")));
    }
}
