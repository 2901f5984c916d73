//! The network database: what we know of routers and destinations, how we find out more, how we
//! are found, and the duties of a floodfill (i2p docs/how/network-database).
//!
//! It knows no tunnels and no links: messages leave through [`NetDbOutput`], paths come from
//! [`Paths`]. Only [`NetDb::handle_timeout`] asks for paths; everything else just makes it due,
//! so call it whenever [`NetDb::deadline`] has come, which may be at once.
//! LeaseSets of one context never answer another, and what a destination is told of floodfills is
//! known to it alone.

mod admit;
pub mod closest;
mod disk;
mod explore;
mod flood;
mod lease_sets;
mod lookup;
mod meter;
mod output;
mod publish;
mod referred;
pub mod reseed;
pub mod routers;
pub mod routing_key;
mod share;
mod strikes;
#[cfg(test)]
mod tests;
mod way;

pub use output::NetDbOutput;
pub use way::{Paths, ReplyPath, Source};

use crate::limits;
use crate::peer::constraint::Reach;
use crate::peer::profile::Observation;
use crate::rng::Rng;
use crate::router::output::Persist;
use crate::time::{Instant, Now};
use crate::wire::any_lease_set::AnyLeaseSet;
use crate::wire::error::Result;
use crate::wire::hash::{DestHash, MessageId, RouterHash};
use crate::wire::i2np::search_reply::DatabaseSearchReply;
use crate::wire::i2np::status::DeliveryStatus;
use crate::wire::i2np::store::DatabaseStore;
use crate::wire::i2np::{Message, kind, lookup::DatabaseLookup};
use crate::wire::lease_set2::LeaseSet2;
use crate::wire::router_info::RouterInfo;
use admit::Route;
use core::time::Duration;
use disk::Disk;
use explore::Explorer;
use lease_sets::LeaseSets;
use lookup::Lookup;
use meter::Duties;
use publish::Publication;
use referred::Referred;
use routers::{Arrival, Origin, Routers};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use strikes::Strikes;

/// Messages of the netDb are worth nothing after this time.
const MESSAGE_LIFE: Duration = Duration::from_secs(20);
/// Expired values are looked for this often.
const PRUNE: Duration = Duration::from_secs(60);
/// During this time after the start no RouterInfo expires, for those on disk may be old; and after
/// the clock was set, for it may be wrong now.
const START: Duration = Duration::from_secs(3600);

/// The wall clock was set when it moves by so many milliseconds against the other one.
const JUMP_MS: u64 = 60_000;

/// Settings of a [`NetDb`].
#[derive(Clone, Copy, Debug)]
pub struct NetDbConfig {
    /// Our router hash.
    pub us: RouterHash,
    /// Network id; RouterInfos of others are refused.
    pub net_id: u8,
    /// Do the duties of a floodfill.
    pub floodfill: bool,
    /// Lowest version `0.9.NN` of a floodfill that is asked or stored to.
    pub min_floodfill_version: u16,
    /// Addresses that we can dial.
    pub reach: Reach,
}

/// Whose netDb it is: the router's own, or that of one local destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Context {
    /// The router: exploratory tunnels and links.
    Router,
    /// A destination, by a number of the caller.
    Client(u32),
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A RouterInfo.
    Router(RouterHash),
    /// A LeaseSet.
    LeaseSet(DestHash),
}

impl Target {
    const fn key(&self) -> &[u8; 32] {
        match self {
            Self::Router(h) => h.as_bytes(),
            Self::LeaseSet(h) => h.as_bytes(),
        }
    }
}

/// Number of a lookup; lookups that joined share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupId(pub u64);

/// The network database.
pub struct NetDb {
    config: NetDbConfig,
    routers: Routers,
    leases: LeaseSets,
    referred: Referred,
    disk: Disk,
    duties: Duties,
    own: Option<Arc<RouterInfo>>,
    lookups: BTreeMap<LookupId, Lookup>,
    next_id: u64,
    publications: BTreeMap<publish::Slot, Publication>,
    strikes: Strikes,
    explorer: Explorer,
    /// Since when the clocks agree, and their difference in milliseconds.
    calm: Option<(Instant, i64)>,
    prune_at: Instant,
    outputs: VecDeque<NetDbOutput>,
    dropped: u64,
    refused: u64,
}

impl NetDb {
    /// An empty netDb.
    #[must_use]
    pub fn new(config: NetDbConfig) -> Self {
        Self {
            config,
            routers: Routers::default(),
            leases: LeaseSets::default(),
            referred: Referred::default(),
            disk: Disk::default(),
            duties: Duties::default(),
            own: None,
            lookups: BTreeMap::new(),
            next_id: 1,
            publications: BTreeMap::new(),
            strikes: Strikes::default(),
            explorer: Explorer::default(),
            calm: None,
            prune_at: Instant(0),
            outputs: VecDeque::new(),
            dropped: 0,
            refused: 0,
        }
    }

