//! Which RouterInfos are written, and when: never faster than flash can bear for years, and no
//! removal is lost.

use super::NetDb;
use super::meter::{Bucket, Rate};
use super::routers::Gone;
use crate::limits;
use crate::time::{Instant, Now};
use crate::wire::hash::RouterHash;
use core::time::Duration;
use std::collections::BTreeSet;

/// Changes are gathered for this long, and then handed out so far apart.
const PAUSE: Duration = Duration::from_secs(1);
/// RouterInfos written; what comes faster waits, and only its newest state is written.
const WRITES: Rate = Rate {
    per_second: 2,
    burst: 2048,
};

/// What the disk does not have yet.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    changed: BTreeSet<RouterHash>,
    removed: BTreeSet<RouterHash>,
    writes: Bucket,
    /// When there is something to write.
    pub(super) due: Option<Instant>,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            changed: BTreeSet::new(),
            removed: BTreeSet::new(),
            writes: Bucket::new(WRITES),
            due: None,
        }
    }
}

impl NetDb {
    /// A RouterInfo is new.
    pub(super) fn note_change(&mut self, now: Instant, hash: RouterHash) {
        if self.disk.removed.remove(&hash) {
            self.routers.set_on_disk(&hash);
        }
        self.disk.changed.insert(hash);
        self.disk.due = self.disk.due.or(Some(now + PAUSE));
    }

    /// RouterInfos are gone; those that never came to the disk need no removal.
    pub(super) fn note_gone(&mut self, now: Instant, gone: Gone) {
        for (hash, on_disk) in gone {
            self.disk.changed.remove(&hash);
            if on_disk {
                self.disk.removed.insert(hash);
                self.disk.due = self.disk.due.or(Some(now + PAUSE));
            }
        }
    }

    /// Hands out a few changes. Removals come first, so that the disk never holds more than
    /// memory may.
    pub(super) fn drive_disk(&mut self, now: Now) {
        if self.disk.due.is_none_or(|t| t > now.mono) {
            return;
        }
        for _ in 0..limits::WRITES_PER_TURN {
            if let Some(hash) = self.disk.removed.pop_first() {
                self.persist(hash, None);
            } else if !self.disk.changed.is_empty() && self.disk.writes.take(now.mono, 1) {
                let Some(hash) = self.disk.changed.pop_first() else {
                    break;
                };
                // What is read at a start counts as known to all: a floodfill that one router
                // alone has told of is not to come back as that.
                let common = self.routers.may_serve_clients(&hash);
                let info = self.routers.get(&hash);
                if let Some(info) = info.filter(|i| common || !i.is_floodfill()).cloned() {
                    self.routers.set_on_disk(&hash);
                    self.persist(hash, Some(info));
                }
            } else {
                break;
            }
        }
        let idle = self.disk.removed.is_empty() && self.disk.changed.is_empty();
        self.disk.due = (!idle).then_some(now.mono + PAUSE);
    }
}
