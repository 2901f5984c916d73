//! How an i2pd sends: window, pacing and timers as libi2pd/Streaming.cpp of 2.56 and of 2.58 to
//! 2.59 has them (`ProcessAck`, `HandleSendTimer`, `SendBuffer`, `ResendPacket`), retold.
//!
//! What matters for who acknowledges: every acknowledgement of something new starts the send
//! timer of 10 to 12 ms again and throws the pacing's credit away, and the least round-trip time
//! of the acknowledged packets is the sample that the window grows by.

use super::{Packet, Sender};
use crate::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};

const MOST: f64 = 512.0;
const FIRST_RTO: u64 = 9000;
/// Bytes that the server's tunnel hands over at once, when the last ones have left.
const CHUNK: usize = 65_536;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    V56,
    V58,
    V59,
}

pub struct I2pd {
    version: Version,
    rng: Rng,
    next: u32,
    /// When each was sent, in ms, and whether that was a repeat.
    sent: BTreeMap<u32, (u64, bool)>,
    nacked: BTreeSet<u32>,
    repeats_due: bool,
    timed_out: bool,
    window: f64,
    target: f64,
    dropped_from: f64,
    credit: i64,
    rtt: f64,
    least: f64,
    slow: f64,
    fast: f64,
    jitter: f64,
    jitter_sum: f64,
    jitter_n: f64,
    previous: f64,
    sample_first: bool,
    ack_first: bool,
    dropped: bool,
    dropped_until: u32,
    doubled: bool,
    rto: u64,
    attempts: u32,
    ack_interval: u64,
    acked_at: u64,
    asked_at: u64,
    pacing: u64,
    rest: u64,
    allowed: i64,
    last_send: u64,
    grown_at: u64,
    may_send: bool,
    empty: bool,
    buffer: usize,
    left: usize,
    send_at: Option<u64>,
    resend_at: Option<u64>,
    refill_at: Option<u64>,
    out: Vec<Packet>,
}

impl I2pd {
    pub fn new(version: Version, seed: u64, bytes: usize) -> Self {
        Self {
            version,
            rng: Rng::from_number(seed),
            next: 0,
            sent: BTreeMap::new(),
            nacked: BTreeSet::new(),
            repeats_due: false,
            timed_out: false,
            window: 10.0,
            target: 0.0,
            dropped_from: 0.0,
            credit: 0,
            rtt: 1500.0,
            least: 1500.0,
            slow: 1500.0,
            fast: 1500.0,
            jitter: 0.0,
            jitter_sum: 0.0,
            jitter_n: 1.0,
            previous: 1500.0,
            sample_first: true,
            ack_first: true,
            dropped: version != Version::V56,
            dropped_until: if version == Version::V56 { 0 } else { 10 },
            doubled: false,
            rto: FIRST_RTO,
            attempts: 0,
            ack_interval: 200,
            acked_at: 0,
            asked_at: 0,
            pacing: 150_000,
            rest: 0,
            allowed: 0,
            last_send: 0,
            grown_at: 0,
            may_send: true,
            empty: true,
            buffer: 0,
            left: bytes,
            send_at: None,
            resend_at: None,
            refill_at: None,
            out: Vec::new(),
        }
    }

    fn emit(&mut self, seq: u32, len: usize, ask: bool) {
        let delay = ask.then_some(0);
        self.out.push(Packet { seq, len, delay });
    }

    fn schedule_send(&mut self, now: u64) {
        let mut wait = 10_000 + self.rng.below(2000) as u64;
        if self.version == Version::V59 {
            wait = wait.max(self.pacing);
        }
        self.send_at = Some(now + wait);
    }

    fn schedule_resend(&mut self, now: u64) {
        self.resend_at = Some(now + self.rto * 1000);
    }

