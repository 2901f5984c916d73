//! Whether the router itself is what a client waits for: then that is the cause to tell, and no
//! site is blamed for it.

use crate::router::output::{Missing, Readiness, Refusal};
use crate::router::{EXPLORATORY, Router};
use crate::time::Now;
use crate::tunnel::PoolId;
use core::time::Duration;

/// Right after the start links and tunnels come within a second or two.
const STARTING: Duration = Duration::from_secs(15);
/// Clients wait so long for them.
const START_PATIENCE: Duration = Duration::from_secs(2);
/// A new destination has no tunnels for so long while the router has others.
const BUILD_PATIENCE: Duration = Duration::from_secs(10);

impl Router {
    /// What is missing before a stream of this destination can open; `None` when nothing is.
    pub(super) fn readiness(&self, now: Now, pool: PoolId) -> Option<Readiness> {
        let outbound = self.tunnels.outbound(pool).count();
        let inbound = self.tunnels.inbound(pool).count();
        let dest = self.dests.get(pool);
        let offered = inbound > 0 && dest.is_some_and(|d| d.lease_set().is_some());
        if !self.connected.is_empty() && outbound > 0 && offered {
            return None;
        }
        let routers = self.netdb.router_count();
        let missing = if self.clock_is_wrong(now) {
            Missing::Clock
        } else if !self.connected.is_empty() {
            Missing::Tunnels
        } else if routers == 0 {
            Missing::Routers
        } else {
            Missing::Peers
        };
        Some(Readiness {
            missing,
            routers,
            peers: self.connected.len(),
            outbound,
            inbound,
        })
    }

    /// How long a client waits for what is missing before it is told so.
    pub(super) fn patience(&self, now: Now, missing: Missing) -> Duration {
        let young = now.mono.since(self.started) < STARTING;
        match missing {
            Missing::Clock | Missing::Routers => Duration::ZERO,
            Missing::Tunnels if self.tunnels.outbound(EXPLORATORY).next().is_some() => {
                BUILD_PATIENCE
            }
            Missing::Peers | Missing::Tunnels if young => START_PATIENCE,
            Missing::Peers | Missing::Tunnels => Duration::ZERO,
        }
    }

    /// Why a site could not be reached: the router's own trouble comes first.
    pub(super) fn cause(&self, now: Now, pool: PoolId, why: Refusal) -> Refusal {
        let readiness = self.readiness(now, pool).or_else(|| {
            // With a wrong clock every entry of the network looks expired.
            self.clock_is_wrong(now).then(|| Readiness {
                missing: Missing::Clock,
                routers: self.netdb.router_count(),
                peers: self.connected.len(),
                outbound: self.tunnels.outbound(pool).count(),
                inbound: self.tunnels.inbound(pool).count(),
            })
        });
        readiness.map_or(why, Refusal::NotReady)
    }

    fn clock_is_wrong(&self, now: Now) -> bool {
        self.clock.view(now).is_wrong()
    }
}

#[cfg(test)]
mod tests;
