//! Everything the router can ask for.

use super::input::ClientId;
use crate::relay::hop::Hop;
use crate::wire::hash::{DestHash, RouterHash, TunnelId};
use crate::wire::i2np::Message;
use crate::wire::router_info::RouterInfo;
use std::sync::Arc;

/// Priority of a message on a link; lower ones are dropped first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Transit data of other routers' tunnels.
    Transit,
    /// Answers that we owe, and requests that we pass on: others choose to whom.
    Answer,
    /// Data of our own tunnels.
    Own,
    /// Our own builds, lookups, stores and tests.
    Control,
}

/// What the links thread is told to do.
#[derive(Clone, Debug)]
pub enum LinkCmd {
    /// Dial this router unless there is a link or a dial under way.
    Dial(Arc<RouterInfo>),
    /// The wanted router is not known: drop what waits for it.
    NoRouter(RouterHash),
    /// Send a message over the link with `to`; without a link it waits briefly for a `Dial`.
    Send {
        /// The peer.
        to: RouterHash,
        /// Priority.
        class: Class,
        /// The message.
        message: Message,
    },
    /// End the link with this termination reason.
    Close {
        /// The peer.
        peer: RouterHash,
        /// Termination reason (i2p spec/ntcp2, Termination).
        reason: u8,
    },
    /// Carry a transit tunnel.
    InstallHop(Hop),
    /// Stop carrying it.
    RemoveHop(TunnelId),
    /// Cells under this id from this router are for our own inbound tunnel: pass them up.
    InstallOwn {
        /// Receiving tunnel id at us.
        id: TunnelId,
        /// The last hop before us.
        from: RouterHash,
    },
    /// Our inbound tunnel is gone.
    RemoveOwn(TunnelId),
    /// Our own RouterInfo changed: used in handshakes from now on.
    OwnInfo(Arc<RouterInfo>),
    /// Share of the configured bandwidth that transit may use, in bytes per second.
    TransitLimit(u64),
}

/// What the router lacks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A clock that can be right.
    Clock,
    /// Routers of the network.
    Routers,
    /// A link with any of them.
    Peers,
    /// Tunnels of the client's destination.
    Tunnels,
}

/// What is missing before any stream can open, and what is there so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// What is missing.
    pub missing: Missing,
    /// RouterInfos known.
    pub routers: usize,
    /// Routers with a link.
    pub peers: usize,
    /// Outbound tunnels of the client's destination.
    pub outbound: usize,
    /// Its inbound tunnels.
    pub inbound: usize,
}

/// Why a client's stream was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not a name this router can read.
    BadName,
    /// Not in the address book.
    UnknownName,
    /// The router itself is not ready for anybody; whether the site is there is not known.
    NotReady(Readiness),
    /// The network has no LeaseSet of the destination.
    NoLeaseSet,
    /// The name is one of an encrypted LeaseSet, which takes a key that this router has no place
    /// for.
    Encrypted,
    /// The LeaseSet has no key or lease that can be used.
    Unusable,
    /// There was a LeaseSet, but no answer.
    NoAnswer,
    /// The destination refused the stream.
    Rejected,
    /// The destination took the stream, then ended it without a byte.
    Empty,
    /// A local limit on streams or destinations is reached.
    Limit,
    /// The router is shutting down.
    Closing,
}

/// What clients are told.
#[derive(Clone, Debug)]
pub enum ClientEvent {
    /// The name was resolved; bytes written from now on travel as soon as the stream can open.
    Resolved {
        /// The stream.
        id: ClientId,
        /// What the name names.
        dest: DestHash,
    },
    /// The stream waits for the router itself, and will for a while: who shows pages may show one.
    NotReady {
        /// The stream.
        id: ClientId,
        /// What is missing.
        readiness: Readiness,
    },
    /// The stream is open; data may have been accepted before.
    Opened {
        /// The stream.
        id: ClientId,
    },
    /// The stream could not be opened.
    Refused {
        /// The stream.
        id: ClientId,
        /// Why.
        why: Refusal,
    },
    /// A remote opened a stream to a listening destination.
    Incoming {
        /// The new stream.
        id: ClientId,
        /// Our destination.
        dest: DestHash,
        /// The port it was opened to.
        port: u16,
        /// The remote destination.
        from: DestHash,
        /// The same in full; empty when it is gone already.
        destination: Vec<u8>,
    },
    /// Bytes of the remote, in order.
    Data {
        /// The stream.
        id: ClientId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The remote will send no more.
    Finished {
        /// The stream.
        id: ClientId,
    },
    /// The stream is gone.
    Reset {
        /// The stream.
        id: ClientId,
    },
    /// `n` more bytes may be sent.
    Credit {
        /// The stream.
        id: ClientId,
        /// Bytes.
        n: usize,
    },
}

/// What is to be kept over a restart; the network can give it back.
#[derive(Clone, Debug)]
pub enum Persist {
    /// A RouterInfo, or its removal.
    Router {
        /// Key.
        hash: RouterHash,
        /// Serialised RouterInfo.
        info: Option<Arc<RouterInfo>>,
    },
    /// A peer profile, or its removal.
    Profile {
        /// Key.
        hash: RouterHash,
        /// Serialised profile.
        bytes: Option<Vec<u8>>,
    },
}

/// One request of the router to its shell.
#[derive(Clone, Debug)]
pub enum Output {
    /// To the links.
    Link(LinkCmd),
    /// To a client.
    Client(ClientEvent),
    /// To the store.
    Persist(Persist),
    /// Something worth a log line.
    Trace(crate::trace::Event),
}
