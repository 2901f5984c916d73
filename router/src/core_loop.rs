//! The core thread: inputs in, one step, outputs out. It never waits for anybody but the clock
//! and its inputs.

use crate::clock;
use crate::files::News;
use crate::log::Log;
use crate::servers::Table;
use crate::status::{self, ShellStatus};
use crate::store::StoreThread;
use ramson_proto::router::Router;
use ramson_proto::router::input::{ClientCmd, LinkEvent};
use ramson_proto::router::output::{Class, ClientEvent, LinkCmd, Output};
use ramson_proto::time::Instant;
use ramson_proto::trace::Level;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::{Notify, watch};

/// Inputs taken at once.
const BATCH: usize = 256;
/// Control messages kept when the links' queue is full.
const CONTROL_QUEUE: usize = 64;
/// How often the status text is made.
const STATUS: Duration = Duration::from_secs(1);

/// The thread's ends of its channels.
pub struct CoreChannels {
    /// From the links.
    pub links: Receiver<LinkEvent>,
    /// To the links.
    pub link_cmds: Sender<LinkCmd>,
    /// From clients.
    pub clients: Receiver<ClientCmd>,
    /// To clients.
    pub client_events: Sender<ClientEvent>,
    /// Status text for the control socket.
    pub status: watch::Sender<String>,
    /// Counters of the links.
    pub link_stats: watch::Receiver<crate::link_loop::LinkStatus>,
    /// How many routers are known.
    pub known: watch::Sender<usize>,
    /// Files that were read again, and what reseed hosts sent.
    pub news: Receiver<News>,
    /// What keeps the reseed file from being read at the start.
    pub waiting: Option<String>,
    /// The servers in force.
    pub servers: watch::Receiver<Table>,
    /// Ends the thread.
    pub shutdown: Arc<Notify>,
}

/// Runs until shutdown.
pub async fn run(mut router: Router, mut ch: CoreChannels, mut store: StoreThread, log: Log) {
    let mut out = Outbox::new(log);
    let mut links = Vec::with_capacity(BATCH);
    let mut clients = Vec::with_capacity(BATCH);
    let mut next_status = clock::now().mono;
    let shutdown = Arc::clone(&ch.shutdown);
    let stop = shutdown.notified();
    tokio::pin!(stop);
    let mut waiting = ch.waiting.take();
    let mut reseed = None;
    loop {
        out.dispatch(&mut router, &ch, &mut store);
        let now = clock::now();
        if next_status <= now.mono {
            next_status = now.mono + STATUS;
            let links = *ch.link_stats.borrow();
            let shell = ShellStatus {
                dropped: out.dropped,
                store: store.state(),
                waiting: waiting.clone(),
                reseed: reseed.clone(),
                servers: ch.servers.borrow().clone(),
            };
            let snapshot = router.snapshot(now);
            ch.known.send_replace(snapshot.routers);
            ch.status
                .send_replace(status::text(&snapshot, &links, &shell));
        }
        let wake = router.deadline().unwrap_or(next_status).min(next_status);
        tokio::select! {
            biased;
            () = &mut stop => break,
            n = ch.links.recv_many(&mut links, BATCH) => {
                if n == 0 {
                    log.line(Level::Error, "the link thread ended");
                    break;
                }
                let now = clock::now();
                for event in links.drain(..) {
                    router.handle_link(now, event);
                }
            }
            n = ch.clients.recv_many(&mut clients, BATCH) => {
                if n == 0 {
                    log.line(Level::Error, "the client thread ended");
                    break;
                }
                let now = clock::now();
                for cmd in clients.drain(..) {
                    router.handle_client(now, cmd);
                }
            }
            Some(mut news) = ch.news.recv() => match news.reseed.take() {
                Some(said) => {
                    reseed = Some(said);
                    take(&mut router, news, log);
                }
                None => waiting = take(&mut router, news, log),
            },
            () = sleep_until(wake, now.mono, out.is_waiting()) => {}
        }
        // Busy inputs must not starve the timers.
        let now = clock::now();
        if router.deadline().is_some_and(|d| d <= now.mono) {
            router.handle_timeout(now);
        }
    }
    out.dispatch(&mut router, &ch, &mut store);
    store.close();
}

