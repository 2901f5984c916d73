//! One local destination: its ratchets, its streams, its remotes. It never sees another one.

mod agenda;
mod owners;
mod receiving;
mod remotes;
mod sending;

use super::doubt::Verdict;
use super::leases::Leases;
use super::path::Path;
use super::remote::{Remote, Waiting};
use crate::config::DestinationKeys;
use crate::dest::demux::{Envelope, STREAMING};
use crate::garlic::ratchet::Ratchets;
use crate::rng::Rng;
use crate::stream::{ResetWhy, StreamConfig, StreamEvent, Streams, Transmit};
use crate::time::{Instant, Now};
use crate::tunnel::{InboundInfo, OutboundId, OutboundInfo};
use crate::wire::hash::DestHash;
use crate::wire::i2np::Message;
use crate::wire::lease_set2::LeaseSet2;
use agenda::Agenda;
use core::time::Duration;
use owners::Owners;
use receiving::Checks;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How long a message of ours is worth something.
const MESSAGE_LIFE: Duration = Duration::from_secs(60);
/// New Sessions before the remote counts as silent.
const TRIES_MAX: u32 = 12;
/// A way that was not there is looked for again after this long.
const NO_WAY: Duration = Duration::from_millis(500);
/// Time between two turns of replies to a New Session.
const TURN: Duration = Duration::from_millis(100);
/// Repeats of one packet, a SYN counting for one, and silence of the remote, after which the
/// session itself is in doubt.
const DOUBT_AFTER: u32 = 2;
const SILENCE: Duration = Duration::from_millis(1500);
/// Silence of a remote after which our own tunnels are tested.
const HUSH: Duration = Duration::from_millis(800);
/// Repeats, counted so, after which it is in doubt although the remote is heard of.
const DOUBT_ANYWAY: u32 = 4;
/// Paths given up in a row after which the LeaseSet is looked up again.
const LOST_PATHS: u32 = 2;
/// A remote that was not used for this long is forgotten.
const REMOTE_IDLE: Duration = Duration::from_secs(15 * 60);
/// Time between searches for remotes that are over.
const SWEEP: Duration = Duration::from_secs(10);
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
    /// Nothing of a remote comes any more: our tunnels may be dead.
    Unheard,
    /// For the log.
    Note(&'static str, DestHash),
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
    by_key: Owners,
    agenda: Agenda,
    checks: Checks,
    /// The outbound tunnels at the last turn.
    outbound: Vec<OutboundId>,
    next_sweep: Instant,
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
    /// Cloves and LeaseSets dropped because a message held more than may be unpacked or verified.
    pub metered: u64,
    /// Sessions that came into doubt.
    pub doubted: u64,
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
            by_key: Owners::default(),
            agenda: Agenda::default(),
            checks: Checks::default(),
            outbound: Vec::new(),
            next_sweep: Instant::default(),
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

    /// A remote's destination in full; empty when none of its LeaseSets is known.
    #[must_use]
    pub fn bytes_of(&self, remote: DestHash) -> Vec<u8> {
        let remote = self.remotes.get(&remote);
        let known = remote.and_then(|r| r.lease_set.as_ref());
        known.map_or_else(Vec::new, |ls| ls.destination().as_bytes().to_vec())
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
        let new = self.leases.update(now, &self.keys, self.served, inbound);
        let withdrawn = new && old.is_some_and(|old| self.leases.withdraws(now, &old));
        for (hash, remote) in self.remotes.iter_mut().filter(|_| new) {
            remote.misled |= withdrawn && now.mono.since(remote.used) < TALKING;
            if remote.misled || !remote.waiting.is_empty() {
                self.agenda.wake(*hash);
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
        let Some(remote) = self.admit(now, to, true) else {
            return false;
        };
        remote.wanted = true;
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
        self.learn(now, ls, true);
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

    /// Does what is due and turns what the streams want to send into garlic messages.
    pub fn drive(&mut self, now: Now, rng: &mut Rng, outbound: &[OutboundInfo]) {
        while let Some(t) = self.streams.poll_transmit(now, rng) {
            self.transmit(now, t);
        }
        while let Some(event) = self.streams.poll_event() {
            self.note_stream(now, &event);
            self.outputs.push_back(DestOutput::Stream(event));
        }
        self.note_tunnels(outbound);
        while let Some(hash) = self.agenda.next(now.mono) {
            self.flush(now, rng, hash, outbound);
        }
        while let Some(peer) = self.ratchets.wants_reply() {
            self.reply(now, rng, &peer, outbound);
        }
    }

    /// What waited for a way is tried again when there are other tunnels.
    fn note_tunnels(&mut self, outbound: &[OutboundInfo]) {
        if self.outbound.iter().eq(outbound.iter().map(|o| &o.id)) {
            return;
        }
        self.outbound = outbound.iter().map(|o| o.id).collect();
        for (hash, remote) in self.remotes.iter_mut().filter(|(_, r)| r.blocked) {
            remote.retry_at = None;
            self.agenda.wake(*hash);
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
        let sweep = (!self.remotes.is_empty()).then_some(self.next_sweep);
        [
            self.streams.deadline(),
            self.ratchets.deadline(),
            self.agenda.deadline(),
            sweep,
        ]
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
        if self.next_sweep <= now.mono {
            self.next_sweep = now.mono + SWEEP;
            self.sweep(now);
        }
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
        let Some(remote) = self.admit(now, t.to, true) else {
            return;
        };
        let packet = t.seq.map(|seq| (t.id, seq));
        if t.again && remote.waiting.iter().any(|w| w.packet == packet) {
            // The first copy has not left yet.
            return;
        }
        self.suspect(now, t.to, t.resend, t.syn);
        let Some(remote) = self.remotes.get_mut(&t.to) else {
            return;
        };
        let waiting = Waiting {
            envelope,
            since: now.mono,
            packet,
        };
        let kept = if t.syn && !t.again {
            remote.queue_first(now, waiting)
        } else {
            remote.queue(waiting)
        };
        self.counts.overflowed += u64::from(!kept);
        self.agenda.wake(t.to);
    }

    /// The session is in doubt when a packet has been repeated, over other paths too, and nothing
    /// is heard of the remote; it may have lost the session, as after a restart.
    fn suspect(&mut self, now: Now, to: DestHash, resend: u32, syn: bool) {
        let Some(remote) = self.remotes.get_mut(&to) else {
            return;
        };
        let repeats = if resend > 0 {
            resend + u32::from(syn)
        } else {
            0
        };
        let unanswered = repeats >= DOUBT_AFTER && remote.is_silent(now, SILENCE);
        if !unanswered && repeats < DOUBT_ANYWAY {
            return;
        }
        let verdict = remote.doubt.suspect(now.mono);
        self.judge(now, to, verdict, false);
    }

    fn judge(&mut self, now: Now, hash: DestHash, verdict: Verdict, blame: bool) {
        match verdict {
            Verdict::Fine => {}
            Verdict::Doubt => {
                self.give_up_path(now, hash, blame);
                self.counts.doubted += 1;
                self.note("a session is in doubt", hash);
                self.look_again(now, hash);
            }
        }
    }

    /// The path does not deliver, or may not: only with `blame` is it tested. When others do not
    /// either, the remote may have moved.
    fn give_up_path(&mut self, now: Now, hash: DestHash, blame: bool) {
        let Some(remote) = self.remotes.get_mut(&hash) else {
            return;
        };
        let Some(path) = remote.paths.give_up(now) else {
            return;
        };
        if blame {
            self.outputs.push_back(DestOutput::PathFailed(path));
        }
        remote.lost_paths += 1;
        if remote.lost_paths >= LOST_PATHS {
            self.look_again(now, hash);
        }
    }

    /// When nothing at all is heard of a remote, not only its tunnels may be dead.
    fn note_silence(&mut self, now: Now, hash: DestHash) {
        let remote = self.remotes.get(&hash);
        if remote.is_some_and(|r| r.is_silent(now, HUSH)) {
            self.outputs.push_back(DestOutput::Unheard);
        }
    }

    fn look_again(&mut self, now: Now, hash: DestHash) {
        let remote = self.remotes.get_mut(&hash);
        if remote.is_some_and(|r| r.looks_again(now)) {
            self.outputs.push_back(DestOutput::Lookup(hash));
        }
    }

    fn note(&mut self, what: &'static str, hash: DestHash) {
        self.outputs.push_back(DestOutput::Note(what, hash));
    }

    fn note_stream(&mut self, now: Now, event: &StreamEvent) {
        match event {
            StreamEvent::Stalled { to } => {
                self.give_up_path(now, *to, true);
                self.note_silence(now, *to);
            }
            StreamEvent::Unanswered { to } => {
                self.give_up_path(now, *to, false);
                self.note_silence(now, *to);
            }
            StreamEvent::Progress { to } => {
                let Some(remote) = self.remotes.get_mut(to) else {
                    return;
                };
                remote.doubt.progress(now.mono);
                remote.lost_paths = 0;
                self.outputs
                    .extend(remote.paths.current().map(DestOutput::PathWorks));
            }
            StreamEvent::StandsStill { to, .. } => self.note("a stream stands still", *to),
            StreamEvent::GoesOn { to, .. } => self.note("a stream goes on", *to),
            StreamEvent::Reset { id, why } => {
                let what = match why {
                    ResetWhy::Timeout => "a stream ends: what was sent is not answered",
                    ResetWhy::NoAnswer => "a stream ends: its first packet was not answered",
                    _ => return,
                };
                if let Some(to) = self.streams.peer_of(*id) {
                    self.note(what, to);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
