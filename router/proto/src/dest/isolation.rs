//! Which client uses which local destination: clients of different tags never share one.

use crate::time::Instant;
use crate::tunnel::PoolId;
use core::time::Duration;
use std::collections::BTreeMap;

/// A client destination that nobody used for this long is given up.
pub const IDLE: Duration = Duration::from_secs(20 * 60);

/// Tags and their destinations, and the unassigned one.
#[derive(Debug, Default)]
pub struct Isolation {
    by_tag: BTreeMap<Vec<u8>, PoolId>,
    used: BTreeMap<PoolId, Instant>,
    spare: Option<PoolId>,
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
        self.used.insert(id, now);
        Some(id)
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
        self.by_tag.len() + usize::from(self.spare.is_some())
    }

    /// Whether there is no client destination.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The destination is in use.
    pub fn touch(&mut self, id: PoolId, now: Instant) {
        if let Some(t) = self.used.get_mut(&id) {
            *t = now;
        }
    }

    /// Destinations that nobody used for [`IDLE`]; they are forgotten here.
    pub fn take_idle(&mut self, now: Instant) -> Vec<PoolId> {
        let idle: Vec<PoolId> = self
            .used
            .iter()
            .filter(|(_, t)| **t + IDLE < now)
            .map(|(id, _)| *id)
            .collect();
        for id in &idle {
            self.used.remove(id);
            self.by_tag.retain(|_, v| v != id);
        }
        idle
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
}
