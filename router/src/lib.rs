//! The shell around the core: sockets, files, threads and the clock.

pub mod clock;
pub mod config_file;
pub mod entropy;
pub mod keys;
pub mod log;
pub mod store;
