//! One row of the transit table: what a hop needs to know to relay.

use crate::crypto::tunnel_aes::LayerKeys;
use crate::time::Instant;
use crate::wire::hash::{RouterHash, TunnelId};

/// What we do for the tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// First hop of an inbound tunnel: anyone sends TunnelGateway messages to us.
    InboundGateway,
    /// A hop in the middle.
    Participant,
    /// Last hop of an outbound tunnel: we deliver what the instructions say.
    OutboundEndpoint,
}

/// A transit hop. The keys are wiped when it is dropped.
#[derive(Clone)]
pub struct Hop {
    /// Tunnel id at us.
    pub id: TunnelId,
    /// Our part.
    pub role: Role,
    /// The router that cells must come from; `None` at an inbound gateway.
    pub from: Option<RouterHash>,
    /// The router that cells go to; unused at an outbound endpoint.
    pub next: RouterHash,
    /// Tunnel id at `next`; unused at an outbound endpoint.
    pub next_id: TunnelId,
    /// Layer and IV key.
    pub keys: LayerKeys,
    /// When the row dies.
    pub expires: Instant,
}

impl core::fmt::Debug for Hop {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Hop({:?}, {:?})", self.id, self.role)
    }
}
