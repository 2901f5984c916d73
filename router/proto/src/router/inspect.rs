//! What checkers of simulations look at: paths, destinations, and how full the queues are.
//!
//! Names and paths are sensitive: nothing here may reach a log or a status page.

use super::Router;
use crate::time::Instant;
use crate::tunnel::{Direction, PoolId};
use crate::wire::hash::{DestHash, RouterHash, TunnelId};
use crate::wire::lease_set2::LeaseSet2;
use std::sync::Arc;

/// One tunnel of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathView {
    /// The pool that it belongs to.
    pub pool: PoolId,
    /// Which way it goes.
    pub direction: Direction,
    /// Its hops in order of travel.
    pub hops: Vec<RouterHash>,
    /// Tunnel id at the first of them.
    pub entry: TunnelId,
}

/// One local destination.
#[derive(Clone, Debug)]
pub struct DestView {
    /// Its pool of tunnels.
    pub pool: PoolId,
    /// Its hash.
    pub hash: DestHash,
    /// Whether others may look it up.
    pub served: bool,
    /// Its LeaseSet, once it has tunnels.
    pub lease_set: Option<Arc<LeaseSet2>>,
    /// Messages that wait for one of its remotes, at most.
    pub waiting_max: usize,
    /// Remotes that it keeps.
    pub remotes: usize,
}

impl Router {
    /// Whether another router's RouterInfo is kept.
    #[must_use]
    pub fn has_router(&self, hash: &RouterHash) -> bool {
        *hash != self.us && self.netdb.router(hash).is_some()
    }

    /// Whether a router's profile is kept.
    #[must_use]
    pub fn has_profile(&self, hash: &RouterHash) -> bool {
        self.peers.has_profile(hash)
    }

    /// The tunnels that are in use.
    pub fn paths(&self) -> impl Iterator<Item = PathView> + '_ {
        self.tunnels
            .paths()
            .map(|(pool, direction, hops, entry)| PathView {
                pool,
                direction,
                hops: hops.to_vec(),
                entry,
            })
    }

    /// The machines whose deadline has come.
    #[must_use]
    pub fn overdue(&self, now: Instant) -> Vec<&'static str> {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let mut dests = self.dests.iter();
        [
            ("tunnels", due(self.tunnels.deadline())),
            ("netdb", due(self.netdb.deadline())),
            ("a destination", dests.any(|(_, d)| due(d.deadline()))),
            ("the router itself", self.next_tick <= now),
        ]
        .into_iter()
        .filter_map(|(name, due)| due.then_some(name))
        .collect()
    }

    /// The local destinations.
    pub fn destinations(&self) -> impl Iterator<Item = DestView> + '_ {
        self.dests.iter().map(|(pool, d)| {
            let (remotes, waiting_max) = d.backlog();
            DestView {
                pool,
                hash: d.hash(),
                served: d.served,
                lease_set: d.lease_set().cloned(),
                waiting_max,
                remotes,
            }
        })
    }
}
