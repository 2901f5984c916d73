//! Virtual addresses: each client's own view of which address stands for which name.
//!
//! An address is drawn by a keyed hash of (client, name), so it tells nothing about other names.
//! Views are kept over restarts (`kept`). Where clients ask through a resolver of their own, all
//! share one view: the resolver's address is then good for the devices behind it.

mod kept;

use crate::policy::is_fair;
use ipnet::Ipv4Net;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::collections::BTreeMap;
use std::hash::Hasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Names a client may hold; beyond it the longest idle one is given up.
pub const NAMES_MAX: usize = 512;

/// Names of all clients together: a client gets another one only while that is fair to others.
pub const NAMES_TOTAL_MAX: usize = 16_384;

/// Clients with a view; beyond it the longest idle one is forgotten, and if none is idle, the one
/// that asked longest ago for names which it has never used.
pub const CLIENTS_MAX: usize = 256;

/// Who asks for an address uses it within this time.
pub const UNUSED: Duration = Duration::from_secs(10);

/// Time to live of answers that carry a virtual address.
pub const TTL: Duration = Duration::from_secs(60);

/// An address is not given to another name before this much time without use: resolvers may
/// serve it for one TTL more than they should.
pub const GRACE: Duration = Duration::from_secs(2 * TTL.as_secs() + 10);

/// Draws for one name before giving up. With at most [`NAMES_MAX`] of 4,096 addresses taken a
/// single draw fails with probability 1/8.
const PROBES: u32 = 64;

/// Keyed hash of what identifies a client: also its isolation tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(pub [u8; 16]);

/// The addresses that stand for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Always there.
    pub v4: Ipv4Addr,
    /// Only when the LAN has IPv6.
    pub v6: Option<Ipv6Addr>,
}

/// Nothing is free for this client at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// All views.
pub struct Vip {
    key: [u8; 16],
    v4: Ipv4Net,
    v6: Option<[u8; 6]>,
    shared: bool,
    clients: BTreeMap<ClientId, View>,
    changes: u64,
}

/// Whose view a shared one is.
const EVERYBODY: ClientId = ClientId([0; 16]);

#[derive(Default)]
struct View {
    /// It has opened a stream once.
    proven: bool,
    names: BTreeMap<String, u32>,
    slots: BTreeMap<u32, Slot>,
    tails: BTreeMap<u64, u32>,
}

struct Slot {
    name: String,
    tail: u64,
    used: Instant,
    open: u32,
}

impl Slot {
    fn idle(&self, now: Instant) -> bool {
        self.open == 0 && now.saturating_duration_since(self.used) >= GRACE
    }
}

impl View {
    fn remove(&mut self, index: u32) {
        if let Some(slot) = self.slots.remove(&index) {
            self.names.remove(&slot.name);
            self.tails.remove(&slot.tail);
        }
    }

    /// Gives up the longest idle name; false when none is idle long enough.
    fn evict(&mut self, now: Instant) -> bool {
        let idle = self.slots.iter().filter(|(_, slot)| slot.idle(now));
        let oldest = idle
            .min_by_key(|(_, slot)| slot.used)
            .map(|(index, _)| *index);
        oldest.is_some_and(|index| {
            self.remove(index);
            true
        })
    }
}

impl Vip {
    /// `key` is secret; `v6` is the virtual /48, absent when the LAN has no IPv6.
    #[must_use]
    pub fn new(key: [u8; 16], v4: Ipv4Net, v6: Option<[u8; 6]>) -> Self {
        Self {
            key,
            v4,
            v6,
            shared: false,
            clients: BTreeMap::new(),
            changes: 0,
        }
    }

    /// One view for all clients.
    #[must_use]
    pub fn shared(self, shared: bool) -> Self {
        Self { shared, ..self }
    }

    /// Names of a client, or of all when the view is shared.
    #[must_use]
    pub fn names(&self, client: ClientId) -> usize {
        let view = self.clients.get(&self.owner(client));
        view.map_or(0, |view| view.slots.len())
    }

    const fn owner(&self, client: ClientId) -> ClientId {
        if self.shared { EVERYBODY } else { client }
    }

    const fn names_max(&self) -> usize {
        if self.shared {
            NAMES_TOTAL_MAX
        } else {
            NAMES_MAX
        }
    }

    /// The addresses of a name for a client, made if need be.
    ///
    /// # Errors
    /// Every name of this client, or every client, was used within [`GRACE`].
    pub fn lease(&mut self, client: ClientId, name: &str, now: Instant) -> Result<Lease, Full> {
        let client = self.owner(client);
        if !self.clients.contains_key(&client) {
            self.make_room(now)?;
        }
        let size = 1u64 << (32 - u32::from(self.v4.prefix_len()));
        let view = self.clients.entry(client).or_default();
        if let Some(slot) = view
            .names
            .get(name)
            .and_then(|index| view.slots.get_mut(index))
        {
            slot.used = now;
            let (index, tail) = (view.names.get(name).copied().unwrap_or(0), slot.tail);
            return Ok(self.addresses(index, tail));
        }
        if !self.may_add(client, now) {
            return Err(Full);
        }
        let view = self.clients.entry(client).or_default();
        for probe in 0..PROBES {
            let (index, tail) = draw(&self.key, client, name, probe, size);
            let edge = matches!(index & 0xff, 0 | 255);
            if edge || view.slots.contains_key(&index) || view.tails.contains_key(&tail) {
                continue;
            }
            self.changes += 1;
            view.names.insert(name.to_owned(), index);
            view.tails.insert(tail, index);
            view.slots.insert(
                index,
                Slot {
                    name: name.to_owned(),
                    tail,
                    used: now,
                    open: 0,
                },
            );
            return Ok(self.addresses(index, tail));
        }
        Err(Full)
    }

