//! Whom a context may ask or store to, and who of them comes next.

use super::Lookup;
use super::question::Way;
use crate::netdb::closest::nearest;
use crate::netdb::routing_key::RoutingKey;
use crate::netdb::{Context, NetDb};
use crate::time::Now;
use crate::wire::hash::RouterHash;
use crate::wire::router_info::RouterInfo;
use std::sync::Arc;

impl NetDb {
    /// The nearest floodfill not asked yet, other than `but`; silent ones last.
    pub(super) fn next_floodfill(
        &self,
        now: Now,
        lookup: &Lookup,
        way: &Way,
        but: Option<RouterHash>,
    ) -> Option<Arc<RouterInfo>> {
        let direct = matches!(way, Way::Direct);
        let may = |r: &&Arc<RouterInfo>| {
            !lookup.asked.contains(&r.hash())
                && Some(r.hash()) != but
                && *r.hash().as_bytes() != *lookup.target.key()
                && self.usable_floodfill(r, direct)
        };
        let hint = lookup.hint.and_then(|h| self.floodfill_of(lookup.ctx, &h));
        if let Some(hint) = hint.filter(may) {
            return Some(Arc::clone(hint));
        }
        let key = RoutingKey::of(lookup.target.key(), now.wall);
        self.nearest_floodfill(now, lookup.ctx, &key, |r| may(&r))
    }

    /// The nearest floodfill that a context may ask or store to. Those that were silent lately, or
    /// were heard of only now, come last.
    pub(in crate::netdb) fn nearest_floodfill(
        &self,
        now: Now,
        ctx: Context,
        key: &RoutingKey,
        may: impl Fn(&Arc<RouterInfo>) -> bool,
    ) -> Option<Arc<RouterInfo>> {
        let usable = || self.floodfills_of(ctx).filter(|r| may(r));
        let good = usable().filter(|r| {
            let hash = r.hash();
            let settled = ctx == Context::Router
                || self.routers.is_settled(&hash, now.mono)
                || self.referred.get(ctx, &hash).is_some();
            settled && !self.strikes.is_out(now.mono, ctx, &hash)
        });
        nearest(good, key, 1)
            .pop()
            .or_else(|| nearest(usable(), key, 1).pop())
    }

    /// The floodfills that a context may know: a destination not those that somebody planted.
    pub(in crate::netdb) fn floodfills_of(
        &self,
        ctx: Context,
    ) -> impl Iterator<Item = &Arc<RouterInfo>> {
        let known = self
            .routers
            .floodfills()
            .filter(move |r| ctx == Context::Router || self.routers.may_serve_clients(&r.hash()));
        known.chain(self.referred.of(ctx))
    }

    /// A router that a context may know.
    pub(in crate::netdb) fn floodfill_of(
        &self,
        ctx: Context,
        hash: &RouterHash,
    ) -> Option<&Arc<RouterInfo>> {
        let known = self.routers.get(hash);
        known
            .filter(|_| ctx == Context::Router || self.routers.may_serve_clients(hash))
            .or_else(|| self.referred.get(ctx, hash))
    }

    /// Whether a floodfill can be asked or stored to: over a link, or out of a tunnel.
    pub(in crate::netdb) fn usable_floodfill(&self, info: &RouterInfo, direct: bool) -> bool {
        info.hash() != self.config.us
            && info.is_floodfill()
            && info.enc_key().is_some()
            && info
                .version()
                .is_some_and(|v| v >= self.config.min_floodfill_version)
            && if direct {
                self.config.reach.dialable(info).is_some()
            } else {
                self.config.reach.is_published(info)
            }
    }
}
