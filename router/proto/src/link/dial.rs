//! Outbound: choosing an address, connecting, the initiator's handshake.

use super::conn::{Conn, HANDSHAKE, State};
use super::ntcp2::handshake::initiator::{Draw, Initiator, Target};
use super::ntcp2::handshake::{HandshakeError, Step};
use super::peers::NewLink;
use super::waiting::is_own;
use super::{Dial, Links, LinksOutput, SocketId};
use crate::limits;
use crate::rng::Rng;
use crate::router::input::{LinkDown, LinkEvent};
use crate::router::output::Class;
use crate::time::Now;
use crate::wire::hash::RouterHash;
use crate::wire::router_address::{Ntcp2Address, PORT_MIN};
use crate::wire::router_info::RouterInfo;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

impl Links {
    /// Dials the router unless there is a link or a dial under way.
    pub(super) fn dial(&mut self, now: Now, rng: &mut Rng, info: &RouterInfo) {
        let peer = info.hash();
        let busy = self.peers.contains_key(&peer) || self.dials.contains_key(&peer);
        if busy || peer == self.local.hash {
            return;
        }
        let addresses = info
            .ntcp2_addresses()
            .filter(|a| a.socket.port() >= PORT_MIN && self.dialable(a.socket.ip()));
        let mut addresses: Vec<Ntcp2Address> = addresses.collect();
        addresses.sort_by_key(|a| a.cost);
        addresses.truncate(limits::LINK_DIAL_ADDRESSES);
        addresses.reverse();
        let Some(first) = addresses.pop() else {
            return self.no_link(now, &peer, LinkDown::NoAddress);
        };
        let class = self.waiting.class(now.mono, &peer);
        let taken = !is_own(class) && self.is_host_taken(now, first.socket.ip());
        if taken || !self.has_room_to_dial(now, class) || !self.has_room_for_link(now, rng, class) {
            return self.no_link(now, &peer, LinkDown::NoRoom);
        }
        self.connect(now, peer, class, first, addresses);
    }

    /// Whether one more dial of this class may begin; for our own one of the others' gives way.
    fn has_room_to_dial(&mut self, now: Now, class: Class) -> bool {
        let full = self.dials.len() >= limits::LINK_PENDING_MAX;
        let same = self.dials.values().filter(|d| d.class == class).count();
        match class {
            Class::Transit => !full && same < limits::LINK_DIALS_TRANSIT,
            Class::Answer => !full && same < limits::LINK_DIALS_ANSWERS,
            Class::Own | Class::Control => !full || self.displace_dial(now),
        }
    }

    /// Whether others have us dial this host already, or did in vain a moment ago.
    fn is_host_taken(&self, now: Now, host: IpAddr) -> bool {
        let to_host = |d: &Dial| {
            let remote = self.conns.get(&d.socket).map(|c| c.remote.ip());
            remote == Some(host)
        };
        self.dials.values().any(to_host) || self.waiting.is_host_paused(now.mono, host)
    }

    fn displace_dial(&mut self, now: Now) -> bool {
        let others = self.dials.iter().filter(|(_, d)| !is_own(d.class));
        let first = others.min_by_key(|(_, d)| (d.class, d.socket));
        let Some(peer) = first.map(|(peer, _)| *peer) else {
            return false;
        };
        self.cancel_dial(&peer);
        self.no_link(now, &peer, LinkDown::NoRoom);
        true
    }

    /// Whether there may be one more link. Ours takes the place of the one that was used the
    /// longest ago, one that others want only of one that is idle.
    fn has_room_for_link(&mut self, now: Now, rng: &mut Rng, class: Class) -> bool {
        if self.peers.len() < self.links_max {
            return true;
        }
        // Our own tunnels need their links, however many there are.
        self.evict(now, rng, None, !is_own(class)) || is_own(class)
    }

    fn connect(
        &mut self,
        now: Now,
        peer: RouterHash,
        class: Class,
        address: Ntcp2Address,
        rest: Vec<Ntcp2Address>,
    ) {
        let s = self.new_socket();
        let addr = address.socket;
        let state = State::Connecting {
            peer,
            address,
            rest,
        };
        self.insert(s, Conn::new(now.mono, addr, state));
        self.dials.insert(peer, Dial { socket: s, class });
        self.waiting.dialling(&peer);
        self.out.push_back(LinksOutput::Connect { socket: s, addr });
    }

    pub(super) fn connected(&mut self, now: Now, rng: &mut Rng, s: SocketId) {
        let Some(State::Connecting { peer, address, .. }) = self.conns.get(&s).map(|c| &c.state)
        else {
            return;
        };
        let peer = *peer;
        let target = Target {
            hash: peer,
            static_key: address.static_key,
            iv: address.iv,
        };
        let draw = Draw::new(&self.local, rng);
        let Ok((state, message1)) = Initiator::new(&self.local, &target, now, draw) else {
            self.out.push_back(LinksOutput::Close { socket: s });
            return self.dial_failed(now, s, LinkDown::Handshake);
        };
        if let Some(conn) = self.conns.get_mut(&s) {
            conn.progress = now.mono;
            conn.state = State::Dialling {
                peer,
                state: Some(Box::new(state)),
            };
        }
        self.rearm(s, now.mono + HANDSHAKE);
        self.write(s, message1);
    }

