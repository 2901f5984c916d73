//! One session: Existing Session messages of both directions under their tag sets, with
//! acknowledgements and next keys (i2p spec/ecies, sections 1h and 4a).

use super::inbound::{Inbound, Owner, SetId};
use super::next_key::{Receiving, Sending};
use super::payload;
use super::peer::PeerKey;
use super::tagset::{Entry, TagSet};
use super::{AckId, SealError};
use crate::crypto::aead;
use crate::crypto::x25519::PrivateKey;
use crate::garlic::clove::{Block, NextKey};
use crate::limits;
use crate::rng::Rng;
use crate::secret::Secret;
use crate::time::Instant;
use std::collections::VecDeque;

/// Tag, then the MAC behind the payload.
const AROUND: usize = 8 + aead::TAG;
/// Random padding of a message, at most.
const PADDING: usize = 15;
/// Acknowledgements in one block.
const ACKS_MAX: usize = 64;

struct Expected {
    id: SetId,
    /// The set before the one in use dies.
    dies: Option<Instant>,
}

/// Seals a payload as the message of this entry.
#[must_use]
pub fn seal_entry(entry: &Entry, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(AROUND + payload.len());
    out.extend_from_slice(&entry.tag);
    let sealed = aead::seal(entry.key.expose(), u64::from(entry.n), &entry.tag, payload);
    out.extend_from_slice(&sealed);
    out
}

/// Opens the message `n` of a set under its key.
#[must_use]
pub fn open_entry(key: &Secret<32>, n: u16, content: &[u8]) -> Option<Vec<u8>> {
    let (tag, sealed) = content.split_first_chunk::<8>()?;
    aead::open(key.expose(), u64::from(n), tag, sealed)
}

/// The state of one session.
pub struct Session {
    id: u32,
    alice: bool,
    created: Instant,
    sent: Instant,
    received: Instant,
    /// Messages sent since something was received, and when the first of them was.
    unanswered: (u32, Instant),
    superseded: Option<Instant>,
    ended: bool,
    out: TagSet,
    sets: Vec<Expected>,
    sending: Sending,
    receiving: Receiving,
    asked: VecDeque<(u16, u16, AckId)>,
    owed: VecDeque<(u16, u16)>,
}

/// Which message of a session was opened, and when.
pub struct At {
    /// Now.
    pub now: Instant,
    /// The peer.
    pub peer: PeerKey,
    /// The set its tag is of.
    pub set: SetId,
    /// Its number.
    pub n: u16,
}

impl Session {
    /// A session that sends with `out` and receives with the set `inbound`. `alice`: we began it.
    #[must_use]
    pub fn new(id: u32, alice: bool, now: Instant, out: TagSet, inbound: SetId) -> Self {
        let set = Expected {
            id: inbound,
            dies: None,
        };
        Self {
            id,
            alice,
            created: now,
            sent: now,
            received: now,
            unanswered: (0, now),
            superseded: None,
            ended: false,
            out,
            sets: vec![set],
            sending: Sending::default(),
            receiving: Receiving::default(),
            asked: VecDeque::new(),
            owed: VecDeque::new(),
        }
    }

    /// Its number, from one counter with New Sessions: a higher one is younger.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Whether we began it.
    #[must_use]
    pub const fn is_alice(&self) -> bool {
        self.alice
    }

    /// When it began.
    #[must_use]
    pub const fn created(&self) -> Instant {
        self.created
    }

    /// When a message of it was last opened, at first when it began.
    #[must_use]
    pub const fn received(&self) -> Instant {
        self.received
    }

    /// Whether messages of ours got no answer although the peer was there at `heard`.
    #[must_use]
    pub fn is_silent(&self, heard: Instant) -> bool {
        let (n, since) = self.unanswered;
        n >= limits::RATCHET_UNANSWERED && since + limits::RATCHET_SILENT <= heard
    }

    /// A younger session takes its place. It is opened for some time, and as long as the peer
    /// goes on using it.
    pub fn supersede(&mut self, now: Instant) {
        self.superseded.get_or_insert(now);
    }

    /// Whether a younger session took its place.
    #[must_use]
    pub const fn is_superseded(&self) -> bool {
        self.superseded.is_some()
    }

    /// Whether it may be sent with. One that the peer uses stays usable as long as the peer can
    /// still expect our tags.
    #[must_use]
    pub fn is_sendable(&self, now: Instant) -> bool {
        let idle = if now.since(self.received) <= limits::RATCHET_SILENT {
            limits::RATCHET_RECEIVE_IDLE
        } else {
            limits::RATCHET_SEND_IDLE
        };
        !self.ended
            && !self.out.is_exhausted()
            && now.since(self.sent) <= idle
            && now.since(self.received) <= limits::RATCHET_RECEIVE_IDLE
    }

    /// Whether an acknowledgement or a reverse key waits to be sent.
    #[must_use]
    pub fn owes(&self) -> bool {
        !self.owed.is_empty() || self.receiving.block().is_some()
    }

    /// Whether it is over at `now`; the caller then calls [`Self::close`].
    #[must_use]
    pub fn is_over(&self, now: Instant) -> bool {
        let idle = now.since(self.received.max(self.sent)) > limits::RATCHET_RECEIVE_IDLE;
        let unused = self
            .superseded
            .is_some_and(|at| now.since(at.max(self.received)) > limits::RATCHET_OLD_SET_LIFE);
        idle || unused
    }

