//! What acknowledgements say: what arrived, how long it took, what is lost.

use super::{Acked, SendSide};
use crate::time::Instant;
use core::time::Duration;

/// Largest part of the reordering window, in eighths of the round-trip time.
const REORDER_MAX: u32 = 8;

impl SendSide {
    /// Everything up to `through` but `missing` (sorted) has arrived.
    pub(in crate::stream) fn on_ack(
        &mut self,
        now: Instant,
        through: u32,
        missing: &[u32],
    ) -> Acked {
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
        let first = self.unacked.get(&0).filter(|s| s.resends > 0);
        let first = first.filter(|_| acked.first() == Some(&0)).map(|s| s.at);
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
        if let Some(at) = first.filter(|_| self.rtt.smoothed().is_none()) {
            self.follows_first(at);
        }
        Acked {
            bogus: false,
            packets: acked.len(),
        }
    }

    /// The first packet arrived with its repeat of then: what left with it before was lost too.
    fn follows_first(&mut self, at: Instant) {
        for (seq, s) in self.unacked.iter_mut().filter(|(_, s)| s.at < at) {
            s.lost = true;
            self.lost.insert(*seq);
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
    pub(super) fn find_lost(&mut self, now: Instant) {
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
}
