//! Which device has which address. An address is drawn by a keyed hash of the device, so that it
//! usually gets the same one again even when everything is forgotten.
//!
//! A lease counts as settled once its device was seen to use the address; until then it is short
//! and, when nothing is free, the first to go: whoever makes up devices does not use up the pool.

use super::Static;
use crate::saved::Keep;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher24};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::Hasher;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// How long an offer is held.
const OFFER: Duration = Duration::from_secs(10);

/// The first lease of a device, and any before it is settled.
pub const FIRST: Duration = Duration::from_secs(10 * 60);

/// An unsettled lease of this age that nobody is seen to use gives way when nothing is free.
const UNSETTLED: Duration = Duration::from_secs(5);

/// So many of them are looked at, the oldest first.
const LOOKED_AT: usize = 16;

/// How long an address that somebody else uses is not given out, and how many such are remembered:
/// who says so of all of them must not leave nothing to others.
const FOREIGN: Duration = Duration::from_secs(3600);
const FOREIGN_MAX: usize = 16;

/// Addresses about which the kernel is asked for one message.
const ASKED: u32 = 64;

/// Addresses of the pool at most: as many leases can there be.
pub const POOL_MAX: u32 = 4096;

/// Keyed hash of what identifies a device to DHCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Device([u8; 16]);

/// What is leased, to whom.
pub struct Leases {
    key: [u8; 16],
    net: Ipv4Net,
    /// First and last address of the pool.
    pool: (u32, u32),
    /// Length of a settled lease.
    time: Duration,
    statics: Vec<Static>,
    by_device: BTreeMap<Device, Lease>,
    taken: BTreeMap<u32, Device>,
    foreign: BTreeMap<u32, Instant>,
    changes: u64,
}

#[derive(Debug, Clone)]
struct Lease {
    address: u32,
    since: Instant,
    until: Instant,
    settled: bool,
    name: Option<String>,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    /// As DHCP knows it.
    pub device: Device,
    /// The MAC it gave.
    pub mac: [u8; 6],
    /// When.
    pub now: Instant,
}

/// What the neighbour table says of an address.
pub type Neighbour<'a> = &'a dyn Fn(Ipv4Addr) -> Option<[u8; 6]>;

impl Leases {
    /// `key` is secret; `net` has the gateway's own address; `pool` is within it.
    #[must_use]
    pub const fn new(
        key: [u8; 16],
        net: Ipv4Net,
        pool: (u32, u32),
        time: Duration,
        statics: Vec<Static>,
    ) -> Self {
        Self {
            key,
            net,
            pool,
            time,
            statics,
            by_device: BTreeMap::new(),
            taken: BTreeMap::new(),
            foreign: BTreeMap::new(),
            changes: 0,
        }
    }

    /// Who a client identifier stands for, or a MAC where there is none.
    #[must_use]
    pub fn device(&self, id: Option<&[u8]>, mac: [u8; 6]) -> Device {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        match id {
            Some(id) => {
                hasher.write(b"dhcp id");
                hasher.write(id);
            }
            None => {
                hasher.write(b"dhcp mac");
                hasher.write(&mac);
            }
        }
        Device(hasher.finish128().as_bytes())
    }

    /// The address that a device has, whether its time is over or not.
    #[must_use]
    pub fn address(&self, device: Device) -> Option<Ipv4Addr> {
        self.by_device
            .get(&device)
            .map(|lease| lease.address.into())
    }

    /// Finds an address for a device and holds it for a moment; `None` when nothing is free.
    pub fn offer(
        &mut self,
        who: Asker,
        wanted: Option<Ipv4Addr>,
        neighbour: Neighbour<'_>,
    ) -> Option<Ipv4Addr> {
        if let Some(lease) = self.by_device.get(&who.device).cloned()
            && self.fits(who, lease.address, neighbour)
        {
            self.hold(who, lease.address, OFFER);
            return Some(lease.address.into());
        }
        let address = self.find(who, wanted, neighbour)?;
        self.hold(who, address, OFFER);
        Some(address.into())
    }