    /// Takes a verified RouterInfo from the disk, a seed or a reseed file in; of whatever age.
    /// Whether it is of our network and new to us. One that is not on the disk is written.
    pub fn load(&mut self, now: Now, info: Arc<RouterInfo>, on_disk: bool) -> bool {
        let hash = info.hash();
        if self.admissible(&info).is_err() || hash == self.config.us {
            return false;
        }
        let arrival = Arrival {
            info,
            origin: Origin::Start,
            served: true,
            settled: Instant(0),
        };
        let (put, gone) = self.routers.put(now.wall, arrival);
        self.note_gone(now.mono, gone);
        if put.is_news() && on_disk {
            self.routers.set_on_disk(&hash);
        } else if put.is_news() {
            self.note_change(now.mono, hash);
        }
        put.is_news()
    }

    /// A router proved to be one: it was in a tunnel of ours, answered, or let itself be dialled.
    /// Strangers do not push it out.
    pub fn prove(&mut self, hash: &RouterHash) {
        self.routers.prove(hash);
    }

    /// A link with a router came up, or went.
    pub fn set_linked(&mut self, hash: RouterHash, up: bool) {
        self.routers.set_linked(hash, up);
    }

    /// A router; ourselves too, once [`NetDb::publish_router`] or [`NetDb::set_own`] was called.
    #[must_use]
    pub fn router(&self, hash: &RouterHash) -> Option<Arc<RouterInfo>> {
        match &self.own {
            Some(own) if *hash == self.config.us => Some(Arc::clone(own)),
            _ => self.routers.get(hash).cloned(),
        }
    }

    /// All other routers in the order of their hashes.
    pub fn routers(&self) -> impl Iterator<Item = &Arc<RouterInfo>> {
        self.routers.iter()
    }

    /// A LeaseSet that the context looked up, expired or not.
    #[must_use]
    pub fn lease_set(&self, ctx: Context, dest: &DestHash) -> Option<Arc<LeaseSet2>> {
        self.leases.found(ctx, dest).cloned()
    }

    /// A LeaseSet that was stored to us as a floodfill.
    #[must_use]
    pub fn served_lease_set(&self, key: &DestHash) -> Option<&Arc<AnyLeaseSet>> {
        self.leases.served(key)
    }

    /// Number of other routers.
    #[must_use]
    pub fn router_count(&self) -> usize {
        self.routers.count()
    }

    /// Number of other floodfills.
    #[must_use]
    pub fn floodfill_count(&self) -> usize {
        self.routers.floodfill_count()
    }

    /// Number of LeaseSets that were stored to us as a floodfill.
    #[must_use]
    pub fn lease_set_count(&self) -> usize {
        self.leases.served_count()
    }

    /// Outputs that were dropped because the queue was full.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What others asked for and did not get, because they have had their share.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Forgets a router, for example one whose identity is banned.
    pub fn forget_router(&mut self, now: Now, hash: &RouterHash) {
        if let Some(on_disk) = self.routers.remove(hash) {
            self.note_gone(now.mono, vec![(*hash, on_disk)]);
        }
    }

    /// Takes a LeaseSet in that came as a clove from its owner; expired, future or older ones are
    /// left out. Whether it is new. A lookup for it in the same context succeeds.
    pub fn insert_lease_set(&mut self, now: Now, ctx: Context, ls: LeaseSet2) -> bool {
        if admit::timely(&ls, now.wall).is_err() {
            return false;
        }
        let target = Target::LeaseSet(ls.hash());
        let put = self.leases.put_found(now.wall, ctx, Arc::new(ls));
        if put.is_news() {
            self.succeed(now, ctx, target);
        }
        put.is_news()
    }

    /// Takes a RouterInfo in that was verified by its owner's handshake. Whether it is new.
    pub fn insert_router(&mut self, now: Now, info: Arc<RouterInfo>) -> bool {
        let fresh = self
            .admissible(&info)
            .and_then(|()| self.fresh(&info, now.wall));
        let arrival = Arrival {
            info,
            origin: Origin::Caller,
            served: true,
            settled: now.mono,
        };
        fresh.is_ok() && self.put_router(now, arrival).is_news()
    }

