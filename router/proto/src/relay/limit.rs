//! The share of bandwidth that transit may use: a bucket that begins to drop by chance before it
//! is empty, so that senders slow down one by one; a share of it for each sender at our inbound
//! gateways, which take messages from anyone; and while it is half empty, no more than a share for
//! each router that sends us cells.

use super::stats::Dropped;
use crate::rng::Rng;
use crate::time::{Instant, Now};
use crate::wire::hash::RouterHash;
use std::collections::BTreeMap;

/// Below this part of a full bucket messages are dropped by chance.
const EARLY: u64 = 2;
/// One sender's part of the whole.
const SENDER_SHARE: u64 = 2;
/// The part of one router's cells while transit is short.
const HOP_SHARE: u64 = 8;
/// A bucket holds at least this many bytes, whatever the rate: the longest message.
const BURST_MIN: u64 = 128 * 1024;

/// How fast a bucket fills, and how much it holds; the unit is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Units per second.
    pub per_sec: u64,
    /// Units at most, and at the start.
    pub burst: u64,
}

impl Rate {
    /// Bytes per second, with a second's worth at once and the longest message at least.
    #[must_use]
    pub const fn of_bytes(per_sec: u64) -> Self {
        let burst = if per_sec > BURST_MIN || per_sec == 0 {
            per_sec
        } else {
            BURST_MIN
        };
        Self { per_sec, burst }
    }
}

#[derive(Clone)]
struct Bucket {
    level: u64,
    at: Instant,
}

impl Bucket {
    const fn full(rate: Rate, now: Now) -> Self {
        Self {
            level: rate.burst,
            at: now.mono,
        }
    }

    fn refill(&mut self, rate: Rate, now: Now) {
        let micros = u128::from(now.mono.0.saturating_sub(self.at.0));
        let more = micros * u128::from(rate.per_sec) / 1_000_000;
        let level = more + u128::from(self.level);
        if rate.per_sec == 0 || level >= u128::from(rate.burst) {
            *self = Self::full(rate, now);
            return;
        }
        // The time of a part of a unit is not given away.
        let spent = (more * 1_000_000).div_ceil(u128::from(rate.per_sec));
        self.at = Instant(self.at.0 + spent as u64);
        self.level = level as u64;
    }

    fn take(&mut self, rate: Rate, now: Now, units: u64) -> bool {
        self.refill(rate, now);
        match self.level.checked_sub(units) {
            Some(rest) => {
                self.level = rest;
                true
            }
            None => false,
        }
    }

    /// Takes units out unless there are too few or, the emptier the likelier, chance refuses.
    fn take_early(&mut self, rate: Rate, now: Now, rng: &mut Rng, units: u64) -> bool {
        self.refill(rate, now);
        let threshold = rate.burst / EARLY;
        if self.level < threshold && rng.u64() % threshold >= self.level {
            return false;
        }
        self.take(rate, now, units)
    }
}

/// One bucket for everybody.
pub struct Meter {
    rate: Rate,
    bucket: Option<Bucket>,
}

impl Meter {
    /// Full at its first use.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        Self { rate, bucket: None }
    }

    /// Whether this many units may be had now.
    pub fn admit(&mut self, now: Now, units: u64) -> bool {
        let rate = self.rate;
        let bucket = self.bucket.get_or_insert_with(|| Bucket::full(rate, now));
        bucket.take(rate, now, units)
    }
}

/// A bucket for each peer. When all places are taken, the peer that was quiet longest loses its
/// own.
pub struct PerPeer {
    rate: Rate,
    peers_max: usize,
    peers: BTreeMap<RouterHash, Bucket>,
}

impl PerPeer {
    /// At most `peers_max` peers are told apart.
    #[must_use]
    pub const fn new(rate: Rate, peers_max: usize) -> Self {
        Self {
            rate,
            peers_max,
            peers: BTreeMap::new(),
        }
    }

    /// Another rate from now on.
    pub const fn set_rate(&mut self, rate: Rate) {
        self.rate = rate;
    }

    /// Whether `peer` may have this many units now.
    pub fn admit(&mut self, now: Now, peer: RouterHash, units: u64) -> bool {
        if !self.peers.contains_key(&peer) && self.peers.len() >= self.peers_max {
            let quiet = self.peers.iter().min_by_key(|(_, b)| b.at);
            if let Some(hash) = quiet.map(|(hash, _)| *hash) {
                self.peers.remove(&hash);
            }
        }
        let rate = self.rate;
        self.peers
            .entry(peer)
            .or_insert_with(|| Bucket::full(rate, now))
            .take(rate, now, units)
    }
}

/// All of transit, and each sender to our gateways.
pub struct Limit {
    rate: Rate,
    all: Option<Bucket>,
    senders: PerPeer,
    hops: PerPeer,
}

impl Limit {
    /// Bytes per second; at most `senders_max` senders are told apart.
    #[must_use]
    pub const fn new(bytes_per_sec: u64, senders_max: usize) -> Self {
        let share = Rate::of_bytes(bytes_per_sec / SENDER_SHARE);
        Self {
            rate: Rate::of_bytes(bytes_per_sec),
            all: None,
            senders: PerPeer::new(share, senders_max),
            hops: PerPeer::new(Rate::of_bytes(bytes_per_sec / HOP_SHARE), senders_max),
        }
    }

