//! What a floodfill owes others: confirming and spreading what is stored to it, and answering
//! (i2p docs/how/network-database, Flooding). A router that is none answers for itself only.
//! All of it is metered by the link that asked for it.

use super::closest::nearest;
use super::routing_key::RoutingKey;
use super::{Context, MESSAGE_LIFE, NetDb, NetDbOutput, Source};
use crate::garlic::clove::{Block, Clove, Delivery, write_blocks};
use crate::garlic::{one_time, to_message};
use crate::limits;
use crate::rng::Rng;
use crate::time::Now;
use crate::wire::any_lease_set::AnyLeaseSet;
use crate::wire::hash::{DestHash, RouterHash, TunnelId};
use crate::wire::i2np::Message;
use crate::wire::i2np::lookup::{DatabaseLookup, LookupKind, ReplyKey};
use crate::wire::i2np::search_reply::DatabaseSearchReply;
use crate::wire::i2np::status::DeliveryStatus;
use crate::wire::i2np::store::{DatabaseStore, StoreReply};
use crate::wire::router_info::RouterInfo;
use core::time::Duration;
use std::sync::Arc;

/// Floodfills that a value is spread to.
const FLOOD: usize = 3;
/// A RouterInfo published longer ago is not spread.
const FLOOD_AGE: Duration = Duration::from_secs(3600);
/// Floodfills named in a search reply.
const NAMED: usize = 3;
/// Routers named in the answer to an exploration.
const NAMED_STRANGERS: usize = 8;

impl NetDb {
    /// Sends the DeliveryStatus that a store asks for. Only a floodfill sends it to others than
    /// who stored.
    pub(super) fn confirm(
        &mut self,
        now: Now,
        rng: &mut Rng,
        link: RouterHash,
        reply: Option<StoreReply>,
    ) {
        let back = |r: &StoreReply| r.gateway == link && r.tunnel == TunnelId(0);
        let Some(reply) = reply.filter(|r| self.config.floodfill || back(r)) else {
            return;
        };
        let status = DeliveryStatus {
            id: crate::wire::hash::MessageId(reply.token),
            at: now.wall,
        };
        let message = status.to_message(Self::message_id(rng), now.wall + MESSAGE_LIFE);
        self.reply_to(now, link, reply.gateway, Some(reply.tunnel), message);
    }

    pub(super) fn flood_router(
        &mut self,
        now: Now,
        rng: &mut Rng,
        info: &RouterInfo,
        from: Option<RouterHash>,
    ) {
        if now.wall.since(info.published()) <= FLOOD_AGE {
            let store = DatabaseStore::router(info, None);
            self.flood(now, rng, &store, from);
        }
    }

    pub(super) fn flood_lease_set(
        &mut self,
        now: Now,
        rng: &mut Rng,
        ls: &AnyLeaseSet,
        from: Option<RouterHash>,
    ) {
        let store = DatabaseStore::any_lease_set(ls, None);
        self.flood(now, rng, &store, from);
    }

    /// Spreads a store with token 0 to the nearest floodfills, over links only.
    fn flood(&mut self, now: Now, rng: &mut Rng, store: &DatabaseStore, from: Option<RouterHash>) {
        if !self.config.floodfill || self.outputs.len() >= limits::NETDB_OUTPUTS_MAX / 4 {
            return;
        }
        let key = RoutingKey::of(&store.key, now.wall);
        let others = self.routers.floodfills().filter(|r| {
            self.usable_floodfill(r, true)
                && Some(r.hash()) != from
                && r.hash().0 != store.key
                && !self.strikes.is_out(now.mono, Context::Router, &r.hash())
        });
        for to in nearest(others, &key, FLOOD) {
            let expires = now.wall + MESSAGE_LIFE;
            if let Ok(message) = store.to_message(Self::message_id(rng), expires) {
                self.push(NetDbOutput::Send {
                    ctx: Context::Router,
                    to: to.hash(),
                    message,
                    seal: None,
                    direct: true,
                });
            }
        }
    }

