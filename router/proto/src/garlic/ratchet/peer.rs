//! All that is known of one peer: handshakes under way in both directions and sessions.
//!
//! A handshake of ours (`Sent`) waits for replies. One of the peer's (`Got`) is answered with any
//! number of replies, each with its own pair of tag sets, until the first message of a session
//! says which reply the peer took.

use super::inbound::{Inbound, SetId};
use super::session::Session;
use super::tagset::TagSet;
use crate::crypto::noise::Noise;
use crate::crypto::x25519::PrivateKey;
use crate::limits;
use crate::time::Instant;

/// A remote's static X25519 key, from its LeaseSet2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey(pub [u8; 32]);

/// A New Session of ours.
pub struct Sent {
    /// Its number.
    pub id: u32,
    /// When it was sent.
    pub at: Instant,
    /// Whether a reply to it came.
    pub answered: bool,
    /// The handshake after it.
    pub noise: Noise,
    /// Its ephemeral key.
    pub ephemeral: PrivateKey,
    /// The tags of its replies.
    pub set: SetId,
}

/// A reply of ours that the peer may have taken.
pub struct Reply {
    /// What the peer would send with.
    pub set: SetId,
    /// What we would send with.
    pub out: TagSet,
}

/// A New Session of the peer's.
pub struct Got {
    /// Its number.
    pub id: u32,
    /// When it came.
    pub at: Instant,
    /// Whether the next message to the peer is a reply to it.
    pub owed: bool,
    /// The handshake after it.
    pub noise: Noise,
    /// The peer's ephemeral key.
    pub ephemeral: [u8; 32],
    /// The tags of replies.
    pub tags: TagSet,
    /// The replies.
    pub replies: Vec<Reply>,
}

impl Got {
    /// Whether a reply is due and there is a tag for it. After some time without a sign that one
    /// arrived, whatever else there is has its turn.
    #[must_use]
    pub fn wants_reply(&self, now: Instant) -> bool {
        self.owed
            && self.replies.len() < limits::RATCHET_REPLIES_MAX
            && now.since(self.at) <= limits::RATCHET_REPLY_LIFE
    }

    fn close(&self, inbound: &mut Inbound) {
        for reply in &self.replies {
            inbound.remove(reply.set);
        }
    }
}

/// One peer.
#[derive(Default)]
pub struct Peer {
    /// When it was last of use.
    pub used: Instant,
    /// Oldest first.
    pub sessions: Vec<Session>,
    /// Oldest first.
    pub sent: Vec<Sent>,
    /// Oldest first.
    pub got: Vec<Got>,
}

impl Peer {
    /// The index of the session to send with: the youngest, and of two that were begun from both
    /// sides at once, the one whose beginner has the lower key; `lower`: that is us. One that gets
    /// no answer while the peer uses another is passed over.
    #[must_use]
    pub fn current(&self, now: Instant, lower: bool) -> Option<usize> {
        let sendable = |(_, s): &(usize, &Session)| s.is_sendable(now);
        let sessions = || self.sessions.iter().enumerate().filter(sendable);
        let heard = sessions().map(|(_, s)| s.received()).max()?;
        let used = |(_, s): &(usize, &Session)| s.received() == heard || !s.is_silent(heard);
        let rank = |(_, s): &(usize, &Session)| (!s.is_superseded(), s.is_alice() == lower, s.id());
        sessions().filter(used).max_by_key(rank).map(|(i, _)| i)
    }

    /// The session that owes the peer something, or else the current one. A message that asks
    /// for an acknowledgement goes by the current one, or both sides would keep another alive.
    #[must_use]
    pub fn next(&self, now: Instant, lower: bool, want_ack: bool) -> Option<usize> {
        let owing = |s: &Session| !want_ack && s.owes() && s.is_sendable(now) && !s.is_superseded();
        let owing = self.sessions.iter().position(owing);
        owing.or_else(|| self.current(now, lower))
    }

    /// The youngest New Session of the peer's that is due a reply.
    pub fn reply_due(&mut self, now: Instant) -> Option<&mut Got> {
        self.got.iter_mut().rev().find(|g| g.wants_reply(now))
    }

    /// Adds a session that came of a handshake of the time `began`. It takes the place of older
    /// ones, unless both sides began at once.
    pub fn establish(&mut self, session: Session, began: Instant, inbound: &mut Inbound) {
        for old in &mut self.sessions {
            let together = old.is_alice() != session.is_alice()
                && began.since(old.created()) < limits::RATCHET_TOGETHER;
            if !together {
                old.supersede(session.created());
            }
        }
        self.sessions.reserve_exact(1);
        self.sessions.push(session);
        if self.sessions.len() > limits::RATCHET_SESSIONS_PER_PEER {
            let unused = self.sessions.iter().enumerate();
            let unused = unused.min_by_key(|(_, s)| (!s.is_superseded(), s.received()));
            if let Some((i, _)) = unused {
                self.sessions.remove(i).close(inbound);
            }
        }
    }

    /// The peer has taken a reply to the New Session `id`: that one and all before it are done.
    pub fn confirmed(&mut self, id: u32, inbound: &mut Inbound) {
        self.got.retain(|g| {
            let keep = g.id > id;
            if !keep {
                g.close(inbound);
            }
            keep
        });
    }

    /// A message of a session came: the peer has sessions, so no handshake is owed a reply.
    pub fn settle(&mut self) {
        for got in &mut self.got {
            got.owed = false;
        }
    }

    /// Adds a New Session of ours; the oldest gives way.
    pub fn add_sent(&mut self, sent: Sent, inbound: &mut Inbound) {
        self.sent.reserve_exact(1);
        self.sent.push(sent);
        if self.sent.len() > limits::RATCHET_SENT_PER_PEER {
            self.drop_oldest_sent(inbound);
        }
    }

    /// Forgets the oldest New Session of ours.
    pub fn drop_oldest_sent(&mut self, inbound: &mut Inbound) {
        if !self.sent.is_empty() {
            inbound.remove(self.sent.remove(0).set);
        }
    }

    /// Adds a New Session of the peer's; the oldest gives way.
    pub fn add_got(&mut self, got: Got, inbound: &mut Inbound) {
        self.settle();
        self.got.reserve_exact(1);
        self.got.push(got);
        if self.got.len() > limits::RATCHET_GOT_PER_PEER {
            self.got.remove(0).close(inbound);
        }
    }

    /// Forgets what is over at `now`.
    pub fn expire(&mut self, now: Instant, inbound: &mut Inbound) {
        self.sent.retain(|s| {
            let keep = now.since(s.at) <= limits::RATCHET_HANDSHAKE_LIFE;
            if !keep {
                inbound.remove(s.set);
            }
            keep
        });
        self.got.retain(|g| {
            let keep = now.since(g.at) <= limits::RATCHET_HANDSHAKE_LIFE;
            if !keep {
                g.close(inbound);
            }
            keep
        });
        self.sessions.retain_mut(|s| {
            s.expire(now, inbound);
            let over = s.is_over(now);
            if over {
                s.close(inbound);
            }
            !over
        });
        self.sent.shrink_to_fit();
        self.got.shrink_to_fit();
        self.sessions.shrink_to_fit();
    }

    /// Forgets everything.
    pub fn close(&mut self, inbound: &mut Inbound) {
        for sent in self.sent.drain(..) {
            inbound.remove(sent.set);
        }
        for got in self.got.drain(..) {
            got.close(inbound);
        }
        for mut session in self.sessions.drain(..) {
            session.close(inbound);
        }
    }

    /// Whether nothing is known of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.sent.is_empty() && self.got.is_empty()
    }
}
