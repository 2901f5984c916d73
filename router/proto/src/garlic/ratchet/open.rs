//! Opening: by tag for sessions and replies, else as a New Session.

use super::inbound::{Owner, SetId};
use super::new_session::{self, Pair, Received};
use super::peer::{Got, PeerKey};
use super::session::{At, Session, open_entry};
use super::{ACK_DELAY, ANSWER_DELAY, OpenError, Opened, Ratchets, SentKind};
use crate::garlic::clove::{Block, parse_blocks};
use crate::limits;
use crate::rng::Rng;
use crate::time::Now;

impl Ratchets {
    /// Opens the content of a Garlic message.
    ///
    /// # Errors
    /// See [`OpenError`]; the message is to be dropped without an answer.
    pub fn open(&mut self, now: Now, rng: &mut Rng, content: &[u8]) -> Result<Opened, OpenError> {
        self.clock = now.mono;
        let tagged = content.first_chunk().and_then(|t| self.inbound.find(t));
        let opened = match tagged {
            Some((set, n)) => self.open_tagged(now, rng, content, set, n),
            None => self.open_new(now, content),
        };
        match &opened {
            Ok(_) => self.counts.opened += 1,
            Err(_) => self.counts.refused += 1,
        }
        opened
    }

    fn open_new(&mut self, now: Now, content: &[u8]) -> Result<Opened, OpenError> {
        if content.len() < new_session::NEW_SESSION_MIN {
            return Err(OpenError::Unknown);
        }
        if !self.meter.take(now.mono) {
            return Err(OpenError::Metered);
        }
        let ephemeral = new_session::ephemeral_of(content).ok_or(OpenError::Unknown)?;
        if self.replay.knows(&ephemeral) {
            return Err(OpenError::Replay);
        }
        let received = new_session::open(&self.key, ephemeral, content);
        let received = received.ok_or(OpenError::Sealed)?;
        let blocks = parse_blocks(&received.payload).map_err(OpenError::Payload)?;
        check_time(now, &blocks)?;
        self.replay.insert(now.mono, &ephemeral);
        let peer = received.from.map(PeerKey);
        if let Some(peer) = peer {
            self.add_got(now, peer, received);
        }
        Ok(Opened {
            peer,
            kind: SentKind::NewSession,
            blocks,
            acked: Vec::new(),
        })
    }

    fn add_got(&mut self, now: Now, peer: PeerKey, received: Received) {
        self.admit(peer, now.mono);
        #[cfg(test)]
        if self.keeps_session(now, &peer) {
            return;
        }
        let got = Got {
            id: self.number(),
            at: now.mono,
            owed: true,
            tags: new_session::reply_tags(&received.noise),
            noise: received.noise,
            ephemeral: received.ephemeral,
            replies: Vec::new(),
        };
        if let Some(p) = self.peers.get_mut(&peer) {
            p.add_got(got, &mut self.inbound);
        }
        self.owe(peer, now.mono + ANSWER_DELAY);
    }

    #[cfg(test)]
    fn keeps_session(&self, now: Now, peer: &PeerKey) -> bool {
        let young = |s: &Session| now.mono.since(s.created()) < self.keeps;
        self.peers
            .get(peer)
            .is_some_and(|p| p.sessions.iter().any(young))
    }

