//! The simulator at message level: shipped `Router`s and transit `Shard`s under virtual time, one
//! heap of events, one seed. Links are models that carry I2NP messages with latency and loss.
//!
//! The same seed gives the same trace hash: every delivered message goes into it.

pub mod app;
pub mod node;
pub mod world;

use app::{Apps, Transfer};
use node::Node;
use ramson_proto::rng::Rng;
use ramson_proto::router::input::{Direction, LinkDown, LinkEvent};
use ramson_proto::router::output::{LinkCmd, Output};
use ramson_proto::time::{Date, Instant, Now};
use ramson_proto::wire::hash::RouterHash;
use ramson_proto::wire::i2np::Message;
use sha2::{Digest, Sha256};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

/// Wall-clock time at which every simulation starts: 2026-01-01 00:00 UTC.
const EPOCH_SECS: u64 = 1_767_225_600;
/// Outputs of one node at one moment; more is a loop that never ends.
const OUTPUTS_MAX: usize = 100_000;

/// How the network behaves.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// One way, between any two routers.
    pub latency: Duration,
    /// Added at random, up to this.
    pub jitter: Duration,
    /// Messages lost, per thousand.
    pub loss_per_mille: u32,
}

impl Default for Conditions {
    fn default() -> Self {
        let (latency, jitter) = (Duration::from_millis(25), Duration::from_millis(5));
        Self {
            latency,
            jitter,
            loss_per_mille: 0,
        }
    }
}

/// What happens at a point in time.
#[derive(Debug)]
enum Event {
    /// A node's deadline may have come.
    Wake { node: usize },
    /// A link comes up at both ends.
    Up { from: usize, to: usize },
    /// A message arrives.
    Arrive {
        from: usize,
        to: usize,
        message: Box<Message>,
    },
    /// A transfer starts.
    Start { transfer: usize },
}

/// A whole network.
pub struct Sim {
    nodes: Vec<Node>,
    index: BTreeMap<RouterHash, usize>,
    heap: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    events: BTreeMap<usize, Event>,
    seq: u64,
    now: Instant,
    rng: Rng,
    conditions: Conditions,
    trace: Sha256,
    apps: Apps,
    /// Messages delivered.
    pub delivered: u64,
    /// Messages lost on the way.
    pub lost: u64,
}

impl Sim {
    /// A network of these nodes; every router starts at time zero.
    #[must_use]
    pub fn new(nodes: Vec<Node>, rng: Rng, conditions: Conditions) -> Self {
        let index = nodes
            .iter()
            .enumerate()
            .map(|(i, n)| (n.router.hash(), i))
            .collect();
        let mut sim = Self {
            index,
            heap: BinaryHeap::new(),
            events: BTreeMap::new(),
            seq: 0,
            now: Instant(1),
            rng,
            conditions,
            trace: Sha256::new(),
            apps: Apps::new(nodes.len()),
            delivered: 0,
            lost: 0,
            nodes,
        };
        for i in 0..sim.nodes.len() {
            sim.drain(i);
        }
        sim
    }

    /// Both clocks now.
    #[must_use]
    pub fn now(&self) -> Now {
        now_at(self.now)
    }

    /// Plans a transfer of bytes; see [`Transfer`].
    pub fn plan(&mut self, at: Duration, transfer: Transfer) {
        let transfer = self.apps.add(transfer);
        self.push(Instant(1) + at, Event::Start { transfer });
    }

    /// Runs until `end`, or until every planned transfer is done.
    pub fn run(&mut self, end: Duration) {
        let end = Instant(1) + end;
        while let Some(Reverse((at, seq, key))) = self.heap.pop() {
            if at > end || self.apps.all_done() {
                self.heap.push(Reverse((at, seq, key)));
                return;
            }
            let Some(event) = self.events.remove(&key) else {
                continue;
            };
            self.now = self.now.max(at);
            self.step(event);
        }
    }

    /// Transfers that are not done, each with what is missing.
    #[must_use]
    pub fn unfinished(&self) -> Vec<String> {
        self.apps.unfinished()
    }

    /// The transfers as they are.
    #[must_use]
    pub const fn apps(&self) -> &Apps {
        &self.apps
    }

    /// The routers.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Hash of everything that was delivered, in order.
    #[must_use]
    pub fn trace_hash(&self) -> String {
        self.trace
            .clone()
            .finalize()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect()
    }

