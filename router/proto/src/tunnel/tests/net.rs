//! A little network: hops that build, relay, refuse or die, joined by links with a delay.

use crate::crypto::x25519::PrivateKey;
use crate::garlic::clove::{self, Block};
use crate::garlic::to_router;
use crate::relay::{Shard, ShardLimits, ShardOutput};
use crate::rng::Rng;
use crate::time::{Date, Instant, Now};
use crate::tunnel::admission::{Admission, AdmissionLimits, AdmissionOutput};
use crate::tunnel::{
    BuildResult, Direction, Hop, HopChooser, HopWish, InboundId, PoolId, TunnelOutput, Tunnels,
};
use crate::wire::hash::{MessageId, RouterHash, TunnelId, sha256};
use crate::wire::i2np::{Message, kind};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

const LATENCY: Duration = Duration::from_millis(20);

/// A modelled hop.
pub(super) struct Router {
    hash: RouterHash,
    key: PrivateKey,
    shard: Shard,
    admission: Admission,
    pub(super) dead: bool,
    /// Added to the latency of what it sends.
    pub(super) delay: Duration,
    /// What was delivered to it.
    pub(super) got: Vec<Message>,
}

/// The network around our machine.
pub(super) struct Net {
    pub(super) us: Tunnels,
    pub(super) now: Now,
    pub(super) rng: Rng,
    routers: BTreeMap<RouterHash, Router>,
    queue: BTreeMap<(Instant, u64), (RouterHash, RouterHash, Message)>,
    sequence: u64,
    pub(super) received: Vec<(PoolId, InboundId, Message)>,
    pub(super) accepted: Vec<(PoolId, Direction, Vec<RouterHash>)>,
    pub(super) installed: BTreeSet<TunnelId>,
    pub(super) dialled: BTreeSet<RouterHash>,
    pub(super) sent_without_dial: usize,
    pub(super) sent_builds: usize,
    /// Endpoints whose request names us as the next router.
    pub(super) named_us: BTreeSet<RouterHash>,
    /// Whether messages for us are kept here instead of taken in, with who sent them.
    pub(super) hold: bool,
    pub(super) held: Vec<(RouterHash, Message)>,
    /// Hash over all messages.
    pub(super) trace: [u8; 32],
}

struct Chooser(Vec<Hop>);

impl HopChooser for Chooser {
    fn choose(&mut self, wish: &HopWish, rng: &mut Rng) -> Option<Vec<Hop>> {
        let fit = self.0.iter().filter(|h| !wish.avoid.contains(&h.hash));
        let mut fit: Vec<Hop> = fit.copied().collect();
        rng.shuffle(&mut fit);
        fit.truncate(usize::from(wish.hops));
        (fit.len() == usize::from(wish.hops)).then_some(fit)
    }
}

impl Net {
    pub(super) fn new(routers: u8, seed: u64) -> Self {
        let mut net = Self {
            us: Tunnels::new(RouterHash([0xaa; 32])),
            now: Now {
                mono: Instant(5_000_000),
                wall: Date::from_secs(1_795_000_000),
            },
            rng: Rng::from_number(seed),
            routers: BTreeMap::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            received: Vec::new(),
            accepted: Vec::new(),
            installed: BTreeSet::new(),
            dialled: BTreeSet::new(),
            sent_without_dial: 0,
            sent_builds: 0,
            named_us: BTreeSet::new(),
            hold: false,
            held: Vec::new(),
            trace: [0; 32],
        };
        net.add_routers(routers);
        net
    }

    pub(super) fn add_routers(&mut self, n: u8) {
        let limits = ShardLimits {
            filter_bytes: 1 << 16,
            ..ShardLimits::default()
        };
        for _ in 0..n {
            let key = PrivateKey::random(&mut self.rng);
            let hash = RouterHash(sha256(&[key.public()]));
            let router = Router {
                hash,
                key: key.clone(),
                shard: Shard::new(hash, limits),
                admission: Admission::new(hash, key, AdmissionLimits::default()),
                dead: false,
                delay: Duration::ZERO,
                got: Vec::new(),
            };
            self.routers.insert(hash, router);
        }
    }

    /// One timeout of our machine.
    pub(super) fn turn(&mut self) {
        let hops = self.routers.values().map(|r| Hop {
            hash: r.hash,
            enc_key: *r.key.public(),
        });
        let mut chooser = Chooser(hops.collect());
        self.us
            .handle_timeout(self.now, &mut self.rng, &mut chooser);
    }

    pub(super) fn hashes(&self) -> Vec<RouterHash> {
        self.routers.keys().copied().collect()
    }

    pub(super) fn router(&mut self, hash: RouterHash) -> &mut Router {
        self.routers.get_mut(&hash).unwrap()
    }

    pub(super) fn each(&mut self, f: impl FnMut(&mut Router)) {
        self.routers.values_mut().for_each(f);
    }

