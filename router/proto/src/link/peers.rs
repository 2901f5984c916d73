//! Peers and their links: up, replaced, promoted, checked by the clock, down; and the
//! responder's handshake that leads here.

use super::conn::{Conn, Link, State};
use super::ntcp2::established::Established;
use super::ntcp2::frame::Session;
use super::ntcp2::handshake::responder::{Around, Draw};
use super::ntcp2::handshake::{HandshakeError, SKEW_MAX, Step};
use super::ntcp2::reason;
use super::{Links, LinksOutput, SocketId};
use crate::rng::Rng;
use crate::router::input::{Direction, LinkDown, LinkEvent};
use crate::time::Now;
use crate::wire::hash::RouterHash;
use crate::wire::router_info::RouterInfo;
use core::time::Duration;
use std::sync::Arc;

/// A link is looked at this often.
const CHECK: Duration = Duration::from_secs(10);
/// A link without use ends after this time; i2pd ends its own after 115 to 125 seconds.
const IDLE: Duration = Duration::from_secs(110);
/// A link that our own tunnels need shows itself this long after the last frame.
const KEEP_ALIVE: Duration = Duration::from_secs(45);
/// A link that takes no bytes for this long is dead.
const STUCK: Duration = Duration::from_secs(30);
/// How long a replaced link lingers: at the side with the lower and with the higher hash.
const LINGER: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(12)];
/// A failed caller is read from for this long, and up to twice as long.
const TARPIT: Duration = Duration::from_secs(4);
/// Up to this many bytes of a failed caller are read.
const TARPIT_BYTES: usize = 2048;

/// The sockets of one peer.
pub struct PeerLinks {
    /// What messages are sent on.
    pub current: SocketId,
    /// What it replaced, for a while.
    pub old: Option<SocketId>,
}

/// A finished handshake of either side.
pub struct NewLink {
    /// The peer.
    pub peer: RouterHash,
    /// The RouterInfo that a caller brought; `None` when we called.
    pub info: Option<Arc<RouterInfo>>,
    /// The data phase.
    pub session: Session,
    /// The peer's clock minus ours.
    pub skew: i64,
}

const fn direction(inbound: bool) -> Direction {
    if inbound {
        Direction::Inbound
    } else {
        Direction::Outbound
    }
}

impl Links {
    pub(super) fn read_caller(&mut self, now: Now, rng: &mut Rng, s: SocketId, bytes: &[u8]) {
        let Some(conn) = self.conns.get_mut(&s) else {
            return;
        };
        let State::Answering(state) = &mut conn.state else {
            return;
        };
        let Some(old) = state.take() else {
            return;
        };
        let mut around = Around {
            local: &self.local,
            replay: &mut self.replay,
            handshakes: &mut self.guard.handshakes,
            remote: conn.remote.ip(),
            now,
        };
        match old.read(&mut around, || Draw::new(rng), bytes) {
            Ok(Step::Wait(next)) => *state = Some(Box::new(next)),
            Ok(Step::Reply(next, message2)) => {
                *state = Some(Box::new(next));
                self.write(s, message2);
            }
            Ok(Step::Done(done)) => match done.info {
                Ok(info) => {
                    let link = NewLink {
                        peer: info.hash(),
                        info: Some(info),
                        session: done.session,
                        skew: done.skew,
                    };
                    self.link_up(now, rng, s, link);
                    self.read_link(now, rng, s, &[]);
                }
                Err(reason) => self.send_away(now, rng, s, done.session, reason),
            },
            Err(HandshakeError::Busy) => {
                self.stats.refused += 1;
                self.close(s);
            }
            Err(_) => {
                self.stats.failed_in += 1;
                let remote = conn.remote.ip();
                self.guard.failed(remote);
                self.enter_tarpit(now, rng, s, None);
            }
        }
    }

    /// The caller proved who he is, but is not acceptable: he is told why.
    fn send_away(&mut self, now: Now, rng: &mut Rng, s: SocketId, session: Session, reason: u8) {
        self.stats.failed_in += 1;
        let frame = Established::new(session, now.mono).terminate(now, rng, reason);
        if let Some(frame) = frame {
            self.write(s, frame);
        }
        if let Some(conn) = self.close(s) {
            self.guard.failed(conn.remote.ip());
        }
    }

    /// The caller went away or was too slow.
    pub(super) fn answer_failed(&mut self, s: SocketId) {
        if let Some(conn) = self.remove(s) {
            self.stats.failed_in += 1;
            self.guard.failed(conn.remote.ip());
        }
    }

