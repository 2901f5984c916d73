//! One simulated router: the shipped control plane and transit table, and its side of the links.

use ramson_proto::relay::shard::{Shard, ShardOutput};
use ramson_proto::rng::Rng;
use ramson_proto::router::Router;
use ramson_proto::router::input::LinkEvent;
use ramson_proto::time::{Instant, Now};
use ramson_proto::trace::Event;
use ramson_proto::wire::hash::{DestHash, RouterHash};
use ramson_proto::wire::i2np::Message;
use std::collections::{BTreeMap, BTreeSet};

/// Messages that wait for one link.
const WAITING_MAX: usize = 32;
/// Trace events kept.
const NOTES_MAX: usize = 1000;

/// A router in the simulator.
pub struct Node {
    /// The control plane.
    pub router: Router,
    /// The transit table.
    pub shard: Shard,
    /// What the transit table draws from.
    pub rng: Rng,
    /// The destination it serves.
    pub serves: Option<DestHash>,
    /// Whether it can be dialled.
    pub alive: bool,
    /// Routers with a link.
    pub links: BTreeSet<RouterHash>,
    /// Dials under way.
    pub dialling: BTreeSet<RouterHash>,
    /// Messages for routers without a link.
    pub waiting: BTreeMap<RouterHash, Vec<Message>>,
    /// When the last message to each peer arrives.
    pub last_arrival: BTreeMap<RouterHash, Instant>,
    /// The deadline that is in the heap.
    pub armed: Option<Instant>,
    /// Trace events, the first of them.
    pub notes: Vec<Event>,
}

impl Node {
    /// A node around a router.
    #[must_use]
    pub fn new(router: Router, rng: Rng, serves: Option<DestHash>) -> Self {
        let shard = Shard::new(router.hash(), Default::default());
        Self {
            router,
            shard,
            rng,
            serves,
            alive: true,
            links: BTreeSet::new(),
            dialling: BTreeSet::new(),
            waiting: BTreeMap::new(),
            last_arrival: BTreeMap::new(),
            armed: None,
            notes: Vec::new(),
        }
    }

    /// Calls what is due.
    pub fn wake(&mut self, now: Now) {
        if self.router.deadline().is_some_and(|d| d <= now.mono) {
            self.router.handle_timeout(now);
        }
        if self.shard.deadline().is_some_and(|d| d <= now.mono) {
            self.shard.handle_timeout(now);
        }
    }

    /// The earlier deadline of the two machines.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        [self.router.deadline(), self.shard.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next message that the transit table sends; what it hands up goes to the router.
    pub fn shard_output(&mut self, now: Now) -> Option<(RouterHash, Message)> {
        loop {
            match self.shard.poll_output()? {
                ShardOutput::Send { to, message, .. } => return Some((to, message)),
                ShardOutput::Up { from, message } => {
                    self.router
                        .handle_link(now, LinkEvent::I2np { from, message });
                }
            }
        }
    }

    /// Keeps a message until there is a link; answers whether it is the first one.
    pub fn hold(&mut self, to: RouterHash, message: Message) -> bool {
        let waiting = self.waiting.entry(to).or_default();
        if waiting.len() < WAITING_MAX {
            waiting.push(message);
        }
        waiting.len() == 1
    }

    /// Keeps a trace event.
    pub fn note(&mut self, event: Event) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push(event);
        }
    }
}
