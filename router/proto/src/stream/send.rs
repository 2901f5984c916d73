//! The sending half of a stream: bytes not sent yet, packets not acknowledged yet, when to send
//! and when to send again (i2p docs/api/streaming, Congestion Control and Choking).
//!
//! Losses are found the way RACK finds them: a packet that is reported missing is lost when one
//! that was sent a reordering window later has arrived. Counting NACKs would not see a lost
//! resend, and would take every reordering for a loss.

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
/// First wait of a choked sender before it probes; doubles up to [`PROBE_MAX`].
const PROBE: Duration = Duration::from_secs(1);
const PROBE_MAX: Duration = Duration::from_secs(10);
/// First wait for the answer to a SYN when the peer is new; a jitter of half is added.
/// A new path pair is tried then, long before the general initial timeout of 9 s.
const SYN_WAIT: Duration = Duration::from_secs(2);
/// Bounds of the first wait when the peer's round-trip time is known, and of every later one.
const SYN_WAIT_KNOWN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3));
const SYN_WAIT_MAX: Duration = Duration::from_secs(8);
/// Largest part of the reordering window, in eighths of the round-trip time.
const REORDER_MAX: u32 = 8;

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

    /// The peer repeats its SYN: it has not seen our answer. One that has just left may still
    /// be on its way.
    pub(crate) fn repeat_syn(&mut self, now: Instant) {
        if let Some(s) = self.unacked.get_mut(&0)
            && now.since(s.at) >= SYN_WAIT / 4
        {
            s.lost = true;
            self.lost.insert(0);
        }
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

    fn arm(&mut self, now: Instant) {
        if self.timeout_at.is_none() {
            self.timeout_at = Some(now + self.choked.unwrap_or_else(|| self.rtt.timeout()));
        }
    }

    /// Waits for the answer to copy `n` of a SYN: about two round trips of an earlier stream to
    /// the same peer, or [`SYN_WAIT`]; then longer each time.
    pub(crate) fn arm_syn(&mut self, now: Instant, n: u32, jitter: Duration) {
        let (least, most) = SYN_WAIT_KNOWN;
        let first = self
            .rtt
            .smoothed()
            .map_or(SYN_WAIT, |rtt| rtt.saturating_mul(2).clamp(least, most));
        let grown = first * 3_u32.pow(n.min(4)) / 2_u32.pow(n.min(4));
        self.timeout_at = Some(now + grown.min(SYN_WAIT_MAX) + jitter.min(first / 2));
    }

    /// Everything up to `through` but `missing` (sorted) has arrived.
    pub(crate) fn on_ack(&mut self, now: Instant, through: u32, missing: &[u32]) -> Acked {
        if through >= self.next_seq {
            return Acked {
                bogus: true,
                packets: 0,
            };
        }
        self.silent = 0;
        let acked: Vec<u32> = self
            .unacked
            .range(..=through)
            .map(|(seq, _)| *seq)
            .filter(|seq| missing.binary_search(seq).is_err())
            .collect();
        let sample = self.take_acked(now, &acked);
        if let Some(top) = acked.last() {
            self.rtt.relax();
            let next = self.next_seq;
            let min = self.rtt.min();
            self.window.on_ack(acked.len(), *top, next, sample, min);
            self.timeout_at = None;
            // A choked sender asks now and then: the end of choking may be lost.
            if !self.unacked.is_empty() || self.choked.is_some() {
                self.arm(now);
            }
        }
        for (_, s) in self.unacked.range_mut(..through) {
            s.missing = true;
        }
        self.find_lost(now);
        Acked {
            bogus: false,
            packets: acked.len(),
        }
    }

    /// Removes acknowledged packets; the round-trip time of the highest if it was sent once.
    fn take_acked(&mut self, now: Instant, acked: &[u32]) -> Option<Duration> {
        let mut sample = None;
        let min = self.rtt.min().unwrap_or_default();
        for seq in acked {
            let Some(s) = self.unacked.remove(seq) else {
                continue;
            };
            self.lost.remove(seq);
            self.unacked_bytes -= s.payload.len();
            self.freed += s.payload.len();
            let age = now.since(s.at);
            let spurious = s.lost || (s.resends > 0 && age < min * 3 / 4);
            if spurious {
                // It was late, not lost: wait longer before the next verdict.
                self.reorder = (self.reorder + 1).min(REORDER_MAX);
                sample = None;
                continue;
            }
            sample = (s.resends == 0).then_some(age);
            if self.newest.is_none_or(|(at, _)| s.at >= at) {
                self.newest = Some((s.at, age));
            }
        }
        if let Some(rtt) = sample {
            self.rtt.sample(now, rtt);
        }
        sample
    }

    /// Marks missing packets lost that a later one has overtaken by the reordering window.
    fn find_lost(&mut self, now: Instant) {
        self.reorder_at = None;
        let Some((newest, rtt)) = self.newest else {
            return;
        };
        let base = self.rtt.min().unwrap_or(rtt).max(Duration::from_millis(8));
        let slack = base / 8 * self.reorder;
        let mut found = 0;
        for (seq, s) in &mut self.unacked {
            if !s.missing {
                break;
            }
            if s.lost || s.at > newest {
                continue;
            }
            let verdict = s.at + rtt + slack;
            if now >= verdict || newest.since(s.at) > slack {
                s.lost = true;
                self.lost.insert(*seq);
                found += 1;
            } else if self.reorder_at.is_none_or(|at| verdict < at) {
                self.reorder_at = Some(verdict);
            }
        }
        if found > 0 {
            self.window.on_lost(found);
        }
    }

    /// The far side says that it takes nothing, or that it takes data again.
    pub(crate) fn set_choked(&mut self, now: Instant, choked: bool) {
        match (choked, self.choked) {
            (true, None) => {
                self.choked = Some(PROBE);
                self.window.on_choke();
                self.timeout_at = Some(now + PROBE);
            }
            (false, Some(_)) => {
                self.choked = None;
                self.timeout_at = None;
                if !self.unacked.is_empty() {
                    self.arm(now);
                }
            }
            _ => {}
        }
    }

    /// When a timer is due; `open` says whether data may be sent at all yet.
    pub(crate) fn deadline(&self, open: bool) -> Option<Instant> {
        let room = self.in_flight() < self.window.packets();
        let pace = (open && self.has_work() && room).then_some(self.pace_at);
        [self.timeout_at, self.reorder_at, pace]
            .into_iter()
            .flatten()
            .min()
    }

    /// Runs the timers that are due. After `limit` timeouts without a sign of life it gives up.
    pub(crate) fn on_timer(&mut self, now: Instant, limit: u32) -> Fired {
        if self.reorder_at.is_some_and(|at| at <= now) {
            self.find_lost(now);
        }
        if self.timeout_at.is_none_or(|at| at > now) {
            return Fired::Nothing;
        }
        self.timeout_at = None;
        if self.unacked.is_empty() && self.choked.is_none() {
            return Fired::Nothing;
        }
        if self.is_idle() {
            self.arm(now);
            return Fired::Nothing;
        }
        if self.silent >= limit {
            return Fired::GaveUp;
        }
        self.silent += 1;
        if let Some(wait) = self.choked {
            self.choked = Some((wait * 2).min(PROBE_MAX));
            self.probe(now);
            return Fired::Nothing;
        }
        self.rtt.back_off();
        self.window.on_timeout();
        for (seq, s) in &mut self.unacked {
            s.lost = true;
            self.lost.insert(*seq);
        }
        self.pace_at = now;
        Fired::Timeout
    }

    /// A choked sender resends its oldest packet; without one it sends a new one.
    fn probe(&mut self, now: Instant) {
        if let Some((seq, s)) = self.unacked.iter_mut().next() {
            s.lost = true;
            self.lost.insert(*seq);
        }
        self.arm(now);
    }

    /// Whether a choked sender has nothing to resend and has to probe with something new.
    pub(crate) fn wants_probe(&self) -> bool {
        self.choked.is_some()
            && self.silent > 0
            && self.unacked.is_empty()
            && !self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests;
