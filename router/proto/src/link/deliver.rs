//! Messages through the links: received ones to the shard or the router, others to their link or
//! to what waits for one.

use super::conn::{Conn, Link, State};
use super::ntcp2::established::Received;
use super::queue::{Drops, SendQueue};
use super::waiting::{Cause, is_own};
use super::{Links, SocketId};
use crate::limits;
use crate::relay::limit::Rate;
use crate::relay::shard::ShardOutput;
use crate::rng::Rng;
use crate::router::input::{LinkDown, LinkEvent};
use crate::router::output::Class;
use crate::time::Now;
use crate::wire::hash::RouterHash;
use crate::wire::i2np::{Message, kind};
use core::time::Duration;

/// How long after its expiration a message is still taken: the clocks may differ that much.
const EXPIRY_GRACE: Duration = Duration::from_secs(60);
/// What each peer may send to the router itself, in messages and kilobytes; the cells of our own
/// tunnels are not counted.
pub(super) const TO_ROUTER: Rate = Rate {
    per_sec: 256,
    burst: 2048,
};
/// A peer's clock is reported this often between handshakes.
const CLOCK_EVERY: Duration = Duration::from_secs(60);
/// A peer's clock is reported from this difference on.
pub(super) const SKEW_REPORTED: i64 = 10;

impl Links {
    pub(super) fn read_link(&mut self, now: Now, rng: &mut Rng, s: SocketId, bytes: &[u8]) {
        let Some(link) = self.conns.get_mut(&s).and_then(Conn::link) else {
            return;
        };
        let peer = link.peer;
        let mut received = Vec::new();
        let fault = link.established.receive(now.mono, bytes, &mut received);
        let mut ended = None;
        for item in received {
            match item {
                Received::I2np(message) => self.deliver(now, rng, peer, message),
                Received::Router { bytes, flood } => {
                    if self.admit_to_router(now, peer, bytes.len()) {
                        let from = peer;
                        self.event(LinkEvent::Router { from, bytes, flood });
                    }
                }
                Received::Clock(secs) => self.clock(now, s, secs),
                Received::Terminated(reason) => ended = Some(reason),
            }
        }
        self.drain_shard(now);
        match (fault, ended) {
            (Err(reason), _) => self.end_broken(now, rng, s, reason),
            (Ok(()), Some(reason)) => {
                self.out.push_back(super::LinksOutput::Close { socket: s });
                self.link_gone(now, rng, s, LinkDown::PeerTerminated(reason));
            }
            (Ok(()), None) => {}
        }
    }

    fn clock(&mut self, now: Now, s: SocketId, secs: u32) {
        let ours = now.wall.secs_u32_rounded();
        let secs = i64::from(secs.wrapping_sub(ours).cast_signed());
        let Some(link) = self.conns.get_mut(&s).and_then(Conn::link) else {
            return;
        };
        let told = |link: &Link| {
            link.clock_told
                .is_some_and(|at| now.mono.since(at) < CLOCK_EVERY)
        };
        if secs.abs() >= SKEW_REPORTED && !told(link) {
            link.clock_told = Some(now.mono);
            let (from, dialled) = (link.peer, !link.inbound);
            self.event(LinkEvent::Skew {
                from,
                secs,
                dialled,
            });
        }
    }

    /// A message that came from `from`, who may be ourselves.
    fn deliver(&mut self, now: Now, rng: &mut Rng, from: RouterHash, message: Message) {
        self.stats.messages_in += 1;
        if message.expires + EXPIRY_GRACE < now.wall {
            self.stats.expired_in += 1;
            return;
        }
        let cell = matches!(message.kind, kind::TUNNEL_DATA | kind::TUNNEL_GATEWAY);
        let rest = if cell {
            self.shard.accept(now, rng, from, message)
        } else {
            Some(message)
        };
        let Some(message) = rest else {
            return;
        };
        if cell || self.admit_to_router(now, from, message.body.len()) {
            self.event(LinkEvent::I2np { from, message });
        }
    }

