//! All links of the node: who is connected, who is dialled, what waits for whom.
//!
//! [`Links`] holds the state of every socket and no socket: the shell reports what happened to
//! sockets, the router sends [`LinkCmd`]s, and [`Links::poll_output`] says what to write, connect
//! and close and what the router must know. Transit cells go through the [`Shard`] of the same
//! thread and never reach the router.
//!
//! Two links with one peer: a new inbound link takes the place of the one there was; a new
//! outbound one is dropped. The replaced link lingers for a few seconds, because both sides may
//! have dialled at once and each replaced the link that the other one keeps: when the new link is
//! closed meanwhile, the lingering one takes over. The side with the lower hash lingers shorter,
//! so that two routers of this kind end up with the same link.

mod conn;
mod deliver;
mod dial;
mod guard;
mod load;
pub mod ntcp2;
mod peers;
pub mod queue;
mod room;
#[cfg(test)]
mod tests;
mod waiting;

use crate::crypto::x25519::PrivateKey;
use crate::relay::limit::PerPeer;
use crate::relay::shard::Shard;
use crate::rng::Rng;
use crate::router::input::{LinkDown, LinkEvent};
use crate::router::output::{Class, LinkCmd};
use crate::time::{Instant, Now};
use crate::wire::hash::{RouterHash, TunnelId};
use crate::wire::router_info::RouterInfo;
use conn::{Conn, State};
use guard::Guard;
use load::LoadMeter;
use ntcp2::handshake::Local;
use ntcp2::replay::ReplayCache;
use peers::PeerLinks;
use queue::Drops;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use waiting::Waiting;

/// What [`Links`] is told once.
pub struct LinksConfig {
    /// Our router hash.
    pub hash: RouterHash,
    /// The key of our NTCP2 addresses (`s`).
    pub static_key: PrivateKey,
    /// The obfuscation IV of our published address (`i`).
    pub iv: [u8; 16],
    /// Network id; 2 is the live network.
    pub net_id: u8,
    /// Our RouterInfo, until `LinkCmd::OwnInfo` brings a newer one.
    pub info: Arc<RouterInfo>,
    /// Links in all; inbound ones above are refused, for outbound ones an idle link is closed.
    pub links_max: usize,
    /// Dial addresses of private and reserved ranges: test networks.
    pub allow_private: bool,
    /// Dial IPv4 addresses.
    pub ipv4: bool,
    /// Dial IPv6 addresses.
    pub ipv6: bool,
}

/// Number of one socket, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// One request to the shell, or an event for the router.
#[derive(Debug)]
pub enum LinksOutput {
    /// Connect a new socket; answer with `handle_connected`.
    Connect {
        /// Its number.
        socket: SocketId,
        /// Where to.
        addr: SocketAddr,
    },
    /// Write these bytes after all earlier ones.
    Write {
        /// The socket.
        socket: SocketId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Close the socket once earlier writes are out, or within a second; say no more about it.
    Close {
        /// The socket.
        socket: SocketId,
    },
    /// For the router.
    Event(LinkEvent),
}

/// Counters of all links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Established links that peers opened.
    pub inbound: usize,
    /// Established links that we opened.
    pub outbound: usize,
    /// Dials and inbound handshakes under way.
    pub pending: usize,
    /// Bytes read off all sockets.
    pub bytes_in: u64,
    /// Bytes given to all sockets.
    pub bytes_out: u64,
    /// Messages received.
    pub messages_in: u64,
    /// Messages that expired before they came.
    pub expired_in: u64,
    /// Messages dropped before sending: transit, answers, own, control.
    pub dropped: Drops,
    /// Inbound connections refused before their handshake, or for want of room after it.
    pub refused: u64,
    /// Messages for the router that came too fast from one peer.
    pub flooded: u64,
    /// Inbound handshakes that failed.
    pub failed_in: u64,
    /// Dials that failed.
    pub failed_out: u64,
}

/// A dial under way, and whose business it is.
struct Dial {
    socket: SocketId,
    class: Class,
}

/// The links of one node and the transit tunnels of their thread.
pub struct Links {
    local: Local,
    links_max: usize,
    allow_private: bool,
    ipv4: bool,
    ipv6: bool,
    shard: Shard,
    conns: BTreeMap<SocketId, Conn>,
    peers: BTreeMap<RouterHash, PeerLinks>,
    dials: BTreeMap<RouterHash, Dial>,
    own: BTreeMap<TunnelId, RouterHash>,
    waiting: Waiting,
    guard: Guard,
    to_router: PerPeer,
    load: LoadMeter,
    replay: ReplayCache,
    timers: BTreeSet<(Instant, SocketId)>,
    /// Bytes in all queues of links, and sealed ones that are not written.
    queued: usize,
    unsent: usize,
    dirty: BTreeSet<SocketId>,
    out: VecDeque<LinksOutput>,
    next_socket: u64,
    stats: LinkStats,
}

