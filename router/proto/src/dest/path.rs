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
/// Pairs that are remembered as bad.
const BAD_MAX: usize = 8;

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
        self.current
    }

    /// The pair does not deliver: the next choice avoids it.
    pub fn give_up(&mut self, now: Now) -> Option<Path> {
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
        let mut best: Option<((u32, Duration, u32), Path)> = None;
        for o in outbound {
            for l in leases.iter().filter(|l| l.expires > now.wall) {
                let path = Path {
                    outbound: o.id,
                    gateway: l.gateway,
                    tunnel: l.tunnel,
                };
                let rank = (
                    self.faults(now, o, l, &path),
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

    /// What speaks against a pair; more is worse.
    fn faults(&self, now: Now, o: &OutboundInfo, l: &Lease, path: &Path) -> u32 {
        let mut faults = 0;
        for (bad, _) in self.bad.iter().filter(|(_, until)| *until > now.mono) {
            faults += 2 * u32::from(bad.outbound == path.outbound);
            faults += 2 * u32::from(bad.gateway == path.gateway && bad.tunnel == path.tunnel);
        }
        faults += 4 * u32::from(o.failing);
        faults += 4 * u32::from(!is_fresh(o, now));
        faults += 4 * u32::from(l.expires <= now.wall + MARGIN);
        // A tunnel that ends where the lease begins delivers, but some routers lose its replies.
        faults + u32::from(o.endpoint == l.gateway)
    }
}

/// Stands for a tunnel that was not timed yet.
const UNKNOWN: Duration = Duration::from_secs(1);

fn is_fresh(o: &OutboundInfo, now: Now) -> bool {
    o.expires > now.mono + MARGIN
}

fn is_lease(l: &Lease, path: &Path) -> bool {
    l.gateway == path.gateway && l.tunnel == path.tunnel
}