    pub(super) fn message(&mut self, size: usize) -> Message {
        Message {
            kind: kind::DATA,
            id: MessageId(self.rng.nonzero_u32()),
            expires: self.now.wall + Duration::from_secs(20),
            body: self.rng.bytes(size),
        }
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, d: Duration) {
        let end = self.now.after(d);
        self.drain();
        for _ in 0..3_000_000 {
            let arrival = self.queue.keys().next().map(|(at, _)| *at);
            let at = [arrival, self.us.deadline()].into_iter().flatten().min();
            let Some(at) = at.filter(|at| *at <= end.mono) else {
                self.now = end;
                return;
            };
            self.now = self.now.after(at.since(self.now.mono));
            if arrival == Some(at) {
                let ((_, _), (from, to, message)) = self.queue.pop_first().unwrap();
                self.arrive(from, to, message);
            } else {
                self.turn();
                assert!(
                    self.us.deadline().is_none_or(|d| d > self.now.mono),
                    "no progress"
                );
            }
            self.drain();
        }
        panic!("no end of events");
    }

    fn drain(&mut self) {
        while let Some(output) = self.us.poll_output() {
            match output {
                TunnelOutput::Send { to, message, .. } => {
                    self.sent_builds += usize::from(message.kind == kind::SHORT_TUNNEL_BUILD);
                    let us = self.us.us;
                    self.sent_without_dial += usize::from(to != us && !self.dialled.contains(&to));
                    self.post(us, to, message, Duration::ZERO);
                }
                TunnelOutput::Dial(peer) => {
                    self.dialled.insert(peer);
                }
                TunnelOutput::InstallOwn { id, .. } => assert!(self.installed.insert(id)),
                TunnelOutput::RemoveOwn(id) => assert!(self.installed.remove(&id)),
                TunnelOutput::Received {
                    pool,
                    tunnel,
                    message,
                } => self.received.push((pool, tunnel, message)),
                TunnelOutput::Changed { .. } | TunnelOutput::WayOut { .. } => {}
                TunnelOutput::Outcome {
                    pool,
                    direction,
                    hops,
                    result,
                } => {
                    if result == BuildResult::Accepted {
                        self.accepted.push((pool, direction, hops));
                    }
                }
            }
        }
    }

    fn post(&mut self, from: RouterHash, to: RouterHash, message: Message, delay: Duration) {
        self.trace = sha256(&[&self.trace, &from.0, &to.0, &message.to_short()]);
        self.sequence += 1;
        let at = self.now.mono + LATENCY + delay;
        self.queue.insert((at, self.sequence), (from, to, message));
    }

    fn arrive(&mut self, from: RouterHash, to: RouterHash, message: Message) {
        if to == self.us.us && self.hold {
            self.held.push((from, message));
            return;
        }
        if to == self.us.us {
            let known = self.us.claims(from, &message);
            if known {
                self.us
                    .handle_message(self.now, &mut self.rng, from, message);
            }
            return;
        }
        let Some(router) = self.routers.get_mut(&to).filter(|r| !r.dead) else {
            return;
        };
        let (delay, us) = (router.delay, self.us.us);
        let mut sent = Vec::new();
        router.arrive(self.now, &mut self.rng, from, message, &mut sent);
        for (next, message) in sent {
            if next == us && message.kind == kind::TUNNEL_GATEWAY {
                self.named_us.insert(to);
            }
            self.post(to, next, message, delay);
        }
    }
}

type Sent = Vec<(RouterHash, Message)>;

impl Router {
    fn arrive(&mut self, now: Now, rng: &mut Rng, from: RouterHash, m: Message, sent: &mut Sent) {
        self.shard.handle_timeout(now);
        if let Some(message) = self.shard.accept(now, rng, from, m) {
            self.handle(now, rng, from, message, sent);
        }
        while let Some(output) = self.shard.poll_output() {
            match output {
                ShardOutput::Send { to, message, .. } => sent.push((to, message)),
                ShardOutput::Up { from, message } => self.handle(now, rng, from, message, sent),
            }
        }
    }

    fn handle(&mut self, now: Now, rng: &mut Rng, from: RouterHash, m: Message, sent: &mut Sent) {
        match m.kind {
            kind::SHORT_TUNNEL_BUILD => self.build(now, rng, from, &m, sent),
            kind::GARLIC => {
                let content = crate::garlic::content(&m.body).unwrap();
                let payload = to_router::open(&self.key, content).expect("sealed to this router");
                for block in clove::parse_blocks(&payload).unwrap() {
                    if let Block::Clove(c) = block {
                        self.handle(now, rng, from, c.message, sent);
                    }
                }
            }
            _ => self.got.push(m),
        }
    }

    fn build(&mut self, now: Now, rng: &mut Rng, from: RouterHash, m: &Message, sent: &mut Sent) {
        let judged = self.admission.handle(now, rng, from, m);
        for output in judged.expect("a sound request for this router") {
            match output {
                AdmissionOutput::Install(hop) => self.shard.install(now, hop),
                AdmissionOutput::Send { to, message } => sent.push((to, message)),
            }
        }
    }

    /// Whether it accepts tunnels.
    pub(super) fn accept(&mut self, accept_transit: bool) {
        self.admission.set_limits(AdmissionLimits {
            accept_transit,
            ..AdmissionLimits::default()
        });
    }
}
