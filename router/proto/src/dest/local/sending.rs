//! What a local destination sends: which messages go, what is bundled, along which path.

use super::{DestOutput, LocalDest, MESSAGE_LIFE, NO_WAY, RENEW, SILENCE, TRIES_MAX, TURN};
use crate::dest::path::Path;
use crate::dest::remote::Remote;
use crate::garlic::clove::{Block, Clove, Delivery};
use crate::garlic::ratchet::{PeerKey, SentKind, SessionState};
use crate::limits;
use crate::rng::Rng;
use crate::time::{Instant, Now};
use crate::tunnel::OutboundInfo;
use crate::wire::cursor::Writer;
use crate::wire::hash::{DestHash, MessageId};
use crate::wire::i2np::store::DatabaseStore;
use crate::wire::i2np::{Message, kind};
use crate::wire::lease_set2::LeaseSet2;
use core::time::Duration;
use std::sync::Arc;

/// One message on its way to the ratchet.
struct Letter<'a> {
    to: DestHash,
    peer: &'a PeerKey,
    path: Path,
    /// Our LeaseSet, when it goes along.
    ours: Option<Arc<LeaseSet2>>,
    envelope: Option<&'a [u8]>,
    /// As a New Session although there is a session.
    afresh: bool,
}

impl LocalDest {
    /// Sends what waits for one remote as far as its session allows, and says when to look again.
    pub(super) fn flush(
        &mut self,
        now: Now,
        rng: &mut Rng,
        hash: DestHash,
        outbound: &[OutboundInfo],
    ) {
        self.flush_now(now, rng, hash, outbound);
        let again = self.remotes.get(&hash).and_then(|r| r.retry_at);
        self.agenda.arm(hash, again);
    }

    fn flush_now(&mut self, now: Now, rng: &mut Rng, hash: DestHash, outbound: &[OutboundInfo]) {
        let Some(remote) = self.remotes.get_mut(&hash) else {
            return;
        };
        remote.drop_stale(now);
        if remote.waiting.is_empty() && !remote.misled {
            remote.retry_at = None;
            return;
        }
        let left = remote.lease_set.as_ref();
        let left = left.map_or(Duration::ZERO, |l| l.life_left(now.wall));
        if left < RENEW && remote.looks_again(now) {
            self.outputs.push_back(DestOutput::Lookup(hash));
        }
        let key = remote.lease_set.as_ref().and_then(|ls| ls.x25519_key());
        let (Some(key), Some(_)) = (key, self.leases.current()) else {
            // Both come with a call that wakes the remote.
            remote.retry_at = None;
            return;
        };
        let due = remote.retry_at.is_none_or(|t| t <= now.mono);
        let peer = PeerKey(key);
        match self.ratchets.state(now, &peer) {
            SessionState::None | SessionState::Pending { .. } if due => {
                self.send_first(now, rng, hash, &peer, outbound);
            }
            SessionState::None | SessionState::Pending { .. } => {}
            SessionState::Owes | SessionState::Established => {
                remote.retry_at = None;
                remote.tries = 0;
                self.send_waiting(now, rng, hash, &peer, outbound);
                self.correct(now, rng, hash, &peer, outbound);
            }
        }
    }

    /// A New Session with our LeaseSet and a message. The message stays queued: the answer to the
    /// session shows that it arrived.
    fn send_first(
        &mut self,
        now: Now,
        rng: &mut Rng,
        hash: DestHash,
        peer: &PeerKey,
        outbound: &[OutboundInfo],
    ) {
        let Some(remote) = self.remotes.get_mut(&hash) else {
            return;
        };
        remote.retry_at = None;
        if remote.tries >= TRIES_MAX {
            remote.tries = 0;
            remote.waiting.clear();
            self.outputs.push_back(DestOutput::Unreachable(hash));
            return;
        }
        if remote.tries > 0 {
            self.give_up_path(now, hash, true);
        }
        let Some(remote) = self.remotes.get_mut(&hash) else {
            return;
        };
        if remote.waiting.is_empty() {
            return;
        }
        let Some(path) = way(remote, now, rng, outbound) else {
            return;
        };
        let Some(next) = remote.take_turn(now) else {
            return;
        };
        let letter = Letter {
            to: hash,
            peer,
            path,
            ours: self.leases.current().cloned(),
            envelope: Some(&next.envelope),
            afresh: false,
        };
        self.seal(now, rng, letter);
    }

    fn send_waiting(
        &mut self,
        now: Now,
        rng: &mut Rng,
        hash: DestHash,
        peer: &PeerKey,
        outbound: &[OutboundInfo],
    ) {
        // A reply to a New Session costs two key agreements: the rest waits for the session.
        let owes = self.ratchets.state(now, peer) == SessionState::Owes;
        let mut budget = if owes {
            limits::REPLIES_PER_TURN
        } else {
            usize::MAX
        };
        loop {
            let afresh = !owes && self.begins_afresh(now, hash);
            let Some(remote) = self.remotes.get_mut(&hash) else {
                return;
            };
            if remote.waiting.is_empty() {
                return;
            }
            if budget == 0 {
                remote.retry_at = Some(now.mono + TURN);
                return;
            }
            budget -= 1;
            let Some(path) = way(remote, now, rng, outbound) else {
                return;
            };
            let Some(next) = remote.waiting.pop_front() else {
                return;
            };
            let ours = self.leases.current();
            let ours = ours.filter(|ls| afresh || remote.needs_telling(now, ls));
            let letter = Letter {
                to: hash,
                peer,
                path,
                ours: ours.cloned(),
                envelope: Some(&next.envelope),
                afresh,
            };
            self.seal(now, rng, letter);
        }
    }

