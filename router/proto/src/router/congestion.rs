//! How loaded transit has been, as it is told to others (i2p proposal 162): an average over
//! minutes, looked at rarely, so that nobody reads single tunnels out of it. Nothing is said at a
//! start.

use crate::rng::Rng;
use crate::time::{Instant, Now};
use core::time::Duration;

/// The letter is thought over this often, plus jitter (i2pd: 11 min and up to 130 s).
const LOOK: Duration = Duration::from_secs(11 * 60);
const LOOK_JITTER: Duration = Duration::from_secs(130);
/// Seconds that the average is over.
const SPAN: i64 = 300;
/// Per mille of the limits from which on load is medium, and high (i2pd: 70 and 90 percent).
const MEDIUM: i64 = 700;
const HIGH: i64 = 900;
/// Fractions of a per mille.
const ONE: i64 = 1000;

/// The load of transit.
pub(super) struct Congestion {
    /// In fractions of a per mille.
    average: i64,
    /// Per mille of the bandwidth in this second.
    second: i64,
    letter: Option<char>,
    next: Instant,
}

impl Congestion {
    pub(super) fn new(now: Now) -> Self {
        Self {
            average: 0,
            second: 0,
            letter: None,
            next: now.mono + LOOK,
        }
    }

    /// The letter to publish.
    pub(super) const fn letter(&self) -> Option<char> {
        self.letter
    }

    /// What transit used in the last second, of this limit; `limited` when it wanted more.
    pub(super) fn used(&mut self, bytes_per_sec: u64, limit: u64, limited: bool) {
        let share = per_mille(bytes_per_sec, limit);
        self.second = if limited { 1000 } else { share };
    }

    /// Once a second, with the transit tunnels there are and may be. Whether the letter changed.
    pub(super) fn tick(&mut self, now: Now, rng: &mut Rng, hops: usize, hops_max: usize) -> bool {
        let level = per_mille(hops as u64, hops_max as u64).max(self.second);
        self.second = 0;
        self.average += (level * ONE - self.average) / SPAN;
        if now.mono < self.next {
            return false;
        }
        self.next = now.mono + LOOK + rng.jitter(LOOK_JITTER);
        let letter = match self.average / ONE {
            HIGH.. => Some('E'),
            MEDIUM.. => Some('D'),
            _ => None,
        };
        core::mem::replace(&mut self.letter, letter) != letter
    }
}

fn per_mille(part: u64, whole: u64) -> i64 {
    let share = u128::from(part) * 1000 / u128::from(whole.max(1));
    i64::try_from(share.min(1000)).unwrap_or(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The letter after half an hour of this load, and the minutes in which it changed.
    fn half_an_hour(bytes: u64, limited: bool, hops: usize) -> (Option<char>, Vec<u64>) {
        let mut now = Now::default();
        let mut congestion = Congestion::new(now);
        let (mut rng, mut changed) = (Rng::from_number(1), Vec::new());
        for second in 1..1800 {
            now = now.after(Duration::from_secs(1));
            congestion.used(bytes, 1000, limited);
            if congestion.tick(now, &mut rng, hops, 100) {
                changed.push(second / 60);
            }
        }
        (congestion.letter(), changed)
    }

    #[test]
    fn load_is_told_by_steps_and_not_at_the_start() {
        assert_eq!(half_an_hour(300, false, 10), (None, vec![]));
        assert_eq!(half_an_hour(850, false, 10), (Some('D'), vec![11]));
        assert_eq!(half_an_hour(300, false, 85), (Some('D'), vec![11]));
        let (letter, changed) = half_an_hour(990, false, 0);
        assert_eq!((letter, changed[0]), (Some('E'), 11));
        assert_eq!(half_an_hour(10, true, 0).0, Some('E'));
    }

    #[test]
    fn what_is_over_is_not_told_for_ever() {
        let mut now = Now::default();
        let mut congestion = Congestion::new(now);
        let mut rng = Rng::from_number(1);
        for second in 0..3600 {
            now = now.after(Duration::from_secs(1));
            if second < 1500 {
                congestion.used(1000, 1000, true);
            }
            congestion.tick(now, &mut rng, 0, 100);
            assert!(second != 1500 || congestion.letter() == Some('E'));
        }
        assert_eq!(congestion.letter(), None);
    }
}
