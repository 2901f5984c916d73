//! Nodes, the wires between them, and the clock.

use crate::crypto::sig::SigningKey;
use crate::crypto::x25519::PrivateKey;
use crate::link::{Links, LinksConfig, LinksOutput, SocketId};
use crate::relay::shard::{Shard, ShardLimits};
use crate::rng::Rng;
use crate::router::input::{Direction, LinkDown, LinkEvent};
use crate::router::output::{Class, LinkCmd};
use crate::time::{Date, Instant, Now};
use crate::wire::hash::{MessageId, RouterHash, base64};
use crate::wire::i2np::{Message, kind};
use crate::wire::identity::{KeysAndCert, RouterIdentity};
use crate::wire::mapping::Mapping;
use crate::wire::router_address::RouterAddress;
use crate::wire::router_info::RouterInfo;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

const START: Date = Date::from_secs(1_800_000_000);

/// A message of this id and size that never expires.
pub fn message(id: u32, n: usize) -> Message {
    Message {
        kind: kind::DATA,
        id: MessageId(id),
        expires: Date::from_secs(2_000_000_000),
        body: vec![id as u8; n],
    }
}

type End = (usize, SocketId);

enum Flight {
    Connected(End, Option<SocketId>),
    Bytes(End, Vec<u8>),
    Closed(End),
}

/// The whole.
pub struct World {
    pub nodes: Vec<Links>,
    pub events: Vec<Vec<LinkEvent>>,
    pub now: Now,
    pub chunk: usize,
    pub latency: Duration,
    /// Connects to this node get no answer.
    pub deaf: Vec<bool>,
    /// This node's bytes are lost.
    pub mute: Vec<bool>,
    /// How far this node's wall clock is ahead.
    pub ahead: Vec<Duration>,
    /// Nothing is ever written.
    pub stuck: bool,
    infos: Vec<Arc<RouterInfo>>,
    rngs: Vec<Rng>,
    wires: BTreeMap<End, End>,
    flights: VecDeque<(Instant, Flight)>,
    written: BTreeMap<End, Vec<Vec<u8>>>,
}

/// Nodes from this number on are at one address.
pub const NEIGHBOURS: usize = 100;

fn addr(node: usize) -> SocketAddr {
    if node >= NEIGHBOURS {
        return SocketAddr::from(([10, NEIGHBOURS as u8, 0, 1], 4000 + node as u16));
    }
    SocketAddr::from(([10, node as u8, 0, 1], 4567))
}

pub fn config(node: usize) -> (LinksConfig, Arc<RouterInfo>) {
    let mut rng = Rng::from_number(node as u64 + 100);
    let signing = SigningKey::random(&mut rng);
    let enc = PrivateKey::random(&mut rng);
    let static_key = PrivateKey::random(&mut rng);
    let iv = rng.array();
    let filler = rng.bytes(320);
    let keys = KeysAndCert::ed25519(4, enc.public(), &filler, &signing.public()).unwrap();
    let identity = RouterIdentity(keys);
    let mut options = Mapping::new();
    options
        .set("host", addr(node).ip().to_string())
        .set("port", addr(node).port().to_string())
        .set("s", base64(static_key.public()))
        .set("i", base64(&iv))
        .set("v", "2");
    let address = RouterAddress {
        cost: 3,
        expiration: 0,
        style: "NTCP2".to_owned(),
        options,
    };
    let mut options = Mapping::new();
    options
        .set("netId", "77")
        .set("router.version", "0.9.67")
        .set("caps", "LR");
    let info = RouterInfo::build(&identity, START, &[address], &options, &signing).unwrap();
    let info = Arc::new(info);
    let config = LinksConfig {
        hash: info.hash(),
        static_key,
        iv,
        net_id: 77,
        info: info.clone(),
        links_max: 100,
        allow_private: true,
        ipv4: true,
        ipv6: false,
    };
    (config, info)
}

fn node(n: usize) -> (Links, Arc<RouterInfo>) {
    let (config, info) = config(n);
    let shard = Shard::new(config.hash, ShardLimits::default());
    (Links::new(config, shard), info)
}

