//! The only reader of the clocks.

use ramson_proto::time::{Date, Instant, Now};
use std::sync::LazyLock;

#[expect(
    clippy::disallowed_methods,
    reason = "this is the file that reads the clock"
)]
static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);

/// Both clocks now: monotonic since the process started, and the wall clock.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the file that reads the clock"
)]
#[must_use]
pub fn now() -> Now {
    let wall = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(0));
    // One microsecond past zero, so that "never" and "at the start" differ.
    let mono = 1 + u64::try_from(START.elapsed().as_micros()).unwrap_or(u64::MAX - 1);
    Now {
        mono: Instant(mono),
        wall: Date(wall),
    }
}