    /// The name behind an address in a client's view.
    #[must_use]
    pub fn name_of(&self, client: ClientId, address: IpAddr) -> Option<&str> {
        let view = self.clients.get(&self.owner(client))?;
        let index = self.index_of(view, address)?;
        view.slots.get(&index).map(|slot| slot.name.as_str())
    }

    /// As [`Vip::name_of`], and keeps the address for this name until as many [`Vip::close`].
    pub fn open(&mut self, client: ClientId, address: IpAddr) -> Option<String> {
        let client = self.owner(client);
        let index = self.index_of(self.clients.get(&client)?, address)?;
        let view = self.clients.get_mut(&client)?;
        let slot = view.slots.get_mut(&index)?;
        slot.open = slot.open.saturating_add(1);
        view.proven = true;
        Some(slot.name.clone())
    }

    /// Ends one [`Vip::open`].
    pub fn close(&mut self, client: ClientId, address: IpAddr, now: Instant) {
        let client = self.owner(client);
        let index = self
            .clients
            .get(&client)
            .and_then(|view| self.index_of(view, address));
        let view = self.clients.get_mut(&client);
        let slot = view
            .zip(index)
            .and_then(|(view, index)| view.slots.get_mut(&index));
        if let Some(slot) = slot {
            slot.open = slot.open.saturating_sub(1);
            slot.used = now;
        }
    }

    /// Whether the address lies in a virtual range.
    #[must_use]
    pub fn covers(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.v4.contains(&v4),
            IpAddr::V6(v6) => self
                .v6
                .is_some_and(|prefix| v6.octets().starts_with(&prefix)),
        }
    }

    /// Whether there is room for one more name of a client, made at its own cost where its view is
    /// full, else at the cost of the client with most names.
    fn may_add(&mut self, client: ClientId, now: Instant) -> bool {
        let total = self.clients.values().map(|view| view.slots.len()).sum();
        let names_max = self.names_max();
        let Some(view) = self.clients.get_mut(&client) else {
            return false;
        };
        let own = view.slots.len();
        if own >= names_max {
            return view.evict(now);
        }
        if self.shared || is_fair(own, total, NAMES_TOTAL_MAX) || view.evict(now) {
            return true;
        }
        let largest = self.clients.values_mut().max_by_key(|v| v.slots.len());
        largest.is_some_and(|view| view.slots.len() > own && view.evict(now))
    }

    fn make_room(&mut self, now: Instant) -> Result<(), Full> {
        if self.clients.len() < CLIENTS_MAX {
            return Ok(());
        }
        let last = |view: &View| view.slots.values().map(|slot| slot.used).max();
        let idle = |view: &View| view.slots.values().all(|slot| slot.idle(now));
        let unused = |view: &View| {
            let since = |t| now.saturating_duration_since(t);
            !view.proven && last(view).is_none_or(|t| since(t) >= UNUSED)
        };
        let oldest = |give_up: &dyn Fn(&View) -> bool| {
            let found = self.clients.iter().filter(|(_, view)| give_up(view));
            found.min_by_key(|(_, view)| last(view)).map(|(id, _)| *id)
        };
        let victim = oldest(&idle).or_else(|| oldest(&unused)).ok_or(Full)?;
        self.clients.remove(&victim);
        Ok(())
    }

    fn addresses(&self, index: u32, tail: u64) -> Lease {
        let v4 = Ipv4Addr::from(u32::from(self.v4.network()) | index);
        let v6 = self.v6.map(|prefix| {
            let mut octets = [0; 16];
            octets[..6].copy_from_slice(&prefix);
            octets[8..].copy_from_slice(&tail.to_be_bytes());
            Ipv6Addr::from(octets)
        });
        Lease { v4, v6 }
    }

    fn index_of(&self, view: &View, address: IpAddr) -> Option<u32> {
        if !self.covers(address) {
            return None;
        }
        match address {
            IpAddr::V4(v4) => Some(u32::from(v4) & u32::from(self.v4.hostmask())),
            IpAddr::V6(v6) => {
                let bits = u128::from(v6);
                let tail = u64::try_from(bits & u128::from(u64::MAX)).ok()?;
                let subnet = (bits >> 64) & 0xffff;
                view.tails.get(&tail).copied().filter(|_| subnet == 0)
            }
        }
    }
}

fn draw(key: &[u8; 16], client: ClientId, name: &str, probe: u32, size: u64) -> (u32, u64) {
    let mut hasher = SipHasher24::new_with_key(key);
    hasher.write(b"virtual address");
    hasher.write(&client.0);
    hasher.write(&probe.to_be_bytes());
    hasher.write(name.as_bytes());
    let hash = hasher.finish128();
    let index = u32::try_from(hash.h1 % size).unwrap_or(0);
    (index, hash.h2)
}

#[cfg(test)]
mod tests;
