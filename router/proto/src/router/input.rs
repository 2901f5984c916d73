//! Everything that can happen to the router.

use super::output::Class;
use crate::wire::hash::{DestHash, RouterHash};
use crate::wire::i2np::Message;
use crate::wire::router_info::RouterInfo;
use std::net::IpAddr;
use std::sync::Arc;

/// Number of a client stream, chosen by the shell for outgoing ones and by the router (top bit
/// set) for incoming ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// Who opened a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The peer dialled us.
    Inbound,
    /// We dialled the peer.
    Outbound,
}

/// Why a link ended or could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkDown {
    /// The peer has no address that we can dial.
    NoAddress,
    /// Connecting failed or timed out before the handshake.
    Unreachable,
    /// The handshake failed or timed out.
    Handshake,
    /// The peer's clock and ours are too far apart.
    Clock,
    /// We had no room for one more dial or link; that is not the peer's fault.
    NoRoom,
    /// The peer ended the link with this termination reason (i2p spec/ntcp2, Termination).
    PeerTerminated(u8),
    /// We ended the link with this termination reason.
    Terminated(u8),
    /// The socket was closed under us.
    Closed,
    /// Nothing was sent or received for the idle time.
    Idle,
    /// A newer link with the same peer took its place.
    Replaced,
}

/// What the links thread tells the router.
#[derive(Clone, Debug)]
pub enum LinkEvent {
    /// A link is established. Inbound links bring the peer's verified RouterInfo.
    Up {
        /// The peer.
        peer: RouterHash,
        /// Who dialled.
        direction: Direction,
        /// The RouterInfo of the handshake.
        info: Option<Arc<RouterInfo>>,
    },
    /// A link is gone, or a dial failed.
    Down {
        /// The peer.
        peer: RouterHash,
        /// Why.
        why: LinkDown,
    },
    /// A message for the control plane: anything but the cells of transit tunnels.
    I2np {
        /// The router that sent it over its link.
        from: RouterHash,
        /// The message.
        message: Message,
    },
    /// Bytes of a third party's RouterInfo out of a data-phase block, not verified.
    Router {
        /// The router that sent it.
        from: RouterHash,
        /// Serialised RouterInfo, at most [`crate::limits::ROUTER_INFO_MAX`] bytes.
        bytes: Vec<u8>,
        /// The peer asks to have it flooded.
        flood: bool,
    },
    /// There is a message for a router without a link; answer with `Dial` or `NoRouter`.
    WantRouter {
        /// The router to be reached.
        peer: RouterHash,
        /// Whose business it is.
        class: Class,
    },
    /// What a peer's clock says: at each handshake of a link that we dialled, whatever comes of it;
    /// of others only when the difference is large.
    Skew {
        /// The router that was observed.
        from: RouterHash,
        /// Seconds, positive when the peer is ahead of us.
        secs: i64,
        /// We chose to talk to it; others choose themselves.
        dialled: bool,
    },
    /// What transit used since the last report; comes once a second while there is any.
    Load {
        /// Bytes sent on.
        transit_bytes_per_sec: u64,
        /// Messages were dropped for want of bandwidth.
        limited: bool,
    },
    /// The peer saw us at this address.
    SeenAs {
        /// The observing router.
        from: RouterHash,
        /// Our address as it saw it.
        addr: IpAddr,
    },
}

/// What local clients ask for.
#[derive(Clone, Debug)]
pub enum ClientCmd {
    /// Open a stream to `host:port` on behalf of the isolation tag.
    Open {
        /// The new stream.
        id: ClientId,
        /// Who asks: streams of different tags never share a destination.
        tag: Vec<u8>,
        /// Name: from the address book, `….b32.i2p`, or a destination in base64.
        host: String,
        /// Port at the destination; 0 is the default.
        port: u16,
    },
    /// Bytes to send; the shell stays within the credit it was given.
    Data {
        /// The stream.
        id: ClientId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The client took `n` bytes of earlier `ClientEvent::Data`.
    Consumed {
        /// The stream.
        id: ClientId,
        /// Bytes taken.
        n: usize,
    },
    /// The client will send no more (half-close).
    Finish {
        /// The stream.
        id: ClientId,
    },
    /// The client is gone or gave up.
    Reset {
        /// The stream.
        id: ClientId,
    },
    /// The tag is not used any more: its destination ends when its streams have ended.
    Forget {
        /// See `Open`.
        tag: Vec<u8>,
    },
    /// Accept streams at a served destination's port.
    Listen {
        /// The local destination, created from configured keys.
        dest: DestHash,
        /// Port to accept on; 0 accepts any.
        port: u16,
    },
}
