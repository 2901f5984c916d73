//! Builds the appliance from a Debian machine's parts, by the same files that Buildroot reads.
//!
//! `buildroot/` has what both need and neither should say twice: users, permissions, the overlay,
//! the kernel's and busybox's fragments, the last touches. Here is how a kernel, a root file system
//! and the words that start them in QEMU are made of it. Not here: a network to start them in (the
//! test bench has one).

pub mod agreement;
pub mod arch;
pub mod build;
pub mod debian;
pub mod disk;
pub mod elf;
pub mod fault;
pub mod fragment;
pub mod host;
pub mod kernel;
pub mod places;
pub mod programs;
pub mod qemu;
pub mod root;
pub mod run;
pub mod tables;
pub mod update;
