//! Our own tunnels: building, pools, sending through them and receiving from them.
//!
//! [`Tunnels`] is one machine for all pools. It does not know links, RouterInfos or what the
//! messages mean; which routers become hops is the answer of a [`HopChooser`]. Other routers'
//! tunnels are [`crate::relay`]'s.
//! Specifications: i2p spec/tunnel-creation-ecies, spec/tunnel-message,
//! docs/tunnels/implementation.

pub mod admission;
mod build;
pub mod fragment;
mod health;
mod inbound;
mod outbound;
mod own;
mod plan;
mod pool;
pub mod reassemble;
pub mod record;
mod way;

pub use plan::{BuildResult, Direction, Hop, HopChooser, HopWish, PoolId, PoolSettings};

use crate::limits;
use crate::router::output::Class;
use crate::time::{Date, Instant, Now};
use crate::wire::hash::{MessageId, RouterHash, TunnelId};
use crate::wire::i2np::Message;
use build::launch::Build;
use core::time::Duration;
use health::Test;
use inbound::Inbound;
use outbound::Outbound;
use pool::Pool;
use std::collections::{BTreeMap, VecDeque};
use way::{Once, Way};

/// What this machine sends is worth nothing after this.
const MESSAGE_LIFE: Duration = Duration::from_secs(60);

/// Number of an outbound tunnel of ours; never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboundId(pub u32);

/// Number of an inbound tunnel of ours; never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InboundId(pub u32);

/// One of our tunnels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnyTunnel {
    /// Away from us.
    Outbound(OutboundId),
    /// Towards us.
    Inbound(InboundId),
}

impl From<OutboundId> for AnyTunnel {
    fn from(id: OutboundId) -> Self {
        Self::Outbound(id)
    }
}

impl From<InboundId> for AnyTunnel {
    fn from(id: InboundId) -> Self {
        Self::Inbound(id)
    }
}

/// An outbound tunnel that can be sent through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboundInfo {
    /// The tunnel.
    pub id: OutboundId,
    /// First hop; we ourselves when there are none.
    pub first: RouterHash,
    /// Last hop; we ourselves when there are none.
    pub endpoint: RouterHash,
    /// When it ends.
    pub expires: Instant,
    /// The same as a date in whole seconds.
    pub expires_date: Date,
    /// Routers in it.
    pub hops: u8,
    /// Smoothed round trip of tests: out by this tunnel and back by one of ours.
    pub rtt: Option<Duration>,
    /// Tests through it were lost; a replacement is being built.
    pub failing: bool,
    /// Something speaks against it: others come first.
    pub doubted: bool,
}

/// An inbound tunnel that can be given to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboundInfo {
    /// The tunnel.
    pub id: InboundId,
    /// First hop, where others send to; we ourselves when there are none.
    pub gateway: RouterHash,
    /// Tunnel id at the gateway.
    pub gateway_tunnel: TunnelId,
    /// Tunnel id at us.
    pub receive: TunnelId,
    /// The hop closest to us, whose link has to stay open; we ourselves when there are none.
    pub last: RouterHash,
    /// When it ends.
    pub expires: Instant,
    /// The same as a date in whole seconds, for leases.
    pub expires_date: Date,
    /// Routers in it.
    pub hops: u8,
    /// Smoothed round trip of tests: out by one of our tunnels and back by this one.
    pub rtt: Option<Duration>,
    /// Tests through it were lost; a replacement is being built.
    pub failing: bool,
    /// Something speaks against it: others come first.
    pub doubted: bool,
    /// Something has come through it.
    pub proven: bool,
}

impl OutboundInfo {
    /// What speaks against it; the least comes first.
    #[must_use]
    pub fn weakness(&self) -> u8 {
        2 * u8::from(self.failing) + u8::from(self.doubted)
    }
}

impl InboundInfo {
    /// What speaks against it; the least comes first.
    #[must_use]
    pub fn weakness(&self) -> u8 {
        2 * u8::from(self.failing) + u8::from(self.doubted)
    }
}

/// The best of these and all that are as good; `rank` says how bad one is.
pub fn best_of<T: Clone>(all: &[T], rank: impl Fn(&T) -> u8) -> Vec<T> {
    let best = all.iter().map(&rank).min();
    let best = all.iter().filter(|t| Some(rank(t)) == best);
    best.cloned().collect()
}

