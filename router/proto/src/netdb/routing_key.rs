//! The key of the day and its distance (i2p docs/how/network-database, Kademlia Closeness
//! Metric): what is looked for is rotated by date, router hashes are not.

use crate::time::Date;
use crate::wire::hash::{RouterHash, sha256};

/// SHA-256 of a hash and the UTC date `yyyyMMdd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoutingKey([u8; 32]);

impl RoutingKey {
    /// Of a router's or destination's hash on the day of `date`.
    #[must_use]
    pub fn of(hash: &[u8; 32], date: Date) -> Self {
        Self(sha256(&[hash, &date.yyyymmdd()]))
    }

    /// XOR with the router's hash; smaller is nearer.
    #[must_use]
    pub fn distance(&self, router: &RouterHash) -> [u8; 32] {
        let mut out = self.0;
        for (d, h) in out.iter_mut().zip(router.0) {
            *d ^= h;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotates_at_midnight_utc() {
        let day = Date::from_secs(1_798_761_599);
        let next = Date::from_secs(1_798_761_600);
        let key = RoutingKey::of(&[7; 32], day);
        let mut input = vec![7; 32];
        input.extend_from_slice(b"20261231");
        assert_eq!(key.0, sha256(&[&input]));
        assert_ne!(key, RoutingKey::of(&[7; 32], next));
        assert_eq!(key.distance(&RouterHash(key.0)), [0; 32]);
    }
}