    fn send_buffer(&mut self, now: u64) {
        self.schedule_send(now);
        let ts = now / 1000;
        let room = self.window as i64 - self.sent.len() as i64;
        if room <= 0 || !self.may_send {
            self.last_send = ts;
            return;
        }
        let mut n = room.min(self.allowed);
        let none_out = self.sent.is_empty();
        let mut any = false;
        while self.buffer > 0 && n > 0 {
            let len = self.buffer.min(1812);
            self.buffer -= len;
            let ask = self.version == Version::V59
                && (self.asked_at == 0 || (ts - self.asked_at) as f64 > self.least / 10.0);
            if ask {
                self.asked_at = ts;
            }
            self.sent.insert(self.next, (ts, false));
            self.emit(self.next, len, ask);
            self.next += 1;
            n -= 1;
            any = true;
        }
        self.empty = self.buffer == 0;
        if self.empty && self.left > 0 {
            self.refill_at = Some(now + 200);
        }
        if any {
            self.last_send = ts;
            self.may_send = false;
            if none_out {
                self.schedule_resend(now);
            }
        }
    }

    fn on_send_timer(&mut self, now: u64) {
        let ts = now / 1000;
        if self.last_send == 0 || ts * 1000 <= self.last_send * 1000 + self.pacing {
            return self.schedule_send(now);
        }
        let passed = self.rest + (ts - self.last_send) * 1000;
        self.allowed = (passed / self.pacing.max(1)) as i64;
        self.rest = passed % self.pacing.max(1);
        self.may_send = true;
        if self.credit > 0 && (self.window < MOST || self.target > 0.0) && self.buffer > 0 {
            self.grow(ts);
        }
        self.grown_at = ts;
        if !self.nacked.is_empty() || self.repeats_due {
            self.resend(now);
        } else if self.window > self.sent.len() as f64 {
            self.send_buffer(now);
        }
    }

    fn grow(&mut self, ts: u64) {
        let keep = if self.version == Version::V56 {
            0.35
        } else {
            0.2
        };
        let shrinking = self.target > 0.0;
        let mut w = if shrinking { self.target } else { self.window };
        let per_rtt = if self.version == Version::V58 {
            12.0
        } else {
            512.0
        };
        let most = if self.version == Version::V56 || self.grown_at == 0 {
            MOST
        } else {
            (ts - self.grown_at) as f64 / (self.rtt / per_rtt) + w
        };
        for _ in 0..self.allowed {
            if self.credit == 0 {
                break;
            }
            let d = self.dropped_from;
            w += if d > 0.0 && d >= w {
                1.0 - w / (d + keep)
            } else if d > 0.0 {
                (w - (d - keep)) / w
            } else {
                (w - (1.0 - keep)) / w
            };
            w = w.min(MOST);
            self.credit -= 1;
            if w >= most {
                w = most;
                break;
            }
        }
        if shrinking {
            self.target = w;
        } else {
            self.window = w;
        }
        self.update_pacing();
    }

    fn update_pacing(&mut self) {
        let rtt = if self.version == Version::V56 {
            self.rtt
        } else {
            self.least + self.jitter * 2.0
        };
        let w = if self.target > 0.0 {
            self.target
        } else {
            self.window
        };
        self.pacing = (rtt * 1000.0 / w).round() as u64;
    }

    fn drop_window(&mut self, half: bool) {
        if self.version == Version::V56 {
            self.dropped_from = if self.window > self.dropped_from {
                ((self.dropped_from + self.window) / 2.0).min(MOST)
            } else {
                self.window
            };
            self.target = (self.dropped_from * 0.75).max(3.0);
        } else if half {
            let w = if self.target > 0.0 {
                self.target
            } else {
                self.window
            };
            self.dropped_from = w * ((self.least + self.jitter * 4.0) / self.fast);
            self.target = (self.dropped_from * 0.5).max(3.0);
        }
        self.credit = 0;
        self.dropped_until = self.next + self.target as u32;
        self.ack_first = true;
        self.dropped = true;
        self.update_pacing();
    }