/// Files were read again; what keeps the reseed file from being read.
fn take(router: &mut Router, news: News, log: Log) -> Option<String> {
    if let Some(hosts) = news.hosts {
        router.set_hosts(hosts);
    }
    if let Some(limit) = news.transit_bytes_per_sec {
        router.set_transit_limit(limit);
    }
    if let Some(change) = news.servers {
        change.apply(router, clock::now());
    }
    if !news.routers.is_empty() {
        let n = router.learn(clock::now(), news.routers);
        log.line(Level::Info, format_args!("{n} routers are new to us"));
    }
    news.waiting
}

async fn sleep_until(at: Instant, now: Instant, waiting: bool) {
    let mut d = at.since(now);
    if waiting {
        d = d.min(Duration::from_millis(2));
    }
    tokio::time::sleep(d).await;
}

/// Outputs on their way to the other threads.
struct Outbox {
    /// Control messages that found the links' queue full.
    control: VecDeque<LinkCmd>,
    /// Events for clients that found their queue full; bounded by the streams' windows.
    clients: VecDeque<ClientEvent>,
    dropped: u64,
    log: Log,
}

impl Outbox {
    const fn new(log: Log) -> Self {
        Self {
            control: VecDeque::new(),
            clients: VecDeque::new(),
            dropped: 0,
            log,
        }
    }

    fn is_waiting(&self) -> bool {
        !self.control.is_empty() || !self.clients.is_empty()
    }

    fn dispatch(&mut self, router: &mut Router, ch: &CoreChannels, store: &mut StoreThread) {
        self.retry(ch);
        while let Some(output) = router.poll_output() {
            match output {
                Output::Link(cmd) => self.link(cmd, ch),
                Output::Client(event) => self.client(event, ch),
                Output::Persist(record) => self.dropped += u64::from(!store.put(record)),
                Output::Trace(event) => self.log.event(&event),
            }
        }
    }

    fn retry(&mut self, ch: &CoreChannels) {
        while let Some(cmd) = self.control.pop_front() {
            if let Err(TrySendError::Full(cmd)) = ch.link_cmds.try_send(cmd) {
                self.control.push_front(cmd);
                break;
            }
        }
        while let Some(event) = self.clients.pop_front() {
            if let Err(TrySendError::Full(event)) = ch.client_events.try_send(event) {
                self.clients.push_front(event);
                break;
            }
        }
    }

    fn link(&mut self, cmd: LinkCmd, ch: &CoreChannels) {
        let data = matches!(
            cmd,
            LinkCmd::Send {
                class: Class::Own | Class::Answer | Class::Transit,
                ..
            }
        );
        if !self.control.is_empty() && !data {
            return self.keep(cmd);
        }
        if let Err(TrySendError::Full(cmd)) = ch.link_cmds.try_send(cmd) {
            if data {
                self.dropped += 1;
            } else {
                self.keep(cmd);
            }
        }
    }

    /// Hop and tunnel tables must stay whole; of everything else the oldest gives way.
    fn keep(&mut self, cmd: LinkCmd) {
        if self.control.len() >= CONTROL_QUEUE {
            let at = self
                .control
                .iter()
                .position(|c| matches!(c, LinkCmd::Send { .. }));
            self.control.remove(at.unwrap_or(0));
            self.dropped += 1;
        }
        self.control.push_back(cmd);
    }

    fn client(&mut self, event: ClientEvent, ch: &CoreChannels) {
        if !self.clients.is_empty() {
            return self.clients.push_back(event);
        }
        if let Err(TrySendError::Full(event)) = ch.client_events.try_send(event) {
            self.clients.push_back(event);
        }
    }
}
