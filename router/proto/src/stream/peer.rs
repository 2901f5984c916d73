//! What all streams to one peer share.

use crate::time::Instant;
use core::time::Duration;

/// How often repeats of a peer may speak against the path to it.
const DOUBT_EVERY: Duration = Duration::from_secs(3);

/// A peer with running streams.
#[derive(Default)]
pub(super) struct Peer {
    pub(super) streams: usize,
    pub(super) incoming: usize,
    /// When it last answered something.
    pub(super) alive: Option<Instant>,
    doubted: Option<Instant>,
}

impl Peer {
    /// What we say seems not to arrive; whether that should be told.
    pub(super) fn doubt(&mut self, now: Instant) -> bool {
        let tell = self.doubted.is_none_or(|at| now.since(at) >= DOUBT_EVERY);
        if tell {
            self.doubted = Some(now);
        }
        tell
    }
}
