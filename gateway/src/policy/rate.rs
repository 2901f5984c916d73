//! How often a client may ask, and all together that are not known.

use crate::vip::ClientId;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Clients whose rate is remembered. Beyond it, those whose bucket is full again are forgotten,
/// which changes nothing for them, and if there is none, the one that asked longest ago.
const CLIENTS_MAX: usize = 1024;

/// A bucket of `burst` questions, filled with `per_second`.
#[derive(Clone, Copy)]
pub struct Rate {
    per_second: u32,
    burst: u32,
}

/// What is left of a rate.
pub struct Bucket {
    left: f64,
    since: Instant,
}

impl Rate {
    /// `burst` at once, then `per_second`.
    #[must_use]
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second, burst }
    }

    /// Full.
    #[must_use]
    pub fn bucket(self, now: Instant) -> Bucket {
        Bucket {
            left: f64::from(self.burst),
            since: now,
        }
    }

    /// Whether one more is allowed.
    pub fn take(self, bucket: &mut Bucket, now: Instant) -> bool {
        let passed = now.saturating_duration_since(bucket.since).as_secs_f64();
        let filled = bucket.left + passed * f64::from(self.per_second);
        bucket.left = filled.min(f64::from(self.burst));
        bucket.since = now;
        let allowed = bucket.left >= 1.0;
        if allowed {
            bucket.left -= 1.0;
        }
        allowed
    }

    /// After this time without questions a bucket is full.
    fn refill(self) -> Duration {
        Duration::from_secs(u64::from(self.burst / self.per_second.max(1)) + 1)
    }
}

/// One rate for each client.
pub struct Rates {
    rate: Rate,
    buckets: BTreeMap<ClientId, Bucket>,
}

impl Rates {
    /// Nobody has asked yet.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        Self {
            rate,
            buckets: BTreeMap::new(),
        }
    }

    /// Whether this client may ask once more.
    pub fn take(&mut self, client: ClientId, now: Instant) -> bool {
        if self.buckets.len() >= CLIENTS_MAX && !self.buckets.contains_key(&client) {
            self.make_room(now);
        }
        let rate = self.rate;
        let bucket = self
            .buckets
            .entry(client)
            .or_insert_with(|| rate.bucket(now));
        rate.take(bucket, now)
    }

    fn make_room(&mut self, now: Instant) {
        let full = self.rate.refill();
        self.buckets
            .retain(|_, b| now.saturating_duration_since(b.since) < full);
        if self.buckets.len() >= CLIENTS_MAX {
            let oldest = self.buckets.iter().min_by_key(|(_, b)| b.since);
            let oldest = oldest.map(|(client, _)| *client);
            oldest.and_then(|client| self.buckets.remove(&client));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_a_rate_of_its_own() {
        let now = tokio::time::Instant::now().into_std();
        let mut rates = Rates::new(Rate::new(10, 30));
        let (a, b) = (ClientId([1; 16]), ClientId([2; 16]));
        let count = |rates: &mut Rates, client, at| {
            std::iter::from_fn(|| rates.take(client, at).then_some(())).count()
        };
        assert_eq!(count(&mut rates, a, now), 30);
        assert_eq!(count(&mut rates, b, now), 30);
        assert_eq!(count(&mut rates, a, now + Duration::from_millis(1100)), 11);
        assert_eq!(count(&mut rates, a, now + Duration::from_secs(3600)), 30);
    }

    #[test]
    fn rates_are_bounded() {
        let now = tokio::time::Instant::now().into_std();
        let mut rates = Rates::new(Rate::new(10, 30));
        for n in 0..u128::try_from(CLIENTS_MAX).unwrap() + 10 {
            assert!(rates.take(ClientId(n.to_be_bytes()), now));
            assert!(rates.buckets.len() <= CLIENTS_MAX);
        }
        rates.take(ClientId([9; 16]), now + Duration::from_secs(60));
        assert_eq!(rates.buckets.len(), 1);
    }
}
