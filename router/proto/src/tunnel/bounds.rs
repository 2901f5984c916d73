//! The bounds of our own tunnels.

use crate::limits::BUILD_RECORDS_MAX;

/// Routers of a tunnel of ours: an inbound build needs one record for ourselves.
pub const TUNNEL_HOPS_MAX: u8 = BUILD_RECORDS_MAX as u8 - 1;
/// Tunnels that a pool keeps in each direction.
pub const POOL_QUANTITY_MAX: u8 = 16;
/// Pools: the exploratory one, spares, and one for each local destination.
pub const POOLS_MAX: usize = 64;
/// Tunnel builds under way at once in all pools; more have to wait.
pub const TUNNEL_BUILDS_MAX: usize = 96;
/// Tunnel tests under way at once; more have to wait.
pub const TUNNEL_TESTS_MAX: usize = 256;
/// Messages that one call may send through a tunnel of ours.
pub const TUNNEL_SEND_MAX: usize = 256;