/// What the tunnels ask for.
#[derive(Clone, Debug)]
pub enum TunnelOutput {
    /// Send over a link. `to` may be ourselves (tunnels without hops): then it is looped back.
    Send {
        /// The router.
        to: RouterHash,
        /// Priority.
        class: Class,
        /// The message.
        message: Message,
    },
    /// Open a link unless there is one: something is about to be sent to this router, or it
    /// could not find us by itself.
    Dial(RouterHash),
    /// Messages under this tunnel id are ours. `from` is the only router that cells may come
    /// from; it is ourselves for a gateway of our own, which takes gateway messages of anyone.
    InstallOwn {
        /// Tunnel id at us.
        id: TunnelId,
        /// The closest hop.
        from: RouterHash,
    },
    /// The id is no longer ours.
    RemoveOwn(TunnelId),
    /// A message for us came out of an inbound tunnel.
    Received {
        /// The pool of the tunnel.
        pool: PoolId,
        /// The tunnel.
        tunnel: InboundId,
        /// The message, of any type.
        message: Message,
    },
    /// The inbound tunnels of the pool changed: what was published about them is out of date.
    Changed {
        /// The pool.
        pool: PoolId,
    },
    /// The pool has another outbound tunnel: what waited for one may go.
    WayOut {
        /// The pool.
        pool: PoolId,
    },
    /// A build ended; for the profiles of its hops.
    Outcome {
        /// The pool it was for.
        pool: PoolId,
        /// Which way the tunnel goes.
        direction: Direction,
        /// The hops in order of travel.
        hops: Vec<RouterHash>,
        /// How it ended.
        result: BuildResult,
    },
}

/// How a pool stands in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCount {
    /// Tunnels to keep.
    pub wanted: usize,
    /// Tunnels that can be used.
    pub up: usize,
    /// Of these, how many lose tests.
    pub failing: usize,
    /// Builds under way.
    pub building: usize,
}

/// How a pool stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStats {
    /// The pool.
    pub id: PoolId,
    /// Inbound tunnels.
    pub inbound: PoolCount,
    /// Outbound tunnels.
    pub outbound: PoolCount,
}

/// Totals since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TunnelStats {
    /// The pools as they are now.
    pub pools: Vec<PoolStats>,
    /// Builds that every hop accepted.
    pub built: u64,
    /// Builds without an answer in time.
    pub timeouts: u64,
    /// Answers of hops that refused, by code.
    pub refused: BTreeMap<u8, u64>,
    /// Builds given up because a router that had to be dialled could not be reached.
    pub unreachable: u64,
    /// Build replies that did not verify.
    pub bad_replies: u64,
    /// Times that no hops could be chosen.
    pub no_hops: u64,
    /// Tests that came back.
    pub tests_passed: u64,
    /// Tests that did not.
    pub tests_lost: u64,
    /// Cells sent to first hops.
    pub cells_sent: u64,
    /// Cells received from closest hops.
    pub cells_received: u64,
    /// Messages dropped because they could not be read.
    pub malformed: u64,
    /// Messages dropped because no tunnel or build of ours waits for them.
    pub unknown: u64,
    /// Answers to builds and tests that did not come the way they have to; treated like any
    /// unknown message, and still waited for.
    pub wrong_way: u64,
    /// Messages dropped because they asked us to deliver them elsewhere.
    pub not_local: u64,
}

/// All tunnels of our own.
pub struct Tunnels {
    us: RouterHash,
    pools: BTreeMap<PoolId, Pool>,
    outbound: BTreeMap<OutboundId, Outbound>,
    inbound: BTreeMap<InboundId, Inbound>,
    by_receive: BTreeMap<TunnelId, InboundId>,
    builds: BTreeMap<u32, Build>,
    /// The build that waits for a message of this id, and the way it has to come.
    by_reply: BTreeMap<MessageId, (u32, Way)>,
    tests: BTreeMap<u32, Test>,
    tags: BTreeMap<[u8; 8], Once>,
    outputs: VecDeque<TunnelOutput>,
    numbered: u32,
    due: Option<Instant>,
    stats: TunnelStats,
}

impl Tunnels {
    /// No pools yet; `us` is our own router.
    #[must_use]
    pub fn new(us: RouterHash) -> Self {
        Self {
            us,
            pools: BTreeMap::new(),
            outbound: BTreeMap::new(),
            inbound: BTreeMap::new(),
            by_receive: BTreeMap::new(),
            builds: BTreeMap::new(),
            by_reply: BTreeMap::new(),
            tests: BTreeMap::new(),
            tags: BTreeMap::new(),
            outputs: VecDeque::new(),
            numbered: 0,
            due: None,
            stats: TunnelStats::default(),
        }
    }

    /// Adds a pool, whose builds start at the next [`Tunnels::handle_timeout`], or changes the
    /// settings of one. `false` when there are [`limits::POOLS_MAX`] already.
    pub fn add_pool(&mut self, now: Now, id: PoolId, settings: PoolSettings) -> bool {
        if !self.pools.contains_key(&id) && self.pools.len() >= limits::POOLS_MAX {
            return false;
        }
        let pool = Pool::new(settings.clamped(), now.mono);
        self.pools.insert(id, pool);
        self.wake(now.mono);
        true
    }

    /// Drops a pool with its tunnels and builds.
    pub fn remove_pool(&mut self, now: Now, id: PoolId) {
        self.pools.remove(&id);
        self.forget_builds_of(id);
        self.outbound.retain(|_, t| t.pool != id);
        let gone = self.inbound.iter().filter(|(_, t)| t.pool == id);
        let gone: Vec<InboundId> = gone.map(|(id, _)| *id).collect();
        for id in gone {
            self.drop_inbound(id);
        }
        self.wake(now.mono);
    }

