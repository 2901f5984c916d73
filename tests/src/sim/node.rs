//! One simulated router: the shipped control plane and transit table, and its side of the links.

use ramson_proto::config::{Config, DestinationKeys, RouterKeys};
use ramson_proto::relay::shard::{Shard, ShardOutput};
use ramson_proto::rng::Rng;
use ramson_proto::router::Router;
use ramson_proto::router::boot::Saved;
use ramson_proto::router::input::{ClientCmd, LinkEvent};
use ramson_proto::time::{Instant, Now};
use ramson_proto::trace::Event;
use ramson_proto::wire::hash::{DestHash, RouterHash};
use ramson_proto::wire::i2np::Message;
use ramson_proto::wire::router_info::RouterInfo;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Messages that wait for one link.
const WAITING_MAX: usize = 32;
/// Trace events kept.
const NOTES_MAX: usize = 1000;

/// What a router starts from, the first time and again.
pub struct Parts {
    /// Its settings.
    pub config: Config,
    /// Its keys.
    pub keys: RouterKeys,
    /// The routers it knows.
    pub routers: Vec<Arc<RouterInfo>>,
    /// The destination it serves.
    pub served: Option<DestinationKeys>,
}

impl Parts {
    fn start(&self, rng: Rng, now: Now) -> Router {
        let saved = Saved {
            routers: self.routers.clone(),
            served: self.served.iter().cloned().collect(),
            ..Saved::default()
        };
        let router = Router::new(self.config.clone(), self.keys.clone(), saved, rng, now);
        let mut router = router.unwrap_or_else(|e| panic!("a router: {e}"));
        if let Some(keys) = &self.served {
            let dest = keys.destination.hash();
            router.handle_client(now, ClientCmd::Listen { dest, port: 0 });
        }
        router
    }
}

/// A router in the simulator.
pub struct Node {
    parts: Parts,
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
    /// A router that starts now.
    #[must_use]
    pub fn new(parts: Parts, rng: &mut Rng, now: Now) -> Self {
        let router = parts.start(rng.fork(), now);
        let shard = Shard::new(router.hash(), Default::default());
        let serves = parts.served.as_ref().map(|k| k.destination.hash());
        Self {
            parts,
            router,
            shard,
            rng: rng.fork(),
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

    /// Starts again with what is kept on disk.
    pub fn restart(&mut self, now: Now) {
        self.router = self.parts.start(self.rng.fork(), now);
        self.shard = Shard::new(self.router.hash(), Default::default());
        self.alive = true;
        self.links.clear();
        self.dialling.clear();
        self.waiting.clear();
        self.armed = None;
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

    /// The machines whose deadline has come.
    #[must_use]
    pub fn overdue(&self, now: Instant) -> Vec<&'static str> {
        let mut all = self.router.overdue(now);
        all.extend(
            self.shard
                .deadline()
                .filter(|at| *at <= now)
                .map(|_| "shard"),
        );
        all
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