    fn resend(&mut self, now: u64) {
        if self.attempts >= 10 {
            self.left = 0;
            return;
        }
        let ts = now / 1000;
        let times = if self.version == Version::V56 { 2 } else { 3 };
        let from_nacks = !self.nacked.is_empty();
        let seqs: Vec<u32> = if from_nacks {
            self.nacked.iter().copied().collect()
        } else {
            self.sent.keys().copied().collect()
        };
        let mut again = Vec::new();
        for seq in seqs {
            let Some((at, resent)) = self.sent.get_mut(&seq) else {
                continue;
            };
            if ts >= *at + self.rto {
                *resent = ts < *at + self.rto * times;
                *at = ts;
                again.push(seq);
                if again.len() as i64 >= self.allowed {
                    break;
                }
            }
        }
        if !again.is_empty() && self.may_send {
            if from_nacks {
                self.attempts = 1;
            } else if self.timed_out {
                self.attempts += 1;
            }
            if self.attempts == 1 && self.rto != FIRST_RTO {
                if self.version == Version::V56 && !self.dropped {
                    self.drop_window(false);
                }
            } else if self.timed_out {
                self.rto = FIRST_RTO;
                self.target = 10.0;
                self.dropped_from = 0.0;
                self.credit = 0;
                self.dropped = true;
                self.sample_first = true;
                self.dropped_until = 0;
                self.ack_first = true;
                self.acked_at = 0;
                self.ack_interval = 200;
                self.update_pacing();
            }
            for seq in again {
                self.emit(seq, 1812, false);
            }
            self.last_send = ts;
            self.may_send = false;
        } else {
            self.send_buffer(now);
        }
        self.may_send = false;
        if self.timed_out {
            self.schedule_resend(now);
        } else if !self.nacked.is_empty() || self.repeats_due {
            self.schedule_send(now);
        }
    }

    fn on_resend_timer(&mut self, now: u64) {
        self.may_send = true;
        self.rto = self.rto.min(FIRST_RTO);
        self.send_at = None;
        self.timed_out = true;
        self.nacked.clear();
        self.repeats_due = false;
        self.allowed = 1;
        self.resend(now);
    }

    /// Timers after an acknowledgement, and what may be sent by it.
    fn settle(&mut self, now: u64, any: bool) {
        if any || !self.nacked.is_empty() {
            self.schedule_resend(now);
        }
        if self.buffer == 0 && !self.sent.is_empty() {
            self.repeats_due = true;
            self.rto = ((self.rtt * 1.5 + self.jitter) as u64 + self.ack_interval).max(20);
        }
        if self.sent.is_empty() && self.buffer == 0 {
            self.resend_at = None;
            self.send_at = None;
            self.acked_at = 0;
            self.ack_interval = 200;
        }
        if any {
            self.ack_first = false;
            self.attempts = 0;
            self.timed_out = false;
            self.send_buffer(now);
        }
    }

    fn note_interval(&mut self, ts: u64) {
        if self.acked_at > 0 {
            self.ack_interval = u64::midpoint(self.ack_interval, ts - self.acked_at);
        }
        self.acked_at = ts;
    }

    /// What the newer rule makes of a sample.
    fn judge(&mut self, sample: f64, mut grown: i64) {
        let step = (sample - self.previous).abs();
        if !self.dropped {
            self.slow = 0.02 * self.rtt + 0.98 * self.slow;
            self.fast = 0.1 * self.rtt + 0.9 * self.fast;
            if step > 0.0 {
                self.jitter_sum = (self.jitter_sum + step + 3.0).floor();
                self.jitter = self.jitter_sum / self.jitter_n;
                self.jitter_n += 1.0;
            }
            if self.least > self.rtt {
                self.least = self.rtt;
                self.fast = self.least + self.jitter;
                self.slow = self.least + self.jitter;
            }
        }
        let bar = self.least + self.jitter * 3.0;
        let late = self.fast >= bar || self.rtt >= bar || self.slow >= bar;
        if self.empty || late || self.rtt > self.fast {
            grown = 0;
            self.credit = 0;
        }
        self.credit += grown;
        if self.slow > self.least + self.jitter * 6.0 && !self.dropped {
            self.drop_window(true);
        }
    }

