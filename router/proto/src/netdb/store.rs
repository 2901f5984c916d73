//! What the netDb holds: RouterInfos for everyone, LeaseSets apart for each context.
//! Values come in verified; here only age, number and size decide.

use super::Context;
use crate::limits;
use crate::time::Date;
use crate::wire::hash::{DestHash, RouterHash};
use crate::wire::lease_set2::LeaseSet2;
use crate::wire::router_info::RouterInfo;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// With so few routers none expires (i2p docs/how/network-database, RouterInfo Expiration).
const KEEP_ALL: usize = 25;
const HOUR: Duration = Duration::from_secs(3600);

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It was not known before.
    Added,
    /// It took the place of an older one.
    Replaced,
    /// One as new or newer is here already.
    Kept,
    /// There is no room for it.
    Full,
}

impl Put {
    /// Whether the value is new to us.
    #[must_use]
    pub const fn is_news(self) -> bool {
        matches!(self, Self::Added | Self::Replaced)
    }
}

#[derive(Clone, Debug)]
struct KnownRouter {
    info: Arc<RouterInfo>,
    served: bool,
}

#[derive(Clone, Debug)]
struct KnownLeaseSet {
    ls: Arc<LeaseSet2>,
    served: bool,
}

/// RouterInfos and LeaseSets.
#[derive(Clone, Debug, Default)]
pub struct Store {
    routers: BTreeMap<RouterHash, KnownRouter>,
    by_date: BTreeSet<(Date, RouterHash)>,
    floodfills: BTreeSet<RouterHash>,
    router_bytes: usize,
    lease_sets: BTreeMap<(Context, DestHash), KnownLeaseSet>,
    lease_set_bytes: usize,
}

impl Store {
    /// Takes a RouterInfo in unless one as new is known; `served`: it was stored to us, so that
    /// we may answer lookups with it. Also answers who had to go for it.
    pub fn put_router(&mut self, info: Arc<RouterInfo>, served: bool) -> (Put, Vec<RouterHash>) {
        let hash = info.hash();
        let put = match self.routers.get_mut(&hash) {
            Some(known) if known.info.published() >= info.published() => {
                known.served |= served;
                return (Put::Kept, Vec::new());
            }
            Some(_) => Put::Replaced,
            None => Put::Added,
        };
        let served = served || self.routers.get(&hash).is_some_and(|k| k.served);
        self.remove_router(&hash);
        self.router_bytes += info.as_bytes().len();
        self.by_date.insert((info.published(), hash));
        if info.is_floodfill() {
            self.floodfills.insert(hash);
        }
        self.routers.insert(hash, KnownRouter { info, served });
        let mut gone = Vec::new();
        while self.routers.len() > limits::ROUTERS_MAX
            || self.router_bytes > limits::ROUTERS_BYTES_MAX
        {
            let Some((_, oldest)) = self.by_date.first().copied() else {
                break;
            };
            self.remove_router(&oldest);
            if oldest == hash {
                return (Put::Full, gone);
            }
            gone.push(oldest);
        }
        (put, gone)
    }

    /// Forgets a router; whether it was known.
    pub fn remove_router(&mut self, hash: &RouterHash) -> bool {
        let Some(known) = self.routers.remove(hash) else {
            return false;
        };
        self.router_bytes -= known.info.as_bytes().len();
        self.by_date.remove(&(known.info.published(), *hash));
        self.floodfills.remove(hash);
        true
    }

    /// A router.
    #[must_use]
    pub fn router(&self, hash: &RouterHash) -> Option<&Arc<RouterInfo>> {
        self.routers.get(hash).map(|k| &k.info)
    }

    /// A router that was stored to us.
    #[must_use]
    pub fn served_router(&self, hash: &RouterHash) -> Option<&Arc<RouterInfo>> {
        let known = self.routers.get(hash)?;
        known.served.then_some(&known.info)
    }

    /// All routers in the order of their hashes.
    pub fn routers(&self) -> impl Iterator<Item = &Arc<RouterInfo>> {
        self.routers.values().map(|k| &k.info)
    }

    /// All floodfills in the order of their hashes.
    pub fn floodfills(&self) -> impl Iterator<Item = &Arc<RouterInfo>> {
        self.floodfills.iter().filter_map(|h| self.router(h))
    }

    /// Number of routers.
    #[must_use]
    pub fn router_count(&self) -> usize {
        self.routers.len()
    }

    /// Number of floodfills.
    #[must_use]
    pub fn floodfill_count(&self) -> usize {
        self.floodfills.len()
    }

