//! `[wan]`: the side of the Internet.

use super::{Interface, Wrong};
use serde::Deserialize;

/// `[wan]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wan {
    /// Interface name.
    pub interface: Interface,
    /// TCP port the router listens on; the only one open from outside.
    pub router_port: u16,
}

impl Default for Wan {
    fn default() -> Self {
        Self {
            interface: Interface("wan0".into()),
            router_port: 9999,
        }
    }
}

impl Wan {
    /// Whether the values make sense; `lan_port` is that of the transparent listeners.
    pub(super) fn check(&self, lan_port: u16) -> Result<(), Wrong> {
        if [0, 53, lan_port].contains(&self.router_port) {
            return Err(("wan", "router_port", "cannot be 0, 53 or lan.port"));
        }
        Ok(())
    }
}