    /// Connecting failed: the next address, if there is one.
    pub(super) fn connect_failed(&mut self, now: Now, s: SocketId) {
        let Some(conn) = self.remove(s) else {
            return;
        };
        let State::Connecting { peer, mut rest, .. } = conn.state else {
            return;
        };
        let class = self.dials.remove(&peer).map_or(Class::Control, |d| d.class);
        self.host_failed(now, conn.remote.ip(), class);
        match rest.pop() {
            Some(next) => self.connect(now, peer, class, next, rest),
            None => {
                self.stats.failed_out += 1;
                self.no_link(now, &peer, LinkDown::Unreachable);
            }
        }
    }

    pub(super) fn read_created(&mut self, now: Now, rng: &mut Rng, s: SocketId, bytes: &[u8]) {
        let Some(conn) = self.conns.get_mut(&s) else {
            return;
        };
        let State::Dialling { peer, state } = &mut conn.state else {
            return;
        };
        let (peer, Some(old)) = (*peer, state.take()) else {
            return;
        };
        match old.read(now, bytes) {
            Ok(Step::Wait(next) | Step::Reply(next, _)) => *state = Some(Box::new(next)),
            Ok(Step::Done(done)) => {
                self.dials.remove(&peer);
                self.write(s, done.message3);
                let link = NewLink {
                    peer,
                    info: None,
                    session: done.session,
                    skew: done.skew,
                };
                self.link_up(now, rng, s, link);
            }
            Err(e) => {
                let mut why = LinkDown::Handshake;
                if let HandshakeError::Skew(secs) = e {
                    why = LinkDown::Clock;
                    self.event(LinkEvent::Skew {
                        from: peer,
                        secs,
                        dialled: true,
                    });
                }
                self.out.push_back(LinksOutput::Close { socket: s });
                self.dial_failed(now, s, why);
            }
        }
    }

    /// The dial on this socket is over without a link.
    pub(super) fn dial_failed(&mut self, now: Now, s: SocketId, why: LinkDown) {
        let Some(conn) = self.remove(s) else {
            return;
        };
        if let State::Connecting { peer, .. } | State::Dialling { peer, .. } = conn.state {
            let class = self.dials.remove(&peer).map_or(Class::Control, |d| d.class);
            self.host_failed(now, conn.remote.ip(), class);
            self.stats.failed_out += 1;
            self.no_link(now, &peer, why);
        }
    }

    /// What we chose to dial says nothing about what others make us dial, and a peer that has just
    /// started is owed its answers.
    fn host_failed(&mut self, now: Now, host: IpAddr, class: Class) {
        if !is_own(class) {
            self.waiting.host_failed(now.mono, host);
        }
    }

    fn no_link(&mut self, now: Now, peer: &RouterHash, why: LinkDown) {
        if why != LinkDown::NoRoom {
            self.waiting.failed(now.mono, *peer);
        }
        self.waiting.forget(peer, &mut self.stats.dropped);
        if !self.peers.contains_key(peer) {
            self.event(LinkEvent::Down { peer: *peer, why });
        }
    }

    fn dialable(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let family = if ip.is_ipv4() { self.ipv4 } else { self.ipv6 };
        family
            && !ip.is_unspecified()
            && !ip.is_multicast()
            && (self.allow_private || is_public(ip))
    }
}

/// Whether the address may belong to a router on the Internet (RFC 6890 and its registry).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let benchmark = a == 198 && (b == 18 || b == 19);
            let protocol = a == 192 && b == 0 && c == 0;
            let reserved = a == 0 || a >= 240;
            let special = v4.is_private() || v4.is_loopback() || v4.is_link_local();
            let unused = v4.is_documentation() || v4 == Ipv4Addr::BROADCAST;
            !(shared || benchmark || protocol || reserved || special || unused)
        }
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.segments();
            let global = a & 0xe000 == 0x2000;
            let documentation = a == 0x2001 && b == 0x0db8;
            global && !documentation && v6 != Ipv6Addr::LOCALHOST
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses() {
        let public = |s: &str| is_public(s.parse().unwrap());
        for ip in ["8.8.8.8", "172.15.0.1", "100.63.0.1", "2a01::1"] {
            assert!(public(ip), "{ip}");
        }
        for ip in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.0.1",
            "100.64.0.1",
            "198.18.0.1",
            "0.1.2.3",
            "250.0.0.1",
            "255.255.255.255",
            "::1",
            "fe80::1",
            "fd00::1",
            "2001:db8::1",
        ] {
            assert!(!public(ip), "{ip}");
        }
    }
}
