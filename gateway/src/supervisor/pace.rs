//! When a program that has ended is started again: at once the first time, then after pauses that
//! grow, until it has run for a while.

use std::time::Duration;
use tokio::time::Instant;

/// Pause before a restart: doubles from the first to the second.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// A run this long counts as healthy: the pause starts small again.
const HEALTHY: Duration = Duration::from_secs(60);

/// The pauses of one program.
#[derive(Debug)]
pub struct Pace {
    /// When it was started or ended last.
    since: Instant,
    back_off: Duration,
    starts: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            back_off: Duration::ZERO,
            starts: 0,
        }
    }
}

impl Pace {
    /// How long to wait before the next start.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.back_off.saturating_sub(self.since.elapsed())
    }

    /// It is being started.
    pub fn start(&mut self) {
        self.starts += 1;
        self.since = Instant::now();
    }

    /// It could not be started; how long to wait.
    pub fn failed(&mut self) -> Duration {
        self.back_off = (self.back_off * 2).clamp(BACK_OFF.0, BACK_OFF.1);
        self.back_off
    }

    /// The next start is wanted now.
    pub fn at_once(&mut self) {
        self.back_off = Duration::ZERO;
    }

    /// It has ended by itself.
    pub fn ended(&mut self) {
        let longer = self.failed();
        self.back_off = if self.since.elapsed() > HEALTHY {
            BACK_OFF.0
        } else {
            longer
        };
        self.since = Instant::now();
    }

    /// How often it was started.
    #[must_use]
    pub fn starts(&self) -> u64 {
        self.starts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_their_bound_and_begin_anew_after_a_long_run() {
        let mut pace = Pace::default();
        assert_eq!(pace.left(), Duration::ZERO);
        let mut last = Duration::ZERO;
        for _ in 0..12 {
            pace.start();
            pace.ended();
            assert!(pace.left() > last || pace.left() == BACK_OFF.1);
            last = pace.left();
        }
        assert_eq!(last, BACK_OFF.1);
        tokio::time::sleep(last).await;
        assert_eq!(pace.left(), Duration::ZERO);
        pace.start();
        tokio::time::sleep(HEALTHY + Duration::from_secs(1)).await;
        pace.ended();
        assert_eq!(pace.left(), BACK_OFF.0);
        assert_eq!(pace.starts(), 13);
        pace.at_once();
        assert_eq!(pace.left(), Duration::ZERO);
    }
}
