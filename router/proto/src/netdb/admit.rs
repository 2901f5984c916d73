//! What may come in: of our network, of its time, with room for it, and signed by whom it names
//! (i2p docs/how/network-database, Storage). Cheap checks come first; signatures of what nobody
//! asked for are checked at a metered rate.

use super::routers::{Arrival, Origin, Put};
use super::{Context, NetDb, Source, Target};
use crate::rng::Rng;
use crate::time::{Date, Now};
use crate::wire::any_lease_set::{self, AnyLeaseSet};
use crate::wire::error::{Cause, Result, WireError};
use crate::wire::hash::{DestHash, RouterHash};
use crate::wire::i2np::store::{DatabaseStore, Entry, StoreReply};
use crate::wire::lease_set2::{self, LeaseSet2};
use crate::wire::router_info::RouterInfo;
use core::time::Duration;
use std::sync::Arc;

/// Clocks of others may be ahead of ours by this much.
const AHEAD: Duration = Duration::from_secs(120);
/// No lease may end later than this from now.
const LEASE_AHEAD: Duration = Duration::from_secs(15 * 60);
/// A meta LeaseSet holds longer: the two bytes of its lifetime.
const META_AHEAD: Duration = Duration::from_secs(65_536);
/// Destinations ask a floodfill that the router heard of no sooner than a time up to this after.
const SETTLE: Duration = Duration::from_secs(120);
/// Who answered out of a tunnel without a seal: nobody knows.
const NOBODY: RouterHash = RouterHash([0; 32]);

/// A RouterInfo that came in.
pub(super) struct Taken {
    /// The RouterInfo; `None` when its signature was not worth checking.
    pub(super) info: Option<Arc<RouterInfo>>,
    /// What became of it.
    pub(super) put: Put,
}

/// How a RouterInfo came.
#[derive(Clone, Copy)]
pub(super) struct Route {
    /// Where from.
    pub(super) origin: Origin,
    /// Whose rate its signature check counts for; `None`: a question of ours.
    pub(super) charge: Option<RouterHash>,
    /// Whether it was stored to us.
    pub(super) served: bool,
}

enum Checked {
    News(Arc<RouterInfo>),
    /// One as new is here, or it is our own.
    Known,
    NoRoom,
}

impl NetDb {
    pub(super) fn on_store(
        &mut self,
        now: Now,
        rng: &mut Rng,
        ctx: Context,
        source: Source,
        store: DatabaseStore,
    ) -> Result<()> {
        match (ctx, store.entry) {
            (Context::Router, Entry::Router(bytes)) => {
                self.on_router(now, rng, source, store.key, &bytes, store.reply)
            }
            (Context::Client(_), Entry::Router(bytes)) => {
                self.on_referred(now, ctx, source, store.key, &bytes)
            }
            (Context::Client(_), Entry::LeaseSet2(bytes)) => {
                self.on_found_lease_set(now, ctx, source, store.key, &bytes)
            }
            (Context::Router, Entry::LeaseSet2(bytes)) => self.on_served(
                now,
                rng,
                source,
                (lease_set2::STORE_TYPE, &bytes),
                &store.key,
                store.reply,
            ),
            (Context::Router, Entry::Other(kind, bytes)) => {
                self.on_served(now, rng, source, (kind, &bytes), &store.key, store.reply)
            }
            (Context::Client(_), Entry::Other(..)) => {
                Err(WireError::new("DatabaseStore.type", Cause::Unsupported))
            }
        }
    }

    /// A RouterInfo for the router itself: an answer, or stored to us.
    fn on_router(
        &mut self,
        now: Now,
        rng: &mut Rng,
        source: Source,
        key: [u8; 32],
        bytes: &[u8],
        reply: Option<StoreReply>,
    ) -> Result<()> {
        let target = Target::Router(RouterHash(key));
        let asked = self.who_answers(Context::Router, source, &target);
        // Out of a tunnel only what was asked for; reply fields count only direct.
        if source.link().is_none() && !self.is_asked(Context::Router, &target) {
            return Ok(());
        }
        let by = asked.or(source.link()).unwrap_or(NOBODY);
        let own = source == Source::Link(RouterHash(key));
        let route = Route {
            origin: if own && asked.is_none() {
                Origin::Caller
            } else {
                let asked = asked.is_some();
                Origin::Given { by, asked }
            },
            charge: asked.is_none().then_some(by),
            served: source.link().is_some(),
        };
        let taken = self.take_router(now, rng, bytes, Some(key), route);
        self.score_answer(now, Context::Router, source, &target, verdict(&taken));
        let taken = taken?;
        if self.routers.get(&RouterHash(key)).is_some() {
            self.succeed(now, Context::Router, target);
        }
        if let Some(link) = source.link()
            && taken.put != Put::Full
        {
            self.confirm(now, rng, link, reply);
            if let (Some(info), Some(_)) = (taken.info, reply)
                && taken.put.is_news()
            {
                self.flood_router(now, rng, &info, Some(link));
            }
        }
        Ok(())
    }