    /// Keeps the socket for a random while without an answer. Counts as an unfinished handshake.
    fn enter_tarpit(&mut self, now: Now, rng: &mut Rng, s: SocketId, last: Option<Vec<u8>>) {
        if let Some(conn) = self.conns.get_mut(&s) {
            let left = 1 + rng.below(TARPIT_BYTES);
            conn.state = State::Tarpit { left, last };
            self.rearm(s, now.mono + TARPIT + rng.jitter(TARPIT));
        }
    }

    pub(super) fn read_nothing(&mut self, s: SocketId, n: usize) {
        if let Some(State::Tarpit { left, .. }) = self.conns.get_mut(&s).map(|c| &mut c.state) {
            *left = left.saturating_sub(n);
            if *left == 0 {
                self.leave_tarpit(s);
            }
        }
    }

    pub(super) fn leave_tarpit(&mut self, s: SocketId) {
        if let Some(State::Tarpit { last, .. }) = self.conns.get_mut(&s).map(|c| &mut c.state)
            && let Some(last) = last.take()
        {
            self.write(s, last);
        }
        self.close(s);
    }

    /// The handshake on this socket is done.
    pub(super) fn link_up(&mut self, now: Now, rng: &mut Rng, s: SocketId, new: NewLink) {
        let (peer, inbound) = (new.peer, new.info.is_some());
        let Some(conn) = self.conns.get_mut(&s) else {
            return;
        };
        let ip = conn.remote.ip();
        conn.state = State::Open(Box::new(Link {
            peer,
            inbound,
            established: Established::new(new.session, now.mono),
            clock_told: None,
            lingers: None,
        }));
        if inbound {
            self.guard.done(ip);
            // Before all that may close the link again.
            self.guard.link_up(now.mono, ip);
        }
        if !inbound || new.skew.abs() >= super::deliver::SKEW_REPORTED {
            self.event(LinkEvent::Skew {
                from: peer,
                secs: new.skew,
                dialled: !inbound,
            });
        }
        if new.skew.abs() > SKEW_MAX {
            self.stats.failed_in += 1;
            return self.say_goodbye(now, rng, s, reason::SKEW);
        }
        if inbound && !self.make_room_for_caller(now, rng, &peer, ip) {
            self.stats.refused += 1;
            return self.say_goodbye(now, rng, s, reason::NORMAL);
        }
        if inbound {
            self.cancel_dial(&peer);
            self.replace(now, s, &peer);
        } else if let Some(existing) = self.peers.get(&peer).map(|p| p.current) {
            self.dirty.insert(existing);
            return self.say_goodbye(now, rng, s, reason::NORMAL);
        } else {
            let links = PeerLinks {
                current: s,
                old: None,
            };
            self.peers.insert(peer, links);
        }
        self.event(LinkEvent::Up {
            peer,
            direction: direction(inbound),
            info: new.info,
        });
        for (class, message) in self.waiting.release(&peer) {
            self.with_queue(s, |q, drops| q.push(now.mono, class, message, drops));
        }
        self.dirty.insert(s);
        self.rearm(s, now.mono + CHECK);
    }

    pub(super) fn cancel_dial(&mut self, peer: &RouterHash) {
        if let Some(dial) = self.dials.remove(peer) {
            self.close(dial.socket);
        }
    }

    /// Makes `s` the link of `peer`; the one there was lingers, with its queue moved.
    fn replace(&mut self, now: Now, s: SocketId, peer: &RouterHash) {
        let new = PeerLinks {
            current: s,
            old: None,
        };
        let Some(before) = self.peers.insert(*peer, new) else {
            return;
        };
        if let Some(old) = before.old {
            self.close(old);
        }
        let linger = LINGER[usize::from(self.local.hash > *peer)];
        let until = now.mono + linger;
        if let Some(link) = self.conns.get_mut(&before.current).and_then(Conn::link) {
            link.lingers = Some(until);
            self.rearm(before.current, until);
        }
        self.move_queue(before.current, s);
        if let Some(links) = self.peers.get_mut(peer) {
            links.old = Some(before.current);
        }
        self.event(LinkEvent::Down {
            peer: *peer,
            why: LinkDown::Replaced,
        });
    }

    fn move_queue(&mut self, from: SocketId, to: SocketId) {
        let Some(link) = self.conns.get_mut(&from).and_then(Conn::link) else {
            return;
        };
        let mut queue = core::mem::take(&mut link.established.queue);
        self.queued -= queue.bytes();
        self.with_queue(to, |q, drops| queue.move_to(q, drops));
    }

    /// Writes a termination and closes, without touching the table of peers.
    fn say_goodbye(&mut self, now: Now, rng: &mut Rng, s: SocketId, reason: u8) {
        let frame = self.conns.get_mut(&s).and_then(Conn::link);
        if let Some(frame) = frame.and_then(|l| l.established.terminate(now, rng, reason)) {
            self.write(s, frame);
        }
        self.close(s);
    }

