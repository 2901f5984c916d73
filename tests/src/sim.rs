//! The simulator at message level: shipped `Router`s and transit `Shard`s under virtual time, one
//! heap of events, one seed. Links are models that carry I2NP messages with latency and loss.
//!
//! The same seed gives the same trace hash: every delivered message goes into it.

pub mod app;
pub mod attack;
pub mod check;
mod links;
pub mod node;
pub mod world;

use app::{Apps, Transfer};
use attack::Attack;
use check::Checks;
use node::Node;
use ramson_proto::rng::Rng;
use ramson_proto::router::input::LinkDown;
use ramson_proto::router::output::{Class, Output};
use ramson_proto::time::{Date, Instant, Now};
use ramson_proto::trace;
use ramson_proto::wire::hash::RouterHash;
use ramson_proto::wire::i2np::Message;
use sha2::{Digest, Sha256};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;
use std::time::Duration;

/// Wall-clock time at which every simulation starts: 2026-01-01 00:00 UTC.
const EPOCH_SECS: u64 = 1_767_225_600;
/// Outputs of one node at one moment; more is a loop that never ends.
const OUTPUTS_MAX: usize = 100_000;
/// The state of all nodes is checked this often.
const CHECK: Duration = Duration::from_secs(1);

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
    /// An end of a link learns that it is gone.
    Down {
        node: usize,
        peer: RouterHash,
        why: LinkDown,
    },
    /// A message arrives.
    Arrive {
        from: usize,
        to: usize,
        message: Box<Message>,
    },
    /// What the attacker hands out arrives.
    Bait {
        from: usize,
        to: usize,
        message: Box<Message>,
    },
    /// A transfer starts.
    Start { transfer: usize },
}

/// What a watcher is shown.
#[derive(Debug)]
pub enum Sight<'a> {
    /// A link came up, or one end (`to`) lost it.
    Link {
        /// Number of the node that dialled, or that is gone.
        from: usize,
        /// Number of the other one.
        to: usize,
        /// Which of the two.
        up: bool,
    },
    /// A message was delivered.
    Message {
        /// Number of the sending node.
        from: usize,
        /// Number of the receiving node.
        to: usize,
        /// The message.
        message: &'a Message,
    },
    /// A node said something.
    Note {
        /// Its number.
        node: usize,
        /// What it said.
        event: &'a trace::Event,
    },
}