impl World {
    pub fn new(n: usize) -> Self {
        let (nodes, infos) = (0..n).map(node).unzip();
        Self {
            nodes,
            infos,
            events: vec![Vec::new(); n],
            now: Now {
                mono: Instant(1_000_000),
                wall: START,
            },
            chunk: 20_000,
            latency: Duration::ZERO,
            deaf: vec![false; n],
            mute: vec![false; n],
            ahead: vec![Duration::ZERO; n],
            stuck: false,
            rngs: (0..n as u64).map(Rng::from_number).collect(),
            wires: BTreeMap::new(),
            flights: VecDeque::new(),
            written: BTreeMap::new(),
        }
    }

    pub fn hash(&self, n: usize) -> RouterHash {
        self.infos[n].hash()
    }

    pub fn restart(&mut self, n: usize) {
        self.nodes[n] = node(n).0;
        self.nodes[n].next_socket = 1000;
        self.rngs[n] = Rng::from_number(999);
    }

    fn clock(&self, n: usize) -> Now {
        Now {
            mono: self.now.mono,
            wall: self.now.wall + self.ahead[n],
        }
    }

    pub fn cmd(&mut self, n: usize, cmd: LinkCmd) {
        let now = self.clock(n);
        self.nodes[n].handle_cmd(now, &mut self.rngs[n], cmd);
        self.run(Duration::ZERO);
    }

    /// Dials without letting anything happen yet.
    pub fn dial_only(&mut self, n: usize, peer: usize) {
        let now = self.clock(n);
        let cmd = LinkCmd::Dial(self.infos[peer].clone());
        self.nodes[n].handle_cmd(now, &mut self.rngs[n], cmd);
    }

    pub fn dial(&mut self, n: usize, peer: usize) {
        self.dial_only(n, peer);
        self.run(Duration::ZERO);
    }

    pub fn send(&mut self, n: usize, to: usize, class: Class, message: Message) {
        let to = self.hash(to);
        self.cmd(n, LinkCmd::Send { to, class, message });
    }

    /// Runs until `d` later, with everything due in between.
    pub fn run(&mut self, d: Duration) {
        let end = self.now.mono + d;
        loop {
            for n in 0..self.nodes.len() {
                self.drain(n);
            }
            let flight = self.flights.front().map(|(at, _)| *at);
            let timer = self.nodes.iter().filter_map(Links::deadline).min();
            let next = [flight, timer].into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.after(next.since(self.now.mono));
            if flight == Some(next) {
                self.land();
            } else {
                for n in 0..self.nodes.len() {
                    let now = self.clock(n);
                    self.nodes[n].handle_timeout(now, &mut self.rngs[n]);
                }
            }
        }
        self.now = self.now.after(end.since(self.now.mono));
    }

    fn land(&mut self) {
        let Some((_, flight)) = self.flights.pop_front() else {
            return;
        };
        match flight {
            Flight::Connected((n, s), ok) => {
                let now = self.clock(n);
                self.nodes[n].handle_connected(now, &mut self.rngs[n], s, ok.is_some());
            }
            Flight::Bytes((n, s), bytes) => {
                for chunk in bytes.chunks(self.chunk) {
                    self.push(n, s, chunk);
                }
            }
            Flight::Closed((n, s)) => {
                let now = self.clock(n);
                self.nodes[n].handle_closed(now, &mut self.rngs[n], s);
            }
        }
    }

    pub fn push(&mut self, n: usize, s: SocketId, bytes: &[u8]) {
        let now = self.clock(n);
        self.nodes[n].handle_bytes(now, &mut self.rngs[n], s, bytes);
        self.drain(n);
    }

    fn launch(&mut self, flight: Flight) {
        let at = self.now.mono + self.latency;
        self.flights.push_back((at, flight));
    }

