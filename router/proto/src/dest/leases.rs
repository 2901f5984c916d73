//! Our LeaseSet: made out of the inbound tunnels, renewed when they change.

use crate::config::DestinationKeys;
use crate::limits;
use crate::time::{Date, Now};
use crate::tunnel::InboundInfo;
use crate::wire::cert::ENC_X25519;
use crate::wire::lease_set2::{EncKey, Lease, LeaseSet2, LeaseSetDraft};
use core::time::Duration;
use std::sync::Arc;

/// A tunnel that ends sooner is not offered any more.
const MARGIN: Duration = Duration::from_secs(20);

/// The LeaseSet of one destination.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    current: Option<Arc<LeaseSet2>>,
    /// Peers tell versions apart by whole seconds, so each is at least one later.
    last_published: Date,
}

impl Leases {
    /// The LeaseSet in force.
    #[must_use]
    pub const fn current(&self) -> Option<&Arc<LeaseSet2>> {
        self.current.as_ref()
    }

    /// The wall clock was set: dates of before say nothing.
    pub fn clock_set(&mut self) {
        self.last_published = Date::default();
    }

    /// Whether a lease of `old` was withdrawn before its end: who uses it talks to nobody.
    #[must_use]
    pub fn withdraws(&self, now: Now, old: &LeaseSet2) -> bool {
        let new = self.current.as_ref().map_or(&[][..], |ls| ls.leases());
        let mut gone = old.leases().iter().filter(|l| !new.contains(l));
        gone.any(|l| l.expires > now.wall + MARGIN)
    }

    /// Makes a new LeaseSet when the usable inbound tunnels are others than those it names;
    /// answers whether it did. A tunnel that nothing has come through is not added while there are
    /// others. Without any tunnel the old one stays until it ends. What is not `served` is not for
    /// publishing, and says so.
    pub fn update(
        &mut self,
        now: Now,
        keys: &DestinationKeys,
        served: bool,
        inbound: impl Iterator<Item = InboundInfo>,
    ) -> bool {
        let usable: Vec<(bool, Lease)> = inbound
            .filter(|t| !t.failing && t.expires_date > now.wall + MARGIN)
            .map(|t| {
                let lease = Lease {
                    gateway: t.gateway,
                    tunnel: t.gateway_tunnel,
                    expires: t.expires_date,
                };
                (t.proven, lease)
            })
            .collect();
        let any_proven = usable.iter().any(|(proven, _)| *proven);
        let offered = self.current.as_ref().map_or(&[][..], |ls| ls.leases());
        let mut leases: Vec<Lease> = usable
            .into_iter()
            .filter(|(proven, lease)| *proven || !any_proven || offered.contains(lease))
            .map(|(_, lease)| lease)
            .collect();
        leases.sort_unstable();
        leases.truncate(limits::LEASES_MAX);
        if leases.is_empty() {
            if self
                .current
                .as_ref()
                .is_some_and(|ls| ls.life_left(now.wall).is_zero())
            {
                self.current = None;
                return true;
            }
            return false;
        }
        if self
            .current
            .as_ref()
            .is_some_and(|ls| ls.leases() == leases)
        {
            return false;
        }
        let published = Date::from_secs(now.wall.secs().max(self.last_published.secs() + 1));
        let end = leases.iter().map(|l| l.expires).max().unwrap_or(published);
        let draft = LeaseSetDraft {
            destination: &keys.destination,
            published,
            lifetime: end.since(published).as_secs().min(660) as u16,
            unpublished: !served,
            keys: &[EncKey {
                kind: ENC_X25519,
                key: keys.encryption.public().to_vec(),
            }],
            leases: &leases,
        };
        // Only a destination with another key than its own could fail here.
        let built = LeaseSet2::build(&draft, &keys.signing);
        debug_assert!(built.is_ok(), "our own LeaseSet is well formed");
        let Ok(ls) = built else { return false };
        self.last_published = published;
        self.current = Some(Arc::new(ls));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::time::Instant;
    use crate::tunnel::InboundId;
    use crate::wire::hash::{RouterHash, TunnelId};

    /// A client's LeaseSet travels with its messages alone: a floodfill that sees it by chance
    /// must not spread it (i2p spec/common-structures, LeaseSet2Header, bit 1).
    #[test]
    fn what_is_not_served_is_not_for_publishing() {
        let now = Now {
            mono: Instant(1_000_000),
            wall: Date::from_secs(1_800_000_000),
        };
        let life = Duration::from_secs(600);
        let tunnel = InboundInfo {
            id: InboundId(1),
            gateway: RouterHash([1; 32]),
            gateway_tunnel: TunnelId(2),
            receive: TunnelId(3),
            last: RouterHash([4; 32]),
            expires: now.mono + life,
            expires_date: now.wall + life,
            hops: 2,
            rtt: None,
            failing: false,
            doubted: false,
            proven: true,
        };
        let keys = crate::router::boot::client_keys(&mut Rng::from_number(1)).unwrap();
        for served in [false, true] {
            let mut leases = Leases::default();
            assert!(leases.update(now, &keys, served, core::iter::once(tunnel)));
            let ls = leases.current().unwrap();
            assert_eq!(ls.is_unpublished(), !served);
        }
    }
}