    /// Expects nothing more.
    pub fn close(&mut self, inbound: &mut Inbound) {
        for set in self.sets.drain(..) {
            inbound.remove(set.id);
        }
    }

    /// Forgets tag sets whose time is over.
    pub fn expire(&mut self, now: Instant, inbound: &mut Inbound) {
        self.sets.retain(|set| {
            let keep = set.dies.is_none_or(|at| now < at);
            if !keep {
                inbound.remove(set.id);
            }
            keep
        });
    }

    /// Seals a message; `ack` asks for an acknowledgement under that id.
    pub fn seal(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        blocks: &[Block],
        ack: Option<AckId>,
    ) -> Result<Vec<u8>, SealError> {
        if self.out.tags() >= limits::RATCHET_NEXT_KEY_AT {
            self.sending.start(&self.out, || PrivateKey::random(rng));
        }
        let mut all = Vec::with_capacity(blocks.len() + 4);
        if ack.is_some() {
            all.push(Block::AckRequest);
        }
        if !self.owed.is_empty() {
            all.push(Block::Ack(self.owed.iter().copied().collect()));
        }
        let keys = [self.sending.block(), self.receiving.block()];
        all.extend(keys.into_iter().flatten().map(Block::NextKey));
        all.extend(payload::of_session(blocks));
        let payload = payload::assemble(&all, PADDING, AROUND, rng)?;
        let set = self.out.id();
        let entry = self.out.next_entry().ok_or(SealError::Exhausted)?;
        let out = seal_entry(&entry, &payload);
        if let Some(ack) = ack {
            if self.asked.len() >= limits::RATCHET_ACKS_ASKED_MAX {
                self.asked.pop_front();
            }
            self.asked.push_back((set, entry.n, ack));
        }
        self.owed.clear();
        self.sent = now;
        if self.unanswered.0 == 0 {
            self.unanswered.1 = now;
        }
        self.unanswered.0 = self.unanswered.0.saturating_add(1);
        Ok(out)
    }

    /// Takes in what an opened message says to the session itself; the answer is the ids it
    /// acknowledges. The tag is used up.
    pub fn opened(
        &mut self,
        at: &At,
        rng: &mut Rng,
        blocks: &[Block],
        inbound: &mut Inbound,
    ) -> Vec<AckId> {
        inbound.accept(at.set, at.n);
        self.received = at.now;
        self.unanswered.0 = 0;
        if self.sets.last().is_some_and(|s| s.id == at.set) {
            self.receiving.done();
            let dies = at.now + limits::RATCHET_OLD_SET_LIFE;
            let before = self.sets.len().saturating_sub(1);
            for set in self.sets.iter_mut().take(before) {
                set.dies.get_or_insert(dies);
            }
        }
        let mut acked = Vec::new();
        for block in blocks {
            match block {
                Block::NextKey(key) if key.reverse => {
                    if let Some(set) = self.sending.answered(&self.out, key) {
                        self.out = set;
                    }
                }
                Block::NextKey(key) => self.next_set(at, rng, key, inbound),
                Block::Ack(acks) => acked.extend(acks.iter().filter_map(|a| self.acked(*a))),
                Block::AckRequest => self.owe(at, inbound),
                Block::Termination(_) => {
                    self.ended = true;
                    self.supersede(at.now);
                }
                _ => {}
            }
        }
        acked
    }

    fn owe(&mut self, at: &At, inbound: &Inbound) {
        let Some(set) = inbound.set(at.set) else {
            return;
        };
        if self.owed.len() >= ACKS_MAX {
            self.owed.pop_front();
        }
        self.owed.push_back((set.id(), at.n));
    }

    fn acked(&mut self, (set, n): (u16, u16)) -> Option<AckId> {
        let i = self.asked.iter().position(|a| (a.0, a.1) == (set, n))?;
        self.asked.remove(i).map(|a| a.2)
    }

    /// The peer asks for its next tag set.
    fn next_set(&mut self, at: &At, rng: &mut Rng, key: &NextKey, inbound: &mut Inbound) {
        let Some(newest) = self.sets.last() else {
            return;
        };
        let window = inbound.window(newest.id);
        let Some(newest) = inbound.set(newest.id) else {
            return;
        };
        let fresh = || PrivateKey::random(rng);
        let Some(set) = self.receiving.asked(newest, key, fresh) else {
            return;
        };
        let owner = Owner::Session(at.peer, self.id);
        let window = window.min(limits::RATCHET_WINDOW_NEXT);
        let id = inbound.insert(set, owner, window, true);
        self.sets.push(Expected { id, dies: None });
        if self.sets.len() > limits::RATCHET_SETS_MAX {
            inbound.remove(self.sets.remove(0).id);
        }
    }
}

#[cfg(test)]
impl Session {
    /// Asks for the next key now, with this one.
    pub fn expect_next(&mut self, fresh: impl FnOnce() -> PrivateKey) {
        self.sending.start(&self.out, fresh);
    }

    /// The set that is sent with.
    pub const fn outbound(&self) -> &TagSet {
        &self.out
    }

    /// A message of these blocks and no other.
    pub fn seal_raw(&mut self, blocks: &[Block]) -> Vec<u8> {
        let payload = crate::garlic::clove::write_blocks(blocks).unwrap_or_default();
        let entry = self.out.next_entry();
        entry.map_or_else(Vec::new, |e| seal_entry(&e, &payload))
    }
}
