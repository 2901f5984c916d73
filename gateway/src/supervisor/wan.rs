//! The addresses of the WAN interface, which the last line of defence lets out.

use crate::config::Config;
use ipnet::{Ipv4Net, Ipv6Net};
use nix::sys::socket::SockaddrStorage;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The interface and its addresses with their prefixes, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WanAddresses {
    /// Number of the interface: a new one under the old name has lost its rules.
    pub index: u32,
    /// IPv4.
    pub v4: BTreeSet<Ipv4Net>,
    /// IPv6 without link-local ones.
    pub v6: BTreeSet<Ipv6Net>,
    /// MACs of the LAN's and of the WAN's port, which must not see each other.
    pub ports: [Option<[u8; 6]>; 2],
}

impl WanAddresses {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Refuses prefixes that overlap the LAN or the virtual range: answers to clients would
    /// leave by the WAN.
    fn check(&self, config: &Config) -> Result<(), String> {
        let overlap =
            |a: &Ipv4Net, b: &Ipv4Net| a.contains(&b.network()) || b.contains(&a.network());
        for net in &self.v4 {
            if overlap(net, &config.lan.address) || overlap(net, &config.vip.v4) {
                return Err(format!(
                    "the WAN's {net} overlaps the LAN or the virtual range"
                ));
            }
        }
        for net in &self.v6 {
            let lan = config.lan.address6;
            if lan.is_some_and(|lan| net.contains(&lan.network()) || lan.contains(&net.network())) {
                return Err(format!("the WAN's {net} overlaps the LAN"));
            }
        }
        Ok(())
    }
}

/// The IPv4 prefixes of the interface; none while it is not there.
///
/// # Errors
/// The kernel does not say.
pub fn prefixes(config: &Config) -> Result<Vec<Ipv4Net>, String> {
    let found = found(config)?;
    Ok(found.map_or_else(Vec::new, |found| found.v4.into_iter().collect()))
}

/// Reads them from the interface; `None` while there is none of that name.
///
/// # Errors
/// A prefix overlaps the LAN's.
pub fn read(config: &Config) -> Result<Option<WanAddresses>, String> {
    let found = found(config)?;
    if let Some(found) = &found {
        found.check(config)?;
    }
    Ok(found)
}

fn found(config: &Config) -> Result<Option<WanAddresses>, String> {
    let name = config.wan.interface.as_str();
    let Ok(index) = nix::net::if_::if_nametoindex(name) else {
        return Ok(None);
    };
    let mut found = WanAddresses {
        index,
        ports: [config.lan.interface.as_str(), name].map(crate::ra::mac),
        ..WanAddresses::default()
    };
    let all = nix::ifaddrs::getifaddrs().map_err(|e| format!("addresses: {e}"))?;
    for entry in all.filter(|entry| entry.interface_name == name) {
        let Some(address) = entry.address.and_then(|a| to_ip(&a)) else {
            continue;
        };
        let mask = entry.netmask.and_then(|a| to_ip(&a));
        match (address, mask) {
            (IpAddr::V4(v4), mask) => {
                let bits = mask.map_or(32, leading_ones);
                found.v4.extend(Ipv4Net::new(v4, bits.min(32)));
            }
            (IpAddr::V6(v6), mask) if !v6.is_unicast_link_local() => {
                found
                    .v6
                    .extend(Ipv6Net::new(v6, mask.map_or(128, leading_ones)));
            }
            _ => {}
        }
    }
    Ok(Some(found))
}

fn to_ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
}

fn leading_ones(mask: IpAddr) -> u8 {
    let ones = match mask {
        IpAddr::V4(v4) => u32::from(v4).leading_ones(),
        IpAddr::V6(v6) => u128::from(v6).leading_ones(),
    };
    u8::try_from(ones).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wan(v4: &str, v6: &str) -> WanAddresses {
        WanAddresses {
            index: 2,
            v4: [v4.parse().unwrap()].into(),
            v6: [v6.parse().unwrap()].into(),
            ports: [None; 2],
        }
    }

    #[test]
    fn overlaps_are_refused() {
        let text = "[lan]\naddress = \"192.168.77.1/24\"\naddress6 = \"fd77:1::1/64\"";
        let config = Config::parse(text).unwrap();
        let good = wan("10.9.0.1/8", "2001:db8::1/64");
        assert_eq!(good.check(&config), Ok(()));
        assert_eq!(good.len(), 2);
        for v4 in [
            "192.168.0.5/16",
            "192.168.77.9/30",
            "198.19.0.1/16",
            "0.0.0.0/0",
        ] {
            assert!(wan(v4, "2001:db8::1/64").check(&config).is_err(), "{v4}");
        }
        assert!(wan("10.0.0.1/8", "fd77:1::2/48").check(&config).is_err());
    }

    #[test]
    fn a_missing_interface_is_not_there_yet() {
        let config = Config::parse("[wan]\ninterface = \"no-such-if\"").unwrap();
        assert_eq!(read(&config), Ok(None));
    }
}
