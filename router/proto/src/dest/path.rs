//! Which way a message takes: one of our outbound tunnels and one of the remote's leases, kept
//! together until something speaks against the pair.

use crate::rng::Rng;
use crate::time::{Instant, Now};
use crate::tunnel::{OutboundId, OutboundInfo};
use crate::wire::hash::{RouterHash, TunnelId};
use crate::wire::lease_set2::Lease;
use core::time::Duration;

/// A tunnel or lease that ends sooner than this is taken only when there is no other.
const MARGIN: Duration = Duration::from_secs(30);
/// A pair that was given up is avoided for this long.
const AVOID: Duration = Duration::from_secs(60);
/// A pair is tried at least for so long: what was sent over it may be answered yet.
const TRIAL: Duration = Duration::from_secs(1);
/// Pairs that are remembered as bad.
const BAD_MAX: usize = 16;

/// One of our outbound tunnels, and one of the remote's inbound tunnels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// Our outbound tunnel.
    pub outbound: OutboundId,
    /// The remote's inbound gateway.
    pub gateway: RouterHash,
    /// The tunnel at that gateway.
    pub tunnel: TunnelId,
}

/// The current pair to one remote.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    current: Option<Path>,
    /// Since when the current one is in use.
    since: Instant,
    bad: Vec<(Path, Instant)>,
}

impl Paths {
    /// The pair to use now: the one in use while both its parts live, else the best new one.
    /// `None` when there is no tunnel or no lease at all.
    pub fn choose(
        &mut self,
        now: Now,
        rng: &mut Rng,
        outbound: &[OutboundInfo],
        leases: &[Lease],
    ) -> Option<Path> {
        if let Some(path) = self.current
            && outbound
                .iter()
                .any(|o| o.id == path.outbound && is_fresh(o, now) && !o.failing)
            && leases
                .iter()
                .any(|l| is_lease(l, &path) && l.expires > now.wall + MARGIN)
        {
            return Some(path);
        }
        self.current = self.best(now, rng, outbound, leases);
        self.since = now.mono;
        self.current
    }

    /// The pair does not deliver: the next choice avoids it. Not before it was tried for a while.
    pub fn give_up(&mut self, now: Now) -> Option<Path> {
        if now.mono.since(self.since) < TRIAL {
            return None;
        }
        let path = self.current.take()?;
        self.bad
            .retain(|(p, until)| *until > now.mono && *p != path);
        if self.bad.len() == BAD_MAX {
            self.bad.remove(0);
        }
        self.bad.push((path, now.mono + AVOID));
        Some(path)
    }

    /// The pair in use.
    #[must_use]
    pub const fn current(&self) -> Option<Path> {
        self.current
    }

    fn best(
        &self,
        now: Now,
        rng: &mut Rng,
        outbound: &[OutboundInfo],
        leases: &[Lease],
    ) -> Option<Path> {
        let mut best = None;
        for o in outbound {
            for l in leases.iter().filter(|l| l.expires > now.wall) {
                let path = Path {
                    outbound: o.id,
                    gateway: l.gateway,
                    tunnel: l.tunnel,
                };
                let rank = (
                    weaknesses(now, o, l),
                    self.given_up(now, &path),
                    self.faults(now, o, l),
                    o.rtt.unwrap_or(UNKNOWN),
                    rng.u32(),
                );
                if best.as_ref().is_none_or(|(r, _)| rank < *r) {
                    best = Some((rank, path));
                }
            }
        }
        best.map(|(_, path)| path)
    }

    /// When this very pair was given up: all others come first, then the one tried longest ago.
    fn given_up(&self, now: Now, path: &Path) -> Option<Instant> {
        let bad = self.bad.iter().find(|(bad, _)| bad == path);
        bad.map(|(_, until)| *until)
            .filter(|until| *until > now.mono)
    }

    /// Pairs given up that share a part with this one; more is worse.
    fn faults(&self, now: Now, o: &OutboundInfo, l: &Lease) -> u32 {
        let mut faults = 0;
        for (bad, _) in self.bad.iter().filter(|(_, until)| *until > now.mono) {
            faults += 2 * u32::from(bad.outbound == o.id);
            faults += 2 * u32::from(is_lease(l, bad));
        }
        // A tunnel that ends where the lease begins delivers, but some routers lose its replies.
        faults + u32::from(o.endpoint == l.gateway)
    }
}

/// Stands for a tunnel that was not timed yet.
const UNKNOWN: Duration = Duration::from_secs(1);

/// What makes a pair one to take only when there is no other.
fn weaknesses(now: Now, o: &OutboundInfo, l: &Lease) -> u32 {
    let ends = u32::from(!is_fresh(o, now)) + u32::from(l.expires <= now.wall + MARGIN);
    2 * ends + u32::from(o.weakness())
}

fn is_fresh(o: &OutboundInfo, now: Now) -> bool {
    o.expires > now.mono + MARGIN
}

fn is_lease(l: &Lease, path: &Path) -> bool {
    l.gateway == path.gateway && l.tunnel == path.tunnel
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Date;
    use std::collections::BTreeSet;

    const LATER: Duration = Duration::from_secs(600);

    fn start() -> Now {
        Now {
            mono: Instant(1),
            wall: Date::from_secs(1_767_225_600),
        }
    }

    fn tunnel(now: Now, n: u32, rtt: u64) -> OutboundInfo {
        OutboundInfo {
            id: OutboundId(n),
            first: RouterHash([30; 32]),
            endpoint: RouterHash([40; 32]),
            expires: now.mono + LATER,
            expires_date: now.wall + LATER,
            hops: 2,
            rtt: Some(Duration::from_millis(rtt)),
            failing: false,
            doubted: false,
        }
    }

    fn lease(now: Now, n: u8) -> Lease {
        Lease {
            gateway: RouterHash([n; 32]),
            tunnel: TunnelId(7),
            expires: now.wall + LATER,
        }
    }

    #[test]
    fn what_is_in_doubt_comes_after_what_is_not_and_what_fails_last() {
        let now = start();
        let [mut failing, mut doubted, slow] = [1, 10, 9000].map(|n| tunnel(now, n, n.into()));
        (failing.failing, doubted.doubted) = (true, true);
        let chosen = |tunnels: &[OutboundInfo]| {
            let mut rng = Rng::from_number(1);
            let path = Paths::default().choose(now, &mut rng, tunnels, &[lease(now, 1)]);
            path.unwrap().outbound
        };
        assert_eq!(chosen(&[failing, doubted, slow]), slow.id);
        assert_eq!(chosen(&[failing, doubted]), doubted.id);
        assert_eq!(chosen(&[failing]), failing.id);
    }

    #[test]
    fn every_pair_has_its_turn_before_one_is_tried_again() {
        let now = start();
        // The first tunnel is the fastest by far.
        let outbound = [tunnel(now, 0, 100), tunnel(now, 1, 1000)];
        let leases = [1, 2].map(|n| lease(now, n));
        let (mut now, mut rng) = (now, Rng::from_number(1));
        let mut paths = Paths::default();
        for _ in 0..3 {
            let mut seen = BTreeSet::new();
            for _ in 0..4 {
                let path = paths.choose(now, &mut rng, &outbound, &leases).unwrap();
                seen.insert((path.outbound, path.gateway));
                assert_eq!(paths.give_up(now), None, "it was not tried yet");
                now = now.after(TRIAL);
                paths.give_up(now).unwrap();
            }
            assert_eq!(seen.len(), 4);
        }
    }
}
