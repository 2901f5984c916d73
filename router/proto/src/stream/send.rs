//! The sending half of a stream: bytes not sent yet, packets not acknowledged yet, when to send
//! and when to send again (i2p docs/api/streaming, Congestion Control and Choking).
//!
//! Losses are found the way RACK finds them: a packet that is reported missing is lost when one
//! that was sent a reordering window later has arrived. Counting NACKs would not see a lost
//! resend, and would take every reordering for a loss.

mod acks;
mod timers;

use super::rtt::Rtt;
use super::window::Window;
use crate::limits::STREAM_PACKET_COST;
use crate::time::Instant;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Packets that may leave at once although pacing would spread them.
const BURST: u32 = 10;
/// Timers of the shell are this coarse: pacing may be behind so far and catch up.
const CATCH_UP: Duration = Duration::from_millis(5);
/// What a sequenced packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Syn,
    Data,
    Close,
}

/// A packet to be written now.
pub(crate) struct Outgoing {
    pub seq: u32,
    pub kind: Kind,
    pub payload: Vec<u8>,
    /// A copy was sent before.
    pub again: bool,
    /// Timeouts without a sign of life before this copy.
    pub silent: u32,
    /// Ask for an acknowledgement at once.
    pub ask: bool,
}

struct Sent {
    kind: Kind,
    payload: Vec<u8>,
    at: Instant,
    resends: u32,
    missing: bool,
    lost: bool,
}

/// What an acknowledgement brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Acked {
    /// It named a packet that was never sent.
    pub bogus: bool,
    /// Packets acknowledged for the first time.
    pub packets: usize,
}

/// What a timer brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fired {
    Nothing,
    /// A whole timeout without an acknowledgement.
    Timeout,
    /// The oldest packet was sent as often as it may be.
    GaveUp,
}

/// The sending half.
pub(crate) struct SendSide {
    buffer: VecDeque<u8>,
    capacity: usize,
    /// Payload bytes in `unacked`.
    unacked_bytes: usize,
    freed: usize,
    unacked: BTreeMap<u32, Sent>,
    lost: BTreeSet<u32>,
    next_seq: u32,
    pub(crate) window: Window,
    pub(crate) rtt: Rtt,
    /// Newest sending time of a packet known to have arrived, and its round-trip time.
    newest: Option<(Instant, Duration)>,
    reorder: u32,
    timeout_at: Option<Instant>,
    reorder_at: Option<Instant>,
    /// When the first packet is sent again, whatever is known of it.
    first_at: Option<Instant>,
    /// Copies of it that were sent in answer to a SYN of a peer that says nothing.
    answers: u32,
    pace_at: Instant,
    asked_at: Instant,
    /// Since when the far side takes nothing, and the wait before the next probe.
    choked: Option<Duration>,
    /// Timeouts without any sign of life in between.
    silent: u32,
    /// Since when something sent waits and nothing sent was answered.
    waits_since: Option<Instant>,
    pub(crate) close_seq: Option<u32>,
}

impl SendSide {
    pub(crate) fn new(capacity: usize, window: Window, rtt: Rtt) -> Self {
        Self {
            buffer: VecDeque::new(),
            capacity,
            unacked_bytes: 0,
            freed: 0,
            unacked: BTreeMap::new(),
            lost: BTreeSet::new(),
            next_seq: 0,
            window,
            rtt,
            newest: None,
            reorder: 1,
            timeout_at: None,
            reorder_at: None,
            first_at: None,
            answers: 0,
            pace_at: Instant(0),
            asked_at: Instant(0),
            choked: None,
            silent: 0,
            waits_since: None,
            close_seq: None,
        }
    }

    /// Takes what fits of `data`.
    pub(crate) fn write(&mut self, data: &[u8]) -> usize {
        let packets = self.unacked.len() * STREAM_PACKET_COST;
        let held = self.buffer.len() + self.unacked_bytes + packets;
        let n = data.len().min(self.capacity.saturating_sub(held));
        self.buffer.extend(data.get(..n).unwrap_or_default());
        n
    }

    /// Bytes that became free since the last call; small amounts are saved up.
    pub(crate) fn take_freed(&mut self) -> Option<usize> {
        let idle = self.buffer.is_empty() && self.unacked_bytes == 0;
        if self.freed == 0 || (self.freed < self.capacity / 8 && !idle) {
            return None;
        }
        Some(core::mem::take(&mut self.freed))
    }

