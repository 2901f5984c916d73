//! RouterInfos for everyone. Values come in verified; here age, number, size and share decide.
//!
//! Who proved to be a router (by a tunnel or an answer) or has a link is not pushed out. Strangers
//! have a share for each router that gave them to us and for each network that they say to be in,
//! and when all is full the largest share gives way: made-up routers replace one another.

use super::share::{Member, Share, to_go};
use crate::limits;
use crate::peer::constraint::{Prefix, public_prefixes};
use crate::time::{Date, Instant};
use crate::wire::hash::RouterHash;
use crate::wire::router_info::RouterInfo;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// With so few routers none expires (i2p docs/how/network-database, RouterInfo Expiration).
const KEEP_ALL: usize = 25;
const HOUR: Duration = Duration::from_secs(3600);
/// Published this far ahead of our clock: it was taken in while that was wrong.
const FUTURE: Duration = Duration::from_secs(3600);

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

/// Where a RouterInfo came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The disk, a seed or a reseed file.
    Start,
    /// Its owner, over a link.
    Caller,
    /// Another router.
    Given {
        /// Which one.
        by: RouterHash,
        /// It was an answer to a question of ours.
        asked: bool,
    },
}

/// A RouterInfo on its way in.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The RouterInfo, verified.
    pub info: Arc<RouterInfo>,
    /// Where it came from.
    pub origin: Origin,
    /// It was stored to us, so that we may answer lookups with it.
    pub served: bool,
    /// From when on destinations may ask it.
    pub settled: Instant,
}

#[derive(Clone, Debug)]
struct Known {
    info: Arc<RouterInfo>,
    origin: Origin,
    nets: [Option<Prefix>; 2],
    settled: Instant,
    served: bool,
    proven: bool,
    on_disk: bool,
    teller: Option<RouterHash>,
    is_common: bool,
}

impl Known {
    /// Somebody says that there is such a router: what counts is the answer to a question of the
    /// router itself, for anybody may send us anything. `apart` says whether two tellers are in
    /// different networks, as far as is known.
    fn told(
        &mut self,
        hash: &RouterHash,
        origin: Origin,
        apart: impl Fn(RouterHash, RouterHash) -> bool,
    ) {
        match origin {
            Origin::Start => self.is_common = true,
            Origin::Given { by, asked: true } if by != *hash => match self.teller {
                None => self.teller = Some(by),
                Some(first) => self.is_common |= first != by && apart(first, by),
            },
            Origin::Given { .. } | Origin::Caller => {}
        }
    }

    const fn giver(&self) -> Option<RouterHash> {
        match self.origin {
            Origin::Given { by, .. } => Some(by),
            Origin::Start | Origin::Caller => None,
        }
    }
}

/// All routers but ourselves.
#[derive(Clone, Debug, Default)]
pub struct Routers {
    map: BTreeMap<RouterHash, Known>,
    floodfills: BTreeSet<RouterHash>,
    linked: BTreeSet<RouterHash>,
    proven: usize,
    bytes: usize,
}

/// Who went for a newcomer; those that are on the disk too.
pub type Gone = Vec<(RouterHash, bool)>;

impl Routers {
    /// Takes a RouterInfo in unless one as new is known or there is no room for it. Also answers
    /// who had to go for it.
    pub fn put(&mut self, now: Date, new: Arrival) -> (Put, Gone) {
        let hash = new.info.hash();
        let mut known = match self.map.get(&hash) {
            Some(k) if is_as_new(&k.info, &new.info, now) => {
                self.note(&hash, new.served, new.origin);
                return (Put::Kept, Vec::new());
            }
            Some(k) => k.clone(),
            None => Known {
                info: Arc::clone(&new.info),
                origin: new.origin,
                nets: [None; 2],
                settled: new.settled,
                served: false,
                proven: false,
                on_disk: false,
                teller: None,
                is_common: false,
            },
        };
        let Some(gone) = self.room(&new.info, new.origin) else {
            return (Put::Full, Vec::new());
        };
        let put = if self.map.contains_key(&hash) {
            Put::Replaced
        } else {
            Put::Added
        };
        let gone = gone
            .into_iter()
            .filter_map(|h| self.remove(&h).map(|on_disk| (h, on_disk)))
            .collect();
        self.remove(&hash);
        known.served |= new.served;
        known.origin = better(known.origin, new.origin);
        known.told(&hash, new.origin, |a, b| self.are_apart(a, b));
        known.nets = nets(&new.info);
        known.info = new.info;
        self.bytes += known.info.as_bytes().len();
        self.proven += usize::from(known.proven);
        if known.info.is_floodfill() {
            self.floodfills.insert(hash);
        }
        self.map.insert(hash, known);
        (put, gone)
    }

