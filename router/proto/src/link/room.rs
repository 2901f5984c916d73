//! Who gives way when there are enough links: in all, of one host, of one block of addresses.

use super::conn::State;
use super::guard::Source;
use super::ntcp2::reason;
use super::{Links, SocketId};
use crate::rng::Rng;
use crate::router::input::LinkDown;
use crate::time::Now;
use crate::wire::hash::RouterHash;
use core::time::Duration;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// A link that carried no message for this long, and that our own tunnels do not need, gives way to
/// a new one.
const GIVES_WAY: Duration = Duration::from_secs(15);
impl Links {
    /// Whether a caller from here could get a link now.
    pub(super) fn may_become_link(&self, now: Now, ip: IpAddr) -> bool {
        let crowded = self.guard.crowded(ip);
        crowded.is_none_or(|of| self.victim(now, Some(of), true).is_some())
            && (self.peers.len() < self.links_max || self.victim(now, None, true).is_some())
    }

    /// Idle links give way to a caller who came through the handshake; `false` when there are too
    /// few of them. One who has a link already takes the place of that one.
    pub(super) fn make_room_for_caller(
        &mut self,
        now: Now,
        rng: &mut Rng,
        peer: &RouterHash,
        ip: IpAddr,
    ) -> bool {
        if self.peers.contains_key(peer) {
            return true;
        }
        while let Some(of) = self.guard.over(ip) {
            if !self.evict(now, rng, Some(of), true) {
                return false;
            }
        }
        self.peers.len() < self.links_max || self.evict(now, rng, None, true)
    }

    /// Ends the link that carried its last message the longest ago, unless our own tunnels need it;
    /// `idle`: only one that has been at rest for a while.
    pub(super) fn evict(
        &mut self,
        now: Now,
        rng: &mut Rng,
        of: Option<Source>,
        idle: bool,
    ) -> bool {
        let Some(s) = self.victim(now, of, idle) else {
            return false;
        };
        let why = LinkDown::Terminated(reason::NORMAL);
        self.end(now, rng, s, reason::NORMAL, why);
        true
    }

    fn victim(&self, now: Now, of: Option<Source>, idle: bool) -> Option<SocketId> {
        let needed: BTreeSet<&RouterHash> = self.own.values().collect();
        let links = self.peers.iter().filter(|(peer, _)| !needed.contains(peer));
        let ages = links.filter_map(|(_, links)| {
            let s = links.current;
            let conn = self.conns.get(&s)?;
            let State::Open(link) = &conn.state else {
                return None;
            };
            let inside = of.is_none_or(|of| link.inbound && of.contains(conn.remote.ip()));
            let carried = link.established.carried();
            let rests = !idle || now.mono.since(carried) >= GIVES_WAY;
            (inside && rests).then_some((carried, s))
        });
        ages.min().map(|(_, s)| s)
    }
}
