//! Meeting strangers: lookups of random keys that answer with routers instead of floodfills
//! (i2p docs/how/network-database, Exploration). While few floodfills are known, every other one
//! is an ordinary lookup, whose answer names floodfills.

use super::lookup::{Goal, Lookup};
use super::{Context, NetDb, Target};
use crate::rng::Rng;
use crate::time::{Instant, Now};
use crate::wire::hash::RouterHash;
use core::time::Duration;

/// With fewer routers than this, strangers are sought eagerly.
const FEW: usize = 100;
/// With fewer floodfills than this, they are sought too.
const FEW_FLOODFILLS: usize = 16;
/// With more routers than this, hardly ever.
const MANY: usize = 2500;
const EAGER: Duration = Duration::from_secs(10);
const SLOW: Duration = Duration::from_secs(55);
const SLOW_SPREAD: Duration = Duration::from_secs(170);
const RARE: Duration = Duration::from_secs(20 * 60);

/// When to explore next.
#[derive(Clone, Debug, Default)]
pub(super) struct Explorer {
    /// The next exploration.
    pub(super) due: Instant,
    gap: Duration,
    known: usize,
}

impl NetDb {
    /// Looks a random key up in the router's context; also done by itself, often while few
    /// routers are known.
    pub fn explore(&mut self, now: Now, rng: &mut Rng) {
        let target = Target::Router(RouterHash(rng.array()));
        let meet = self.floodfill_count() < FEW_FLOODFILLS && rng.below(2) == 0;
        let goal = if meet { Goal::Meet } else { Goal::Explore };
        self.start(Lookup::new(now, Context::Router, target, goal));
    }

    pub(super) fn drive_exploration(&mut self, now: Now, rng: &mut Rng) {
        if self.explorer.due > now.mono {
            return;
        }
        let count = self.router_count();
        let gap = if count >= MANY {
            RARE
        } else if count >= FEW {
            SLOW + rng.jitter(SLOW_SPREAD)
        } else if count > self.explorer.known || self.explorer.gap.is_zero() {
            EAGER
        } else {
            // A small network has no strangers left: slow down.
            (self.explorer.gap * 2).min(SLOW + SLOW_SPREAD)
        };
        self.explorer.gap = gap;
        self.explorer.known = count;
        self.explorer.due = now.mono + gap + rng.jitter(gap / 4);
        if self.floodfill_count() > 0 {
            self.explore(now, rng);
        }
    }
}
