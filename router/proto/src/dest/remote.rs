//! What one local destination keeps of one remote: its LeaseSet, what waits for a session, the
//! path, and which of our LeaseSets it knows.

use super::doubt::Doubt;
use super::path::{Path, Paths};
use crate::garlic::ratchet::AckId;
use crate::limits;
use crate::rng::Rng;
use crate::stream::StreamId;
use crate::time::{Date, Instant, Now};
use crate::tunnel::OutboundInfo;
use crate::wire::hash::DestHash;
use crate::wire::lease_set2::LeaseSet2;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

/// Our LeaseSet is told again this long after a telling that was not acknowledged.
const TELL_AGAIN: Duration = Duration::from_secs(10);
/// What waited for so long is of no use any more: its stream has sent it again or ended.
const STALE: Duration = Duration::from_secs(60);
/// An unanswered New Session is repeated after this long, then each time a little later.
const RETRY: Duration = Duration::from_millis(1500);
/// Two New Sessions are at least so far apart: i2pd refuses those that come within 200 ms.
const AT_LEAST: Duration = Duration::from_millis(300);
/// Of the messages that wait, so many take turns in New Sessions.
const TURNS: usize = 4;
/// Least time between two lookups of a LeaseSet that is there: often at first, since who builds
/// all tunnels anew needs some seconds until that is known.
const LOOK_AGAIN: Duration = Duration::from_secs(3);
const LOOK_SELDOM: Duration = Duration::from_secs(20);
/// Lookups without a sign of life between them, after which they are seldom.
const LOOKS: u32 = 5;

/// An application message that waits for a LeaseSet, a tunnel or a session.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The I2CP envelope: gzip, with protocol and ports in its header.
    pub envelope: Vec<u8>,
    /// Since when it waits.
    pub since: Instant,
    /// The stream and sequence number of a packet that is repeated until it is acknowledged.
    pub packet: Option<(StreamId, u32)>,
}

/// The last telling of our LeaseSet.
#[derive(Clone, Copy, Debug)]
struct Told {
    published: Date,
    at: Instant,
    ack: Option<AckId>,
    known: bool,
}

/// One remote destination.
pub struct Remote {
    /// Its hash.
    pub hash: DestHash,
    /// Its newest LeaseSet.
    pub lease_set: Option<Arc<LeaseSet2>>,
    /// A lookup of its LeaseSet is under way.
    pub looking: bool,
    /// We wanted to talk to it; else it is known only because it talked to us.
    pub wanted: bool,
    /// Messages in the order in which they go.
    pub waiting: VecDeque<Waiting>,
    /// When what waits is tried again: a New Session that got no answer, or a way that was not
    /// there.
    pub retry_at: Option<Instant>,
    /// There was no way when it was last tried.
    pub blocked: bool,
    /// New Sessions sent without an answer.
    pub tries: u32,
    /// The way to it.
    pub paths: Paths,
    /// Paths given up since something arrived there.
    pub lost_paths: u32,
    /// Whether what is sent under the session arrives.
    pub doubt: Doubt,
    /// Since when something was sent and nothing heard.
    pub unheard: Option<Instant>,
    /// When something was last sent or received.
    pub used: Instant,
    /// When a signature of a LeaseSet that it sent along was last checked.
    pub checked: Option<Instant>,
    /// It may be using a lease of ours that was withdrawn.
    pub misled: bool,
    told: Option<Told>,
    next_look: Instant,
    /// Lookups of its LeaseSet since it was last heard of.
    pub looks: u32,
    turn: usize,
    /// When a New Session was last sent for want of a session.
    tried: Option<Instant>,
}

impl Remote {
    /// A remote that nothing is known of.
    #[must_use]
    pub fn new(hash: DestHash, now: Now) -> Self {
        Self {
            hash,
            lease_set: None,
            looking: false,
            wanted: false,
            waiting: VecDeque::new(),
            retry_at: None,
            blocked: false,
            tries: 0,
            paths: Paths::default(),
            lost_paths: 0,
            doubt: Doubt::default(),
            unheard: None,
            used: now.mono,
            checked: None,
            misled: false,
            told: None,
            next_look: Instant::default(),
            looks: 0,
            turn: 0,
            tried: None,
        }
    }

    /// Whether its LeaseSet can be sent to at `now`.
    #[must_use]
    pub fn is_reachable(&self, now: Now) -> bool {
        self.lease_set.as_ref().is_some_and(|ls| {
            ls.x25519_key().is_some() && ls.leases().iter().any(|l| l.expires > now.wall)
        })
    }

