//! `[lan]` and `[virtual]`: the side of the clients.

use super::{Interface, Wrong};
use ipnet::{Ipv4Net, Ipv6Net};
use serde::Deserialize;

/// `[lan]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lan {
    /// Interface name.
    pub interface: Interface,
    /// The gateway's own address there, with the prefix length of the LAN.
    pub address: Ipv4Net,
    /// Where to move when the WAN turns out to have the same prefix, the first that does not; when
    /// all do, nothing is served.
    pub alternatives: Vec<Ipv4Net>,
    /// Whether the LAN has IPv6.
    pub ipv6: bool,
    /// The same for IPv6; without it one is made of what the state directory holds.
    pub address6: Option<Ipv6Net>,
    /// The gateway's own name, one label.
    pub name: String,
    /// The domain of that name and of those of devices.
    pub domain: String,
    /// Whether the gateway answers the questions by which systems find out whether they are online.
    pub answer_probes: bool,
    /// TCP port of the transparent listeners.
    pub port: u16,
}

impl Default for Lan {
    fn default() -> Self {
        Self {
            interface: Interface("lan0".into()),
            address: Ipv4Net::new_assert([192, 168, 77, 1].into(), 24),
            alternatives: vec![
                Ipv4Net::new_assert([10, 77, 77, 1].into(), 24),
                Ipv4Net::new_assert([172, 29, 77, 1].into(), 24),
            ],
            ipv6: true,
            address6: None,
            name: "ramson".into(),
            domain: "internal".into(),
            answer_probes: true,
            port: 7002,
        }
    }
}
/// `[virtual]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Virtual {
    /// Range of virtual IPv4 addresses. (The IPv6 range is made once and kept as state.)
    pub v4: Ipv4Net,
    /// Whose an address is.
    pub views: Views,
}

/// Who may use a virtual address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Views {
    /// The device that asked for the name.
    #[default]
    PerDevice,
    /// Everybody on the LAN: needed where one resolver asks for all.
    Shared,
}

impl Default for Virtual {
    fn default() -> Self {
        Self {
            v4: Ipv4Net::new_assert([198, 18, 0, 0].into(), 15),
            views: Views::PerDevice,
        }
    }
}

const NOT_USABLE: &str = "is not of a range that hosts can have";

impl Lan {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        let lan = self.address;
        if !(8..=30).contains(&lan.prefix_len()) {
            return Err(("lan", "address", "needs a prefix length of 8 to 30"));
        }
        if lan.addr() == lan.network() || lan.addr() == lan.broadcast() {
            return Err(("lan", "address", "is not a host address of its prefix"));
        }
        if !is_usable(lan) {
            return Err(("lan", "address", NOT_USABLE));
        }
        for net in &self.alternatives {
            let host = net.addr() != net.network() && net.addr() != net.broadcast();
            if !(8..=30).contains(&net.prefix_len()) || !host || !is_usable(*net) {
                return Err(("lan", "alternatives", "has one that no LAN can have"));
            }
        }
        if let Some(lan6) = self.address6 {
            if !(48..=64).contains(&lan6.prefix_len()) || !lan6.addr().is_unique_local() {
                return Err((
                    "lan",
                    "address6",
                    "needs fc00::/7 and a prefix length of 48 to 64",
                ));
            }
            if lan6.addr() == lan6.network() {
                return Err(("lan", "address6", "is not a host address of its prefix"));
            }
            if !self.ipv6 {
                return Err(("lan", "address6", "is given, but lan.ipv6 is false"));
            }
        }
        if !is_label(&self.name) {
            return Err(("lan", "name", "needs small letters, digits and hyphens"));
        }
        if !self.domain.split('.').all(is_label) || self.domain.len() > 200 {
            return Err((
                "lan",
                "domain",
                "needs labels of small letters, digits and hyphens",
            ));
        }
        if ["i2p", "arpa", "alt"].contains(&self.domain.rsplit('.').next().unwrap_or_default()) {
            return Err(("lan", "domain", "is below a name that means something else"));
        }
        if self.port == 0 || self.port == 53 {
            return Err(("lan", "port", "cannot be 0 or 53"));
        }
        Ok(())
    }
}

fn is_label(label: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let edges = label.starts_with('-') || label.ends_with('-');
    (1..=63).contains(&label.len()) && !edges && label.bytes().all(good)
}

impl Virtual {
    /// Whether the values make sense beside those of the LAN.
    pub(super) fn check(&self, lan: &Lan) -> Result<(), Wrong> {
        let v4 = self.v4;
        if !(8..=20).contains(&v4.prefix_len()) || v4.addr() != v4.network() {
            return Err((
                "virtual",
                "v4",
                "needs a network with a prefix length of 8 to 20",
            ));
        }
        if !is_usable(v4) {
            return Err(("virtual", "v4", NOT_USABLE));
        }
        let overlaps = |net: &Ipv4Net| v4.contains(&net.addr()) || net.contains(&v4.addr());
        if overlaps(&lan.address) {
            return Err(("virtual", "v4", "overlaps lan.address"));
        }
        if lan.alternatives.iter().any(overlaps) {
            return Err(("virtual", "v4", "overlaps one of lan.alternatives"));
        }
        Ok(())
    }
}

/// Whether hosts can have such addresses: not "this host", loopback, link-local or multicast.
fn is_usable(net: Ipv4Net) -> bool {
    let never = [
        Ipv4Net::new_assert([0, 0, 0, 0].into(), 8),
        Ipv4Net::new_assert([127, 0, 0, 0].into(), 8),
        Ipv4Net::new_assert([169, 254, 0, 0].into(), 16),
        Ipv4Net::new_assert([224, 0, 0, 0].into(), 3),
    ];
    let overlaps = |other: &Ipv4Net| other.contains(&net.addr()) || net.contains(&other.addr());
    !never.iter().any(overlaps)
}
