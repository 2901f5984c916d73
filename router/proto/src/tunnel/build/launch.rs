//! Sending builds along a path and taking in their answers.
//!
//! An outbound build is answered through an inbound tunnel of the pool, an inbound build goes out
//! through an outbound one, wrapped for its gateway; pools without tunnels borrow exploratory
//! ones. Only the exploratory pool itself, while it has none, asks first hops directly and is
//! answered directly: a client's tunnels never name us to their far end
//! (i2p spec/tunnel-creation-ecies, Message Flow).

use super::{Draft, End, Request, Verdict, assemble};
use crate::garlic::clove::{self, Block, Clove, Delivery};
use crate::garlic::to_router;
use crate::rng::Rng;
use crate::router::output::Class;
use crate::time::{Instant, Now};
use crate::tunnel::fragment::TunnelDelivery;
use crate::tunnel::health::Health;
use crate::tunnel::inbound::Inbound;
use crate::tunnel::outbound::Outbound;
use crate::tunnel::own::Life;
use crate::tunnel::plan::{BuildResult, Direction, Hop, HopChooser, HopWish, PoolId};
use crate::tunnel::reassemble::Reassembler;
use crate::tunnel::way::{Once, TagUse, Way};
use crate::tunnel::{InboundId, MESSAGE_LIFE, OutboundId, TunnelOutput, Tunnels};
use crate::wire::hash::{MessageId, RouterHash, TunnelId};
use crate::wire::i2np::{Message, kind};
use core::time::Duration;
use std::collections::BTreeSet;

/// A build without an answer counts as failed after this.
const TIMEOUT: Duration = Duration::from_secs(13);
/// Without any tunnel, another build is started beside one that is this old.
const HEDGE: Duration = Duration::from_secs(2);
/// An answer is still taken until then.
const LATE: Duration = Duration::from_secs(30);

/// Padding of a wrapped request in bytes, at most, so that its length does not name it.
const PADDING: usize = 64;

/// A build under way.
pub(in crate::tunnel) struct Build {
    pool: PoolId,
    direction: Direction,
    hops: Vec<RouterHash>,
    /// Tunnel id at the first hop.
    first_id: TunnelId,
    /// Tunnel id at us; inbound only.
    receive: TunnelId,
    request: Request,
    reply: MessageId,
    /// Routers that have to be linked with us for this.
    dialled: Vec<RouterHash>,
    sent: Now,
    late: bool,
}

impl Build {
    pub(in crate::tunnel) fn next_due(&self) -> Instant {
        self.sent.mono + if self.late { LATE } else { TIMEOUT }
    }

    /// The wall clock was set while the build is under way.
    pub(in crate::tunnel) fn clock_set(&mut self, now: Now) {
        self.sent.wall = now.wall - now.mono.since(self.sent.mono);
    }

    /// The id of the tunnel at us, when it comes to us.
    pub(in crate::tunnel) fn receive_here(&self) -> Option<TunnelId> {
        (self.direction == Direction::Inbound).then_some(self.receive)
    }

    fn is_young(&self, now: Instant) -> bool {
        !self.late && now < self.sent.mono + HEDGE
    }
}

/// Why a build could not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tunnel) enum NotLaunched {
    /// There are not enough routers.
    NoHops,
    /// There is no tunnel to be answered by or to send through yet.
    NoPath,
}

impl Tunnels {
    pub(in crate::tunnel) fn building(&self, pool: PoolId, direction: Direction) -> usize {
        let same = |b: &&Build| b.pool == pool && b.direction == direction && !b.late;
        self.builds.values().filter(same).count()
    }

    /// Builds that a pool without any tunnel still sets its hopes on.
    pub(in crate::tunnel) fn building_young(
        &self,
        pool: PoolId,
        direction: Direction,
        now: Instant,
    ) -> usize {
        let same = |b: &&Build| b.pool == pool && b.direction == direction && b.is_young(now);
        self.builds.values().filter(same).count()
    }

    /// When the next build is no longer young.
    pub(in crate::tunnel) fn hedge_due(&self, now: Instant) -> Option<Instant> {
        let young = self.builds.values().filter(|b| b.is_young(now));
        young.map(|b| b.sent.mono + HEDGE).min()
    }

    pub(in crate::tunnel) fn is_building_to(&self, receive: TunnelId) -> bool {
        self.builds.values().any(|b| b.receive == receive)
    }

