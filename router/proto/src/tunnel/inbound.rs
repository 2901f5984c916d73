//! The receiving end of our inbound tunnels: layers off, messages together, local ones up.
//!
//! Putting fragments together is [`super::reassemble`] (i2p spec/tunnel-message,
//! docs/tunnels/implementation).

use super::fragment::TunnelDelivery;
use super::health::Health;
use super::outbound::peel;
use super::own::Life;
use super::plan::PoolId;
use super::reassemble::Reassembler;
use super::way::{Arrival, Once, TagUse};
use super::{InboundId, InboundInfo, TunnelOutput, Tunnels};
use crate::crypto::tunnel_aes::LayerKeys;
use crate::garlic::clove::{Block, Delivery};
use crate::garlic::{clove, one_time};
use crate::rng::Rng;
use crate::time::Now;
use crate::wire::hash::{RouterHash, TunnelId};
use crate::wire::i2np::tunnel::{TunnelData, TunnelGateway};
use crate::wire::i2np::{Message, kind};

/// A tunnel towards us.
pub(super) struct Inbound {
    pub(super) pool: PoolId,
    /// In order of travel; none when we are the gateway.
    pub(super) hops: Vec<RouterHash>,
    /// Tunnel id at the gateway.
    pub(super) gateway_id: TunnelId,
    /// Tunnel id at us.
    pub(super) receive: TunnelId,
    pub(super) keys: Vec<LayerKeys>,
    pub(super) reassembler: Reassembler,
    pub(super) life: Life,
    pub(super) health: Health,
    /// Only takes replies to the first builds, before there is any other tunnel.
    pub(super) hidden: bool,
    /// Replaced or expired: still received from, no longer offered.
    pub(super) retired: bool,
}

impl Inbound {
    pub(super) fn gateway(&self, us: RouterHash) -> RouterHash {
        self.hops.first().copied().unwrap_or(us)
    }

    /// The router that cells come from.
    pub(super) fn last(&self, us: RouterHash) -> RouterHash {
        self.hops.last().copied().unwrap_or(us)
    }

    pub(super) const fn listed(&self) -> bool {
        !self.hidden && !self.retired
    }

    pub(super) fn info(&self, id: InboundId, us: RouterHash) -> InboundInfo {
        InboundInfo {
            id,
            gateway: self.gateway(us),
            gateway_tunnel: self.gateway_id,
            receive: self.receive,
            last: self.last(us),
            expires: self.life.expires,
            expires_date: self.life.expires_date,
            hops: self.hops.len() as u8,
            rtt: self.health.rtt,
            failing: self.health.failing,
            doubted: self.health.is_in_doubt(),
            proven: self.health.is_proven(),
        }
    }
}

impl Tunnels {
    /// Whether a message that came over the link with `from` is for this machine: cells and gateway
    /// messages of our own inbound tunnels, and replies to builds where `from` is the last hop.
    /// One-time garlic never is: it comes out of tunnels.
    pub fn claims(&mut self, from: RouterHash, message: &Message) -> bool {
        match message.kind {
            kind::TUNNEL_DATA | kind::TUNNEL_GATEWAY => self.is_for_own_tunnel(message),
            _ => self.is_awaited(Arrival { tunnel: None, from }, message),
        }
    }

    /// Whether a TunnelData or TunnelGateway message bears the id of an inbound tunnel of ours.
    #[must_use]
    pub fn is_for_own_tunnel(&self, message: &Message) -> bool {
        let id = message.body.first_chunk::<4>();
        id.is_some_and(|id| {
            let id = TunnelId(u32::from_be_bytes(*id));
            self.by_receive.contains_key(&id)
        })
    }

    /// Whether a build or test waits for the message and it came the way it has to.
    fn is_awaited(&mut self, arrival: Arrival, message: &Message) -> bool {
        let way = match message.kind {
            kind::SHORT_TUNNEL_BUILD | kind::OUTBOUND_TUNNEL_BUILD_REPLY => {
                self.by_reply.get(&message.id).map(|(_, way)| *way)
            }
            kind::GARLIC => tag_of(message)
                .and_then(|tag| self.tags.get(&tag))
                .map(|once| once.way),
            _ => None,
        };
        let Some(way) = way else {
            return false;
        };
        let right = way.admits(arrival);
        self.stats.wrong_way += u64::from(!right);
        right
    }

    /// The id here of the inbound tunnel that the message is the build reply of.
    #[must_use]
    pub fn receive_of(&self, message: &Message) -> Option<TunnelId> {
        let inbound = message.kind == kind::SHORT_TUNNEL_BUILD;
        let (build, _) = self.by_reply.get(&message.id).filter(|_| inbound)?;
        self.builds.get(build)?.receive_here()
    }

    /// The tunnel with this gateway and this id there.
    #[must_use]
    pub fn inbound_at(&self, gateway: RouterHash, id: TunnelId) -> Option<InboundId> {
        let fits = |t: &Inbound| t.gateway_id == id && t.gateway(self.us) == gateway;
        let mut all = self.inbound.iter();
        all.find(|(_, t)| fits(t)).map(|(id, _)| *id)
    }

    /// Gateway of a tunnel and its id there.
    #[must_use]
    pub fn gateway_of(&self, tunnel: InboundId) -> Option<(RouterHash, TunnelId)> {
        let t = self.inbound.get(&tunnel)?;
        Some((t.gateway(self.us), t.gateway_id))
    }

