//! Whether our clock can be right: jumps of wall time against monotonic time, and what the clocks
//! of peers say. The router never sets a clock: it says what is wrong, and blames nobody for it.

use crate::limits;
use crate::time::{Date, Instant, Now};
use crate::wire::hash::RouterHash;
use core::time::Duration;
use std::collections::VecDeque;

/// Wall time that moved against monotonic time by more than this was set, or the machine slept.
const JUMP_MS: i64 = 10_000;
/// No clock that is right shows a date before this: 2025-12-01 00:00 UTC.
pub const EARLIEST: Date = Date::from_secs(1_764_547_200);
/// Peers that have to be asked before their median counts.
const PEERS_MIN: usize = 3;
/// What a peer's clock said counts for this long.
const SAMPLE_LIFE: Duration = Duration::from_secs(2 * 3600);
/// From this difference in seconds on our clock is said to be off: others refuse links at 60.
const OFF_SECS: i64 = 30;
/// A clock that stays wrong is warned about this often.
const REMIND: Duration = Duration::from_secs(3600);

/// What is known of our clock, for status, metrics and error pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockView {
    /// The date is before this router was written: nobody will talk to us.
    pub implausible: bool,
    /// Median of the clocks of routers that we dialled, minus ours, in seconds; `None` while there
    /// are too few of them.
    pub skew_secs: Option<i64>,
    /// Routers that the median is of.
    pub peers: usize,
    /// Times since the start that the wall clock jumped.
    pub jumps: u64,
}

impl ClockView {
    /// Whether our clock is the reason why other routers do not talk to us, or soon will be.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.implausible || self.skew_secs.is_some_and(|s| s.abs() >= OFF_SECS)
    }

    /// What is wrong with the clock and what to do, in a sentence; `None` when nothing is.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        let what = match self.skew_secs {
            Some(secs) if secs.abs() >= OFF_SECS => {
                let way = if secs > 0 { "behind" } else { "ahead" };
                format!("{} {way}", in_words(secs.unsigned_abs()))
            }
            _ if self.implausible => "years behind".to_owned(),
            _ => return None,
        };
        Some(format!(
            "the clock of this machine is {what}, so other routers refuse to talk to it: set the \
             date, or start an NTP service"
        ))
    }
}

/// The largest unit that fits, rounded.
fn in_words(secs: u64) -> String {
    let (unit, n) = match secs {
        0..120 => ("seconds", secs),
        120..7200 => ("minutes", (secs + 30) / 60),
        7200..172_800 => ("hours", (secs + 1800) / 3600),
        _ => ("days", (secs + 43_200) / 86_400),
    };
    format!("{n} {unit}")
}

/// What a router's clock said.
struct Sample {
    from: RouterHash,
    /// Theirs minus ours.
    secs: i64,
    at: Instant,
}

/// Our clock under watch.
pub(super) struct Clock {
    /// Wall minus monotonic time in milliseconds, as of the last jump.
    offset: i64,
    /// Of different routers, oldest first.
    samples: VecDeque<Sample>,
    jumps: u64,
    /// When the clock was last warned about, while it is wrong.
    warned: Option<Instant>,
}

/// What the log is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// The clock is wrong.
    Wrong,
    /// It is right again.
    Right,
}

impl Clock {
    pub(super) fn new(now: Now) -> Self {
        Self {
            offset: offset(now),
            samples: VecDeque::new(),
            jumps: 0,
            warned: None,
        }
    }

    /// Looks at both clocks; whether wall time jumped since the last look. What peers said before
    /// is void then.
    pub(super) fn look(&mut self, now: Now) -> bool {
        let offset = offset(now);
        if (offset - self.offset).abs() <= JUMP_MS {
            return false;
        }
        self.offset = offset;
        self.samples.clear();
        self.jumps += 1;
        true
    }

    /// The clock of a router that we dialled. Those that dial us choose themselves, so they have no
    /// say.
    pub(super) fn observe(&mut self, now: Now, from: RouterHash, secs: i64) {
        self.samples.retain(|s| s.from != from);
        if self.samples.len() >= limits::CLOCK_PEERS_MAX {
            self.samples.pop_front();
        }
        let at = now.mono;
        self.samples.push_back(Sample { from, secs, at });
    }

