//! Which client is who, and how much it may do.
//!
//! A client is its MAC where the kernel knows it, else its address. The keyed hash of that is its
//! view of virtual addresses and its isolation tag. MACs can be forged, so no bound here lets one
//! client push out another that is in use.

use crate::neigh::Neighbours;
use crate::vip::ClientId;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::Hasher;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Addresses remembered; beyond it the longest unused is forgotten.
const ADDRESSES_MAX: usize = 1024;

/// How long an answer of the neighbour table is trusted.
const FRESH: Duration = Duration::from_secs(10);

/// How long an address without MAC keeps its identity after its last use, though its MAC
/// becomes known: otherwise the client's view would change under it.
const STICKY: Duration = Duration::from_secs(600);

/// Who is behind which address.
pub struct Clients {
    key: [u8; 16],
    table: Option<Neighbours>,
    known: BTreeMap<IpAddr, Known>,
}

#[derive(Clone, Copy)]
struct Known {
    id: ClientId,
    has_mac: bool,
    asked: Instant,
    used: Instant,
}

impl Clients {
    /// `key` is secret. Without a table every address is a client of its own.
    #[must_use]
    pub fn new(key: [u8; 16], table: Option<Neighbours>) -> Self {
        Self {
            key,
            table,
            known: BTreeMap::new(),
        }
    }

    /// The client that uses an address now.
    pub fn identify(&mut self, address: IpAddr, now: Instant) -> ClientId {
        let address = address.to_canonical();
        let table = self.table.take();
        let client = self.identify_with(address, now, |a| table.as_ref()?.mac(a));
        self.table = table;
        client
    }

    fn identify_with(
        &mut self,
        address: IpAddr,
        now: Instant,
        mac: impl FnOnce(IpAddr) -> Option<[u8; 6]>,
    ) -> ClientId {
        let old = self.known.get(&address).copied();
        let since = |t: Instant| now.saturating_duration_since(t);
        if let Some(known) = old.filter(|k| since(k.asked) < FRESH) {
            self.known.insert(address, Known { used: now, ..known });
            return known.id;
        }
        let mac = mac(address);
        let keep = old.filter(|k| since(k.used) < STICKY && (mac.is_none() || !k.has_mac));
        let fresh = Known {
            id: self.hash(address, mac),
            has_mac: mac.is_some(),
            asked: now,
            used: now,
        };
        let known = keep.map_or(fresh, |k| Known {
            asked: now,
            used: now,
            ..k
        });
        if old.is_none() && self.known.len() >= ADDRESSES_MAX {
            let oldest = self
                .known
                .iter()
                .min_by_key(|(_, k)| k.used)
                .map(|(a, _)| *a);
            oldest.and_then(|a| self.known.remove(&a));
        }
        self.known.insert(address, known);
        known.id
    }

    fn hash(&self, address: IpAddr, mac: Option<[u8; 6]>) -> ClientId {
        let mut hasher = SipHasher24::new_with_key(&self.key);
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

/// Counts what is in use, in all and by client.
pub struct Budget {
    total_max: usize,
    client_max: usize,
    counts: RefCell<BTreeMap<ClientId, usize>>,
}

/// One unit of a [`Budget`]; returned when dropped.
pub struct Permit {
    budget: Rc<Budget>,
    client: ClientId,
}

impl Budget {
    /// Bounds in all and for one client.
    #[must_use]
    pub fn new(total_max: usize, client_max: usize) -> Rc<Self> {
        Rc::new(Self {
            total_max,
            client_max,
            counts: RefCell::default(),
        })
    }

    /// One more for this client; `None` when a bound is reached.
    #[must_use]
    pub fn take(self: &Rc<Self>, client: ClientId) -> Option<Permit> {
        let mut counts = self.counts.borrow_mut();
        if counts.values().sum::<usize>() >= self.total_max {
            return None;
        }
        let count = counts.entry(client).or_insert(0);
        if *count >= self.client_max {
            return None;
        }
        *count += 1;
        Some(Permit {
            budget: Rc::clone(self),
            client,
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.budget.counts.borrow_mut();
        if let Some(count) = counts.get_mut(&self.client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 77, 5));
    const IP6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[test]
    fn one_mac_is_one_client_in_both_families() {
        let (mut clients, now) = (Clients::new([1; 16], None), now());
        let v4 = clients.identify_with(IP, now, |_| Some([9; 6]));
        assert_eq!(clients.identify_with(IP6, now, |_| Some([9; 6])), v4);
        assert_eq!(clients.identify(IP, now), v4, "fresh");
        let moved = clients.identify_with(IP, now + FRESH, |_| Some([8; 6]));
        assert_ne!(moved, v4);
        assert_eq!(
            clients.identify_with(IP, now + 2 * FRESH, |_| None),
            moved,
            "entry expired"
        );
    }

    #[test]
    fn a_client_without_mac_keeps_its_identity_when_the_mac_turns_up() {
        let (mut clients, now) = (Clients::new([1; 16], None), now());
        let first = clients.identify_with(IP, now, |_| None);
        assert_eq!(
            clients.identify_with(IP, now + FRESH, |_| Some([9; 6])),
            first
        );
        assert_ne!(
            clients.identify_with(IP, now + FRESH + STICKY, |_| Some([9; 6])),
            first
        );
        let mut other = Clients::new([2; 16], None);
        assert_ne!(other.identify_with(IP, now, |_| None), first);
    }

    #[test]
    fn addresses_are_bounded() {
        let (mut clients, now) = (Clients::new([1; 16], None), now());
        for n in 0..ADDRESSES_MAX + 10 {
            let ip = std::net::Ipv4Addr::from(u32::try_from(n).unwrap());
            clients.identify(ip.into(), now);
        }
        assert_eq!(clients.known.len(), ADDRESSES_MAX);
    }

    #[test]
    fn permits_are_bounded_and_come_back() {
        let budget = Budget::new(3, 2);
        let (a, b) = (ClientId([1; 16]), ClientId([2; 16]));
        let held = [budget.take(a).unwrap(), budget.take(a).unwrap()];
        assert!(budget.take(a).is_none());
        let other = budget.take(b).unwrap();
        assert!(budget.take(b).is_none(), "total");
        drop(held);
        drop(other);
        assert!(budget.counts.borrow().is_empty());
        assert!(budget.take(a).is_some());
    }
}
