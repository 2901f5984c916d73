//! The link thread: all TCP sockets, and [`Links`] with the transit tunnels of this thread.
//!
//! The router's channel is never waited for: events that it has no room for are held, the sockets
//! that brought them pause, and after 50 ms the held messages are dropped. That a link is up or
//! down, and the load of transit, is never dropped.

#[cfg(test)]
mod tests;

use crate::tcp::{self, Net, Pool, Socket};
use crate::{clock, entropy};
use ramson_proto::link::{LinkStats, Links, LinksConfig, LinksOutput, SocketId};
use ramson_proto::relay::shard::{Shard, ShardLimits};
use ramson_proto::relay::stats::ShardStats;
use ramson_proto::rng::Rng;
use ramson_proto::router::input::LinkEvent;
use ramson_proto::router::output::LinkCmd;
use ramson_proto::time::{Instant, Now};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, LocalSet, spawn_local};

/// Reports of sockets that wait for the loop.
const NET_QUEUE: usize = 1024;
/// Reports or commands that are handled in one turn.
const BATCH: usize = 64;
/// Held messages; one more is dropped.
const HELD_MAX: usize = 256;
/// Held events of any kind; the oldest is dropped. Reached only if the core stands still.
const HELD_HARD_MAX: usize = 8192;
/// How long a message is held.
const HOLD: Duration = Duration::from_millis(50);
/// How often the status is published.
const STATUS: Duration = Duration::from_secs(1);
/// Time for the last bytes at the end.
const FAREWELL: Duration = Duration::from_millis(500);

/// What the thread is told once.
pub struct LinkLoopConfig {
    /// Listeners, not blocking; may be none.
    pub listeners: Vec<std::net::TcpListener>,
    /// Ourselves.
    pub links: LinksConfig,
    /// Bounds of transit.
    pub shard: ShardLimits,
}

/// Counters, published once a second.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkStatus {
    /// Links.
    pub links: LinkStats,
    /// Transit tunnels.
    pub shard: ShardStats,
    /// Events that the router had no room for.
    pub events_dropped: u64,
}

/// The thread's ends of its channels.
pub struct LinkLoopChannels {
    /// From the core, bounded by 1024; the thread ends the links and itself when it closes.
    pub cmds: Receiver<LinkCmd>,
    /// To the core, bounded by 1024.
    pub events: Sender<LinkEvent>,
    /// The newest counters.
    pub status: watch::Sender<LinkStatus>,
}

/// Runs the thread.
///
/// # Errors
/// The operating system gives no thread or randomness.
pub fn spawn(config: LinkLoopConfig, channels: LinkLoopChannels) -> io::Result<JoinHandle<()>> {
    let listeners = config.listeners;
    let rng = entropy::rng()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (links, limits) = (config.links, config.shard);
    std::thread::Builder::new()
        .name("link".to_owned())
        .spawn(move || {
            let shard = Shard::new(links.hash, limits);
            let links = Links::new(links, shard);
            LocalSet::new().block_on(&runtime, run(links, rng, listeners, channels));
        })
}

async fn run(
    links: Links,
    rng: Rng,
    listeners: Vec<std::net::TcpListener>,
    channels: LinkLoopChannels,
) {
    let (net, mut reports) = channel(NET_QUEUE);
    for listener in listeners {
        // The listeners are not blocking since they were made.
        if let Ok(listener) = TcpListener::from_std(listener) {
            spawn_local(tcp::accept_all(listener, net.clone()));
        }
    }
    let mut cmds = channels.cmds;
    let mut turn = Loop {
        links,
        rng,
        net,
        pool: Pool::default(),
        sockets: HashMap::new(),
        connects: HashMap::new(),
        held: Held::new(channels.events),
        paused: Vec::new(),
    };
    let (mut batch, mut orders) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
    let mut status = tokio::time::interval(STATUS);
    loop {
        let sleep = turn.sleep();
        tokio::select! {
            _ = reports.recv_many(&mut batch, BATCH) => turn.reports(&mut batch),
            n = cmds.recv_many(&mut orders, BATCH) => match n {
                0 => break,
                _ => turn.orders(&mut orders),
            },
            () = tokio::time::sleep(sleep) => turn.timeout(),
            () = turn.held.room() => turn.release(),
            _ = status.tick() => drop(channels.status.send(turn.status())),
        }
    }
    turn.shutdown();
    tokio::time::sleep(FAREWELL).await;
}

struct Loop {
    links: Links,
    rng: Rng,
    net: Sender<Net>,
    pool: Pool,
    sockets: HashMap<SocketId, Socket>,
    connects: HashMap<SocketId, AbortHandle>,
    held: Held,
    paused: Vec<Rc<Notify>>,
}

impl Loop {
    fn sleep(&self) -> Duration {
        let now = clock::now().mono;
        let due = [self.links.deadline(), self.held.deadline()];
        let due = due.into_iter().flatten().min();
        due.map_or(STATUS, |at| at.since(now))
    }

    fn status(&self) -> LinkStatus {
        LinkStatus {
            links: self.links.stats(),
            shard: self.links.shard().stats(),
            events_dropped: self.held.dropped,
        }
    }

    fn timeout(&mut self) {
        let now = clock::now();
        self.links.handle_timeout(now, &mut self.rng);
        self.drain(now);
        self.release();
    }

    fn orders(&mut self, orders: &mut Vec<LinkCmd>) {
        let now = clock::now();
        for cmd in orders.drain(..) {
            self.links.handle_cmd(now, &mut self.rng, cmd);
        }
        self.drain(now);
    }

