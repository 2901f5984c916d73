//! When closest hops of our inbound tunnels are dialled again. The first loss costs no time; who
//! lets links go again and again is dialled after growing pauses, who cannot be dialled after one.

use crate::limits::REDIALS_MAX;
use crate::time::Instant;
use crate::wire::hash::RouterHash;
use core::time::Duration;
use std::collections::BTreeMap;

/// The pause after a second loss; it doubles with each that follows.
const FIRST: Duration = Duration::from_secs(2);
/// The longest pause, and the one after a dial that failed. After a minute without a network
/// tunnels come back only as soon as this.
const LONGEST: Duration = Duration::from_secs(15);
/// A router that was lost no more for this long after its pause has a clean record.
const CALM: Duration = Duration::from_secs(60);

#[derive(Clone, Copy)]
struct Record {
    pause: Duration,
    /// When its pause is over; losses are counted together until [`CALM`] after this.
    until: Instant,
    /// Whether it is to be dialled then.
    waits: bool,
}

/// Who was lost lately.
#[derive(Default)]
pub struct Redials(BTreeMap<RouterHash, Record>);

impl Redials {
    /// A router that we need is lost, or could not be dialled (`failed`). Whether it is to be
    /// dialled at once; otherwise [`Self::due`] names it later.
    pub fn lost(&mut self, now: Instant, peer: RouterHash, failed: bool) -> bool {
        self.forget_calm(now);
        let known = self.0.get(&peer);
        let pause = match (known, failed) {
            (None, false) => Duration::ZERO,
            (_, true) => LONGEST,
            (Some(r), false) => (r.pause * 2).clamp(FIRST, LONGEST),
        };
        if known.is_none() && self.0.len() >= REDIALS_MAX {
            let soonest = self.0.iter().min_by_key(|(_, r)| r.until);
            if let Some(soonest) = soonest.map(|(peer, _)| *peer) {
                self.0.remove(&soonest);
            }
        }
        let record = Record {
            pause,
            until: now + pause,
            waits: pause > Duration::ZERO,
        };
        self.0.insert(peer, record);
        !record.waits
    }

    /// Those whose pause is over, each once.
    pub fn due(&mut self, now: Instant) -> Vec<RouterHash> {
        let due = self.0.iter_mut().filter(|(_, r)| r.until <= now);
        let due = due.filter_map(|(peer, r)| core::mem::take(&mut r.waits).then_some(*peer));
        let due = due.collect();
        self.forget_calm(now);
        due
    }

    fn forget_calm(&mut self, now: Instant) {
        self.0.retain(|_, r| r.waits || now < r.until + CALM);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: RouterHash = RouterHash([1; 32]);

    /// Seconds at which a router is dialled that lets each link go at once, or refuses each dial,
    /// from `start` on, in ten minutes.
    fn dials(redials: &mut Redials, start: u64, failed: bool) -> Vec<u64> {
        let at = |s: u64| Instant(s * 1_000_000);
        let mut dials = Vec::new();
        let mut lost = Some(start);
        for s in start..start + 600 {
            if lost.take().is_some() && redials.lost(at(s), PEER, failed) {
                dials.push(s);
                // And lost again within the same second.
                assert!(!redials.lost(at(s), PEER, failed), "no pause");
            }
            if !redials.due(at(s)).is_empty() {
                dials.push(s);
                lost = Some(s);
            }
        }
        dials
    }

    #[test]
    fn who_lets_go_of_each_link_is_dialled_at_growing_intervals() {
        let mut redials = Redials::default();
        let seen = dials(&mut redials, 0, false);
        assert_eq!(seen.first(), Some(&0), "the first loss costs no time");
        assert!((35..=42).contains(&seen.len()), "{seen:?}");
        let gaps: Vec<u64> = seen.windows(2).map(|w| w[1] - w[0]).collect();
        assert!(gaps.is_sorted(), "{gaps:?}");
        assert!(gaps.iter().all(|gap| (2..=16).contains(gap)), "{gaps:?}");
    }

    #[test]
    fn who_held_a_link_for_long_is_dialled_at_once() {
        let mut redials = Redials::default();
        dials(&mut redials, 0, false);
        redials.due(Instant(1_999_000_000));
        assert_eq!(dials(&mut redials, 2000, false).first(), Some(&2000));
    }

    #[test]
    fn who_cannot_be_dialled_is_left_alone_for_a_while() {
        let seen = dials(&mut Redials::default(), 0, true);
        assert_eq!(seen.first(), Some(&15));
        assert!((35..=40).contains(&seen.len()), "{seen:?}");
    }

    #[test]
    fn no_more_than_the_limit_are_remembered() {
        let mut redials = Redials::default();
        for n in 0..=REDIALS_MAX as u32 {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&n.to_be_bytes());
            redials.lost(Instant(u64::from(n)), RouterHash(hash), true);
        }
        assert_eq!(redials.0.len(), REDIALS_MAX);
        let later = Instant(LONGEST.as_micros() as u64 * 2);
        assert_eq!(redials.due(later).len(), REDIALS_MAX);
    }
}
