//! Streaming: reliable byte streams over datagrams (i2p spec/streaming, i2p docs/api/streaming).
//!
//! [`Streams`] holds all streams of one local destination, both those it opens and those it
//! accepts. It speaks packets, not paths: what it gives out by [`Streams::poll_transmit`] still
//! needs the [`crate::dest::demux::Envelope`], the ratchet session and the tunnels.

mod arrivals;
mod config;
mod connection;
mod event;
mod listener;
mod packet;
mod peer;
mod recv;
mod register;
mod repeats;
mod rtt;
mod send;
mod share;
mod strays;
mod turn;
mod window;
mod withhold;

pub use config::StreamConfig;
pub use event::{Ends, ResetWhy, StreamError, StreamEvent, StreamId, StreamStats, Transmit};

use crate::crypto::sig::SigningKey;
use crate::limits::STREAMS_MAX;
use crate::rng::Rng;
use crate::time::{Instant, Now};
use crate::wire::hash::DestHash;
use crate::wire::identity::Destination;
use connection::{Connection, Local, Names, Silence};
use core::time::Duration;
use listener::{Early, Ended, Gate};
use peer::Peer;
use register::Memory;
use share::Share;
use std::collections::{BTreeMap, BTreeSet};
use strays::Strays;
use turn::Turn;

/// All streams of one local destination. Drained with [`Streams::poll_transmit`] and
/// [`Streams::poll_event`] after every call that takes `now`.
pub struct Streams {
    local: Local,
    ports: BTreeSet<u16>,
    streams: BTreeMap<StreamId, Connection>,
    next_id: u64,
    by_local: BTreeMap<u32, StreamId>,
    by_remote: BTreeMap<(DestHash, u32), StreamId>,
    peers: BTreeMap<DestHash, Peer>,
    timers: BTreeSet<(Instant, StreamId)>,
    timer_of: BTreeMap<StreamId, Instant>,
    to_send: Turn,
    to_tell: Turn,
    paths: BTreeMap<DestHash, Path>,
    memory: BTreeMap<DestHash, Memory>,
    gate: Gate,
    early: Early,
    ended: Ended,
    strays: Strays,
    share: Share,
    stats: StreamStats,
}

/// What happened on the way to a peer since it was last told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Path {
    Works,
    Unanswered,
    Stalled,
}

impl Streams {
    /// No streams of this destination, whose signing key is `key`.
    #[must_use]
    pub fn new(config: StreamConfig, destination: Destination, key: SigningKey) -> Self {
        let hash = destination.hash();
        Self {
            local: Local {
                config,
                destination,
                hash,
                key,
            },
            ports: BTreeSet::new(),
            streams: BTreeMap::new(),
            next_id: 1,
            by_local: BTreeMap::new(),
            by_remote: BTreeMap::new(),
            peers: BTreeMap::new(),
            timers: BTreeSet::new(),
            timer_of: BTreeMap::new(),
            to_send: Turn::default(),
            to_tell: Turn::default(),
            paths: BTreeMap::new(),
            memory: BTreeMap::new(),
            gate: Gate::new(),
            early: Early::default(),
            ended: Ended::default(),
            strays: Strays::default(),
            share: Share::default(),
            stats: StreamStats::default(),
        }
    }

    /// Accepts streams to a port; 0 accepts those to any port.
    pub fn listen(&mut self, port: u16) {
        self.ports.insert(port);
    }

    /// Accepts no more streams to the port; those that exist go on.
    pub fn unlisten(&mut self, port: u16) {
        self.ports.remove(&port);
    }

    /// Opens a stream. The SYN waits [`StreamConfig::syn_hold`] for the first
    /// [`Streams::write`], whose bytes it then carries.
    ///
    /// # Errors
    /// There are too many streams.
    pub fn connect(
        &mut self,
        now: Now,
        rng: &mut Rng,
        to: DestHash,
        port: u16,
    ) -> Result<StreamId, StreamError> {
        if self.is_full() {
            return Err(StreamError::TooMany);
        }
        let names = Names {
            id: StreamId(self.next_id),
            peer: to,
            from_port: 0,
            to_port: port,
            local: self.free_id(rng),
            remote: 0,
            incoming: false,
        };
        let memory = self.remember(now.mono, &to);
        let mut stream = Connection::new(now.mono, &self.local, names, memory);
        stream.set_share(now.mono, self.share.level);
        self.insert(stream);
        self.touch(names.id);
        Ok(names.id)
    }

    /// Hands bytes over for sending; says how many were taken, which is fewer when the send
    /// buffer is full and none after [`Streams::finish`].
    pub fn write(&mut self, now: Now, id: StreamId, data: &[u8]) -> usize {
        let n = self
            .streams
            .get_mut(&id)
            .map_or(0, |s| s.write(now.mono, data));
        self.touch(id);
        n
    }

    /// The application is done with `n` bytes of [`StreamEvent::Data`].
    pub fn consume(&mut self, now: Now, id: StreamId, n: usize) {
        if let Some(s) = self.streams.get_mut(&id) {
            s.consume(now.mono, n);
        }
        self.touch(id);
    }

    /// Nothing more will be written. On a stream that we opened CLOSE is said when the peer has
    /// closed too or both directions have been idle for [`StreamConfig::close_idle`], because
    /// i2pd takes it for the end of both directions; on an incoming one as soon as everything
    /// is sent.
    pub fn finish(&mut self, now: Now, id: StreamId) {
        if let Some(s) = self.streams.get_mut(&id) {
            s.finish(now.mono);
        }
        self.touch(id);
    }

