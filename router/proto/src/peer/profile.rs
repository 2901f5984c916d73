//! What we saw a router do, fading with time (i2p docs/how/peer-selection).

use crate::limits;
use crate::time::Date;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::error::{Result, WireError};
use crate::wire::hash::RouterHash;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

/// Counts halve in this time.
const HALF_LIFE: Duration = Duration::from_secs(6 * 3600);
/// A count of one.
const ONE: u32 = 256;
/// After a failed dial the router is left alone for this long.
const UNREACHABLE: Duration = Duration::from_secs(10 * 60);
/// A profile not touched for this long is forgotten.
const FORGET: Duration = Duration::from_secs(72 * 3600);
/// First byte of a serialised profile.
const VERSION: u8 = 2;

/// One thing that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// Agreed to be a hop.
    Agreed,
    /// Declined to be a hop.
    Declined,
    /// Was a hop of a build that nobody answered.
    NoReply,
    /// Was a hop of a tunnel that failed its test.
    TunnelFailed,
    /// Could not be dialled, or the handshake failed.
    Unreachable,
    /// A link came up.
    Connected,
    /// A link is up still.
    Linked,
    /// Answered a lookup.
    LookupAnswered,
    /// Left a lookup or a store unanswered.
    LookupFailed,
}

/// Counts of one router, in 1/256, as of `updated`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    agreed: u32,
    declined: u32,
    no_reply: u32,
    unreachable: u32,
    lookups: u32,
    lookups_failed: u32,
    updated: Date,
    last_unreachable: Date,
    /// When a link was last seen up.
    linked: Date,
}

impl Profile {
    fn decay(&mut self, now: Date) {
        self.not_after(now);
        let steps = now.since(self.updated).as_secs() / HALF_LIFE.as_secs();
        if steps == 0 {
            return;
        }
        let shift = u32::try_from(steps).unwrap_or(u32::MAX).min(31);
        for n in self.counts() {
            *n >>= shift;
        }
        self.updated = now;
    }

    /// A date from a clock that was ahead would keep it from fading.
    fn not_after(&mut self, now: Date) {
        self.updated = self.updated.min(now);
        self.linked = self.linked.min(now);
        if self.last_unreachable > now {
            self.last_unreachable = Date::default();
        }
    }

    const fn counts(&mut self) -> [&mut u32; 6] {
        [
            &mut self.agreed,
            &mut self.declined,
            &mut self.no_reply,
            &mut self.unreachable,
            &mut self.lookups,
            &mut self.lookups_failed,
        ]
    }

    fn observe(&mut self, now: Date, what: Observation) {
        self.decay(now);
        if self.updated == Date::default() {
            self.updated = now;
        }
        let count = match what {
            Observation::Agreed => &mut self.agreed,
            Observation::Declined => &mut self.declined,
            Observation::NoReply | Observation::TunnelFailed => &mut self.no_reply,
            Observation::Unreachable => {
                self.last_unreachable = now;
                &mut self.unreachable
            }
            Observation::Connected => {
                self.last_unreachable = Date::default();
                self.unreachable /= 2;
                self.linked = now;
                return;
            }
            Observation::Linked => {
                self.linked = now;
                return;
            }
            Observation::LookupAnswered => &mut self.lookups,
            Observation::LookupFailed => &mut self.lookups_failed,
        };
        *count = count.saturating_add(ONE);
    }

    /// Share of good experience as a hop in 0..=1000; 500 for a stranger.
    #[must_use]
    pub fn score(&self) -> u32 {
        let good = u64::from(self.agreed) + u64::from(ONE);
        let bad = u64::from(self.declined)
            + 2 * u64::from(self.no_reply)
            + 4 * u64::from(self.unreachable)
            + u64::from(ONE);
        u32::try_from(1000 * good / (good + bad)).unwrap_or(0)
    }

    /// Whether it should only be taken when nobody else is left: not to be dialled lately, or
    /// nearly always declining or silent.
    #[must_use]
    pub fn is_failing(&self, now: Date) -> bool {
        let dead = self.last_unreachable != Date::default()
            && self.last_unreachable <= now
            && now.since(self.last_unreachable) < UNREACHABLE;
        let bad = self.declined + self.no_reply.saturating_mul(2);
        dead || (bad >= 4 * ONE && bad / 8 > self.agreed)
    }

    /// Whether it did anything good for us.
    #[must_use]
    pub const fn is_proven(&self) -> bool {
        self.agreed > 0 || self.lookups > 0
    }

    /// Writes 37 bytes: version, six counts, seconds of the last change, of the last failed dial
    /// and of the last sign of a link.
    #[must_use]
    pub fn to_bytes(mut self) -> Vec<u8> {
        let times = [self.updated, self.last_unreachable, self.linked];
        let mut w = Writer::with_capacity(37);
        w.u8(VERSION);
        for n in self.counts() {
            w.u32(*n);
        }
        for time in times {
            w.u32(u32::try_from(time.secs()).unwrap_or(u32::MAX));
        }
        w.into_vec()
    }

