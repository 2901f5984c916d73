//! `[wan]`: the side of the Internet.

use super::{Interface, Wrong};
use ipnet::{Ipv4Net, Ipv6Net};
use serde::Deserialize;
use std::net::{Ipv4Addr, Ipv6Addr};

/// `[wan]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wan {
    /// Interface name.
    pub interface: Interface,
    /// Where its addresses come from.
    pub mode: WanMode,
    /// The fixed address, with the prefix of the link.
    pub address: Option<Ipv4Net>,
    /// The next hop.
    pub gateway: Option<Ipv4Addr>,
    /// The same for IPv6.
    pub address6: Option<Ipv6Net>,
    /// The next hop, which may be link-local.
    pub gateway6: Option<Ipv6Addr>,
    /// TCP port the router listens on; the only one open from outside.
    pub router_port: u16,
}

/// Where the WAN's addresses come from. IPv6 comes by router advertisements besides, as the kernel
/// does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WanMode {
    /// Something else sets them.
    #[default]
    External,
    /// The supervisor's DHCP client.
    Dhcp,
    /// The file.
    Static,
    /// Nowhere yet: the LAN is served all the same.
    None,
}

impl Default for Wan {
    fn default() -> Self {
        Self {
            interface: Interface("wan0".into()),
            mode: WanMode::External,
            address: None,
            gateway: None,
            address6: None,
            gateway6: None,
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
        let given = [
            ("address", self.address.is_some()),
            ("gateway", self.gateway.is_some()),
            ("address6", self.address6.is_some()),
            ("gateway6", self.gateway6.is_some()),
        ];
        if self.mode != WanMode::Static {
            let stray = given.iter().find(|(_, given)| *given);
            return stray.map_or(Ok(()), |(key, _)| {
                Err(("wan", *key, "is given, but wan.mode is not static"))
            });
        }
        if self.address.is_none() && self.address6.is_none() {
            return Err(("wan", "mode", "is static, but there is no wan.address"));
        }
        let (v4, v6) = (self.address, self.address6);
        if v4.is_some_and(|net| net.addr() == net.network() || net.addr() == net.broadcast()) {
            return Err(("wan", "address", "is not a host address of its prefix"));
        }
        let reachable = |gateway: Ipv4Addr| {
            v4.is_some_and(|net| net.contains(&gateway) && gateway != net.addr())
        };
        if self.gateway.is_some_and(|gateway| !reachable(gateway)) {
            return Err(("wan", "gateway", "is not on the link of wan.address"));
        }
        let reachable = |gateway: Ipv6Addr| {
            let local = gateway.is_unicast_link_local();
            v6.is_some_and(|net| local || (net.contains(&gateway) && gateway != net.addr()))
        };
        if self.gateway6.is_some_and(|gateway| !reachable(gateway)) {
            return Err(("wan", "gateway6", "is not on the link of wan.address6"));
        }
        Ok(())
    }
}
