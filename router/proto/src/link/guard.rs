//! Who may connect: rates, unfinished handshakes and established links by source, before any
//! public-key operation (i2p spec/ntcp2, SessionRequest notes on DoS).
//!
//! A source is counted twice: as a host (an IPv4 address, or the /64 of an IPv6 one, which is one
//! household) and as a block (a /24, or the /48 that anybody can have for nothing). Each has a
//! share of everything that is scarce, so that no owner of addresses takes all of it.

use crate::limits;
use crate::relay::limit::{Meter, Rate};
use crate::time::Instant;
use core::time::Duration;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What one failed handshake costs beyond the connection itself.
const FAILURE: u32 = 4;
/// Handshakes that are begun in a second, and at once: about three key agreements, one signature
/// each.
const HANDSHAKES: Rate = Rate {
    per_sec: limits::HANDSHAKES_PER_SECOND,
    burst: 4 * limits::HANDSHAKES_PER_SECOND,
};
/// When the table is full of sources in use, this part of those not connected is forgotten.
const FORGOTTEN: usize = 8;

/// Which sources are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// An IPv4 address or an IPv6 /64.
    Host,
    /// An IPv4 /24 or an IPv6 /48.
    Block,
}

/// Both, the wider one first.
pub const SCOPES: [Scope; 2] = [Scope::Block, Scope::Host];

/// What one source may have.
struct Share {
    /// Connections in a row.
    burst: u32,
    /// Until one more is allowed.
    refill: Duration,
    /// Unfinished handshakes.
    pending: usize,
}

impl Scope {
    const fn share(self) -> Share {
        match self {
            Self::Host => Share {
                burst: 32,
                refill: Duration::from_millis(500),
                pending: limits::LINK_PENDING_PER_IP,
            },
            Self::Block => Share {
                burst: 128,
                refill: Duration::from_millis(125),
                pending: limits::LINK_PENDING_PER_BLOCK,
            },
        }
    }
}

/// A host or a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source(Scope, bool, u64);

impl Source {
    /// The host or block of an address.
    pub fn of(addr: IpAddr, scope: Scope) -> Self {
        let (v6, bits, drop) = match (addr.to_canonical(), scope) {
            (IpAddr::V4(v4), Scope::Host) => (false, u64::from(v4.to_bits()), 0),
            (IpAddr::V4(v4), Scope::Block) => (false, u64::from(v4.to_bits()), 8),
            (IpAddr::V6(v6), Scope::Host) => (true, (v6.to_bits() >> 64) as u64, 0),
            (IpAddr::V6(v6), Scope::Block) => (true, (v6.to_bits() >> 64) as u64, 16),
        };
        Self(scope, v6, bits >> drop)
    }

    /// Whether the address belongs to it.
    pub fn contains(self, addr: IpAddr) -> bool {
        Self::of(addr, self.0) == self
    }
}

struct Bucket {
    used: u32,
    at: Instant,
    pending: usize,
    links: usize,
}

impl Bucket {
    fn refill(&mut self, now: Instant, every: Duration) {
        let every = u64::try_from(every.as_micros()).unwrap_or(u64::MAX).max(1);
        let us = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        let back = us / every;
        self.used = self
            .used
            .saturating_sub(u32::try_from(back).unwrap_or(u32::MAX));
        self.at = if self.used == 0 {
            now
        } else {
            Instant(self.at.0.saturating_add(back.saturating_mul(every)))
        };
    }

    const fn is_in_use(&self) -> bool {
        self.pending > 0 || self.links > 0
    }
}

/// The table of sources.
pub struct Guard {
    buckets: BTreeMap<Source, Bucket>,
    pending: usize,
    /// What the key agreements of handshakes are taken from before they are done.
    pub handshakes: Meter,
    links_max: usize,
}

impl Guard {
    /// For so many links in all.
    pub const fn new(links_max: usize) -> Self {
        Self {
            buckets: BTreeMap::new(),
            pending: 0,
            handshakes: Meter::new(HANDSHAKES),
            links_max,
        }
    }

