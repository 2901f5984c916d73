//! Names that are not sites: the gateway's own, those of devices, and those by which systems find
//! out whether they are online.

use super::answer::Host;
use crate::lan_names::LanNames;
use crate::web::{Facts, probes};
use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;

/// All of them.
pub struct Hosts {
    facts: Facts,
    devices: Rc<RefCell<LanNames>>,
}

impl Hosts {
    /// `devices` is the DHCP server's.
    #[must_use]
    pub const fn new(facts: Facts, devices: Rc<RefCell<LanNames>>) -> Self {
        Self { facts, devices }
    }

    /// The domain of the LAN.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.facts.domain
    }

    /// The box's own name in it.
    #[must_use]
    pub fn own_name(&self) -> String {
        format!("{}.{}", self.facts.name, self.facts.domain)
    }

    /// The addresses of a name (lower case, no final dot), alone or in the domain of the LAN.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Host> {
        let own = Host {
            v4: self.facts.v4,
            v6: self.facts.v6,
        };
        if self.facts.is_own_name(name) || (self.facts.probes && probes::is_host(name)) {
            return Some(own);
        }
        if self.facts.probes
            && let Some([IpAddr::V4(v4), IpAddr::V6(v6)]) = probes::known_address(name)
        {
            return Some(Host { v4, v6: Some(v6) });
        }
        let in_domain = name
            .strip_suffix(self.domain())
            .and_then(|n| n.strip_suffix('.'));
        let v4 = self.devices.borrow().address(in_domain.unwrap_or(name))?;
        Some(Host { v4, v6: None })
    }

    /// The full name of one of these addresses.
    #[must_use]
    pub fn name_of(&self, address: IpAddr) -> Option<String> {
        let domain = self.domain();
        let own = address == self.facts.v4 || self.facts.v6.is_some_and(|v6| address == v6);
        if own {
            return Some(format!("{}.{domain}", self.facts.name));
        }
        let IpAddr::V4(v4) = address else {
            return None;
        };
        let devices = self.devices.borrow();
        devices.label(v4).map(|label| format!("{label}.{domain}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn own_names_devices_and_questions_of_systems() {
        let device = Ipv4Addr::new(192, 168, 77, 9);
        let devices = Rc::<RefCell<LanNames>>::default();
        devices.borrow_mut().set("laptop", "ramson", device);
        let facts = Facts {
            v4: Ipv4Addr::new(192, 168, 77, 1),
            v6: None,
            name: "ramson".into(),
            domain: "home.internal".into(),
            probes: true,
            console: false,
        };
        let hosts = Hosts::new(facts.clone(), Rc::clone(&devices));
        let v4 = |name: &str| hosts.find(name).map(|host| host.v4);
        for own in ["ramson", "ramson.home.internal", "captive.apple.com"] {
            assert_eq!(v4(own), Some(facts.v4), "{own}");
        }
        for name in ["laptop", "laptop.home.internal"] {
            assert_eq!(v4(name), Some(device), "{name}");
        }
        for none in [
            "home.internal",
            "laptop.internal",
            "laptop.i2p",
            "example.org",
            "x",
        ] {
            assert_eq!(v4(none), None, "{none}");
        }
        let windows = hosts.find("dns.msftncsi.com").unwrap();
        assert_eq!(windows.v4, Ipv4Addr::new(131, 107, 255, 255));
        assert_eq!(
            hosts.name_of(device.into()).as_deref(),
            Some("laptop.home.internal")
        );
        assert_eq!(
            hosts.name_of(facts.v4.into()).as_deref(),
            Some("ramson.home.internal")
        );
        assert_eq!(hosts.name_of(Ipv4Addr::LOCALHOST.into()), None);
        let quiet = Hosts::new(
            Facts {
                probes: false,
                ..facts
            },
            devices,
        );
        assert_eq!(quiet.find("captive.apple.com"), None);
    }
}
