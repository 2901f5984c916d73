//! The values that [`super::Ratchets`] takes and gives.

use super::peer::PeerKey;
use crate::garlic::clove::Block;
use crate::time::Instant;
use crate::wire::error::WireError;

/// Names a message for which an acknowledgement was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AckId(pub u64);

/// How things stand with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// Nothing: the next message is an NS.
    None,
    /// NS were sent and not answered.
    Pending {
        /// When the first of them was sent.
        since: Instant,
        /// How many.
        sent: u32,
    },
    /// The peer sent an NS: the next messages are NSR.
    Owes,
    /// The next message is an ES.
    Established,
}

/// Kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentKind {
    /// NS.
    NewSession,
    /// NSR.
    NewSessionReply,
    /// ES.
    Existing,
}

/// A sealed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Content of the Garlic message, without its four length bytes.
    pub content: Vec<u8>,
    /// What it is.
    pub kind: SentKind,
    /// The acknowledgement that was asked for; none outside an ES.
    pub ack: Option<AckId>,
}

/// An opened message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Whose it is; `None` of an NS that wants no session.
    pub peer: Option<PeerKey>,
    /// What it is.
    pub kind: SentKind,
    /// Its blocks. Acknowledgements and next keys among them have been taken in.
    pub blocks: Vec<Block>,
    /// Messages of ours that it acknowledges.
    pub acked: Vec<AckId>,
}

/// Why nothing was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealError {
    /// The blocks do not fit one message.
    TooLarge,
    /// The peer's key is of small order.
    BadKey,
    /// The session has used up its message numbers.
    Exhausted,
}

/// Why nothing was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// No known tag, and too short for an NS.
    Unknown,
    /// Too many attempts to open an NS.
    Metered,
    /// The NS was opened before.
    Replay,
    /// It does not verify.
    Sealed,
    /// The NS has no time, or one too far from ours.
    Stale,
    /// It verifies, but its blocks do not parse.
    Payload(WireError),
}

/// What is held and what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Peers with any state.
    pub peers: usize,
    /// Sessions of all peers.
    pub sessions: usize,
    /// Tags expected.
    pub tags: usize,
    /// Tag sets those are of.
    pub sets: usize,
    /// Message keys of skipped messages.
    pub skipped_keys: usize,
    /// Ephemeral keys remembered against replays.
    pub replay_keys: usize,
    /// Bytes of all that, without the allocator's overhead.
    pub bytes: usize,
    /// Messages sealed.
    pub sealed: u64,
    /// Messages opened.
    pub opened: u64,
    /// Messages refused.
    pub refused: u64,
    /// Peers forgotten for want of room.
    pub evicted: u64,
}
