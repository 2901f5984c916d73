//! The shell around the core: sockets, files, threads and the clock.

pub mod client_loop;
pub mod clock;
pub mod config_file;
pub mod core_loop;
pub mod daemon;
pub mod data_dir;
pub mod dest_keys;
pub mod entropy;
pub mod families;
pub mod files;
pub mod keys;
pub mod keys_command;
pub mod link_loop;
pub mod listen;
pub mod log;
pub mod names_file;
pub mod own_address;
pub mod reseed;
pub mod sandbox;
pub mod seeds;
pub mod servers;
pub mod status;
pub mod store;
pub mod tcp;

/// The allocator of `routerd`.
pub type Allocator = mimalloc::MiMalloc;
/// Its value for `#[global_allocator]`.
pub const ALLOCATOR: Allocator = mimalloc::MiMalloc;
