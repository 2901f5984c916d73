//! How much others may make us do: so much a second for each link, and so much for all.

use crate::limits;
use crate::time::Instant;
use crate::wire::hash::RouterHash;
use std::collections::BTreeMap;

/// Units per second, and at most so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// Units that come back in a second.
    pub(super) per_second: u32,
    /// Units that are there after a long rest.
    pub(super) burst: u32,
}

/// What is left of a [`Rate`], in millionths of a unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    rate: Rate,
    level: u64,
    at: Option<Instant>,
}

const UNIT: u64 = 1_000_000;

impl Bucket {
    /// A full one.
    pub(super) const fn new(rate: Rate) -> Self {
        Self {
            rate,
            level: rate.burst as u64 * UNIT,
            at: None,
        }
    }

    /// Units that are there.
    fn level(&self, now: Instant) -> u64 {
        let passed = self.at.map_or(0, |at| now.since(at).as_micros());
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        let back = passed.saturating_mul(u64::from(self.rate.per_second));
        self.level
            .saturating_add(back)
            .min(u64::from(self.rate.burst) * UNIT)
    }

    /// Whether `n` units are there; takes nothing.
    pub(super) fn has(&self, now: Instant, n: u32) -> bool {
        self.level(now) >= u64::from(n) * UNIT
    }

    /// Takes `n` units, if they are there.
    pub(super) fn take(&mut self, now: Instant, n: u32) -> bool {
        let level = self.level(now);
        let cost = u64::from(n) * UNIT;
        if level < cost {
            return false;
        }
        (self.level, self.at) = (level - cost, Some(now));
        true
    }
}

/// A bucket for each link and one for all together.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    each: Rate,
    links: BTreeMap<RouterHash, Bucket>,
    all: Bucket,
}

impl Meter {
    /// Nothing was taken yet.
    pub(super) const fn new(each: Rate, all: Rate) -> Self {
        Self {
            each,
            links: BTreeMap::new(),
            all: Bucket::new(all),
        }
    }

    /// Takes `n` units for what came by this link; `false` when it or all links have had theirs.
    pub(super) fn take(&mut self, now: Instant, link: RouterHash, n: u32) -> bool {
        if self.links.len() >= limits::METERED_LINKS_MAX && !self.links.contains_key(&link) {
            let rested = self.links.iter().min_by_key(|(_, b)| b.at);
            if let Some(hash) = rested.map(|(h, _)| *h) {
                self.links.remove(&hash);
            }
        }
        let each = self.each;
        let own = self.links.entry(link).or_insert_with(|| Bucket::new(each));
        own.has(now, n) && self.all.take(now, n) && own.take(now, n)
    }
}

/// What a stranger can make a netDb do, each with its rate.
#[derive(Clone, Debug)]
pub(super) struct Duties {
    /// Signatures checked, in units of an Ed25519 verification.
    pub(super) checks: Meter,
    /// Bytes of answers.
    pub(super) answers: Meter,
    /// Answers to a router that we have no link with.
    pub(super) dials: Meter,
    /// Lookups for others.
    pub(super) errands: Bucket,
}

impl Default for Duties {
    fn default() -> Self {
        let rate = |per_second, burst| Rate { per_second, burst };
        Self {
            checks: Meter::new(rate(4, 64), rate(64, 512)),
            answers: Meter::new(rate(16_384, 262_144), rate(262_144, 2_097_152)),
            dials: Meter::new(rate(1, 32), rate(16, 256)),
            errands: Bucket::new(rate(1, 16)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    const RATE: Rate = Rate {
        per_second: 2,
        burst: 4,
    };

    #[test]
    fn a_bucket_fills_again_up_to_its_burst() {
        let mut b = Bucket::new(RATE);
        let t = Instant(5);
        assert!(b.take(t, 4) && !b.take(t, 1));
        let t = t + Duration::from_millis(500);
        assert!(b.take(t, 1) && !b.has(t, 1));
        let t = t + Duration::from_secs(3600);
        assert!(!b.take(t, 5) && b.take(t, 4));
    }

    #[test]
    fn one_link_does_not_take_what_belongs_to_all() {
        let all = Rate {
            per_second: 3,
            burst: 6,
        };
        let mut m = Meter::new(RATE, all);
        let (a, b) = (RouterHash([1; 32]), RouterHash([2; 32]));
        let t = Instant(0);
        let took = (0..100).filter(|_| m.take(t, a, 1)).count();
        assert_eq!(took, 4);
        assert!(m.take(t, b, 1) && m.take(t, b, 1) && !m.take(t, b, 1));
    }

    #[test]
    fn links_are_bounded() {
        let mut m = Meter::new(RATE, RATE);
        for n in 0..2 * limits::METERED_LINKS_MAX as u64 {
            let mut h = [0; 32];
            h[..8].copy_from_slice(&n.to_be_bytes());
            m.take(Instant(n), RouterHash(h), 1);
        }
        assert_eq!(m.links.len(), limits::METERED_LINKS_MAX);
    }
}