    pub(in crate::tunnel) fn launch(
        &mut self,
        now: Now,
        rng: &mut Rng,
        chooser: &mut dyn HopChooser,
        pool: PoolId,
        direction: Direction,
        hops: u8,
    ) -> Result<(), NotLaunched> {
        let paths = match direction {
            Direction::Inbound => self.request_paths(pool),
            Direction::Outbound => self.reply_paths(pool),
        };
        let exploratory = pool == PoolId::EXPLORATORY;
        if paths.is_empty() && !exploratory {
            return Err(NotLaunched::NoPath);
        }
        let mut wish = HopWish {
            pool,
            direction,
            hops,
            exploratory,
            avoid: the_only_end(&paths, self.us).into_iter().collect(),
        };
        let mut chosen = chooser.choose(&wish, rng);
        if chosen.is_none() && !wish.avoid.is_empty() {
            // Two ends at one router are better than no tunnel in a very small network.
            wish.avoid.clear();
            chosen = chooser.choose(&wish, rng);
        }
        let chosen = chosen.ok_or(NotLaunched::NoHops)?;
        let different: BTreeSet<RouterHash> = chosen.iter().map(|hop| hop.hash).collect();
        let count = usize::from(hops);
        if chosen.len() != count || different.len() != count || different.contains(&self.us) {
            return Err(NotLaunched::NoHops);
        }
        let far = match direction {
            Direction::Inbound => chosen.first(),
            Direction::Outbound => chosen.last(),
        };
        let far = far.map_or(self.us, |hop| hop.hash);
        let apart: Vec<Path> = paths.iter().filter(|p| p.end != far).copied().collect();
        let path = rng.pick(&apart).or_else(|| rng.pick(&paths)).copied();
        match direction {
            Direction::Inbound => self.launch_inbound(now, rng, pool, &chosen, path),
            Direction::Outbound => self.launch_outbound(now, rng, pool, &chosen, path),
        }
        .ok_or(NotLaunched::NoHops)
    }

    /// Inbound tunnels that may answer an outbound build of this pool.
    fn reply_paths(&self, pool: PoolId) -> Vec<Path> {
        let usable = self
            .inbound
            .iter()
            .filter(|(_, t)| t.listed() && !t.health.failing);
        let all = usable.map(|(id, t)| {
            let path = Path {
                end: t.gateway(self.us),
                back: *id,
                through: OutboundId::default(),
            };
            (t.pool, t.hops.is_empty(), t.health.is_in_doubt(), path)
        });
        best_paths(pool, &all.collect::<Vec<_>>())
    }

    /// Outbound tunnels that may carry an inbound build of this pool.
    fn request_paths(&self, pool: PoolId) -> Vec<Path> {
        let usable = self.outbound.iter().filter(|(_, t)| !t.health.failing);
        let all = usable.map(|(id, t)| {
            let path = Path {
                end: t.endpoint(self.us),
                back: InboundId::default(),
                through: *id,
            };
            (t.pool, t.hops.is_empty(), t.health.is_in_doubt(), path)
        });
        best_paths(pool, &all.collect::<Vec<_>>())
    }

    fn launch_outbound(
        &mut self,
        now: Now,
        rng: &mut Rng,
        pool: PoolId,
        hops: &[Hop],
        path: Option<Path>,
    ) -> Option<()> {
        let back = match path {
            Some(path) => path.back,
            None => self.direct_receiver(now, rng)?,
        };
        let tunnel = self.inbound.get(&back)?;
        let end = End {
            router: tunnel.gateway(self.us),
            tunnel: tunnel.gateway_id,
        };
        let way = Way::back(back, tunnel, hops.last()?.hash);
        let draft = Draft::draw(Direction::Outbound, hops, end, &self.us, now.wall, rng)?;
        let mut build = Build::new(pool, Direction::Outbound, draft, TunnelId::default(), now)?;
        let message = build.message(now, rng);
        let (first, last) = (build.hops.first().copied()?, build.hops.last().copied()?);
        build.dialled.push(first);
        if end.router == self.us && last != first {
            // The endpoint may not know how to reach us.
            self.outputs.push_back(TunnelOutput::Dial(last));
            build.dialled.push(last);
        }
        self.expect(build, way);
        self.send_direct(first, Class::Control, message);
        Some(())
    }