    /// Leases an address to a device that asks for it; for how long, `None` when it cannot have
    /// it.
    pub fn lease(
        &mut self,
        who: Asker,
        address: Ipv4Addr,
        neighbour: Neighbour<'_>,
    ) -> Option<Duration> {
        let wanted = u32::from(address);
        match self.by_device.get(&who.device) {
            Some(lease) if lease.address != wanted => return None,
            Some(_) => {}
            // Forgotten here, remembered there.
            None => {
                let free = !self.taken.contains_key(&wanted);
                if !free || self.find(who, Some(address), neighbour) != Some(wanted) {
                    return None;
                }
            }
        }
        if !self.fits(who, wanted, neighbour) {
            return None;
        }
        let seen = neighbour(address) == Some(who.mac);
        let fixed = self.fixed(who.mac).is_some();
        let before = self.by_device.get(&who.device).is_some_and(|l| l.settled);
        let settled = seen || fixed || before;
        let time = if settled { self.time } else { FIRST };
        self.hold(who, wanted, time);
        if let Some(lease) = self.by_device.get_mut(&who.device)
            && settled
            && !lease.settled
        {
            lease.settled = true;
            self.changes += 1;
        }
        Some(time)
    }

    /// What a device is called; kept with its lease.
    pub fn name(&mut self, device: Device, name: Option<&str>) {
        if let Some(lease) = self.by_device.get_mut(&device)
            && lease.name.as_deref() != name
        {
            lease.name = name.map(str::to_owned);
            self.changes += u64::from(lease.settled);
        }
    }

    /// Names and addresses of all leases that have not ended.
    #[must_use]
    pub fn names(&self, now: Instant) -> Vec<(String, Ipv4Addr)> {
        let live = self.by_device.values().filter(|lease| lease.until > now);
        live.filter_map(|lease| Some((lease.name.clone()?, lease.address.into())))
            .collect()
    }

    /// The name that the configuration gives an address.
    #[must_use]
    pub fn fixed_name(&self, address: Ipv4Addr) -> Option<String> {
        let mut statics = self.statics.iter();
        statics.find(|s| s.address == address)?.name.clone()
    }

    /// The device chose another server or gives its address back: it may have it again.
    pub fn release(&mut self, device: Device, now: Instant) {
        if let Some(lease) = self.by_device.get_mut(&device) {
            lease.until = now;
        }
    }

    /// Somebody else uses the address.
    pub fn decline(&mut self, device: Device, address: Ipv4Addr, now: Instant) {
        if self.address(device) == Some(address) {
            self.remove(device);
            // Only what a device was leased can be declined, but it is leased another for each.
            while self.foreign.len() >= FOREIGN_MAX {
                let oldest = self.foreign.iter().min_by_key(|(_, until)| **until);
                let Some(oldest) = oldest.map(|(address, _)| *address) else {
                    break;
                };
                self.foreign.remove(&oldest);
            }
            self.foreign.insert(address.into(), now + FOREIGN);
        }
    }

    /// Leases that have not ended.
    #[must_use]
    pub fn live(&self, now: Instant) -> usize {
        self.by_device.values().filter(|l| l.until > now).count()
    }

    fn fixed(&self, mac: [u8; 6]) -> Option<u32> {
        let mut statics = self.statics.iter();
        statics.find_map(|s| (s.mac.0 == mac).then(|| s.address.into()))
    }

    /// Whether the device may have an address that nobody else leases.
    fn fits(&self, who: Asker, address: u32, neighbour: Neighbour<'_>) -> bool {
        if let Some(fixed) = self.fixed(who.mac) {
            return fixed == address;
        }
        let (first, last) = self.pool;
        let reserved = self.statics.iter().any(|s| u32::from(s.address) == address);
        let own = u32::from(self.net.addr()) == address;
        let foreign = self
            .foreign
            .get(&address)
            .is_some_and(|until| *until > who.now);
        let free = (first..=last).contains(&address) && !reserved && !own && !foreign;
        // The kernel is asked last, for that costs most.
        free && neighbour(address.into()).is_none_or(|mac| mac == who.mac)
    }

