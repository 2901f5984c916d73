//! What may come in: of our network, of its time, and signed by whom it names
//! (i2p docs/how/network-database, Storage).

use super::store::Put;
use super::{Context, NetDb, Source, Target};
use crate::rng::Rng;
use crate::time::{Date, Now};
use crate::wire::error::{Cause, Result, WireError};
use crate::wire::hash::{DestHash, RouterHash};
use crate::wire::i2np::store::{DatabaseStore, Entry};
use crate::wire::lease_set2::LeaseSet2;
use crate::wire::router_info::RouterInfo;
use core::time::Duration;
use std::sync::Arc;

/// Clocks of others may be ahead of ours by this much.
const AHEAD: Duration = Duration::from_secs(120);
/// No lease may end later than this from now.
const LEASE_AHEAD: Duration = Duration::from_secs(15 * 60);

impl NetDb {
    pub(super) fn on_store(
        &mut self,
        now: Now,
        rng: &mut Rng,
        ctx: Context,
        source: Source,
        store: DatabaseStore,
    ) -> Result<()> {
        match store.entry {
            Entry::Router(bytes) => {
                let target = Target::Router(RouterHash(store.key));
                let asked = self.is_asked(ctx, &target);
                // Out of a tunnel only what was asked for; reply fields count only direct.
                if !source.is_direct() && !asked {
                    return Ok(());
                }
                let taken = self.take_router(now, &bytes, Some(store.key), source.is_direct());
                self.score_answer(now, ctx, source, &target, taken.is_ok());
                let (info, put) = taken?;
                self.succeed(now, None, target);
                if source.is_direct() {
                    self.confirm(now, rng, store.reply);
                    if let (Some(info), Some(_)) = (info, store.reply)
                        && put.is_news()
                    {
                        self.flood_router(now, rng, &info, link_of(source));
                    }
                }
                Ok(())
            }
            Entry::LeaseSet2(bytes) => {
                let target = Target::LeaseSet(DestHash(store.key));
                let asked = self.is_asked(ctx, &target);
                let duty = self.config.floodfill && source.is_direct() && ctx == Context::Router;
                if !asked && !duty {
                    return Ok(());
                }
                let taken = self.take_lease_set(now, ctx, &bytes, store.key, duty);
                self.score_answer(now, ctx, source, &target, taken.is_ok());
                let (ls, put) = taken?;
                self.succeed(now, Some(ctx), target);
                if duty {
                    self.confirm(now, rng, store.reply);
                    if store.reply.is_some() && put.is_news() {
                        self.flood_lease_set(now, rng, &ls, link_of(source));
                    }
                }
                Ok(())
            }
            Entry::LeaseSet(_) | Entry::Other(..) => {
                Err(WireError::new("DatabaseStore.type", Cause::Unsupported))
            }
        }
    }

    /// Checks a RouterInfo and takes it in; `None` when one as new was known, so that it was not
    /// worth checking the signature.
    pub(super) fn take_router(
        &mut self,
        now: Now,
        bytes: &[u8],
        key: Option<[u8; 32]>,
        served: bool,
    ) -> Result<(Option<Arc<RouterInfo>>, Put)> {
        let unverified = RouterInfo::parse(bytes)?;
        let peek = unverified.peek();
        let hash = peek.hash();
        if key.is_some_and(|k| k != hash.0) {
            return Err(WireError::invalid("DatabaseStore.key"));
        }
        self.admissible(peek)?;
        self.fresh(peek, now.wall)?;
        let known = self.store.router(&hash);
        if hash == self.config.us || known.is_some_and(|k| k.published() >= peek.published()) {
            return Ok((None, Put::Kept));
        }
        let info = Arc::new(unverified.verify()?);
        let put = self.put_router(now, Arc::clone(&info), served);
        Ok((Some(info), put))
    }

    pub(super) fn put_router(&mut self, now: Now, info: Arc<RouterInfo>, served: bool) -> Put {
        let hash = info.hash();
        if hash == self.config.us {
            return Put::Kept;
        }
        let (put, gone) = self.store.put_router(Arc::clone(&info), served);
        if put.is_news() {
            self.persist(hash, Some(info));
            self.succeed(now, None, Target::Router(hash));
            self.wake_lookups(now.mono);
        }
        for hash in gone {
            self.persist(hash, None);
        }
        put
    }

    fn take_lease_set(
        &mut self,
        now: Now,
        ctx: Context,
        bytes: &[u8],
        key: [u8; 32],
        served: bool,
    ) -> Result<(Arc<LeaseSet2>, Put)> {
        let unverified = LeaseSet2::parse(bytes)?;
        let peek = unverified.peek();
        if peek.hash().0 != key {
            return Err(WireError::invalid("DatabaseStore.key"));
        }
        timely(peek, now.wall)?;
        let ls = Arc::new(unverified.verify()?);
        let put = self
            .store
            .put_lease_set(now.wall, ctx, Arc::clone(&ls), served);
        Ok((ls, put))
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
        let life = self.store.router_life(self.config.floodfill);
        if info.published() > now + AHEAD || now.since(info.published()) > life {
            return Err(WireError::invalid("RouterInfo.published"));
        }
        Ok(())
    }
}

/// Whether a LeaseSet holds now: not over, not from the future, no lease too far ahead.
pub(super) fn timely(ls: &LeaseSet2, now: Date) -> Result<()> {
    if ls.published() > now + AHEAD {
        return Err(WireError::invalid("LeaseSet2.published"));
    }
    if ls.life_left(now).is_zero() {
        return Err(WireError::invalid("LeaseSet2.expires"));
    }
    if ls.leases().iter().any(|l| l.expires > now + LEASE_AHEAD) {
        return Err(WireError::invalid("Lease2.end_date"));
    }
    Ok(())
}

const fn link_of(source: Source) -> Option<RouterHash> {
    match source {
        Source::Link(hash) => Some(hash),
        _ => None,
    }
}
