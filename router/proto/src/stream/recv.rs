//! The receiving half of a stream: order, what to acknowledge and when, how much to take in
//! (i2p spec/streaming, ackThrough and NACKs).

use super::withhold::Withhold;
use crate::limits::{STREAM_AHEAD_MAX, STREAM_NACKS_MAX, STREAM_PACKET_COST, STREAM_RECEIVE_LEAST};
use crate::time::Instant;
use core::time::Duration;
use std::collections::BTreeMap;

/// Packets after which an acknowledgement is due in any case.
const ACK_EVERY: u32 = 64;
/// How much longer than its pace an acknowledgement waits for a packet to go with: as long as
/// i2pd's send timer runs.
const TICK: Duration = Duration::from_millis(12);
/// Packets after which an acknowledgement is due while some are missing.
const ACK_EVERY_GAP: u32 = 2;
/// How long an acknowledgement waits for the reader to take more.
const READING: Duration = Duration::from_millis(20);
/// How often packets that are sent again are answered while acknowledgements are withheld: each
/// answer makes i2pd repeat all of them.
const REPEATED: Duration = Duration::from_secs(1);
/// The part of the buffer that may be unread before acknowledgements are withheld.
const UNREAD: usize = 5;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    New,
    Duplicate,
    /// No room, or too far ahead.
    Dropped,
    /// It comes after the peer's CLOSE.
    Late,
}

struct Held {
    payload: Vec<u8>,
    close: bool,
}

/// The receiving half.
pub(crate) struct RecvSide {
    /// Next sequence number expected.
    next: u32,
    highest: u32,
    held: BTreeMap<u32, Held>,
    held_bytes: usize,
    ready: Vec<u8>,
    /// Bytes the application has been given and has not consumed.
    given: usize,
    limit: usize,
    /// All streams together hold as much as they may.
    tight: bool,
    closed: bool,
    withhold: Withhold,
    unacked: u32,
    /// When the last acknowledgement went.
    acked_at: Instant,
    ack_at: Option<Instant>,
    /// Nobody reads any more: bytes are counted as received and thrown away.
    discard: bool,
}