    fn launch_inbound(
        &mut self,
        now: Now,
        rng: &mut Rng,
        pool: PoolId,
        hops: &[Hop],
        path: Option<Path>,
    ) -> Option<()> {
        let receive = self.new_receive_id(rng);
        let end = End {
            router: self.us,
            tunnel: receive,
        };
        let draft = Draft::draw(Direction::Inbound, hops, end, &self.us, now.wall, rng)?;
        let mut build = Build::new(pool, Direction::Inbound, draft, receive, now)?;
        let message = build.message(now, rng);
        let gateway = hops.first()?;
        // The closest hop may not know how to reach us.
        let closest = build.hops.last().copied()?;
        self.outputs.push_back(TunnelOutput::Dial(closest));
        build.dialled.push(closest);
        match path {
            None => {
                build.dialled.push(gateway.hash);
                self.send_direct(gateway.hash, Class::Control, message);
            }
            Some(path) => {
                let wrapped = wrap(now, rng, gateway, message)?;
                let to = TunnelDelivery::Router(gateway.hash);
                self.send_as(now, rng, Class::Control, path.through, to, &[wrapped]);
            }
        }
        self.expect(build, Way::Link(closest));
        Some(())
    }

    fn expect(&mut self, build: Build, way: Way) {
        let id = self.number();
        self.by_reply.insert(build.reply, (id, way));
        if let Some(garlic) = &build.request.garlic {
            let once = Once {
                key: garlic.key.clone(),
                what: TagUse::Build(id),
                way,
            };
            self.tags.insert(garlic.tag, once);
        }
        self.builds.insert(id, build);
    }

    fn forget(&mut self, id: u32) -> Option<Build> {
        let build = self.builds.remove(&id)?;
        self.by_reply.remove(&build.reply);
        if let Some(garlic) = &build.request.garlic {
            self.tags.remove(&garlic.tag);
        }
        Some(build)
    }

    /// The id that the build has here was taken by another router's tunnel meanwhile.
    pub fn give_up_build(&mut self, now: Now, message: &Message) {
        let build = self.by_reply.get(&message.id).map(|(id, _)| *id);
        if let Some(build) = build.and_then(|id| self.forget(id)) {
            self.wake(now.mono);
            self.stats.bad_replies += 1;
            let result = BuildResult::Malformed;
            self.outcome(build.pool, build.direction, build.hops, result);
        }
    }

    /// Drops the builds of a pool that is gone.
    pub(in crate::tunnel) fn forget_builds_of(&mut self, pool: PoolId) {
        let of_pool = self.builds.iter().filter(|(_, b)| b.pool == pool);
        let ids: Vec<u32> = of_pool.map(|(id, _)| *id).collect();
        for id in ids {
            self.forget(id);
        }
    }

    pub(in crate::tunnel) fn expire_builds(&mut self, now: Now) {
        let due = self.builds.iter().filter(|(_, b)| b.next_due() <= now.mono);
        let due: Vec<u32> = due.map(|(id, _)| *id).collect();
        for id in due {
            let Some(build) = self.builds.get_mut(&id) else {
                continue;
            };
            if build.late {
                self.forget(id);
                continue;
            }
            build.late = true;
            let (pool, direction, hops) = (build.pool, build.direction, build.hops.clone());
            self.stats.timeouts += 1;
            self.outcome(pool, direction, hops, BuildResult::Timeout);
        }
    }

    /// Builds that need a link with a router that cannot be reached are made anew; their answers
    /// are still taken, because the router may reach us.
    pub(in crate::tunnel) fn builds_unreachable(&mut self, peer: RouterHash) {
        let needs = |b: &&mut Build| !b.late && b.dialled.contains(&peer);
        for build in self.builds.values_mut().filter(needs) {
            build.late = true;
            self.stats.unreachable += 1;
            if let Some(pool) = self.pools.get_mut(&build.pool) {
                pool.pace(build.direction).failed();
            }
        }
    }

    fn outcome(
        &mut self,
        pool: PoolId,
        direction: Direction,
        hops: Vec<RouterHash>,
        result: BuildResult,
    ) {
        if let Some(p) = self.pools.get_mut(&pool) {
            match result {
                BuildResult::Accepted => p.pace(direction).succeeded(),
                _ => p.pace(direction).failed(),
            }
        }
        self.outputs.push_back(TunnelOutput::Outcome {
            pool,
            direction,
            hops,
            result,
        });
    }