    /// Who has to go for it; `None` when it is not worth anybody's place. Looked at before its
    /// signature is.
    #[must_use]
    pub fn room(&self, info: &RouterInfo, origin: Origin) -> Option<Vec<RouterHash>> {
        let hash = info.hash();
        let known = self.map.get(&hash);
        let mut gone = Vec::new();
        let counted = origin != Origin::Start && !self.linked.contains(&hash);
        let moved = known.is_none_or(|k| !k.proven && k.nets != nets(info));
        if counted && moved {
            gone = self.share_room(info, known.map_or(origin, |k| k.origin))?;
        }
        let size = |h: &RouterHash| self.map.get(h).map_or(0, |k| k.info.as_bytes().len());
        let mut bytes = self.bytes + info.as_bytes().len() - size(&hash);
        let mut count = self.map.len() + usize::from(known.is_none()) - gone.len();
        bytes -= gone.iter().map(size).sum::<usize>();
        while count > limits::ROUTERS_MAX || bytes > limits::ROUTERS_BYTES_MAX {
            let strangers = self
                .map
                .iter()
                .filter(|(h, k)| **h != hash && !self.is_safe(h, k) && !gone.contains(*h));
            let (first, for_giver) = to_go(strangers.map(|(h, k)| Member {
                giver: k.giver(),
                rank: k.info.published(),
                key: *h,
            }))?;
            if !for_giver && known.is_none() && first.rank > info.published() {
                return None;
            }
            bytes -= size(&first.key);
            count -= 1;
            gone.push(first.key);
        }
        Some(gone)
    }

    /// Who has to go so that the newcomer's shares are kept.
    fn share_room(&self, info: &RouterInfo, origin: Origin) -> Option<Vec<RouterHash>> {
        let hash = info.hash();
        let wanted = nets(info);
        let mut shares = [Share::default(); 3];
        for (h, k) in &self.map {
            if *h == hash || self.is_safe(h, k) {
                continue;
            }
            let same_giver = match (k.origin, origin) {
                (Origin::Given { by: a, .. }, Origin::Given { by: b, .. }) => a == b,
                (Origin::Caller, Origin::Caller) => true,
                _ => false,
            };
            let (at, bytes) = (k.info.published(), k.info.as_bytes().len());
            let same_net = wanted.map(|net| net.is_some() && k.nets.contains(&net));
            let [first, second] = same_net;
            for (share, counts) in shares.iter_mut().zip([same_giver, first, second]) {
                if counts {
                    share.add(bytes, at, h.0);
                }
            }
        }
        let given = match origin {
            Origin::Caller => limits::ROUTERS_CALLERS_MAX,
            _ => limits::ROUTERS_PER_GIVER,
        };
        let most = [given, limits::ROUTERS_PER_NET, limits::ROUTERS_PER_NET];
        let mut gone = Vec::new();
        for (share, most) in shares.iter().zip(most) {
            let full = share.count >= most
                || share.bytes + info.as_bytes().len() > most * limits::ROUTER_INFO_USUAL;
            let Some((published, first)) = share.first.filter(|_| full) else {
                continue;
            };
            if published > info.published() {
                return None;
            }
            gone.push(RouterHash(first));
        }
        gone.sort_unstable();
        gone.dedup();
        Some(gone)
    }

    /// One as new as what is here came again.
    pub fn note(&mut self, hash: &RouterHash, served: bool, origin: Origin) {
        if let Some(known) = self.map.get_mut(hash) {
            known.served |= served;
            known.origin = better(known.origin, origin);
        }
        self.tell(hash, origin);
    }

    /// Notes who told of a router; whether destinations may ask it from now on.
    fn tell(&mut self, hash: &RouterHash, origin: Origin) -> bool {
        let Some(mut known) = self.map.get(hash).cloned() else {
            return false;
        };
        let before = known.is_common;
        known.told(hash, origin, |a, b| self.are_apart(a, b));
        let now = known.is_common && !before;
        self.map.insert(*hash, known);
        now
    }

    /// Whether two routers have no network in common; of one that is not known here none is.
    fn are_apart(&self, a: RouterHash, b: RouterHash) -> bool {
        let nets = [a, b].map(|hash| self.map.get(&hash).map_or([None; 2], |k| k.nets));
        let [first, second] = nets;
        !first
            .iter()
            .any(|net| net.is_some() && second.contains(net))
    }

    /// A router answered a question of the router itself with this name; whether that makes
    /// it one to be written down.
    pub fn named(&mut self, hash: &RouterHash, by: RouterHash) -> bool {
        let new = self.tell(hash, Origin::Given { by, asked: true });
        new && self.map.get(hash).is_some_and(|k| !k.on_disk)
    }

    fn is_safe(&self, hash: &RouterHash, known: &Known) -> bool {
        known.proven || self.linked.contains(hash)
    }

    /// It was in a tunnel of ours, answered, or let itself be dialled: it stays. With
    /// [`limits::ROUTERS_PROVEN_MAX`] of them no more are noted.
    pub fn prove(&mut self, hash: &RouterHash) {
        if self.proven < limits::ROUTERS_PROVEN_MAX
            && let Some(known) = self.map.get_mut(hash)
            && !known.proven
        {
            known.proven = true;
            self.proven += 1;
        }
    }

    /// A link with it came up, or went.
    pub fn set_linked(&mut self, hash: RouterHash, up: bool) {
        if up {
            self.linked.insert(hash);
        } else {
            self.linked.remove(&hash);
        }
    }