    /// The usable outbound tunnels of a pool, oldest first.
    pub fn outbound(&self, pool: PoolId) -> impl Iterator<Item = OutboundInfo> + '_ {
        let of_pool = self.outbound.iter().filter(move |(_, t)| t.pool == pool);
        of_pool.map(|(id, t)| t.info(*id, self.us))
    }

    /// The usable inbound tunnels of a pool, oldest first.
    pub fn inbound(&self, pool: PoolId) -> impl Iterator<Item = InboundInfo> + '_ {
        let of_pool = self
            .inbound
            .iter()
            .filter(move |(_, t)| t.pool == pool && t.listed());
        of_pool.map(|(id, t)| t.info(*id, self.us))
    }

    /// The hops of all usable tunnels in order of travel, and the tunnel id at the first.
    pub fn paths(&self) -> impl Iterator<Item = (PoolId, Direction, &[RouterHash], TunnelId)> + '_ {
        let listed = self.inbound.values().filter(|t| t.listed());
        let inbound = listed.map(|t| {
            let hops = t.hops.as_slice();
            (t.pool, Direction::Inbound, hops, t.gateway_id)
        });
        let all = self.outbound.values();
        inbound.chain(all.map(|t| {
            let hops = t.hops.as_slice();
            (t.pool, Direction::Outbound, hops, t.first_id)
        }))
    }

    /// The routers closest to us in inbound tunnels, whose links have to stay open.
    pub fn closest_hops(&self) -> impl Iterator<Item = RouterHash> + '_ {
        let with_hops = self.inbound.values().filter(|t| !t.hops.is_empty());
        with_hops.map(|t| t.last(self.us))
    }

    /// Upper layers saw a message come through a tunnel, or miss one. The latter only has the
    /// tunnel tested at once.
    pub fn report(&mut self, now: Now, tunnel: impl Into<AnyTunnel>, ok: bool) {
        let (health, leased) = match tunnel.into() {
            AnyTunnel::Outbound(id) => (self.outbound.get_mut(&id).map(|t| &mut t.health), None),
            AnyTunnel::Inbound(id) => {
                let t = self.inbound.get_mut(&id);
                t.map_or((None, None), |t| (Some(&mut t.health), Some(t.pool)))
            }
        };
        let Some(health) = health else {
            return;
        };
        if !ok {
            if health.suspect(now.mono) {
                self.wake(now.mono);
            }
        } else if health.passed(now.mono, None)
            && let Some(pool) = leased
        {
            self.changed(pool);
        }
    }

    /// Dialling this router failed. Builds that need its link are made anew, outbound tunnels
    /// that start there fail, inbound ones that end there are tested.
    pub fn unreachable(&mut self, now: Now, peer: RouterHash) {
        self.builds_unreachable(peer);
        for t in self.outbound.values_mut() {
            t.health.failing |= t.hops.first() == Some(&peer);
        }
        for t in self.inbound.values_mut() {
            if t.hops.last() == Some(&peer) {
                t.health.suspect(now.mono);
            }
        }
        self.wake(now.mono);
    }

    /// A link ended. The closest hop of an inbound tunnel is dialled again: it may have no other
    /// way to reach us.
    pub fn link_lost(&mut self, peer: RouterHash) {
        if self.needs_link(peer) {
            self.outputs.push_back(TunnelOutput::Dial(peer));
        }
    }

    /// Whether the router is the closest hop of an inbound tunnel.
    #[must_use]
    pub fn needs_link(&self, peer: RouterHash) -> bool {
        let mut live = self.inbound.values().filter(|t| t.listed());
        live.any(|t| t.hops.last() == Some(&peer))
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<TunnelOutput> {
        self.outputs.pop_front()
    }

    /// Totals, and the pools as they are now.
    #[must_use]
    pub fn stats(&self) -> TunnelStats {
        let count = |id: PoolId, pool: &Pool, direction: Direction| {
            let failing: Vec<bool> = match direction {
                Direction::Inbound => self.inbound(id).map(|t| t.failing).collect(),
                Direction::Outbound => self.outbound(id).map(|t| t.failing).collect(),
            };
            PoolCount {
                wanted: pool.settings.quantity(direction),
                up: failing.len(),
                failing: failing.iter().filter(|f| **f).count(),
                building: self.building(id, direction),
            }
        };
        let pools = self.pools.iter().map(|(id, pool)| PoolStats {
            id: *id,
            inbound: count(*id, pool, Direction::Inbound),
            outbound: count(*id, pool, Direction::Outbound),
        });
        TunnelStats {
            pools: pools.collect(),
            ..self.stats.clone()
        }
    }

    /// Answers that did not come the way they have to.
    #[must_use]
    pub const fn wrong_way(&self) -> u64 {
        self.stats.wrong_way
    }

    fn number(&mut self) -> u32 {
        self.numbered = self.numbered.wrapping_add(1);
        self.numbered
    }
}

#[cfg(test)]
mod tests;
