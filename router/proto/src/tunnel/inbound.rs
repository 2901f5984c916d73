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
use super::{InboundId, InboundInfo, TagUse, TunnelOutput, Tunnels};
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
            proven: self.health.is_proven(),
        }
    }
}

impl Tunnels {
    /// Whether the message is for this machine: cells and gateway messages of our own inbound
    /// tunnels, replies to our builds, garlic of our own tests and replies.
    #[must_use]
    pub fn owns(&self, message: &Message) -> bool {
        match message.kind {
            kind::TUNNEL_DATA | kind::TUNNEL_GATEWAY => {
                let id = message.body.first_chunk::<4>();
                id.is_some_and(|id| {
                    self.by_receive
                        .contains_key(&TunnelId(u32::from_be_bytes(*id)))
                })
            }
            kind::SHORT_TUNNEL_BUILD | kind::OUTBOUND_TUNNEL_BUILD_REPLY => {
                self.by_reply.contains_key(&message.id)
            }
            kind::GARLIC => self.tag_of(message).is_some(),
            _ => false,
        }
    }

    /// Takes a message for which [`Tunnels::owns`] holds. `from` is the router that sent it over
    /// its link, or ourselves for what was looped back. Malformed ones are counted and dropped.
    pub fn handle_message(&mut self, now: Now, rng: &mut Rng, from: RouterHash, message: Message) {
        match message.kind {
            kind::TUNNEL_DATA => self.receive_cell(now, rng, from, &message),
            kind::TUNNEL_GATEWAY => self.receive_gateway(now, rng, &message),
            _ => {
                if self.owns(&message) {
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
                Ok(inner) => self.deliver(now, rng, id, inner),
                Err(_) => self.stats.malformed += 1,
            }
        }
    }

    fn receive_gateway(&mut self, now: Now, rng: &mut Rng, message: &Message) {
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
            Ok(inner) => self.deliver(now, rng, id, inner),
            Err(_) => self.stats.malformed += 1,
        }
    }

    /// A message came out of an inbound tunnel.
    fn deliver(&mut self, now: Now, rng: &mut Rng, tunnel: InboundId, message: Message) {
        let of_tunnel = matches!(message.kind, kind::TUNNEL_DATA | kind::TUNNEL_GATEWAY);
        if !of_tunnel && self.owns(&message) {
            self.consume(now, rng, &message);
            return;
        }
        let pool = self
            .inbound
            .get(&tunnel)
            .filter(|t| !t.hidden)
            .map(|t| t.pool);
        match pool {
            Some(pool) => self.outputs.push_back(TunnelOutput::Received {
                pool,
                tunnel,
                message,
            }),
            None => self.stats.unknown += 1,
        }
    }

    fn tag_of(&self, message: &Message) -> Option<[u8; 8]> {
        let (_, rest) = message.body.split_at_checked(4)?;
        let tag = rest.first_chunk::<8>()?;
        self.tags.contains_key(tag).then_some(*tag)
    }

    /// Replies to builds, bare or in garlic, and tests that came back.
    fn consume(&mut self, now: Now, rng: &mut Rng, message: &Message) {
        if let Some(build) = self.by_reply.get(&message.id).copied()
            && message.kind != kind::GARLIC
        {
            self.build_answered(now, rng, build, &message.body);
            return;
        }
        let found = self.tag_of(message).and_then(|tag| {
            self.tags
                .get(&tag)
                .map(|(key, used)| (tag, key.clone(), *used))
        });
        let Some((tag, key, used)) = found else {
            return;
        };
        let content = crate::garlic::content(&message.body).ok();
        let payload = content.and_then(|content| one_time::open(&key, &tag, content));
        let blocks = payload.and_then(|payload| clove::parse_blocks(&payload).ok());
        let inner = blocks.into_iter().flatten().find_map(|block| match block {
            Block::Clove(c) if c.delivery == Delivery::Local => Some(c.message),
            _ => None,
        });
        match (inner, used) {
            (Some(inner), TagUse::Test(number)) => self.test_came_back(now, number, &inner),
            (Some(inner), TagUse::Build(build)) if is_build_reply(&inner) => {
                self.build_answered(now, rng, build, &inner.body);
            }
            _ => self.stats.malformed += 1,
        }
    }
}

const fn is_build_reply(message: &Message) -> bool {
    matches!(
        message.kind,
        kind::OUTBOUND_TUNNEL_BUILD_REPLY | kind::SHORT_TUNNEL_BUILD
    )
}