    fn reports(&mut self, batch: &mut Vec<Net>) {
        let now = clock::now();
        for report in batch.drain(..) {
            self.report(now, report);
            self.drain(now);
        }
    }

    fn report(&mut self, now: Now, report: Net) {
        match report {
            Net::Accepted(stream, remote) => {
                if let Some(s) = self.links.handle_accepted(now, &mut self.rng, remote) {
                    self.start(s, stream);
                }
            }
            Net::Connected(s, stream) => {
                if self.connects.remove(&s).is_some() {
                    let ok = stream.is_some();
                    if let Some(stream) = stream {
                        self.start(s, stream);
                    }
                    self.links.handle_connected(now, &mut self.rng, s, ok);
                }
            }
            Net::Read(s, bytes) => self.read(now, s, bytes),
            Net::Written(s, left) => {
                if self.sockets.contains_key(&s) {
                    self.links.handle_written(now, &mut self.rng, s, left);
                }
            }
            Net::Closed(s) => {
                if self.sockets.remove(&s).is_some() {
                    self.links.handle_closed(now, &mut self.rng, s);
                }
            }
        }
    }

    fn read(&mut self, now: Now, s: SocketId, bytes: Vec<u8>) {
        if let Some(credit) = self.sockets.get(&s).map(Socket::credit) {
            self.links.handle_bytes(now, &mut self.rng, s, &bytes);
            self.drain(now);
            if self.held.is_pressed() {
                self.paused.push(credit);
            } else {
                credit.notify_one();
            }
        }
        self.pool.give(bytes);
    }

    fn start(&mut self, s: SocketId, stream: TcpStream) {
        let socket = Socket::start(s, stream, self.net.clone(), self.pool.clone());
        self.sockets.insert(s, socket);
    }

    fn drain(&mut self, now: Now) {
        while let Some(output) = self.links.poll_output() {
            match output {
                LinksOutput::Connect { socket, addr } => {
                    let task = tcp::connect(socket, addr, self.net.clone());
                    self.connects.insert(socket, task);
                }
                LinksOutput::Write { socket, bytes } => {
                    if let Some(socket) = self.sockets.get(&socket) {
                        socket.write(&bytes);
                    }
                }
                LinksOutput::Close { socket } => {
                    self.sockets.remove(&socket);
                    if let Some(task) = self.connects.remove(&socket) {
                        task.abort();
                    }
                }
                LinksOutput::Event(event) => self.held.send(now.mono, event),
            }
        }
    }

    /// The router may have room again, or held messages are too old.
    fn release(&mut self) {
        self.held.retry(clock::now().mono);
        if !self.held.is_pressed() {
            for credit in self.paused.drain(..) {
                credit.notify_one();
            }
        }
    }

    fn shutdown(&mut self) {
        let now = clock::now();
        self.links.handle_shutdown(now, &mut self.rng);
        self.drain(now);
        self.sockets.clear();
    }
}

/// Events on their way to the router.
struct Held {
    events: Sender<LinkEvent>,
    queue: VecDeque<(Instant, LinkEvent)>,
    messages: usize,
    dropped: u64,
}

const fn must_arrive(event: &LinkEvent) -> bool {
    matches!(
        event,
        LinkEvent::Up { .. } | LinkEvent::Down { .. } | LinkEvent::Load { .. }
    )
}

impl Held {
    const fn new(events: Sender<LinkEvent>) -> Self {
        Self {
            events,
            queue: VecDeque::new(),
            messages: 0,
            dropped: 0,
        }
    }

    /// Whether messages are held.
    const fn is_pressed(&self) -> bool {
        self.messages > 0
    }

    fn send(&mut self, now: Instant, event: LinkEvent) {
        let event = if self.queue.is_empty() {
            match self.events.try_send(event) {
                Ok(()) | Err(TrySendError::Closed(_)) => return,
                Err(TrySendError::Full(event)) => event,
            }
        } else {
            event
        };
        if !must_arrive(&event) {
            if self.messages >= HELD_MAX {
                self.dropped += 1;
                return;
            }
            self.messages += 1;
        } else if self.queue.len() >= HELD_HARD_MAX {
            self.pop();
            self.dropped += 1;
        }
        self.queue.push_back((now, event));
    }

    fn pop(&mut self) -> Option<LinkEvent> {
        let (_, event) = self.queue.pop_front()?;
        if !must_arrive(&event) {
            self.messages -= 1;
        }
        Some(event)
    }

    /// Resolves when events are held and the router has room.
    async fn room(&self) {
        if self.queue.is_empty() {
            core::future::pending::<()>().await;
        }
        drop(self.events.reserve().await);
    }

    /// When the oldest message is dropped.
    fn deadline(&self) -> Option<Instant> {
        let mut messages = self.queue.iter().filter(|(_, e)| !must_arrive(e));
        messages.next().map(|(at, _)| *at + HOLD)
    }

    fn retry(&mut self, now: Instant) {
        while let Some((_, event)) = self.queue.front() {
            let permit = match self.events.try_reserve() {
                Ok(permit) => permit,
                Err(TrySendError::Closed(())) => {
                    self.messages = 0;
                    return self.queue.clear();
                }
                Err(TrySendError::Full(())) => break,
            };
            let message = !must_arrive(event);
            if let Some((_, event)) = self.queue.pop_front() {
                permit.send(event);
            }
            self.messages -= usize::from(message);
        }
        let before = self.queue.len();
        let old = |at: &Instant| now.since(*at) >= HOLD;
        self.queue.retain(|(at, e)| must_arrive(e) || !old(at));
        let dropped = before - self.queue.len();
        self.messages -= dropped;
        self.dropped += dropped as u64;
    }
}