    /// A RouterInfo that a destination's lookup was referred to. It stays in that destination's
    /// context: who names it must not see it used by anybody else.
    fn on_referred(
        &mut self,
        now: Now,
        ctx: Context,
        source: Source,
        key: [u8; 32],
        bytes: &[u8],
    ) -> Result<()> {
        let target = Target::Router(RouterHash(key));
        if !self.is_asked(ctx, &target) {
            return Ok(());
        }
        let answers = self.who_answers(ctx, source, &target).is_some();
        let route = Route {
            origin: Origin::Start,
            charge: (!answers).then_some(NOBODY),
            served: false,
        };
        let checked = self.check_router(now, bytes, Some(key), route);
        self.score_answer(now, ctx, source, &target, verdict(&checked));
        match checked? {
            Checked::News(info) => self.referred.put(ctx, info),
            Checked::Known | Checked::NoRoom => {}
        }
        if self.floodfill_of(ctx, &RouterHash(key)).is_some() {
            self.succeed(now, ctx, target);
        }
        Ok(())
    }

    fn on_found_lease_set(
        &mut self,
        now: Now,
        ctx: Context,
        source: Source,
        key: [u8; 32],
        bytes: &[u8],
    ) -> Result<()> {
        let target = Target::LeaseSet(DestHash(key));
        if !self.is_asked(ctx, &target) {
            return Ok(());
        }
        let taken = self.find_lease_set(now, ctx, source, &target, bytes);
        self.score_answer(now, ctx, source, &target, verdict(&taken));
        taken?;
        if self.leases.found(ctx, &DestHash(key)).is_some() {
            self.succeed(now, ctx, target);
        }
        Ok(())
    }

    fn find_lease_set(
        &mut self,
        now: Now,
        ctx: Context,
        source: Source,
        target: &Target,
        bytes: &[u8],
    ) -> Result<()> {
        let unverified = LeaseSet2::parse(bytes)?;
        let peek = unverified.peek();
        if peek.hash().as_bytes() != target.key() {
            return Err(WireError::invalid("DatabaseStore.key"));
        }
        timely(peek, now.wall)?;
        let known = self.leases.found(ctx, &peek.hash());
        if known.is_some_and(|k| k.as_bytes() == bytes) {
            return Ok(());
        }
        if self.who_answers(ctx, source, target).is_none() {
            self.charge(now, NOBODY, unverified.cost())?;
        }
        let ls = Arc::new(unverified.verify()?);
        self.leases.put_found(now.wall, ctx, ls);
        Ok(())
    }

    /// A LeaseSet that is stored to us as a floodfill, of whatever type; `value` is type and bytes.
    fn on_served(
        &mut self,
        now: Now,
        rng: &mut Rng,
        source: Source,
        value: (u8, &[u8]),
        key: &[u8; 32],
        reply: Option<StoreReply>,
    ) -> Result<()> {
        let Some(link) = source.link().filter(|_| self.config.floodfill) else {
            return Ok(());
        };
        let unverified = AnyLeaseSet::parse(value.0, value.1)?;
        let peek = unverified.peek();
        if peek.hash().as_bytes() != key {
            return Err(WireError::invalid("DatabaseStore.key"));
        }
        timely_served(peek, now.wall)?;
        if self.leases.has_as_new(peek, now.wall) {
            self.confirm(now, rng, link, reply);
            return Ok(());
        }
        if self.leases.served_room(now.wall, peek, link).is_none() {
            return Ok(());
        }
        self.charge(now, link, unverified.cost())?;
        let ls = Arc::new(unverified.verify()?);
        if self
            .leases
            .put_served(now.wall, Arc::clone(&ls), link)
            .is_news()
        {
            self.confirm(now, rng, link, reply);
            if reply.is_some() {
                self.flood_lease_set(now, rng, &ls, Some(link));
            }
        }
        Ok(())
    }

    /// Takes the cost of a signature check from what a link may cost us.
    fn charge(&mut self, now: Now, link: RouterHash, cost: u32) -> Result<()> {
        if self.duties.checks.take(now.mono, link, cost) {
            return Ok(());
        }
        self.refused += 1;
        Err(WireError::new("DatabaseStore.data", Cause::TooLarge))
    }

