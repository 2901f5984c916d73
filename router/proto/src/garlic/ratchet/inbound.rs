//! The tags this destination expects, and the windows of the tag sets they come from.
//!
//! One table maps tags to (tag set, message number). Tags are derived ahead of the last received
//! message; message keys only when a message comes, and those of skipped messages are kept.

use super::peer::PeerKey;
use super::tagset::{Tag, TagSet};
use crate::limits;
use crate::secret::Secret;
use std::collections::{BTreeMap, VecDeque};

/// Number of a tag set in the table.
pub type SetId = u32;

/// What a message under a tag of the set belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A New Session Reply to this New Session of ours.
    Sent(PeerKey, u32),
    /// The first Existing Session message after one of our replies to this New Session.
    Reply(PeerKey, u32),
    /// A session.
    Session(PeerKey, u32),
}

struct InSet {
    set: TagSet,
    owner: Owner,
    /// Derived tags by message number, from `first` on.
    tags: VecDeque<Tag>,
    first: u32,
    /// Keys that were derived and not used.
    keys: BTreeMap<u16, Secret<32>>,
    highest: Option<u16>,
    /// Twice the widest gap seen, or what the set before had.
    gap: u32,
    grows: bool,
}

impl InSet {
    /// Tags kept ahead of the highest received number, and as many behind.
    fn window(&self) -> u32 {
        let n = self.highest.map_or(0, u32::from);
        let usual = limits::RATCHET_WINDOW_MIN + n / 2;
        usual.max(self.gap).min(limits::RATCHET_WINDOW_MAX)
    }

    /// The end of the leading numbers below `end` that were all used.
    fn used_below(&self, end: u32) -> u32 {
        let end = end.min(self.set.keys());
        let unused = self.keys.keys().next().copied().map_or(end, u32::from);
        unused.min(end)
    }
}

/// All inbound tag sets of a destination.
#[derive(Default)]
pub struct Inbound {
    tags: BTreeMap<Tag, (SetId, u16)>,
    sets: BTreeMap<SetId, InSet>,
    /// Skipped keys of all sets.
    keys: usize,
    last: SetId,
}

impl Inbound {
    /// Expects the first `window` tags of a set; `grows` moves the window with what arrives.
    pub fn insert(&mut self, set: TagSet, owner: Owner, window: u32, grows: bool) -> SetId {
        self.last = self.last.wrapping_add(1);
        let id = self.last;
        let set = InSet {
            set,
            owner,
            tags: VecDeque::new(),
            first: 0,
            keys: BTreeMap::new(),
            highest: None,
            gap: if grows { window } else { 0 },
            grows,
        };
        self.sets.insert(id, set);
        self.derive(id, window);
        id
    }

    /// The set and message number of a tag.
    #[must_use]
    pub fn find(&self, tag: &Tag) -> Option<(SetId, u16)> {
        self.tags.get(tag).copied()
    }

    /// Whose set it is.
    #[must_use]
    pub fn owner(&self, id: SetId) -> Option<Owner> {
        self.sets.get(&id).map(|s| s.owner)
    }

    /// Gives the set to another owner.
    pub fn give(&mut self, id: SetId, owner: Owner) {
        if let Some(s) = self.sets.get_mut(&id) {
            s.owner = owner;
        }
    }

    /// The chains of a set.
    #[must_use]
    pub fn set(&self, id: SetId) -> Option<&TagSet> {
        self.sets.get(&id).map(|s| &s.set)
    }

    /// The window of a set in tags.
    #[must_use]
    pub fn window(&self, id: SetId) -> u32 {
        self.sets.get(&id).map_or(0, InSet::window)
    }

    /// The key of message `n`, which [`Self::find`] has answered; the keys before it are derived
    /// and kept. `None` when it was used.
    pub fn key(&mut self, id: SetId, n: u16) -> Option<&Secret<32>> {
        let s = self.sets.get_mut(&id)?;
        while s.set.keys() <= u32::from(n) {
            let (i, key) = s.set.next_key()?;
            if u32::from(i) < s.first {
                continue;
            }
            s.keys.insert(i, key);
            self.keys += 1;
            if self.keys > limits::RATCHET_KEYS_MAX && s.keys.len() > 1 {
                s.keys.pop_first();
                self.keys -= 1;
            }
        }
        s.keys.get(&n)
    }

    /// Message `n` has verified: its key is gone and the window moves. Its tag is known for some
    /// time, so that copies of the message are refused without a public-key operation.
    pub fn accept(&mut self, id: SetId, n: u16) {
        let Some(s) = self.sets.get_mut(&id) else {
            return;
        };
        self.keys -= usize::from(s.keys.remove(&n).is_some());
        if !s.grows {
            let i = u32::from(n).checked_sub(s.first).map(|i| i as usize);
            if let Some(tag) = i.and_then(|i| s.tags.get(i)) {
                self.tags.remove(tag);
            }
            let ahead = u32::from(n) + 1 + limits::RATCHET_REPLIES_MAX as u32;
            self.derive(id, ahead.min(limits::RATCHET_REPLIES_OPENED_MAX));
            return;
        }
        let before = s.highest.map_or(0, |h| u32::from(h) + 1);
        let gap = u32::from(n).saturating_sub(before).saturating_mul(2);
        s.gap = s.gap.max(gap);
        s.highest = Some(s.highest.map_or(n, |h| h.max(n)));
        let (highest, window) = (s.highest.map_or(0, u32::from), s.window());
        let low = highest.saturating_sub(window);
        let used = s.used_below(highest.saturating_sub(limits::RATCHET_WINDOW_MIN));
        self.trim(id, low.max(used));
        let full = self.tags.len() >= limits::RATCHET_TAGS_MAX;
        let ahead = if full {
            limits::RATCHET_WINDOW_MIN
        } else {
            window
        };
        self.derive(id, highest + 1 + ahead);
    }

    /// Derives tags until there are `target` of the set.
    fn derive(&mut self, id: SetId, target: u32) {
        let Some(s) = self.sets.get_mut(&id) else {
            return;
        };
        while s.set.tags() < target {
            let Some((n, tag)) = s.set.next_tag() else {
                return;
            };
            s.tags.push_back(tag);
            self.tags.insert(tag, (id, n));
        }
    }

    /// Forgets tags and keys of message numbers below `low`.
    fn trim(&mut self, id: SetId, low: u32) {
        let Some(s) = self.sets.get_mut(&id) else {
            return;
        };
        while s.first < low {
            let Some(tag) = s.tags.pop_front() else {
                return;
            };
            let n = s.first as u16;
            if self.tags.get(&tag) == Some(&(id, n)) {
                self.tags.remove(&tag);
            }
            self.keys -= usize::from(s.keys.remove(&n).is_some());
            s.first += 1;
        }
    }

    /// Expects no more messages of this set.
    pub fn remove(&mut self, id: SetId) {
        self.trim(id, u32::MAX);
        self.sets.remove(&id);
    }

    /// Tags, sets and skipped keys held.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.tags.len(), self.sets.len(), self.keys)
    }

    /// Bytes held, without the allocator's overhead.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let of = |s: &InSet| {
            size_of::<(SetId, InSet)>()
                + s.tags.capacity() * size_of::<Tag>()
                + s.keys.len() * size_of::<(u16, Secret<32>)>()
        };
        let table = self.tags.len() * size_of::<(Tag, (SetId, u16))>();
        table + self.sets.values().map(of).sum::<usize>()
    }
}
