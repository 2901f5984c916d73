//! What arrives for a local destination: LeaseSets that were sent along, data for streams, and
//! what all of it says about the session. Unpacking and signatures are budgeted.

use super::{DestOutput, LocalDest, SILENCE};
use crate::dest::demux::{Envelope, STREAMING};
use crate::garlic::clove::{Block, Clove, Delivery};
use crate::garlic::ratchet::{Opened, PeerKey, SentKind, SessionState};
use crate::limits;
use crate::rng::Rng;
use crate::time::{Instant, Now};
use crate::wire::cursor::Reader;
use crate::wire::hash::DestHash;
use crate::wire::i2np::kind;
use crate::wire::i2np::store::{DatabaseStore, Entry};
use crate::wire::lease_set2::LeaseSet2;
use core::time::Duration;
use std::sync::Arc;

/// Least time between two LeaseSets of one remote whose signatures are checked.
const CHECK_GAP: Duration = Duration::from_millis(500);

/// How many signatures may be checked for strangers: a bucket that fills with time.
pub(super) struct Checks {
    left: u32,
    filled: Instant,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            left: limits::BUNDLED_CHECKS_BURST,
            filled: Instant::default(),
        }
    }
}

impl Checks {
    fn take(&mut self, now: Instant) -> bool {
        let each = Duration::from_secs(1) / limits::BUNDLED_CHECKS_PER_SECOND;
        let passed = now.since(self.filled).as_micros() / each.as_micros();
        if passed > 0 {
            let passed = u32::try_from(passed).unwrap_or(u32::MAX);
            self.left = self.left.saturating_add(passed);
            self.left = self.left.min(limits::BUNDLED_CHECKS_BURST);
            self.filled = now;
        }
        let taken = self.left.checked_sub(1);
        self.left = taken.unwrap_or(0);
        taken.is_some()
    }
}

impl LocalDest {
    /// Content of a Garlic message that came out of one of our inbound tunnels.
    pub fn handle_garlic(&mut self, now: Now, rng: &mut Rng, content: &[u8]) {
        let Ok(opened) = self.ratchets.open(now, rng, content) else {
            self.counts.unopened += 1;
            return;
        };
        self.handle_lease_sets(now, &opened);
        let Some(peer) = opened.peer else { return };
        for from in self.by_key.of(&peer).to_vec() {
            self.heard(now, peer, from, &opened);
        }
        let mut budget = limits::INFLATED_PER_MESSAGE;
        for block in opened.blocks {
            if let Block::Clove(clove) = block {
                self.handle_data_clove(now, rng, peer, &clove, &mut budget);
            }
        }
    }

    /// Whatever a remote says, under whichever of its sessions, shows that it is there.
    fn heard(&mut self, now: Now, peer: PeerKey, from: DestHash, opened: &Opened) {
        let usable = self.ratchets.state(now, &peer) == SessionState::Established;
        let Some(remote) = self.remotes.get_mut(&from) else {
            return;
        };
        remote.used = now.mono;
        let unanswered = remote.is_silent(now, SILENCE);
        (remote.unheard, remote.looks) = (None, 0);
        remote.acked(&opened.acked);
        match opened.kind {
            SentKind::NewSession => remote.forget_telling(),
            SentKind::NewSessionReply => remote.answered(now),
            SentKind::Existing => {}
        }
        if usable {
            (remote.retry_at, remote.tries) = (None, 0);
        }
        let verdict = remote.doubt.heard(now.mono, &opened.acked);
        self.judge(now, from, verdict, true);
        if unanswered && opened.kind == SentKind::NewSession {
            // It has not got what we sent, or it would not begin anew.
            self.give_up_path(now, from, false);
            self.outputs.push_back(DestOutput::Unheard);
        }
        self.agenda.wake(from);
    }

