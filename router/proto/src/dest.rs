//! Local destinations: keys, leases, paths, the protocols inside.

pub mod demux;
pub mod isolation;
pub mod leases;
pub mod local;
pub mod path;
pub mod remote;
