//! The local destinations, and which of them have something to do: those that something happened
//! to, and those whose time has come. All others cost an event nothing.

use crate::dest::local::LocalDest;
use crate::limits::STREAM_RECEIVE_LEAST;
use crate::time::Instant;
use crate::tunnel::PoolId;
use crate::wire::hash::DestHash;
use std::collections::{BTreeMap, BTreeSet};

/// All are told how much may still be received when it has changed by this many bytes.
const ROOM_STEP: usize = 16 * STREAM_RECEIVE_LEAST;

struct Entry {
    dest: LocalDest,
    /// Bytes that its streams held when it was looked at last.
    held: usize,
    /// Its deadline, as it is in `timers`.
    due: Option<Instant>,
    #[cfg(test)]
    driven: u64,
}

/// At most one entry of each kind for a destination.
pub struct Dests {
    all: BTreeMap<PoolId, Entry>,
    woken: BTreeSet<PoolId>,
    timers: BTreeSet<(Instant, PoolId)>,
    /// Sum over all destinations.
    held: usize,
    /// What it may be.
    budget: usize,
    /// The room that all were told of.
    told: usize,
}

impl Dests {
    /// None yet; `budget` is how many bytes their streams may hold together.
    pub fn new(budget: usize) -> Self {
        Self {
            all: BTreeMap::new(),
            woken: BTreeSet::new(),
            timers: BTreeSet::new(),
            held: 0,
            budget,
            told: budget,
        }
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (PoolId, &LocalDest)> {
        self.all.iter().map(|(pool, e)| (*pool, &e.dest))
    }

    pub fn get(&self, pool: PoolId) -> Option<&LocalDest> {
        self.all.get(&pool).map(|e| &e.dest)
    }

    /// Whoever may change a destination wakes it.
    pub fn get_mut(&mut self, pool: PoolId) -> Option<&mut LocalDest> {
        let entry = self.all.get_mut(&pool)?;
        self.woken.insert(pool);
        Some(&mut entry.dest)
    }

    /// The served one of this hash.
    pub fn served_mut(&mut self, hash: DestHash) -> Option<&mut LocalDest> {
        let is_it = |d: &LocalDest| d.served && d.hash() == hash;
        let pool = self.iter().find(|(_, d)| is_it(d)).map(|(pool, _)| pool)?;
        self.get_mut(pool)
    }

    /// It looks at what changed around it.
    pub fn wake(&mut self, pool: PoolId) {
        self.get_mut(pool);
    }

    /// All of them, for what happens to all.
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut LocalDest> {
        self.woken.extend(self.all.keys());
        self.all.values_mut().map(|e| &mut e.dest)
    }

    pub fn insert(&mut self, pool: PoolId, dest: LocalDest) {
        self.remove(pool);
        let entry = Entry {
            dest,
            held: 0,
            due: None,
            #[cfg(test)]
            driven: 0,
        };
        self.all.insert(pool, entry);
        self.woken.insert(pool);
    }

    pub fn remove(&mut self, pool: PoolId) {
        self.woken.remove(&pool);
        if let Some(entry) = self.all.remove(&pool) {
            self.held -= entry.held;
            if let Some(at) = entry.due {
                self.timers.remove(&(at, pool));
            }
        }
    }

    /// The next deadline.
    pub fn deadline(&self) -> Option<Instant> {
        let woken = self.woken.iter().filter_map(|pool| self.get(*pool));
        let armed = self.timers.first().map(|(at, _)| *at);
        woken.filter_map(LocalDest::deadline).chain(armed).min()
    }

    /// Wakes those whose deadline has come, and names them.
    pub fn due(&mut self, now: Instant) -> Vec<PoolId> {
        let late = self.timers.iter().take_while(|(at, _)| *at <= now);
        self.woken.extend(late.map(|(_, pool)| *pool));
        let is_due = |pool: &PoolId| {
            let deadline = self.get(*pool).and_then(LocalDest::deadline);
            deadline.is_some_and(|at| at <= now)
        };
        self.woken.iter().copied().filter(is_due).collect()
    }

    /// Those that have something to do, and how much all may still receive. They stay woken until
    /// they [rest](Self::rest).
    pub fn woken(&mut self) -> (Vec<PoolId>, usize) {
        for pool in &self.woken {
            if let Some(e) = self.all.get_mut(pool) {
                recount(&mut self.held, e);
            }
        }
        let room = self.budget.saturating_sub(self.held);
        let used_up = (room == 0) != (self.told == 0);
        if used_up || self.told.abs_diff(room) >= ROOM_STEP {
            self.told = room;
            self.woken.extend(self.all.keys());
        }
        (self.woken.iter().copied().collect(), room)
    }

    /// It has nothing to do before its deadline.
    pub fn rest(&mut self, pool: PoolId) {
        self.woken.remove(&pool);
        let Some(e) = self.all.get_mut(&pool) else {
            return;
        };
        recount(&mut self.held, e);
        let due = e.dest.deadline();
        if due != e.due {
            if let Some(old) = core::mem::replace(&mut e.due, due) {
                self.timers.remove(&(old, pool));
            }
            self.timers.extend(due.map(|at| (at, pool)));
        }
        #[cfg(test)]
        {
            e.driven += 1;
        }
    }

    /// How often each came to rest.
    #[cfg(test)]
    pub fn driven(&self) -> BTreeMap<PoolId, u64> {
        self.all.iter().map(|(pool, e)| (*pool, e.driven)).collect()
    }
}

fn recount(sum: &mut usize, entry: &mut Entry) {
    let held = entry.dest.streams.held();
    *sum = *sum - entry.held + held;
    entry.held = held;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::router::boot::client_keys;

    /// Half of what is usual.
    const BUDGET: usize = crate::limits::STREAM_RECEIVE_BUDGET / 2;

    #[test]
    fn all_are_told_when_what_may_be_received_changes_much() {
        let (mut dests, mut rng) = (Dests::new(BUDGET), Rng::from_number(1));
        let pools: Vec<PoolId> = (1..4).map(PoolId).collect();
        for pool in &pools {
            let dest = LocalDest::new(client_keys(&mut rng).unwrap(), false);
            dests.insert(*pool, dest);
        }
        let mut woken = |held: usize| {
            dests.held = held;
            let (woken, room) = dests.woken();
            assert_eq!(room, BUDGET - held);
            for pool in &woken {
                dests.rest(*pool);
            }
            woken.len()
        };
        assert_eq!(woken(0), 3, "new ones");
        assert_eq!(woken(ROOM_STEP - 1), 0);
        assert_eq!(woken(ROOM_STEP), 3);
        assert_eq!(woken(1), 0, "nobody is told to and fro");
        assert_eq!(woken(BUDGET - 1), 3);
        assert_eq!(woken(BUDGET), 3, "used up");
        assert_eq!(woken(BUDGET - 1), 3, "and no more");
        for pool in &pools {
            dests.remove(*pool);
        }
        assert_eq!((dests.deadline(), dests.woken().0.len()), (None, 0));
    }
}
