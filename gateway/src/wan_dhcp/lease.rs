//! A lease as the supervisor hears of it.

use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// First bytes of a message: a name and a version.
const MAGIC: [u8; 4] = *b"RGW2";

/// Length of a message.
pub const LEN: usize = HEAD + 4 * TIMES;

/// Bytes of it before the time servers.
const HEAD: usize = 20;

/// Time servers of a lease that are passed on.
pub const TIMES: usize = 3;

/// Prefix lengths that an uplink can have.
const PREFIXES: std::ops::RangeInclusive<u8> = 8..=30;

/// In place of a time server.
const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// Packet sizes that a link can have, bytes (RFC 791: every host takes 576).
const MTUS: std::ops::RangeInclusive<u16> = 576..=9000;

fn is_host(a: Ipv4Addr) -> bool {
    let odd = a.is_loopback() || a.is_multicast() || a.is_link_local();
    !odd && !matches!(a.octets()[0], 0 | 240..=255)
}

fn times_of(bytes: &[u8]) -> [Ipv4Addr; TIMES] {
    let mut found = [NOBODY; TIMES];
    for (place, octets) in found.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *place = Ipv4Addr::from(*octets);
    }
    found
}

/// An address of the WAN with its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The address with the prefix of the link.
    pub address: Ipv4Net,
    /// The next hop, on the link.
    pub router: Ipv4Addr,
    /// Longest packet; `None` for the link's own.
    pub mtu: Option<u16>,
    /// Seconds that the address is good for.
    pub secs: u32,
    /// Who can be asked for the time; places that are not used have 0.0.0.0.
    pub times: [Ipv4Addr; TIMES],
}

impl Lease {
    /// A lease that an interface can be given; says what is wrong with others.
    ///
    /// # Errors
    /// In words.
    pub fn check(self) -> Result<Self, &'static str> {
        let (net, router) = (self.address, self.router);
        if !PREFIXES.contains(&net.prefix_len()) {
            return Err("the prefix length is not of 8 to 30");
        }
        let host = |a: Ipv4Addr| is_host(a) && a != net.network() && a != net.broadcast();
        if !host(net.addr()) {
            return Err("the address is none of a host");
        }
        if !net.contains(&router) || !host(router) || router == net.addr() {
            return Err("the router is not on the link");
        }
        if self.secs < 30 {
            return Err("the lease is shorter than half a minute");
        }
        Ok(Self {
            mtu: self.mtu.filter(|mtu| MTUS.contains(mtu)),
            times: self.times.map(|a| if is_host(a) { a } else { NOBODY }),
            ..self
        })
    }

    /// The message; of no lease when there is none any more.
    #[must_use]
    pub fn encode(lease: Option<Self>) -> [u8; LEN] {
        let mut out = [0; LEN];
        let bytes = lease.map_or_else(Vec::new, |lease| {
            let mut bytes = vec![1, lease.address.prefix_len()];
            bytes.extend(lease.mtu.unwrap_or(0).to_be_bytes());
            bytes.extend(lease.address.addr().octets());
            bytes.extend(lease.router.octets());
            bytes.extend(lease.secs.to_be_bytes());
            bytes.extend(lease.times.iter().flat_map(Ipv4Addr::octets));
            bytes
        });
        for (to, from) in out.iter_mut().zip(MAGIC.iter().chain(&bytes)) {
            *to = *from;
        }
        out
    }

    /// From a message.
    ///
    /// # Errors
    /// What is wrong with it: whoever sent it is not our client.
    pub fn decode(bytes: &[u8; LEN]) -> Result<Option<Self>, &'static str> {
        let (head, times) = bytes.split_first_chunk::<HEAD>().ok_or("is too short")?;
        let [m0, m1, m2, m3, kind, prefix, u0, u1, rest @ ..] = *head;
        let [a, b, c, d, r0, r1, r2, r3, s0, s1, s2, s3] = rest;
        if [m0, m1, m2, m3] != MAGIC {
            return Err("is no message of the DHCP client");
        }
        if kind == 0 {
            return Ok(None);
        }
        let address = Ipv4Net::new([a, b, c, d].into(), prefix);
        let address = address.map_err(|_| "the prefix length is not of 8 to 30")?;
        let mtu = u16::from_be_bytes([u0, u1]);
        let lease = Self {
            address,
            router: [r0, r1, r2, r3].into(),
            mtu: (mtu != 0).then_some(mtu),
            secs: u32::from_be_bytes([s0, s1, s2, s3]),
            times: times_of(times),
        };
        lease.check().map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(address: &str, router: &str) -> Lease {
        Lease {
            address: address.parse().unwrap(),
            router: router.parse().unwrap(),
            mtu: Some(1492),
            secs: 3600,
            times: ["192.0.2.9", "198.51.100.7", "0.0.0.0"].map(|a| a.parse().unwrap()),
        }
    }

    #[test]
    fn messages_carry_leases() {
        let good = lease("192.0.2.7/24", "192.0.2.1");
        assert_eq!(Lease::decode(&Lease::encode(Some(good))), Ok(Some(good)));
        assert_eq!(Lease::decode(&Lease::encode(None)), Ok(None));
        assert!(Lease::decode(&[7; LEN]).is_err());
        let mut bytes = Lease::encode(Some(good));
        bytes[5] = 77;
        assert!(Lease::decode(&bytes).is_err());
    }

    #[test]
    fn what_no_interface_can_have_is_refused() {
        for (address, router) in [
            ("192.0.2.0/24", "192.0.2.1"),
            ("192.0.2.255/24", "192.0.2.1"),
            ("192.0.2.7/24", "198.51.100.1"),
            ("192.0.2.7/24", "192.0.2.7"),
            ("192.0.2.7/31", "192.0.2.6"),
            ("10.0.0.7/7", "10.0.0.1"),
            ("127.0.0.2/8", "127.0.0.1"),
            ("169.254.3.4/16", "169.254.0.1"),
            ("224.0.0.9/24", "224.0.0.1"),
            ("0.0.0.9/8", "0.0.0.1"),
            ("255.0.0.9/8", "255.0.0.1"),
        ] {
            let bytes = Lease::encode(Some(lease(address, router)));
            assert!(Lease::decode(&bytes).is_err(), "{address} {router}");
        }
        let odd = Lease {
            mtu: Some(100),
            ..lease("192.0.2.7/24", "192.0.2.1")
        };
        assert_eq!(odd.check().unwrap().mtu, None);
        // A server that cannot be one is left out.
        let mut times = odd;
        times.times[0] = Ipv4Addr::LOCALHOST;
        assert_eq!(times.check().unwrap().times[..2], [NOBODY, odd.times[1]]);
        assert!(Lease { secs: 3, ..odd }.check().is_err());
    }
}
