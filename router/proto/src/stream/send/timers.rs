//! When something is sent again although nobody asked for it: a packet that stays unanswered, the
//! first one of a stream, a probe of who takes nothing.

use super::{Fired, SendSide};
use crate::time::Instant;
use core::time::Duration;

/// First wait of a choked sender before it probes; doubles up to [`PROBE_MAX`].
const PROBE: Duration = Duration::from_secs(1);
const PROBE_MAX: Duration = Duration::from_secs(10);
/// First wait for the answer to a SYN when the peer is new; a jitter of half is added.
/// A new path pair is tried then, long before the general initial timeout of 9 s.
const SYN_WAIT: Duration = Duration::from_secs(2);
/// Bounds of the first wait when the peer's round-trip time is known, and of every later one.
const SYN_WAIT_KNOWN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3));
const SYN_WAIT_MAX: Duration = Duration::from_secs(4);
/// Copies of it are so far apart although the peer seems to have seen none.
const FIRST_APART: Duration = Duration::from_millis(500);
/// First wait for an acknowledgement of the answer to a SYN before it alone is sent again: it is
/// the largest packet there is, and nothing of the stream is of use without it.
const ANSWER_WAIT: Duration = Duration::from_secs(3);

impl SendSide {
    /// The peer has not seen our SYN, or our answer to its own: it repeats that, or says what
    /// comes after its answer. One that has just left may still be on its way.
    pub(in crate::stream) fn repeat_first(&mut self, now: Instant) {
        let Some(first) = self.unacked.get(&0) else {
            return;
        };
        let at = now.max(first.at + FIRST_APART);
        self.first_at = Some(self.first_at.map_or(at, |due| due.min(at)));
        self.first_due(now);
    }

    /// The answer to a SYN leaves to a peer whose round-trip time is not known.
    pub(in crate::stream) fn arm_answer(&mut self, now: Instant) {
        if self.rtt.smoothed().is_none() {
            self.first_at = Some(now + ANSWER_WAIT);
            self.answers = 1;
        }
    }

    /// The first packet is lost when its time has come, whatever becomes of the others.
    fn first_due(&mut self, now: Instant) {
        if self.first_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        let Some(first) = self.unacked.get_mut(&0) else {
            return;
        };
        first.lost = true;
        self.lost.insert(0);
        if self.answers > 0 && self.rtt.smoothed().is_none() {
            let n = self.answers.min(6);
            self.first_at = Some(now + ANSWER_WAIT * 3_u32.pow(n) / 2_u32.pow(n));
            self.answers += 1;
        }
    }

    pub(super) fn arm(&mut self, now: Instant) {
        if self.timeout_at.is_none() {
            self.timeout_at = Some(now + self.choked.unwrap_or_else(|| self.rtt.timeout()));
        }
    }

    /// Waits for the answer to copy `n` of a SYN: about two round trips of an earlier stream to
    /// the same peer, or [`SYN_WAIT`]; then longer each time.
    pub(in crate::stream) fn arm_syn(&mut self, now: Instant, n: u32, jitter: Duration) {
        let (least, most) = SYN_WAIT_KNOWN;
        let first = self
            .rtt
            .smoothed()
            .map_or(SYN_WAIT, |rtt| rtt.saturating_mul(2).clamp(least, most));
        let grown = first * 3_u32.pow(n.min(4)) / 2_u32.pow(n.min(4));
        self.timeout_at = Some(now + grown.min(SYN_WAIT_MAX) + jitter.min(first / 2));
    }

    /// The far side says that it takes nothing, or that it takes data again.
    pub(in crate::stream) fn set_choked(&mut self, now: Instant, choked: bool) {
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
    pub(in crate::stream) fn deadline(&self, open: bool) -> Option<Instant> {
        let room = self.in_flight() < self.window.packets();
        let pace = (open && self.has_work() && room).then_some(self.pace_at);
        [self.timeout_at, self.reorder_at, self.first_at, pace]
            .into_iter()
            .flatten()
            .min()
    }

    /// Runs the timers that are due. After `limit` timeouts without a sign of life it gives up.
    pub(in crate::stream) fn on_timer(&mut self, now: Instant, limit: u32) -> Fired {
        if self.reorder_at.is_some_and(|at| at <= now) {
            self.find_lost(now);
        }
        self.first_due(now);
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
    pub(in crate::stream) fn wants_probe(&self) -> bool {
        self.choked.is_some()
            && self.silent > 0
            && self.unacked.is_empty()
            && !self.buffer.is_empty()
    }
}
