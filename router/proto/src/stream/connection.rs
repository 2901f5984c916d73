//! One stream: opening, the two halves, the ways it ends (i2p spec/streaming; i2p
//! docs/api/streaming, Setup and Close).
//!
//! i2pd ends both directions of a stream at a CLOSE, so the end of our bytes is said late
//! ([`Fin::Polite`]): when the far side is done too, or after both sides have been idle.

mod ending;
mod output;

pub(crate) use ending::Silence;

use super::config::StreamConfig;
use super::packet::{CHOKE, CLOSE, NO_ACK, Packet, PeerKey, RESET, SYN};
use super::recv::{RecvSide, Verdict};
use super::repeats::Repeats;
use super::rtt::Rtt;
use super::send::SendSide;
use super::window::Window;
use super::{ResetWhy, StreamEvent, StreamId};
use crate::crypto::sig::SigningKey;
use crate::time::{Instant, Now};
use crate::wire::hash::DestHash;
use crate::wire::identity::Destination;
use core::time::Duration;

/// Largest [`StreamEvent::Data`] in bytes.
const DATA_EVENT: usize = 65_536;
/// Least MTU that a peer may ask for (i2p docs/api/streaming, `MIN_MESSAGE_SIZE`).
const MTU_MIN: u16 = 512;
/// Stands for a round-trip time that is not known yet.
const RTT_UNKNOWN: Duration = Duration::from_secs(1);

/// What all streams of a destination share.
pub(crate) struct Local {
    pub config: StreamConfig,
    pub destination: Destination,
    pub hash: DestHash,
    pub key: SigningKey,
}

/// Names and ports of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    pub id: StreamId,
    pub peer: DestHash,
    pub from_port: u16,
    pub to_port: u16,
    /// Our id on the wire.
    pub local: u32,
    /// The peer's id on the wire; 0 while it is unknown.
    pub remote: u32,
    pub incoming: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fin {
    /// More may be written.
    Open,
    /// Nothing more will be written, but the far side may still answer.
    Polite,
    /// Nothing more will be written: say so as soon as everything is sent.
    Now,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    Reset(ResetWhy),
}

/// What a packet was good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Nothing,
    /// Something of ours arrived.
    Progress,
    /// It answers something of ours that is not taken yet.
    Answer,
    Duplicate,
    /// The same again and again: what acknowledges it seems not to arrive.
    Again,
    /// No room for it.
    Dropped,
    /// It comes after the end of what the peer sends.
    Late,
    /// It contradicts the protocol.
    Bad,
    /// A signature is wrong.
    BadSignature,
}

/// One stream.
pub(crate) struct Connection {
    pub names: Names,
    key: Option<PeerKey>,
    mtu: u16,
    opened: bool,
    told_open: bool,
    told_finished: bool,
    told_end: bool,
    end: Option<End>,
    reset_out: bool,
    /// The peer's CLOSE is still to be acknowledged.
    ack_out: bool,
    fin: Fin,
    send: SendSide,
    recv: RecvSide,
    started: Instant,
    /// The first packet waits until then for bytes to carry.
    hold_until: Instant,
    heard: Instant,
    /// When stream bytes last moved.
    moved: Instant,
    /// When the peer's CLOSE was taken.
    closed_at: Option<Instant>,
    /// It stands still: bytes went unanswered and none were acknowledged since.
    stalled: bool,
    repeats: Repeats,
    told_stalled: bool,
    /// What its receiving half held when it was last counted.
    pub counted: usize,
}

impl Connection {
    /// A stream to be opened by us; `memory` is the round-trip time and window of an earlier
    /// stream to the same peer.
    pub(crate) fn new(
        now: Instant,
        local: &Local,
        names: Names,
        memory: Option<(Duration, u32)>,
    ) -> Self {
        let c = &local.config;
        let rtt = memory.map_or_else(Rtt::default, |(rtt, _)| Rtt::remembered(rtt));
        let start = memory.map_or(c.window_start, |(_, w)| w.max(c.window_start));
        Self {
            names,
            key: None,
            mtu: c.mtu,
            opened: names.incoming,
            told_open: false,
            told_finished: false,
            told_end: false,
            end: None,
            reset_out: false,
            ack_out: false,
            fin: Fin::Open,
            send: SendSide::new(c.send_buffer, Window::new(start, c.window_max), rtt),
            recv: RecvSide::new(c.receive_buffer),
            started: now,
            hold_until: now + c.syn_hold,
            heard: now,
            moved: now,
            closed_at: None,
            stalled: false,
            repeats: Repeats::default(),
            told_stalled: false,
            counted: 0,
        }
    }

    // --- the application ------------------------------------------------------------------------

    pub(crate) fn write(&mut self, now: Instant, data: &[u8]) -> usize {
        if self.fin != Fin::Open || self.end.is_some() {
            return 0;
        }
        let n = self.send.write(data);
        if n > 0 {
            self.moved = now;
        }
        n
    }