/// Sees everything that happens, and when.
pub type Watcher = Box<dyn FnMut(Instant, &Sight<'_>)>;

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
    checks: Checks,
    next_check: Instant,
    watcher: Option<Watcher>,
    attack: Option<Attack>,
    /// Cells of a node that are still to be lost.
    bursts: BTreeMap<usize, usize>,
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
            checks: Checks::default(),
            next_check: Instant(1),
            watcher: None,
            attack: None,
            bursts: BTreeMap::new(),
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
                break;
            }
            let Some(event) = self.events.remove(&key) else {
                continue;
            };
            self.now = self.now.max(at);
            if self.next_check <= self.now {
                self.next_check = self.now + CHECK;
                self.checks.nodes(&self.nodes, &self.index, self.now());
            }
            self.step(event);
        }
        self.checks.apps(&self.apps);
    }

    /// Changes how the network behaves from now on.
    pub const fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    /// Shows everything that happens from now on.
    pub fn watch(&mut self, watcher: Watcher) {
        self.watcher = Some(watcher);
    }

    /// Rules that were broken, and transfers that are not done, each in words.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let broken = self.checks.faults().iter().cloned();
        broken.chain(self.apps.unfinished()).collect()
    }

    /// What the checkers found.
    #[must_use]
    pub const fn checks(&self) -> &Checks {
        &self.checks
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
            Event::Wake { node } | Event::Down { node, .. } if !self.nodes[node].alive => {}
            Event::Up { from: node, .. }
            | Event::Arrive { to: node, .. }
            | Event::Bait { to: node, .. }
                if !self.nodes[node].alive => {}
            Event::Wake { node } => {
                let n = &mut self.nodes[node];
                if n.armed.is_some_and(|a| a <= self.now) {
                    n.armed = None;
                }
                n.wake(now);
                let outputs = self.carry_out(node);
                let at_once = self.checks.woken(node, &self.nodes[node], outputs, now);
                // A fault is told; it must not stop the clock.
                let at = if at_once { self.now } else { self.now + CHECK };
                self.arm(node, at);
            }
            Event::Up { from, to } => self.link_up(from, to),
            Event::Down { node, peer, why } => self.link_down(node, peer, why),
            Event::Arrive { from, to, message } => self.arrive(from, to, *message),
            Event::Bait { from, to, message } => self.bite(from, to, *message),
            Event::Start { transfer } => {
                let (node, cmds) = self.apps.start(transfer, &self.nodes, self.now);
                for cmd in cmds {
                    self.nodes[node].router.handle_client(now, cmd);
                }
                self.drain(node);
            }
        }
    }

    /// Carries out everything a node asks for, then arms its deadline.
    fn drain(&mut self, i: usize) {
        self.carry_out(i);
        self.arm(i, self.now);
    }

    /// Carries out everything a node asks for; the answer is how much that was.
    fn carry_out(&mut self, i: usize) -> usize {
        let now = self.now();
        let mut outputs = 0;
        loop {
            assert!(outputs < OUTPUTS_MAX, "node {i} never becomes quiet");
            if let Some(output) = self.nodes[i].router.poll_output() {
                match output {
                    Output::Link(cmd) => self.link_cmd(i, cmd),
                    Output::Client(event) => {
                        for cmd in self.apps.handle(i, event, self.now) {
                            self.nodes[i].router.handle_client(now, cmd);
                        }
                    }
                    Output::Persist(_) => {}
                    Output::Trace(event) => {
                        self.show(Sight::Note {
                            node: i,
                            event: &event,
                        });
                        self.nodes[i].note(event);
                    }
                }
            } else if let Some((to, message)) = self.nodes[i].shard_output(now) {
                self.transmit(i, to, Class::Transit, message);
            } else {
                break;
            }
            outputs += 1;
        }
        outputs
    }

    /// Wakes a node at its deadline, not before `at_least`.
    fn arm(&mut self, i: usize, at_least: Instant) {
        let deadline = self.nodes[i].deadline().map(|at| at.max(at_least));
        if let Some(at) = deadline
            && self.nodes[i].armed.is_none_or(|armed| armed > at)
        {
            self.nodes[i].armed = Some(at);
            self.push(at, Event::Wake { node: i });
        }
    }

    /// A delivered message goes to the trace hash, the checkers and the watcher.
    fn record(&mut self, from: usize, to: usize, message: &Message) {
        self.trace.update(self.now.0.to_be_bytes());
        self.trace.update((from as u64).to_be_bytes());
        self.trace.update((to as u64).to_be_bytes());
        self.trace.update(message.to_long());
        if let Some(attack) = &mut self.attack {
            attack.observe(self.now, from, to, message);
        }
        self.checks
            .message(&self.nodes[from], &self.nodes[to], message);
        self.show(Sight::Message { from, to, message });
    }

    fn show(&mut self, sight: Sight<'_>) {
        if let Some(watcher) = &mut self.watcher {
            watcher(self.now, &sight);
        }
    }

    fn push(&mut self, at: Instant, event: Event) {
        self.seq += 1;
        self.events.insert(self.seq as usize, event);
        self.heap.push(Reverse((at, self.seq, self.seq as usize)));
    }
}

/// The seeds that a case runs with: those given, or `RAMSON_SEEDS=FROM..TO`.
///
/// # Panics
/// When the variable is set to something else.
pub fn seeds(usual: Range<u64>) -> Range<u64> {
    let Ok(words) = std::env::var("RAMSON_SEEDS") else {
        return usual;
    };
    let range = words.split_once("..").and_then(|(from, to)| {
        let (from, to) = (from.parse().ok()?, to.parse().ok()?);
        (from < to).then_some(from..to)
    });
    range.unwrap_or_else(|| panic!("RAMSON_SEEDS={words} is not FROM..TO"))
}

/// Both clocks at a virtual instant.
#[must_use]
pub fn now_at(mono: Instant) -> Now {
    Now {
        mono,
        wall: Date(EPOCH_SECS * 1000 + mono.0 / 1000),
    }
}
