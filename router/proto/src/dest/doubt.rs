//! Whether what we send under a session arrives.
//!
//! Now and then a message asks for an acknowledgement. A remote that is heard of and acknowledges
//! nothing does not get what we send: the path is dead, or, when another path changes nothing, our
//! tags have run ahead of those that it expects. A remote that is not heard of may have lost its
//! sessions. In both cases New Sessions go along with the old one, which stays in use: i2pd and
//! Java take what is in a New Session, but begin no other session while theirs is younger than two
//! minutes, and answer under that one (i2pd `AddECIESx25519Session`, Java `SESSION_REPLACE_AGE`).

use crate::garlic::ratchet::AckId;
use crate::time::Instant;
use core::time::Duration;

/// Time between two messages that ask for an acknowledgement.
const ASK: Duration = Duration::from_secs(1);
/// What is heard so much later comes from somebody who could have acknowledged.
const ANSWER: Duration = Duration::from_millis(1500);
/// Acknowledgements in a row that did not come, after which path and session are in doubt.
const LOST: u32 = 2;
/// An acknowledgement speaks for a session for so long.
const SURE: Duration = Duration::from_secs(5);
/// Wait before the second New Session, and the longest; i2pd refuses two within 200 ms.
const AFRESH: Duration = Duration::from_millis(300);
const AFRESH_MAX: Duration = Duration::from_secs(3);

/// What a message that was heard, or one that was sent too often, says about us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing new.
    Fine,
    /// The session is in doubt from now on.
    Doubt,
}

/// What is known of one session's way to the remote.
#[derive(Clone, Copy, Debug, Default)]
pub struct Doubt {
    /// The remote has acknowledged something: silence about it means something.
    acknowledges: bool,
    sure: Option<Instant>,
    asked: Option<(AckId, Instant)>,
    next_ask: Instant,
    /// Acknowledgements that did not come, and the first of them: a late one is one.
    lost: u32,
    first_lost: Option<AckId>,
    /// In doubt, and how many New Sessions were sent because of it.
    afresh: Option<u32>,
    next_afresh: Instant,
}

impl Doubt {
    /// Whether the next message should ask for an acknowledgement.
    #[must_use]
    pub fn wants_ack(&self, now: Instant) -> bool {
        self.asked.is_none() && self.next_ask <= now
    }

    /// A message that asks for an acknowledgement was sent.
    pub fn asked(&mut self, now: Instant, ack: AckId) {
        if self.asked.is_none() {
            self.asked = Some((ack, now));
        }
        self.next_ask = now + ASK;
    }

    /// Something of the remote came, with these acknowledgements.
    pub fn heard(&mut self, now: Instant, acked: &[AckId]) -> Verdict {
        self.acknowledges |= !acked.is_empty();
        let first = self.first_lost.or(self.asked.map(|(ack, _)| ack));
        if first.is_some_and(|first| acked.iter().any(|a| *a >= first)) {
            self.settle(now);
            return Verdict::Fine;
        }
        let Some((ack, at)) = self.asked else {
            return Verdict::Fine;
        };
        if now.since(at) < ANSWER || !self.acknowledges {
            return Verdict::Fine;
        }
        (self.asked, self.next_ask) = (None, now);
        self.lost = self.lost.saturating_add(1);
        self.first_lost.get_or_insert(ack);
        if self.lost < LOST {
            return Verdict::Fine;
        }
        self.begin()
    }

    /// A packet was sent too often without an answer.
    pub fn suspect(&mut self, now: Instant) -> Verdict {
        if self.sure.is_some_and(|at| now.since(at) < SURE) {
            return Verdict::Fine;
        }
        self.begin()
    }

    fn begin(&mut self) -> Verdict {
        if self.afresh.is_some() {
            return Verdict::Fine;
        }
        self.afresh = Some(0);
        Verdict::Doubt
    }

    /// A packet was acknowledged. From a remote that does not acknowledge messages that is all
    /// there is to know.
    pub fn progress(&mut self, now: Instant) {
        if !self.acknowledges {
            self.settle(now);
        }
    }

    /// A message of ours arrived, or the session is new.
    pub fn settle(&mut self, now: Instant) {
        self.sure = Some(now);
        (self.asked, self.first_lost, self.lost) = (None, None, 0);
        self.afresh = None;
    }

    /// Whether the next message should be a New Session although there is a session; the answer
    /// is how many there were before.
    pub fn takes_afresh(&mut self, now: Instant) -> Option<u32> {
        let tries = self.afresh.as_mut().filter(|_| self.next_afresh <= now)?;
        let before = *tries;
        *tries += 1;
        let wait = AFRESH * 5_u32.pow(before.min(12)) / 4_u32.pow(before.min(12));
        self.next_afresh = now + wait.min(AFRESH_MAX);
        Some(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Instant {
        Instant(ms * 1000)
    }

    #[test]
    fn acknowledgements_that_do_not_come_are_a_dead_path_then_a_lost_session() {
        let mut d = Doubt::default();
        assert!(d.wants_ack(at(1000)));
        d.asked(at(1000), AckId(4));
        assert!(!d.wants_ack(at(5000)));
        assert_eq!(d.heard(at(1200), &[AckId(4)]), Verdict::Fine);
        let lose = |d: &mut Doubt, n: u64| {
            let now = 2200 + 2000 * n;
            assert!(d.wants_ack(at(now)));
            d.asked(at(now), AckId(5 + n));
            // An old acknowledgement says nothing about it, nor what may have been sent before.
            assert_eq!(d.heard(at(now + 100), &[AckId(3)]), Verdict::Fine);
            d.heard(at(now + 1600), &[])
        };
        assert_eq!(lose(&mut d, 0), Verdict::Fine);
        // On a slow path it comes late.
        assert_eq!(d.heard(at(4000), &[AckId(5)]), Verdict::Fine);
        assert_eq!(lose(&mut d, 1), Verdict::Fine);
        assert_eq!(lose(&mut d, 2), Verdict::Doubt);
        assert_eq!(d.takes_afresh(at(9000)), Some(0));
        assert_eq!(d.takes_afresh(at(9200)), None);
        assert_eq!(d.takes_afresh(at(9300)), Some(1));
        d.asked(at(9400), AckId(9));
        assert_eq!(d.heard(at(9500), &[AckId(9)]), Verdict::Fine);
        assert_eq!(d.takes_afresh(at(20_000)), None);
    }

    #[test]
    fn who_never_acknowledges_is_not_judged_by_it() {
        let mut d = Doubt::default();
        d.asked(at(0), AckId(1));
        for s in 1..20 {
            assert_eq!(d.heard(at(s * 1000), &[]), Verdict::Fine);
        }
        assert_eq!(d.suspect(at(20_000)), Verdict::Doubt);
        assert_eq!(d.suspect(at(20_000)), Verdict::Fine);
        d.progress(at(20_500));
        assert_eq!(d.takes_afresh(at(21_000)), None);
        assert_eq!(d.suspect(at(21_000)), Verdict::Fine, "it was sure just now");
    }
}