    /// Parses what [`Profile::to_bytes`] wrote.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(bytes);
        if r.u8("Profile.version")? != VERSION {
            return Err(WireError::invalid("Profile.version"));
        }
        let mut out = Self::default();
        for n in out.counts() {
            *n = r.u32("Profile.count")?.min(u32::MAX / 16);
        }
        out.updated = Date::from_secs(u64::from(r.u32("Profile.updated")?));
        out.last_unreachable = Date::from_secs(u64::from(r.u32("Profile.last_unreachable")?));
        out.linked = Date::from_secs(u64::from(r.u32("Profile.linked")?));
        r.finish("Profile")?;
        Ok(out)
    }
}

/// Profiles of all routers that we dealt with, at most [`limits::PROFILES_MAX`].
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    map: BTreeMap<RouterHash, Profile>,
    dirty: BTreeSet<RouterHash>,
}

impl Profiles {
    /// No profiles.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a saved profile in; one that does not parse or is too old is left out.
    pub fn load(&mut self, now: Date, router: RouterHash, bytes: &[u8]) {
        if let Ok(mut profile) = Profile::parse(bytes)
            && now.since(profile.updated) < FORGET
            && self.make_room(&router, profile.is_proven())
        {
            profile.not_after(now);
            self.map.insert(router, profile);
        }
    }

    /// The wall clock was set: failed dials of before say nothing, and no date is in the future.
    pub fn clock_set(&mut self, now: Date) {
        for profile in self.map.values_mut() {
            profile.last_unreachable = Date::default();
            profile.not_after(now);
        }
    }

    /// Notes what a router did.
    pub fn observe(&mut self, now: Date, router: RouterHash, what: Observation) {
        let good = matches!(what, Observation::Agreed | Observation::LookupAnswered);
        if self.make_room(&router, good) {
            self.map.entry(router).or_default().observe(now, what);
            self.dirty.insert(router);
        }
    }

    /// Routers that did anything good for us.
    pub fn proven(&self) -> impl Iterator<Item = &RouterHash> {
        let good = self.map.iter().filter(|(_, p)| p.is_proven());
        good.map(|(hash, _)| hash)
    }

    /// The profile of a router; `None` for a stranger.
    #[must_use]
    pub fn get(&self, router: &RouterHash) -> Option<&Profile> {
        self.map.get(router)
    }

    /// [`Profile::score`], 500 for a stranger.
    #[must_use]
    pub fn score(&self, router: &RouterHash) -> u32 {
        self.get(router).map_or(500, Profile::score)
    }

    /// [`Profile::is_failing`], `false` for a stranger.
    #[must_use]
    pub fn is_failing(&self, now: Date, router: &RouterHash) -> bool {
        self.get(router).is_some_and(|p| p.is_failing(now))
    }

    /// Routers that were seen linked within `age`, the latest first, at most `n`.
    #[must_use]
    pub fn linked_within(&self, now: Date, age: Duration, n: usize) -> Vec<RouterHash> {
        let recent = |p: &Profile| p.linked != Date::default() && now.since(p.linked) < age;
        let mut found: Vec<_> = self.map.iter().filter(|(_, p)| recent(p)).collect();
        found.sort_by_key(|(hash, p)| (core::cmp::Reverse(p.linked), **hash));
        found.into_iter().map(|(hash, _)| *hash).take(n).collect()
    }

    /// Number of profiles.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Profiles that changed since the last call, serialised; `None` for one that is gone. At
    /// most `n`, the rest waits for the next call.
    pub fn take_changed(&mut self, n: usize) -> Vec<(RouterHash, Option<Vec<u8>>)> {
        let mut out = Vec::new();
        while out.len() < n
            && let Some(hash) = self.dirty.pop_first()
        {
            out.push((hash, self.map.get(&hash).map(|p| p.to_bytes())));
        }
        out
    }

    /// Forgets what was not touched for three days.
    pub fn prune(&mut self, now: Date) {
        let dirty = &mut self.dirty;
        self.map.retain(|hash, p| {
            let keep = now.since(p.updated) < FORGET;
            if !keep {
                dirty.insert(*hash);
            }
            keep
        });
    }

