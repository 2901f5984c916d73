//! The pure core of the router: every protocol as a state machine that takes `now` and `rng`
//! and returns outputs. Nothing here opens a socket, reads a clock, starts a thread or touches a
//! disk; the manifest names no crate that could.
//!
//! # The drain contract
//! `handle_*(&mut self, now, …)` tells a machine that something happened, `poll_*(&mut self)`
//! answers what to do about it until it returns `None`, and `deadline(&self)` says when
//! `handle_timeout(now)` has to be called. Leaves are drained before their next `handle_*`.

pub mod client;
pub mod config;
pub mod crypto;
pub mod dest;
pub mod garlic;
pub mod limits;
pub mod link;
pub mod names;
pub mod netdb;
pub mod peer;
pub mod relay;
pub mod rng;
pub mod router;
pub mod secret;
pub mod stream;
pub mod time;
pub mod trace;
pub mod tunnel;
pub mod wire;