    fn drain(&mut self, n: usize) {
        while let Some(output) = self.nodes[n].poll_output() {
            match output {
                LinksOutput::Connect { socket, addr } => self.connect(n, socket, addr),
                LinksOutput::Write { socket, bytes } => self.write(n, socket, bytes),
                LinksOutput::Close { socket } => {
                    if let Some(other) = self.wires.remove(&(n, socket)) {
                        self.wires.remove(&other);
                        self.launch(Flight::Closed(other));
                    }
                }
                LinksOutput::Event(e) => self.events[n].push(e),
            }
        }
    }

    fn connect(&mut self, n: usize, s: SocketId, to: SocketAddr) {
        let peer = (0..self.nodes.len()).find(|i| addr(*i) == to).unwrap();
        if self.deaf[peer] {
            return;
        }
        let now = self.clock(peer);
        let theirs = self.nodes[peer].handle_accepted(now, &mut self.rngs[peer], addr(n));
        if let Some(theirs) = theirs {
            self.wires.insert((n, s), (peer, theirs));
            self.wires.insert((peer, theirs), (n, s));
        }
        self.launch(Flight::Connected((n, s), theirs));
    }

    fn write(&mut self, n: usize, s: SocketId, bytes: Vec<u8>) {
        if self.stuck {
            return;
        }
        self.written.entry((n, s)).or_default().push(bytes.clone());
        if let Some(other) = self.wires.get(&(n, s)).copied()
            && !self.mute[n]
        {
            self.launch(Flight::Bytes(other, bytes));
        }
        let now = self.clock(n);
        self.nodes[n].handle_written(now, &mut self.rngs[n], s, 0);
    }

    /// A connection of somebody who is no router.
    pub fn try_probe(&mut self, n: usize) -> Option<SocketId> {
        let now = self.clock(n);
        let from = SocketAddr::from(([192, 0, 2, 1], 999));
        self.nodes[n].handle_accepted(now, &mut self.rngs[n], from)
    }

    pub fn probe(&mut self, n: usize) -> SocketId {
        self.try_probe(n).unwrap()
    }

    pub fn close_from_outside(&mut self, n: usize, s: SocketId) {
        self.wires.remove(&(n, s));
        let now = self.clock(n);
        self.nodes[n].handle_closed(now, &mut self.rngs[n], s);
        self.drain(n);
    }

    /// Bytes that the node wrote to the socket.
    pub fn written(&self, n: usize, s: SocketId) -> usize {
        let writes = self.written.get(&(n, s));
        writes.map_or(0, |w| w.iter().map(Vec::len).sum())
    }

    /// What the node wrote to its first socket.
    pub fn recorded(&self, n: usize) -> Vec<Vec<u8>> {
        let first = self.written.iter().find(|((node, _), _)| *node == n);
        first.map(|(_, w)| w.clone()).unwrap()
    }

    fn index(&self, hash: &RouterHash) -> usize {
        self.infos.iter().position(|i| i.hash() == *hash).unwrap()
    }

    /// Sender, id and size of what the node received.
    pub fn received(&self, n: usize) -> Vec<(usize, u32, usize)> {
        let messages = self.events[n].iter().filter_map(|e| match e {
            LinkEvent::I2np { from, message } => {
                Some((self.index(from), message.id.0, message.body.len()))
            }
            _ => None,
        });
        messages.collect()
    }

    /// Whether the last word on the peer is that the link is up.
    pub fn up(&self, n: usize, peer: usize, dir: Direction) -> bool {
        let last = self.events[n].iter().rev().find_map(|e| match e {
            LinkEvent::Up {
                peer, direction, ..
            } => Some((self.index(peer), Some(*direction))),
            LinkEvent::Down { peer, .. } => Some((self.index(peer), None)),
            _ => None,
        });
        last == Some((peer, Some(dir)))
    }

    /// All links that went down.
    pub fn downs(&self, n: usize) -> Vec<(usize, LinkDown)> {
        let downs = self.events[n].iter().filter_map(|e| match e {
            LinkEvent::Down { peer, why } => Some((self.index(peer), *why)),
            _ => None,
        });
        downs.collect()
    }
}