    /// Takes a message for which [`Tunnels::claims`] holds. `from` is the router that sent it over
    /// its link, or ourselves for what was looped back. Malformed ones are counted and dropped.
    pub fn handle_message(&mut self, now: Now, rng: &mut Rng, from: RouterHash, message: Message) {
        match message.kind {
            kind::TUNNEL_DATA => self.receive_cell(now, rng, from, &message),
            kind::TUNNEL_GATEWAY => self.receive_gateway(now, rng, from, &message),
            _ => {
                if self.is_awaited(Arrival { tunnel: None, from }, &message) {
                    self.consume(now, rng, &message);
                } else {
                    self.stats.unknown += 1;
                }
            }
        }
    }

    fn receive_cell(&mut self, now: Now, rng: &mut Rng, from: RouterHash, message: &Message) {
        let Ok(mut data) = TunnelData::parse(&message.body) else {
            self.stats.malformed += 1;
            return;
        };
        let us = self.us;
        let id = self.by_receive.get(&data.id).copied();
        let found = id.and_then(|id| self.inbound.get_mut(&id).map(|t| (id, t)));
        let Some((id, tunnel)) = found.filter(|(_, t)| !t.hops.is_empty() && t.last(us) == from)
        else {
            self.stats.unknown += 1;
            return;
        };
        self.stats.cells_received += 1;
        peel(&tunnel.keys, &mut data.cell);
        let Ok(pieces) = tunnel.reassembler.accept(now, &data.cell) else {
            self.stats.malformed += 1;
            return;
        };
        for (delivery, bytes) in pieces {
            if delivery != TunnelDelivery::Local {
                self.stats.not_local += 1;
                continue;
            }
            match Message::parse_long(&bytes) {
                Ok(inner) => self.deliver(now, rng, id, from, inner),
                Err(_) => self.stats.malformed += 1,
            }
        }
    }

    fn receive_gateway(&mut self, now: Now, rng: &mut Rng, from: RouterHash, message: &Message) {
        let Ok(gateway) = TunnelGateway::parse(&message.body) else {
            self.stats.malformed += 1;
            return;
        };
        let id = self.by_receive.get(&gateway.id).copied();
        let Some(id) = id.filter(|id| self.inbound.get(id).is_some_and(|t| t.hops.is_empty()))
        else {
            self.stats.unknown += 1;
            return;
        };
        match Message::parse_long(&gateway.inner) {
            Ok(inner) => self.deliver(now, rng, id, from, inner),
            Err(_) => self.stats.malformed += 1,
        }
    }

    /// A message came out of an inbound tunnel. One for another tunnel of ours has no business
    /// there.
    fn deliver(
        &mut self,
        now: Now,
        rng: &mut Rng,
        tunnel: InboundId,
        from: RouterHash,
        message: Message,
    ) {
        let arrival = Arrival {
            tunnel: Some(tunnel),
            from,
        };
        if self.is_awaited(arrival, &message) {
            return self.consume(now, rng, &message);
        }
        let nested = matches!(message.kind, kind::TUNNEL_DATA | kind::TUNNEL_GATEWAY);
        let pool = self.inbound.get(&tunnel).filter(|t| !t.hidden && !nested);
        match pool.map(|t| t.pool) {
            Some(pool) => self.outputs.push_back(TunnelOutput::Received {
                pool,
                tunnel,
                message,
            }),
            None => self.stats.unknown += 1,
        }
    }

    /// Replies to builds, bare or in garlic, and tests that came back, each by its way.
    fn consume(&mut self, now: Now, rng: &mut Rng, message: &Message) {
        if message.kind != kind::GARLIC {
            if let Some((build, _)) = self.by_reply.get(&message.id).copied() {
                self.build_answered(now, rng, build, &message.body);
            }
            return;
        }
        let found = tag_of(message).and_then(|tag| Some((tag, self.tags.get(&tag)?.clone())));
        let Some((tag, Once { key, what, .. })) = found else {
            return;
        };
        let content = crate::garlic::content(&message.body).ok();
        let payload = content.and_then(|content| one_time::open(&key, &tag, content));
        let blocks = payload.and_then(|payload| clove::parse_blocks(&payload).ok());
        let inner = blocks.into_iter().flatten().find_map(|block| match block {
            Block::Clove(c) if c.delivery == Delivery::Local => Some(c.message),
            _ => None,
        });
        match (inner, what) {
            (Some(inner), TagUse::Test(number)) => self.test_came_back(now, number, &inner),
            (Some(inner), TagUse::Build(build)) if is_build_reply(&inner) => {
                self.build_answered(now, rng, build, &inner.body);
            }
            _ => self.stats.malformed += 1,
        }
    }
}

/// The first eight bytes of garlic content.
fn tag_of(message: &Message) -> Option<[u8; 8]> {
    let (_, rest) = message.body.split_at_checked(4)?;
    rest.first_chunk::<8>().copied()
}

const fn is_build_reply(message: &Message) -> bool {
    matches!(
        message.kind,
        kind::OUTBOUND_TUNNEL_BUILD_REPLY | kind::SHORT_TUNNEL_BUILD
    )
}