    pub(super) fn view(&self, now: Now) -> ClockView {
        let live = self.samples.iter();
        let live = live.filter(|s| now.mono.since(s.at) < SAMPLE_LIFE);
        let mut secs: Vec<i64> = live.map(|s| s.secs).collect();
        secs.sort_unstable();
        let known = secs.len() >= PEERS_MIN;
        let median = secs.get(secs.len() / 2).copied();
        ClockView {
            implausible: now.wall < EARLIEST,
            skew_secs: median.filter(|_| known),
            peers: secs.len(),
            jumps: self.jumps,
        }
    }

    /// Whether a link that failed for the clocks is the peer's fault: most others agree with us.
    pub(super) fn blames_peer(&self, now: Now) -> bool {
        let view = self.view(now);
        view.skew_secs.is_some() && !view.is_wrong()
    }

    /// What to say in the log now: a wrong clock at once and every hour, then that it is right.
    pub(super) fn word(&mut self, now: Now) -> Option<Word> {
        match (self.view(now).is_wrong(), self.warned) {
            (true, Some(at)) if now.mono.since(at) < REMIND => None,
            (true, _) => {
                self.warned = Some(now.mono);
                Some(Word::Wrong)
            }
            (false, Some(_)) => {
                self.warned = None;
                Some(Word::Right)
            }
            (false, None) => None,
        }
    }
}

fn offset(now: Now) -> i64 {
    let ms = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    ms(now.wall.0).saturating_sub(ms(now.mono.0 / 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Now {
        Now {
            mono: Instant(secs * 1_000_000),
            wall: Date::from_secs(EARLIEST.secs() + secs),
        }
    }

    fn set(now: Now, by: i64) -> Now {
        let wall = Date(now.wall.0.saturating_add_signed(by * 1000));
        Now { wall, ..now }
    }

    #[test]
    fn jumps_either_way_are_seen_once_and_drift_is_none() {
        let mut clock = Clock::new(at(0));
        assert!(!clock.look(at(5000)) && !clock.look(set(at(5001), 10)));
        assert!(clock.look(set(at(5002), 3600)) && !clock.look(set(at(5003), 3600)));
        assert!(clock.look(at(5004)) && !clock.look(at(9000)));
        assert_eq!(clock.view(at(9000)).jumps, 2);
    }

    #[test]
    fn the_median_of_those_we_dialled_counts_each_router_once() {
        let mut clock = Clock::new(at(0));
        for _ in 0..9 {
            clock.observe(at(1), RouterHash([1; 32]), 900);
        }
        clock.observe(at(1), RouterHash([2; 32]), -1);
        assert_eq!(clock.view(at(1)).skew_secs, None);
        clock.observe(at(1), RouterHash([3; 32]), 2);
        let view = clock.view(at(1));
        assert_eq!((view.skew_secs, view.peers), (Some(2), 3));
        assert!(!view.is_wrong() && clock.blames_peer(at(1)));
        for n in 0..2 * limits::CLOCK_PEERS_MAX {
            clock.observe(at(2), RouterHash([n as u8; 32]), 100);
        }
        let view = clock.view(at(2));
        assert_eq!(view.peers, limits::CLOCK_PEERS_MAX);
        assert!(view.is_wrong() && !clock.blames_peer(at(2)));
        // What was said long ago, or before a jump, is void.
        assert_eq!(clock.view(at(3 * 3600)).peers, 0);
        assert!(clock.look(set(at(3), 100)));
        assert_eq!(clock.view(set(at(3), 100)).skew_secs, None);
    }

    #[test]
    fn a_wrong_clock_is_warned_about_until_it_is_right() {
        let mut clock = Clock::new(Now::default());
        assert!(clock.view(Now::default()).implausible);
        assert_eq!(clock.word(Now::default()), Some(Word::Wrong));
        assert_eq!(clock.word(Now::default()), None);
        clock.look(at(2));
        assert_eq!(clock.word(at(2)), Some(Word::Right));
        assert_eq!(clock.word(at(2)), None);
        for n in 0..3 {
            clock.observe(at(3), RouterHash([n; 32]), -200_000);
        }
        assert_eq!(clock.word(at(3)), Some(Word::Wrong));
        assert_eq!(clock.word(at(4)), None);
        assert_eq!(clock.word(at(3603)), Some(Word::Wrong));
        let advice = clock.view(at(4)).advice().unwrap();
        assert!(advice.contains("2 days ahead"), "{advice}");
    }
}
