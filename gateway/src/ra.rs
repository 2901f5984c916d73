//! Router advertisements (RFC 4861, 4191, 8106): a prefix to make addresses of, the way to the
//! virtual range, the resolver. Pure up to [`serve`], which has the socket.
//!
//! The router lifetime is above 0 although nothing lies behind the gateway: with their default
//! settings many systems take no route but the default one, and the virtual range has to be
//! reached.

use crate::counters::{Count, Counters};
use crate::dhcp4::serve::Watch;
use ipnet::Ipv6Net;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::Instant;

const SOLICITATION: u8 = 133;
const ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// Time between advertisements that nobody asked for.
const INTERVAL: Duration = Duration::from_secs(200);

/// Time to the next try of one that could not be sent.
const SOON: Duration = Duration::from_millis(500);

/// Least time between two (RFC 4861, section 10: `MIN_DELAY_BETWEEN_RAS`).
const PAUSE: Duration = Duration::from_secs(3);

/// How long what is advertised holds, seconds: nine intervals.
const LIFETIME: u16 = 1800;

/// How long addresses of the prefix hold, seconds: preferred, and at all.
const PREFERRED: u32 = 14_400;
const VALID: u32 = 86_400;

/// Everybody on the link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// What is advertised.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// The gateway's address with the prefix of the LAN, a /64.
    pub own: Ipv6Net,
    /// The virtual /48.
    pub virtual6: [u8; 6],
    /// The gateway's MAC.
    pub mac: [u8; 6],
}

/// An advertisement; at the end of service the gateway says that it is no router any more. The
/// kernel fills in the checksum.
#[must_use]
pub fn advertisement(facts: &Facts, ends: bool) -> Vec<u8> {
    let lifetime = if ends { 0 } else { LIFETIME };
    let long = u32::from(lifetime);
    // Hop limit 64; the "other configuration" flag: DHCPv6 has the resolver, too.
    let mut out = vec![ADVERTISEMENT, 0, 0, 0, 64, 0x40];
    out.extend(lifetime.to_be_bytes());
    out.extend([0; 8]);
    // Source link-layer address.
    out.extend([1, 1]);
    out.extend(facts.mac);
    // Prefix: on the link, for addresses of one's own making.
    out.extend([3, 4, 64, 0xc0]);
    out.extend(VALID.to_be_bytes());
    out.extend(if ends { 0 } else { PREFERRED }.to_be_bytes());
    out.extend([0; 4]);
    out.extend(Ipv6Addr::from(u128::from(facts.own.addr()) >> 64 << 64).octets());
    // Route to the virtual range, medium preference.
    out.extend([24, 2, 48, 0]);
    out.extend(long.to_be_bytes());
    out.extend(facts.virtual6);
    out.extend([0; 2]);
    // Resolver.
    out.extend([25, 3, 0, 0]);
    out.extend(long.to_be_bytes());
    out.extend(facts.own.addr().octets());
    out
}

/// What a message of a neighbour asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// An advertisement of the router.
    Router,
    /// Whose MAC an address is.
    Neighbour(Ipv6Addr),
    /// Nothing.
    Nothing,
}

fn asked(bytes: &[u8]) -> Asked {
    match bytes {
        [SOLICITATION, 0, _, _, _, _, _, _, ..] => Asked::Router,
        [NEIGHBOUR_SOLICITATION, 0, _, _, _, _, _, _, rest @ ..] => match rest.first_chunk() {
            Some(target) => Asked::Neighbour(Ipv6Addr::from(*target)),
            None => Asked::Nothing,
        },
        _ => Asked::Nothing,
    }
}

/// An answer that says "router": the kernel's own do not while it forwards nothing, and would make
/// clients forget their default route (RFC 4861, section 7.2.5).
fn neighbour(target: Ipv6Addr, solicited: bool, mac: [u8; 6]) -> Vec<u8> {
    let flags = if solicited { 0xe0 } else { 0xa0 };
    let mut out = vec![NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0];
    out.extend(target.octets());
    // Target link-layer address.
    out.extend([2, 1]);
    out.extend(mac);
    out
}

