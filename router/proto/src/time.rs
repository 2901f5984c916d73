//! Points in time as values: the core is told the time, it never asks.

use core::ops::{Add, Sub};
use core::time::Duration;

/// Monotonic time in microseconds since an arbitrary start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

impl Instant {
    /// Time passed since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(d.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(u64::try_from(d.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

/// Wall-clock time: milliseconds since 1970-01-01 UTC, the I2P `Date`
/// (i2p spec/common-structures, Date).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub u64);

impl Date {
    /// From whole seconds since 1970.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub const fn secs(self) -> u64 {
        self.0 / 1000
    }

    /// Seconds since 1970, rounded to nearest and wrapped to the four bytes of the wire.
    #[must_use]
    pub fn secs_u32_rounded(self) -> u32 {
        ((self.0.saturating_add(500) / 1000) & u64::from(u32::MAX)) as u32
    }

    /// Time passed since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// UTC calendar date as the eight ASCII digits `yyyyMMdd`
    /// (i2p docs/how/network-database, routing key).
    #[must_use]
    pub fn yyyymmdd(self) -> [u8; 8] {
        let (y, m, d) = civil_from_days(self.secs() / 86_400);
        let n = y * 10_000 + m * 100 + d;
        let mut out = [b'0'; 8];
        let mut rest = n;
        for slot in out.iter_mut().rev() {
            *slot = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        out
    }
}

impl Add<Duration> for Date {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

impl Sub<Duration> for Date {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

/// Both clocks at one moment; every entry of the core takes one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For timers.
    pub mono: Instant,
    /// For dates on the wire.
    pub wall: Date,
}

impl Now {
    /// The moment `d` later on both clocks.
    #[must_use]
    pub fn after(self, d: Duration) -> Self {
        Self {
            mono: self.mono + d,
            wall: self.wall + d,
        }
    }
}

/// Days since 1970 to (year, month, day), proleptic Gregorian.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let d = doy - (153 * mp + 2) / 5 + 1;
    let m = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + u64::from(m <= 2), m, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_the_day() {
        assert_eq!(&Date::from_secs(0).yyyymmdd(), b"19700101");
        assert_eq!(&Date::from_secs(951_782_400).yyyymmdd(), b"20000229");
        assert_eq!(&Date::from_secs(1_798_761_599).yyyymmdd(), b"20261231");
        assert_eq!(&Date::from_secs(1_798_761_600).yyyymmdd(), b"20270101");
    }

    #[test]
    fn rounding_to_seconds() {
        assert_eq!(Date(1_499).secs_u32_rounded(), 1);
        assert_eq!(Date(1_500).secs_u32_rounded(), 2);
    }
}
