//! ECIES-X25519-AEAD-Ratchet: the end-to-end sessions of one local destination
//! (i2p spec/ecies; encryption type 4).
//!
//! [`Ratchets`] seals blocks for peers and opens what arrives for the destination: New Session
//! (NS), New Session Reply (NSR) and Existing Session (ES) messages. It neither routes cloves nor
//! decides when to send again; [`SessionState`] is what the caller decides by.
//!
//! # Rules for the caller
//! - Until the state is [`SessionState::Established`] or [`SessionState::Owes`] every seal is a
//!   fresh NS: send one with as much data as fits, and retry after seconds, not per packet.
//! - An NS carries our LeaseSet2 (which publishes the key of these ratchets) before any data.
//! - The peer of an NS has proved its static key, not its destination: before answering, check that
//!   the LeaseSet2 of the destination publishes that key.
//! - After [`Ratchets::handle_timeout`] drain [`Ratchets::wants_reply`], or the deadline stays in
//!   the past. [`Ratchets::wants_reply`] names peers that wait for a message although there was
//!   no data.

pub mod inbound;
pub mod new_session;
pub mod next_key;
mod open;
mod payload;
pub mod peer;
pub mod replay;
pub mod session;
pub mod tagset;
mod types;

#[cfg(test)]
mod tests;

use self::inbound::{Inbound, Owner};
use self::new_session::{Ephemeral, Pair};
use self::peer::{Got, Peer, Reply, Sent};
use self::replay::{Meter, Replay};
use self::session::Session;
use super::clove::Block;
use crate::crypto::x25519::PrivateKey;
use crate::limits;
use crate::rng::Rng;
use crate::time::{Instant, Now};
use core::time::Duration;
use std::collections::BTreeMap;

pub use self::peer::PeerKey;
pub use self::types::{AckId, OpenError, Opened, SealError, Sealed, SentKind, SessionState, Stats};

/// Random padding of a handshake message, at most.
const HANDSHAKE_PADDING: usize = 31;
/// Bytes of an NSR around its payload: tag, ephemeral key, two MACs.
const REPLY_AROUND: usize = 8 + 32 + 16 + 16;
/// How long an acknowledgement or a reverse key waits for data to travel with.
const ACK_DELAY: Duration = Duration::from_millis(200);
/// How long the answer to a handshake message waits for data to travel with.
const ANSWER_DELAY: Duration = Duration::from_secs(1);
/// Time between searches for what is over.
const SWEEP: Duration = Duration::from_secs(10);

/// All ratchet sessions of one destination.
pub struct Ratchets {
    key: PrivateKey,
    inbound: Inbound,
    peers: BTreeMap<PeerKey, Peer>,
    /// When a peer is due a message even without data.
    owed: BTreeMap<PeerKey, Instant>,
    replay: Replay,
    meter: Meter,
    /// Numbers New Sessions and sessions.
    last: u32,
    acks: u64,
    clock: Instant,
    swept: Instant,
    counts: Stats,
    /// As i2pd and Java do: a New Session begins no other session while there is one that is
    /// younger than this.
    #[cfg(test)]
    pub(crate) keeps: Duration,
}

impl Ratchets {
    /// No sessions. `key` belongs to the public key of the destination's LeaseSet2; one of a
    /// client destination is new at every start.
    #[must_use]
    pub fn new(key: PrivateKey) -> Self {
        Self {
            key,
            inbound: Inbound::default(),
            peers: BTreeMap::new(),
            owed: BTreeMap::new(),
            replay: Replay::default(),
            meter: Meter::default(),
            last: 0,
            acks: 0,
            clock: Instant::default(),
            swept: Instant::default(),
            counts: Stats::default(),
            #[cfg(test)]
            keeps: Duration::ZERO,
        }
    }

    /// The public key for the LeaseSet2.
    #[must_use]
    pub const fn public(&self) -> &[u8; 32] {
        self.key.public()
    }

    /// How things stand with a peer.
    #[must_use]
    pub fn state(&self, now: Now, peer: &PeerKey) -> SessionState {
        let Some(p) = self.peers.get(peer) else {
            return SessionState::None;
        };
        if p.got.iter().any(|g| g.wants_reply(now.mono)) {
            return SessionState::Owes;
        }
        if p.current(now.mono, self.is_lower(peer)).is_some() {
            return SessionState::Established;
        }
        let mut open = p.sent.iter().filter(|s| !s.answered);
        match open.next() {
            Some(first) => SessionState::Pending {
                since: first.at,
                sent: 1 + open.count() as u32,
            },
            None => SessionState::None,
        }
    }

    /// Whether `tag` is expected: the message is certainly for this destination.
    #[must_use]
    pub fn knows_tag(&self, tag: &[u8; 8]) -> bool {
        self.inbound.find(tag).is_some()
    }

