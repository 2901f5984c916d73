//! How messages of the network database come and go: links and tunnels, as it sees them.

use super::Context;
use crate::rng::Rng;
use crate::wire::hash::{RouterHash, TunnelId};

/// An inbound tunnel that answers can come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyPath {
    /// Its gateway.
    pub gateway: RouterHash,
    /// Its id there.
    pub tunnel: TunnelId,
}

/// The tunnels as the netDb sees them.
pub trait Paths {
    /// An inbound tunnel of that context's pool. Of several, not one whose gateway is `asked`:
    /// Java's floodfills do not seal an answer that they hand to themselves.
    fn reply_path(
        &self,
        ctx: Context,
        asked: Option<RouterHash>,
        rng: &mut Rng,
    ) -> Option<ReplyPath>;
    /// Whether that context has an outbound tunnel.
    fn has_outbound(&self, ctx: Context) -> bool;
}

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Plain, over the link with this router.
    Link(RouterHash),
    /// In garlic for our router key that came over the link with this router.
    RouterGarlic(RouterHash),
    /// Plain, out of this inbound tunnel of the context.
    Tunnel(ReplyPath),
    /// In one-time garlic under this tag, see [`super::NetDbOutput::ExpectTag`].
    Reply([u8; 8]),
}

impl Source {
    /// The link that it came by, without a tunnel of ours.
    pub(super) const fn link(self) -> Option<RouterHash> {
        match self {
            Self::Link(hash) | Self::RouterGarlic(hash) => Some(hash),
            Self::Tunnel(_) | Self::Reply(_) => None,
        }
    }
}
