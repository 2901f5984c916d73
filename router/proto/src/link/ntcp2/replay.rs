//! The cache of handshake values that were used before (i2p spec/ntcp2, SessionRequest notes).

use crate::limits;
use crate::time::Instant;
use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

/// How long a value is remembered: twice the clock skew that is accepted, and a margin.
const LIFETIME: Duration = Duration::from_secs(150);

const _: () =
    assert!(limits::NTCP2_REPLAY_MAX as u64 > limits::HANDSHAKES_PER_SECOND * LIFETIME.as_secs());

/// Values of message 1, as encrypted on the wire, in the order they came.
#[derive(Default)]
pub struct ReplayCache {
    seen: BTreeSet<[u8; 32]>,
    order: VecDeque<(Instant, [u8; 32])>,
}

impl ReplayCache {
    /// Whether the value was used within its lifetime.
    pub fn contains(&mut self, now: Instant, value: &[u8; 32]) -> bool {
        self.expire(now);
        self.seen.contains(value)
    }

    /// Remembers a value; above [`limits::NTCP2_REPLAY_MAX`] the oldest is forgotten.
    pub fn insert(&mut self, now: Instant, value: [u8; 32]) {
        if self.seen.insert(value) {
            self.order.push_back((now, value));
        }
        if self.order.len() > limits::NTCP2_REPLAY_MAX {
            self.forget_oldest();
        }
    }

    fn expire(&mut self, now: Instant) {
        while let Some((at, _)) = self.order.front() {
            if now.since(*at) < LIFETIME {
                break;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, value)) = self.order.pop_front() {
            self.seen.remove(&value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_by_time_and_by_number() {
        let mut cache = ReplayCache::default();
        let start = Instant(1);
        cache.insert(start, [1; 32]);
        assert!(cache.contains(start, &[1; 32]));
        assert!(!cache.contains(start + LIFETIME, &[1; 32]));
        for n in 0..=limits::NTCP2_REPLAY_MAX as u64 {
            let mut value = [0; 32];
            value[..8].copy_from_slice(&n.to_le_bytes());
            cache.insert(start, value);
        }
        assert!(!cache.contains(start, &[0; 32]));
        assert_eq!(cache.order.len(), limits::NTCP2_REPLAY_MAX);
        assert_eq!(cache.seen.len(), limits::NTCP2_REPLAY_MAX);
    }
}