    /// Whether we have a link with it.
    #[must_use]
    pub fn is_linked(&self, hash: &RouterHash) -> bool {
        self.linked.contains(hash)
    }

    /// Forgets a router; whether it is on the disk, `None` when it was not known.
    pub fn remove(&mut self, hash: &RouterHash) -> Option<bool> {
        let known = self.map.remove(hash)?;
        self.bytes -= known.info.as_bytes().len();
        self.proven -= usize::from(known.proven);
        self.floodfills.remove(hash);
        Some(known.on_disk)
    }

    /// Notes that it is on the disk.
    pub fn set_on_disk(&mut self, hash: &RouterHash) {
        if let Some(known) = self.map.get_mut(hash) {
            known.on_disk = true;
        }
    }

    /// A router.
    #[must_use]
    pub fn get(&self, hash: &RouterHash) -> Option<&Arc<RouterInfo>> {
        self.map.get(hash).map(|k| &k.info)
    }

    /// Whether `info` is no news.
    #[must_use]
    pub fn has_as_new(&self, info: &RouterInfo, now: Date) -> bool {
        self.get(&info.hash())
            .is_some_and(|known| is_as_new(known, info, now))
    }

    /// A router that was stored to us.
    #[must_use]
    pub fn served(&self, hash: &RouterHash) -> Option<&Arc<RouterInfo>> {
        let known = self.map.get(hash)?;
        known.served.then_some(&known.info)
    }

    /// All routers in the order of their hashes.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<RouterInfo>> {
        self.map.values().map(|k| &k.info)
    }

    /// All floodfills in the order of their hashes.
    pub fn floodfills(&self) -> impl Iterator<Item = &Arc<RouterInfo>> {
        self.floodfills.iter().filter_map(|h| self.get(h))
    }

    /// Whether a destination may ask or store to it. Two routers besides itself have to have told
    /// of it, or it was known at the start: one that only somebody and we know sees by a question
    /// which destination is ours, however long after.
    #[must_use]
    pub fn may_serve_clients(&self, hash: &RouterHash) -> bool {
        self.map.get(hash).is_some_and(|k| k.is_common)
    }

    /// Whether it is known for long enough that asking it says nothing about when.
    #[must_use]
    pub fn is_settled(&self, hash: &RouterHash, now: Instant) -> bool {
        self.map.get(hash).is_some_and(|k| k.settled <= now)
    }

    /// Number of routers.
    #[must_use]
    pub fn count(&self) -> usize {
        self.map.len()
    }

    /// Number of floodfills.
    #[must_use]
    pub fn floodfill_count(&self) -> usize {
        self.floodfills.len()
    }

    /// How long after its publication a RouterInfo is kept, with as many as there are.
    #[must_use]
    pub fn life(&self, floodfill: bool) -> Duration {
        life(self.map.len(), floodfill)
    }

    /// Forgets routers published before their life ago, the oldest first, but never below 25, and
    /// those of a future that did not come; answers who is on the disk.
    pub fn expire(&mut self, now: Date, floodfill: bool) -> Gone {
        let mut by_date: Vec<(Date, RouterHash)> = self
            .map
            .iter()
            .map(|(h, k)| (k.info.published(), *h))
            .collect();
        by_date.sort_unstable();
        let mut left = by_date.len();
        let mut over: Vec<RouterHash> = Vec::new();
        for (published, hash) in &by_date {
            if now.since(*published) <= life(left, floodfill) {
                break;
            }
            over.push(*hash);
            left -= 1;
        }
        let ahead = by_date.iter().filter(|(t, _)| *t > now + FUTURE);
        over.extend(ahead.map(|(_, h)| *h));
        over.into_iter()
            .filter_map(|h| self.remove(&h).map(|on_disk| (h, on_disk)))
            .collect()
    }
}

fn life(routers: usize, floodfill: bool) -> Duration {
    match routers {
        ..=KEEP_ALL => Duration::MAX,
        n if n <= 120 => HOUR * 72,
        _ if floodfill => HOUR,
        n => {
            let shrunk = HOUR * 27 * 300 / u32::try_from(n).unwrap_or(u32::MAX);
            shrunk.clamp(HOUR * 3 / 2, HOUR * 27)
        }
    }
}

/// The newer one counts, but not one that our clock of an earlier time took for current.
fn is_as_new(known: &RouterInfo, new: &RouterInfo, now: Date) -> bool {
    let ahead = known.published() > now + FUTURE && new.published() <= now + FUTURE;
    known.published() >= new.published() && !ahead
}

/// The first giver stays the giver; what was asked for is no longer planted.
const fn better(known: Origin, new: Origin) -> Origin {
    match (known, new) {
        (Origin::Given { by, .. }, Origin::Given { asked: true, .. }) => {
            Origin::Given { by, asked: true }
        }
        (Origin::Caller, Origin::Given { asked: true, .. }) => new,
        _ => known,
    }
}

fn nets(info: &RouterInfo) -> [Option<Prefix>; 2] {
    let mut all = public_prefixes(info);
    [all.next(), all.next()]
}
