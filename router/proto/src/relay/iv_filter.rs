//! Which cells passed here before: a filter that forgets by age and, when its memory is used up,
//! earlier (i2p docs/tunnels/implementation, Participant Processing). Not exact: about one new
//! cell of 10,000 counts as seen.

use crate::crypto::siphash::siphash24;
use crate::rng::Rng;
use crate::time::{Instant, Now};
use core::time::Duration;
use std::collections::VecDeque;

/// Bits tested for one entry.
const PROBES: u64 = 8;
/// Bits that one entry is given, for a false answer in about 25,000 per generation.
const BITS_PER_ENTRY: usize = 24;
/// Bytes of the first generation; each full one is followed by one of twice its size.
const FIRST_BYTES: usize = 16 * 1024;

/// Generations of bits, the newest last; only the newest is written to.
pub struct IvFilter {
    key: Option<[u8; 16]>,
    generations: VecDeque<Generation>,
    bytes_max: usize,
    window: Duration,
}

struct Generation {
    bits: Vec<u64>,
    room: usize,
    began: Instant,
}

impl IvFilter {
    /// A filter of at most `bytes_max` bytes that remembers for `window` while they suffice.
    #[must_use]
    pub const fn new(bytes_max: usize, window: Duration) -> Self {
        Self {
            key: None,
            generations: VecDeque::new(),
            bytes_max,
            window,
        }
    }

    /// Items that are remembered for the window for certain: those of half the memory.
    #[must_use]
    pub const fn certain(bytes_max: usize) -> usize {
        bytes_max / 2 * 8 / BITS_PER_ENTRY
    }

    /// Bytes for which [`Self::certain`] is at least `items`.
    #[must_use]
    pub const fn bytes_for(items: usize) -> usize {
        items.saturating_mul(BITS_PER_ENTRY).div_ceil(8) * 2
    }

    /// Another bound of the memory; what is beyond it is given up when the newest generation is
    /// full.
    pub const fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// Remembers `item`; `false` when it was here before.
    pub fn insert(&mut self, now: Now, rng: &mut Rng, item: &[u8]) -> bool {
        let key = *self.key.get_or_insert_with(|| rng.array());
        let hash = siphash24(&key, item);
        if self.generations.iter().any(|g| g.contains(hash)) {
            return false;
        }
        self.make_room(now);
        if let Some(newest) = self.generations.back_mut() {
            newest.insert(hash);
        }
        true
    }

    /// Bytes in use.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.generations.iter().map(Generation::bytes).sum()
    }

    /// Forgets generations that were full before the window; begins a new one when the newest is
    /// full or as old as the window.
    fn make_room(&mut self, now: Now) {
        let age = |g: &Generation| now.mono.since(g.began);
        let next = match self.generations.back() {
            None => FIRST_BYTES,
            Some(g) if g.room == 0 && age(g) < self.window => g.bytes() * 2,
            Some(g) if g.room == 0 => g.bytes(),
            Some(g) if age(g) >= self.window => (g.bytes() / 2).max(FIRST_BYTES),
            Some(_) => return,
        };
        // A quarter at most, so that a full memory still holds several generations.
        let next = next.min((self.bytes_max / 4).next_multiple_of(8).max(8));
        while self.generations.len() >= 2
            && self
                .generations
                .get(1)
                .is_some_and(|g| age(g) >= self.window)
        {
            self.generations.pop_front();
        }
        while self.bytes() + next > self.bytes_max && self.generations.pop_front().is_some() {}
        self.generations.push_back(Generation {
            bits: vec![0; next / 8],
            room: (next * 8 / BITS_PER_ENTRY).max(1),
            began: now.mono,
        });
    }
}

impl Generation {
    fn bytes(&self) -> usize {
        self.bits.len() * 8
    }

    /// The words and bits of a hash: two halves, stepped through.
    fn probes(&self, hash: u64) -> impl Iterator<Item = (usize, u64)> + use<> {
        let n = (self.bits.len() as u64 * 64).max(1);
        let step = hash.rotate_left(32) | 1;
        (0..PROBES).map(move |i| {
            let bit = hash.wrapping_add(step.wrapping_mul(i)) % n;
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }

    fn contains(&self, hash: u64) -> bool {
        self.probes(hash)
            .all(|(word, bit)| self.bits.get(word).is_some_and(|w| w & bit != 0))
    }

    fn insert(&mut self, hash: u64) {
        for (word, bit) in self.probes(hash) {
            if let Some(w) = self.bits.get_mut(word) {
                *w |= bit;
            }
        }
        self.room = self.room.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(600);

    #[test]
    fn remembers_at_least_the_window_and_forgets_after_two() {
        let mut rng = Rng::from_number(1);
        let mut f = IvFilter::new(1 << 20, WINDOW);
        let now = Now::default();
        assert!(f.insert(now, &mut rng, b"a"));
        assert!(!f.insert(now, &mut rng, b"a"));
        assert!(f.insert(now.after(WINDOW), &mut rng, b"b"));
        assert!(!f.insert(now.after(WINDOW), &mut rng, b"a"));
        assert!(f.insert(now.after(WINDOW * 2), &mut rng, b"c"));
        assert!(!f.insert(now.after(WINDOW * 2), &mut rng, b"b"));
        assert!(f.insert(now.after(WINDOW * 3), &mut rng, b"d"));
        assert!(f.insert(now.after(WINDOW * 3), &mut rng, b"a"));
    }

    #[test]
    fn is_bounded_and_seldom_wrong() {
        let mut rng = Rng::from_number(1);
        let mut f = IvFilter::new(256 * 1024, WINDOW);
        let now = Now::default();
        let mut wrong = 0;
        for n in 0..200_000u32 {
            wrong += u32::from(!f.insert(now, &mut rng, &n.to_be_bytes()));
            assert!(f.bytes() <= 256 * 1024);
        }
        assert!(wrong < 60, "{wrong} of 200,000");
        for n in 200_000 - IvFilter::certain(256 * 1024) as u32..200_000 {
            assert!(!f.insert(now, &mut rng, &n.to_be_bytes()));
        }
    }
}
