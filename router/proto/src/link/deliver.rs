//! Messages through the links: received ones to the shard or the router, others to their link or
//! to what waits for one.

use super::conn::Conn;
use super::ntcp2::established::Received;
use super::{Links, SocketId};
use crate::limits;
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
/// A peer's clock is reported from this difference on.
pub(super) const SKEW_REPORTED: i64 = 10;

impl Links {
    pub(super) fn read_link(&mut self, now: Now, rng: &mut Rng, s: SocketId, bytes: &[u8]) {
        let Some(link) = self.conns.get_mut(&s).and_then(Conn::link) else {
            return;
        };
        let (peer, dialled) = (link.peer, !link.inbound);
        let mut received = Vec::new();
        let fault = link.established.receive(now.mono, bytes, &mut received);
        let mut ended = None;
        for item in received {
            match item {
                Received::I2np(message) => self.deliver(now, rng, peer, message),
                Received::Router { bytes, flood } => self.event(LinkEvent::Router {
                    from: peer,
                    bytes,
                    flood,
                }),
                Received::Clock(secs) => self.clock(now, peer, secs, dialled),
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

    fn clock(&mut self, now: Now, from: RouterHash, secs: u32, dialled: bool) {
        let ours = now.wall.secs_u32_rounded();
        let secs = i64::from(secs.wrapping_sub(ours).cast_signed());
        if secs.abs() >= SKEW_REPORTED {
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
        if let Some(message) = rest {
            self.event(LinkEvent::I2np { from, message });
        }
    }

    /// Carries out what the transit tunnels ask for.
    pub(super) fn drain_shard(&mut self, now: Now) {
        while let Some(output) = self.shard.poll_output() {
            match output {
                ShardOutput::Up { from, message } => {
                    self.event(LinkEvent::I2np { from, message });
                }
                ShardOutput::Send { to, message, .. } => {
                    self.queue(now, to, Class::Transit, message);
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
            self.queue(now, to, class, message);
        }
    }

    fn queue(&mut self, now: Now, to: RouterHash, class: Class, message: Message) {
        let drops = &mut self.stats.dropped;
        if message.body.len() > limits::I2NP_BODY_MAX {
            drops[class as usize] += 1;
            return;
        }
        if let Some(s) = self.peers.get(&to).map(|p| p.current) {
            if let Some(link) = self.conns.get_mut(&s).and_then(Conn::link) {
                link.established.queue.push(now.mono, class, message, drops);
                self.dirty.insert(s);
            }
            return;
        }
        if !self.dials.contains_key(&to) && self.waiting.is_paused(now.mono, &to) {
            drops[class as usize] += 1;
            return;
        }
        let new = self.waiting.push(now.mono, to, class, message, drops);
        if self.dials.contains_key(&to) {
            self.waiting.dialling(&to);
        } else if new {
            self.event(LinkEvent::WantRouter { peer: to });
        }
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
                let Some(frame) = link.established.next_frame(now, rng, drops) else {
                    break;
                };
                self.write(s, frame);
            }
        }
    }
}
