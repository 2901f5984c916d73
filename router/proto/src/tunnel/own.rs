//! Keeping the pools full: what is missing is built, what is old is replaced in time, what
//! expired goes.
//!
//! How a build goes out is in `super::build::launch`.

use super::build::launch::NotLaunched;
use super::health::Health;
use super::inbound::Inbound;
use super::outbound::Outbound;
use super::plan::{Direction, HopChooser, PoolId};
use super::reassemble::Reassembler;
use super::record::LIFE_SECS;
use super::{InboundId, OutboundId, TunnelOutput, Tunnels};
use crate::limits;
use crate::rng::Rng;
use crate::time::{Date, Instant, Now};
use crate::wire::hash::TunnelId;
use core::time::Duration;

/// A tunnel lives so long (i2p spec/tunnel-creation-ecies, request expiration).
const LIFE: Duration = Duration::from_secs(LIFE_SECS as u64);
/// Its replacement is built so long before it expires, and up to as much earlier by chance.
const REBUILD: Duration = Duration::from_secs(90);
const REBUILD_JITTER: Duration = Duration::from_secs(30);
/// An expired inbound tunnel still receives what was under way.
const GRACE: Duration = Duration::from_secs(20);
/// The receiver of the first replies is replaced so long before it expires.
const DIRECT_MARGIN: Duration = Duration::from_secs(60);
/// When all builds at once are under way, others look again after this.
const CROWDED: Duration = Duration::from_secs(1);
/// A pool has at most so many times the tunnels that it wants.
const POOL_MOST: usize = 3;

/// The times of a tunnel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub(super) rebuild: Instant,
    pub(super) expires: Instant,
    /// Whole seconds, for leases.
    pub(super) expires_date: Date,
}

impl Life {
    /// Of a tunnel whose request was sent at `sent`.
    pub(super) fn new(sent: Now, rng: &mut Rng) -> Self {
        let expires = sent.mono + LIFE;
        Self {
            rebuild: expires - REBUILD - rng.jitter(REBUILD_JITTER),
            expires,
            expires_date: Date::from_secs((sent.wall + LIFE).secs()),
        }
    }
}

impl Tunnels {
    /// Does everything that is due: gives up on builds and tests, lets tunnels go, starts builds
    /// and tests.
    pub fn handle_timeout(&mut self, now: Now, rng: &mut Rng, chooser: &mut dyn HopChooser) {
        self.expire_builds(now);
        self.expire_tests(now, rng);
        self.expire_tunnels(now.mono);
        let pools: Vec<PoolId> = self.pools.keys().copied().collect();
        for pool in pools {
            for direction in [Direction::Inbound, Direction::Outbound] {
                self.fill(now, rng, chooser, pool, direction);
            }
        }
        self.start_tests(now, rng);
        self.due = self.next_due(now.mono);
    }

    /// The wall clock was set: the ends of tunnels bear other dates now.
    pub fn clock_set(&mut self, now: Now) {
        let date = |expires: Instant| {
            let left = expires.since(now.mono);
            Date::from_secs((now.wall + left).secs())
        };
        for t in self.outbound.values_mut() {
            t.life.expires_date = date(t.life.expires);
        }
        for t in self.inbound.values_mut() {
            t.life.expires_date = date(t.life.expires);
        }
        for build in self.builds.values_mut() {
            build.clock_set(now);
        }
        let pools: Vec<PoolId> = self.pools.keys().copied().collect();
        for pool in pools {
            self.changed(pool);
        }
    }

    /// When [`Tunnels::handle_timeout`] wants to be called.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Something happened that [`Tunnels::handle_timeout`] should look at.
    pub(super) fn wake(&mut self, now: Instant) {
        self.due = Some(self.due.map_or(now, |due| due.min(now)));
    }

    pub(super) fn changed(&mut self, pool: PoolId) {
        self.outputs.push_back(TunnelOutput::Changed { pool });
    }

    /// Tunnels of the pool that neither fail nor are due for replacement.
    fn fresh(&self, pool: PoolId, direction: Direction, now: Instant) -> usize {
        let good = |health: &Health, life: &Life| !health.failing && now < life.rebuild;
        match direction {
            Direction::Inbound => {
                let of_pool = self
                    .inbound
                    .values()
                    .filter(|t| t.pool == pool && t.listed());
                of_pool.filter(|t| good(&t.health, &t.life)).count()
            }
            Direction::Outbound => {
                let of_pool = self.outbound.values().filter(|t| t.pool == pool);
                of_pool.filter(|t| good(&t.health, &t.life)).count()
            }
        }
    }