    fn open_tagged(
        &mut self,
        now: Now,
        rng: &mut Rng,
        content: &[u8],
        set: SetId,
        n: u16,
    ) -> Result<Opened, OpenError> {
        let owner = self.inbound.owner(set).ok_or(OpenError::Unknown)?;
        if let Owner::Sent(peer, id) = owner {
            return self.open_reply(now, peer, id, content, n);
        }
        let key = self.inbound.key(set, n).ok_or(OpenError::Unknown)?.clone();
        let payload = open_entry(&key, n, content).ok_or(OpenError::Sealed)?;
        let (peer, id) = match owner {
            Owner::Session(peer, id) => (peer, id),
            Owner::Reply(peer, id) | Owner::Sent(peer, id) => {
                let session = self.confirm(now, peer, id, set);
                (peer, session.ok_or(OpenError::Unknown)?)
            }
        };
        let blocks = parse_blocks(&payload).map_err(|e| {
            self.inbound.accept(set, n);
            OpenError::Payload(e)
        })?;
        let p = self.peers.get_mut(&peer).ok_or(OpenError::Unknown)?;
        (p.used, self.clock) = (now.mono, now.mono);
        p.settle();
        let session = p.sessions.iter_mut().find(|s| s.id() == id);
        let session = session.ok_or(OpenError::Unknown)?;
        let now = now.mono;
        let at = At { now, peer, set, n };
        let acked = session.opened(&at, rng, &blocks, &mut self.inbound);
        let owes = session.owes() && session.is_sendable(now);
        let used = !session.is_superseded();
        let lower = *self.key.public() < peer.0;
        let current = || p.current(now, lower).and_then(|i| p.sessions.get(i));
        if owes && (used || current().is_some_and(|s| s.id() == id)) {
            self.owe(peer, now + ACK_DELAY);
        }
        Ok(Opened {
            peer: Some(peer),
            kind: SentKind::Existing,
            blocks,
            acked,
        })
    }

    /// The peer has taken our reply with this set to its New Session `id`: that is a session now.
    fn confirm(&mut self, now: Now, peer: PeerKey, id: u32, set: SetId) -> Option<u32> {
        let number = self.number();
        let p = self.peers.get_mut(&peer)?;
        let got = p.got.iter_mut().find(|g| g.id == id)?;
        let taken = got.replies.iter().position(|r| r.set == set)?;
        let reply = got.replies.swap_remove(taken);
        let began = got.at;
        p.confirmed(id, &mut self.inbound);
        self.inbound.give(set, Owner::Session(peer, number));
        let session = Session::new(number, false, now.mono, reply.out, set);
        p.establish(session, began, &mut self.inbound);
        Some(number)
    }

    fn open_reply(
        &mut self,
        now: Now,
        peer: PeerKey,
        id: u32,
        content: &[u8],
        n: u16,
    ) -> Result<Opened, OpenError> {
        let number = self.number();
        let p = self.peers.get_mut(&peer).ok_or(OpenError::Unknown)?;
        let sent = p.sent.iter_mut().find(|s| s.id == id);
        let sent = sent.ok_or(OpenError::Unknown)?;
        let opened = new_session::open_reply(&sent.noise, &self.key, &sent.ephemeral, content);
        let (payload, Pair { ab, ba }) = opened.ok_or(OpenError::Sealed)?;
        self.inbound.accept(sent.set, n);
        sent.answered = true;
        let began = sent.at;
        p.used = now.mono;
        // Further replies to this or an older New Session bring data, but no other session.
        if p.sessions.iter().all(|s| s.id() < id) {
            let owner = Owner::Session(peer, number);
            let window = limits::RATCHET_WINDOW_MIN;
            let set = self.inbound.insert(ba, owner, window, true);
            let session = Session::new(number, true, now.mono, ab, set);
            p.establish(session, began, &mut self.inbound);
            p.settle();
            for sent in &mut p.sent {
                sent.answered = true;
            }
            self.owe(peer, now.mono + ANSWER_DELAY);
        }
        Ok(Opened {
            peer: Some(peer),
            kind: SentKind::NewSessionReply,
            blocks: parse_blocks(&payload).map_err(OpenError::Payload)?,
            acked: Vec::new(),
        })
    }
}

/// The DateTime of an NS has to be near ours.
fn check_time(now: Now, blocks: &[Block]) -> Result<(), OpenError> {
    let time = blocks.iter().find_map(|b| match b {
        Block::DateTime(secs) => Some(u64::from(*secs)),
        _ => None,
    });
    let (then, now) = (time.ok_or(OpenError::Stale)?, now.wall.secs());
    let old = now.saturating_sub(then) > limits::RATCHET_NS_OLD.as_secs();
    let ahead = then.saturating_sub(now) > limits::RATCHET_NS_AHEAD.as_secs();
    if old || ahead {
        return Err(OpenError::Stale);
    }
    Ok(())
}