    /// Ends an established link of our own accord.
    pub(super) fn end(&mut self, now: Now, rng: &mut Rng, s: SocketId, reason: u8, why: LinkDown) {
        let frame = self.conns.get_mut(&s).and_then(Conn::link);
        if let Some(frame) = frame.and_then(|l| l.established.terminate(now, rng, reason)) {
            self.write(s, frame);
        }
        self.out.push_back(LinksOutput::Close { socket: s });
        self.link_gone(now, rng, s, why);
    }

    /// Ends a link whose byte stream is broken: no oracle, so the answer comes late.
    pub(super) fn end_broken(&mut self, now: Now, rng: &mut Rng, s: SocketId, reason: u8) {
        let frame = self.conns.get_mut(&s).and_then(Conn::link);
        let frame = frame.and_then(|l| l.established.terminate(now, rng, reason));
        let Some(remote) = self.conns.get(&s).map(|c| c.remote) else {
            return;
        };
        self.link_gone(now, rng, s, LinkDown::Terminated(reason));
        let state = State::Tarpit {
            left: 1,
            last: None,
        };
        self.insert(s, Conn::new(now.mono, remote, state));
        self.guard.resume(now.mono, remote.ip());
        self.enter_tarpit(now, rng, s, frame);
    }

    /// The link on this socket is over: the lingering one takes its place, or the peer is down.
    pub(super) fn link_gone(&mut self, now: Now, _rng: &mut Rng, s: SocketId, why: LinkDown) {
        let Some(State::Open(link)) = self.conns.get(&s).map(|c| &c.state) else {
            return;
        };
        let peer = link.peer;
        let Some(links) = self.peers.get_mut(&peer) else {
            self.remove(s);
            return;
        };
        if links.current != s {
            if links.old == Some(s) {
                links.old = None;
            }
            self.remove(s);
            return;
        }
        let heir = links.old.take();
        if let Some(heir) = heir {
            links.current = heir;
            self.move_queue(s, heir);
        } else {
            self.peers.remove(&peer);
        }
        self.remove(s);
        self.event(LinkEvent::Down { peer, why });
        let Some(link) = heir.and_then(|h| self.conns.get_mut(&h)?.link()) else {
            return;
        };
        link.lingers = None;
        let direction = direction(link.inbound);
        self.event(LinkEvent::Up {
            peer,
            direction,
            info: None,
        });
        if let Some(heir) = heir {
            self.rearm(heir, now.mono + CHECK);
        }
    }

    /// The router wants no link with the peer.
    pub(super) fn close_peer(&mut self, now: Now, rng: &mut Rng, peer: &RouterHash, reason: u8) {
        self.cancel_dial(peer);
        if let Some(links) = self.peers.get_mut(peer) {
            let (current, old) = (links.current, links.old.take());
            if let Some(old) = old {
                self.say_goodbye(now, rng, old, reason);
            }
            self.end(now, rng, current, reason, LinkDown::Terminated(reason));
        }
    }

    /// Whether the peer is the last hop of one of our inbound tunnels.
    fn needed(&self, peer: &RouterHash) -> bool {
        self.own.values().any(|from| from == peer)
    }

    /// The timer of an established link.
    pub(super) fn check_link(&mut self, now: Now, rng: &mut Rng, s: SocketId) {
        let Some(conn) = self.conns.get(&s) else {
            return;
        };
        let State::Open(link) = &conn.state else {
            return;
        };
        if link.lingers.is_some() {
            return self.end(now, rng, s, reason::NORMAL, LinkDown::Replaced);
        }
        let begun = link.established.begun();
        if begun.is_some_and(|at| now.mono.since(at) >= STUCK) {
            let why = LinkDown::Terminated(reason::FRAME_TIMEOUT);
            return self.end(now, rng, s, reason::FRAME_TIMEOUT, why);
        }
        if conn.unsent > 0 && now.mono.since(conn.progress) >= STUCK {
            self.out.push_back(LinksOutput::Close { socket: s });
            return self.link_gone(now, rng, s, LinkDown::Closed);
        }
        let needed = self.needed(&link.peer);
        if !needed && now.mono.since(link.established.used()) >= IDLE {
            return self.end(now, rng, s, reason::IDLE, LinkDown::Idle);
        }
        if needed && now.mono.since(link.established.spoke()) >= KEEP_ALIVE {
            self.keep_alive(now, rng, s);
        }
        self.rearm(s, now.mono + CHECK);
    }

    fn keep_alive(&mut self, now: Now, rng: &mut Rng, s: SocketId) {
        let link = self.conns.get_mut(&s).and_then(Conn::link);
        if let Some(frame) = link.and_then(|l| l.established.keep_alive(now, rng)) {
            self.write(s, frame);
        }
    }
}
