//! The way by which an answer has to come. The far ends of our tunnels see the answers to our
//! builds and tests and could hand them to whom they suspect, over a link or into another tunnel:
//! whoever took one from there would say that the tunnel is his.

use super::InboundId;
use super::inbound::Inbound;
use crate::secret::Secret;
use crate::wire::hash::RouterHash;

/// How a message came: over the link with `from`, and by it out of an inbound tunnel of ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) tunnel: Option<InboundId>,
    pub(super) from: RouterHash,
}

/// What an answer is bound to; from elsewhere it is a message like any unknown one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The link with this router: it is the last hop before us.
    Link(RouterHash),
    /// An inbound tunnel; who brings its cells is checked before.
    Tunnel(InboundId),
    /// A gateway of our own, into which this router puts the answer.
    Gateway(InboundId, RouterHash),
}

impl Way {
    /// Out of the endpoint of an outbound tunnel, back by an inbound one.
    pub(super) const fn back(id: InboundId, tunnel: &Inbound, endpoint: RouterHash) -> Self {
        if tunnel.hops.is_empty() {
            Self::Gateway(id, endpoint)
        } else {
            Self::Tunnel(id)
        }
    }

    pub(super) fn admits(self, arrival: Arrival) -> bool {
        match self {
            Self::Link(peer) => arrival.tunnel.is_none() && arrival.from == peer,
            Self::Tunnel(id) => arrival.tunnel == Some(id),
            Self::Gateway(id, peer) => arrival.tunnel == Some(id) && arrival.from == peer,
        }
    }
}

/// What the one-time garlic of a tag is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum TagUse {
    Build(u32),
    Test(u32),
}

/// One-time garlic that is waited for.
#[derive(Clone)]
pub(super) struct Once {
    pub(super) key: Secret<32>,
    pub(super) what: TagUse,
    pub(super) way: Way,
}
