//! One local destination: its ratchets, its streams, its remotes. It never sees another one.

mod sending;

use super::leases::Leases;
use super::path::Path;
use super::remote::{Remote, Waiting};
use crate::config::DestinationKeys;
use crate::dest::demux::Envelope;
use crate::garlic::clove::{Block, Clove, Delivery};
use crate::garlic::ratchet::{Opened, PeerKey, Ratchets, SentKind};
use crate::limits;
use crate::rng::Rng;
use crate::stream::{StreamConfig, StreamEvent, Streams, Transmit};
use crate::time::{Instant, Now};
use crate::tunnel::{InboundInfo, OutboundInfo};
use crate::wire::cursor::Reader;
use crate::wire::hash::DestHash;
use crate::wire::i2np::store::{DatabaseStore, Entry};
use crate::wire::i2np::{Message, kind};
use crate::wire::lease_set2::LeaseSet2;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Protocol number of streaming in the I2CP envelope.
const STREAMING: u8 = 6;
/// How long a message of ours is worth something.
const MESSAGE_LIFE: Duration = Duration::from_secs(60);
/// An unanswered New Session is repeated after this long, then each time a little later.
const RETRY: Duration = Duration::from_millis(1500);
/// New Sessions before the remote counts as silent.
const TRIES_MAX: u32 = 12;
/// Copies of one packet that got no answer before the session itself is in doubt.
const RENEW_AFTER: u32 = 2;
/// A remote that was not used for this long is forgotten.
const REMOTE_IDLE: Duration = Duration::from_secs(15 * 60);
/// Who was heard of within this time is told at once when a lease is withdrawn.
const TALKING: Duration = Duration::from_secs(60);
/// The remote's LeaseSet is looked up again this long before it ends.
const RENEW: Duration = Duration::from_secs(60);

/// What a local destination asks for.
#[derive(Debug)]
pub enum DestOutput {
    /// Look up the LeaseSet of a remote.
    Lookup(DestHash),
    /// Send a garlic message on its way.
    Send {
        /// Tunnel and lease.
        path: Path,
        /// The garlic message.
        message: Message,
    },
    /// A path did not deliver.
    PathFailed(Path),
    /// A path delivered.
    PathWorks(Path),
    /// Something happened to a stream.
    Stream(StreamEvent),
    /// The remote cannot be reached.
    Unreachable(DestHash),
}

/// A destination of ours.
pub struct LocalDest {
    keys: DestinationKeys,
    /// Served: published, and accepting streams.
    pub served: bool,
    /// Its streams.
    pub streams: Streams,
    ratchets: Ratchets,
    leases: Leases,
    remotes: BTreeMap<DestHash, Remote>,
    by_key: BTreeMap<PeerKey, DestHash>,
    outputs: VecDeque<DestOutput>,
    /// What happened since it was made.
    pub counts: Counts,
}

/// Plain counters of a local destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Garlic messages that could not be opened.
    pub unopened: u64,
    /// New Sessions sent.
    pub new_sessions: u64,
    /// Messages sent under existing sessions.
    pub messages: u64,
    /// Paths given up.
    pub paths_failed: u64,
    /// Messages dropped because too many waited.
    pub overflowed: u64,
}

