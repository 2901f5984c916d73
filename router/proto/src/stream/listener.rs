//! The door for what does not belong to a stream: rates, packets that came before their SYN, and
//! the memory of ended streams.

use super::packet::Packet;
use crate::limits::{
    STREAM_EARLY_BYTES_MAX, STREAM_EARLY_PER_PEER_MAX, STREAM_EARLY_PER_STREAM_MAX,
    STREAM_ENDED_MAX, STREAM_PACKET_COST, STREAM_PEERS_MAX,
};
use crate::time::Instant;
use crate::wire::hash::DestHash;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How long a packet waits for its SYN.
const EARLY: Duration = Duration::from_secs(10);
/// How long an ended stream is remembered.
const ENDED: Duration = Duration::from_secs(180);
/// Seconds' worth of events that may come at once.
const BURST: u64 = 3;

/// A token bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// Microseconds' worth of tokens.
    level: u64,
    at: Instant,
}

impl Bucket {
    pub(crate) const fn full(now: Instant) -> Self {
        Self {
            level: BURST * 1_000_000,
            at: now,
        }
    }

    /// Takes a token of a bucket that fills with `rate` a second.
    pub(crate) fn take(&mut self, now: Instant, rate: u32) -> bool {
        let passed = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        self.at = now;
        self.level = self.level.saturating_add(passed).min(BURST * 1_000_000);
        let cost = 1_000_000 / u64::from(rate.max(1));
        let enough = self.level >= cost;
        if enough {
            self.level -= cost;
        }
        enough
    }
}

/// How fast peers may ask for something that costs a signature check.
pub(crate) struct Gate {
    all: Bucket,
    peers: BTreeMap<DestHash, Bucket>,
}

impl Gate {
    pub(crate) const fn new() -> Self {
        Self {
            all: Bucket::full(Instant(0)),
            peers: BTreeMap::new(),
        }
    }

    /// Whether one more of this peer may pass. A full table forgets the peer that has been quiet
    /// for longest.
    pub(crate) fn pass(&mut self, now: Instant, from: DestHash, peer: u32, all: u32) -> bool {
        if !self.peers.contains_key(&from) && self.peers.len() >= STREAM_PEERS_MAX {
            let oldest = self.peers.iter().min_by_key(|(_, b)| b.at);
            if let Some(hash) = oldest.map(|(hash, _)| *hash) {
                self.peers.remove(&hash);
            }
        }
        let bucket = self.peers.entry(from).or_insert_with(|| Bucket::full(now));
        bucket.take(now, peer) && self.all.take(now, all)
    }
}

/// A packet that came before its SYN.
pub(crate) struct EarlyPacket {
    pub payload: Vec<u8>,
    from: DestHash,
    id: u32,
    at: Instant,
}

impl EarlyPacket {
    const fn cost(&self) -> usize {
        self.payload.len() + STREAM_PACKET_COST
    }
}

/// Packets that came before their SYN, oldest first.
#[derive(Default)]
pub(crate) struct Early {
    queue: VecDeque<EarlyPacket>,
    bytes: usize,
}

impl Early {
    /// Keeps a packet of the peer's stream `id`; false when the stream or the peer has enough.
    pub(crate) fn keep(&mut self, now: Instant, from: DestHash, id: u32, payload: &[u8]) -> bool {
        self.expire(now);
        let of_peer = self.queue.iter().filter(|e| e.from == from);
        let (mut count, mut bytes) = (0, 0);
        for e in of_peer {
            count += usize::from(e.id == id);
            bytes += e.cost();
        }
        let e = EarlyPacket {
            payload: payload.to_vec(),
            from,
            id,
            at: now,
        };
        if count >= STREAM_EARLY_PER_STREAM_MAX || bytes + e.cost() > STREAM_EARLY_PER_PEER_MAX {
            return false;
        }
        while self.bytes + e.cost() > STREAM_EARLY_BYTES_MAX {
            self.drop_oldest();
        }
        self.bytes += e.cost();
        self.queue.push_back(e);
        true
    }

    fn drop_oldest(&mut self) {
        if let Some(e) = self.queue.pop_front() {
            self.bytes -= e.cost();
        }
    }

    /// Throws away what has waited for too long.
    pub(crate) fn expire(&mut self, now: Instant) {
        while self.deadline().is_some_and(|at| at <= now) {
            self.drop_oldest();
        }
    }

    /// When the oldest packet has waited for too long.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.queue.front().map(|e| e.at + EARLY)
    }

    /// Takes out the packets of a stream whose SYN has come.
    pub(crate) fn take(&mut self, from: DestHash, id: u32) -> Vec<EarlyPacket> {
        let (out, rest): (VecDeque<_>, VecDeque<_>) = core::mem::take(&mut self.queue)
            .into_iter()
            .partition(|e| e.from == from && e.id == id);
        self.queue = rest;
        self.bytes -= out.iter().map(EarlyPacket::cost).sum::<usize>();
        out.into()
    }
}

