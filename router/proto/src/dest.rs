//! Local destinations: keys, leases, paths, the protocols inside.
