//! Bans for a time: misbehaviour adds up, is forgiven by and by, and bans when it is too much.

use crate::time::Instant;
use core::time::Duration;
use std::collections::BTreeMap;

/// Points from which a ban follows.
const LIMIT: u32 = 100;
/// One point is forgiven in this time.
const FORGIVE: Duration = Duration::from_secs(30);
/// Length of a ban by points.
const BAN: Duration = Duration::from_secs(30 * 60);

#[derive(Clone, Copy, Debug)]
struct Record {
    points: u32,
    at: Instant,
    until: Instant,
}

/// Bans of routers (by hash) or of addresses, at most [`crate::limits::BANS_MAX`].
#[derive(Clone, Debug)]
pub struct Bans<K: Ord + Copy> {
    records: BTreeMap<K, Record>,
}

impl<K: Ord + Copy> Default for Bans<K> {
    fn default() -> Self {
        Self {
            records: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Copy> Bans<K> {
    /// Nobody is banned.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds points against `who`; 100 points ban for half an hour, one is forgiven every 30 s.
    /// `true` when this call banned it.
    pub fn punish(&mut self, now: Instant, who: K, points: u32) -> bool {
        let record = self.record(now, who);
        let forgiven = now.since(record.at).as_secs() / FORGIVE.as_secs();
        let forgiven = u32::try_from(forgiven).unwrap_or(u32::MAX);
        record.points = record
            .points
            .saturating_sub(forgiven)
            .saturating_add(points);
        record.at = now;
        if record.points < LIMIT {
            return false;
        }
        record.points = 0;
        let fresh = record.until <= now;
        record.until = record.until.max(now + BAN);
        fresh
    }

    /// Bans `who` for at least this time.
    pub fn ban(&mut self, now: Instant, who: K, time: Duration) {
        let record = self.record(now, who);
        record.until = record.until.max(now + time);
    }

    /// Whether `who` is banned.
    #[must_use]
    pub fn is_banned(&self, now: Instant, who: &K) -> bool {
        self.records.get(who).is_some_and(|r| r.until > now)
    }

    /// Everyone who is banned.
    pub fn banned(&self, now: Instant) -> impl Iterator<Item = &K> {
        self.records
            .iter()
            .filter(move |(_, r)| r.until > now)
            .map(|(k, _)| k)
    }

    fn record(&mut self, now: Instant, who: K) -> &mut Record {
        if self.records.len() >= crate::limits::BANS_MAX && !self.records.contains_key(&who) {
            let first = self.records.iter().min_by_key(|(_, r)| (r.until, r.points));
            if let Some(k) = first.map(|(k, _)| *k) {
                self.records.remove(&k);
            }
        }
        self.records.entry(who).or_insert(Record {
            points: 0,
            at: now,
            until: now,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::BANS_MAX;

    #[test]
    fn points_add_up_and_are_forgiven() {
        let mut bans = Bans::new();
        let t = Instant(0);
        assert!(!bans.punish(t, 1, 60));
        assert!(!bans.punish(t + Duration::from_secs(30 * 30), 1, 60));
        assert!(bans.punish(t + Duration::from_secs(30 * 30), 1, 60));
        let t = t + Duration::from_secs(30 * 30);
        assert!(bans.is_banned(t, &1));
        assert!(!bans.is_banned(t + BAN, &1));
        assert!(!bans.is_banned(t, &2));
    }

    #[test]
    fn never_more_than_the_limit() {
        let mut bans = Bans::new();
        for k in 0..2 * BANS_MAX {
            bans.ban(Instant(0), k, Duration::from_secs(k as u64 + 1));
        }
        assert_eq!(bans.banned(Instant(0)).count(), BANS_MAX);
        assert!(bans.is_banned(Instant(0), &(2 * BANS_MAX - 1)));
    }
}
