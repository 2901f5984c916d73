//! What protects the public-key operations of New Sessions: a rate, and a memory of the ephemeral
//! keys that were used (i2p spec/ecies, DateTime: replay prevention).

use crate::limits;
use crate::time::Instant;
use core::time::Duration;
use std::collections::BTreeSet;

/// Ephemeral keys of opened New Sessions in two generations.
#[derive(Default)]
pub struct Replay {
    young: BTreeSet<[u8; 16]>,
    old: BTreeSet<[u8; 16]>,
    turned: Instant,
}

impl Replay {
    /// Whether a New Session with this decoded ephemeral key was opened. The decoded key, since
    /// the sent one has bits that anybody can turn.
    #[must_use]
    pub fn knows(&self, ephemeral: &[u8; 32]) -> bool {
        let key = short(ephemeral);
        self.young.contains(&key) || self.old.contains(&key)
    }

    /// Remembers a key. When a generation is full the oldest is forgotten early.
    pub fn insert(&mut self, now: Instant, ephemeral: &[u8; 32]) {
        if self.young.len() >= limits::RATCHET_REPLAY_MAX / 2 {
            self.turn(now);
        }
        self.young.insert(short(ephemeral));
    }

    /// Forgets what [`limits::RATCHET_NS_OLD`] and [`limits::RATCHET_NS_AHEAD`] refuse anyway.
    pub fn expire(&mut self, now: Instant) {
        let life = limits::RATCHET_NS_OLD + limits::RATCHET_NS_AHEAD;
        if now.since(self.turned) > life {
            self.turn(now);
        }
    }

    fn turn(&mut self, now: Instant) {
        self.old = core::mem::take(&mut self.young);
        self.turned = now;
    }

    /// Keys held.
    #[must_use]
    pub fn count(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

fn short(ephemeral: &[u8; 32]) -> [u8; 16] {
    let mut out = [0; 16];
    for (d, s) in out.iter_mut().zip(ephemeral) {
        *d = *s;
    }
    out
}

/// A bucket of attempts that fills with time.
pub struct Meter {
    attempts: u32,
    filled: Instant,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            attempts: limits::RATCHET_NS_BURST,
            filled: Instant::default(),
        }
    }
}

impl Meter {
    /// Takes one attempt; `false` when there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        let each = Duration::from_secs(1) / limits::RATCHET_NS_PER_SECOND;
        let passed = now.since(self.filled).as_micros() / each.as_micros();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        let full = self.attempts.saturating_add(passed) >= limits::RATCHET_NS_BURST;
        if full {
            (self.attempts, self.filled) = (limits::RATCHET_NS_BURST, now);
        } else {
            self.attempts += passed;
            self.filled = self.filled + each * passed;
        }
        let taken = self.attempts.checked_sub(1);
        self.attempts = taken.unwrap_or(0);
        taken.is_some()
    }
}
