//! What the router remembers of its peers, and hops for tunnels out of it.

use crate::config::Config;
use crate::netdb::NetDb;
use crate::peer::constraint::Reach;
use crate::peer::profile::{Observation, Profiles};
use crate::peer::select::{Selector, Way, Wish};
use crate::rng::Rng;
use crate::time::{Instant, Now};
use crate::tunnel::{BuildResult, Direction, Hop, HopChooser, HopWish, PoolId};
use crate::wire::hash::RouterHash;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Garlic messages of one peer that are opened within a second; each costs a key agreement.
const GARLIC_PER_SECOND: u32 = 100;
/// Our tunnels live this long.
const TUNNEL_LIFE: Duration = Duration::from_secs(600);
/// Old profiles are looked for, and present links noted, every so many seconds.
const PRUNE_TICKS: u32 = 600;
/// Who had a link this shortly before a start is dialled.
const RETURN: Duration = Duration::from_secs(3600);
/// Profiles written to the store at once.
const PROFILES_PER_TICK: usize = 8;

/// Profiles, the share of each peer in our tunnels, and rates.
pub struct Peers {
    selector: Selector,
    profiles: Profiles,
    /// Hops of tunnels that were built, until they end.
    tunnels: VecDeque<(Instant, Vec<RouterHash>)>,
    usage: BTreeMap<RouterHash, u32>,
    garlic: BTreeMap<RouterHash, u32>,
    ticks: u32,
}

impl Peers {
    /// With the profiles of an earlier run.
    #[must_use]
    pub fn new(us: RouterHash, config: &Config, saved: &[(RouterHash, Vec<u8>)], now: Now) -> Self {
        let mut profiles = Profiles::new();
        for (hash, bytes) in saved {
            profiles.load(now.wall, *hash, bytes);
        }
        let reach = reach(config);
        let selector = Selector {
            us,
            min_version: config.min_peer_version,
            reach,
        };
        Self {
            selector,
            profiles,
            tunnels: VecDeque::new(),
            usage: BTreeMap::new(),
            garlic: BTreeMap::new(),
            ticks: 0,
        }
    }

    /// Once a second: tunnels that ended no longer count, rates start anew.
    pub fn tick(&mut self, now: Now, connected: &BTreeSet<RouterHash>) {
        self.garlic.clear();
        while self
            .tunnels
            .front()
            .is_some_and(|(end, _)| *end <= now.mono)
        {
            let Some((_, hops)) = self.tunnels.pop_front() else {
                break;
            };
            for hop in hops {
                if let Some(n) = self.usage.get_mut(&hop) {
                    *n -= 1;
                }
            }
        }
        self.usage.retain(|_, n| *n > 0);
        self.ticks += 1;
        if self.ticks.is_multiple_of(PRUNE_TICKS) {
            self.profiles.prune(now.wall);
            for peer in connected {
                if self.profiles.get(peer).is_some() {
                    self.profiles.observe(now.wall, *peer, Observation::Linked);
                }
            }
        }
    }

    /// Whether another garlic message of this peer may be opened in this second.
    pub fn allow_garlic(&mut self, _now: Now, from: RouterHash) -> bool {
        if self.garlic.len() >= crate::limits::RATED_PEERS_MAX && !self.garlic.contains_key(&from) {
            return false;
        }
        let n = self.garlic.entry(from).or_insert(0);
        *n += 1;
        *n <= GARLIC_PER_SECOND
    }

    /// A link came up. A stranger's that we did not dial leaves half of the profiles to others.
    pub fn reached(&mut self, now: Now, peer: RouterHash, dialled: bool) {
        let room = self.profiles.len() < crate::limits::PROFILES_MAX / 2;
        if dialled || room || self.profiles.get(&peer).is_some() {
            self.profiles
                .observe(now.wall, peer, Observation::Connected);
        }
    }

    /// Whom to dial first after a start: routers that tried to reach us while we were away hold us
    /// for unreachable for minutes (i2pd 2.56 `RouterProfile::Unreachable`: 8; Java
    /// `markReachable`: until we make a link) and send us nothing, not even in tunnels that are
    /// bound to us, unless there is a link, which brings them our new RouterInfo as well.
    #[must_use]
    pub fn to_return_to(&self, now: Now) -> VecDeque<RouterHash> {
        let max = crate::limits::RETURN_DIALS_MAX;
        self.profiles.linked_within(now.wall, RETURN, max).into()
    }