    /// Whether as many handshakes are unfinished as there may be.
    pub const fn is_full(&self) -> bool {
        self.pending >= limits::LINK_PENDING_MAX
    }

    /// Whether a connection is accepted; if so, [`Guard::done`] must follow once.
    pub fn accept(&mut self, now: Instant, addr: IpAddr) -> bool {
        if self.is_full() {
            return false;
        }
        let admitted = SCOPES.iter().all(|scope| {
            let share = scope.share();
            let Some(b) = self.buckets.get_mut(&Source::of(addr, *scope)) else {
                return true;
            };
            b.refill(now, share.refill);
            b.used < share.burst && b.pending < share.pending
        });
        if !admitted {
            return false;
        }
        for scope in SCOPES {
            let bucket = self.bucket(now, addr, scope);
            bucket.used += 1;
            bucket.pending += 1;
        }
        self.pending += 1;
        true
    }

    /// A socket counts as unfinished again; [`Guard::done`] must follow once.
    pub fn resume(&mut self, now: Instant, addr: IpAddr) {
        self.pending += 1;
        for scope in SCOPES {
            self.bucket(now, addr, scope).pending += 1;
        }
    }

    /// The handshake of an accepted connection ended.
    pub fn done(&mut self, addr: IpAddr) {
        self.pending = self.pending.saturating_sub(1);
        self.each(addr, |b, _| b.pending = b.pending.saturating_sub(1));
    }

    /// The handshake of an accepted connection failed: costs the address some of its rate.
    pub fn failed(&mut self, addr: IpAddr) {
        self.each(addr, |b, scope| {
            let most = scope.share().burst + 4 * FAILURE;
            b.used = b.used.saturating_add(FAILURE).min(most);
        });
    }

    /// A link that was accepted is established; [`Guard::link_down`] must follow once.
    pub fn link_up(&mut self, now: Instant, addr: IpAddr) {
        for scope in SCOPES {
            self.bucket(now, addr, scope).links += 1;
        }
    }

    /// An established link that was accepted is gone.
    pub fn link_down(&mut self, addr: IpAddr) {
        self.each(addr, |b, _| b.links = b.links.saturating_sub(1));
    }

    /// The source of this address that has as many links as it may.
    pub fn crowded(&self, addr: IpAddr) -> Option<Source> {
        self.with_links(addr, 1)
    }

    /// The source of this address that has more links than it may.
    pub fn over(&self, addr: IpAddr) -> Option<Source> {
        self.with_links(addr, 0)
    }

    fn with_links(&self, addr: IpAddr, more: usize) -> Option<Source> {
        let most = |scope| match scope {
            Scope::Host => (self.links_max / 64).max(limits::LINKS_PER_IP_MIN),
            Scope::Block => (self.links_max / 16).max(limits::LINKS_PER_BLOCK_MIN),
        };
        let sources = SCOPES.map(|scope| (scope, Source::of(addr, scope)));
        let full = sources.into_iter().find(|(scope, source)| {
            let links = self.buckets.get(source).map_or(0, |b| b.links);
            links + more > most(*scope)
        });
        full.map(|(_, source)| source)
    }

    fn bucket(&mut self, now: Instant, addr: IpAddr, scope: Scope) -> &mut Bucket {
        let source = Source::of(addr, scope);
        if !self.buckets.contains_key(&source) {
            self.make_room(now);
        }
        self.buckets.entry(source).or_insert(Bucket {
            used: 0,
            at: now,
            pending: 0,
            links: 0,
        })
    }

    fn each(&mut self, addr: IpAddr, change: impl Fn(&mut Bucket, Scope)) {
        for scope in SCOPES {
            if let Some(b) = self.buckets.get_mut(&Source::of(addr, scope)) {
                change(b, scope);
            }
        }
    }

