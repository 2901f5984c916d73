//! Outputs of our own tunnels.

use crate::netdb::{Context, ReplyPath, Source};
use crate::router::output::LinkCmd;
use crate::router::peers::Chooser;
use crate::router::{EXPLORATORY, Router};
use crate::time::Now;
use crate::tunnel::{BuildResult, InboundId, PoolId, TunnelOutput};
use crate::wire::i2np::{Message, kind};

impl Router {
    pub(in crate::router) fn tunnels_timeout(&mut self, now: Now) {
        let mut chooser = Chooser {
            netdb: &self.netdb,
            peers: &self.peers,
            connected: &self.connected,
            now,
        };
        self.tunnels
            .handle_timeout(now, &mut self.rng, &mut chooser);
    }

    pub(super) fn drain_tunnels(&mut self, now: Now) -> bool {
        let mut busy = false;
        while let Some(output) = self.tunnels.poll_output() {
            busy = true;
            self.on_tunnels(now, output);
        }
        busy
    }

    fn on_tunnels(&mut self, now: Now, output: TunnelOutput) {
        match output {
            TunnelOutput::Send { to, class, message } => self.send_direct(to, class, message),
            TunnelOutput::Dial(peer) => self.dial(now, peer),
            TunnelOutput::InstallOwn { id, from } => self.link(LinkCmd::InstallOwn { id, from }),
            TunnelOutput::RemoveOwn(id) => self.link(LinkCmd::RemoveOwn(id)),
            TunnelOutput::Received {
                pool,
                tunnel,
                message,
            } => self.deliver_from_tunnel(now, pool, tunnel, &message),
            TunnelOutput::Changed { pool } => self.tunnels_changed(now, pool),
            TunnelOutput::WayOut { pool } => self.dests.wake(pool),
            TunnelOutput::Outcome { hops, result, .. } => {
                self.peers.outcome(now, &hops, &result);
                if result == BuildResult::Accepted {
                    for hop in &hops {
                        self.netdb.prove(hop);
                    }
                    self.tend_clients(now);
                }
            }
        }
    }

    /// A message that came out of one of our inbound tunnels: nobody knows who sent it. Answers to
    /// lookups are sealed, only confirmations of stores come bare; requests come over links.
    fn deliver_from_tunnel(&mut self, now: Now, pool: PoolId, tunnel: InboundId, m: &Message) {
        match (m.kind, self.tunnels.gateway_of(tunnel)) {
            (kind::GARLIC, _) => self.open_tunnel_garlic(now, pool, tunnel, m),
            (kind::DELIVERY_STATUS, Some((gateway, tunnel))) => {
                let path = ReplyPath { gateway, tunnel };
                self.tell_netdb(now, context(pool), Source::Tunnel(path), m);
            }
            _ => self.counters.dropped += 1,
        }
    }

    /// The LeaseSet of a destination follows its inbound tunnels.
    fn tunnels_changed(&mut self, now: Now, pool: PoolId) {
        let Some(dest) = self.dests.get_mut(pool) else {
            return;
        };
        if !dest.tunnels_changed(now, self.tunnels.inbound(pool)) || !dest.served {
            return;
        }
        if let Some(ls) = dest.lease_set().cloned() {
            self.netdb
                .publish_lease_set(now, Context::Client(pool.0), ls);
        }
    }
}

/// Whose lookups a pool carries.
pub(super) const fn context(pool: PoolId) -> Context {
    if pool.0 == EXPLORATORY.0 {
        Context::Router
    } else {
        Context::Client(pool.0)
    }
}

/// The pool that carries a context's lookups.
pub(super) const fn pool_of(ctx: Context) -> PoolId {
    match ctx {
        Context::Router => EXPLORATORY,
        Context::Client(n) => PoolId(n),
    }
}