impl LocalDest {
    /// A destination without tunnels yet.
    #[must_use]
    pub fn new(keys: DestinationKeys, served: bool) -> Self {
        let destination = keys.destination.clone();
        Self {
            streams: Streams::new(StreamConfig::default(), destination, keys.signing.clone()),
            ratchets: Ratchets::new(keys.encryption.clone()),
            keys,
            served,
            leases: Leases::default(),
            remotes: BTreeMap::new(),
            by_key: BTreeMap::new(),
            outputs: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// Its hash.
    #[must_use]
    pub fn hash(&self) -> DestHash {
        self.keys.destination.hash()
    }

    /// How many remotes it keeps, and the most messages that wait for one of them.
    #[must_use]
    pub fn backlog(&self) -> (usize, usize) {
        let waiting = self.remotes.values().map(|r| r.waiting.len());
        (self.remotes.len(), waiting.max().unwrap_or(0))
    }

    /// Its LeaseSet.
    #[must_use]
    pub const fn lease_set(&self) -> Option<&Arc<LeaseSet2>> {
        self.leases.current()
    }

    /// The inbound tunnels changed; answers whether there is a new LeaseSet.
    pub fn tunnels_changed(
        &mut self,
        now: Now,
        inbound: impl Iterator<Item = InboundInfo>,
    ) -> bool {
        let old = self.leases.current().cloned();
        let new = self.leases.update(now, &self.keys, inbound);
        if new && old.is_some_and(|old| self.leases.withdraws(now, &old)) {
            for remote in self.remotes.values_mut() {
                remote.misled = now.mono.since(remote.used) < TALKING;
            }
        }
        new
    }

    /// The wall clock was set: the next LeaseSet bears the new date, even an earlier one.
    pub fn clock_set(&mut self) {
        self.leases.clock_set();
    }

    /// Whether a stream to the remote could be opened now. Starts a lookup when that is what is
    /// missing.
    pub fn prepare(&mut self, now: Now, to: DestHash) -> bool {
        let Some(remote) = self.remote(now, to) else {
            return false;
        };
        if remote.is_reachable(now) {
            return self.leases.current().is_some();
        }
        if !remote.looking {
            remote.looking = true;
            self.outputs.push_back(DestOutput::Lookup(to));
        }
        false
    }

    /// Whether the remote's LeaseSet is known but of no use.
    #[must_use]
    pub fn is_unusable(&self, to: DestHash) -> bool {
        let ls = self.remotes.get(&to).and_then(|r| r.lease_set.as_ref());
        ls.is_some_and(|ls| ls.x25519_key().is_none())
    }

    /// A lookup found a LeaseSet; its signature was verified.
    pub fn found(&mut self, now: Now, ls: Arc<LeaseSet2>) {
        let hash = ls.hash();
        if let Some(key) = ls.x25519_key() {
            self.by_key.insert(PeerKey(key), hash);
        }
        if let Some(remote) = self.remote(now, hash) {
            remote.looking = false;
            remote.learn(ls);
        }
    }

    /// A lookup found nothing.
    pub fn not_found(&mut self, now: Now, hash: DestHash) {
        let Some(remote) = self.remotes.get_mut(&hash) else {
            return;
        };
        remote.looking = false;
        if !remote.is_reachable(now) {
            remote.waiting.clear();
            self.outputs.push_back(DestOutput::Unreachable(hash));
        }
    }

    /// Content of a Garlic message that came out of one of our inbound tunnels.
    pub fn handle_garlic(&mut self, now: Now, rng: &mut Rng, content: &[u8]) {
        let Ok(opened) = self.ratchets.open(now, rng, content) else {
            self.counts.unopened += 1;
            return;
        };
        for block in &opened.blocks {
            if let Block::Clove(clove) = block {
                self.handle_lease_set_clove(now, &opened, clove);
            }
        }
        let from = opened.peer.and_then(|p| self.by_key.get(&p).copied());
        if let Some(remote) = from.and_then(|f| self.remotes.get_mut(&f)) {
            remote.used = now.mono;
            remote.acked(&opened.acked);
            match opened.kind {
                SentKind::NewSession => remote.forget_telling(),
                SentKind::NewSessionReply => remote.answered(),
                SentKind::Existing => {}
            }
        }
        for block in opened.blocks {
            if let Block::Clove(clove) = block {
                self.handle_data_clove(now, rng, from, &clove);
            }
        }
    }

    /// A LeaseSet that the sender bundled binds its static key to its destination.
    fn handle_lease_set_clove(&mut self, now: Now, opened: &Opened, clove: &Clove) {
        if clove.delivery != Delivery::Local || clove.message.kind != kind::DATABASE_STORE {
            return;
        }
        let Ok(store) = DatabaseStore::parse(&clove.message.body) else {
            return;
        };
        let Entry::LeaseSet2(bytes) = store.entry else {
            return;
        };
        let Ok(ls) = LeaseSet2::parse(&bytes).and_then(|u| u.verify()) else {
            return;
        };
        let bound = opened.peer.is_some_and(|p| ls.x25519_key() == Some(p.0));
        if bound && ls.expires() > now.wall {
            self.found(now, Arc::new(ls));
        }
    }

    fn handle_data_clove(
        &mut self,
        now: Now,
        rng: &mut Rng,
        from: Option<DestHash>,
        clove: &Clove,
    ) {
        let ours = match clove.delivery {
            Delivery::Local => true,
            Delivery::Destination(h) => h == self.hash(),
            Delivery::Router(_) | Delivery::Tunnel(..) => false,
        };
        let (true, Some(from)) = (ours && clove.message.kind == kind::DATA, from) else {
            return;
        };
        let Some(envelope) = parse_data(&clove.message.body) else {
            return;
        };
        if envelope.protocol == STREAMING {
            self.streams.handle_packet(
                now,
                rng,
                from,
                envelope.from_port,
                envelope.to_port,
                &envelope.payload,
            );
        }
    }

    /// Does what is due and turns what the streams want to send into garlic messages.
    pub fn drive(&mut self, now: Now, rng: &mut Rng, outbound: &[OutboundInfo]) {
        while let Some(t) = self.streams.poll_transmit(now, rng) {
            self.transmit(now, t);
        }
        while let Some(event) = self.streams.poll_event() {
            self.note_stream(now, &event);
            self.outputs.push_back(DestOutput::Stream(event));
        }
        let hashes: Vec<DestHash> = self.remotes.keys().copied().collect();
        for hash in hashes {
            self.flush(now, rng, hash, outbound);
        }
        while let Some(peer) = self.ratchets.wants_reply() {
            self.reply(now, rng, &peer, outbound);
        }
    }

    /// Takes the next output.
    pub fn poll_output(&mut self) -> Option<DestOutput> {
        let output = self.outputs.pop_front()?;
        self.counts.paths_failed += u64::from(matches!(output, DestOutput::PathFailed(_)));
        Some(output)
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let retries = self.remotes.values().filter_map(|r| r.retry_at).min();
        [self.streams.deadline(), self.ratchets.deadline(), retries]
            .into_iter()
            .flatten()
            .min()
    }

    /// Timers of streams and ratchets; the caller drives afterwards.
    pub fn handle_timeout(&mut self, now: Now, rng: &mut Rng) {
        if self.streams.deadline().is_some_and(|d| d <= now.mono) {
            self.streams.handle_timeout(now, rng);
        }
        if self.ratchets.deadline().is_some_and(|d| d <= now.mono) {
            self.ratchets.handle_timeout(now);
        }
        self.remotes
            .retain(|_, r| now.mono.since(r.used) < REMOTE_IDLE);
        let remotes = &self.remotes;
        self.by_key.retain(|_, hash| remotes.contains_key(hash));
    }

    fn remote(&mut self, now: Now, hash: DestHash) -> Option<&mut Remote> {
        if !self.remotes.contains_key(&hash) && self.remotes.len() >= limits::REMOTES_MAX {
            let oldest = self
                .remotes
                .values()
                .min_by_key(|r| r.used)
                .map(|r| r.hash)?;
            self.remotes.remove(&oldest);
        }
        let remote = self
            .remotes
            .entry(hash)
            .or_insert_with(|| Remote::new(hash, now));
        remote.used = now.mono;
        Some(remote)
    }

    fn transmit(&mut self, now: Now, t: Transmit) {
        let envelope = Envelope {
            protocol: STREAMING,
            from_port: t.from_port,
            to_port: t.to_port,
            payload: t.payload,
        };
        let Ok(envelope) = envelope.to_bytes() else {
            return;
        };
        let Some(remote) = self.remote(now, t.to) else {
            return;
        };
        let packet = t.seq.map(|seq| (t.id, seq));
        if t.again && remote.waiting.iter().any(|w| w.packet == packet) {
            // The first copy has not left yet.
            return;
        }
        if t.resend > RENEW_AFTER || t.syn && t.resend == RENEW_AFTER {
            self.renew_session(now, t.to);
        }
        if let Some(remote) = self.remote(now, t.to) {
            let kept = remote.queue(Waiting {
                envelope,
                syn: t.syn,
                packet,
            });
            self.counts.overflowed += u64::from(!kept);
        }
    }

    /// Paths were changed and still nothing arrives: the remote may have lost the session, as after
    /// a restart. The next message begins a new one.
    fn renew_session(&mut self, now: Now, hash: DestHash) {
        let Some(remote) = self.remotes.get_mut(&hash).filter(|r| !r.renewed) else {
            return;
        };
        remote.renewed = true;
        remote.forget_telling();
        remote.answered();
        let key = remote.lease_set.as_ref().and_then(|ls| ls.x25519_key());
        if let Some(key) = key {
            self.ratchets.renew(now, &PeerKey(key));
        }
    }

    fn note_stream(&mut self, now: Now, event: &StreamEvent) {
        match event {
            StreamEvent::Stalled { to } => {
                let path = self.remotes.get_mut(to).and_then(|r| r.paths.give_up(now));
                self.outputs.extend(path.map(DestOutput::PathFailed));
            }
            StreamEvent::Unanswered { to } => {
                if let Some(remote) = self.remotes.get_mut(to) {
                    remote.paths.give_up(now);
                }
            }
            StreamEvent::Progress { to } => {
                let remote = self.remotes.get_mut(to);
                let path = remote.and_then(|r| {
                    r.renewed = false;
                    r.paths.current()
                });
                self.outputs.extend(path.map(DestOutput::PathWorks));
            }
            _ => {}
        }
    }
}

/// The envelope in the body of a Data message.
fn parse_data(body: &[u8]) -> Option<Envelope> {
    let mut r = Reader::new(body);
    let n = r.u32("Data.length").ok()? as usize;
    let payload = r.take(n, "Data.payload").ok()?;
    r.finish("Data").ok()?;
    Envelope::parse(payload).ok()
}

#[cfg(test)]
mod tests;
