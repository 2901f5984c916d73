//! What a local destination sends: which messages go, what is bundled, along which path.

use super::{DestOutput, LocalDest, MESSAGE_LIFE, RENEW, RETRY, TRIES_MAX};
use crate::dest::path::Path;
use crate::garlic::clove::{Block, Clove, Delivery};
use crate::garlic::ratchet::{PeerKey, SentKind, SessionState};
use crate::limits;
use crate::rng::Rng;
use crate::time::Now;
use crate::tunnel::OutboundInfo;
use crate::wire::cursor::Writer;
use crate::wire::hash::{DestHash, MessageId};
use crate::wire::i2np::store::DatabaseStore;
use crate::wire::i2np::{Message, kind};
use crate::wire::lease_set2::LeaseSet2;
use core::time::Duration;
use std::sync::Arc;

impl LocalDest {
    /// Sends what waits for one remote as far as its session allows.
    pub(super) fn flush(
        &mut self,
        now: Now,
        rng: &mut Rng,
        hash: DestHash,
        outbound: &[OutboundInfo],
    ) {
        let Some(remote) = self.remotes.get_mut(&hash) else {
            return;
        };
        let due = remote.retry_at.is_some_and(|t| t <= now.mono);
        if remote.waiting.is_empty() && !due && !remote.misled {
            return;
        }
        let left = remote
            .lease_set
            .as_ref()
            .map_or(Duration::ZERO, |l| l.life_left(now.wall));
        if left < RENEW && !remote.looking {
            remote.looking = true;
            self.outputs.push_back(DestOutput::Lookup(hash));
        }
        let key = remote.lease_set.as_ref().and_then(|ls| ls.x25519_key());
        let (Some(key), Some(_)) = (key, self.leases.current()) else {
            return;
        };
        let peer = PeerKey(key);
        match self.ratchets.state(&peer) {
            SessionState::None => self.send_first(now, rng, hash, &peer, outbound),
            SessionState::Pending { .. } if due => {
                self.send_first(now, rng, hash, &peer, outbound);
            }
            SessionState::Pending { .. } => {}
            SessionState::Owes | SessionState::Established => {
                self.send_waiting(now, rng, hash, &peer, outbound);
                self.correct(now, rng, hash, &peer, outbound);
            }
        }
    }

    /// A New Session with our LeaseSet and the first message. The message stays queued: the
    /// answer to the session shows that it arrived.
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
        if remote.tries >= TRIES_MAX {
            (remote.tries, remote.retry_at) = (0, None);
            remote.waiting.clear();
            self.outputs.push_back(DestOutput::Unreachable(hash));
            return;
        }
        if remote.tries > 0
            && let Some(path) = remote.paths.give_up(now)
        {
            self.outputs.push_back(DestOutput::PathFailed(path));
        }
        let Some(first) = remote.waiting.front().cloned() else {
            remote.retry_at = None;
            return;
        };
        let Some(path) = remote.choose_path(now, rng, outbound) else {
            return;
        };
        remote.tries += 1;
        remote.retry_at = Some(now.mono + RETRY + RETRY / 3 * remote.tries.min(6));
        let ours = self.leases.current().cloned();
        let blocks = blocks(now, rng, hash, ours.as_deref(), Some(&first.envelope));
        self.seal(now, rng, peer, &blocks, ours.as_deref(), hash, path);
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
        let owes = self.ratchets.state(peer) == SessionState::Owes;
        let mut budget = if owes {
            limits::REPLIES_PER_TURN
        } else {
            usize::MAX
        };
        while budget > 0 {
            budget -= 1;
            let Some(remote) = self.remotes.get_mut(&hash) else {
                return;
            };
            remote.retry_at = None;
            if remote.waiting.is_empty() {
                return;
            }
            let Some(path) = remote.choose_path(now, rng, outbound) else {
                return;
            };
            let Some(next) = remote.waiting.pop_front() else {
                return;
            };
            let ours = self
                .leases
                .current()
                .filter(|ls| remote.needs_telling(now, ls))
                .cloned();
            let blocks = blocks(now, rng, hash, ours.as_deref(), Some(&next.envelope));
            self.seal(now, rng, peer, &blocks, ours.as_deref(), hash, path);
        }
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
        let established = self.ratchets.state(peer) == SessionState::Established;
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
        let ours = Arc::clone(ours);
        let blocks = blocks(now, rng, hash, Some(&ours), None);
        self.seal(now, rng, peer, &blocks, Some(&ours), hash, path);
    }

    /// Sends what the ratchet itself owes: acknowledgements, next keys, a first reply.
    pub(super) fn reply(
        &mut self,
        now: Now,
        rng: &mut Rng,
        peer: &PeerKey,
        outbound: &[OutboundInfo],
    ) {
        let Some(hash) = self.by_key.get(peer).copied() else {
            return;
        };
        let Some(remote) = self.remotes.get_mut(&hash) else {
            return;
        };
        let Some(path) = remote.choose_path(now, rng, outbound) else {
            return;
        };
        self.seal(now, rng, peer, &[], None, hash, path);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one message with everything that goes into it"
    )]
    fn seal(
        &mut self,
        now: Now,
        rng: &mut Rng,
        peer: &PeerKey,
        blocks: &[Block],
        ours: Option<&LeaseSet2>,
        hash: DestHash,
        path: Path,
    ) {
        let Ok(sealed) = self.ratchets.seal(now, rng, peer, blocks, ours.is_some()) else {
            return;
        };
        self.counts.messages += u64::from(sealed.kind == SentKind::Existing);
        self.counts.new_sessions += u64::from(sealed.kind == SentKind::NewSession);
        if let (Some(ours), Some(remote)) = (ours, self.remotes.get_mut(&hash)) {
            remote.telling(now, ours, sealed.ack);
        }
        let id = MessageId(rng.nonzero_u32());
        let message = crate::garlic::to_message(&sealed.content, id, now.wall + MESSAGE_LIFE);
        self.outputs.push_back(DestOutput::Send { path, message });
    }
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