/// The raw socket, bound to the LAN; sends with a hop limit of 255.
pub struct Socket {
    socket: UdpSocket,
    interface: String,
    index: u32,
}

impl Socket {
    /// `socket` receives ICMPv6; its type is that of all sockets without connections.
    ///
    /// # Errors
    /// The runtime cannot watch it.
    pub fn new(socket: std::net::UdpSocket, interface: &str) -> io::Result<Self> {
        let index = nix::net::if_::if_nametoindex(interface)?;
        let socket = UdpSocket::from_std(socket)?;
        Ok(Self {
            socket,
            interface: interface.to_owned(),
            index,
        })
    }

    async fn recv(&self, buf: &mut [u8]) -> io::Result<(usize, Ipv6Addr)> {
        let (n, from) = self.socket.recv_from(buf).await?;
        match from.ip() {
            IpAddr::V6(from) => Ok((n, from)),
            IpAddr::V4(_) => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Whether an address is the interface's, as its link-local one is.
    fn is_own(&self, address: Ipv6Addr) -> bool {
        let Ok(all) = nix::ifaddrs::getifaddrs() else {
            return false;
        };
        let here = all.filter(|i| i.interface_name == self.interface);
        let mut addresses = here.filter_map(|i| i.address?.as_sockaddr_in6().map(|a| a.ip()));
        addresses.any(|own| own == address)
    }

    /// Whether it was sent. Right after the link came up it has no address to send from; what is
    /// lost later is asked for again.
    fn send(&self, bytes: &[u8], to: Ipv6Addr) -> bool {
        let to = SocketAddrV6::new(to, 0, 0, self.index);
        self.socket.try_send_to(bytes, to.into()).is_ok()
    }
}

/// The MAC of an interface.
#[must_use]
pub fn mac(interface: &str) -> Option<[u8; 6]> {
    let all = nix::ifaddrs::getifaddrs().ok()?;
    let mut here = all.filter(|i| i.interface_name == interface);
    here.find_map(|i| i.address?.as_link_addr()?.addr())
}

/// Advertises and answers until the socket fails; a last advertisement when `end` comes.
pub async fn serve(
    socket: Socket,
    facts: Facts,
    counters: Rc<Counters>,
    watch: Rc<dyn Watch>,
    end: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut buf = [0; 1500];
    let mut end = std::pin::pin!(end);
    let (mut next, mut last) = (Instant::now(), None::<Instant>);
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(next) => {
                let due = watch.may_serve();
                if due && !socket.send(&advertisement(&facts, false), ALL_NODES) {
                    next = Instant::now() + SOON;
                    continue;
                }
                if due {
                    counters.add(Count::RouterAdvertisements);
                }
                last = Some(Instant::now());
                next = Instant::now() + INTERVAL;
            }
            () = &mut end => {
                socket.send(&advertisement(&facts, true), ALL_NODES);
                return Ok(());
            }
            got = socket.recv(&mut buf) => {
                let (n, from) = match got {
                    Ok(got) => got,
                    Err(e) if crate::dns::is_transient(&e) => continue,
                    Err(e) => return Err(e),
                };
                match asked(buf.get(..n).unwrap_or_default()) {
                    Asked::Router => {
                        let soonest = last.map_or_else(Instant::now, |last| last + PAUSE);
                        next = next.min(soonest);
                    }
                    Asked::Neighbour(target) => answer(&socket, &facts, target, from),
                    Asked::Nothing => {}
                }
            }
        }
    }
}

/// Tells a neighbour about the gateway's own addresses.
fn answer(socket: &Socket, facts: &Facts, target: Ipv6Addr, from: Ipv6Addr) {
    if target != facts.own.addr() && !socket.is_own(target) {
        return;
    }
    if from.is_unspecified() {
        socket.send(&neighbour(target, false, facts.mac), ALL_NODES);
    } else {
        socket.send(&neighbour(target, true, facts.mac), from);
    }
}

#[cfg(test)]
mod tests;
