//! `[clock]`

use super::Wrong;
use crate::clock::machine::SERVERS_MAX;
use serde::Deserialize;
use std::net::IpAddr;

/// `[clock]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clock {
    /// Whether the supervisor keeps the machine's clock.
    pub enabled: bool,
    /// Time servers, asked besides those that the WAN's DHCP names.
    pub servers: Vec<IpAddr>,
    /// Whether those are asked.
    pub dhcp_servers: bool,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            enabled: false,
            servers: Vec::new(),
            dhcp_servers: true,
        }
    }
}

impl Clock {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        if self.servers.len() > SERVERS_MAX {
            return Err(("clock", "servers", "has more than 6"));
        }
        let odd = |a: &IpAddr| a.is_unspecified() || a.is_multicast() || a.is_loopback();
        if self.servers.iter().any(odd) {
            return Err(("clock", "servers", "has one that is no host's"));
        }
        Ok(())
    }
}