    /// How long after its publication a RouterInfo is kept, with as many as there are.
    #[must_use]
    pub fn router_life(&self, floodfill: bool) -> Duration {
        match self.routers.len() {
            ..=KEEP_ALL => Duration::MAX,
            n if n <= 120 => HOUR * 72,
            _ if floodfill => HOUR,
            n => {
                let shrunk = HOUR * 27 * 300 / u32::try_from(n).unwrap_or(u32::MAX);
                shrunk.clamp(HOUR * 3 / 2, HOUR * 27)
            }
        }
    }

    /// Forgets routers published before `life` ago, the oldest first, but never below 25; they
    /// are answered.
    pub fn expire_routers(&mut self, now: Date, floodfill: bool) -> Vec<RouterHash> {
        let mut gone = Vec::new();
        while let Some((published, hash)) = self.by_date.first().copied() {
            if now.since(published) <= self.router_life(floodfill) {
                break;
            }
            self.remove_router(&hash);
            gone.push(hash);
        }
        gone
    }

    /// Takes a LeaseSet in unless one as new is known in that context.
    pub fn put_lease_set(
        &mut self,
        now: Date,
        ctx: Context,
        ls: Arc<LeaseSet2>,
        served: bool,
    ) -> Put {
        let key = (ctx, ls.hash());
        let size = ls.as_bytes().len();
        let put = match self.lease_sets.get_mut(&key) {
            Some(known) if known.ls.published() >= ls.published() => {
                known.served |= served;
                return Put::Kept;
            }
            Some(_) => Put::Replaced,
            None => Put::Added,
        };
        if put == Put::Added && !self.make_lease_room(now, ctx, ls.expires()) {
            return Put::Full;
        }
        if self.lease_set_bytes + size > limits::LEASE_SETS_BYTES_MAX {
            return Put::Full;
        }
        let served = served || self.lease_sets.get(&key).is_some_and(|k| k.served);
        self.remove_lease_set(&key);
        self.lease_set_bytes += size;
        self.lease_sets.insert(key, KnownLeaseSet { ls, served });
        put
    }

    fn make_lease_room(&mut self, now: Date, ctx: Context, expires: Date) -> bool {
        let max = match ctx {
            Context::Router => limits::LEASE_SETS_MAX,
            Context::Client(_) => limits::CLIENT_LEASE_SETS_MAX,
        };
        let all = (ctx, DestHash([0; 32]))..=(ctx, DestHash([0xff; 32]));
        if self.lease_sets.range(all.clone()).count() < max {
            return true;
        }
        self.expire_lease_sets(now);
        if self.lease_sets.range(all.clone()).count() < max {
            return true;
        }
        let first = self
            .lease_sets
            .range(all)
            .min_by_key(|(_, k)| k.ls.expires())
            .map(|(key, k)| (*key, k.ls.expires()));
        match first {
            Some((key, end)) if end < expires => {
                self.remove_lease_set(&key);
                true
            }
            _ => false,
        }
    }

    fn remove_lease_set(&mut self, key: &(Context, DestHash)) {
        if let Some(known) = self.lease_sets.remove(key) {
            self.lease_set_bytes -= known.ls.as_bytes().len();
        }
    }

    /// A LeaseSet of a context, expired or not.
    #[must_use]
    pub fn lease_set(&self, ctx: Context, dest: &DestHash) -> Option<&Arc<LeaseSet2>> {
        self.lease_sets.get(&(ctx, *dest)).map(|k| &k.ls)
    }

    /// A LeaseSet that was stored to us as a floodfill.
    #[must_use]
    pub fn served_lease_set(&self, dest: &DestHash) -> Option<&Arc<LeaseSet2>> {
        let known = self.lease_sets.get(&(Context::Router, *dest))?;
        known.served.then_some(&known.ls)
    }

    /// Forgets LeaseSets whose time is over.
    pub fn expire_lease_sets(&mut self, now: Date) {
        let over = self.lease_sets.iter().filter(|(_, k)| {
            // Leases may end before the LeaseSet does; then it is no use either.
            k.ls.life_left(now).is_zero()
        });
        for key in over.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.remove_lease_set(&key);
        }
    }

    /// Forgets all LeaseSets of a context.
    pub fn drop_context(&mut self, ctx: Context) {
        let all = (ctx, DestHash([0; 32]))..=(ctx, DestHash([0xff; 32]));
        let keys: Vec<_> = self.lease_sets.range(all).map(|(k, _)| *k).collect();
        for key in keys {
            self.remove_lease_set(&key);
        }
    }

    /// Number of LeaseSets that were stored to us as a floodfill.
    #[must_use]
    pub fn lease_set_count(&self) -> usize {
        self.lease_sets.values().filter(|k| k.served).count()
    }
}
