//! `[dhcp]`: addresses for the devices of the LAN.

use super::Wrong;
use ipnet::Ipv4Net;
use serde::Deserialize;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Static leases at most.
const STATICS_MAX: usize = 512;

/// Addresses of the pool at most.
const POOL_MAX: u32 = crate::dhcp4::leases::POOL_MAX;

/// `[dhcp]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dhcp {
    /// Whether to serve.
    pub enabled: bool,
    /// First address of the pool; without it the first of the LAN.
    pub first: Option<Ipv4Addr>,
    /// Last address of the pool; without it the last of the LAN.
    pub last: Option<Ipv4Addr>,
    /// Length of a lease.
    pub lease_minutes: u32,
    /// Devices that always get the same address.
    #[serde(rename = "static")]
    pub statics: Vec<Static>,
}

impl Default for Dhcp {
    fn default() -> Self {
        Self {
            enabled: true,
            first: None,
            last: None,
            lease_minutes: 720,
            statics: Vec::new(),
        }
    }
}

/// `[[dhcp.static]]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Static {
    /// Whose.
    pub mac: Mac,
    /// Within the LAN, in or outside of the pool.
    pub address: Ipv4Addr,
    /// What it is called, whatever it says.
    pub name: Option<String>,
}

/// An Ethernet address, `02:00:5e:10:00:01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Mac(pub [u8; 6]);

impl TryFrom<String> for Mac {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WRONG: &str = "not a MAC address (six pairs of hexadecimal digits with colons)";
        let mut mac = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut mac {
            let part = parts.next().filter(|p| p.len() == 2).ok_or(WRONG)?;
            if !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(WRONG);
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| WRONG)?;
        }
        if parts.next().is_some() || mac[0] & 1 != 0 {
            return Err(WRONG);
        }
        Ok(Self(mac))
    }
}

impl Dhcp {
    /// Length of a lease.
    #[must_use]
    pub fn time(&self) -> Duration {
        Duration::from_secs(60 * u64::from(self.lease_minutes))
    }

    /// The static leases of a LAN: none where it has moved away from theirs.
    #[must_use]
    pub fn statics(&self, lan: Ipv4Net) -> Vec<Static> {
        let here = |s: &&Static| lan.contains(&s.address);
        self.statics.iter().filter(here).cloned().collect()
    }

    /// First and last address of the pool.
    #[must_use]
    pub fn pool(&self, lan: Ipv4Net) -> (u32, u32) {
        let first = u32::from(lan.network()) + 1;
        let last = u32::from(lan.broadcast()) - 1;
        // The LAN may have moved away from where they are.
        let here = |a: &Ipv4Addr| lan.contains(a);
        let first = self.first.filter(here).map_or(first, u32::from);
        let last = self.last.filter(here).map_or(last, u32::from);
        (first, last.min(first.saturating_add(POOL_MAX - 1)))
    }

    /// Whether the values make sense beside the LAN's.
    pub(super) fn check(&self, lan: Ipv4Net) -> Result<(), Wrong> {
        let host = |a: Ipv4Addr| lan.contains(&a) && a != lan.network() && a != lan.broadcast();
        if self.first.is_some_and(|a| !host(a)) {
            return Err(("dhcp", "first", "is not a host address of lan.address"));
        }
        if self.last.is_some_and(|a| !host(a)) {
            return Err(("dhcp", "last", "is not a host address of lan.address"));
        }
        if let (Some(first), Some(last)) = (self.first, self.last)
            && last < first
        {
            return Err(("dhcp", "last", "is before dhcp.first"));
        }
        if !(10..=525_600).contains(&self.lease_minutes) {
            return Err(("dhcp", "lease_minutes", "needs 10 to 525600"));
        }
        if self.statics.len() > STATICS_MAX {
            return Err(("dhcp.static", "mac", "more than 512 of them"));
        }
        for (n, one) in self.statics.iter().enumerate() {
            if !host(one.address) || one.address == lan.addr() {
                return Err((
                    "dhcp.static",
                    "address",
                    "is not a free host address of lan.address",
                ));
            }
            let before = self.statics.iter().take(n);
            if before.clone().any(|b| b.address == one.address) {
                return Err(("dhcp.static", "address", "is given twice"));
            }
            if before.clone().any(|b| b.mac == one.mac) {
                return Err(("dhcp.static", "mac", "is given twice"));
            }
            let names = &mut crate::lan_names::LanNames::default();
            let mut good = |name: &String| names.set(name, "", one.address).as_ref() == Some(name);
            if one.name.as_ref().is_some_and(|name| !good(name)) {
                return Err((
                    "dhcp.static",
                    "name",
                    "cannot be a device's (small letters, digits, hyphens)",
                ));
            }
        }
        Ok(())
    }
}