impl Links {
    /// No links yet.
    #[must_use]
    pub fn new(config: LinksConfig, shard: Shard) -> Self {
        Self {
            local: Local {
                hash: config.hash,
                static_key: config.static_key,
                iv: config.iv,
                net_id: config.net_id,
                info: config.info,
            },
            links_max: config.links_max,
            allow_private: config.allow_private,
            ipv4: config.ipv4,
            ipv6: config.ipv6,
            shard,
            conns: BTreeMap::new(),
            peers: BTreeMap::new(),
            dials: BTreeMap::new(),
            own: BTreeMap::new(),
            waiting: Waiting::default(),
            guard: Guard::new(config.links_max),
            to_router: PerPeer::new(deliver::TO_ROUTER, crate::limits::LINK_METERED),
            load: LoadMeter::default(),
            replay: ReplayCache::default(),
            timers: BTreeSet::new(),
            queued: 0,
            unsent: 0,
            dirty: BTreeSet::new(),
            out: VecDeque::new(),
            next_socket: 1,
            stats: LinkStats::default(),
        }
    }

    /// A `Connect` succeeded or failed.
    pub fn handle_connected(&mut self, now: Now, rng: &mut Rng, s: SocketId, ok: bool) {
        if ok {
            self.connected(now, rng, s);
        } else {
            self.connect_failed(now, s);
        }
        self.flush(now, rng);
    }

    /// A peer connected. `None`: close the socket at once and say nothing.
    pub fn handle_accepted(
        &mut self,
        now: Now,
        _rng: &mut Rng,
        remote: SocketAddr,
    ) -> Option<SocketId> {
        let ip = remote.ip();
        if self.guard.is_full() {
            self.end_slowest(now);
        }
        if !self.guard.accept(now.mono, ip) {
            self.stats.refused += 1;
            return None;
        }
        if !self.may_become_link(now, ip) {
            self.guard.done(ip);
            self.stats.refused += 1;
            return None;
        }
        let s = self.new_socket();
        let conn = Conn::new(now.mono, remote, State::Answering(Some(Box::default())));
        self.insert(s, conn);
        Some(s)
    }

    /// Bytes of the peer, at most what one read gives (some ten kilobytes).
    pub fn handle_bytes(&mut self, now: Now, rng: &mut Rng, s: SocketId, bytes: &[u8]) {
        self.stats.bytes_in += bytes.len() as u64;
        match self.conns.get(&s).map(|c| &c.state) {
            Some(State::Open(_)) => self.read_link(now, rng, s, bytes),
            Some(State::Dialling { .. }) => self.read_created(now, rng, s, bytes),
            Some(State::Answering(_)) => self.read_caller(now, rng, s, bytes),
            Some(State::Tarpit { .. }) => self.read_nothing(s, bytes.len()),
            Some(State::Connecting { .. }) | None => {}
        }
        self.flush(now, rng);
    }

    /// The peer closed the socket, or it broke. After a `Close` of ours this changes nothing.
    pub fn handle_closed(&mut self, now: Now, rng: &mut Rng, s: SocketId) {
        match self.conns.get(&s).map(|c| &c.state) {
            Some(State::Open(_)) => self.link_gone(now, rng, s, LinkDown::Closed),
            Some(State::Connecting { .. }) => self.connect_failed(now, s),
            Some(State::Dialling { .. }) => self.dial_failed(now, s, LinkDown::Handshake),
            Some(State::Answering(_)) => self.answer_failed(s),
            Some(State::Tarpit { .. }) => {
                self.remove(s);
            }
            None => {}
        }
        self.flush(now, rng);
    }

    /// The shell wrote to the socket and still holds `queued` bytes. To be called when it has
    /// taken all outputs: bytes of outputs not taken are not counted.
    pub fn handle_written(&mut self, now: Now, rng: &mut Rng, s: SocketId, queued: usize) {
        if let Some(conn) = self.conns.get_mut(&s) {
            self.unsent = self.unsent - conn.unsent + queued;
            conn.unsent = queued;
            conn.progress = now.mono;
            self.dirty.insert(s);
        }
        self.flush(now, rng);
    }

