//! What streams say and what they hand out.

use crate::wire::hash::DestHash;
use core::fmt;

/// Names a stream of one [`super::Streams`]; never used twice. Zero names none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// A packet to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The receiver.
    pub to: DestHash,
    /// For the envelope.
    pub from_port: u16,
    /// For the envelope.
    pub to_port: u16,
    /// The streaming packet.
    pub payload: Vec<u8>,
    /// The first packet of our direction.
    pub syn: bool,
    /// Its sequence number; `None` for what is sent once and not acknowledged.
    pub seq: Option<u32>,
    /// A copy of it was sent before.
    pub again: bool,
    /// Whole timeouts without a sign of life before this copy: a reason to doubt the session.
    /// Zero when the peer owes no answer, as after its own CLOSE.
    pub resend: u32,
    /// The stream; zero for answers to pings and strays.
    pub id: StreamId,
}

/// Why a stream ended before its bytes did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetWhy {
    /// The peer said so, or left without taking everything.
    Peer,
    /// What was sent has not been answered, resends included.
    Timeout,
    /// The SYN was never answered.
    NoAnswer,
    /// The stream came to a limit of the protocol.
    Protocol,
    /// [`super::Streams::reset`] was called.
    Local,
}

/// What happened to a stream or to the path to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEvent {
    /// The peer answered our SYN.
    Opened {
        /// The stream.
        id: StreamId,
    },
    /// A peer opened a stream.
    Incoming {
        /// The stream.
        id: StreamId,
        /// The peer.
        from: DestHash,
        /// Our port that it called.
        port: u16,
    },
    /// Bytes in order. They count against the receive buffer until [`super::Streams::consume`].
    Data {
        /// The stream.
        id: StreamId,
        /// The bytes, at most 64 KiB.
        bytes: Vec<u8>,
    },
    /// `n` more bytes of the send buffer are free; at first all of
    /// [`super::StreamConfig::send_buffer`] is.
    Writable {
        /// The stream.
        id: StreamId,
        /// Bytes freed since the last one.
        n: usize,
    },
    /// The peer sends nothing more.
    Finished {
        /// The stream.
        id: StreamId,
    },
    /// The stream is over in order. Nothing more follows.
    Closed {
        /// The stream.
        id: StreamId,
    },
    /// The stream is over otherwise. Nothing more follows.
    Reset {
        /// The stream.
        id: StreamId,
        /// Why.
        why: ResetWhy,
    },
    /// Bytes of the stream were not answered for a whole timeout.
    StandsStill {
        /// The stream.
        id: StreamId,
        /// The peer.
        to: DestHash,
    },
    /// Bytes of a stream that stood still were acknowledged.
    GoesOn {
        /// The stream.
        id: StreamId,
        /// The peer.
        to: DestHash,
    },
    /// An acknowledgement came: the path works.
    Progress {
        /// The peer.
        to: DestHash,
    },
    /// Stream bytes were not acknowledged for a whole timeout: the path may be dead.
    Stalled {
        /// The peer.
        to: DestHash,
    },
    /// Something was not answered that not every peer answers, as a SYN to a port where nobody
    /// listens, or the peer sends again what was acknowledged: worth another path, but no reason
    /// to blame the one in use.
    Unanswered {
        /// The peer.
        to: DestHash,
    },
}

/// Why a stream cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// As many streams exist as may.
    TooMany,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => f.write_str("too many streams"),
        }
    }
}

impl core::error::Error for StreamError {}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamStats {
    /// Packets taken in.
    pub received: u64,
    /// Packets given out.
    pub sent: u64,
    /// Of these, packets sent before.
    pub resent: u64,
    /// Packets that had been received before.
    pub duplicates: u64,
    /// Packets for which a receive buffer had no room.
    pub overflows: u64,
    /// Packets that do not parse or contradict the protocol.
    pub bad: u64,
    /// Packets whose signature or sender is wrong.
    pub bad_signatures: u64,
    /// SYNs refused by rate, limits or for want of a listener.
    pub refused: u64,
    /// Packets of no stream, and those after the end of one.
    pub strays: u64,
    /// Times that a stream stood still, and that one went on again.
    pub stalled: u64,
    /// See [`Self::stalled`].
    pub recovered: u64,
    /// How streams ended.
    pub ended: Ends,
}

/// How many streams ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// In order.
    pub closed: u64,
    /// [`ResetWhy::Peer`].
    pub peer: u64,
    /// [`ResetWhy::Timeout`].
    pub timeout: u64,
    /// [`ResetWhy::NoAnswer`].
    pub no_answer: u64,
    /// [`ResetWhy::Protocol`].
    pub protocol: u64,
    /// [`ResetWhy::Local`].
    pub local: u64,
}

impl StreamStats {
    /// Counts what an event says of a stream.
    pub(super) const fn note(&mut self, event: &StreamEvent) {
        let ended = &mut self.ended;
        let counter = match event {
            StreamEvent::StandsStill { .. } => &mut self.stalled,
            StreamEvent::GoesOn { .. } => &mut self.recovered,
            StreamEvent::Closed { .. } => &mut ended.closed,
            StreamEvent::Reset { why, .. } => match why {
                ResetWhy::Peer => &mut ended.peer,
                ResetWhy::Timeout => &mut ended.timeout,
                ResetWhy::NoAnswer => &mut ended.no_answer,
                ResetWhy::Protocol => &mut ended.protocol,
                ResetWhy::Local => &mut ended.local,
            },
            _ => return,
        };
        *counter += 1;
    }

    /// Adds the counters of another destination.
    pub const fn add(&mut self, s: &Self) {
        self.received += s.received;
        self.sent += s.sent;
        self.resent += s.resent;
        self.duplicates += s.duplicates;
        self.overflows += s.overflows;
        self.bad += s.bad;
        self.bad_signatures += s.bad_signatures;
        self.refused += s.refused;
        self.strays += s.strays;
        self.stalled += s.stalled;
        self.recovered += s.recovered;
        self.ended.closed += s.ended.closed;
        self.ended.peer += s.ended.peer;
        self.ended.timeout += s.ended.timeout;
        self.ended.no_answer += s.ended.no_answer;
        self.ended.protocol += s.ended.protocol;
        self.ended.local += s.ended.local;
    }
}
