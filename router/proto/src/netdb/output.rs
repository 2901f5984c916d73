//! What the network database asks for.

use super::{Context, LookupId, ReplyPath, Target};
use crate::peer::profile::Observation;
use crate::router::output::Persist;
use crate::secret::Secret;
use crate::time::Instant;
use crate::wire::hash::{RouterHash, TunnelId};
use crate::wire::i2np::Message;

/// What the netDb asks for.
#[derive(Clone)]
pub enum NetDbOutput {
    /// Send a message to a router.
    Send {
        /// Whose tunnel to use.
        ctx: Context,
        /// The router; its RouterInfo is known unless it is a reply.
        to: RouterHash,
        /// The message.
        message: Message,
        /// Seal it in router garlic under this X25519 key of `to`.
        seal: Option<[u8; 32]>,
        /// Over a link with `to`; otherwise out of an outbound tunnel of `ctx`.
        direct: bool,
    },
    /// Send a message into somebody's inbound tunnel: as TunnelGateway over a link with its
    /// gateway. It is sealed already if that was asked for.
    SendTunnel {
        /// The gateway.
        gateway: RouterHash,
        /// Tunnel id there.
        tunnel: TunnelId,
        /// The message.
        message: Message,
    },
    /// A reply as one-time garlic is to be expected, out of this tunnel alone.
    ExpectTag {
        /// The context.
        ctx: Context,
        /// The inbound tunnel that the question names.
        path: ReplyPath,
        /// Its tag.
        tag: [u8; 8],
        /// Its key.
        key: Secret<32>,
        /// Forget it then.
        until: Instant,
    },
    /// A lookup succeeded; the value is in the netDb.
    Found {
        /// The lookup.
        id: LookupId,
        /// Its context.
        ctx: Context,
        /// What was found.
        target: Target,
    },
    /// A lookup ended without success.
    NotFound {
        /// The lookup.
        id: LookupId,
        /// Its context.
        ctx: Context,
        /// What was not found.
        target: Target,
    },
    /// Something to keep over a restart.
    Persist(Persist),
    /// A floodfill answered, or did not.
    Observed {
        /// The floodfill.
        router: RouterHash,
        /// What it did.
        what: Observation,
    },
}
