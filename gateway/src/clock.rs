//! The time of the machine: what is asked of time servers, and what is made of their answers.
//!
//! A process of its own user asks (`machine`, `serve`); it never reads the machine's clock, and
//! says what the time was at the moment its own stopwatch began. The supervisor alone sets the
//! clock, when `judge` agrees. Between the two, `report` is of fixed size.

pub mod date;
pub mod judge;
pub mod machine;
pub mod report;
pub mod serve;
pub mod wire;

/// Seconds from 1970 to when this was built: no moment before that is now. Where the build does not
/// say (`SOURCE_DATE_EPOCH`), when this was written.
#[must_use]
pub fn floor() -> i64 {
    const WRITTEN: i64 = 1_795_651_200;
    let built = option_env!("SOURCE_DATE_EPOCH").and_then(|text| text.parse().ok());
    built
        .filter(|secs| (WRITTEN..ceiling_of(WRITTEN)).contains(secs))
        .unwrap_or(WRITTEN)
}

/// The latest moment that is believed.
#[must_use]
pub fn ceiling() -> i64 {
    ceiling_of(floor())
}

const fn ceiling_of(floor: i64) -> i64 {
    // Twenty years.
    floor + 20 * 31_557_600
}

/// Nanoseconds of a second.
pub const NANOS: i64 = 1_000_000_000;
