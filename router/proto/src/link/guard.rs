//! Who may connect: rates and unfinished handshakes by source address, before any public-key
//! operation (i2p spec/ntcp2, SessionRequest notes on DoS).

use crate::limits;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Connections in a row that an address may open.
const BURST: u32 = 32;
/// What one failed handshake costs beyond the connection itself.
const FAILURE: u32 = 4;
/// Microseconds until one connection is allowed again.
const REFILL_US: u64 = 500_000;

/// An IPv4 address, or the /64 of an IPv6 one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Source(u64, bool);

impl Source {
    fn of(addr: IpAddr) -> Self {
        match addr.to_canonical() {
            IpAddr::V4(v4) => Self(u64::from(v4.to_bits()), false),
            IpAddr::V6(v6) => Self((v6.to_bits() >> 64) as u64, true),
        }
    }
}

struct Bucket {
    used: u32,
    at: Instant,
    pending: usize,
}

impl Bucket {
    fn refill(&mut self, now: Instant) {
        let us = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        let back = us / REFILL_US;
        self.used = self
            .used
            .saturating_sub(u32::try_from(back).unwrap_or(u32::MAX));
        self.at = if self.used == 0 {
            now
        } else {
            Instant(self.at.0.saturating_add(back.saturating_mul(REFILL_US)))
        };
    }
}

/// The table of addresses.
#[derive(Default)]
pub struct Guard {
    buckets: BTreeMap<Source, Bucket>,
    pending: usize,
}

impl Guard {
    /// Whether a connection is accepted; if so, [`Guard::done`] must follow once.
    pub fn accept(&mut self, now: Instant, addr: IpAddr) -> bool {
        if self.pending >= limits::LINK_PENDING_MAX {
            return false;
        }
        let source = Source::of(addr);
        if !self.buckets.contains_key(&source) {
            self.make_room(now);
        }
        let bucket = self.buckets.entry(source).or_insert(Bucket {
            used: 0,
            at: now,
            pending: 0,
        });
        bucket.refill(now);
        if bucket.used >= BURST || bucket.pending >= limits::LINK_PENDING_PER_IP {
            return false;
        }
        bucket.used += 1;
        bucket.pending += 1;
        self.pending += 1;
        true
    }

    /// A socket counts as unfinished again; [`Guard::done`] must follow once.
    pub fn resume(&mut self, addr: IpAddr) {
        self.pending += 1;
        if let Some(b) = self.buckets.get_mut(&Source::of(addr)) {
            b.pending += 1;
        }
    }

    /// The handshake of an accepted connection ended.
    pub fn done(&mut self, addr: IpAddr) {
        self.pending = self.pending.saturating_sub(1);
        if let Some(b) = self.buckets.get_mut(&Source::of(addr)) {
            b.pending = b.pending.saturating_sub(1);
        }
    }

    /// The handshake of an accepted connection failed: costs the address some of its rate.
    pub fn failed(&mut self, addr: IpAddr) {
        if let Some(b) = self.buckets.get_mut(&Source::of(addr)) {
            b.used = b.used.saturating_add(FAILURE).min(BURST + 4 * FAILURE);
        }
    }

    /// Forgets addresses that are at rest, or else the one that was used the longest ago.
    fn make_room(&mut self, now: Instant) {
        if self.buckets.len() < limits::LINK_GUARD_IPS {
            return;
        }
        self.buckets.retain(|_, b| {
            b.refill(now);
            b.used > 0 || b.pending > 0
        });
        if self.buckets.len() >= limits::LINK_GUARD_IPS {
            let idle = self.buckets.iter().filter(|(_, b)| b.pending == 0);
            if let Some(oldest) = idle.min_by_key(|(_, b)| b.at).map(|(s, _)| *s) {
                self.buckets.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn bursts_and_failures_are_metered_and_pending_ones_counted() {
        let mut guard = Guard::default();
        let (ip, now) = (IpAddr::from([192, 0, 2, 1]), Instant(0));
        for _ in 0..limits::LINK_PENDING_PER_IP {
            assert!(guard.accept(now, ip));
        }
        assert!(!guard.accept(now, ip));
        assert!(guard.accept(now, IpAddr::from([192, 0, 2, 2])));
        for _ in 0..limits::LINK_PENDING_PER_IP {
            guard.done(ip);
            guard.failed(ip);
        }
        assert!(!guard.accept(now, ip));
        assert!(guard.accept(now + Duration::from_secs(60), ip));
        assert_eq!(guard.pending, 2);
    }

    #[test]
    fn the_table_is_bounded() {
        let mut guard = Guard::default();
        for n in 0..limits::LINK_GUARD_IPS as u32 + 10 {
            let ip = IpAddr::from(n.to_be_bytes());
            assert!(guard.accept(Instant(u64::from(n)), ip));
            guard.done(ip);
        }
        assert!(guard.buckets.len() <= limits::LINK_GUARD_IPS);
    }
}
