//! What one local destination keeps of one remote: its LeaseSet, what waits for a session, the
//! path, and which of our LeaseSets it knows.

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

/// An application message that waits for a LeaseSet, a tunnel or a session.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The I2CP envelope: gzip, with protocol and ports in its header.
    pub envelope: Vec<u8>,
    /// It opens a stream.
    pub syn: bool,
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
    /// Messages in the order in which they go.
    pub waiting: VecDeque<Waiting>,
    /// When a New Session that got no answer is repeated.
    pub retry_at: Option<Instant>,
    /// New Sessions sent without an answer.
    pub tries: u32,
    /// The way to it.
    pub paths: Paths,
    /// The session was begun anew because nothing got through, and still nothing does.
    pub renewed: bool,
    /// When something was last sent or received.
    pub used: Instant,
    /// It may be using a lease of ours that was withdrawn.
    pub misled: bool,
    told: Option<Told>,
}

impl Remote {
    /// A remote that nothing is known of.
    #[must_use]
    pub fn new(hash: DestHash, now: Now) -> Self {
        Self {
            hash,
            lease_set: None,
            looking: false,
            waiting: VecDeque::new(),
            retry_at: None,
            tries: 0,
            paths: Paths::default(),
            renewed: false,
            used: now.mono,
            misled: false,
            told: None,
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
    pub const fn answered(&mut self) {
        self.retry_at = None;
        self.tries = 0;
        if let Some(told) = &mut self.told {
            told.known = true;
        }
    }
}
