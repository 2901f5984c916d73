//! Which client is who, and how much it may do.
//!
//! A client is its MAC, whatever addresses it uses; its address where a link has no MACs. The
//! keyed hash of that is its view of virtual addresses and its isolation tag. A source that nobody
//! has answered for is no client: it gets nothing that a client could miss. MACs can be forged, so
//! no bound here lets one client push out another that is in use.

mod budget;
mod identity;
pub mod rate;

pub use budget::{Budget, Permit, Refused, is_fair};
pub use identity::Identities;
pub use rate::{Bucket, Rate, Rates};

use crate::neigh::Neighbours;
use crate::vip::ClientId;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::collections::BTreeMap;
use std::hash::Hasher;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Addresses remembered; beyond it the client that has most loses the one it used longest ago.
const ADDRESSES_MAX: usize = 1024;

/// How long an address keeps its identity after its last use while its MAC is unknown, or though
/// its MAC becomes known: otherwise the client's view would change under it.
const STICKY: Duration = Duration::from_secs(600);

/// What shows that somebody is at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// It has answered: a TCP connection stands.
    Handshake,
    /// Nothing: a datagram bears the address.
    None,
}

/// Who is behind which address.
pub struct Clients {
    key: [u8; 16],
    /// Which port of the box they are at: the same MAC elsewhere is another device.
    port: String,
    table: Option<Neighbours>,
    known: BTreeMap<IpAddr, Known>,
}

#[derive(Clone, Copy)]
struct Known {
    id: ClientId,
    has_mac: bool,
    used: Instant,
}

impl Clients {
    /// `key` is secret, `port` the interface. Without a table every address is a client of its
    /// own.
    #[must_use]
    pub fn new(key: [u8; 16], port: &str, table: Option<Neighbours>) -> Self {
        Self {
            key,
            port: port.to_owned(),
            table,
            known: BTreeMap::new(),
        }
    }

    /// The client that uses an address now; `None` when nothing says that there is one.
    pub fn identify(&mut self, address: IpAddr, proof: Proof, now: Instant) -> Option<ClientId> {
        let address = address.to_canonical();
        let table = self.table.take();
        let proven = proof == Proof::Handshake || table.is_none();
        let client = self.identify_with(address, proven, now, |a| table.as_ref()?.mac(a));
        self.table = table;
        client
    }

    fn identify_with(
        &mut self,
        address: IpAddr,
        proven: bool,
        now: Instant,
        mac: impl FnOnce(IpAddr) -> Option<[u8; 6]>,
    ) -> Option<ClientId> {
        let old = self.known.get(&address).copied();
        let since = |t: Instant| now.saturating_duration_since(t);
        // Asked each time, which costs microseconds: who has taken an address over is somebody else
        // with his first packet.
        let mac = mac(address);
        let keep = old.filter(|k| since(k.used) < STICKY && (mac.is_none() || !k.has_mac));
        if keep.is_none() && mac.is_none() && !proven {
            return None;
        }
        let fresh = Known {
            id: self.hash(address, mac),
            has_mac: mac.is_some(),
            used: now,
        };
        let known = keep.map_or(fresh, |k| Known { used: now, ..k });
        if old.is_none() && self.known.len() >= ADDRESSES_MAX {
            self.forget_one();
        }
        self.known.insert(address, known);
        Some(known.id)
    }

    /// Who is known, with the addresses used, the latest first.
    #[must_use]
    pub fn devices(&self, now: Instant) -> BTreeMap<ClientId, Vec<(IpAddr, Duration)>> {
        let mut devices = BTreeMap::<_, Vec<_>>::new();
        for (address, known) in &self.known {
            let ago = now.saturating_duration_since(known.used);
            devices.entry(known.id).or_default().push((*address, ago));
        }
        for addresses in devices.values_mut() {
            addresses.sort_by_key(|(address, ago)| (*ago, *address));
        }
        devices
    }

    /// Makes room at the cost of the client that has most addresses.
    fn forget_one(&mut self) {
        let mut counts = BTreeMap::<ClientId, usize>::new();
        for known in self.known.values() {
            *counts.entry(known.id).or_default() += 1;
        }
        let count = |k: &Known| counts.get(&k.id).copied().unwrap_or(0);
        let order = |k: &Known| (std::cmp::Reverse(count(k)), k.used);
        let victim = self.known.iter().min_by_key(|(_, k)| order(k));
        let victim = victim.map(|(address, _)| *address);
        victim.and_then(|address| self.known.remove(&address));
    }