    pub(crate) fn consume(&mut self, now: Instant, n: usize) {
        self.recv.consume(now, n);
        self.moved = now;
    }

    /// Bytes held for the application.
    pub(crate) fn held(&self) -> usize {
        self.recv.held()
    }

    /// How much it may hold: see [`RecvSide::set_share`].
    pub(crate) fn set_share(&mut self, now: Instant, (free, tight): (usize, bool)) {
        self.recv.set_share(now, free, tight);
    }

    pub(crate) fn finish(&mut self, now: Instant) {
        if self.fin == Fin::Open {
            self.fin = if self.names.incoming {
                Fin::Now
            } else {
                Fin::Polite
            };
            self.moved = now;
        }
    }

    pub(crate) fn close(&mut self, now: Instant) {
        self.fin = Fin::Now;
        self.moved = now;
        self.recv.discard(now);
    }

    pub(crate) fn reset(&mut self) {
        if self.end.is_none() {
            self.end = Some(End::Reset(ResetWhy::Local));
            self.reset_out = self.names.remote != 0;
        }
    }

    // --- the peer -------------------------------------------------------------------------------

    /// Takes a packet of this stream in; `bytes` are what it was parsed from.
    pub(crate) fn handle(&mut self, now: Now, local: &Local, p: Packet, bytes: &[u8]) -> Heard {
        if self.end.is_some() {
            return Heard::Nothing;
        }
        if p.has(SYN) && self.key.is_none() {
            let heard = self.open(now, local, &p, bytes);
            if heard != Heard::Progress {
                return heard;
            }
        }
        if self.names.remote != 0 && p.recv_id != self.names.remote && p.recv_id != 0 {
            return Heard::Bad;
        }
        if (p.has(CLOSE) || p.has(RESET)) && !self.signature_holds(&p, bytes) {
            return Heard::BadSignature;
        }
        self.heard = now.mono;
        if !self.opened {
            // The peer knows of the stream: its answer was lost.
            self.send.repeat_first(now.mono);
        }
        if p.has(RESET) {
            // Who has forgotten a stream that was over may answer our CLOSE so.
            let over = self.recv.is_closed() && !self.send.owes_bytes();
            self.end = Some(if over && self.send.close_seq.is_some() {
                End::Closed
            } else {
                End::Reset(ResetWhy::Peer)
            });
            return Heard::Nothing;
        }
        let heard = self.handle_ack(now.mono, &p);
        let taken = self.handle_payload(now.mono, p);
        self.check_end(now.mono);
        if taken == Heard::Nothing {
            heard
        } else {
            taken
        }
    }

    /// The peer's SYN: who it is, what it takes.
    fn open(&mut self, now: Now, local: &Local, p: &Packet, bytes: &[u8]) -> Heard {
        let Some(from) = &p.from else {
            return Heard::BadSignature;
        };
        if from.hash() != self.names.peer || p.recv_id == 0 || p.seq != 0 {
            return Heard::Bad;
        }
        let key = PeerKey::new(from, p.offline.as_ref(), now.wall);
        let Some(key) = key.filter(|k| p.verify(bytes, k)) else {
            return Heard::BadSignature;
        };
        self.key = Some(key);
        self.names.remote = p.recv_id;
        self.opened = true;
        if let Some(n) = p.max_size {
            self.mtu = n.clamp(MTU_MIN, local.config.mtu);
        }
        Heard::Progress
    }

    /// Unsigned packets pass: the ratchet already names their sender, and i2pd does not always
    /// sign. A wrong signature does not.
    fn signature_holds(&self, p: &Packet, bytes: &[u8]) -> bool {
        match (&p.signature, &self.key) {
            (Some(_), Some(key)) => p.verify(bytes, key),
            _ => true,
        }
    }

    fn handle_ack(&mut self, now: Instant, p: &Packet) -> Heard {
        // Before it knows our id the peer has received nothing that it could acknowledge.
        if !self.opened || p.has(NO_ACK) || p.send_id == 0 || !self.send.has_started() {
            return Heard::Nothing;
        }
        let mut missing = p.nacks.clone();
        missing.sort_unstable();
        let acked = self.send.on_ack(now, p.ack_through, &missing);
        if acked.bogus {
            return Heard::Bad;
        }
        match p.delay {
            Some(d) => self.send.set_choked(now, d >= CHOKE),
            // i2pd never says that it takes data again, it just does.
            None if acked.packets > 0 => self.send.set_choked(now, false),
            None => {}
        }
        // A packet without a number is sent for one of ours. Data says nothing: it may come for
        // hours although nothing of ours arrives.
        let plain = p.seq == 0 && !p.has(SYN);
        let heard = if acked.packets > 0 {
            self.stalled = false;
            self.repeats.clear();
            Heard::Progress
        } else if plain || p.delay.is_some_and(|d| d >= CHOKE) {
            Heard::Answer
        } else {
            return Heard::Nothing;
        };
        self.send.on_answer(now);
        heard
    }