    /// A LeaseSet that the sender bundled binds its static key to its destination. What costs
    /// nothing is looked at before the signature, of which few are checked.
    fn handle_lease_sets(&mut self, now: Now, opened: &Opened) {
        let Some(peer) = opened.peer else { return };
        let mut seen = 0;
        for block in &opened.blocks {
            let Block::Clove(clove) = block else { continue };
            if clove.delivery != Delivery::Local || clove.message.kind != kind::DATABASE_STORE {
                continue;
            }
            if seen == limits::BUNDLED_PER_MESSAGE {
                self.counts.metered += 1;
                continue;
            }
            seen += 1;
            if let Some(ls) = self.check_lease_set(now, peer, clove) {
                self.learn(now, Arc::new(ls), false);
            }
        }
    }

    fn check_lease_set(&mut self, now: Now, peer: PeerKey, clove: &Clove) -> Option<LeaseSet2> {
        let store = DatabaseStore::parse(&clove.message.body).ok()?;
        let Entry::LeaseSet2(bytes) = store.entry else {
            return None;
        };
        let unverified = LeaseSet2::parse(&bytes).ok()?;
        let ls = unverified.peek();
        let fresh = ls.expires() > now.wall
            && ls.published() <= now.wall + limits::CLOCK_TOLERANCE
            && ls.published() <= ls.expires();
        if ls.x25519_key() != Some(peer.0) || !fresh {
            return None;
        }
        let mut known = self.remotes.get_mut(&ls.hash());
        let old = known.as_ref().and_then(|r| r.lease_set.as_ref());
        if old.is_some_and(|old| old.published() >= ls.published()) {
            return None;
        }
        let soon = known
            .as_ref()
            .and_then(|r| r.checked)
            .is_some_and(|at| now.mono.since(at) < CHECK_GAP);
        let met = known.as_ref().is_some_and(|r| r.wanted);
        if soon || !met && !self.checks.take(now.mono) {
            self.counts.metered += 1;
            return None;
        }
        if let Some(remote) = &mut known {
            remote.checked = Some(now.mono);
        }
        unverified.verify().ok()
    }

    fn handle_data_clove(
        &mut self,
        now: Now,
        rng: &mut Rng,
        peer: PeerKey,
        clove: &Clove,
        budget: &mut usize,
    ) {
        let ours = match clove.delivery {
            Delivery::Local => true,
            Delivery::Destination(h) => h == self.hash(),
            Delivery::Router(_) | Delivery::Tunnel(..) => false,
        };
        if !ours || clove.message.kind != kind::DATA || self.by_key.of(&peer).is_empty() {
            return;
        }
        let Some(packed) = data_of(&clove.message.body) else {
            return;
        };
        if Envelope::protocol_of(packed) != Some(STREAMING) {
            return;
        }
        if *budget == 0 {
            self.counts.metered += 1;
            return;
        }
        let Ok(envelope) = Envelope::parse_within(packed, *budget) else {
            // What did not fit was unpacked up to there.
            *budget = 0;
            return;
        };
        *budget = budget.saturating_sub(envelope.payload.len().max(limits::INFLATED_LEAST));
        let Some(from) = self.sender(peer, &envelope.payload) else {
            return;
        };
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

impl LocalDest {
    /// Of those that claim the key, the one whose stream the packet is of: nobody else knows its
    /// numbers. That shows whose key it is, too.
    fn sender(&mut self, peer: PeerKey, packet: &[u8]) -> Option<DestHash> {
        let claims = self.by_key.of(&peer);
        let of_stream = self.streams.whose(packet);
        let known = of_stream.filter(|p| claims.len() > 1 && claims.contains(p));
        if let Some(known) = known {
            self.by_key.prove(peer, known);
            return Some(known);
        }
        claims.first().copied()
    }
}

/// What the body of a Data message holds.
fn data_of(body: &[u8]) -> Option<&[u8]> {
    let mut r = Reader::new(body);
    let n = r.u32("Data.length").ok()? as usize;
    let payload = r.take(n, "Data.payload").ok()?;
    r.finish("Data").ok()?;
    Some(payload)
}
