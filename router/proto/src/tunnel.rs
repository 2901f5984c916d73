//! Our own tunnels: building, pools, sending through them and receiving from them.

pub mod record;
