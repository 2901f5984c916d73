//! The router as a value: owns the subsystems, takes inputs, is polled for outputs.
//!
//! Every branch between subsystems is in `switch`, one file per source of events; what a
//! subsystem does is in its own module. The shell calls a `handle_*`, then takes outputs until
//! there is none, then sleeps until `deadline`.

pub mod boot;
mod changes;
pub mod clients;
pub mod clock;
mod congestion;
mod dests;
pub mod input;
pub mod inspect;
pub mod output;
pub mod own_info;
pub mod peers;
mod redials;
pub mod served;
pub mod snapshot;
mod switch;
pub mod tags;
#[cfg(test)]
mod tests;

use crate::config::{Config, RouterKeys};
use crate::dest::isolation::Isolation;
use crate::names::hosts::Hosts;
use crate::netdb::NetDb;
use crate::rng::Rng;
use crate::time::{Instant, Now};
use crate::trace::{Event, Level};
use crate::tunnel::admission::Admission;
use crate::tunnel::{PoolId, Tunnels};
use crate::wire::hash::RouterHash;
use crate::wire::i2np::Message;
use clients::Clients;
use core::time::Duration;
use input::{ClientCmd, LinkEvent};
use output::{LinkCmd, Output, Persist};
use own_info::OwnInfo;
use peers::Peers;
use std::collections::{BTreeSet, VecDeque};

/// Pool of the router's own lookups.
pub const EXPLORATORY: PoolId = PoolId(0);
/// How often the router looks after things that have no timer of their own.
const TICK: Duration = Duration::from_secs(1);
/// Our RouterInfo is first published this long after the start.
const FIRST_PUBLISH: Duration = Duration::from_secs(3);
/// Repeated this often, with up to [`PUBLISH_JITTER`] more (FEATURES: i2pd's 39 min + 0..105 s).
const PUBLISH: Duration = Duration::from_secs(39 * 60);
const PUBLISH_JITTER: Duration = Duration::from_secs(105);

/// Plain counters of the router itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Messages dropped for being malformed, expired or unwanted.
    pub dropped: u64,
    /// Transit tunnels accepted.
    pub transit_accepted: u64,
    /// Those of them whose request had records of the long form.
    pub transit_long: u64,
    /// Transit requests refused.
    pub transit_refused: u64,
}

/// An I2P router without its sockets, threads and files.
pub struct Router {
    us: RouterHash,
    config: Config,
    keys: RouterKeys,
    rng: Rng,
    started: Instant,
    clock: clock::Clock,
    congestion: congestion::Congestion,
    own: OwnInfo,
    netdb: NetDb,
    peers: Peers,
    tunnels: Tunnels,
    admission: Admission,
    tags: tags::Tags,
    hosts: Hosts,
    connected: BTreeSet<RouterHash>,
    redials: redials::Redials,
    /// Routers that had a link before the start and are to be dialled.
    returns: VecDeque<RouterHash>,
    dests: dests::Dests,
    isolation: Isolation,
    next_pool: u32,
    clients: Clients,
    counters: Counters,
    /// Messages that we sent to ourselves.
    loopback: VecDeque<Message>,
    outputs: VecDeque<Output>,
    next_tick: Instant,
    next_publish: Instant,
    next_renew: Instant,
    /// A published RouterInfo is worth a log line once.
    was_ready: bool,
}

impl Router {
    /// Something happened on a link.
    pub fn handle_link(&mut self, now: Now, event: LinkEvent) {
        self.look_at_clock(now);
        self.on_link(now, event);
        self.settle(now);
    }

    /// A client wants something.
    pub fn handle_client(&mut self, now: Now, cmd: ClientCmd) {
        self.look_at_clock(now);
        self.on_client(now, cmd);
        self.settle(now);
    }