    /// A dial failed.
    pub fn unreachable(&mut self, now: Now, peer: RouterHash) {
        self.profiles
            .observe(now.wall, peer, Observation::Unreachable);
    }

    /// The wall clock was set: failed dials before that say nothing.
    pub fn clock_set(&mut self, now: Now) {
        self.profiles.clock_set(now.wall);
    }

    /// The netDb saw it do something.
    pub fn observed(&mut self, now: Now, peer: RouterHash, what: Observation) {
        self.profiles.observe(now.wall, peer, what);
    }

    /// A build ended.
    pub fn outcome(&mut self, now: Now, hops: &[RouterHash], result: &BuildResult) {
        match result {
            BuildResult::Accepted => {
                for hop in hops {
                    self.profiles.observe(now.wall, *hop, Observation::Agreed);
                    *self.usage.entry(*hop).or_insert(0) += 1;
                }
                self.tunnels
                    .push_back((now.mono + TUNNEL_LIFE, hops.to_vec()));
            }
            BuildResult::Refused(codes) => {
                for (hop, code) in hops.iter().zip(codes) {
                    let agreed = *code == 0;
                    let what = if agreed {
                        Observation::Agreed
                    } else {
                        Observation::Declined
                    };
                    self.profiles.observe(now.wall, *hop, what);
                }
            }
            BuildResult::Timeout | BuildResult::Malformed => {
                for hop in hops {
                    self.profiles.observe(now.wall, *hop, Observation::NoReply);
                }
            }
        }
    }

    /// Changed profiles for the store.
    pub fn take_changed(&mut self) -> Vec<(RouterHash, Option<Vec<u8>>)> {
        self.profiles.take_changed(PROFILES_PER_TICK)
    }

    /// Whether this router has a profile.
    #[must_use]
    pub fn has_profile(&self, hash: &RouterHash) -> bool {
        self.profiles.get(hash).is_some()
    }

    /// Routers that did us good.
    pub fn proven(&self) -> impl Iterator<Item = &RouterHash> {
        self.profiles.proven()
    }

    /// Routers with a profile.
    #[must_use]
    pub fn len(&self) -> usize {
        self.profiles.len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.profiles.is_empty()
    }
}

/// Addresses that we can dial: IPv6 ones when the machine has a way to them, or we publish one.
#[must_use]
pub fn reach(config: &Config) -> Reach {
    let ipv6 = config
        .addresses
        .iter()
        .any(|a| a.host().is_some_and(|h| h.is_ipv6()));
    Reach {
        ipv6: ipv6 || config.ipv6,
        private: config.allow_private,
    }
}

/// Chooses hops out of the netDb under the rules of [`crate::peer::select`].
pub struct Chooser<'a> {
    /// Who is known.
    pub netdb: &'a NetDb,
    /// What is remembered of them.
    pub peers: &'a Peers,
    /// Who has a link.
    pub connected: &'a BTreeSet<RouterHash>,
    /// The time.
    pub now: Now,
}

impl HopChooser for Chooser<'_> {
    fn choose(&mut self, wish: &HopWish, rng: &mut Rng) -> Option<Vec<Hop>> {
        let avoid: BTreeSet<RouterHash> = wish.avoid.iter().copied().collect();
        let way = match wish.direction {
            Direction::Inbound => Way::Inbound,
            Direction::Outbound => Way::Outbound,
        };
        let wish = Wish {
            hops: usize::from(wish.hops),
            way,
            exploratory: wish.pool == PoolId(0),
            avoid: &avoid,
            connected: self.connected,
            usage: &self.peers.usage,
            tunnels: self.peers.tunnels.len() as u32,
        };
        let routers = self.netdb.routers();
        let path =
            self.peers
                .selector
                .choose(routers, &self.peers.profiles, &wish, self.now, rng)?;
        path.iter()
            .map(|r| {
                Some(Hop {
                    hash: r.hash(),
                    enc_key: r.enc_key()?,
                })
            })
            .collect()
    }
}
