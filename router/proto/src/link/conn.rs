//! The state of one socket.

use super::ntcp2::established::Established;
use super::ntcp2::handshake::initiator::Initiator;
use super::ntcp2::handshake::responder::Responder;
use crate::time::Instant;
use crate::wire::hash::RouterHash;
use crate::wire::router_address::Ntcp2Address;
use core::time::Duration;
use std::net::SocketAddr;

/// How long connecting may take.
pub const CONNECT: Duration = Duration::from_secs(5);
/// How long a handshake may take.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// What a socket is doing.
pub enum State {
    /// Our connect is under way.
    Connecting {
        /// Whom we call.
        peer: RouterHash,
        /// Where.
        address: Ntcp2Address,
        /// Where else, if that fails.
        rest: Vec<Ntcp2Address>,
    },
    /// Our message 1 is out. The state is absent only while it is being worked on.
    Dialling {
        /// Whom we call.
        peer: RouterHash,
        /// The handshake.
        state: Option<Box<Initiator>>,
    },
    /// A peer called. The state is absent only while it is being worked on.
    Answering(Option<Box<Responder>>),
    /// Established.
    Open(Box<Link>),
    /// Given up, but not yet closed: reads on for a random while, so that a prober learns nothing
    /// from the moment of closing.
    Tarpit {
        /// Bytes that are still read.
        left: usize,
        /// Written at the end.
        last: Option<Vec<u8>>,
    },
}

/// An established link.
pub struct Link {
    /// The peer.
    pub peer: RouterHash,
    /// Whether the peer opened it.
    pub inbound: bool,
    /// The data phase.
    pub established: Established,
    /// When the peer's clock was last reported.
    pub clock_told: Option<Instant>,
    /// Set when a newer link took its place: when it ends at the latest.
    pub lingers: Option<Instant>,
}

/// One socket.
pub struct Conn {
    /// The other end.
    pub remote: SocketAddr,
    /// What it is doing.
    pub state: State,
    /// Bytes given to the shell that are not written.
    pub unsent: usize,
    /// When the shell last wrote some.
    pub progress: Instant,
    /// Its entry in the timers.
    pub timer: Instant,
}

impl Conn {
    /// A socket with the time limit of its state.
    pub fn new(now: Instant, remote: SocketAddr, state: State) -> Self {
        let limit = match state {
            State::Connecting { .. } => CONNECT,
            _ => HANDSHAKE,
        };
        Self {
            remote,
            state,
            unsent: 0,
            progress: now,
            timer: now + limit,
        }
    }

    /// The link, when established.
    pub fn link(&mut self) -> Option<&mut Link> {
        match &mut self.state {
            State::Open(link) => Some(link),
            _ => None,
        }
    }
}
