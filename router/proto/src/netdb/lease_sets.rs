//! LeaseSets: apart for each destination that looked them up, and apart from these what is stored
//! to us as a floodfill. Each has room of its own.

use super::Context;
use super::routers::Put;
use super::share::{Member, Share, to_go};
use crate::limits;
use crate::time::Date;
use crate::wire::any_lease_set::AnyLeaseSet;
use crate::wire::hash::{DestHash, RouterHash};
use crate::wire::lease_set2::LeaseSet2;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Published this far ahead of our clock: it was taken in while that was wrong.
const FUTURE: Duration = Duration::from_secs(180);

#[derive(Clone, Debug)]
struct Served {
    value: Arc<AnyLeaseSet>,
    by: RouterHash,
}

/// All LeaseSets.
#[derive(Clone, Debug, Default)]
pub struct LeaseSets {
    found: BTreeMap<(Context, DestHash), Arc<LeaseSet2>>,
    served: BTreeMap<DestHash, Served>,
    served_bytes: usize,
}

impl LeaseSets {
    /// Takes in what a destination looked up, unless one as new that still holds is there. There
    /// is always room: what ends first goes.
    pub fn put_found(&mut self, now: Date, ctx: Context, ls: Arc<LeaseSet2>) -> Put {
        let key = (ctx, ls.hash());
        let put = match self.found.get(&key) {
            Some(k)
                if k.published() >= ls.published()
                    && holds(k.published(), k.expires().min(k.last_lease()), now) =>
            {
                return Put::Kept;
            }
            Some(_) => Put::Replaced,
            None => Put::Added,
        };
        self.found.insert(key, ls);
        loop {
            let (mut count, mut bytes) = (0, 0);
            let mut first: Option<(Date, DestHash)> = None;
            for ((_, hash), k) in self.found.range(all(ctx)) {
                count += 1;
                bytes += k.as_bytes().len();
                let end = (k.expires().min(k.last_lease()), *hash);
                if *hash != key.1 && first.is_none_or(|f| end < f) {
                    first = Some(end);
                }
            }
            let full = count > limits::CLIENT_LEASE_SETS_MAX
                || bytes > limits::CLIENT_LEASE_SETS_BYTES_MAX;
            match first.filter(|_| full) {
                Some((_, hash)) => self.found.remove(&(ctx, hash)),
                None => return put,
            };
        }
    }

    /// Takes in what was stored to us by way of a link, unless one as new is there or there is no
    /// room.
    pub fn put_served(&mut self, now: Date, value: Arc<AnyLeaseSet>, by: RouterHash) -> Put {
        let Some(gone) = self.served_room(now, &value, by) else {
            return Put::Full;
        };
        if self.has_as_new(&value, now) {
            return Put::Kept;
        }
        for hash in gone {
            self.remove_served(&hash);
        }
        let key = value.hash();
        let old = self.served.get(&key).map(|k| k.by);
        self.remove_served(&key);
        self.served_bytes += value.as_bytes().len();
        let by = old.unwrap_or(by);
        self.served.insert(key, Served { value, by });
        if old.is_some() {
            Put::Replaced
        } else {
            Put::Added
        }
    }

    /// Whether what is stored to us is no news.
    #[must_use]
    pub fn has_as_new(&self, value: &AnyLeaseSet, now: Date) -> bool {
        self.served.get(&value.hash()).is_some_and(|k| {
            let known = &k.value;
            holds(known.published(), known.ends(), now) && known.published() >= value.published()
        })
    }

    /// Who has to go for it; `None` when there is no room. Looked at before its signature is.
    #[must_use]
    pub fn served_room(
        &self,
        now: Date,
        value: &AnyLeaseSet,
        by: RouterHash,
    ) -> Option<Vec<DestHash>> {
        let key = value.hash();
        let size = |h: &DestHash| self.served.get(h).map_or(0, |k| k.value.as_bytes().len());
        let mut gone: Vec<DestHash> = Vec::new();
        let mut share = Share::default();
        for (h, k) in self.served.iter().filter(|(h, k)| **h != key && k.by == by) {
            share.add(k.value.as_bytes().len(), k.value.ends(), h.0);
        }
        let new = value.as_bytes().len();
        if share.count >= limits::LEASE_SETS_PER_GIVER
            || share.bytes + new > limits::LEASE_SETS_BYTES_PER_GIVER
        {
            gone.extend(share.first.map(|(_, h)| DestHash(h)));
        }
        let known = self.served.contains_key(&key);
        let mut count = self.served.len() + usize::from(!known) - gone.len();
        let mut bytes = self.served_bytes + new - size(&key);
        bytes -= gone.iter().map(size).sum::<usize>();
        while count > limits::LEASE_SETS_MAX || bytes > limits::LEASE_SETS_BYTES_MAX {
            let others = self.served.iter();
            let others = others.filter(|(h, _)| **h != key && !gone.contains(*h));
            let (first, for_giver) = to_go(others.map(|(h, k)| Member {
                giver: Some(k.by),
                rank: k.value.ends(),
                key: *h,
            }))?;
            if !for_giver && first.rank > now && first.rank > value.ends() {
                return None;
            }
            bytes -= size(&first.key);
            count -= 1;
            gone.push(first.key);
        }
        Some(gone)
    }

    fn remove_served(&mut self, key: &DestHash) {
        if let Some(known) = self.served.remove(key) {
            self.served_bytes -= known.value.as_bytes().len();
        }
    }

    /// What a destination looked up, expired or not.
    #[must_use]
    pub fn found(&self, ctx: Context, dest: &DestHash) -> Option<&Arc<LeaseSet2>> {
        self.found.get(&(ctx, *dest))
    }

    /// What was stored to us.
    #[must_use]
    pub fn served(&self, key: &DestHash) -> Option<&Arc<AnyLeaseSet>> {
        self.served.get(key).map(|k| &k.value)
    }

    /// Forgets what is over, and what is of a future that did not come.
    pub fn expire(&mut self, now: Date) {
        // Leases may end before the LeaseSet does; then it is no use either.
        self.found
            .retain(|_, k| !k.life_left(now).is_zero() && k.published() <= now + FUTURE);
        let over: Vec<DestHash> = self
            .served
            .iter()
            .filter(|(_, k)| !holds(k.value.published(), k.value.ends(), now))
            .map(|(h, _)| *h)
            .collect();
        for key in over {
            self.remove_served(&key);
        }
    }

    /// Forgets all LeaseSets of a context.
    pub fn drop_context(&mut self, ctx: Context) {
        self.found.retain(|(c, _), _| *c != ctx);
    }

    /// Number of LeaseSets that were stored to us.
    #[must_use]
    pub fn served_count(&self) -> usize {
        self.served.len()
    }
}

fn holds(published: Date, ends: Date, now: Date) -> bool {
    ends > now && published <= now + FUTURE
}

fn all(ctx: Context) -> core::ops::RangeInclusive<(Context, DestHash)> {
    (ctx, DestHash([0; 32]))..=(ctx, DestHash([0xff; 32]))
}
