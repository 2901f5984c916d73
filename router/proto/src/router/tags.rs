//! One-time garlic tags that we expect: replies to lookups. Each is bound to the inbound tunnel
//! that the question named: who asked would be known by where the answer is taken from.

use crate::garlic::one_time;
use crate::limits;
use crate::secret::Secret;
use crate::time::Instant;
use crate::tunnel::InboundId;
use std::collections::BTreeMap;

/// What a tag belongs to: its reply comes out of this tunnel.
struct Expected {
    tunnel: InboundId,
    key: Secret<32>,
    until: Instant,
}

/// The tags, each good for one message.
#[derive(Default)]
pub struct Tags {
    tags: BTreeMap<[u8; 8], Expected>,
    wrong_way: u64,
}

impl Tags {
    /// Expects a reply. When the table is full the tag that ends first gives way.
    pub fn expect(&mut self, tunnel: InboundId, tag: [u8; 8], key: Secret<32>, until: Instant) {
        if self.tags.len() >= limits::ONE_TIME_TAGS_MAX {
            let first = self.tags.iter().min_by_key(|(_, e)| e.until);
            let first = first.map(|(t, _)| *t);
            first.map(|t| self.tags.remove(&t));
        }
        self.tags.insert(tag, Expected { tunnel, key, until });
    }

    /// Opens garlic content that came out of `tunnel` and whose tag is expected there: tag and
    /// payload. `None` for every other content, which is left to others; the tag stays expected.
    pub fn open(
        &mut self,
        tunnel: InboundId,
        content: &[u8],
        now: Instant,
    ) -> Option<([u8; 8], Vec<u8>)> {
        let tag: [u8; 8] = content.get(..8)?.try_into().ok()?;
        let expected = self.tags.get(&tag)?;
        if expected.tunnel != tunnel {
            self.wrong_way += 1;
            return None;
        }
        if expected.until < now {
            self.tags.remove(&tag);
            return None;
        }
        let payload = one_time::open(&expected.key, &tag, content)?;
        self.tags.remove(&tag);
        Some((tag, payload))
    }

    /// Drops what ended.
    pub fn expire(&mut self, now: Instant) {
        self.tags.retain(|_, e| e.until >= now);
    }

    /// Counts a message of a link that bears an expected tag: no tag is ever good there.
    pub fn note_link(&mut self, content: &[u8]) {
        let tag = content.first_chunk::<8>();
        self.wrong_way += u64::from(tag.is_some_and(|t| self.tags.contains_key(t)));
    }

    /// Replies that did not come the way they have to.
    #[must_use]
    pub const fn wrong_way(&self) -> u64 {
        self.wrong_way
    }

    /// Tags that are expected.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tags.len()
    }

    /// Whether none is expected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_opens_once_in_time_and_out_of_its_tunnel() {
        let mut tags = Tags::default();
        let (here, there) = (InboundId(3), InboundId(4));
        let content = one_time::seal(&[1; 32].into(), &[2; 8], b"reply");
        tags.expect(here, [2; 8], [1; 32].into(), Instant(100));
        assert!(tags.open(here, &[2; 20], Instant(1)).is_none());
        assert!(tags.open(there, &content, Instant(1)).is_none());
        tags.note_link(&content);
        tags.note_link(b"other content");
        assert_eq!(tags.wrong_way(), 2);
        let opened = tags.open(here, &content, Instant(1));
        assert_eq!(opened, Some(([2; 8], b"reply".to_vec())));
        assert!(tags.open(here, &content, Instant(1)).is_none());
        tags.expect(here, [2; 8], [1; 32].into(), Instant(100));
        assert!(tags.open(here, &content, Instant(101)).is_none());
    }
}
