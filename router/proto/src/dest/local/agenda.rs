//! Which remotes have something to do: those that something happened to, and those whose time has
//! come. All others cost nothing.

use crate::time::Instant;
use crate::wire::hash::DestHash;
use std::collections::{BTreeMap, BTreeSet};

/// At most one entry of each kind for a remote.
#[derive(Default)]
pub struct Agenda {
    woken: BTreeSet<DestHash>,
    timers: BTreeSet<(Instant, DestHash)>,
    due_at: BTreeMap<DestHash, Instant>,
}

impl Agenda {
    /// Something happened to the remote.
    pub fn wake(&mut self, hash: DestHash) {
        self.woken.insert(hash);
    }

    /// The remote is to be looked at again then, or only when something happens.
    pub fn arm(&mut self, hash: DestHash, at: Option<Instant>) {
        if let Some(old) = self.due_at.remove(&hash) {
            self.timers.remove(&(old, hash));
        }
        if let Some(at) = at {
            self.due_at.insert(hash, at);
            self.timers.insert((at, hash));
        }
    }

    /// A remote that has something to do at `now`, each once.
    pub fn next(&mut self, now: Instant) -> Option<DestHash> {
        if let Some(hash) = self.woken.pop_first() {
            return Some(hash);
        }
        let (at, hash) = self.timers.first().copied()?;
        if at > now {
            return None;
        }
        self.arm(hash, None);
        Some(hash)
    }

    /// Nothing more is to be done for the remote.
    pub fn forget(&mut self, hash: &DestHash) {
        self.woken.remove(hash);
        self.arm(*hash, None);
    }

    /// When a remote has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }
}
