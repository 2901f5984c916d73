//! Which streams there are, under all their names, and what is remembered of those that ended.

use super::connection::Connection;
use super::{StreamId, Streams};
use crate::limits::STREAM_PEERS_MAX;
use crate::rng::Rng;
use crate::time::Instant;
use crate::wire::hash::DestHash;
use core::time::Duration;

/// How long the round-trip time of a peer is remembered.
const MEMORY: Duration = Duration::from_secs(300);

/// What another stream to a peer may start from.
pub(super) struct Memory {
    pub(super) rtt: Duration,
    window: u32,
    at: Instant,
}

impl Streams {
    /// An id for the wire that neither a running nor an ended stream has.
    pub(super) fn free_id(&self, rng: &mut Rng) -> u32 {
        loop {
            let id = rng.nonzero_u32();
            if !self.by_local.contains_key(&id) && self.ended.get(id).is_none() {
                return id;
            }
        }
    }

    pub(super) fn insert(&mut self, stream: Connection) {
        let names = stream.names;
        self.next_id += 1;
        self.by_local.insert(names.local, names.id);
        let peer = self.peers.entry(names.peer).or_default();
        peer.streams += 1;
        peer.incoming += usize::from(names.incoming);
        self.share.incoming += usize::from(names.incoming);
        if names.incoming {
            self.by_remote.insert((names.peer, names.remote), names.id);
        }
        self.streams.insert(names.id, stream);
        self.count(names.id);
    }

    pub(super) fn remove(&mut self, now: Instant, id: StreamId) {
        let Some(mut s) = self.streams.remove(&id) else {
            return;
        };
        let names = s.names;
        self.share.held -= s.counted;
        self.share.incoming -= usize::from(names.incoming);
        self.by_local.remove(&names.local);
        if names.remote != 0 {
            self.by_remote.remove(&(names.peer, names.remote));
            let reset = s.was_reset();
            self.ended.insert(now, names.peer, reset, s.last_words(now));
        }
        if let Some(peer) = self.peers.get_mut(&names.peer) {
            peer.streams -= 1;
            peer.incoming -= usize::from(names.incoming);
            if peer.streams == 0 {
                self.peers.remove(&names.peer);
            }
        }
        if let Some(at) = self.timer_of.remove(&id) {
            self.timers.remove(&(at, id));
        }
        if let Some((rtt, window)) = s.memory() {
            self.memorise(
                names.peer,
                Memory {
                    rtt,
                    window,
                    at: now,
                },
            );
        }
    }

    fn memorise(&mut self, peer: DestHash, memory: Memory) {
        if !self.memory.contains_key(&peer) && self.memory.len() >= STREAM_PEERS_MAX {
            let oldest = self.memory.iter().min_by_key(|(_, m)| m.at);
            if let Some(hash) = oldest.map(|(hash, _)| *hash) {
                self.memory.remove(&hash);
            }
        }
        self.memory.insert(peer, memory);
    }

    pub(super) fn remember(&self, now: Instant, peer: &DestHash) -> Option<(Duration, u32)> {
        let m = self.memory.get(peer)?;
        (now.since(m.at) < MEMORY).then_some((m.rtt, m.window))
    }
}
