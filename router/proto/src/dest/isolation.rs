//! Which client uses which local destination: clients of different tags never share one.

use crate::time::Instant;
use crate::tunnel::PoolId;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

/// A client destination that nobody used for this long is given up.
pub const IDLE: Duration = Duration::from_secs(20 * 60);
/// A destination whose tag is given up lives on while it has streams and for this long after the
/// last one, so that their ends are heard.
pub const LINGER: Duration = Duration::from_secs(60);
/// When there is no room for another one, a destination that nobody used for this long gives way.
pub const SPARED: Duration = Duration::from_secs(60);

/// Between its first and its last use lies this much with a client that stays: it does not give
/// way to a newcomer while newcomers hold half of all. A device can show as many tags as it likes,
/// but those push out only each other.
pub const SETTLED: Duration = Duration::from_secs(10 * 60);

/// Tags and their destinations, and the unassigned one.
#[derive(Debug, Default)]
pub struct Isolation {
    by_tag: BTreeMap<Vec<u8>, PoolId>,
    used: BTreeMap<PoolId, Use>,
    /// Those whose tag is given up.
    retired: BTreeSet<PoolId>,
    spare: Option<PoolId>,
}

#[derive(Debug, Clone, Copy)]
struct Use {
    first: Instant,
    last: Instant,
}

impl Use {
    fn is_settled(self) -> bool {
        self.first + SETTLED <= self.last
    }
}

impl Isolation {
    /// The destination of a tag: its own, else the spare one, which becomes its own.
    pub fn assign(&mut self, tag: &[u8], now: Instant) -> Option<PoolId> {
        let id = match self.by_tag.get(tag) {
            Some(id) => *id,
            None => {
                let id = self.spare.take()?;
                self.by_tag.insert(tag.to_vec(), id);
                id
            }
        };
        let first = self.used.get(&id).map_or(now, |u| u.first);
        self.used.insert(id, Use { first, last: now });
        Some(id)
    }

    /// Gives a tag up: whoever shows it again is somebody new. Its destination ends when nobody
    /// uses it any more.
    pub fn retire(&mut self, tag: &[u8]) {
        if let Some(id) = self.by_tag.remove(tag) {
            self.retired.insert(id);
        }
    }

    /// Whether an unassigned destination is ready.
    #[must_use]
    pub const fn has_spare(&self) -> bool {
        self.spare.is_some()
    }

    /// A new unassigned destination.
    pub const fn set_spare(&mut self, id: PoolId) {
        self.spare = Some(id);
    }

    /// Whether the tag has a destination already.
    #[must_use]
    pub fn is_known(&self, tag: &[u8]) -> bool {
        self.by_tag.contains_key(tag)
    }