    fn handle_payload(&mut self, now: Instant, p: Packet) -> Heard {
        if p.seq == 0 && !p.has(SYN) {
            return Heard::Nothing;
        }
        let at_once = p.delay == Some(0);
        let first = p.has(SYN) && !self.recv.has_started();
        let pace = if at_once || (first && !self.names.incoming) {
            Duration::ZERO
        } else {
            self.send.rtt.ack_pace()
        };
        if p.has(SYN) && self.recv.has_started() && self.names.incoming {
            self.send.repeat_first(now);
        }
        let (seq, bytes) = (p.seq, p.payload.len());
        let verdict = self
            .recv
            .accept(now, seq, p.payload, p.flags & CLOSE != 0, pace);
        if at_once {
            self.recv.ack_by(now, Duration::ZERO);
        }
        if self.recv.is_closed() {
            self.closed_at.get_or_insert(now);
        }
        match verdict {
            Verdict::New => {
                self.repeats.clear();
                if bytes > 0 {
                    self.moved = now;
                }
                Heard::Nothing
            }
            Verdict::Duplicate if self.is_unheard(now, seq) => Heard::Again,
            Verdict::Duplicate => Heard::Duplicate,
            Verdict::Dropped => Heard::Dropped,
            Verdict::Late => Heard::Late,
        }
    }

    /// Packet `seq` came again; whether what we say about it seems not to arrive.
    fn is_unheard(&mut self, now: Instant, seq: u32) -> bool {
        let Some(answered) = self.recv.answered(seq).filter(|_| self.can_ack()) else {
            return false;
        };
        let rtt = self.send.rtt.smoothed().unwrap_or(RTT_UNKNOWN);
        self.repeats.again(now, seq, answered, rtt)
    }

    // --- time -----------------------------------------------------------------------------------

    pub(crate) fn deadline(&self, config: &StreamConfig) -> Option<Instant> {
        if self.end.is_some() {
            return None;
        }
        let hold = (!self.send.has_started()).then_some(self.hold_until);
        let connect = (!self.opened).then(|| self.unopened_until(config));
        let ack = self.recv.deadline().filter(|_| self.can_ack());
        let idle = self.opened && self.send.is_idle();
        let close_sent = self.send.close_seq.is_some();
        let keep = (idle && !close_sent).then(|| self.heard + config.keepalive);
        let polite = (idle && self.ends_when_idle()).then(|| self.moved + config.close_idle);
        let waits = self.send.close_acked() && !self.recv.is_closed();
        let linger = waits.then(|| self.linger_until());
        [
            self.gives_up_at(config),
            self.send.deadline(self.opened),
            hold,
            connect,
            ack,
            keep,
            polite,
            linger,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether idleness makes us send CLOSE: the application is done, or the peer is. A reader
    /// that pauses is not idle.
    fn ends_when_idle(&self) -> bool {
        self.send.close_seq.is_none()
            && self.recv.unread() == 0
            && (self.fin != Fin::Open || self.recv.is_closed())
    }

    fn can_ack(&self) -> bool {
        self.opened && self.send.has_started()
    }

    // --- what to say ----------------------------------------------------------------------------

    pub(crate) fn poll_event(&mut self) -> Option<StreamEvent> {
        let id = self.names.id;
        if !self.told_open && self.opened {
            self.told_open = true;
            return Some(if self.names.incoming {
                StreamEvent::Incoming {
                    id,
                    from: self.names.peer,
                    port: self.names.from_port,
                }
            } else {
                StreamEvent::Opened { id }
            });
        }
        if self.end != Some(End::Reset(ResetWhy::Local)) {
            if let Some(bytes) = self.recv.take_ready(DATA_EVENT) {
                return Some(StreamEvent::Data { id, bytes });
            }
            if self.recv.is_closed() && !self.told_finished {
                self.told_finished = true;
                return Some(StreamEvent::Finished { id });
            }
        }
        if self.stalled != self.told_stalled && self.end.is_none() {
            self.told_stalled = self.stalled;
            let to = self.names.peer;
            return Some(if self.stalled {
                StreamEvent::StandsStill { id, to }
            } else {
                StreamEvent::GoesOn { id, to }
            });
        }
        let end = self.end.filter(|_| !self.told_end);
        if let Some(end) = end {
            self.told_end = true;
            return Some(match end {
                End::Closed => StreamEvent::Closed { id },
                End::Reset(why) => StreamEvent::Reset { id, why },
            });
        }
        let n = self.send.take_freed().filter(|_| self.fin == Fin::Open)?;
        Some(StreamEvent::Writable { id, n })
    }

    /// What the next stream to the same peer may start from: round-trip time and window.
    pub(crate) fn memory(&self) -> Option<(Duration, u32)> {
        let rtt = self.send.rtt.lesson()?;
        let half = u32::try_from(self.send.window.packets() / 2).unwrap_or(u32::MAX);
        Some((rtt, half.min(64)))
    }

    /// Acknowledgement of everything received, for packets that come after the end.
    pub(crate) fn last_words(&mut self, now: Instant) -> Packet {
        self.packet(now)
    }
}