    /// A deadline passed.
    pub fn handle_timeout(&mut self, now: Now) {
        self.look_at_clock(now);
        let due = |d: Option<Instant>| d.is_some_and(|d| d <= now.mono);
        if due(self.tunnels.deadline()) {
            self.tunnels_timeout(now);
        }
        if due(self.netdb.deadline()) {
            self.netdb_timeout(now);
        }
        for pool in self.dests.due(now.mono) {
            if let Some(dest) = self.dests.get_mut(pool) {
                dest.handle_timeout(now, &mut self.rng);
            }
        }
        if self.next_tick <= now.mono {
            self.next_tick = now.mono + TICK;
            self.tick(now);
        }
        self.settle(now);
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        [
            self.tunnels.deadline(),
            self.netdb.deadline(),
            self.dests.deadline(),
            Some(self.next_tick),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Takes the next output.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Our hash.
    #[must_use]
    pub const fn hash(&self) -> RouterHash {
        self.us
    }

    /// Our RouterInfo.
    #[must_use]
    pub const fn info(&self) -> &std::sync::Arc<crate::wire::router_info::RouterInfo> {
        self.own.current()
    }

    /// Whether a client destination has tunnels and a LeaseSet.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.dests.iter().any(|(_, d)| d.lease_set().is_some())
    }

    /// What has no machine of its own: renewing and publishing our RouterInfo, spare and idle
    /// destinations, waiting clients.
    fn tick(&mut self, now: Now) {
        self.tags.expire(now.mono);
        self.say_clock(now);
        self.peers.tick(now, &self.connected);
        self.redial(now);
        self.return_to_peers();
        let (hops, max) = (self.admission.hops(), self.config.transit_tunnels);
        if self.congestion.tick(now, &mut self.rng, hops, max) {
            self.next_renew = now.mono;
            self.next_publish = now.mono;
        }
        if self.next_renew <= now.mono {
            self.next_renew = now.mono + own_info::RENEW;
            self.renew_info(now);
        }
        if self.next_publish <= now.mono {
            let has_tunnel = self.tunnels.outbound(EXPLORATORY).next().is_some();
            if has_tunnel || !self.connected.is_empty() {
                self.next_publish = now.mono + PUBLISH + self.rng.jitter(PUBLISH_JITTER);
                let info = std::sync::Arc::clone(self.own.current());
                self.netdb.publish_router(now, info);
            } else {
                self.next_publish = now.mono + Duration::from_secs(5);
            }
        }
        self.tend_destinations(now);
        self.tend_clients(now);
        self.persist_profiles();
        if !self.was_ready && self.is_ready() {
            self.was_ready = true;
            let ms = now.mono.since(self.started).as_millis() as u64;
            self.trace(Event::Count(Level::Info, "ready for clients after ms", ms));
        }
    }

    fn persist_profiles(&mut self) {
        for (hash, bytes) in self.peers.take_changed() {
            self.outputs
                .push_back(Output::Persist(Persist::Profile { hash, bytes }));
        }
    }

    fn renew_info(&mut self, now: Now) {
        let letter = self.congestion.letter();
        let info = self.own.renew(&self.config, &self.keys, now, letter);
        let info = std::sync::Arc::clone(info);
        self.link(LinkCmd::OwnInfo(info));
    }

    /// Whatever bears a date is made anew when the wall clock was set: peers refuse what comes from
    /// the future, and keep nothing that looks older than what they have.
    fn look_at_clock(&mut self, now: Now) {
        if !self.clock.look(now) {
            return;
        }
        let text = "the wall clock was set: all that bears a date is made anew";
        self.trace(Event::Note(Level::Warn, text));
        self.own.forget_date();
        self.renew_info(now);
        self.next_renew = now.mono + own_info::RENEW;
        self.next_publish = now.mono;
        self.next_tick = now.mono;
        self.peers.clock_set(now);
        for dest in self.dests.all_mut() {
            dest.clock_set();
        }
        self.tunnels.clock_set(now);
    }

    fn say_clock(&mut self, now: Now) {
        let Some(word) = self.clock.word(now) else {
            return;
        };
        let secs = self.clock.view(now).skew_secs.unwrap_or(0);
        self.trace(match word {
            clock::Word::Right => Event::Note(Level::Info, "the clock is right now"),
            clock::Word::Wrong if secs == 0 => Event::Note(
                Level::Warn,
                "the clock of this machine is years behind, so no other router will talk to it: \
                 set the date, or start an NTP service",
            ),
            clock::Word::Wrong => Event::Count(
                Level::Warn,
                if secs > 0 {
                    "the clock of this machine is behind those of other routers: set it, or start \
                     an NTP service; seconds"
                } else {
                    "the clock of this machine is ahead of those of other routers: set it, or \
                     start an NTP service; seconds"
                },
                secs.unsigned_abs(),
            ),
        });
    }

    pub(in crate::router) fn trace(&mut self, event: Event) {
        self.outputs.push_back(Output::Trace(event));
    }

    fn link(&mut self, cmd: LinkCmd) {
        self.outputs.push_back(Output::Link(cmd));
    }
}
