//! The sending end of our outbound tunnels: cells with all layers taken off in advance.
//!
//! Cutting messages into cells is [`super::fragment`] (i2p spec/tunnel-message,
//! docs/tunnels/implementation).

use super::fragment::{TunnelDelivery, fragment};
use super::health::Health;
use super::own::Life;
use super::plan::PoolId;
use super::{MESSAGE_LIFE, OutboundId, OutboundInfo, TunnelOutput, Tunnels};
use crate::crypto::tunnel_aes::{CELL, LayerKeys};
use crate::limits;
use crate::rng::Rng;
use crate::router::output::Class;
use crate::time::Now;
use crate::wire::hash::{MessageId, RouterHash, TunnelId};
use crate::wire::i2np::Message;
use crate::wire::i2np::tunnel::{TunnelData, TunnelGateway};

/// A tunnel away from us.
pub(super) struct Outbound {
    pub(super) pool: PoolId,
    /// In order of travel; none when we deliver ourselves.
    pub(super) hops: Vec<RouterHash>,
    /// Tunnel id at the first hop.
    pub(super) first_id: TunnelId,
    pub(super) keys: Vec<LayerKeys>,
    pub(super) life: Life,
    pub(super) health: Health,
}

impl Outbound {
    pub(super) fn first(&self, us: RouterHash) -> RouterHash {
        self.hops.first().copied().unwrap_or(us)
    }

    pub(super) fn endpoint(&self, us: RouterHash) -> RouterHash {
        self.hops.last().copied().unwrap_or(us)
    }

    pub(super) fn info(&self, id: OutboundId, us: RouterHash) -> OutboundInfo {
        OutboundInfo {
            id,
            first: self.first(us),
            endpoint: self.endpoint(us),
            expires: self.life.expires,
            expires_date: self.life.expires_date,
            hops: self.hops.len() as u8,
            rtt: self.health.rtt,
            failing: self.health.failing,
            doubted: self.health.is_in_doubt(),
        }
    }
}

/// Applies, as decryptions, the layers that the hops will add; the last hop's first. Taking the
/// layers off what came in is the same.
pub(super) fn peel(keys: &[LayerKeys], cell: &mut [u8; CELL]) {
    for hop in keys.iter().rev() {
        hop.decrypt(cell);
    }
}

impl Tunnels {
    /// Sends messages through one of our outbound tunnels, all with the same delivery.
    /// [`TunnelDelivery::Local`] is the endpoint itself. At most [`limits::TUNNEL_SEND_MAX`] at
    /// once; `false` when there is no such tunnel.
    pub fn send(
        &mut self,
        now: Now,
        rng: &mut Rng,
        tunnel: OutboundId,
        delivery: TunnelDelivery,
        messages: Vec<Message>,
    ) -> bool {
        self.send_as(now, rng, Class::Own, tunnel, delivery, &messages)
    }

    pub(super) fn send_as(
        &mut self,
        now: Now,
        rng: &mut Rng,
        class: Class,
        id: OutboundId,
        delivery: TunnelDelivery,
        messages: &[Message],
    ) -> bool {
        let Some(tunnel) = self.outbound.get(&id) else {
            return false;
        };
        let messages = messages.get(..limits::TUNNEL_SEND_MAX).unwrap_or(messages);
        let Some(first) = tunnel.hops.first().copied() else {
            for message in messages {
                self.deliver_ourselves(now, rng, class, delivery, message.clone());
            }
            return true;
        };
        let list: Vec<_> = messages.iter().map(|m| (delivery, m.to_long())).collect();
        let mut cells = fragment(&list, rng);
        for cell in &mut cells {
            peel(&tunnel.keys, cell);
        }
        let at = tunnel.first_id;
        self.stats.cells_sent += cells.len() as u64;
        for cell in cells {
            let data = TunnelData {
                id: at,
                cell: Box::new(cell),
            };
            let id = MessageId(rng.nonzero_u32());
            let message = data.to_message(id, now.wall + MESSAGE_LIFE);
            self.outputs.push_back(TunnelOutput::Send {
                to: first,
                class,
                message,
            });
        }
        true
    }

    /// What the endpoint would do, for a tunnel without hops.
    fn deliver_ourselves(
        &mut self,
        now: Now,
        rng: &mut Rng,
        class: Class,
        delivery: TunnelDelivery,
        message: Message,
    ) {
        let (to, message) = match delivery {
            TunnelDelivery::Local => (self.us, message),
            TunnelDelivery::Router(to) => (to, message),
            TunnelDelivery::Tunnel(to, id) => {
                let inner = message.to_long();
                let gateway = TunnelGateway { id, inner };
                let id = MessageId(rng.nonzero_u32());
                let Ok(message) = gateway.to_message(id, now.wall + MESSAGE_LIFE) else {
                    return;
                };
                (to, message)
            }
        };
        self.send_direct(to, class, message);
    }

    /// Over a link, which is opened if need be.
    pub(super) fn send_direct(&mut self, to: RouterHash, class: Class, message: Message) {
        if to != self.us {
            self.outputs.push_back(TunnelOutput::Dial(to));
        }
        self.outputs
            .push_back(TunnelOutput::Send { to, class, message });
    }
}