    /// Whether the next message goes as a New Session because the session is in doubt. Each second
    /// one tries another path; of a remote that is not heard of, each.
    fn begins_afresh(&mut self, now: Now, hash: DestHash) -> bool {
        let Some(remote) = self.remotes.get_mut(&hash) else {
            return false;
        };
        if remote.waiting.is_empty() {
            return false;
        }
        let Some(before) = remote.doubt.takes_afresh(now.mono) else {
            return false;
        };
        let silent = remote.is_silent(now, SILENCE);
        if before > 0 && (before % 2 == 0 || silent) {
            self.give_up_path(now, hash, false);
        }
        if silent {
            self.outputs.push_back(DestOutput::Unheard);
        }
        true
    }

    /// Tells a remote of our new LeaseSet when it may be talking to a tunnel that is dead, unless
    /// it has just been told.
    fn correct(
        &mut self,
        now: Now,
        rng: &mut Rng,
        hash: DestHash,
        peer: &PeerKey,
        outbound: &[OutboundInfo],
    ) {
        let established = self.ratchets.state(now, peer) == SessionState::Established;
        let (Some(remote), Some(ours)) = (self.remotes.get_mut(&hash), self.leases.current())
        else {
            return;
        };
        let misled = core::mem::take(&mut remote.misled);
        if !misled || !established || !remote.needs_telling(now, ours) {
            return;
        }
        let Some(path) = remote.choose_path(now, rng, outbound) else {
            return;
        };
        let letter = Letter {
            to: hash,
            peer,
            path,
            ours: Some(Arc::clone(ours)),
            envelope: None,
            afresh: false,
        };
        self.seal(now, rng, letter);
    }

    /// Sends what the ratchet itself owes: acknowledgements, next keys, a first reply.
    pub(super) fn reply(
        &mut self,
        now: Now,
        rng: &mut Rng,
        peer: &PeerKey,
        outbound: &[OutboundInfo],
    ) {
        let Some(hash) = self.by_key.of(peer).first().copied() else {
            return;
        };
        let Some(remote) = self.remotes.get_mut(&hash) else {
            return;
        };
        let Some(path) = remote.choose_path(now, rng, outbound) else {
            return;
        };
        let letter = Letter {
            to: hash,
            peer,
            path,
            ours: None,
            envelope: None,
            afresh: false,
        };
        self.seal(now, rng, letter);
    }

    fn seal(&mut self, now: Now, rng: &mut Rng, letter: Letter<'_>) {
        let Letter { to, peer, path, .. } = letter;
        let ours = letter.ours.as_deref();
        let remote = self.remotes.get(&to);
        // What is owed is no reason to owe more.
        let ask = letter.envelope.is_some() && remote.is_some_and(|r| r.doubt.wants_ack(now.mono));
        let blocks = blocks(now, rng, to, ours, letter.envelope);
        let sealed = if letter.afresh {
            self.ratchets.seal_afresh(now, rng, peer, &blocks)
        } else {
            let want_ack = ask || ours.is_some();
            self.ratchets.seal(now, rng, peer, &blocks, want_ack)
        };
        let Ok(sealed) = sealed else {
            return;
        };
        self.counts.messages += u64::from(sealed.kind == SentKind::Existing);
        self.counts.new_sessions += u64::from(sealed.kind == SentKind::NewSession);
        if let Some(remote) = self.remotes.get_mut(&to) {
            if letter.envelope.is_some() {
                remote.unheard.get_or_insert(now.mono);
            }
            if let Some(ack) = sealed.ack {
                remote.doubt.asked(now.mono, ack);
            }
            if let Some(ours) = ours {
                remote.telling(now, ours, sealed.ack);
            }
        }
        let id = MessageId(rng.nonzero_u32());
        let message = crate::garlic::to_message(&sealed.content, id, now.wall + MESSAGE_LIFE);
        self.outputs.push_back(DestOutput::Send { path, message });
    }
}

/// The way that the next message takes. Without one the remote is looked at again a little later,
/// or when there are other tunnels.
fn way(remote: &mut Remote, now: Now, rng: &mut Rng, outbound: &[OutboundInfo]) -> Option<Path> {
    let path = remote.choose_path(now, rng, outbound);
    remote.blocked = path.is_none();
    if remote.blocked {
        let at: Instant = now.mono + NO_WAY;
        remote.retry_at = Some(at);
    }
    path
}

/// The blocks of one message: our LeaseSet first, so that the remote knows us before the data.
fn blocks(
    now: Now,
    rng: &mut Rng,
    to: DestHash,
    ours: Option<&LeaseSet2>,
    envelope: Option<&[u8]>,
) -> Vec<Block> {
    let expires = now.wall + MESSAGE_LIFE;
    let mut out = Vec::with_capacity(2);
    if let Some(ls) = ours {
        let store = DatabaseStore::lease_set2(ls, None);
        if let Ok(message) = store.to_message(MessageId(rng.nonzero_u32()), expires) {
            out.push(Block::Clove(Clove {
                delivery: Delivery::Local,
                message,
            }));
        }
    }
    if let Some(envelope) = envelope {
        let mut w = Writer::with_capacity(4 + envelope.len());
        w.u32(envelope.len() as u32).put(envelope);
        let id = MessageId(rng.nonzero_u32());
        let message = Message {
            kind: kind::DATA,
            id,
            expires,
            body: w.into_vec(),
        };
        out.push(Block::Clove(Clove {
            delivery: Delivery::Destination(to),
            message,
        }));
    }
    out
}
