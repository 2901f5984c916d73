//! Local destinations: keys, leases, paths, the protocols inside.

pub mod demux;
