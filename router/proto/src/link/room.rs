//! Who gives way when there are enough links: in all, of one host, of one block of addresses.

use super::conn::{HANDSHAKE, State};
use super::guard::Source;
use super::ntcp2::reason;
use super::{Links, LinksOutput, SocketId};
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
/// A handshake that goes on for this long gives way when there are too many.
const SLOW: Duration = Duration::from_secs(2);

impl Links {
    /// Ends the unfinished handshake that gives the least hope: one that failed, or the oldest that
    /// is slow.
    pub(super) fn end_slowest(&mut self, now: Now) {
        let slow = now.mono + HANDSHAKE - SLOW;
        let hopeless = self.conns.iter().filter_map(|(s, conn)| match conn.state {
            State::Tarpit { .. } => Some((false, conn.timer, *s)),
            State::Answering(_) if conn.timer <= slow => Some((true, conn.timer, *s)),
            _ => None,
        });
        let Some((unfinished, _, s)) = hopeless.min() else {
            return;
        };
        if unfinished {
            self.out.push_back(LinksOutput::Close { socket: s });
            self.answer_failed(s);
        } else {
            self.close(s);
        }
    }

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
