//! The shell around the core: sockets, files, threads and the clock.

pub mod client_loop;
pub mod clock;
pub mod config_file;
pub mod core_loop;
pub mod daemon;
pub mod entropy;
pub mod keys;
pub mod link_loop;
pub mod listen;
pub mod log;
pub mod sandbox;
pub mod seeds;
pub mod status;
pub mod store;
pub mod tcp;