    /// The records of a build came back.
    pub(in crate::tunnel) fn build_answered(
        &mut self,
        now: Now,
        rng: &mut Rng,
        id: u32,
        body: &[u8],
    ) {
        let Some(build) = self.forget(id) else {
            return;
        };
        self.wake(now.mono);
        let result = match build.request.judge(body) {
            Verdict::Accepted => BuildResult::Accepted,
            Verdict::Refused(codes) => {
                for code in codes.iter().filter(|code| **code != 0) {
                    *self.stats.refused.entry(*code).or_default() += 1;
                }
                BuildResult::Refused(codes)
            }
            Verdict::Malformed => {
                self.stats.bad_replies += 1;
                BuildResult::Malformed
            }
        };
        let accepted = result == BuildResult::Accepted;
        self.outcome(build.pool, build.direction, build.hops.clone(), result);
        if accepted {
            self.stats.built += 1;
            self.finish(now, rng, build);
        }
    }

    fn finish(&mut self, now: Now, rng: &mut Rng, build: Build) {
        let life = Life::new(build.sent, rng);
        let health = Health::new(now.mono, rng);
        if !self.makes_room(build.pool, build.direction) {
            return;
        }
        match build.direction {
            Direction::Outbound => self.add_outbound(
                now.mono,
                Outbound {
                    pool: build.pool,
                    hops: build.hops,
                    first_id: build.first_id,
                    keys: build.request.layer_keys(),
                    life,
                    health,
                },
            ),
            Direction::Inbound => self.add_inbound(
                now.mono,
                Inbound {
                    pool: build.pool,
                    hops: build.hops,
                    gateway_id: build.first_id,
                    receive: build.receive,
                    keys: build.request.layer_keys(),
                    reassembler: Reassembler::new(),
                    life,
                    health,
                    hidden: false,
                    retired: false,
                },
            ),
        }
    }
}

impl Build {
    fn new(
        pool: PoolId,
        direction: Direction,
        draft: Draft,
        receive: TunnelId,
        sent: Now,
    ) -> Option<Self> {
        let hops = draft.parts.iter().map(|p| p.hop.hash).collect();
        let (first_id, reply) = (draft.first_id, draft.reply_id);
        let request = assemble(draft)?;
        Some(Self {
            pool,
            direction,
            hops,
            first_id,
            receive,
            request,
            reply,
            dialled: Vec::new(),
            sent,
            late: false,
        })
    }

    fn message(&self, now: Now, rng: &mut Rng) -> Message {
        Message {
            kind: kind::SHORT_TUNNEL_BUILD,
            id: MessageId(rng.nonzero_u32()),
            expires: now.wall + MESSAGE_LIFE,
            body: self.request.body.clone(),
        }
    }
}

/// A tunnel that a build may use.
#[derive(Clone, Copy, Debug)]
struct Path {
    /// Gateway of an inbound, endpoint of an outbound tunnel.
    end: RouterHash,
    /// The inbound tunnel.
    back: InboundId,
    /// The outbound tunnel.
    through: OutboundId,
}

/// A tunnel with its pool, whether it has no hops, and whether something speaks against it.
type Choice = (PoolId, bool, bool, Path);

/// Tunnels with hops before those without; what is not in doubt before what is, since a build that
/// goes into a dead tunnel is missed late; the pool's own before exploratory ones.
fn best_paths(pool: PoolId, all: &[Choice]) -> Vec<Path> {
    let places = [false, true].into_iter().flat_map(|bare| {
        let doubts = [false, true].into_iter();
        doubts.flat_map(move |doubt| [(pool, bare, doubt), (PoolId::EXPLORATORY, bare, doubt)])
    });
    for place in places {
        let fit = |(pool, bare, doubt, _): &&Choice| (*pool, *bare, *doubt) == place;
        let paths: Vec<Path> = all.iter().filter(fit).map(|(.., path)| *path).collect();
        if !paths.is_empty() {
            return paths;
        }
    }
    Vec::new()
}

/// The router that all paths end at: the far end of the new tunnel has to be another one.
fn the_only_end(paths: &[Path], us: RouterHash) -> Option<RouterHash> {
    let end = paths.first()?.end;
    (end != us && paths.iter().all(|p| p.end == end)).then_some(end)
}

/// Hides a request from the endpoint of the tunnel that it goes through.
fn wrap(now: Now, rng: &mut Rng, gateway: &Hop, message: Message) -> Option<Message> {
    let expires = message.expires;
    let blocks = [
        Block::DateTime(now.wall.secs_u32_rounded()),
        Block::Clove(Clove {
            delivery: Delivery::Local,
            message,
        }),
        Block::Padding(rng.below(PADDING)),
    ];
    let payload = clove::write_blocks(&blocks).ok()?;
    let content = to_router::seal(&gateway.enc_key, &payload, rng)?;
    let id = MessageId(rng.nonzero_u32());
    Some(crate::garlic::to_message(&content, id, expires))
}
