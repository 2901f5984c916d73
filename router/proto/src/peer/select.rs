//! The choice of hops for a tunnel: random under rules (i2p docs/how/peer-selection).
//!
//! Rules that always hold: X25519, a version not too old, nobody who says that he takes no
//! tunnels, no two hops of one family or network, gateways that can be dialled, and a hop next
//! to us that we can dial. Wishes are dropped one after the other when nobody meets them: load
//! shared out, bandwidth class, good experience.

use super::constraint::{Prefix, Reach, family, prefixes};
use super::profile::Profiles;
use crate::rng::Rng;
use crate::time::{Date, Now};
use crate::wire::hash::RouterHash;
use crate::wire::router_info::RouterInfo;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A published "high congestion" counts for this long.
const CONGESTION: Duration = Duration::from_secs(15 * 60);
/// With fewer tunnels than this the share of one router is not looked at.
const SHARE_FROM: u32 = 6;
/// Routers among which the best experience decides.
const TASTE: usize = 3;

/// Which way a tunnel carries data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To us: the last hop is next to us.
    Inbound,
    /// From us: the first hop is next to us.
    Outbound,
}

/// What kind of tunnel the hops are for.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Number of hops.
    pub hops: usize,
    /// Direction.
    pub way: Way,
    /// Of the exploratory pool; otherwise of a client's.
    pub exploratory: bool,
    /// Routers that must not be in it.
    pub avoid: &'a BTreeSet<RouterHash>,
    /// Routers with a link to us.
    pub connected: &'a BTreeSet<RouterHash>,
    /// How many of our tunnels each router is in.
    pub usage: &'a BTreeMap<RouterHash, u32>,
    /// Number of our tunnels.
    pub tunnels: u32,
}

/// The rules that do not depend on the tunnel.
#[derive(Clone, Copy, Debug)]
pub struct Selector {
    /// Ourselves.
    pub us: RouterHash,
    /// Lowest version `0.9.NN` of a hop.
    pub min_version: u16,
    /// Addresses that we can dial.
    pub reach: Reach,
}

/// Place in the path, in order of travel.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Next to us: dialled by us, or linked already.
    adjacent: bool,
    /// Gateway of an inbound tunnel: strangers dial it.
    gateway: bool,
    /// Endpoint of an outbound tunnel: it dials strangers.
    endpoint: bool,
}

/// How many wishes are dropped: none at 0.
const LEVELS: u8 = 4;
/// Times that a path is begun anew when its first hops leave none for the others.
const ATTEMPTS: usize = 4;

impl Selector {
    /// Hops in order of travel; `None` when the rules leave too few routers.
    pub fn choose<'a>(
        &self,
        routers: impl Iterator<Item = &'a Arc<RouterInfo>>,
        profiles: &Profiles,
        wish: &Wish<'_>,
        now: Now,
        rng: &mut Rng,
    ) -> Option<Vec<Arc<RouterInfo>>> {
        let mut all: Vec<&Arc<RouterInfo>> = routers
            .filter(|r| r.hash() != self.us && !wish.avoid.contains(&r.hash()))
            .collect();
        (0..ATTEMPTS).find_map(|attempt| {
            rng.shuffle(&mut all);
            self.path(&all, profiles, wish, attempt, now, rng)
        })
    }

    fn path(
        &self,
        all: &[&Arc<RouterInfo>],
        profiles: &Profiles,
        wish: &Wish<'_>,
        attempt: usize,
        now: Now,
        rng: &mut Rng,
    ) -> Option<Vec<Arc<RouterInfo>>> {
        let mut path: Vec<Option<Arc<RouterInfo>>> = vec![None; wish.hops];
        let mut taken = Taken::default();
        // The places with the strictest rules first, so that a small network is not used up; which
        // these are depends on the network.
        let mut order: Vec<usize> = (0..wish.hops).collect();
        if wish.way == Way::Inbound {
            order.rotate_right(1.min(wish.hops));
        }
        if attempt % 2 == 1 {
            order.reverse();
        }
        for at in order {
            let place = Place {
                adjacent: at
                    == match wish.way {
                        Way::Outbound => 0,
                        Way::Inbound => wish.hops - 1,
                    },
                gateway: wish.way == Way::Inbound && at == 0,
                endpoint: wish.way == Way::Outbound && at + 1 == wish.hops,
            };
            let linked = place.adjacent && wish.exploratory && rng.below(2) == 0;
            let view = View {
                selector: self,
                profiles,
                wish,
                place,
                now: now.wall,
            };
            let hop = view.pick(all, &taken, linked)?;
            taken.add(&hop);
            *path.get_mut(at)? = Some(hop);
        }
        path.into_iter().collect()
    }

    /// Whether the router may be a hop at all.
    #[must_use]
    pub fn may_be_hop(&self, info: &RouterInfo, now: Date) -> bool {
        info.enc_key().is_some()
            && info.version().is_some_and(|v| v >= self.min_version)
            && !info.has_cap('G')
            && !(info.has_cap('E') && now.since(info.published()) < CONGESTION)
    }
}