    /// Forgets sources that are at rest, or else some that were used the longest ago. Those that
    /// are connected stay; they are bounded by the connections.
    fn make_room(&mut self, now: Instant) {
        if self.buckets.len() < limits::LINK_GUARD_SOURCES {
            return;
        }
        self.buckets.retain(|source, b| {
            b.refill(now, source.0.share().refill);
            b.used > 0 || b.is_in_use()
        });
        if self.buckets.len() >= limits::LINK_GUARD_SOURCES {
            let idle = self.buckets.iter().filter(|(_, b)| !b.is_in_use());
            let mut idle: Vec<(Instant, Source)> = idle.map(|(s, b)| (b.at, *s)).collect();
            idle.sort_unstable();
            for (_, source) in idle.iter().take(idle.len().div_ceil(FORGOTTEN)) {
                self.buckets.remove(source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Now;

    fn guard() -> Guard {
        Guard::new(1024)
    }

    #[test]
    fn bursts_and_failures_are_metered_and_pending_ones_counted() {
        let mut guard = guard();
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
    fn a_block_of_addresses_has_a_share_of_the_unfinished_handshakes() {
        let v6 =
            |n: u64| IpAddr::from(((0x2001_0470_1234_0000 | n) as u128 * (1 << 64)).to_be_bytes());
        let v4 = |n: u64| IpAddr::from([198, 51, 100, n as u8]);
        for many in [&v6 as &dyn Fn(u64) -> IpAddr, &v4] {
            let mut guard = guard();
            let taken = (0..256)
                .filter(|n| guard.accept(Instant(0), many(*n)))
                .count();
            assert_eq!(taken, limits::LINK_PENDING_PER_BLOCK);
            assert!(guard.accept(Instant(0), IpAddr::from([192, 0, 2, 1])));
        }
    }

    #[test]
    fn a_block_of_addresses_has_a_rate() {
        let mut guard = guard();
        let mut taken = 0;
        for n in 0..60_000u64 {
            let ip = IpAddr::from([198, 51, 100, n as u8]);
            if guard.accept(Instant(n * 1000), ip) {
                taken += 1;
                guard.done(ip);
            }
        }
        assert!((128 + 470..=128 + 480).contains(&taken), "{taken}");
    }

    #[test]
    fn a_host_and_a_block_have_a_share_of_the_links() {
        let mut guard = guard();
        let ip = |n: u8| IpAddr::from([198, 51, 100, n]);
        for _ in 0..16 {
            assert_eq!(guard.crowded(ip(1)), None);
            guard.link_up(Instant(0), ip(1));
        }
        assert_eq!(guard.crowded(ip(1)), Some(Source::of(ip(1), Scope::Host)));
        for n in 2..50 {
            assert_eq!(guard.crowded(ip(n)), None);
            guard.link_up(Instant(0), ip(n));
        }
        assert_eq!(
            guard.crowded(ip(99)),
            Some(Source::of(ip(99), Scope::Block))
        );
        assert_eq!(guard.crowded(IpAddr::from([198, 51, 101, 1])), None);
        guard.link_down(ip(1));
        assert_eq!(guard.crowded(ip(1)), None);
    }

    #[test]
    fn handshakes_of_all_together_are_metered() {
        let mut guard = guard();
        let begun = (0..1000).filter(|_| guard.handshakes.admit(Now::default(), 1));
        assert_eq!(begun.count() as u64, HANDSHAKES.burst);
    }

    #[test]
    fn the_table_is_bounded_and_forgets_nobody_who_is_connected() {
        let mut guard = guard();
        let here = IpAddr::from([192, 0, 2, 1]);
        guard.link_up(Instant(0), here);
        for n in 0..limits::LINK_GUARD_SOURCES as u32 * 2 {
            let ip = IpAddr::from((n << 8).to_be_bytes());
            assert!(guard.accept(Instant(u64::from(n)), ip));
            guard.done(ip);
            assert!(guard.buckets.len() <= limits::LINK_GUARD_SOURCES);
        }
        assert!(guard.buckets.contains_key(&Source::of(here, Scope::Host)));
    }
}
