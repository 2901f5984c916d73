//! From settings, keys and what was saved to a running router.

use super::own_info::{OwnInfo, RENEW};
use super::peers::Peers;
use super::{Counters, EXPLORATORY, FIRST_PUBLISH, Router, TICK};
use crate::config::{Config, DestinationKeys, RouterKeys};
use crate::crypto::sig::SigningKey;
use crate::crypto::x25519::PrivateKey;
use crate::dest::isolation::Isolation;
use crate::names::hosts::Hosts;
use crate::netdb::{NetDb, NetDbConfig};
use crate::rng::Rng;
use crate::time::Now;
use crate::tunnel::admission::{Admission, AdmissionLimits};
use crate::tunnel::{PoolSettings, Tunnels};
use crate::wire::cert::ENC_ELGAMAL;
use crate::wire::error::Result;
use crate::wire::hash::RouterHash;
use crate::wire::identity::{Destination, KeysAndCert};
use crate::wire::router_info::RouterInfo;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Floodfills have to be this much newer than hops (i2pd: 0.9.59 and 0.9.58).
const FLOODFILL_ABOVE: u16 = 1;

/// What a start begins with.
#[derive(Default)]
pub struct Saved {
    /// RouterInfos that are on the disk, verified.
    pub routers: Vec<Arc<RouterInfo>>,
    /// RouterInfos of seeds and reseed files, verified; they are written to the disk.
    pub seeds: Vec<Arc<RouterInfo>>,
    /// Serialised peer profiles.
    pub profiles: Vec<(RouterHash, Vec<u8>)>,
    /// The address book.
    pub hosts: Hosts,
    /// Destinations that are served, each published and accepting streams.
    pub served: Vec<DestinationKeys>,
}

impl Router {
    /// A router that starts building tunnels at its first timeout.
    ///
    /// # Errors
    /// A configured address cannot be published.
    pub fn new(
        config: Config,
        keys: RouterKeys,
        saved: Saved,
        mut rng: Rng,
        now: Now,
    ) -> Result<Self> {
        let us = keys.identity.hash();
        let own = OwnInfo::new(&config, &keys, now)?;
        let peers = Peers::new(us, &config, &saved.profiles, now);
        let mut netdb = filled_netdb(&config, us, now, saved.routers, saved.seeds, &peers);
        netdb.set_own(Arc::clone(own.current()));
        let mut tunnels = Tunnels::new(us);
        let e = config.exploratory;
        let settings = PoolSettings {
            inbound_hops: e.hops,
            outbound_hops: e.hops,
            inbound_quantity: e.quantity,
            outbound_quantity: e.quantity,
        };
        tunnels.add_pool(now, EXPLORATORY, settings);
        let limits = AdmissionLimits {
            accept_transit: config.transit,
            hops: config.transit_tunnels,
            ..AdmissionLimits::default()
        };
        let peers = Peers::new(us, &config, &saved.profiles, now);
        let mut router = Self {
            us,
            started: now.mono,
            clock: super::clock::Clock::new(now),
            congestion: super::congestion::Congestion::new(now),
            own,
            netdb,
            returns: peers.to_return_to(now),
            peers,
            tunnels,
            admission: Admission::new(us, keys.encryption.clone(), limits),
            tags: super::tags::Tags::default(),
            hosts: saved.hosts,
            connected: BTreeSet::new(),
            redials: super::redials::Redials::default(),
            dests: super::dests::Dests::new(config.receive_budget),
            isolation: Isolation::default(),
            next_pool: EXPLORATORY.0 + 1,
            clients: super::clients::Clients::default(),
            counters: Counters::default(),
            loopback: VecDeque::new(),
            outputs: VecDeque::new(),
            next_tick: now.mono + TICK,
            next_publish: now.mono + FIRST_PUBLISH,
            next_renew: now.mono + RENEW,
            was_ready: false,
            rng: rng.fork(),
            config,
            keys,
        };
        for keys in saved.served {
            router.add_destination(now, keys, true, router.config.client);
        }
        if router.config.spare_destination {
            router.add_spare(now);
        }
        let limit = router.config.transit_bytes_per_sec;
        router.link(super::output::LinkCmd::TransitLimit(limit));
        Ok(router)
    }
}

/// What the disk had and what seeds give; routers that did us good before stay whatever comes.
fn filled_netdb(
    config: &Config,
    us: RouterHash,
    now: Now,
    kept: Vec<Arc<RouterInfo>>,
    seeds: Vec<Arc<RouterInfo>>,
    peers: &Peers,
) -> NetDb {
    let mut netdb = NetDb::new(netdb_config(config, us));
    for info in kept {
        netdb.load(now, info, true);
    }
    for info in seeds {
        netdb.load(now, info, false);
    }
    for hash in peers.proven() {
        netdb.prove(hash);
    }
    netdb
}

fn netdb_config(config: &Config, us: RouterHash) -> NetDbConfig {
    NetDbConfig {
        us,
        net_id: config.net_id,
        floodfill: config.floodfill,
        min_floodfill_version: config.min_peer_version.saturating_add(FLOODFILL_ABOVE),
        reach: super::peers::reach(config),
    }
}

/// Keys of a client destination. They are new at every start: peers answer on sessions with a
/// known key for minutes after it is gone.
#[must_use]
pub fn client_keys(rng: &mut Rng) -> Option<DestinationKeys> {
    let signing = SigningKey::random(rng);
    // The encryption field of a Destination is unused today; filled like the padding of a
    // RouterIdentity (i2p proposal 161).
    let filler = rng.array::<32>().repeat(11);
    let keys = KeysAndCert::ed25519(ENC_ELGAMAL, &[], &filler, &signing.public()).ok()?;
    let destination = Destination(keys);
    Some(DestinationKeys {
        destination,
        signing,
        encryption: PrivateKey::random(rng),
    })
}