    /// Whether there is room for a newcomer. Those that never did us good go first, since others
    /// can make us dial whom they like; only who did good takes the place of one who did.
    fn make_room(&mut self, newcomer: &RouterHash, good: bool) -> bool {
        if self.map.len() < limits::PROFILES_MAX || self.map.contains_key(newcomer) {
            return true;
        }
        let first = self
            .map
            .iter()
            .min_by_key(|(_, p)| (p.is_proven(), p.updated))
            .map(|(h, p)| (*h, p.is_proven()));
        match first {
            Some((hash, proven)) if good || !proven => {
                self.map.remove(&hash);
                self.dirty.insert(hash);
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const T: Date = Date::from_secs(1_700_000_000);

    fn hash(n: u8) -> RouterHash {
        RouterHash([n; 32])
    }

    #[test]
    fn good_and_bad_fade() {
        let mut p = Profiles::new();
        for _ in 0..10 {
            p.observe(T, hash(1), Observation::Agreed);
            p.observe(T, hash(2), Observation::Declined);
        }
        assert!(p.score(&hash(1)) > 900 && p.score(&hash(2)) < 100);
        assert!(p.is_failing(T, &hash(2)) && !p.is_failing(T, &hash(1)));
        p.observe(T + DAY, hash(2), Observation::Agreed);
        assert!(!p.is_failing(T + DAY, &hash(2)));
        p.observe(T, hash(3), Observation::Unreachable);
        assert!(p.is_failing(T, &hash(3)) && !p.is_failing(T + DAY, &hash(3)));
        p.observe(T, hash(3), Observation::Connected);
        assert!(!p.is_failing(T, &hash(3)));
    }

    #[test]
    fn saved_and_loaded() {
        let mut p = Profiles::new();
        p.observe(T, hash(1), Observation::Agreed);
        p.observe(T, hash(1), Observation::LookupFailed);
        let saved = p.take_changed(10);
        assert!(p.take_changed(10).is_empty());
        let mut q = Profiles::new();
        let bytes = saved[0].1.clone().unwrap();
        assert_eq!(bytes.len(), 37);
        q.load(T, hash(1), &bytes);
        assert_eq!(q.get(&hash(1)), p.get(&hash(1)));
        for n in 0..bytes.len() {
            assert!(Profile::parse(&bytes[..n]).is_err());
        }
        q.load(T + DAY * 4, hash(2), &bytes);
        assert_eq!(q.len(), 1);
        q.prune(T + DAY * 4);
        assert_eq!(q.take_changed(1), vec![(hash(1), None)]);
    }

    #[test]
    fn who_had_a_link_lately_is_known_after_a_restart() {
        let hour = Duration::from_secs(3600);
        let mut p = Profiles::new();
        p.observe(T, hash(1), Observation::Connected);
        p.observe(T, hash(2), Observation::Connected);
        p.observe(T, hash(3), Observation::Agreed);
        p.observe(T + hour, hash(2), Observation::Linked);
        let mut q = Profiles::new();
        for (hash, bytes) in p.take_changed(10) {
            q.load(T + hour, hash, &bytes.unwrap());
        }
        let minute = Duration::from_secs(60);
        assert_eq!(q.linked_within(T + hour, hour * 2, 10), [hash(2), hash(1)]);
        assert_eq!(q.linked_within(T + hour, hour * 2, 1), [hash(2)]);
        assert_eq!(q.linked_within(T + hour, minute, 10), [hash(2)]);
        assert!(q.linked_within(T + hour * 3, hour, 10).is_empty());
    }

    #[test]
    fn a_clock_that_was_ahead_condemns_nobody() {
        let mut p = Profiles::new();
        p.observe(T + DAY * 1000, hash(1), Observation::Unreachable);
        assert!(!p.is_failing(T, &hash(1)));
        p.observe(T, hash(1), Observation::Agreed);
        assert!(p.score(&hash(1)) > 0);
        p.prune(T + DAY * 4);
        assert!(p.is_empty());
    }

    #[test]
    fn strangers_that_could_not_be_dialled_push_nobody_out() {
        let mut p = Profiles::new();
        p.observe(T, hash(1), Observation::Agreed);
        for n in 0..limits::PROFILES_MAX as u64 + 100 {
            let mut h = [7; 32];
            h[..8].copy_from_slice(&n.to_be_bytes());
            let t = T + Duration::from_secs(n + 1);
            p.observe(t, RouterHash(h), Observation::Unreachable);
        }
        assert_eq!(p.len(), limits::PROFILES_MAX);
        assert!(p.get(&hash(1)).is_some());
        for n in 0..limits::PROFILES_MAX as u64 {
            let mut h = [8; 32];
            h[..8].copy_from_slice(&n.to_be_bytes());
            p.observe(T + DAY, RouterHash(h), Observation::Agreed);
        }
        p.observe(T + DAY, hash(3), Observation::Unreachable);
        assert!(p.get(&hash(3)).is_none());
    }

    #[test]
    fn never_more_than_the_limit() {
        let mut p = Profiles::new();
        for n in 0..limits::PROFILES_MAX as u64 + 100 {
            let mut h = [0; 32];
            h[..8].copy_from_slice(&n.to_be_bytes());
            p.observe(
                T + Duration::from_secs(n),
                RouterHash(h),
                Observation::Agreed,
            );
        }
        assert_eq!(p.len(), limits::PROFILES_MAX);
    }
}