    fn hash(&self, address: IpAddr, mac: Option<[u8; 6]>) -> ClientId {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(self.port.as_bytes());
        hasher.write(&[0]);
        match (mac, address) {
            (Some(mac), _) => {
                hasher.write(b"mac");
                hasher.write(&mac);
            }
            (None, IpAddr::V4(v4)) => {
                hasher.write(b"v4");
                hasher.write(&v4.octets());
            }
            (None, IpAddr::V6(v6)) => {
                hasher.write(b"v6");
                hasher.write(&v6.octets());
            }
        }
        ClientId(hasher.finish128().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 77, 5));
    const LATER: Duration = Duration::from_secs(10);
    const IP6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn ip(n: usize) -> IpAddr {
        std::net::Ipv4Addr::from(u32::try_from(n).unwrap()).into()
    }

    #[test]
    fn one_mac_is_one_client_in_both_families() {
        let (mut clients, now) = (Clients::new([1; 16], "lan0", None), now());
        let mut at = |ip, at, mac: Option<[u8; 6]>| {
            let client = clients.identify_with(ip, false, at, |_| mac);
            client.unwrap()
        };
        let v4 = at(IP, now, Some([9; 6]));
        assert_eq!(at(IP6, now, Some([9; 6])), v4);
        assert_eq!(at(IP, now, None), v4, "entry expired");
        let moved = at(IP, now + LATER, Some([8; 6]));
        assert_ne!(moved, v4);
        assert_eq!(at(IP, now + 2 * LATER, None), moved, "entry expired");
    }

    #[test]
    fn who_takes_an_address_over_is_somebody_else_from_the_first_connection_on() {
        let (mut clients, now) = (Clients::new([1; 16], "lan0", None), now());
        let mut connects = |mac| clients.identify_with(IP, true, now, |_| Some(mac));
        let (first, second) = (connects([9; 6]), connects([8; 6]));
        assert!(first.is_some() && second.is_some() && first != second);
        assert_eq!(connects([9; 6]), first);
    }

    #[test]
    fn the_same_mac_at_another_port_is_another_device() {
        let (mut here, now) = (Clients::new([1; 16], "lan0", None), now());
        let mut there = Clients::new([1; 16], "lan1", None);
        let id = here
            .identify_with(IP, false, now, |_| Some([9; 6]))
            .unwrap();
        assert_ne!(
            there.identify_with(IP, false, now, |_| Some([9; 6])),
            Some(id)
        );
        here.identify_with(IP6, false, now + LATER, |_| Some([9; 6]));
        let devices = here.devices(now + 2 * LATER);
        assert_eq!(devices[&id], [(IP6, LATER), (IP, 2 * LATER)]);
    }

    #[test]
    fn a_source_that_nobody_answers_for_is_no_client() {
        let (mut clients, now) = (Clients::new([1; 16], "lan0", None), now());
        for n in 0..ADDRESSES_MAX {
            let made_up = clients.identify_with(ip(n), false, now, |_| None);
            assert_eq!(made_up, None);
        }
        assert!(clients.known.is_empty());
        // A connection proves the address, for its datagrams too, as does a neighbour.
        let proven = clients.identify_with(IP, true, now, |_| None);
        assert!(proven.is_some());
        assert_eq!(clients.identify_with(IP, false, now, |_| None), proven);
        let by_mac = clients.identify_with(IP6, false, now, |_| Some([9; 6]));
        assert!(by_mac.is_some() && by_mac != proven);
    }

    #[test]
    fn a_client_without_mac_keeps_its_identity_when_the_mac_turns_up() {
        let (mut clients, now) = (Clients::new([1; 16], "lan0", None), now());
        let first = clients.identify_with(IP, true, now, |_| None);
        assert_eq!(
            clients.identify_with(IP, true, now + LATER, |_| Some([9; 6])),
            first
        );
        assert_ne!(
            clients.identify_with(IP, true, now + LATER + STICKY, |_| Some([9; 6])),
            first
        );
        let mut other = Clients::new([2; 16], "lan0", None);
        assert_ne!(other.identify_with(IP, true, now, |_| None), first);
        // Without a neighbour table nothing else can be asked for.
        assert!(other.identify(IP, Proof::None, now).is_some());
    }

    #[test]
    fn a_client_with_many_addresses_pushes_out_only_its_own() {
        let (mut clients, now) = (Clients::new([1; 16], "lan0", None), now());
        let quiet = clients.identify_with(IP, false, now, |_| Some([7; 6]));
        let later = now + Duration::from_secs(1);
        for n in 0..ADDRESSES_MAX + 10 {
            clients.identify_with(ip(n), false, later, |_| Some([9; 6]));
        }
        assert_eq!(clients.known.len(), ADDRESSES_MAX);
        let still = clients.identify_with(IP, false, later + LATER, |_| None);
        assert!(still.is_some() && still == quiet);
    }
}
