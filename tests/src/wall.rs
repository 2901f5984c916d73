//! Wall-clock time for the parts that drive real processes: the bench's only reader of the clock.
//!
//! Not for the simulator, whose time is virtual.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::fault::{Fault, Outcome};
use crate::stop;

#[allow(clippy::disallowed_methods)] // real peers run on real time
pub fn now() -> Instant {
    Instant::now()
}

/// Seconds since `start`, for printing.
pub fn since(start: Instant) -> f64 {
    now().duration_since(start).as_secs_f64()
}

/// Sleeps in short steps; a Ctrl-C ends it as a fault.
pub fn pause(length: Duration) -> Outcome<()> {
    let end = now() + length;
    loop {
        stop::check()?;
        let left = end.saturating_duration_since(now());
        if left.is_zero() {
            return Ok(());
        }
        sleep(left.min(Duration::from_millis(50)));
    }
}

/// Asks `probe` every `step` until it has an answer; after `limit` the fault names `what`.
pub fn until<T>(
    what: &str,
    limit: Duration,
    step: Duration,
    mut probe: impl FnMut() -> Outcome<Option<T>>,
) -> Outcome<T> {
    let end = now() + limit;
    loop {
        if let Some(answer) = probe()? {
            return Ok(answer);
        }
        if now() >= end {
            return Err(Fault::new(format!(
                "{what}: not within {} s",
                limit.as_secs()
            )));
        }
        pause(step)?;
    }
}