    /// Tunnels that have to be built now.
    fn missing(&self, pool: PoolId, direction: Direction, now: Instant) -> usize {
        let Some(p) = self.pools.get(&pool) else {
            return 0;
        };
        let (wanted, building) = (
            p.settings.quantity(direction),
            self.building(pool, direction),
        );
        let fresh = self.fresh(pool, direction, now);
        let doubtful = self.doubtful(pool, direction);
        if fresh <= doubtful && building < 2 * wanted {
            // None that can be relied on: builds get no time to be lost in.
            return wanted.saturating_sub(self.building_young(pool, direction, now));
        }
        // Those in doubt stay until they are given up; as many are built beside them, in turn.
        let doubtful = doubtful.min(wanted);
        let more = if building == 0 { doubtful } else { 0 };
        (wanted + more).saturating_sub(fresh + building)
    }

    fn doubtful(&self, pool: PoolId, direction: Direction) -> usize {
        let doubtful = |health: &Health| health.is_doubtful() && !health.failing;
        match direction {
            Direction::Inbound => {
                let of_pool = self.inbound.values().filter(|t| t.pool == pool);
                of_pool
                    .filter(|t| t.listed() && doubtful(&t.health))
                    .count()
            }
            Direction::Outbound => {
                let of_pool = self.outbound.values().filter(|t| t.pool == pool);
                of_pool.filter(|t| doubtful(&t.health)).count()
            }
        }
    }

    fn fill(
        &mut self,
        now: Now,
        rng: &mut Rng,
        chooser: &mut dyn HopChooser,
        id: PoolId,
        direction: Direction,
    ) {
        for _ in 0..self.missing(id, direction, now.mono) {
            let Some(pool) = self.pools.get_mut(&id) else {
                return;
            };
            let hops = pool.settings.hops(direction);
            if hops == 0 {
                self.make_direct(now, rng, id, direction, false);
                continue;
            }
            if self.builds.len() >= limits::TUNNEL_BUILDS_MAX
                || !pool.pace(direction).take(now.mono)
            {
                return;
            }
            let launched = self.launch(now, rng, chooser, id, direction, hops);
            if let Err(why) = launched {
                if why == NotLaunched::NoHops {
                    self.stats.no_hops += 1;
                }
                if let Some(pool) = self.pools.get_mut(&id) {
                    pool.pace(direction).give_back(now.mono);
                }
                return;
            }
        }
    }

    /// A tunnel without hops needs no build. A `hidden` one is no tunnel of the pool.
    pub(super) fn make_direct(
        &mut self,
        now: Now,
        rng: &mut Rng,
        pool: PoolId,
        direction: Direction,
        hidden: bool,
    ) {
        let life = Life::new(now, rng);
        match direction {
            Direction::Inbound => {
                let receive = self.new_receive_id(rng);
                let tunnel = Inbound {
                    pool,
                    hops: Vec::new(),
                    gateway_id: receive,
                    receive,
                    keys: Vec::new(),
                    reassembler: Reassembler::new(),
                    life,
                    health: Health::new(now.mono, rng),
                    hidden,
                    retired: false,
                };
                self.add_inbound(now.mono, tunnel);
            }
            Direction::Outbound => self.add_outbound(
                now.mono,
                Outbound {
                    pool,
                    hops: Vec::new(),
                    first_id: TunnelId::default(),
                    keys: Vec::new(),
                    life,
                    health: Health::new(now.mono, rng),
                },
            ),
        }
    }

    /// The gateway without hops that takes the replies to the first builds.
    pub(super) fn direct_receiver(&mut self, now: Now, rng: &mut Rng) -> Option<InboundId> {
        let fresh = |t: &Inbound| t.hidden && now.mono + DIRECT_MARGIN < t.life.expires;
        if !self.inbound.values().any(fresh) {
            self.make_direct(now, rng, PoolId::EXPLORATORY, Direction::Inbound, true);
        }
        let mut all = self.inbound.iter();
        all.find(|(_, t)| fresh(t)).map(|(id, _)| *id)
    }

    /// An id that no inbound tunnel or build of ours uses.
    pub(super) fn new_receive_id(&self, rng: &mut Rng) -> TunnelId {
        loop {
            let id = TunnelId(rng.nonzero_u32());
            if !self.by_receive.contains_key(&id) && !self.is_building_to(id) {
                return id;
            }
        }
    }

    /// An inbound tunnel through one router, as if it had been built.
    #[cfg(test)]
    pub(crate) fn pretend_inbound(
        &mut self,
        now: Now,
        rng: &mut Rng,
        pool: PoolId,
        hop: crate::wire::hash::RouterHash,
    ) {
        self.make_direct(now, rng, pool, Direction::Inbound, false);
        if let Some(tunnel) = self.inbound.values_mut().last() {
            tunnel.hops = vec![hop];
        }
    }

    pub(super) fn add_inbound(&mut self, now: Instant, tunnel: Inbound) {
        let id = InboundId(self.number());
        self.by_receive.insert(tunnel.receive, id);
        self.outputs.push_back(TunnelOutput::InstallOwn {
            id: tunnel.receive,
            from: tunnel.last(self.us),
        });
        let (pool, hidden) = (tunnel.pool, tunnel.hidden);
        self.inbound.insert(id, tunnel);
        if !hidden {
            self.changed(pool);
            self.release(now);
        }
    }

