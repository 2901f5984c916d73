//! What leaves the box on the WAN, and whose it is.

use super::world::World;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt,
    socket, sockopt,
};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// The far end of the WAN link, whose own frames are not the box's.
const FAR: [u8; 6] = [2, 0, 0, 0, 2, 2];

/// The box's own address there.
const OWN: [u8; 4] = [10, 9, 0, 1];

/// A frame's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// Address resolution of the box's own address.
    Arp,
    /// Neighbour discovery and the reports that go with it, from addresses without meaning.
    Discovery,
    /// The router's flow: the box's own address and the port that the test lets it use.
    Router,
    /// Nobody's.
    Leak(String),
}

/// Sees every frame at the far end of the WAN.
pub struct Watch(OwnedFd);

impl Watch {
    pub fn new(world: &World) -> Self {
        Self(world.inside("wan", packets))
    }

    /// What came since the last call.
    pub fn owners(&self) -> Vec<Owner> {
        std::thread::sleep(Duration::from_millis(30));
        let (mut found, mut buf) = (Vec::new(), [0; 4096]);
        while let Ok(n) = recv(self.0.as_raw_fd(), &mut buf, MsgFlags::empty()) {
            let frame = &buf[..n];
            if frame.get(6..12) != Some(&FAR) {
                found.push(owner(frame));
            }
        }
        found
    }

    /// What nobody owns of that.
    pub fn leaks(&self) -> Vec<String> {
        let owners = self.owners().into_iter();
        owners
            .filter_map(|owner| match owner {
                Owner::Leak(what) => Some(what),
                _ => None,
            })
            .collect()
    }
}

fn packets() -> OwnedFd {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let all = SockProtocol::EthAll;
    let fd = socket(AddressFamily::Packet, SockType::Raw, flags, all).unwrap();
    setsockopt(&fd, sockopt::RcvBufForce, &(16 << 20)).unwrap();
    fd
}

fn owner(frame: &[u8]) -> Owner {
    let at = |range: std::ops::Range<usize>| frame.get(range).unwrap_or_default();
    let leak = || Owner::Leak(frame.iter().take(60).map(|b| format!("{b:02x}")).collect());
    match at(12..14) {
        // The sender's address is the box's own, or none yet.
        [8, 6] if at(28..32) == OWN || at(28..32) == [0; 4] => Owner::Arp,
        [8, 0] if at(26..30) == OWN && at(23..24) == [6] && at(36..38) == [0, 7] => Owner::Router,
        [0x86, 0xdd] => {
            let local = at(22..24) == [0xfe, 0x80] || at(22..38) == [0; 16];
            let kind = match at(20..21) {
                [58] => at(54..55),
                // A hop-by-hop header, as reports of groups have.
                [0] => at(62..63),
                _ => &[],
            };
            match kind {
                [133 | 135 | 136 | 143] if local => Owner::Discovery,
                _ => leak(),
            }
        }
        _ => leak(),
    }
}

/// Sends frames as they are.
pub struct Sender {
    fd: OwnedFd,
    link: LinkAddr,
}

impl Sender {
    pub fn new(world: &World, side: &str, interface: &str) -> Self {
        world.inside(side, || {
            let mut all = getifaddrs().unwrap();
            let link = all.find_map(|i| {
                let here = i.interface_name == interface;
                i.address.filter(|_| here)?.as_link_addr().copied()
            });
            Self {
                fd: packets(),
                link: link.unwrap(),
            }
        })
    }

    pub fn mac(&self) -> [u8; 6] {
        self.link.addr().unwrap()
    }

    /// How many were sent: a full queue loses some, a link that is down all.
    pub fn send(&self, frames: &[Vec<u8>]) -> usize {
        let fd = self.fd.as_raw_fd();
        let sent = |frame: &&Vec<u8>| sendto(fd, frame, &self.link, MsgFlags::empty()).is_ok();
        frames.iter().filter(sent).count()
    }
}