    fn step(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Wake { node } => {
                let n = &mut self.nodes[node];
                if n.armed.is_some_and(|a| a <= self.now) {
                    n.armed = None;
                }
                n.wake(now);
                self.drain(node);
            }
            Event::Up { from, to } => self.link_up(from, to),
            Event::Arrive { from, to, message } => self.arrive(from, to, *message),
            Event::Start { transfer } => {
                let (node, cmds) = self.apps.start(transfer, &self.nodes);
                for cmd in cmds {
                    self.nodes[node].router.handle_client(now, cmd);
                }
                self.drain(node);
            }
        }
    }

    fn link_up(&mut self, from: usize, to: usize) {
        let now = self.now();
        let (a, b) = (self.nodes[from].router.hash(), self.nodes[to].router.hash());
        self.nodes[from].dialling.remove(&b);
        if !self.nodes[from].links.insert(b) {
            return;
        }
        self.nodes[to].links.insert(a);
        let info = Some(self.nodes[from].router.info().clone());
        let inbound = LinkEvent::Up {
            peer: a,
            direction: Direction::Inbound,
            info,
        };
        let outbound = LinkEvent::Up {
            peer: b,
            direction: Direction::Outbound,
            info: None,
        };
        self.nodes[to].router.handle_link(now, inbound);
        self.nodes[from].router.handle_link(now, outbound);
        for (node, peer) in [(from, b), (to, a)] {
            for m in self.nodes[node].waiting.remove(&peer).unwrap_or_default() {
                self.transmit(node, peer, m);
            }
        }
        self.drain(to);
        self.drain(from);
    }

    fn arrive(&mut self, from: usize, to: usize, message: Message) {
        let now = self.now();
        let sender = self.nodes[from].router.hash();
        self.delivered += 1;
        self.trace.update(self.now.0.to_be_bytes());
        self.trace.update((from as u64).to_be_bytes());
        self.trace.update((to as u64).to_be_bytes());
        self.trace.update(message.to_long());
        let node = &mut self.nodes[to];
        if let Some(message) = node.shard.accept(now, &mut node.rng, sender, message) {
            node.router.handle_link(
                now,
                LinkEvent::I2np {
                    from: sender,
                    message,
                },
            );
        }
        self.drain(to);
    }

    /// Carries out everything a node asks for, then arms its deadline.
    fn drain(&mut self, i: usize) {
        let now = self.now();
        for round in 0.. {
            assert!(round < OUTPUTS_MAX, "node {i} never becomes quiet");
            if let Some(output) = self.nodes[i].router.poll_output() {
                match output {
                    Output::Link(cmd) => self.link_cmd(i, cmd),
                    Output::Client(event) => {
                        for cmd in self.apps.handle(i, event, self.now) {
                            self.nodes[i].router.handle_client(now, cmd);
                        }
                    }
                    Output::Persist(_) => {}
                    Output::Trace(event) => self.nodes[i].note(event),
                }
            } else if let Some((to, message)) = self.nodes[i].shard_output(now) {
                self.transmit(i, to, message);
            } else {
                break;
            }
        }
        let deadline = self.nodes[i].deadline();
        if let Some(at) = deadline
            && self.nodes[i].armed.is_none_or(|armed| armed > at)
        {
            self.nodes[i].armed = Some(at);
            self.push(at.max(self.now), Event::Wake { node: i });
        }
    }

    fn link_cmd(&mut self, i: usize, cmd: LinkCmd) {
        let now = self.now();
        match cmd {
            LinkCmd::Dial(info) => self.dial(i, info.hash()),
            LinkCmd::NoRouter(hash) => drop(self.nodes[i].waiting.remove(&hash)),
            LinkCmd::Send { to, message, .. } if to == self.nodes[i].router.hash() => {
                let node = &mut self.nodes[i];
                if let Some(message) = node.shard.accept(now, &mut node.rng, to, message) {
                    node.router
                        .handle_link(now, LinkEvent::I2np { from: to, message });
                }
            }
            LinkCmd::Send { to, message, .. } => self.transmit(i, to, message),
            LinkCmd::Close { peer, .. } => {
                self.nodes[i].links.remove(&peer);
            }
            LinkCmd::InstallHop(hop) => self.nodes[i].shard.install(now, hop),
            LinkCmd::RemoveHop(id) => self.nodes[i].shard.remove(id),
            LinkCmd::InstallOwn { id, from } => self.nodes[i].shard.install_own(id, from),
            LinkCmd::RemoveOwn(id) => self.nodes[i].shard.remove_own(id),
            LinkCmd::OwnInfo(_) => {}
            LinkCmd::TransitLimit(n) => self.nodes[i].shard.set_transit_limit(n),
        }
    }

    fn dial(&mut self, from: usize, to: RouterHash) {
        let now = self.now();
        let node = &mut self.nodes[from];
        if node.links.contains(&to) || !node.dialling.insert(to) {
            return;
        }
        match self
            .index
            .get(&to)
            .copied()
            .filter(|n| self.nodes[*n].alive)
        {
            // A handshake takes three messages.
            Some(target) => {
                let at = self.now + self.conditions.latency * 3;
                self.push(at, Event::Up { from, to: target });
            }
            None => {
                let node = &mut self.nodes[from];
                node.dialling.remove(&to);
                node.waiting.remove(&to);
                let why = LinkDown::Unreachable;
                node.router
                    .handle_link(now, LinkEvent::Down { peer: to, why });
            }
        }
    }

    fn transmit(&mut self, from: usize, to: RouterHash, message: Message) {
        let now = self.now();
        if !self.nodes[from].links.contains(&to) {
            let node = &mut self.nodes[from];
            let first = node.hold(to, message);
            if first {
                node.router
                    .handle_link(now, LinkEvent::WantRouter { peer: to });
            }
            return;
        }
        let Some(target) = self.index.get(&to).copied() else {
            return;
        };
        if (self.rng.below(1000) as u32) < self.conditions.loss_per_mille {
            self.lost += 1;
            return;
        }
        let at = self.now + self.conditions.latency + self.rng.jitter(self.conditions.jitter);
        // A link is one ordered stream of messages.
        let last = self.nodes[from].last_arrival.entry(to).or_insert(at);
        let at = at.max(*last);
        *last = at;
        self.push(
            at,
            Event::Arrive {
                from,
                to: target,
                message: Box::new(message),
            },
        );
    }

    fn push(&mut self, at: Instant, event: Event) {
        self.seq += 1;
        self.events.insert(self.seq as usize, event);
        self.heap.push(Reverse((at, self.seq, self.seq as usize)));
    }
}

/// Both clocks at a virtual instant.
#[must_use]
pub fn now_at(mono: Instant) -> Now {
    Now {
        mono,
        wall: Date(EPOCH_SECS * 1000 + mono.0 / 1000),
    }
}
