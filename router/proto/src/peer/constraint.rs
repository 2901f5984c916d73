//! Which routers must not be in one path, and whom we can dial.

use crate::wire::router_address::{Ntcp2Address, PORT_MIN};
use crate::wire::router_info::RouterInfo;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The part of an address that one operator is likely to have alone: /16 of IPv4, /32 of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Prefix {
    /// First two bytes.
    V4([u8; 2]),
    /// First four bytes.
    V6([u8; 4]),
}

impl Prefix {
    /// Of an address.
    #[must_use]
    pub const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => {
                let [a, b, ..] = ip.octets();
                Self::V4([a, b])
            }
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.octets();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// Prefixes of the published addresses that belong to the public Internet, in their order.
pub fn public_prefixes(info: &RouterInfo) -> impl Iterator<Item = Prefix> + '_ {
    let hosts = info.addresses().iter().filter_map(|a| a.host());
    let all = hosts.filter(|ip| is_public(*ip)).map(Prefix::of);
    // Several transports at one address are one.
    let mut seen: Option<Prefix> = None;
    all.filter(move |p| seen.replace(*p) != Some(*p))
}

/// Prefixes of all published addresses.
#[must_use]
pub fn prefixes(info: &RouterInfo) -> Vec<Prefix> {
    let hosts = info.addresses().iter().filter_map(|a| a.host());
    let mut out: Vec<_> = hosts.map(Prefix::of).collect();
    out.sort_unstable();
    out.dedup();
    out
}

/// The published family name, if any.
#[must_use]
pub fn family(info: &RouterInfo) -> Option<&str> {
    info.options().get("family").filter(|f| !f.is_empty())
}

/// Whether two routers must not be in one path: the same router, family or prefix.
#[must_use]
pub fn conflict(a: &RouterInfo, b: &RouterInfo) -> bool {
    if a.hash() == b.hash() {
        return true;
    }
    if let (Some(x), Some(y)) = (family(a), family(b))
        && x.eq_ignore_ascii_case(y)
    {
        return true;
    }
    let theirs = prefixes(b);
    prefixes(a).iter().any(|p| theirs.contains(p))
}

/// Whether an address belongs to the public Internet.
#[must_use]
pub const fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

const fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && b & 0xc0 == 64;
    let benchmark = a == 198 && b & 0xfe == 18;
    let assigned = a == 192 && b == 0 && c == 0;
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || shared
        || benchmark
        || assigned
        || a == 0
        || a >= 224)
}

const fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    a & 0xe000 == 0x2000 && !(a == 0x2001 && (b == 0x0db8 || b == 0)) && a != 0x2002
}

/// Which addresses we can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// IPv6 too.
    pub ipv6: bool,
    /// Private addresses too; for test networks.
    pub private: bool,
}

impl Reach {
    /// Whether we can reach the address.
    #[must_use]
    pub const fn covers(self, ip: IpAddr) -> bool {
        (self.private || is_public(ip)) && (self.ipv6 || ip.is_ipv4())
    }

    /// The NTCP2 address that we would dial: the cheapest one in reach.
    #[must_use]
    pub fn dialable(self, info: &RouterInfo) -> Option<Ntcp2Address> {
        info.ntcp2_addresses()
            .filter(|a| a.socket.port() >= PORT_MIN && self.covers(a.socket.ip()))
            .min_by_key(|a| a.cost)
    }

    /// Whether others with IPv4 can dial it over some transport, as far as it says.
    #[must_use]
    pub fn is_published(self, info: &RouterInfo) -> bool {
        !info.has_cap('H')
            && info.addresses().iter().any(|a| {
                a.port().is_some_and(|port| port >= PORT_MIN)
                    && a.host()
                        .is_some_and(|ip| ip.is_ipv4() && (self.private || is_public(ip)))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::testing::Draft;
    use crate::time::Date;

    #[test]
    fn public_addresses() {
        for ip in ["8.8.8.8", "100.128.0.1", "198.20.0.1", "2a00::1"] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "10.1.2.3",
            "127.0.0.1",
            "100.64.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "169.254.1.1",
            "::1",
            "fe80::1",
            "fd00::1",
            "2001:db8::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn nobody_is_dialled_at_other_services_ports() {
        let reach = Reach {
            ipv6: false,
            private: true,
        };
        let seen = [25, 443, 1023, 1024].map(|port| {
            let mut draft = Draft::new(1, "XR", Date::from_secs(1));
            draft.port = port;
            let info = draft.build();
            (reach.dialable(&info).is_some(), reach.is_published(&info))
        });
        let no = (false, false);
        assert_eq!(seen, [no, no, no, (true, true)]);
    }

    #[test]
    fn prefixes_of_addresses() {
        let p = |s: &str| Prefix::of(s.parse().unwrap());
        assert_eq!(p("10.1.0.1"), p("10.1.255.255"));
        assert_ne!(p("10.1.0.1"), p("10.2.0.1"));
        assert_eq!(p("2a00:1:2::1"), p("2a00:1:3::1"));
        assert_ne!(p("2a00:1:2::1"), p("2a00:2:2::1"));
    }
}
