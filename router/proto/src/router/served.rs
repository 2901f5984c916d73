//! Destinations that are served: added and removed while the router runs, and how they are.

use super::Router;
use crate::config::{DestinationKeys, PoolConfig};
use crate::dest::local::LocalDest;
use crate::netdb::Context;
use crate::time::Now;
use crate::wire::hash::DestHash;

/// What becomes a served destination.
#[derive(Clone)]
pub struct Serving {
    /// Its keys.
    pub keys: DestinationKeys,
    /// Its tunnels.
    pub pool: PoolConfig,
    /// Ports that take streams; none: all do.
    pub ports: Vec<u16>,
}

/// How a served destination is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServedView {
    /// Which.
    pub dest: DestHash,
    /// A floodfill has confirmed its newest LeaseSet.
    pub published: bool,
    /// Tunnels that its LeaseSet names.
    pub leases: usize,
}

impl Router {
    /// Serves a destination from now on; one that is served already stays as it is.
    pub fn serve(&mut self, now: Now, serving: Serving) {
        let hash = serving.keys.destination.hash();
        if self.dests.served_mut(hash).is_some() {
            return;
        }
        let pool = self.add_destination(now, serving.keys, true, serving.pool);
        let Some(dest) = self.dests.get_mut(pool) else {
            return;
        };
        if serving.ports.is_empty() {
            dest.streams.listen(0);
        }
        for port in serving.ports {
            dest.streams.listen(port);
        }
        self.settle(now);
    }

    /// Ends a served destination with its streams and tunnels.
    pub fn unserve(&mut self, now: Now, dest: DestHash) {
        let is_it = |d: &LocalDest| d.served && d.hash() == dest;
        let found = self.dests.iter().find(|(_, d)| is_it(d));
        let pool = found.map(|(pool, _)| pool);
        if let Some(pool) = pool {
            self.give_up(now, pool);
            self.settle(now);
        }
    }

    /// How the served destinations are.
    pub(super) fn served(&self) -> Vec<ServedView> {
        let all = self.dests.iter().filter(|(_, d)| d.served);
        all.map(|(pool, d)| ServedView {
            dest: d.hash(),
            published: self.netdb.is_published(Context::Client(pool.0)),
            leases: d.lease_set().map_or(0, |ls| ls.leases().len()),
        })
        .collect()
    }
}
