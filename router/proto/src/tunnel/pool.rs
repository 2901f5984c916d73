//! How fast a pool may build: a burst for all wanted tunnels, each twice, then a pace that slows
//! down while everything fails.
//!
//! What is built when is decided in `super::own`.

use super::plan::{Direction, PoolSettings};
use crate::time::Instant;
use core::time::Duration;

/// Time between two builds of a pool in one direction once the burst is used up.
const GAP: Duration = Duration::from_millis(500);
/// The gap never grows beyond this.
const GAP_MAX: Duration = Duration::from_secs(15);
/// When there were no hops or no reply path, the next try comes so much later.
const HOLD: Duration = Duration::from_secs(1);

/// A pool: its settings and the pace of its builds.
pub(super) struct Pool {
    pub(super) settings: PoolSettings,
    inbound: Pace,
    outbound: Pace,
}

impl Pool {
    pub(super) fn new(settings: PoolSettings, now: Instant) -> Self {
        Self {
            settings,
            inbound: Pace::new(settings.quantity(Direction::Inbound), now),
            outbound: Pace::new(settings.quantity(Direction::Outbound), now),
        }
    }

    pub(super) const fn pace(&mut self, direction: Direction) -> &mut Pace {
        match direction {
            Direction::Inbound => &mut self.inbound,
            Direction::Outbound => &mut self.outbound,
        }
    }

    pub(super) const fn pace_of(&self, direction: Direction) -> &Pace {
        match direction {
            Direction::Inbound => &self.inbound,
            Direction::Outbound => &self.outbound,
        }
    }
}

/// A token bucket of builds whose refill slows down with failures in a row.
pub(super) struct Pace {
    burst: usize,
    tokens: usize,
    /// When the last token was put in.
    filled: Instant,
    hold: Option<Instant>,
    failures: usize,
}

impl Pace {
    fn new(quantity: usize, now: Instant) -> Self {
        let burst = 2 * quantity;
        Self {
            burst,
            tokens: burst,
            filled: now,
            hold: None,
            failures: 0,
        }
    }

    fn gap(&self) -> Duration {
        let doublings = (self.failures / self.burst.max(1)).min(6) as u32;
        (GAP * 2u32.pow(doublings)).min(GAP_MAX)
    }

    /// When a build may start at the earliest.
    pub(super) fn ready_at(&self) -> Instant {
        let token = if self.tokens > 0 {
            self.filled
        } else {
            self.filled + self.gap()
        };
        self.hold.map_or(token, |hold| hold.max(token))
    }

    /// Whether a build may start; takes a token.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let gap = self.gap();
        while self.tokens < self.burst && self.filled + gap <= now {
            self.tokens += 1;
            self.filled = self.filled + gap;
        }
        if self.tokens == self.burst {
            self.filled = now;
        }
        if self.tokens == 0 || self.hold.is_some_and(|hold| hold > now) {
            return false;
        }
        self.hold = None;
        self.tokens -= 1;
        true
    }

    /// The build that a token was taken for could not start: try again a little later.
    pub(super) fn give_back(&mut self, now: Instant) {
        self.tokens = (self.tokens + 1).min(self.burst);
        self.hold = Some(now + HOLD);
    }

    /// Something came up that builds may have waited for.
    pub(super) const fn release(&mut self) {
        self.hold = None;
    }

    pub(super) const fn succeeded(&mut self) {
        self.failures = 0;
    }

    pub(super) const fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }
}
