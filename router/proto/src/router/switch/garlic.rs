//! Garlic messages: who can open them, and where their cloves go.

use crate::garlic;
use crate::garlic::clove::{Block, Clove, Delivery, parse_blocks};
use crate::netdb::{Context, Source};
use crate::router::output::Class;
use crate::router::{EXPLORATORY, Router};
use crate::time::Now;
use crate::tunnel::{InboundId, OutboundInfo, PoolId, best_of};
use crate::wire::hash::RouterHash;
use crate::wire::i2np::{Message, kind};

impl Router {
    /// Garlic that a link brought: a message to us as a router. One-time replies come out of
    /// tunnels alone.
    pub(super) fn open_router_garlic(&mut self, now: Now, from: RouterHash, m: &Message) {
        let Ok(content) = garlic::content(&m.body) else {
            return self.drop_one();
        };
        self.tags.note_link(content);
        if !self.peers.allow_garlic(now, from) {
            return self.drop_one();
        }
        let Some(payload) = garlic::to_router::open(&self.keys.encryption, content) else {
            return self.drop_one();
        };
        let Ok(blocks) = parse_blocks(&payload) else {
            return self.drop_one();
        };
        for block in blocks {
            if let Block::Clove(clove) = block {
                self.deliver_router_clove(now, from, clove);
            }
        }
    }

    /// A clove for us as a router: stores, lookups and build requests. Answers to what we asked do
    /// not come this way.
    fn deliver_router_clove(&mut self, now: Now, from: RouterHash, clove: Clove) {
        let m = clove.message;
        match (clove.delivery, m.kind) {
            (Delivery::Local, kind::DATABASE_STORE | kind::DATABASE_LOOKUP) => {
                self.tell_netdb(now, Context::Router, Source::RouterGarlic(from), &m);
            }
            (Delivery::Local, kind::SHORT_TUNNEL_BUILD | kind::VARIABLE_TUNNEL_BUILD) => {
                self.admit(now, from, &m);
            }
            _ => self.drop_one(),
        }
    }

    /// Garlic out of an inbound tunnel: a one-time reply that was asked for by it, or for the
    /// destination whose tunnel it is.
    pub(super) fn open_tunnel_garlic(
        &mut self,
        now: Now,
        pool: PoolId,
        tunnel: InboundId,
        m: &Message,
    ) {
        let Ok(content) = garlic::content(&m.body) else {
            return self.drop_one();
        };
        if let Some((tag, payload)) = self.tags.open(tunnel, content, now.mono) {
            return self.deliver_reply(now, pool, tag, &payload);
        }
        match self.dests.get_mut(pool) {
            Some(dest) => dest.handle_garlic(now, &mut self.rng, content),
            None => self.drop_one(),
        }
    }

    /// The cloves of a one-time reply: answers to what this pool's owner asked.
    fn deliver_reply(&mut self, now: Now, pool: PoolId, tag: [u8; 8], payload: &[u8]) {
        let Ok(blocks) = parse_blocks(payload) else {
            return self.drop_one();
        };
        for block in blocks {
            let Block::Clove(Clove {
                delivery: Delivery::Local,
                message,
            }) = block
            else {
                continue;
            };
            match message.kind {
                kind::DATABASE_STORE | kind::DATABASE_SEARCH_REPLY => {
                    let ctx = super::tunnels::context(pool);
                    self.tell_netdb(now, ctx, Source::Reply(tag), &message);
                }
                _ => self.drop_one(),
            }
        }
    }

    pub(super) const fn drop_one(&mut self) {
        self.counters.dropped += 1;
    }

    /// Wraps a message for a router and sends it out of a pool's outbound tunnel; without a tunnel
    /// it goes over a link.
    pub(super) fn send_sealed(
        &mut self,
        now: Now,
        pool: PoolId,
        to: RouterHash,
        key: &[u8; 32],
        message: Message,
    ) {
        let expires = message.expires;
        let blocks = [
            Block::DateTime(now.wall.secs_u32_rounded()),
            Block::Clove(Clove {
                delivery: Delivery::Local,
                message,
            }),
        ];
        let sealed = garlic::clove::write_blocks(&blocks)
            .ok()
            .and_then(|payload| garlic::to_router::seal(key, &payload, &mut self.rng));
        let Some(content) = sealed else {
            return self.drop_one();
        };
        let id = crate::wire::hash::MessageId(self.rng.nonzero_u32());
        let wrapped = garlic::to_message(&content, id, expires);
        self.send_by_pool(now, pool, to, wrapped);
    }

    /// Sends to a router out of one of the pool's outbound tunnels; the router's own messages go
    /// over a link when it has none. What a destination says never does.
    pub(super) fn send_by_pool(&mut self, now: Now, pool: PoolId, to: RouterHash, m: Message) {
        let tunnels = ways_out(self.tunnels.outbound(pool));
        let delivery = crate::tunnel::fragment::TunnelDelivery::Router(to);
        match self.rng.pick(&tunnels) {
            Some(tunnel) => {
                self.tunnels
                    .send(now, &mut self.rng, tunnel.id, delivery, vec![m]);
            }
            None if pool == EXPLORATORY => self.send_direct(to, Class::Control, m),
            None => self.drop_one(),
        }
    }
}

/// The tunnels that speak least against themselves.
fn ways_out(tunnels: impl Iterator<Item = OutboundInfo>) -> Vec<OutboundInfo> {
    best_of(&tunnels.collect::<Vec<_>>(), OutboundInfo::weakness)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Date, Instant};
    use crate::tunnel::OutboundId;

    #[test]
    fn what_is_in_doubt_is_sent_by_after_what_is_not_and_what_fails_last() {
        let tunnel = |n: u32, failing, doubted| OutboundInfo {
            id: OutboundId(n),
            first: RouterHash([1; 32]),
            endpoint: RouterHash([2; 32]),
            expires: Instant(1),
            expires_date: Date::from_secs(1),
            hops: 1,
            rtt: None,
            failing,
            doubted,
        };
        let ids = |tunnels: &[OutboundInfo]| -> Vec<u32> {
            let best = ways_out(tunnels.iter().copied());
            best.iter().map(|t| t.id.0).collect()
        };
        let [doubted, failing] = [tunnel(1, false, true), tunnel(2, true, false)];
        let good = [tunnel(3, false, false), tunnel(4, false, false)];
        assert_eq!(ids(&[doubted, failing, good[0], good[1]]), [3, 4]);
        assert_eq!(ids(&[failing, doubted]), [1]);
        assert_eq!(ids(&[tunnel(5, true, true), failing]), [2]);
    }
}