/// A stream that is over.
pub(crate) struct EndedStream {
    pub peer: DestHash,
    /// It did not end in order: who still sends has to hear of it.
    pub reset: bool,
    /// Acknowledges everything that was received.
    pub words: Packet,
    at: Instant,
}

/// Streams that are over, by our id: late packets get an acknowledgement, and a late SYN does
/// not open the same stream twice.
#[derive(Default)]
pub(crate) struct Ended {
    streams: BTreeMap<u32, EndedStream>,
    order: VecDeque<u32>,
    remote: BTreeSet<(DestHash, u32)>,
}

impl Ended {
    pub(crate) fn insert(&mut self, now: Instant, peer: DestHash, reset: bool, words: Packet) {
        while self.order.len() >= STREAM_ENDED_MAX || self.is_stale(now) {
            let Some(id) = self.order.pop_front() else {
                break;
            };
            if let Some(e) = self.streams.remove(&id) {
                self.remote.remove(&(e.peer, e.words.send_id));
            }
        }
        self.remote.insert((peer, words.send_id));
        self.order.push_back(words.recv_id);
        let ended = EndedStream {
            peer,
            reset,
            words,
            at: now,
        };
        self.streams.insert(ended.words.recv_id, ended);
    }

    fn is_stale(&self, now: Instant) -> bool {
        let first = self.order.front().and_then(|id| self.streams.get(id));
        first.is_some_and(|e| now.since(e.at) > ENDED)
    }

    /// The ended stream of our id.
    pub(crate) fn get(&self, id: u32) -> Option<&EndedStream> {
        self.streams.get(&id)
    }

    /// Whether the peer's stream of this id is over.
    pub(crate) fn has_remote(&self, peer: DestHash, id: u32) -> bool {
        self.remote.contains(&(peer, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Empty and large packets are kept within the budget, of one peer and of all, and not for
    /// long.
    #[test]
    fn early_packets_have_a_budget() {
        let sec = |s: u64| Instant(s * 1_000_000);
        for size in [0, 1, 60_000] {
            let mut e = Early::default();
            let payload = vec![0; size];
            let cost = size + STREAM_PACKET_COST;
            for peer in 1..=40 {
                for id in 0..400 {
                    for _ in 0..40 {
                        e.keep(sec(1), DestHash([peer; 32]), id, &payload);
                    }
                }
            }
            let kept: usize = e.queue.iter().map(EarlyPacket::cost).sum();
            assert_eq!((kept, e.bytes), (e.queue.len() * cost, kept));
            assert!(kept <= STREAM_EARLY_BYTES_MAX, "{size}: {kept}");
            assert!(kept > STREAM_EARLY_BYTES_MAX - 61_000, "{size}: {kept}");
            let last = DestHash([40; 32]);
            let mine = e.queue.iter().filter(|e| e.from == last).count() * cost;
            assert!(mine <= STREAM_EARLY_PER_PEER_MAX, "{size}: {mine}");
            let one = e.take(last, 0).len();
            assert!(one > 0 && one <= STREAM_EARLY_PER_STREAM_MAX);
            assert_eq!(e.deadline(), Some(sec(11)));
            e.expire(sec(11));
            assert_eq!((e.queue.len(), e.bytes), (0, 0));
        }
    }

    #[test]
    fn rates_and_tables_are_bounded() {
        let mut g = Gate::new();
        let sec = |s: u64| Instant(s * 1_000_000);
        let peer = DestHash([1; 32]);
        let passed = (0..1000).filter(|_| g.pass(sec(10), peer, 10, 100)).count();
        assert_eq!(passed, 30);
        assert!(g.pass(sec(11), peer, 10, 100));
        for i in 0..STREAM_PEERS_MAX as u64 * 2 {
            let mut h = [0; 32];
            h[..8].copy_from_slice(&i.to_be_bytes());
            g.pass(sec(100 + i), DestHash(h), 10, 100);
        }
        assert_eq!(g.peers.len(), STREAM_PEERS_MAX);

        let mut d = Ended::default();
        for i in 1..=STREAM_ENDED_MAX as u32 + 10 {
            let words = Packet {
                send_id: i,
                recv_id: i,
                ..Packet::default()
            };
            d.insert(sec(1), peer, false, words);
        }
        assert_eq!(d.streams.len(), STREAM_ENDED_MAX);
        assert!(!d.has_remote(peer, 10) && d.has_remote(peer, 11));
    }
}