    /// The wanted address, or the first free one from where the hash of the device points.
    fn find(
        &mut self,
        who: Asker,
        wanted: Option<Ipv4Addr>,
        neighbour: Neighbour<'_>,
    ) -> Option<u32> {
        self.foreign.retain(|_, until| *until > who.now);
        if let Some(fixed) = self.fixed(who.mac) {
            // A device that got it while it was not fixed has to go.
            let other = self.taken.get(&fixed).copied();
            if let Some(other) = other.filter(|d| *d != who.device) {
                self.remove(other);
            }
            return Some(fixed);
        }
        let (first, last) = self.pool;
        let size = last - first + 1;
        let Device(hash) = who.device;
        let start = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]) % size;
        let drawn = (0..size).map(|n| first + (start + n) % size);
        let mut all = wanted.map(u32::from).into_iter().chain(drawn);
        let asked = Cell::new(0);
        let limited = |address| {
            asked.set(asked.get() + 1);
            neighbour(address)
        };
        let free = |a: &u32| {
            asked.get() < ASKED && !self.taken.contains_key(a) && self.fits(who, *a, &limited)
        };
        if let Some(address) = all.find(free) {
            return Some(address);
        }
        let victim = self.victim(who.now, neighbour)?;
        let address = self.by_device.get(&victim)?.address;
        self.remove(victim);
        self.fits(who, address, neighbour).then_some(address)
    }

    /// The lease that ended longest ago, else the oldest unsettled one that nobody uses.
    fn victim(&self, now: Instant, neighbour: Neighbour<'_>) -> Option<Device> {
        let ended = self.by_device.iter().filter(|(_, l)| l.until <= now);
        let ended = ended.min_by_key(|(_, l)| (l.settled, l.until));
        if let Some((device, _)) = ended {
            return Some(*device);
        }
        let old = |l: &Lease| now.saturating_duration_since(l.since) >= UNSETTLED;
        let all = self.by_device.iter();
        let mut unsettled: Vec<_> = all.filter(|(_, l)| !l.settled && old(l)).collect();
        unsettled.sort_by_key(|(_, l)| l.since);
        let mut oldest = unsettled.into_iter().take(LOOKED_AT);
        let unused = oldest.find(|(_, l)| neighbour(l.address.into()).is_none());
        unused.map(|(device, _)| *device)
    }

    fn hold(&mut self, who: Asker, address: u32, time: Duration) {
        let old = self.by_device.get(&who.device).cloned();
        if let Some(old) = old.as_ref().filter(|old| old.address != address) {
            self.taken.remove(&old.address);
            self.changes += 1;
        }
        let old = old.filter(|old| old.address == address);
        let until = who.now + time;
        let lease = Lease {
            address,
            since: old.as_ref().map_or(who.now, |old| old.since),
            until: old.as_ref().map_or(until, |old| old.until.max(until)),
            settled: old.as_ref().is_some_and(|old| old.settled),
            name: old.and_then(|old| old.name),
        };
        self.taken.insert(address, who.device);
        self.by_device.insert(who.device, lease);
    }

    fn remove(&mut self, device: Device) {
        if let Some(lease) = self.by_device.remove(&device) {
            self.taken.remove(&lease.address);
            self.changes += u64::from(lease.settled);
        }
    }

    /// Takes over what was kept: each lease as if it had just been given, since nobody knows how
    /// long the box was off. What does not fit the LAN any more is left out.
    pub fn restore(&mut self, bytes: &[u8], now: Instant) {
        let kept = postcard::from_bytes::<Vec<Kept>>(bytes).unwrap_or_default();
        let most = usize::try_from(POOL_MAX).unwrap_or(usize::MAX);
        for Kept {
            device,
            address,
            name,
        } in kept.into_iter().take(most)
        {
            let address = u32::from(address);
            let (first, last) = self.pool;
            let fixed = self.statics.iter().any(|s| u32::from(s.address) == address);
            let inside = (first..=last).contains(&address) || fixed;
            if !inside || self.taken.contains_key(&address) {
                continue;
            }
            let device = Device(device);
            self.taken.insert(address, device);
            let lease = Lease {
                address,
                since: now,
                until: now + self.time,
                settled: true,
                name,
            };
            self.by_device.insert(device, lease);
        }
    }
}

/// A settled lease as it is kept; others are not.
#[derive(Serialize, Deserialize)]
struct Kept {
    device: [u8; 16],
    address: Ipv4Addr,
    name: Option<String>,
}

impl Keep for RefCell<Leases> {
    fn changes(&self) -> u64 {
        self.borrow().changes
    }

    fn snapshot(&self) -> Vec<u8> {
        let all = self.borrow();
        let settled = all.by_device.iter().filter(|(_, lease)| lease.settled);
        let kept = settled.map(|(device, lease)| Kept {
            device: device.0,
            address: lease.address.into(),
            name: lease.name.clone(),
        });
        // Fails for lack of memory only; then nothing is kept.
        postcard::to_allocvec(&kept.collect::<Vec<_>>()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