    /// Client destinations, the spare one among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.used.len() + usize::from(self.spare.is_some())
    }

    /// Whether there is no client destination.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The destination is in use.
    pub fn touch(&mut self, id: PoolId, now: Instant) {
        if let Some(u) = self.used.get_mut(&id) {
            u.last = now;
        }
    }

    /// Destinations that nobody used for [`IDLE`], or for [`LINGER`] since their tag was given up;
    /// they are forgotten here.
    pub fn take_idle(&mut self, now: Instant) -> Vec<PoolId> {
        let idle: Vec<PoolId> = self
            .used
            .iter()
            .filter(|(id, u)| {
                let patience = if self.retired.contains(id) {
                    LINGER
                } else {
                    IDLE
                };
                u.last + patience < now
            })
            .map(|(id, _)| *id)
            .collect();
        for id in &idle {
            self.forget(*id);
        }
        idle
    }

    /// The destination unused for longest, and for [`SPARED`] at least, to make room for another
    /// client; it is forgotten here. Newcomers go first, and alone while they hold half of all.
    /// `None` when all that may go are in use.
    pub fn evict(&mut self, now: Instant) -> Option<PoolId> {
        let new = self.used.values().filter(|u| !u.is_settled()).count();
        let only_new = 2 * new >= self.used.len();
        let idle = self.used.iter().filter(|(_, u)| u.last + SPARED <= now);
        let (_, _, id) = idle
            .filter(|(_, u)| !(only_new && u.is_settled()))
            .map(|(id, u)| (u.is_settled(), u.last, *id))
            .min()?;
        self.forget(id);
        Some(id)
    }

    fn forget(&mut self, id: PoolId) {
        self.used.remove(&id);
        self.retired.remove(&id);
        self.by_tag.retain(|_, v| *v != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_never_share_a_destination() {
        let mut i = Isolation::default();
        let t = Instant(1);
        assert_eq!(i.assign(b"a", t), None);
        i.set_spare(PoolId(1));
        assert_eq!(i.assign(b"a", t), Some(PoolId(1)));
        assert_eq!(i.assign(b"a", t), Some(PoolId(1)));
        assert_eq!(i.assign(b"b", t), None);
        i.set_spare(PoolId(2));
        assert_eq!(i.assign(b"b", t), Some(PoolId(2)));
        let later = t + IDLE + Duration::from_secs(1);
        i.touch(PoolId(2), later);
        assert_eq!(i.take_idle(later), [PoolId(1)]);
        assert!(!i.is_known(b"a") && i.is_known(b"b"));
    }

    #[test]
    fn a_tag_that_is_given_up_is_somebody_new_and_its_destination_ends_soon() {
        let mut i = Isolation::default();
        let at = |s| Instant(0) + Duration::from_secs(s);
        i.set_spare(PoolId(1));
        i.assign(b"a", at(0));
        i.retire(b"a");
        i.retire(b"nobody");
        assert!(!i.is_known(b"a") && i.len() == 1);
        i.set_spare(PoolId(2));
        assert_eq!(i.assign(b"a", at(1)), Some(PoolId(2)));
        // Streams of before are still open.
        i.touch(PoolId(1), at(100));
        assert!(i.take_idle(at(160)).is_empty());
        assert_eq!(i.take_idle(at(161)), [PoolId(1)]);
        assert!(i.is_known(b"a") && i.len() == 1);
        assert!(i.take_idle(at(1200)).is_empty());
    }

    #[test]
    fn the_longest_idle_gives_way_and_what_is_used_never_does() {
        let mut i = Isolation::default();
        let at = |s| Instant(0) + Duration::from_secs(s);
        for (n, tag) in [b"a", b"b", b"c"].into_iter().enumerate() {
            i.set_spare(PoolId(n as u32));
            i.assign(tag, at(n as u64));
        }
        assert_eq!(i.evict(at(59)), None);
        i.touch(PoolId(0), at(59));
        assert_eq!(i.evict(at(60)), None);
        assert_eq!(i.evict(at(61)), Some(PoolId(1)));
        assert!(i.is_known(b"a") && !i.is_known(b"b") && i.is_known(b"c"));
        i.touch(PoolId(2), at(100));
        assert_eq!(i.evict(at(118)), None);
        assert_eq!(i.evict(at(119)), Some(PoolId(0)));
    }

    #[test]
    fn a_device_of_many_tags_pushes_out_only_its_own() {
        let mut i = Isolation::default();
        let at = |s| Instant(0) + Duration::from_secs(s);
        let mut next = 0;
        let mut come = |i: &mut Isolation, tag: &[u8], now| {
            next += 1;
            i.set_spare(PoolId(next));
            assert_eq!(i.assign(tag, now), Some(PoolId(next)));
        };
        for tag in [b"a", b"b", b"c", b"d"] {
            come(&mut i, tag, at(0));
            i.assign(tag, at(600));
        }
        // Eight places, and a new tag as often as one can be had.
        let mut now = at(601);
        for n in 0_u32..200 {
            if i.len() >= 8 && i.evict(now).is_none() {
                now = now + Duration::from_secs(5);
                continue;
            }
            come(&mut i, &n.to_be_bytes(), now);
        }
        for tag in [b"a", b"b", b"c", b"d"] {
            assert!(i.is_known(tag));
        }
        assert!(now < at(600) + IDLE, "{now:?}");
    }
}