    /// The way its next message takes; `None` without a tunnel or a lease.
    pub fn choose_path(
        &mut self,
        now: Now,
        rng: &mut Rng,
        outbound: &[OutboundInfo],
    ) -> Option<Path> {
        let leases = self.lease_set.as_ref().map_or(&[][..], |ls| ls.leases());
        self.paths.choose(now, rng, outbound, leases)
    }

    /// Takes a LeaseSet unless a newer one is known; answers whether it was taken.
    pub fn learn(&mut self, ls: Arc<LeaseSet2>) -> bool {
        let newer = self
            .lease_set
            .as_ref()
            .is_none_or(|old| ls.published() > old.published());
        if newer {
            self.lease_set = Some(ls);
        }
        newer
    }

    /// Queues a message; the oldest one gives way when the queue is full: the stream resends it.
    pub fn queue(&mut self, message: Waiting) -> bool {
        let full = self.waiting.len() >= limits::REMOTE_QUEUE_MAX;
        if full {
            self.waiting.pop_front();
        }
        self.waiting.push_back(message);
        !full
    }

    /// Drops what has waited too long.
    pub fn drop_stale(&mut self, now: Now) {
        let stale = |w: &Waiting| now.mono.since(w.since) > STALE;
        while self.waiting.front().is_some_and(stale) {
            self.waiting.pop_front();
        }
    }

    /// Whether its LeaseSet should be looked up again now; that is then under way.
    pub fn looks_again(&mut self, now: Now) -> bool {
        let looks = !self.looking && self.next_look <= now.mono;
        if looks {
            self.looking = true;
            self.looks = self.looks.saturating_add(1);
            let seldom = self.looks >= LOOKS;
            self.next_look = now.mono + if seldom { LOOK_SELDOM } else { LOOK_AGAIN };
        }
        looks
    }

    /// Whether nothing was heard for so long although something was sent.
    #[must_use]
    pub fn is_silent(&self, now: Now, time: Duration) -> bool {
        self.unheard.is_some_and(|at| now.mono.since(at) >= time)
    }

    /// Queues the first message of a stream: it waits neither for those of others nor for the time
    /// at which a New Session is repeated.
    pub fn queue_first(&mut self, now: Now, message: Waiting) -> bool {
        let full = self.waiting.len() >= limits::REMOTE_QUEUE_MAX;
        if full {
            self.waiting.pop_back();
        }
        self.waiting.push_front(message);
        self.turn = 0;
        self.tries = self.tries.min(1);
        let soon = self.tried.map_or(now.mono, |at| at + AT_LEAST);
        self.retry_at = self.retry_at.map(|at| at.min(soon));
        !full
    }

    /// A New Session is sent; the answer is what it brings: the first few that wait take turns, so
    /// that none of them stands in the way of the others.
    pub fn take_turn(&mut self, now: Now) -> Option<Waiting> {
        let n = self.waiting.len().clamp(1, TURNS);
        let turn = self.waiting.get(self.turn % n)?.clone();
        self.turn = self.turn.wrapping_add(1);
        self.tried = Some(now.mono);
        self.tries += 1;
        self.retry_at = Some(now.mono + RETRY + RETRY / 3 * self.tries.min(6));
        Some(turn)
    }

    /// Whether the next message has to bring this LeaseSet of ours along.
    #[must_use]
    pub fn needs_telling(&self, now: Now, ours: &LeaseSet2) -> bool {
        self.told.is_none_or(|t| {
            t.published != ours.published() || !t.known && now.mono > t.at + TELL_AGAIN
        })
    }

    /// Our LeaseSet went along with a message.
    pub fn telling(&mut self, now: Now, ours: &LeaseSet2, ack: Option<AckId>) {
        self.told = Some(Told {
            published: ours.published(),
            at: now.mono,
            ack,
            known: false,
        });
    }

    /// The remote acknowledged these messages.
    pub fn acked(&mut self, acks: &[AckId]) {
        if let Some(told) = &mut self.told
            && told.ack.is_some_and(|a| acks.contains(&a))
        {
            told.known = true;
        }
    }

    /// The session began anew: what it knew of us is open again.
    pub const fn forget_telling(&mut self) {
        self.told = None;
    }

    /// An answer to our New Session came, so the LeaseSet in it arrived too.
    pub fn answered(&mut self, now: Now) {
        self.doubt.settle(now.mono);
        self.lost_paths = 0;
        if let Some(told) = &mut self.told {
            told.known = true;
        }
    }
}
