//! An immutable view of the router for status and metrics: numbers only.

use super::Router;
use crate::time::Now;
use crate::tunnel::TunnelStats;

/// What `routerd status` shows of the core.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Seconds since the router was made.
    pub uptime_secs: u64,
    /// Routers with a link.
    pub peers: usize,
    /// RouterInfos known.
    pub routers: usize,
    /// Floodfills among them.
    pub floodfills: usize,
    /// LeaseSets kept as a floodfill.
    pub lease_sets: usize,
    /// Tunnels and builds.
    pub tunnels: TunnelStats,
    /// Transit tunnels accepted since start.
    pub transit_accepted: u64,
    /// Transit requests refused since start.
    pub transit_refused: u64,
    /// Local destinations.
    pub destinations: usize,
    /// Destinations with a LeaseSet.
    pub destinations_ready: usize,
    /// Client streams.
    pub streams: usize,
    /// Messages dropped for being malformed, expired or unwanted.
    pub dropped: u64,
    /// Names of the address book.
    pub names: usize,
}

impl Router {
    /// The numbers now.
    #[must_use]
    pub fn snapshot(&self, now: Now) -> Snapshot {
        Snapshot {
            uptime_secs: now.mono.since(self.started).as_secs(),
            peers: self.connected.len(),
            routers: self.netdb.router_count(),
            floodfills: self.netdb.floodfill_count(),
            lease_sets: self.netdb.lease_set_count(),
            tunnels: self.tunnels.stats(),
            transit_accepted: self.counters.transit_accepted,
            transit_refused: self.counters.transit_refused,
            destinations: self.dests.len(),
            destinations_ready: self
                .dests
                .values()
                .filter(|d| d.lease_set().is_some())
                .count(),
            streams: self.clients.len(),
            dropped: self.counters.dropped,
            names: self.hosts.len(),
        }
    }
}