    /// Checks a RouterInfo, its signature last.
    fn check_router(
        &mut self,
        now: Now,
        bytes: &[u8],
        key: Option<[u8; 32]>,
        route: Route,
    ) -> Result<Checked> {
        let unverified = RouterInfo::parse(bytes)?;
        let peek = unverified.peek();
        let hash = peek.hash();
        if key.is_some_and(|k| k != hash.0) {
            return Err(WireError::invalid("DatabaseStore.key"));
        }
        self.admissible(peek)?;
        self.fresh(peek, now.wall)?;
        if hash == self.config.us || self.routers.has_as_new(peek, now.wall) {
            self.routers.note(&hash, route.served, route.origin);
            return Ok(Checked::Known);
        }
        if self.routers.room(peek, route.origin).is_none() {
            return Ok(Checked::NoRoom);
        }
        if let Some(link) = route.charge {
            self.charge(now, link, unverified.cost())?;
        }
        Ok(Checked::News(Arc::new(unverified.verify()?)))
    }

    /// Checks a RouterInfo and takes it in.
    pub(super) fn take_router(
        &mut self,
        now: Now,
        rng: &mut Rng,
        bytes: &[u8],
        key: Option<[u8; 32]>,
        route: Route,
    ) -> Result<Taken> {
        let taken = |put| Ok(Taken { info: None, put });
        let info = match self.check_router(now, bytes, key, route)? {
            Checked::Known => return taken(Put::Kept),
            Checked::NoRoom => return taken(Put::Full),
            Checked::News(info) => info,
        };
        let arrival = Arrival {
            info: Arc::clone(&info),
            origin: route.origin,
            served: route.served,
            settled: now.mono + rng.jitter(SETTLE),
        };
        let put = self.put_router(now, arrival);
        Ok(Taken {
            info: Some(info),
            put,
        })
    }

    pub(super) fn put_router(&mut self, now: Now, arrival: Arrival) -> Put {
        let hash = arrival.info.hash();
        if hash == self.config.us {
            return Put::Kept;
        }
        let (put, gone) = self.routers.put(now.wall, arrival);
        if put.is_news() {
            self.note_change(now.mono, hash);
            self.succeed(now, Context::Router, Target::Router(hash));
            self.wake_lookups(now.mono, Context::Router);
        }
        self.note_gone(now.mono, gone);
        put
    }

    /// Whether a RouterInfo is one of our network that can be used at all.
    pub(super) fn admissible(&self, info: &RouterInfo) -> Result<()> {
        if info.net_id() != Some(self.config.net_id) {
            return Err(WireError::invalid("RouterInfo.netId"));
        }
        if info.version().is_none() {
            return Err(WireError::invalid("RouterInfo.router.version"));
        }
        if !info.addresses().iter().any(|a| a.static_key().is_some()) {
            return Err(WireError::invalid("RouterInfo.addresses"));
        }
        Ok(())
    }

    pub(super) fn fresh(&self, info: &RouterInfo, now: Date) -> Result<()> {
        let life = self.routers.life(self.config.floodfill);
        if info.published() > now + AHEAD || now.since(info.published()) > life {
            return Err(WireError::invalid(PUBLISHED));
        }
        Ok(())
    }
}

const PUBLISHED: &str = "RouterInfo.published";
const LS_PUBLISHED: &str = "LeaseSet2.published";
const LS_EXPIRES: &str = "LeaseSet2.expires";
const END_DATE: &str = "Lease2.end_date";

/// What an answer says of who gave it: good, bad, or nothing, where its time is not ours: then our
/// clock may be the wrong one.
fn verdict<T>(taken: &Result<T>) -> Option<bool> {
    match taken {
        Ok(_) => Some(true),
        Err(e) if [PUBLISHED, LS_PUBLISHED, LS_EXPIRES, END_DATE].contains(&e.field) => None,
        Err(_) => Some(false),
    }
}

/// Whether a LeaseSet holds now: not over, not from the future, no lease too far ahead.
pub(super) fn timely(ls: &LeaseSet2, now: Date) -> Result<()> {
    in_time(ls.published(), ls.expires().min(ls.last_lease()), now)?;
    if ls.last_lease() > now + LEASE_AHEAD {
        return Err(WireError::invalid(END_DATE));
    }
    Ok(())
}

/// The same for one that is stored to us; those that are not for publishing are refused.
fn timely_served(ls: &AnyLeaseSet, now: Date) -> Result<()> {
    in_time(ls.published(), ls.ends(), now)?;
    let ahead = match ls.kind() {
        any_lease_set::META => META_AHEAD,
        _ => LEASE_AHEAD,
    };
    if ls.last_lease() > now + ahead {
        return Err(WireError::invalid(END_DATE));
    }
    if ls.is_unpublished() {
        return Err(WireError::invalid("LeaseSet2.flags"));
    }
    Ok(())
}

fn in_time(published: Date, ends: Date, now: Date) -> Result<()> {
    if published > now + AHEAD {
        return Err(WireError::invalid(LS_PUBLISHED));
    }
    if ends <= now {
        return Err(WireError::invalid(LS_EXPIRES));
    }
    Ok(())
}