    /// Another rate from now on.
    pub const fn set_rate(&mut self, bytes_per_sec: u64) {
        self.rate = Rate::of_bytes(bytes_per_sec);
        self.senders
            .set_rate(Rate::of_bytes(bytes_per_sec / SENDER_SHARE));
        self.hops
            .set_rate(Rate::of_bytes(bytes_per_sec / HOP_SHARE));
    }

    /// Whether transit may send this many bytes of cells from `from` now: while the bucket is
    /// below half, only what is within the router's share.
    ///
    /// # Errors
    /// Why not.
    pub fn admit_from(
        &mut self,
        now: Now,
        rng: &mut Rng,
        from: RouterHash,
        bytes: usize,
    ) -> Result<(), Dropped> {
        let rate = self.rate;
        let within = self.hops.admit(now, from, bytes as u64);
        let all = self.all.get_or_insert_with(|| Bucket::full(rate, now));
        all.refill(rate, now);
        if !within && all.level < rate.burst / EARLY {
            return Err(Dropped::Share);
        }
        let taken = all.take_early(rate, now, rng, bytes as u64);
        taken.then_some(()).ok_or(Dropped::Limit)
    }

    /// Whether transit may send this many bytes now.
    pub fn admit(&mut self, now: Now, rng: &mut Rng, bytes: usize) -> bool {
        let rate = self.rate;
        self.all
            .get_or_insert_with(|| Bucket::full(rate, now))
            .take_early(rate, now, rng, bytes as u64)
    }

    /// Whether `from` may have this many bytes sent through a gateway now.
    ///
    /// # Errors
    /// Why not.
    pub fn admit_sender(
        &mut self,
        now: Now,
        rng: &mut Rng,
        from: RouterHash,
        bytes: usize,
    ) -> Result<(), Dropped> {
        if !self.senders.admit(now, from, bytes as u64) {
            return Err(Dropped::Share);
        }
        self.admit(now, rng, bytes)
            .then_some(())
            .ok_or(Dropped::Limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    const RATE: u64 = 1_000_000;

    /// Bytes admitted in ten seconds of 1,000-byte messages, `per_ms` each millisecond.
    fn admitted(per_ms: usize) -> u64 {
        let (mut limit, mut rng) = (Limit::new(RATE, 4), Rng::from_number(1));
        let mut sum = 0;
        for ms in 0..10_000 {
            let now = Now::default().after(Duration::from_millis(ms));
            for _ in 0..per_ms {
                sum += 1000 * u64::from(limit.admit(now, &mut rng, 1000));
            }
        }
        sum
    }

    #[test]
    fn the_rate_is_kept_and_used() {
        let busy = admitted(3);
        assert!((10 * RATE..=11 * RATE).contains(&busy), "{busy}");
        assert_eq!(admitted(1), 10 * RATE);
    }

    #[test]
    fn small_rates_add_up() {
        let mut limit = Limit::new(2000, 4);
        let mut rng = Rng::from_number(1);
        let mut sum = 0;
        for ms in 0..200_000 {
            let now = Now::default().after(Duration::from_millis(ms));
            sum += 1000 * u64::from(limit.admit(now, &mut rng, 1000));
        }
        assert!((390_000..=550_000).contains(&sum), "{sum}");
        assert!(!Limit::new(0, 4).admit(Now::default(), &mut rng, 1));
    }

    #[test]
    fn one_router_alone_may_use_all_but_does_not_displace_others() {
        let (mut limit, mut rng) = (Limit::new(RATE, 4), Rng::from_number(1));
        let (greedy, modest) = (RouterHash([1; 32]), RouterHash([2; 32]));
        let (mut alone, mut asked, mut got, mut rest) = (0, 0, 0, 0);
        for ms in 0..20_000 {
            let now = Now::default().after(Duration::from_millis(ms));
            let shared = ms >= 10_000;
            for _ in 0..20 {
                let admitted = limit.admit_from(now, &mut rng, greedy, 1000).is_ok();
                let sum = if shared { &mut rest } else { &mut alone };
                *sum += 1000 * u64::from(admitted);
            }
            if shared && ms % 10 == 0 {
                asked += 1;
                got += u32::from(limit.admit_from(now, &mut rng, modest, 1000).is_ok());
            }
        }
        assert!((9 * RATE..=11 * RATE).contains(&alone), "{alone}");
        assert!(rest >= 8 * RATE, "{rest}");
        assert!(got * 10 >= asked * 9, "{got} of {asked}");
    }

    #[test]
    fn one_sender_has_a_share_and_senders_are_bounded() {
        let mut limit = Limit::new(RATE, 4);
        let now = Now::default();
        let mut rng = Rng::from_number(1);
        let a = RouterHash([1; 32]);
        let answers: Vec<_> = (0..1000)
            .map(|_| limit.admit_sender(now, &mut rng, a, 1000))
            .collect();
        let of = |answer| answers.iter().filter(|a| **a == answer).count();
        assert_eq!((of(Ok(())), of(Err(Dropped::Share))), (500, 500));
        let other = RouterHash([2; 32]);
        assert_eq!(limit.admit_sender(now, &mut rng, other, 1000), Ok(()));
        for n in 0..100 {
            let later = now.after(Duration::from_millis(n));
            let _ = limit.admit_sender(later, &mut rng, RouterHash([n as u8; 32]), 1);
            assert!(limit.senders.peers.len() <= 4);
        }
    }
}
