//! The seeded random source that is passed to every call that may draw.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};

/// A ChaCha20 generator: the shell seeds it from the operating system, the simulator from a number.
pub struct Rng(ChaCha20Rng);

impl Rng {
    /// A generator from 32 bytes of seed.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ChaCha20Rng::from_seed(seed))
    }

    /// A generator for tests and simulations, from a number.
    #[must_use]
    pub fn from_number(n: u64) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&n.to_le_bytes());
        Self::from_seed(seed)
    }

    /// A generator of its own, seeded by this one.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::from_seed(self.array())
    }

    /// Fills `out` with random bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.0.fill_bytes(out);
    }

    /// `N` random bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// `n` random bytes.
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut out = vec![0; n];
        self.fill(&mut out);
        out
    }

    /// A random 32-bit number.
    pub fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// A random 64-bit number.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A random 32-bit number other than zero: tunnel and message ids.
    pub fn nonzero_u32(&mut self) -> u32 {
        loop {
            let n = self.u32();
            if n != 0 {
                return n;
            }
        }
    }

    /// A number in `0..n`; zero when `n` is zero.
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 {
            0
        } else {
            (self.u64() % n as u64) as usize
        }
    }

    /// A duration in `0..max`.
    pub fn jitter(&mut self, max: core::time::Duration) -> core::time::Duration {
        let us = u64::try_from(max.as_micros()).unwrap_or(u64::MAX);
        core::time::Duration::from_micros(if us == 0 { 0 } else { self.u64() % us })
    }

    /// Shuffles a slice.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }

    /// One of the items, or `None` of an empty slice.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }
}
