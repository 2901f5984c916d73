//! Which of the two systems is started: what the boot loader counts and the system judges.
//!
//! It lies twice in a partition of its own, written in place, by the system each time over the
//! older copy: one that is torn is not the only one. A copy is an environment block of GRUB's, so
//! that its scripts read and write it, and a file, for GRUB writes nothing else; the file system
//! around the two is never written. It has no checksum, for GRUB could not make one, but all values
//! once more in one (`check`), and they lie in one sector.

use std::fmt;

/// Bytes of a copy, and where the two begin in the partition.
pub const COPY_LEN: usize = 1024;
/// See [`COPY_LEN`].
pub const COPIES: [u64; 2] = [8192, 12288];

/// How often a system is tried that was never good.
pub const TRIES: u8 = 2;

const HEAD: &str = "# GRUB Environment Block\n";

/// One of the two systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The first one.
    A,
    /// The second one.
    B,
}

impl Slot {
    /// The one that this is not.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Of its letter.
    #[must_use]
    pub fn of(letter: &str) -> Option<Self> {
        match letter {
            "a" => Some(Self::A),
            "b" => Some(Self::B),
            _ => None,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "a",
            Self::B => "b",
        })
    }
}

/// What is known of a slot's system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It has run as it should.
    Good,
    /// It is whole, and has not run yet.
    Trial,
    /// It may be half of one.
    Bad,
}

impl Health {
    const ALL: [Self; 3] = [Self::Good, Self::Trial, Self::Bad];

    const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Trial => "trial",
            Self::Bad => "bad",
        }
    }
}

/// All of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Grows by one with every change: the copy with the larger one counts.
    pub number: u32,
    /// Which is to be started.
    pub wanted: Slot,
    /// The first slot's.
    pub a: Health,
    /// The second slot's.
    pub b: Health,
    /// How often the wanted one was started while it was on trial.
    pub tries: u8,
}

impl State {
    /// As it leaves the factory, with the same system in both.
    pub const FACTORY: Self = Self {
        number: 1,
        wanted: Slot::A,
        a: Health::Good,
        b: Health::Good,
        tries: 0,
    };

    /// What is known of one.
    #[must_use]
    pub const fn health(&self, slot: Slot) -> Health {
        match slot {
            Slot::A => self.a,
            Slot::B => self.b,
        }
    }

    fn set(&mut self, slot: Slot, health: Health) {
        match slot {
            Slot::A => self.a = health,
            Slot::B => self.b = health,
        }
    }

    /// Which slot the boot loader starts; `None`: neither, but the rescue system.
    #[must_use]
    pub fn next(&self) -> Option<Slot> {
        let may = |slot: Slot| match self.health(slot) {
            Health::Good => true,
            Health::Trial => slot == self.wanted && self.tries < TRIES,
            Health::Bad => false,
        };
        [self.wanted, self.wanted.other()]
            .into_iter()
            .find(|slot| may(*slot))
    }

    /// What the boot loader writes before it starts what [`State::next`] says; `None`: nothing.
    /// It writes over the copy that counts, for it cannot add up a number: when that is torn, the
    /// older one counts again, in which the slot on trial is not wanted.
    #[must_use]
    pub fn counted(&self) -> Option<Self> {
        let slot = self.next()?;
        (self.health(slot) == Health::Trial).then(|| Self {
            tries: self.tries + 1,
            ..*self
        })
    }

    fn following(&self) -> Self {
        Self {
            number: self.number.wrapping_add(1),
            ..*self
        }
    }

    /// The slot has run as it should, and is the one from now on.
    #[must_use]
    pub fn good(&self, slot: Slot) -> Self {
        let mut state = self.following();
        state.set(slot, Health::Good);
        (state.wanted, state.tries) = (slot, 0);
        state
    }

    /// The slot is about to be written; `running` is to be started until it is whole.
    #[must_use]
    pub fn spoiled(&self, slot: Slot) -> Self {
        let mut state = self.following();
        state.set(slot, Health::Bad);
        (state.wanted, state.tries) = (slot.other(), 0);
        state
    }

    /// The slot is whole, and is tried at the next start.
    #[must_use]
    pub fn trying(&self, slot: Slot) -> Self {
        let mut state = self.following();
        state.set(slot, Health::Trial);
        (state.wanted, state.tries) = (slot, 0);
        state
    }

    fn check(&self) -> String {
        let (a, b) = (self.a.word(), self.b.word());
        format!("{}.{}.{a}.{b}.{}", self.number, self.wanted, self.tries)
    }

    /// A copy.
    #[must_use]
    pub fn encode(&self) -> [u8; COPY_LEN] {
        let text = format!(
            "{HEAD}number={}\nwanted={}\na={}\nb={}\ntries={}\ncheck={}\n",
            self.number,
            self.wanted,
            self.a.word(),
            self.b.word(),
            self.tries,
            self.check()
        );
        let mut copy = [b'#'; COPY_LEN];
        copy.iter_mut()
            .zip(text.bytes())
            .for_each(|(to, from)| *to = from);
        copy
    }

    /// Of a copy; `None`: it is none, or not whole. GRUB writes the values in an order of its own.
    #[must_use]
    pub fn decode(copy: &[u8; COPY_LEN]) -> Option<Self> {
        let text = std::str::from_utf8(copy).ok()?.strip_prefix(HEAD)?;
        let value = |name: &str| {
            let mut pairs = text.lines().filter_map(|line| line.split_once('='));
            let mut values = pairs.by_ref().filter(|(key, _)| *key == name);
            let first = values.next().map(|(_, value)| value);
            first.filter(|_| values.next().is_none())
        };
        let health = |name| {
            let word = value(name)?;
            Health::ALL.into_iter().find(|health| health.word() == word)
        };
        let state = Self {
            number: value("number")?.parse().ok()?,
            wanted: Slot::of(value("wanted")?)?,
            a: health("a")?,
            b: health("b")?,
            tries: value("tries")?.parse().ok()?,
        };
        // Also finds numbers that are written in another way than ours.
        let whole = value("check")? == state.check() && state.tries <= TRIES;
        whole.then_some(state)
    }

    /// What counts of the two copies, and which one it is; the other one is written next.
    #[must_use]
    pub fn newest(copies: [&[u8; COPY_LEN]; 2]) -> Option<(Self, usize)> {
        let [first, second] = copies.map(Self::decode);
        match (first, second) {
            // Signed, so that it may wrap.
            (Some(a), Some(b)) if b.number.wrapping_sub(a.number).cast_signed() > 0 => Some((b, 1)),
            (Some(a), _) => Some((a, 0)),
            (None, Some(b)) => Some((b, 1)),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests;
