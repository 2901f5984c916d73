//! What sets the clock: the machine's, or one of a file, for tests beside which others work.

use crate::clock::NANOS;
use clock_steering::unix::UnixClock;
use clock_steering::{Clock, LeapIndicator, TimeOffset};
use nix::time::{ClockId, clock_gettime};
use std::path::PathBuf;
use std::time::Duration;

/// The machine's own clock is in the kernel's hands.
const REAL: UnixClock = UnixClock::CLOCK_REALTIME;

/// How far the time may be from the true one after it was set: what the kernel is told, so that it
/// sets the battery's clock, too.
const ERROR: Duration = Duration::from_millis(500);

/// Which clock.
#[derive(Debug, Clone, Default)]
pub enum Hand {
    /// The machine's.
    #[default]
    Machine,
    /// The machine's and so many nanoseconds as the file says; nothing of the machine changes.
    File(PathBuf),
}

impl Hand {
    /// Nanoseconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        let real = clock_gettime(ClockId::CLOCK_REALTIME).map_or(0, |at| {
            at.tv_sec()
                .saturating_mul(NANOS)
                .saturating_add(at.tv_nsec())
        });
        match self {
            Self::Machine => real,
            Self::File(_) => real.saturating_add(self.offset()),
        }
    }

    fn offset(&self) -> i64 {
        let Self::File(path) = self else { return 0 };
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace()
            .next()
            .and_then(|n| n.parse().ok())
            .unwrap_or(0)
    }

    /// Sets it, later or earlier by nanoseconds.
    ///
    /// # Errors
    /// Of the system.
    pub fn step(&self, by: i64) -> Result<(), String> {
        match self {
            Self::Machine => {
                let offset = TimeOffset {
                    seconds: by.div_euclid(NANOS),
                    nanos: u32::try_from(by.rem_euclid(NANOS)).unwrap_or(0),
                };
                REAL.step_clock(offset)
                    .map(|_| ())
                    .map_err(|e| e.to_string())
            }
            Self::File(_) => self.write(self.offset().saturating_add(by), 0),
        }
    }

    /// Lets it go faster or slower, by millionths.
    ///
    /// # Errors
    /// Of the system.
    pub fn drift(&self, ppm: i64) -> Result<(), String> {
        match self {
            Self::Machine => {
                let rate = i32::try_from(ppm).map_or(0.0, f64::from);
                REAL.set_frequency(rate)
                    .map(|_| ())
                    .map_err(|e| e.to_string())
            }
            Self::File(_) => self.write(self.offset(), ppm),
        }
    }

    /// Tells the kernel that the time is right: it sets the battery's clock then.
    pub fn settled(&self) {
        if matches!(self, Self::Machine) {
            // Without it the battery's clock stays as it is.
            let _ = REAL.set_leap_seconds(LeapIndicator::NoWarning);
            let _ = REAL.error_estimate_update(ERROR, ERROR);
        }
    }

    fn write(&self, offset: i64, ppm: i64) -> Result<(), String> {
        let Self::File(path) = self else {
            return Ok(());
        };
        std::fs::write(path, format!("{offset} {ppm}\n")).map_err(|e| e.to_string())
    }
}
