//! Our own tunnels: building, pools, sending through them and receiving from them.

pub mod fragment;
pub mod reassemble;
pub mod record;
