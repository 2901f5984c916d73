//! An immutable view of the router for status and metrics: numbers only.

use super::Router;
use super::clock::ClockView;
use super::served::ServedView;
use crate::dest::local::Counts;
use crate::netdb::Context;
use crate::stream::StreamStats;
use crate::time::Now;
use crate::tunnel::TunnelStats;

/// What `routerd status` shows of the core.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Seconds since the router was made.
    pub uptime_secs: u64,
    /// Whether our clock can be right.
    pub clock: ClockView,
    /// Routers with a link.
    pub peers: usize,
    /// RouterInfos known.
    pub routers: usize,
    /// Floodfills among them.
    pub floodfills: usize,
    /// LeaseSets kept as a floodfill.
    pub lease_sets: usize,
    /// What others asked of the netDb and did not get, because they had had their share.
    pub netdb_refused: u64,
    /// A floodfill has confirmed our newest RouterInfo.
    pub published: bool,
    /// Tunnels and builds.
    pub tunnels: TunnelStats,
    /// Transit tunnels accepted since start.
    pub transit_accepted: u64,
    /// Those of them that were asked for with long records.
    pub transit_long: u64,
    /// Transit has no bandwidth to spare, so that requests are refused.
    pub transit_busy: bool,
    /// Transit requests refused since start.
    pub transit_refused: u64,
    /// Local destinations.
    pub destinations: usize,
    /// Destinations with a LeaseSet.
    pub destinations_ready: usize,
    /// Client streams.
    pub streams: usize,
    /// Counters of all local destinations together.
    pub messages: Counts,
    /// Packets of all their streams together.
    pub packets: StreamStats,
    /// Messages dropped for being malformed, expired or unwanted.
    pub dropped: u64,
    /// Answers that came another way than they have to, as if somebody sought who asked.
    pub wrong_way: u64,
    /// Names of the address book.
    pub names: usize,
    /// Served destinations.
    pub served: Vec<ServedView>,
}

impl Router {
    /// The numbers now.
    #[must_use]
    pub fn snapshot(&self, now: Now) -> Snapshot {
        let (mut messages, mut packets) = (Counts::default(), StreamStats::default());
        for (_, d) in self.dests.iter() {
            add(&mut messages, d.counts);
            packets.add(&d.streams.stats());
        }
        Snapshot {
            messages,
            packets,
            clock: self.clock.view(now),
            uptime_secs: now.mono.since(self.started).as_secs(),
            peers: self.connected.len(),
            routers: self.netdb.router_count(),
            floodfills: self.netdb.floodfill_count(),
            lease_sets: self.netdb.lease_set_count(),
            netdb_refused: self.netdb.refused(),
            published: self.netdb.is_published(Context::Router),
            tunnels: self.tunnels.stats(),
            transit_accepted: self.counters.transit_accepted,
            transit_long: self.counters.transit_long,
            transit_busy: self.admission.is_busy(),
            transit_refused: self.counters.transit_refused,
            destinations: self.dests.len(),
            destinations_ready: self
                .dests
                .iter()
                .filter(|(_, d)| d.lease_set().is_some())
                .count(),
            streams: self.clients.len(),
            dropped: self.counters.dropped,
            wrong_way: self.tags.wrong_way() + self.tunnels.wrong_way(),
            names: self.hosts.len(),
            served: self.served(),
        }
    }
}

const fn add(sum: &mut Counts, c: Counts) {
    sum.unopened += c.unopened;
    sum.new_sessions += c.new_sessions;
    sum.messages += c.messages;
    sum.paths_failed += c.paths_failed;
    sum.overflowed += c.overflowed;
    sum.metered += c.metered;
    sum.doubted += c.doubted;
}