    /// A request of the router.
    pub fn handle_cmd(&mut self, now: Now, rng: &mut Rng, cmd: LinkCmd) {
        match cmd {
            LinkCmd::Dial(info) => self.dial(now, rng, &info),
            LinkCmd::NoRouter(peer) => {
                if !self.dials.contains_key(&peer) {
                    self.waiting.not_found(now.mono, peer);
                    self.waiting.forget(&peer, &mut self.stats.dropped);
                }
            }
            LinkCmd::Send { to, class, message } => self.send(now, rng, to, class, message),
            LinkCmd::Close { peer, reason } => self.close_peer(now, rng, &peer, reason),
            LinkCmd::InstallHop(hop) => {
                self.shard.install(now, hop);
                self.load.start(now.mono, &self.shard.stats());
            }
            LinkCmd::RemoveHop(id) => self.shard.remove(id),
            LinkCmd::InstallOwn { id, from } => self.install_own(id, from),
            LinkCmd::RemoveOwn(id) => {
                self.own.remove(&id);
                self.shard.remove_own(id);
            }
            LinkCmd::OwnInfo(info) => self.local.info = info,
            LinkCmd::TransitLimit(n) => self.shard.set_transit_limit(n),
        }
        self.flush(now, rng);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<LinksOutput> {
        self.out.pop_front()
    }

    /// When [`Links::handle_timeout`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let timer = self.timers.first().map(|(at, _)| *at);
        let others = [
            self.waiting.deadline(),
            self.shard.deadline(),
            self.load.deadline(),
        ];
        others.into_iter().chain([timer]).flatten().min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now, rng: &mut Rng) {
        while let Some(&(at, s)) = self.timers.first() {
            if at > now.mono {
                break;
            }
            self.timers.pop_first();
            self.timeout(now, rng, s);
        }
        self.waiting.expire(now.mono, &mut self.stats.dropped);
        self.shard.handle_timeout(now);
        self.drain_shard(now);
        if let Some(event) = self.load.report(now.mono, &self.shard.stats()) {
            self.event(event);
        }
        self.flush(now, rng);
    }

    /// The router shuts down: ends all links.
    pub fn handle_shutdown(&mut self, now: Now, rng: &mut Rng) {
        let peers: Vec<RouterHash> = self.peers.keys().copied().collect();
        for peer in peers {
            self.close_peer(now, rng, &peer, ntcp2::reason::SHUTDOWN);
        }
        let rest: Vec<SocketId> = self.conns.keys().copied().collect();
        for s in rest {
            self.close(s);
        }
    }

    /// Counters; walks all links.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        let mut stats = self.stats;
        for conn in self.conns.values() {
            match &conn.state {
                State::Open(link) if link.inbound => stats.inbound += 1,
                State::Open(_) => stats.outbound += 1,
                _ => stats.pending += 1,
            }
        }
        stats
    }

    /// The transit tunnels of this thread.
    #[must_use]
    pub const fn shard(&self) -> &Shard {
        &self.shard
    }

    fn install_own(&mut self, id: TunnelId, from: RouterHash) {
        if self.own.len() < crate::limits::LINK_OWN_TUNNELS {
            self.own.insert(id, from);
        }
        self.shard.install_own(id, from);
    }

    fn new_socket(&mut self) -> SocketId {
        let s = SocketId(self.next_socket);
        self.next_socket += 1;
        s
    }

    fn insert(&mut self, s: SocketId, conn: Conn) {
        self.timers.insert((conn.timer, s));
        self.conns.insert(s, conn);
    }

    /// Forgets the socket without a word to the shell.
    fn remove(&mut self, s: SocketId) -> Option<Conn> {
        let conn = self.conns.remove(&s)?;
        self.timers.remove(&(conn.timer, s));
        self.dirty.remove(&s);
        self.unsent -= conn.unsent;
        if let State::Open(link) = &conn.state {
            self.queued -= link.established.queue.bytes();
        }
        let ip = conn.remote.ip();
        match &conn.state {
            State::Answering(_) | State::Tarpit { .. } => self.guard.done(ip),
            State::Open(link) if link.inbound => self.guard.link_down(ip),
            State::Open(_) | State::Connecting { .. } | State::Dialling { .. } => {}
        }
        Some(conn)
    }

    /// Forgets the socket and has it closed.
    fn close(&mut self, s: SocketId) -> Option<Conn> {
        let conn = self.remove(s)?;
        self.out.push_back(LinksOutput::Close { socket: s });
        Some(conn)
    }

    fn rearm(&mut self, s: SocketId, at: Instant) {
        if let Some(conn) = self.conns.get_mut(&s) {
            self.timers.remove(&(conn.timer, s));
            conn.timer = at;
            self.timers.insert((at, s));
        }
    }

    fn write(&mut self, s: SocketId, bytes: Vec<u8>) {
        if let Some(conn) = self.conns.get_mut(&s) {
            conn.unsent += bytes.len();
            self.unsent += bytes.len();
        }
        self.stats.bytes_out += bytes.len() as u64;
        self.out.push_back(LinksOutput::Write { socket: s, bytes });
    }

    fn event(&mut self, event: LinkEvent) {
        self.out.push_back(LinksOutput::Event(event));
    }

    fn timeout(&mut self, now: Now, rng: &mut Rng, s: SocketId) {
        match self.conns.get(&s).map(|c| &c.state) {
            Some(State::Open(_)) => self.check_link(now, rng, s),
            Some(State::Connecting { .. }) => {
                self.out.push_back(LinksOutput::Close { socket: s });
                self.connect_failed(now, s);
            }
            Some(State::Dialling { .. }) => {
                self.out.push_back(LinksOutput::Close { socket: s });
                self.dial_failed(now, s, LinkDown::Handshake);
            }
            Some(State::Answering(_)) => {
                self.out.push_back(LinksOutput::Close { socket: s });
                self.answer_failed(s);
            }
            Some(State::Tarpit { .. }) => self.leave_tarpit(s),
            None => {}
        }
    }
}
