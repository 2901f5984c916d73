//! Outputs of local destinations.

use crate::config::{DestinationKeys, PoolConfig};
use crate::dest::local::{DestOutput, LocalDest};
use crate::dest::path::Path;
use crate::router::Router;
use crate::time::Now;
use crate::trace::{Event, Level, Sensitive};
use crate::tunnel::fragment::TunnelDelivery;
use crate::tunnel::{AnyTunnel, PoolId, PoolSettings};

impl Router {
    pub(super) fn drain_dests(&mut self, now: Now) -> bool {
        let (pools, room) = self.dests.woken();
        let mut busy = false;
        for pool in pools {
            let outbound: Vec<_> = self.tunnels.outbound(pool).collect();
            let Some(dest) = self.dests.get_mut(pool) else {
                continue;
            };
            dest.streams.set_room(now, room);
            dest.drive(now, &mut self.rng, &outbound);
            let outputs: Vec<_> = std::iter::from_fn(|| dest.poll_output()).collect();
            if outputs.is_empty() {
                self.dests.rest(pool);
                continue;
            }
            // What it asked for may be answered at once: it is driven until it is quiet.
            busy = true;
            for output in outputs {
                self.on_dest(now, pool, output);
            }
        }
        busy
    }

    fn on_dest(&mut self, now: Now, pool: PoolId, output: DestOutput) {
        match output {
            DestOutput::Lookup(hash) => self.look_up_lease_set(now, pool, hash),
            DestOutput::Send { path, message } => {
                let delivery = TunnelDelivery::Tunnel(path.gateway, path.tunnel);
                let rng = &mut self.rng;
                if !self
                    .tunnels
                    .send(now, rng, path.outbound, delivery, vec![message])
                {
                    self.counters.dropped += 1;
                }
            }
            DestOutput::PathFailed(path) => self.report(now, path, false),
            DestOutput::PathWorks(path) => self.report(now, path, true),
            DestOutput::Stream(event) => self.on_stream(now, pool, event),
            DestOutput::Unreachable(hash) => self.on_unreachable(now, pool, hash),
            DestOutput::Unheard => self.tunnels.suspect_all(now, pool),
            DestOutput::Note(what, hash) => {
                self.trace(Event::Dest(Level::Debug, what, Sensitive(hash)));
            }
        }
    }

    /// Tells the tunnels what a path of ours did.
    fn report(&mut self, now: Now, path: Path, ok: bool) {
        self.tunnels
            .report(now, AnyTunnel::Outbound(path.outbound), ok);
    }

    /// A new destination with tunnels of its own.
    pub(in crate::router) fn add_destination(
        &mut self,
        now: Now,
        keys: DestinationKeys,
        served: bool,
        c: PoolConfig,
    ) -> PoolId {
        let pool = PoolId(self.next_pool);
        self.next_pool += 1;
        let settings = PoolSettings {
            inbound_hops: c.hops,
            outbound_hops: c.hops,
            inbound_quantity: c.quantity,
            outbound_quantity: c.quantity,
        };
        self.tunnels.add_pool(now, pool, settings);
        self.dests.insert(pool, LocalDest::new(keys, served));
        pool
    }

    /// Keeps a spare destination, gives up idle ones.
    pub(in crate::router) fn tend_destinations(&mut self, now: Now) {
        for pool in self.isolation.take_idle(now.mono) {
            self.give_up(now, pool);
        }
        let room = self.isolation.len() < self.config.destinations;
        if self.config.spare_destination && room && !self.isolation.has_spare() {
            self.add_spare(now);
        }
    }

    /// Ends a client destination with all that it has.
    pub(in crate::router) fn give_up(&mut self, now: Now, pool: PoolId) {
        self.clients.drop_pool(pool, &mut self.outputs);
        self.dests.remove(pool);
        self.tunnels.remove_pool(now, pool);
        self.netdb
            .drop_context(crate::netdb::Context::Client(pool.0));
    }

    pub(in crate::router) fn add_spare(&mut self, now: Now) {
        let keys = crate::router::boot::client_keys(&mut self.rng);
        if let Some(keys) = keys {
            let pool = self.add_destination(now, keys, false, self.config.client);
            self.isolation.set_spare(pool);
        }
    }
}
