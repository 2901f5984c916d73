//! How a Java router sends (apps/streaming, `ConnectionPacketHandler.adjustWindow` and
//! `Connection.sendPacket`), retold: the window grows by what is acknowledged, at once and
//! whatever the round-trip time; a loss halves it once a window.

use super::{Packet, Sender};
use crate::rng::Rng;
use std::collections::BTreeMap;

const MOST: usize = 128;

struct Sent {
    at: u64,
    copies: u32,
    nacks: u32,
}

pub struct Java {
    rng: Rng,
    next: u32,
    sent: BTreeMap<u32, Sent>,
    window: usize,
    threshold: usize,
    congested_until: u32,
    rtt: f64,
    deviation: f64,
    rto: u64,
    measured: bool,
    left: usize,
    out: Vec<Packet>,
}

impl Java {
    pub fn new(seed: u64, bytes: usize) -> Self {
        Self {
            rng: Rng::from_number(seed),
            next: 0,
            sent: BTreeMap::new(),
            window: 3,
            threshold: MOST,
            congested_until: 0,
            rtt: 8000.0,
            deviation: 0.0,
            rto: 9000,
            measured: false,
            left: bytes,
            out: Vec::new(),
        }
    }

    fn fill(&mut self, now: u64) {
        while self.left > 0 && self.sent.len() < self.window {
            let len = self.left.min(1730);
            self.left -= len;
            let room = self.window - self.sent.len() - 1;
            let ask = room < self.window.div_ceil(3) + 1 || room < 3 || self.next.is_multiple_of(8);
            let later = (self.rtt / 2.0).min(60_000.0) as u16;
            let delay = Some(if ask { 0 } else { later });
            let seq = self.next;
            self.out.push(Packet { seq, len, delay });
            let (at, copies, nacks) = (now, 1, 0);
            self.sent.insert(seq, Sent { at, copies, nacks });
            self.next += 1;
        }
    }

    fn again(&mut self, now: u64, seq: u32) {
        let Some(s) = self.sent.get_mut(&seq) else {
            return;
        };
        (s.at, s.copies, s.nacks) = (now, s.copies + 1, 0);
        if seq >= self.congested_until {
            self.threshold = (self.window / 2).max(2);
            self.window = (self.window / 2).max(1);
            self.congested_until = self.next;
        }
        let (len, delay) = (1730, None);
        self.out.push(Packet { seq, len, delay });
    }
}

impl Sender for Java {
    fn start(&mut self, now: u64) {
        let (at, copies, nacks) = (now, 1, 0);
        self.sent.insert(0, Sent { at, copies, nacks });
        self.next = 1;
        self.fill(now);
    }

    fn on_ack(&mut self, now: u64, through: u32, nacks: &[u32]) {
        let seqs: Vec<u32> = self.sent.range(..=through).map(|(s, _)| *s).collect();
        let mut acked = 0;
        let mut sample: Option<u64> = None;
        let mut lost = Vec::new();
        for seq in seqs {
            if nacks.contains(&seq) {
                if let Some(s) = self.sent.get_mut(&seq) {
                    s.nacks += 1;
                    if s.nacks >= 3 && s.copies == 1 {
                        lost.push(seq);
                    }
                }
            } else if let Some(s) = self.sent.remove(&seq) {
                acked += 1;
                if s.copies == 1 {
                    sample = sample.max(Some((now - s.at) / 1000));
                }
            }
        }
        if let Some(ms) = sample.map(|ms| ms as f64) {
            if self.measured {
                self.deviation = 0.75 * self.deviation + 0.25 * (ms - self.rtt).abs();
                self.rtt = 0.875 * self.rtt + 0.125 * ms;
            } else {
                (self.rtt, self.deviation, self.measured) = (ms, ms / 2.0, true);
            }
            self.rto =
                (self.rtt + (4.0 * self.deviation).max(100.0)).clamp(1000.0, 45_000.0) as u64;
        }
        if acked > 0 {
            if self.window < self.threshold {
                self.window = (self.window + acked).min(self.threshold);
            } else if self.rng.below(self.window) < acked {
                self.window += 1;
            }
            self.window = self.window.min(MOST);
        }
        for seq in lost {
            self.again(now, seq);
        }
        self.fill(now);
    }

    fn deadline(&self) -> Option<u64> {
        self.sent
            .values()
            .map(|s| s.at + (self.rto << (s.copies - 1).min(4)) * 1000)
            .min()
    }

    fn poll(&mut self, now: u64) -> Vec<Packet> {
        while let Some((seq, _)) = self
            .sent
            .iter()
            .find(|(_, s)| s.at + (self.rto << (s.copies - 1).min(4)) * 1000 <= now)
        {
            self.again(now, *seq);
        }
        core::mem::take(&mut self.out)
    }
}