    /// Takes the bytes of a RouterInfo in that a router sent over its link (not in a tunnel);
    /// floods it when `flood` and we are a floodfill. Whether it is new.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn insert_router_bytes(
        &mut self,
        now: Now,
        rng: &mut Rng,
        from: RouterHash,
        bytes: &[u8],
        flood: bool,
    ) -> Result<bool> {
        let own = RouterInfo::parse(bytes)?.peek().hash() == from;
        let route = Route {
            origin: if own {
                Origin::Caller
            } else {
                Origin::Given {
                    by: from,
                    asked: false,
                }
            },
            charge: Some(from),
            served: true,
        };
        let taken = self.take_router(now, rng, bytes, None, route)?;
        let news = taken.put.is_news();
        if let Some(info) = taken.info
            && flood
            && news
        {
            self.flood_router(now, rng, &info, Some(from));
        }
        Ok(news)
    }

    /// A message for the netDb: DatabaseStore, DatabaseLookup, DatabaseSearchReply, or a
    /// DeliveryStatus. `ctx` is the pool whose tunnel it came out of, the router's for links.
    /// `Ok(false)`: not ours, such as a DeliveryStatus that nobody here waits for.
    ///
    /// # Errors
    /// What is wrong with the message.
    pub fn handle_message(
        &mut self,
        now: Now,
        rng: &mut Rng,
        ctx: Context,
        source: Source,
        message: &Message,
    ) -> Result<bool> {
        match message.kind {
            kind::DATABASE_STORE => {
                let store = DatabaseStore::parse(&message.body)?;
                self.on_store(now, rng, ctx, source, store)?;
            }
            kind::DATABASE_LOOKUP => {
                let lookup = DatabaseLookup::parse(&message.body)?;
                if source.link().is_some() {
                    self.on_lookup(now, rng, source, &lookup);
                }
            }
            kind::DATABASE_SEARCH_REPLY => {
                let reply = DatabaseSearchReply::parse(&message.body)?;
                self.on_search_reply(now, ctx, source, &reply);
            }
            kind::DELIVERY_STATUS => {
                let status = DeliveryStatus::parse(&message.body)?;
                return Ok(self.on_confirmed(now, rng, ctx, source, status.id));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<NetDbOutput> {
        self.outputs.pop_front()
    }

    /// When [`NetDb::handle_timeout`] has to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let lookups = self.lookups.values().map(|l| l.due);
        let publications = self.publications.values().filter_map(|p| p.due);
        lookups
            .chain(publications)
            .chain([self.prune_at, self.explorer.due])
            .chain(self.disk.due)
            .min()
    }

    /// Does what is due: questions, stores, exploration, expiry.
    pub fn handle_timeout(&mut self, now: Now, rng: &mut Rng, paths: &dyn Paths) {
        if self.prune_at <= now.mono {
            self.prune_at = now.mono + PRUNE;
            self.leases.expire(now.wall);
            if now.mono.since(self.calm_since(now)) >= START {
                let gone = self.routers.expire(now.wall, self.config.floodfill);
                self.note_gone(now.mono, gone);
            }
        }
        self.drive_disk(now);
        self.drive_exploration(now, rng);
        self.drive_publications(now, rng, paths);
        self.drive_lookups(now, rng, paths);
    }

    /// Ends everything of a client's context.
    pub fn drop_context(&mut self, ctx: Context) {
        self.leases.drop_context(ctx);
        self.referred.drop_context(ctx);
        self.strikes.drop_context(ctx);
        self.lookups.retain(|_, l| l.ctx != ctx);
        self.publications.retain(|slot, _| slot.ctx != ctx);
    }

    fn message_id(rng: &mut Rng) -> MessageId {
        MessageId(rng.nonzero_u32())
    }

    fn persist(&mut self, hash: RouterHash, info: Option<Arc<RouterInfo>>) {
        self.push(NetDbOutput::Persist(Persist::Router { hash, info }));
    }

    fn observed(&mut self, now: Instant, ctx: Context, router: RouterHash, what: Observation) {
        match what {
            Observation::LookupFailed => self.strikes.failed(now, ctx, router),
            _ => self.strikes.answered(ctx, router),
        }
        // What only a destination knows is not remembered for everyone.
        if self.routers.get(&router).is_some() {
            if what == Observation::LookupAnswered {
                self.routers.prove(&router);
            }
            self.push(NetDbOutput::Observed { router, what });
        }
    }

    /// Since when the wall clock has run like the other one: before, ages say little.
    fn calm_since(&mut self, now: Now) -> Instant {
        let drift = now.wall.0.wrapping_sub(now.mono.0 / 1000).cast_signed();
        let (since, last) = self.calm.get_or_insert((now.mono, drift));
        if drift.abs_diff(*last) > JUMP_MS {
            *since = now.mono;
        }
        *last = drift;
        *since
    }

    fn push(&mut self, output: NetDbOutput) {
        let vital = matches!(
            output,
            NetDbOutput::Found { .. } | NetDbOutput::NotFound { .. } | NetDbOutput::Persist(_)
        );
        // Ends of lookups are bounded by the number of lookups, writes by their rate.
        if vital || self.outputs.len() < limits::NETDB_OUTPUTS_MAX {
            self.outputs.push_back(output);
        } else {
            self.dropped += 1;
        }
    }
}