    /// The exchange is complete: CLOSE is said as soon as everything written is sent, and what
    /// still comes is thrown away.
    pub fn close(&mut self, now: Now, id: StreamId) {
        if let Some(s) = self.streams.get_mut(&id) {
            s.close(now.mono);
        }
        self.touch(id);
    }

    /// Ends the stream at once and tells the peer.
    pub fn reset(&mut self, _now: Now, _rng: &mut Rng, id: StreamId) {
        if let Some(s) = self.streams.get_mut(&id) {
            s.reset();
        }
        self.touch(id);
    }

    /// The next packet to send, until there is none.
    pub fn poll_transmit(&mut self, now: Now, rng: &mut Rng) -> Option<Transmit> {
        if let Some(t) = self.strays.pop() {
            self.stats.sent += 1;
            return Some(t);
        }
        while let Some(id) = self.to_send.pop() {
            let Some(s) = self.streams.get_mut(&id) else {
                continue;
            };
            let t = s.poll_transmit(now, rng, &self.local);
            if t.is_some() {
                self.to_send.push(id);
            }
            if s.is_over() {
                self.remove(now.mono, id);
            } else {
                self.to_tell.push(id);
                self.set_timer(id);
            }
            if let Some(t) = t {
                self.stats.sent += 1;
                self.stats.resent += u64::from(t.again);
                return Some(t);
            }
        }
        None
    }

    /// The next event, until there is none.
    pub fn poll_event(&mut self) -> Option<StreamEvent> {
        if let Some((to, path)) = self.paths.pop_first() {
            return Some(match path {
                Path::Works => StreamEvent::Progress { to },
                Path::Unanswered => StreamEvent::Unanswered { to },
                Path::Stalled => StreamEvent::Stalled { to },
            });
        }
        while let Some(id) = self.to_tell.pop() {
            let Some(s) = self.streams.get_mut(&id) else {
                continue;
            };
            if let Some(e) = s.poll_event() {
                self.stats.note(&e);
                if s.is_over() {
                    // Removed with the next turn, which knows the time.
                    self.to_send.push(id);
                } else {
                    self.to_tell.push(id);
                }
                return Some(e);
            }
        }
        None
    }

    /// When [`Streams::handle_timeout`] has to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let timer = self.timers.first().map(|(at, _)| *at);
        [timer, self.early.deadline()].into_iter().flatten().min()
    }

    /// Runs what is due.
    pub fn handle_timeout(&mut self, now: Now, _rng: &mut Rng) {
        self.early.expire(now.mono);
        while let Some((at, id)) = self.timers.first().copied() {
            if at > now.mono {
                break;
            }
            self.timers.remove(&(at, id));
            self.timer_of.remove(&id);
            let Some(s) = self.streams.get_mut(&id) else {
                continue;
            };
            let peer = s.names.peer;
            let alive = self.peers.get(&peer).and_then(|p| p.alive);
            match s.handle_timeout(now.mono, &self.local.config, alive) {
                Silence::Nothing => {}
                Silence::Unanswered => {
                    self.paths.entry(peer).or_insert(Path::Unanswered);
                }
                Silence::Stalled => {
                    self.paths.insert(peer, Path::Stalled);
                }
            }
            self.to_send.push(id);
            self.to_tell.push(id);
        }
    }

    /// The smoothed round-trip time to a peer, of a running stream or of one that ended a few
    /// minutes ago.
    #[must_use]
    pub fn rtt(&self, to: &DestHash) -> Option<Duration> {
        let running = self.streams.values().filter(|s| s.names.peer == *to);
        running
            .filter_map(|s| s.memory().map(|(rtt, _)| rtt))
            .min()
            .or_else(|| self.memory.get(to).map(|m| m.rtt))
    }

    /// Counters since the start.
    #[must_use]
    pub const fn stats(&self) -> StreamStats {
        self.stats
    }

    /// Whom a stream is with, until the turn after its last event.
    #[must_use]
    pub fn peer_of(&self, id: StreamId) -> Option<DestHash> {
        self.streams.get(&id).map(|s| s.names.peer)
    }

    /// Whom streams exist with.
    #[must_use]
    pub fn peers(&self) -> BTreeSet<DestHash> {
        self.streams.values().map(|s| s.names.peer).collect()
    }

    /// Streams that exist.
    #[must_use]
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether no stream exists.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Whether streams to our port are accepted.
    fn listens(&self, port: u16) -> bool {
        self.ports.contains(&0) || self.ports.contains(&port)
    }

    fn is_full(&self) -> bool {
        self.streams.len() >= self.local.config.streams_max.min(STREAMS_MAX)
    }

    /// Something happened to the stream: it gets its turns and its timer.
    fn touch(&mut self, id: StreamId) {
        if self.streams.contains_key(&id) {
            self.count(id);
            self.to_send.push(id);
            self.to_tell.push(id);
            self.set_timer(id);
        }
    }

    fn set_timer(&mut self, id: StreamId) {
        let deadline = self
            .streams
            .get(&id)
            .and_then(|s| s.deadline(&self.local.config));
        let old = self.timer_of.get(&id).copied();
        if old == deadline {
            return;
        }
        if let Some(at) = old {
            self.timers.remove(&(at, id));
            self.timer_of.remove(&id);
        }
        if let Some(at) = deadline {
            self.timers.insert((at, id));
            self.timer_of.insert(id, at);
        }
    }
}

#[cfg(test)]
mod tests;