    /// What that of 2.56 makes of it.
    fn judge_old(&mut self, sample: f64, mut grown: i64) {
        let step = (sample - self.previous).abs();
        if !self.dropped {
            self.slow = 0.05 * self.rtt + 0.95 * self.slow;
            self.fast = 0.25 * self.rtt + 0.75 * self.fast;
            let j = if step > 0.0 { step } else { sample / 10.0 } + 15.0;
            self.jitter = 0.05 * j + 0.95 * self.jitter;
        }
        if sample > self.slow {
            grown = 0;
            self.doubled = true;
        } else if sample < self.slow && core::mem::take(&mut self.doubled) {
            grown *= 2;
        }
        self.credit += grown;
        let risen = self.fast > self.slow + self.jitter;
        if risen && sample > self.fast && sample > self.previous && !self.dropped {
            self.drop_window(true);
        }
    }

    /// The sample of an acknowledgement.
    fn take_sample(&mut self, now: u64, sample: f64, grown: i64) {
        let first = self.sample_first && !self.ack_first;
        if first {
            self.rtt = sample;
            self.slow = sample;
            self.fast = sample;
            self.previous = sample;
            if self.version == Version::V56 {
                self.jitter = sample / 10.0 + 15.0;
            } else {
                self.least = sample;
                self.jitter = (sample / 5.0).floor() + 3.0;
                self.jitter_sum = self.jitter.floor();
                self.jitter_n = 1.0;
            }
            self.sample_first = false;
        } else {
            self.rtt = (self.previous + sample) / 2.0;
        }
        if self.version == Version::V56 {
            self.judge_old(sample, grown);
        } else {
            self.judge(sample, grown);
        }
        self.update_pacing();
        self.previous = sample;
        let initial = self.rto == FIRST_RTO;
        self.rto = ((self.rtt * 1.3 + self.jitter) as u64 + self.ack_interval).max(20);
        if initial {
            self.schedule_resend(now);
        }
    }
}

impl Sender for I2pd {
    /// The answer to the SYN leaves, then the server's first bytes come.
    fn start(&mut self, now: u64) {
        self.sent.insert(0, (now / 1000, false));
        self.next = 1;
        self.may_send = false;
        self.last_send = now / 1000;
        self.refill_at = Some(now + 500);
        self.schedule_send(now);
        self.schedule_resend(now);
    }

    fn on_ack(&mut self, now: u64, through: u32, nacks: &[u32]) {
        let ts = now / 1000;
        self.nacked.clear();
        self.repeats_due = false;
        if through > self.next {
            return;
        }
        let mut sample: Option<f64> = None;
        let mut grown = 0;
        let mut any = false;
        let seqs: Vec<u32> = self.sent.range(..=through).map(|(s, _)| *s).collect();
        for seq in seqs {
            if nacks.contains(&seq) {
                self.nacked.insert(seq);
                continue;
            }
            let Some((at, resent)) = self.sent.remove(&seq) else {
                continue;
            };
            let rtt = ts.saturating_sub(at) as f64;
            if seq == 0 {
                self.sample_first = true;
                sample = Some(rtt);
            } else if !resent {
                sample = Some(sample.map_or(rtt, |s: f64| s.min(rtt)));
            }
            any = true;
            if (self.credit as f64) < MOST && !self.ack_first && !self.dropped {
                grown += 1;
            }
        }
        self.note_interval(ts);
        if let Some(sample) = sample {
            self.take_sample(now, sample, grown);
        }
        if self.dropped && through > self.dropped_until {
            self.sample_first = true;
            self.dropped = false;
        }
        if self.target > 0.0 && self.sent.len() as f64 <= self.target.floor() {
            self.window = self.target;
            self.target = 0.0;
        }
        self.settle(now, any);
    }

    fn deadline(&self) -> Option<u64> {
        [self.send_at, self.resend_at, self.refill_at]
            .into_iter()
            .flatten()
            .min()
    }

    fn poll(&mut self, now: u64) -> Vec<Packet> {
        if self.refill_at.is_some_and(|at| at <= now) {
            self.refill_at = None;
            let n = self.left.min(CHUNK);
            self.left -= n;
            self.buffer += n;
            self.send_buffer(now);
        }
        if self.send_at.is_some_and(|at| at <= now) {
            self.send_at = None;
            self.on_send_timer(now);
        }
        if self.resend_at.is_some_and(|at| at <= now) {
            self.resend_at = None;
            self.on_resend_timer(now);
        }
        core::mem::take(&mut self.out)
    }
}