impl RecvSide {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            next: 0,
            highest: 0,
            held: BTreeMap::new(),
            held_bytes: 0,
            ready: Vec::new(),
            given: 0,
            limit,
            tight: false,
            closed: false,
            withhold: Withhold::new(limit / UNREAD),
            unacked: 0,
            acked_at: Instant(0),
            ack_at: None,
            discard: false,
        }
    }

    /// Whether the peer's first packet has been taken.
    pub(crate) const fn has_started(&self) -> bool {
        self.next > 0
    }

    /// Whether everything up to the peer's CLOSE has been taken.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// When the last acknowledgement went, if it was one of packet `seq`.
    pub(crate) fn answered(&self, seq: u32) -> Option<Instant> {
        (seq < self.next && self.withhold.is_empty()).then_some(self.acked_at)
    }

    /// Bytes in order that the application has not consumed.
    pub(crate) const fn unread(&self) -> usize {
        self.ready.len() + self.given
    }

    /// What it holds, packets out of order with what they cost.
    pub(crate) fn held(&self) -> usize {
        self.unread() + self.held_bytes
    }

    /// How much it may hold from now on: `free` bytes before acknowledgements wait, and only the
    /// least when memory is `tight`.
    pub(crate) fn set_share(&mut self, now: Instant, free: usize, tight: bool) {
        self.tight = tight;
        self.withhold.set_free(free.min(self.limit / UNREAD));
        self.release(now);
    }

    fn has_gap(&self) -> bool {
        !self.held.is_empty()
    }

    /// Takes a sequenced packet in and decides when to acknowledge; `pace` is the time between
    /// two acknowledgements.
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        seq: u32,
        payload: Vec<u8>,
        close: bool,
        pace: Duration,
    ) -> Verdict {
        let verdict = self.place(seq, payload, close);
        self.withhold.update(now, self.unread());
        let withheld = !self.withhold.is_empty();
        match verdict {
            Verdict::New => {
                self.unacked += 1;
                if !withheld {
                    self.ack_new(now, pace);
                }
            }
            // The sender missed an acknowledgement; a burst of such packets gets one answer.
            Verdict::Duplicate | Verdict::Dropped => {
                let answer = Duration::from_millis(5);
                self.ack_by(now, if withheld { REPEATED } else { answer });
            }
            Verdict::Late => {}
        }
        verdict
    }

    /// An acknowledgement goes with the arrival of a packet, not some time after it: i2pd takes the
    /// least round trip that an acknowledgement shows for that of the path, and lets its window
    /// grow only while the later ones are as short (libi2pd/Streaming.cpp, `ProcessAck`). Nor does
    /// it go with each packet: all that is acknowledged starts i2pd's send timer again.
    fn ack_new(&mut self, now: Instant, pace: Duration) {
        let every = if self.has_gap() {
            ACK_EVERY_GAP
        } else {
            ACK_EVERY
        };
        let due = self.unacked >= every || now.since(self.acked_at) >= pace;
        self.ack_by(now, if due { Duration::ZERO } else { pace + TICK });
    }

    fn place(&mut self, seq: u32, payload: Vec<u8>, close: bool) -> Verdict {
        if seq < self.next || self.held.contains_key(&seq) {
            return Verdict::Duplicate;
        }
        if self.closed {
            return Verdict::Late;
        }
        if seq - self.next > STREAM_AHEAD_MAX {
            return Verdict::Dropped;
        }
        let limit = if self.tight {
            self.limit.min(STREAM_RECEIVE_LEAST)
        } else {
            self.limit
        };
        let room = limit.saturating_sub(self.unread());
        if seq == self.next {
            if room == 0 && !payload.is_empty() {
                return Verdict::Dropped;
            }
            let gap = self.has_gap();
            self.highest = self.highest.max(seq);
            self.take(payload, close);
            while let Some(h) = self.held.remove(&self.next) {
                self.held_bytes -= h.payload.len() + STREAM_PACKET_COST;
                self.take(h.payload, h.close);
            }
            if gap && !self.has_gap() {
                // Say at once that the gap is filled.
                self.unacked = self.unacked.max(ACK_EVERY);
            }
        } else {
            let cost = payload.len() + STREAM_PACKET_COST;
            if self.held_bytes + cost > room {
                return Verdict::Dropped;
            }
            if seq > self.highest.saturating_add(1) || !self.has_gap() {
                // A new gap: say so at once.
                self.unacked = self.unacked.max(ACK_EVERY);
            }
            self.highest = self.highest.max(seq);
            self.held_bytes += cost;
            self.held.insert(seq, Held { payload, close });
        }
        Verdict::New
    }

    fn take(&mut self, payload: Vec<u8>, close: bool) {
        self.withhold.take(self.next, payload.len());
        self.next = self.next.saturating_add(1);
        if self.closed {
            return;
        }
        if close {
            self.closed = true;
            // Nothing more will come: there is nothing to hold back.
            self.withhold.release_all();
            self.unacked = self.unacked.max(ACK_EVERY);
        }
        if !self.discard {
            if self.ready.is_empty() {
                self.ready = payload;
            } else {
                self.ready.extend_from_slice(&payload);
            }
        }
    }

    /// Bytes in order that the application has not been given, at most `max`.
    pub(crate) fn take_ready(&mut self, max: usize) -> Option<Vec<u8>> {
        if self.ready.is_empty() {
            return None;
        }
        let out = if self.ready.len() <= max {
            core::mem::take(&mut self.ready)
        } else {
            let rest = self.ready.split_off(max);
            core::mem::replace(&mut self.ready, rest)
        };
        self.given += out.len();
        Some(out)
    }

    /// The application is done with `n` bytes.
    pub(crate) fn consume(&mut self, now: Instant, n: usize) {
        self.given = self.given.saturating_sub(n);
        self.release(now);
    }

    /// Lets acknowledgements go that need not wait any more.
    fn release(&mut self, now: Instant) {
        if self.withhold.update(now, self.unread()) == 0 {
            return;
        }
        if self.withhold.is_empty() {
            self.ack_by(now, Duration::ZERO);
        } else {
            self.ack_by(now, READING);
        }
    }

    /// Nobody reads any more.
    pub(crate) fn discard(&mut self, now: Instant) {
        self.discard = true;
        self.ready = Vec::new();
        let given = self.given;
        self.consume(now, given);
    }

    /// Makes an acknowledgement due within `delay`.
    pub(crate) fn ack_by(&mut self, now: Instant, delay: Duration) {
        let at = now + delay;
        if self.ack_at.is_none_or(|a| at < a) {
            self.ack_at = Some(at);
        }
    }

    /// When a plain acknowledgement has to go.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match (self.ack_at, self.withhold.deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// What a packet says about our side, ackThrough and NACKs; the pending acknowledgement is
    /// done with.
    pub(crate) fn acknowledge(&mut self, now: Instant) -> (u32, Vec<u32>) {
        self.unacked = 0;
        self.ack_at = None;
        self.acked_at = now;
        match self.withhold.first(now) {
            // The first packet is too small to be withheld.
            Some(seq) => (seq.saturating_sub(1), Vec::new()),
            None => self.missing(),
        }
    }

    /// The highest sequence number received and the missing ones below, as many as a packet
    /// takes; what does not fit is left unacknowledged.
    fn missing(&self) -> (u32, Vec<u32>) {
        let mut nacks = Vec::new();
        let mut expected = self.next;
        let mut through = self.next.saturating_sub(1);
        for seq in self.held.keys() {
            if nacks.len() + (seq - expected) as usize > STREAM_NACKS_MAX {
                break;
            }
            nacks.extend(expected..*seq);
            expected = seq.saturating_add(1);
            through = *seq;
        }
        (through, nacks)
    }
}

#[cfg(test)]
mod tests;
