//! Transit: other routers' tunnels that pass through us.

pub mod hop;
pub mod iv_filter;
pub mod limit;
pub mod shard;
pub mod stats;
#[cfg(test)]
pub(crate) mod vectors;

pub use shard::{Shard, ShardLimits, ShardOutput};
pub use stats::ShardStats;