    pub(super) fn add_outbound(&mut self, now: Instant, tunnel: Outbound) {
        let id = OutboundId(self.number());
        self.outputs
            .push_back(TunnelOutput::WayOut { pool: tunnel.pool });
        self.outbound.insert(id, tunnel);
        self.release(now);
    }

    /// Builds that waited for a way to send or to be answered may go on.
    fn release(&mut self, now: Instant) {
        for pool in self.pools.values_mut() {
            pool.pace(Direction::Inbound).release();
            pool.pace(Direction::Outbound).release();
        }
        self.wake(now);
    }

    /// Whether a pool takes one more tunnel: beyond [`POOL_MOST`] times those wanted one that fails
    /// makes room. Builds that were given up may all be answered at last.
    pub(super) fn makes_room(&mut self, pool: PoolId, direction: Direction) -> bool {
        let Some(p) = self.pools.get(&pool) else {
            return false;
        };
        let most = POOL_MOST * p.settings.quantity(direction);
        match direction {
            Direction::Outbound => {
                let of_pool = |t: &Outbound| t.pool == pool;
                if self.outbound.values().filter(|t| of_pool(t)).count() < most {
                    return true;
                }
                let mut all = self.outbound.iter();
                let failing = all.find(|(_, t)| of_pool(t) && t.health.failing);
                let failing = failing.map(|(id, _)| *id);
                failing.is_some_and(|id| self.outbound.remove(&id).is_some())
            }
            Direction::Inbound => {
                let of_pool = |t: &Inbound| t.pool == pool && t.listed();
                if self.inbound.values().filter(|t| of_pool(t)).count() < most {
                    return true;
                }
                let mut all = self.inbound.values_mut();
                let failing = all.find(|t| of_pool(t) && t.health.failing);
                failing.is_some_and(|t| !core::mem::replace(&mut t.retired, true))
            }
        }
    }

    /// Lets go of what expired, and of failing tunnels once there are enough others.
    fn expire_tunnels(&mut self, now: Instant) {
        let pools: Vec<PoolId> = self.pools.keys().copied().collect();
        for pool in pools {
            let full = |d| self.missing(pool, d, now) == 0 && self.building(pool, d) == 0;
            let (full_in, full_out) = (full(Direction::Inbound), full(Direction::Outbound));
            self.outbound.retain(|_, t| {
                let replaced = full_out && t.health.failing;
                t.pool != pool || (now < t.life.expires && !replaced)
            });
            let mut changed = false;
            for t in self
                .inbound
                .values_mut()
                .filter(|t| t.pool == pool && !t.retired)
            {
                let replaced = full_in && t.health.failing;
                t.retired = now >= t.life.expires || replaced;
                changed |= t.retired && !t.hidden;
            }
            if changed {
                self.changed(pool);
            }
        }
        let gone: Vec<InboundId> = self
            .inbound
            .iter()
            .filter(|(_, t)| now >= t.life.expires + GRACE)
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            self.drop_inbound(id);
        }
    }

    pub(super) fn drop_inbound(&mut self, id: InboundId) {
        if let Some(t) = self.inbound.remove(&id) {
            self.by_receive.remove(&t.receive);
            self.outputs.push_back(TunnelOutput::RemoveOwn(t.receive));
        }
    }

    fn next_due(&self, now: Instant) -> Option<Instant> {
        let inbound = self.inbound.values().flat_map(|t| {
            let test = t.listed().then_some(t.health.next_test);
            let over = if t.retired {
                t.life.expires + GRACE
            } else {
                t.life.expires
            };
            let rebuild = (t.listed() && t.life.rebuild > now).then_some(t.life.rebuild);
            [test, rebuild, Some(over)]
        });
        let outbound = self.outbound.values().flat_map(|t| {
            let rebuild = (t.life.rebuild > now).then_some(t.life.rebuild);
            [Some(t.health.next_test), rebuild, Some(t.life.expires)]
        });
        let pools = self.pools.iter().flat_map(|(id, pool)| {
            [Direction::Inbound, Direction::Outbound].map(|direction| {
                let needed = self.missing(*id, direction, now) > 0;
                let crowded = self.builds.len() >= limits::TUNNEL_BUILDS_MAX;
                let at = if crowded { now + CROWDED } else { now };
                needed.then(|| pool.pace_of(direction).ready_at().max(at))
            })
        });
        let tests = self.tests.values().map(|t| Some(t.until()));
        let builds = self.builds.values().map(|b| Some(b.next_due()));
        let builds = builds.chain([self.hedge_due(now)]);
        inbound
            .chain(outbound)
            .chain(pools)
            .chain(tests)
            .chain(builds)
            .flatten()
            .min()
    }
}
