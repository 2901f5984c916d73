//! The partitions of the disk: their numbers, names, kinds and sizes.
//!
//! Each of the three systems has two: `boot_*`, a small FAT with the kernel, which the boot loader
//! reads, and `root_*`, the root file system. An update writes both of one slot whole, so that no
//! file system in use is ever changed. The rescue system is the one of the factory.

use crate::state::Slot;

/// A partition; its number in the table is its place in [`Part::ALL`], from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The boot loader, where the firmware looks for it.
    Esp,
    /// The two copies of the boot state.
    State,
    /// The first system's kernel.
    BootA,
    /// The first system's root.
    RootA,
    /// The second system's kernel.
    BootB,
    /// The second system's root.
    RootB,
    /// The rescue system's kernel.
    BootR,
    /// The rescue system's root.
    RootR,
    /// What is kept; it grows to the disk's end.
    Data,
}

const MIB: u64 = 1 << 20;

impl Part {
    /// All of them, in the order of their numbers and of their places.
    pub const ALL: [Self; 9] = [
        Self::Esp,
        Self::State,
        Self::BootA,
        Self::RootA,
        Self::BootB,
        Self::RootB,
        Self::BootR,
        Self::RootR,
        Self::Data,
    ];

    /// Its number, from 1.
    #[must_use]
    pub fn number(self) -> u32 {
        let before = Self::ALL.iter().take_while(|part| **part != self);
        before.fold(1, |number, _| number + 1)
    }

    /// Its name in the table. Nothing is found by it: another disk may have the same.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Esp => "esp",
            Self::State => "state",
            Self::BootA => "boot_a",
            Self::RootA => "root_a",
            Self::BootB => "boot_b",
            Self::RootB => "root_b",
            Self::BootR => "boot_r",
            Self::RootR => "root_r",
            Self::Data => "data",
        }
    }

    /// Its kind: the system partition of EFI, or data of Linux.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Esp => "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
            _ => "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
        }
    }

    /// Bytes, a multiple of [`ALIGN`]; of the data what it has before it grows.
    #[must_use]
    pub const fn size(self) -> u64 {
        match self {
            // The least that FAT32 can have, which firmware expects there.
            Self::Esp => 36 * MIB,
            Self::State => MIB,
            Self::BootA | Self::BootB | Self::BootR => 32 * MIB,
            // Two copies of a system lie within the 128 MiB in which packers look for repeats.
            Self::RootA | Self::RootB | Self::RootR => 64 * MIB,
            Self::Data => 64 * MIB,
        }
    }

    /// Where it begins, bytes from the disk's beginning.
    #[must_use]
    pub fn start(self) -> u64 {
        let before = Self::ALL.iter().take_while(|part| **part != self);
        ALIGN + before.map(|part| part.size()).sum::<u64>()
    }

    /// Kernel and root of a slot.
    #[must_use]
    pub const fn of(slot: Slot) -> [Self; 2] {
        match slot {
            Slot::A => [Self::BootA, Self::RootA],
            Slot::B => [Self::BootB, Self::RootB],
        }
    }
}

/// Partitions begin at multiples of this, bytes.
pub const ALIGN: u64 = MIB;

/// Bytes of a whole disk as it leaves the factory: the second table lies behind the last partition.
#[must_use]
pub fn disk_size() -> u64 {
    Part::Data.start() + Part::Data.size() + ALIGN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{BOOT_MAX, ROOT_MAX};

    #[test]
    fn partitions_follow_each_other() {
        let mut end = ALIGN;
        for (number, part) in (1..).zip(Part::ALL) {
            assert_eq!((part.number(), part.start()), (number, end), "{part:?}");
            assert_eq!(part.size() % ALIGN, 0);
            end += part.size();
        }
        assert_eq!(disk_size(), end + ALIGN);
    }

    #[test]
    fn no_system_is_larger_than_an_update_may_be() {
        for part in [Part::BootA, Part::BootB, Part::BootR] {
            assert!(part.size() <= BOOT_MAX && part.size() == Part::BootA.size());
        }
        for part in [Part::RootA, Part::RootB, Part::RootR] {
            assert!(part.size() <= ROOT_MAX && part.size() == Part::RootA.size());
        }
    }
}