    /// Answers a lookup that came over a link, plain or in router garlic.
    pub(super) fn on_lookup(
        &mut self,
        now: Now,
        rng: &mut Rng,
        source: Source,
        lookup: &DatabaseLookup,
    ) {
        // Without a tunnel the answer goes back over the very link the question came by, so that
        // nobody makes us dial a third router.
        let back = lookup.tunnel.is_some() || source == Source::Link(lookup.from);
        let Some(link) = source.link().filter(|_| back) else {
            return;
        };
        let expires = now.wall + MESSAGE_LIFE;
        let id = Self::message_id(rng);
        let message = match self.answer(now, lookup) {
            Some(store) => store.to_message(id, expires).ok(),
            None if self.config.floodfill => Some(self.others(now, lookup).to_message(id, expires)),
            None => None,
        };
        let Some(message) = message else {
            return;
        };
        let message = match (&lookup.reply_key, lookup.tunnel) {
            (Some(key), Some(_)) => seal(&message, key, rng),
            _ => Some(message),
        };
        if let Some(message) = message {
            self.reply_to(now, link, lookup.from, lookup.tunnel, message);
        }
    }

    /// The value that is asked for, if we may give it out.
    fn answer(&self, now: Now, lookup: &DatabaseLookup) -> Option<DatabaseStore> {
        let (routers, leases) = match lookup.kind {
            LookupKind::Any => (true, true),
            LookupKind::Router => (true, false),
            LookupKind::LeaseSet => (false, true),
            LookupKind::Explore => return None,
        };
        let hash = RouterHash(lookup.key);
        if routers && hash == self.config.us {
            return self.own.as_ref().map(|i| DatabaseStore::router(i, None));
        }
        if !self.config.floodfill {
            return None;
        }
        if routers && let Some(info) = self.routers.served(&hash) {
            return Some(DatabaseStore::router(info, None));
        }
        let ls = self.leases.served(&DestHash(lookup.key))?;
        let holds = leases && ls.ends() > now.wall;
        holds.then(|| DatabaseStore::any_lease_set(ls, None))
    }

    /// Names others who may have it; strangers to an explorer.
    fn others(&self, now: Now, lookup: &DatabaseLookup) -> DatabaseSearchReply {
        let key = RoutingKey::of(&lookup.key, now.wall);
        let mut excluded = lookup.excluded.clone();
        excluded.sort_unstable();
        let wanted = |r: &&Arc<RouterInfo>| {
            let hash = r.hash();
            hash != lookup.from && excluded.binary_search(&hash).is_err()
        };
        let near = if lookup.kind == LookupKind::Explore {
            let strangers = self.routers.iter().filter(|r| {
                !r.is_floodfill()
                    && wanted(r)
                    && !r.has_cap('H')
                    && self.routers.served(&r.hash()).is_some()
            });
            nearest(strangers, &key, NAMED_STRANGERS)
        } else {
            nearest(self.routers.floodfills().filter(wanted), &key, NAMED)
        };
        DatabaseSearchReply {
            key: lookup.key,
            peers: near.iter().map(|r| r.hash()).collect(),
            from: self.config.us,
        }
    }

    /// Sends an answer to what came by `link`, as far as that link may make us send, dial and look
    /// up; such work is the first to be dropped.
    fn reply_to(
        &mut self,
        now: Now,
        link: RouterHash,
        to: RouterHash,
        tunnel: Option<TunnelId>,
        message: Message,
    ) {
        let near = to == link || to == self.config.us || self.routers.is_linked(&to);
        let bytes = u32::try_from(message.body.len()).unwrap_or(u32::MAX);
        let allowed = self.outputs.len() < limits::NETDB_OUTPUTS_MAX / 2
            && self.duties.answers.take(now.mono, link, bytes)
            && (near || self.duties.dials.take(now.mono, link, 1))
            && (near || self.routers.get(&to).is_some() || self.has_errand(now));
        if !allowed {
            self.refused += 1;
            return;
        }
        let output = match tunnel {
            Some(tunnel) if tunnel != TunnelId(0) => NetDbOutput::SendTunnel {
                gateway: to,
                tunnel,
                message,
            },
            _ => NetDbOutput::Send {
                ctx: Context::Router,
                to,
                message,
                seal: None,
                direct: true,
            },
        };
        self.push(output);
    }
}

/// One clove in one-time garlic, and nothing else: other routers read no more of it.
fn seal(message: &Message, key: &ReplyKey, rng: &mut Rng) -> Option<Message> {
    let clove = Block::Clove(Clove {
        delivery: Delivery::Local,
        message: message.clone(),
    });
    let payload = write_blocks(&[clove]).ok()?;
    let content = one_time::seal(&key.key, &key.tag, &payload);
    Some(to_message(
        &content,
        NetDb::message_id(rng),
        message.expires,
    ))
}