    /// Seals blocks for the peer. Cloves are taken, and in an ES DateTime and Termination; all
    /// other blocks are added here as needed. `want_ack` asks for an acknowledgement, which only
    /// an ES can.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn seal(
        &mut self,
        now: Now,
        rng: &mut Rng,
        peer: &PeerKey,
        blocks: &[Block],
        want_ack: bool,
    ) -> Result<Sealed, SealError> {
        self.clock = now.mono;
        let lower = self.is_lower(peer);
        let p = self.peers.get_mut(peer);
        let (reply, session) = p.map_or((false, None), |p| {
            p.used = now.mono;
            let reply = p.reply_due(now.mono).is_some();
            (reply, p.next(now.mono, lower, want_ack))
        });
        let sealed = if reply {
            self.seal_reply(now, rng, peer, blocks)
        } else if let Some(i) = session {
            self.seal_existing(now, rng, peer, i, blocks, want_ack)
        } else {
            self.seal_new(now, rng, peer, blocks)
        }?;
        self.owed.remove(peer);
        self.counts.sealed += 1;
        Ok(sealed)
    }

    /// Seals blocks as an NS although there may be a session: the peer seems to have lost it. The
    /// session stays, and is sent with until the NS is answered.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn seal_afresh(
        &mut self,
        now: Now,
        rng: &mut Rng,
        peer: &PeerKey,
        blocks: &[Block],
    ) -> Result<Sealed, SealError> {
        self.clock = now.mono;
        let sealed = self.seal_new(now, rng, peer, blocks)?;
        self.counts.sealed += 1;
        Ok(sealed)
    }

    fn seal_new(
        &mut self,
        now: Now,
        rng: &mut Rng,
        peer: &PeerKey,
        blocks: &[Block],
    ) -> Result<Sealed, SealError> {
        let mut all = vec![Block::DateTime(now.wall.secs_u32_rounded())];
        all.extend(payload::of_handshake(blocks));
        let around = new_session::NEW_SESSION_MIN;
        let payload = payload::assemble(&all, HANDSHAKE_PADDING, around, rng)?;
        let ephemeral = Ephemeral::random(rng);
        let sealed = new_session::seal(&self.key, &peer.0, &ephemeral, &payload);
        let (content, noise) = sealed.ok_or(SealError::BadKey)?;
        self.admit(*peer, now.mono);
        self.bound_sent();
        let id = self.number();
        let tags = new_session::reply_tags(&noise);
        let window = limits::RATCHET_REPLIES_EXPECTED;
        let owner = Owner::Sent(*peer, id);
        let set = self.inbound.insert(tags, owner, window, false);
        let sent = Sent {
            id,
            at: now.mono,
            answered: false,
            noise,
            ephemeral: ephemeral.key,
            set,
        };
        if let Some(p) = self.peers.get_mut(peer) {
            p.add_sent(sent, &mut self.inbound);
        }
        Ok(Sealed {
            content,
            kind: SentKind::NewSession,
            ack: None,
        })
    }

    fn seal_reply(
        &mut self,
        now: Now,
        rng: &mut Rng,
        peer: &PeerKey,
        blocks: &[Block],
    ) -> Result<Sealed, SealError> {
        let all: Vec<Block> = payload::of_handshake(blocks).collect();
        let payload = payload::assemble(&all, HANDSHAKE_PADDING, REPLY_AROUND, rng)?;
        let peer_state = self.peers.get_mut(peer);
        let due = peer_state.and_then(|p| p.reply_due(now.mono));
        let got = due.ok_or(SealError::Exhausted)?;
        let (_, tag) = got.tags.next_tag().ok_or(SealError::Exhausted)?;
        let ephemeral = Ephemeral::random(rng);
        let alice = (&got.ephemeral, &peer.0);
        let sealed = new_session::seal_reply(&got.noise, alice, &tag, &ephemeral, &payload);
        let (content, Pair { ab, ba }) = sealed.ok_or(SealError::BadKey)?;
        let owner = Owner::Reply(*peer, got.id);
        let window = limits::RATCHET_WINDOW_MIN;
        let set = self.inbound.insert(ab, owner, window, true);
        got.replies.push(Reply { set, out: ba });
        Ok(Sealed {
            content,
            kind: SentKind::NewSessionReply,
            ack: None,
        })
    }

    fn seal_existing(
        &mut self,
        now: Now,
        rng: &mut Rng,
        peer: &PeerKey,
        session: usize,
        blocks: &[Block],
        want_ack: bool,
    ) -> Result<Sealed, SealError> {
        let p = self.peers.get_mut(peer);
        let session = p.and_then(|p| p.sessions.get_mut(session));
        let session = session.ok_or(SealError::Exhausted)?;
        let ack = want_ack.then_some(AckId(self.acks));
        let content = session.seal(now.mono, rng, blocks, ack)?;
        self.acks += u64::from(want_ack);
        Ok(Sealed {
            content,
            kind: SentKind::Existing,
            ack,
        })
    }

    /// A peer that waits for a message for which no data came along: an acknowledgement, a next
    /// key, the answer to a handshake message. Seal it a message, if need be without cloves. Each
    /// peer is named once per cause, when [`Self::deadline`] has passed.
    pub fn wants_reply(&mut self) -> Option<PeerKey> {
        let due = self.owed.iter().find(|(_, due)| **due <= self.clock);
        let peer = *due?.0;
        self.owed.remove(&peer);
        Some(peer)
    }

    /// The time has come to `now`: forgets what is over, makes [`Self::wants_reply`] answer.
    pub fn handle_timeout(&mut self, now: Now) {
        self.clock = now.mono;
        if now.mono.since(self.swept) < SWEEP {
            return;
        }
        self.swept = now.mono;
        self.replay.expire(now.mono);
        let (inbound, owed) = (&mut self.inbound, &mut self.owed);
        self.peers.retain(|key, peer| {
            peer.expire(now.mono, inbound);
            let keep = !peer.is_empty();
            if !keep {
                owed.remove(key);
            }
            keep
        });
    }

    /// When [`Self::handle_timeout`] has to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let idle = self.peers.is_empty() && self.replay.count() == 0;
        let sweep = (!idle).then(|| self.swept + SWEEP);
        let due = self.owed.values().min().copied();
        sweep.into_iter().chain(due).min()
    }

    /// Forgets the peer altogether; what it still sends to old sessions is not opened.
    pub fn forget(&mut self, peer: &PeerKey) {
        if let Some(mut p) = self.peers.remove(peer) {
            p.close(&mut self.inbound);
        }
        self.owed.remove(peer);
    }

    /// What is held and what happened.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (tags, sets, skipped_keys) = self.inbound.counts();
        let peer = |p: &Peer| {
            size_of::<(PeerKey, Peer)>()
                + p.sessions.capacity() * size_of::<Session>()
                + p.sent.capacity() * size_of::<Sent>()
                + p.got.capacity() * size_of::<Got>()
                + p.got.iter().map(|g| g.replies.capacity()).sum::<usize>() * size_of::<Reply>()
        };
        let peers = self.peers.values().map(peer).sum::<usize>();
        Stats {
            peers: self.peers.len(),
            sessions: self.peers.values().map(|p| p.sessions.len()).sum(),
            tags,
            sets,
            skipped_keys,
            replay_keys: self.replay.count(),
            bytes: self.inbound.bytes() + peers + self.replay.count() * 16,
            ..self.counts
        }
    }

    fn is_lower(&self, peer: &PeerKey) -> bool {
        *self.key.public() < peer.0
    }

    fn number(&mut self) -> u32 {
        self.last = self.last.wrapping_add(1);
        self.last
    }

    fn owe(&mut self, peer: PeerKey, due: Instant) {
        let at = self.owed.entry(peer).or_insert(due);
        *at = due.min(*at);
    }

    /// Makes room for a peer. Strangers, who have only sent an NS, give way among themselves, so
    /// that a flood of them costs no session; else the least recently used peer goes.
    fn admit(&mut self, peer: PeerKey, now: Instant) {
        if !self.peers.contains_key(&peer) {
            let stranger = |p: &Peer| p.sessions.is_empty() && p.sent.is_empty();
            let strangers = self.peers.values().filter(|p| stranger(p)).count();
            let only = strangers >= limits::RATCHET_STRANGERS_MAX;
            if only || self.peers.len() >= limits::RATCHET_PEERS_MAX {
                let all = self.peers.iter().filter(|(_, p)| !only || stranger(p));
                if let Some(victim) = all.min_by_key(|(_, p)| p.used).map(|(k, _)| *k) {
                    self.forget(&victim);
                    self.counts.evicted += 1;
                }
            }
        }
        self.peers.entry(peer).or_default().used = now;
    }

    /// Keeps one place free among the New Sessions of ours.
    fn bound_sent(&mut self) {
        let total: usize = self.peers.values().map(|p| p.sent.len()).sum();
        if total < limits::RATCHET_SENT_MAX {
            return;
        }
        let first = |p: &&mut Peer| p.sent.first().map(|s| s.at);
        let peers = self.peers.values_mut().filter(|p| !p.sent.is_empty());
        if let Some(p) = peers.min_by_key(first) {
            p.drop_oldest_sent(&mut self.inbound);
        }
    }
}
