//! Who goes when a table is full: one of whoever has the most in it, so that no giver can push
//! out what the others gave.

use crate::time::Date;
use crate::wire::hash::RouterHash;
use std::collections::BTreeMap;

/// A giver with no more than this is not looked at.
const FAIR: usize = 32;

/// An entry of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<K> {
    /// Who gave it; `None`: nobody to be counted.
    pub(super) giver: Option<RouterHash>,
    /// The least goes first.
    pub(super) rank: Date,
    /// Its key.
    pub(super) key: K,
}

/// The member to go: the first of the largest giver's, if that one has more than a fair share;
/// else the first of all. Also whether it was chosen for its giver.
pub(super) fn to_go<K: Copy + Ord>(
    members: impl Iterator<Item = Member<K>>,
) -> Option<(Member<K>, bool)> {
    let mut first: Option<Member<K>> = None;
    let mut givers: BTreeMap<RouterHash, (usize, Member<K>)> = BTreeMap::new();
    let order = |m: &Member<K>| (m.rank, m.key);
    for m in members {
        if first.is_none_or(|f| order(&m) < order(&f)) {
            first = Some(m);
        }
        if let Some(giver) = m.giver {
            let (n, least) = givers.entry(giver).or_insert((0, m));
            *n += 1;
            if order(&m) < order(least) {
                *least = m;
            }
        }
    }
    let largest = givers.into_values().max_by_key(|(n, _)| *n);
    match largest {
        Some((n, m)) if n > FAIR => Some((m, true)),
        _ => first.map(|m| (m, false)),
    }
}

/// Number and bytes of the members of one share, and the first to go.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Share {
    /// Members.
    pub(super) count: usize,
    /// Their bytes.
    pub(super) bytes: usize,
    /// The one that goes first.
    pub(super) first: Option<(Date, [u8; 32])>,
}

impl Share {
    /// Counts a member.
    pub(super) fn add(&mut self, bytes: usize, rank: Date, key: [u8; 32]) {
        self.count += 1;
        self.bytes += bytes;
        if self.first.is_none_or(|f| (rank, key) < f) {
            self.first = Some((rank, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_giver_loses_first() {
        let member = |n: u8, giver: Option<u8>| Member {
            giver: giver.map(|g| RouterHash([g; 32])),
            rank: Date(u64::from(n)),
            key: n,
        };
        let few = (0..20).map(|n| member(n, Some(n % 4)));
        assert!(to_go(few.clone()).is_some_and(|(m, by)| m.key == 0 && !by));
        let many = (100..200).map(|n| member(n, Some(9)));
        assert!(to_go(few.chain(many)).is_some_and(|(m, by)| m.key == 100 && by));
        assert!(to_go(core::iter::empty::<Member<u8>>()).is_none());
    }
}
