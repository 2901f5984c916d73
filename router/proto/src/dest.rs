//! Local destinations: keys, leases, paths, the protocols inside.

pub mod demux;
pub mod doubt;
pub mod isolation;
pub mod leases;
pub mod local;
pub mod path;
pub mod remote;
