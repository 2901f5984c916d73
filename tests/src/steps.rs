//! Progress for a person: each step with the time it took and the time since the beginning.

use std::time::Instant;

use crate::wall;

/// Prints steps as they are done.
pub struct Steps {
    start: Instant,
    last: Instant,
}

impl Default for Steps {
    fn default() -> Steps {
        let now = wall::now();
        Steps {
            start: now,
            last: now,
        }
    }
}

impl Steps {
    /// Prints what has just been done.
    pub fn done(&mut self, what: &str) {
        println!(
            "{:7.1} s  {what} ({:.1} s)",
            wall::since(self.start),
            wall::since(self.last)
        );
        self.last = wall::now();
    }

    /// Seconds since the beginning.
    pub fn total_s(&self) -> f64 {
        wall::since(self.start)
    }
}
