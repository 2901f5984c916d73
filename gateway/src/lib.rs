//! The transparent LAN gateway: names below `.i2p` become virtual addresses, TCP connections to
//! those become streams of the router, everything else is refused at once.
//!
//! Two processes. `supervisor` is the only root process: it owns rules, routes, settings of the
//! kernel and the listening sockets, and parses nothing that came from a network. `gatewayd` has
//! no capabilities and faces the clients. Neither holds keys nor speaks to the Internet; the
//! router is reached over the frames of `ramson_ipc` only.

pub mod backup;
pub mod channel;
pub mod clock;
pub mod config;
pub mod console;
pub mod counters;
pub mod ctl;
pub mod fds;
pub mod handover;

pub mod dhcp4;
pub mod dhcp6;
pub mod dns;
pub mod flow;
pub mod lan_names;
pub mod lan_service;
pub mod listen;
#[cfg(test)]
mod mutate;
pub mod neigh;
pub mod orig_dst;
pub mod policy;
pub mod privileges;
pub mod ra;
pub mod report;
pub mod rogue;
pub mod router_client;
pub mod saved;
pub mod update;
pub mod vip;
pub mod wan_dhcp;
pub mod web;

pub mod supervisor;
