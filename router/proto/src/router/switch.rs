//! Whose event goes to whom: one file per source of events, each a `match` whose arms are calls.

mod clients;
mod dests;
mod garlic;
mod links;
mod netdb;
mod readiness;
mod tunnels;

use super::Router;
use crate::time::Now;

/// Rounds of passing events between subsystems before the router lets its shell breathe. What is
/// left is taken up at the next input or tick.
const ROUNDS: usize = 64;

impl Router {
    /// Passes outputs of subsystems to each other until all are quiet.
    pub(super) fn settle(&mut self, now: Now) {
        for _ in 0..ROUNDS {
            let busy = self.drain_loopback(now)
                | self.drain_tunnels(now)
                | self.drain_netdb(now)
                | self.drain_dests(now);
            if !busy {
                return;
            }
        }
    }
}