    /// Whether the router is to look at one more thing of this many bytes that `from` sent: what
    /// it costs there is not paid by the sender, and one link must not fill the queue of all.
    fn admit_to_router(&mut self, now: Now, from: RouterHash, bytes: usize) -> bool {
        let units = 1 + bytes as u64 / 1024;
        let admitted = from == self.local.hash || self.to_router.admit(now, from, units);
        self.stats.flooded += u64::from(!admitted);
        admitted
    }

    /// Carries out what the transit tunnels ask for.
    pub(super) fn drain_shard(&mut self, now: Now) {
        while let Some(output) = self.shard.poll_output() {
            match output {
                ShardOutput::Up { from, message } => {
                    let own = message.kind == kind::TUNNEL_GATEWAY;
                    if own || self.admit_to_router(now, from, message.body.len()) {
                        self.event(LinkEvent::I2np { from, message });
                    }
                }
                ShardOutput::Send { from, to, message } => {
                    let (class, from) = (Class::Transit, Some(from));
                    self.queue(now, to, Cause { class, from }, message);
                }
            }
        }
    }

    /// A message of the router.
    pub(super) fn send(
        &mut self,
        now: Now,
        rng: &mut Rng,
        to: RouterHash,
        class: Class,
        message: Message,
    ) {
        if to == self.local.hash {
            self.deliver(now, rng, to, message);
            self.drain_shard(now);
        } else {
            self.queue(now, to, Cause::of(class), message);
        }
    }

    pub(super) fn queue(&mut self, now: Now, to: RouterHash, cause: Cause, message: Message) {
        let class = cause.class;
        let drops = &mut self.stats.dropped;
        if message.body.len() > limits::I2NP_BODY_MAX {
            drops[class as usize] += 1;
            return;
        }
        if let Some(s) = self.peers.get(&to).map(|p| p.current) {
            if !is_own(class) && !self.has_room_for_others(s) {
                self.stats.dropped[class as usize] += 1;
                return;
            }
            self.with_queue(s, |q, drops| q.push(now.mono, class, message, drops));
            return;
        }
        if !self.dials.contains_key(&to) && self.waiting.is_paused(now.mono, &to, class) {
            drops[class as usize] += 1;
            return;
        }
        let new = self.waiting.push(now, to, cause, message, drops);
        if let Some(dial) = self.dials.get_mut(&to) {
            self.waiting.dialling(&to);
            if is_own(class) && !is_own(dial.class) {
                dial.class = class;
            }
        } else if new {
            self.event(LinkEvent::WantRouter { peer: to, class });
        }
    }

    /// Lets the queue of a link change, and keeps the sum.
    pub(super) fn with_queue(
        &mut self,
        s: SocketId,
        change: impl FnOnce(&mut SendQueue, &mut Drops),
    ) {
        if let Some(link) = self.conns.get_mut(&s).and_then(Conn::link) {
            let queue = &mut link.established.queue;
            let before = queue.bytes();
            change(queue, &mut self.stats.dropped);
            self.queued = self.queued - before + queue.bytes();
            self.dirty.insert(s);
        }
    }

    /// Whether what is not our own may wait on this link: when much waits on all of them, those of
    /// peers that take nothing have had their part.
    fn has_room_for_others(&self, s: SocketId) -> bool {
        let conn = self.conns.get(&s);
        let held = conn.map_or(0, |c| match &c.state {
            State::Open(link) => c.unsent + link.established.queue.bytes(),
            _ => 0,
        });
        self.queued + self.unsent < limits::LINKS_BYTES || held < limits::LINK_BYTES_WHEN_FULL
    }

    /// Seals what the links may send, up to what the shell is to hold for each.
    pub(super) fn flush(&mut self, now: Now, rng: &mut Rng) {
        while let Some(s) = self.dirty.pop_first() {
            while let Some(conn) = self.conns.get_mut(&s) {
                if conn.unsent >= limits::LINK_UNSENT_HIGH {
                    break;
                }
                let drops = &mut self.stats.dropped;
                let Some(link) = conn.link() else {
                    break;
                };
                let before = link.established.queue.bytes();
                let frame = link.established.next_frame(now, rng, drops);
                self.queued = self.queued - before + link.established.queue.bytes();
                let Some(frame) = frame else {
                    break;
                };
                self.write(s, frame);
            }
        }
    }
}
