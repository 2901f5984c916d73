//! One-time garlic tags that we expect: replies to lookups and to outbound builds.

use crate::garlic::one_time;
use crate::limits;
use crate::secret::Secret;
use crate::time::Instant;
use crate::tunnel::PoolId;
use std::collections::BTreeMap;

/// What a tag belongs to: its replies come out of this pool's inbound tunnels.
struct Expected {
    pool: PoolId,
    key: Secret<32>,
    until: Instant,
}

/// The tags, each good for one message.
#[derive(Default)]
pub struct Tags(BTreeMap<[u8; 8], Expected>);

impl Tags {
    /// Expects a reply. When the table is full the tag that ends first gives way.
    pub fn expect(&mut self, pool: PoolId, tag: [u8; 8], key: Secret<32>, until: Instant) {
        if self.0.len() >= limits::ONE_TIME_TAGS_MAX {
            let first = self.0.iter().min_by_key(|(_, e)| e.until).map(|(t, _)| *t);
            first.map(|t| self.0.remove(&t));
        }
        self.0.insert(tag, Expected { pool, key, until });
    }

    /// Opens garlic content whose tag is expected: the pool it was asked for, tag and payload.
    /// `None` for every other content, which is left to others.
    pub fn open(&mut self, content: &[u8], now: Instant) -> Option<(PoolId, [u8; 8], Vec<u8>)> {
        let tag: [u8; 8] = content.get(..8)?.try_into().ok()?;
        let expected = self.0.get(&tag)?;
        if expected.until < now {
            self.0.remove(&tag);
            return None;
        }
        let payload = one_time::open(&expected.key, &tag, content)?;
        let pool = expected.pool;
        self.0.remove(&tag);
        Some((pool, tag, payload))
    }

    /// Drops what ended.
    pub fn expire(&mut self, now: Instant) {
        self.0.retain(|_, e| e.until >= now);
    }

    /// Tags that are expected.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is expected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_opens_once_and_in_time() {
        let mut tags = Tags::default();
        let content = one_time::seal(&[1; 32].into(), &[2; 8], b"reply");
        tags.expect(PoolId(3), [2; 8], [1; 32].into(), Instant(100));
        assert!(tags.open(&[2; 20], Instant(1)).is_none());
        let opened = tags.open(&content, Instant(1));
        assert_eq!(opened, Some((PoolId(3), [2; 8], b"reply".to_vec())));
        assert!(tags.open(&content, Instant(1)).is_none());
        tags.expect(PoolId(3), [2; 8], [1; 32].into(), Instant(100));
        assert!(tags.open(&content, Instant(101)).is_none());
    }
}