    /// Whether nothing waits to be sent for the first time.
    pub(crate) fn is_flushed(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Whether everything written has been acknowledged.
    pub(crate) fn is_idle(&self) -> bool {
        self.buffer.is_empty() && self.unacked.is_empty()
    }

    /// Whether stream bytes are not acknowledged yet.
    pub(crate) fn owes_bytes(&self) -> bool {
        !self.buffer.is_empty() || self.unacked_bytes > 0
    }

    /// Whether the first packet has been sent.
    pub(crate) const fn has_started(&self) -> bool {
        self.next_seq > 0
    }

    /// Whether the far side has acknowledged our CLOSE.
    pub(crate) fn close_acked(&self) -> bool {
        self.close_seq
            .is_some_and(|s| !self.unacked.contains_key(&s))
    }

    /// How often the oldest unacknowledged packet was sent again.
    pub(crate) fn resends(&self) -> u32 {
        self.unacked.first_key_value().map_or(0, |(_, s)| s.resends)
    }

    /// When the newest packet known to have arrived was sent.
    pub(crate) fn newest_arrived(&self) -> Option<Instant> {
        self.newest.map(|(at, _)| at)
    }

    /// Since when something sent waits and nothing sent was answered.
    pub(crate) const fn waits_since(&self) -> Option<Instant> {
        self.waits_since
    }

    /// The peer answers what is sent, though it may not take it yet.
    pub(crate) fn on_answer(&mut self, now: Instant) {
        self.waits_since = (!self.unacked.is_empty()).then_some(now);
    }

    /// When the oldest unacknowledged packet was last sent.
    pub(crate) fn oldest_at(&self) -> Option<Instant> {
        self.unacked.first_key_value().map(|(_, s)| s.at)
    }

    fn in_flight(&self) -> usize {
        self.unacked.len() - self.lost.len()
    }

    fn has_work(&self) -> bool {
        !self.lost.is_empty() || (!self.buffer.is_empty() && self.choked.is_none())
    }

    /// The packet to send now, if window and pace allow one: lost ones first.
    pub(crate) fn next(&mut self, now: Instant, mtu: usize) -> Option<Outgoing> {
        if !self.has_work() {
            return None;
        }
        if self.in_flight() >= self.window.packets() {
            self.window.held_back();
            return None;
        }
        let interval = self.interval();
        let earliest = now - (interval * BURST).max(CATCH_UP);
        self.pace_at = self.pace_at.max(earliest);
        if self.pace_at > now {
            // Pacing hands the window out over time: the window is what limits.
            self.window.held_back();
            return None;
        }
        self.pace_at = self.pace_at + interval;
        let mut out = match self.lost.pop_first() {
            Some(seq) => self.again(now, seq)?,
            None => self.fresh(now, Kind::Data, mtu),
        };
        out.ask = out.again || self.time_to_ask(now);
        Some(out)
    }

    /// The next lost packet alone, whatever the window says.
    pub(crate) fn next_lost(&mut self, now: Instant) -> Option<Outgoing> {
        let seq = self.lost.pop_first()?;
        self.again(now, seq)
    }

    /// Now and then a packet asks to be acknowledged at once, so that batched acknowledgements
    /// do not make the window move in jumps.
    fn time_to_ask(&mut self, now: Instant) -> bool {
        let Some(rtt) = self.rtt.smoothed() else {
            return false;
        };
        let due = self.in_flight() > 8 && now.since(self.asked_at) >= rtt / 8;
        if due {
            self.asked_at = now;
        }
        due
    }

    /// Time between two packets: the window in a round trip, with room to grow.
    fn interval(&self) -> Duration {
        let Some(rtt) = self.rtt.smoothed() else {
            return Duration::ZERO;
        };
        let window = u32::try_from(self.window.packets())
            .unwrap_or(u32::MAX)
            .max(1);
        let even = rtt / window;
        if self.window.is_starting() {
            even / 2
        } else {
            even * 4 / 5
        }
    }

    /// Sends a packet that is lost again; `None` when it was acknowledged in the meantime.
    fn again(&mut self, now: Instant, seq: u32) -> Option<Outgoing> {
        let s = self.unacked.get_mut(&seq)?;
        s.lost = false;
        s.missing = false;
        s.resends += 1;
        s.at = now;
        let out = Outgoing {
            seq,
            kind: s.kind,
            payload: s.payload.clone(),
            again: true,
            silent: s.resends.min(self.silent),
            ask: true,
        };
        self.arm(now);
        Some(out)
    }

    /// Makes the next sequenced packet out of what is in the buffer, be it nothing.
    pub(crate) fn fresh(&mut self, now: Instant, kind: Kind, mtu: usize) -> Outgoing {
        let n = match kind {
            Kind::Close => 0,
            Kind::Syn | Kind::Data => self.buffer.len().min(mtu),
        };
        let mut payload = Vec::with_capacity(n);
        let (a, b) = self.buffer.as_slices();
        payload.extend_from_slice(a.get(..n.min(a.len())).unwrap_or_default());
        payload.extend_from_slice(b.get(..n - payload.len()).unwrap_or_default());
        self.buffer.drain(..n);
        let seq = self.next_seq;
        // 2^32 packets are 7 TB; the connection ends the stream before.
        self.next_seq = self.next_seq.saturating_add(1);
        if kind == Kind::Close {
            self.close_seq = Some(seq);
        }
        self.unacked_bytes += n;
        self.waits_since.get_or_insert(now);
        self.unacked.insert(
            seq,
            Sent {
                kind,
                payload: payload.clone(),
                at: now,
                resends: 0,
                missing: false,
                lost: false,
            },
        );
        self.arm(now);
        Outgoing {
            seq,
            kind,
            payload,
            again: false,
            silent: 0,
            ask: false,
        }
    }

    /// Whether the sequence numbers are used up.
    pub(crate) const fn is_exhausted(&self) -> bool {
        self.next_seq >= u32::MAX - 1
    }
}

#[cfg(test)]
mod tests;
