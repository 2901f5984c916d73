//! When reseed hosts are asked: soon after a start, and then ever more rarely.

use core::time::Duration;
use ramson_proto::rng::Rng;
use ramson_proto::time::Instant;

/// A start waits up to this long: peers that are known may do.
const FIRST: Duration = Duration::from_secs(5);

/// Pause after a failure, doubled with each, and its longest.
const PAUSE: Duration = Duration::from_secs(60);
const PAUSE_MAX: Duration = Duration::from_secs(6 * 3600);

/// Pause after success: what was found has to be met first.
const AFTER: Duration = Duration::from_secs(3600);

/// The next time.
pub struct Schedule {
    next: Instant,
    pause: Duration,
}

impl Schedule {
    /// At a start.
    #[must_use]
    pub fn new(now: Instant, rng: &mut Rng) -> Self {
        Self {
            next: now + rng.jitter(FIRST),
            pause: PAUSE,
        }
    }

    /// Whether it is time.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.next <= now
    }

    /// Hosts were asked.
    pub fn asked(&mut self, found: bool, now: Instant, rng: &mut Rng) {
        let pause = if found { AFTER } else { self.pause };
        self.pause = if found {
            PAUSE
        } else {
            (self.pause * 2).min(PAUSE_MAX)
        };
        // Not all routers that lost the network at one time come back at one time.
        self.next = now + pause + rng.jitter(pause / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_failures_and_are_never_short() {
        let mut rng = Rng::from_seed([1; 32]);
        let mut now = Instant(0);
        let mut schedule = Schedule::new(now, &mut rng);
        assert!(schedule.is_due(now + FIRST));
        let mut rounds = 0;
        let day = now + Duration::from_secs(86_400);
        while now < day {
            schedule.asked(false, now, &mut rng);
            assert!(!schedule.is_due(now + Duration::from_secs(59)));
            rounds += 1;
            now = schedule.next;
        }
        assert!((8..=14).contains(&rounds), "{rounds}");
        schedule.asked(true, now, &mut rng);
        assert!(!schedule.is_due(now + Duration::from_secs(3599)));
        schedule.asked(false, now, &mut rng);
        assert!(schedule.is_due(now + Duration::from_secs(90)));
    }
}