/// What a path has already.
#[derive(Default)]
struct Taken {
    hashes: BTreeSet<RouterHash>,
    prefixes: BTreeSet<Prefix>,
    families: BTreeSet<String>,
}

impl Taken {
    fn add(&mut self, info: &RouterInfo) {
        self.hashes.insert(info.hash());
        self.prefixes.extend(prefixes(info));
        self.families
            .extend(family(info).map(str::to_ascii_lowercase));
    }

    fn conflicts(&self, info: &RouterInfo) -> bool {
        self.hashes.contains(&info.hash())
            || prefixes(info).iter().any(|p| self.prefixes.contains(p))
            || family(info).is_some_and(|f| self.families.contains(&f.to_ascii_lowercase()))
    }
}

struct View<'a> {
    selector: &'a Selector,
    profiles: &'a Profiles,
    wish: &'a Wish<'a>,
    place: Place,
    now: Date,
}

impl View<'_> {
    /// A router of the shuffled list, at the first level where one fits.
    fn pick(
        &self,
        all: &[&Arc<RouterInfo>],
        taken: &Taken,
        linked: bool,
    ) -> Option<Arc<RouterInfo>> {
        if linked {
            let first = all.iter().find(|r| {
                self.wish.connected.contains(&r.hash()) && self.fits(r, taken) && self.meets(r, 0)
            });
            if let Some(hop) = first {
                return Some(Arc::clone(hop));
            }
        }
        (0..LEVELS).find_map(|level| {
            let fit = all
                .iter()
                .filter(|r| self.meets(r, level) && self.fits(r, taken));
            let taste = if self.wish.exploratory { 1 } else { TASTE };
            // Of equals the first: the list is shuffled.
            fit.take(taste)
                .min_by_key(|r| core::cmp::Reverse(self.profiles.score(&r.hash())))
                .map(|r| Arc::clone(r))
        })
    }

    /// The rules.
    fn fits(&self, info: &RouterInfo, taken: &Taken) -> bool {
        let reach = self.selector.reach;
        let hash = info.hash();
        let published = || reach.is_published(info);
        let dialled = self.place.adjacent && self.wish.way == Way::Outbound;
        self.selector.may_be_hop(info, self.now)
            && !taken.conflicts(info)
            && (!self.place.gateway || (published() && !info.has_cap('U')))
            // A hop that another hop dials, and an endpoint that dials others, need an address.
            && (dialled || published())
            && (!self.place.endpoint || published())
            && (!self.place.adjacent
                || self.wish.connected.contains(&hash)
                || reach.dialable(info).is_some())
    }

    /// The wishes of a level.
    fn meets(&self, info: &RouterInfo, level: u8) -> bool {
        let hash = info.hash();
        let share = level >= 1 || {
            let used = self.wish.usage.get(&hash).copied().unwrap_or(0);
            self.wish.tunnels < SHARE_FROM || used.saturating_mul(3) < self.wish.tunnels
        };
        let class = level >= 2 || {
            let good: &[char] = if self.wish.exploratory {
                &['L', 'M', 'N', 'O', 'P', 'X']
            } else {
                &['O', 'P', 'X']
            };
            info.caps().chars().any(|c| good.contains(&c)) && !info.has_cap('U')
        };
        let working = level >= 3 || !self.profiles.is_failing(self.now, &hash);
        share && class && working
    }
}

#[cfg(test)]
mod tests;
