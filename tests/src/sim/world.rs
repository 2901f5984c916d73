//! Networks for simulations: routers with addresses, floodfills, served destinations.

use super::node::{Node, Parts};
use super::{Conditions, Sim, now_at};
use ramson_proto::config::{Config, PoolConfig, RouterKeys};
use ramson_proto::crypto::sig::SigningKey;
use ramson_proto::crypto::x25519::PrivateKey;
use ramson_proto::rng::Rng;
use ramson_proto::router::boot::client_keys;
use ramson_proto::time::Instant;
use ramson_proto::wire::cert::ENC_X25519;
use ramson_proto::wire::hash::base64;
use ramson_proto::wire::identity::{KeysAndCert, RouterIdentity};
use ramson_proto::wire::mapping::Mapping;
use ramson_proto::wire::router_address::RouterAddress;
use ramson_proto::wire::router_info::RouterInfo;
use std::sync::Arc;

/// What a network is made of.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// Everything is drawn from this.
    pub seed: u64,
    /// Routers.
    pub routers: usize,
    /// The first so many of them are floodfills.
    pub floodfills: usize,
    /// Routers that share one /16, and so never a tunnel.
    pub per_net: usize,
    /// Hops of client tunnels.
    pub hops: u8,
    /// Tunnels of a client's pool in each direction.
    pub quantity: u8,
    /// The last so many routers serve a destination.
    pub servers: usize,
    /// The network.
    pub conditions: Conditions,
}

impl Default for World {
    fn default() -> Self {
        let conditions = Conditions::default();
        Self {
            seed: 1,
            routers: 12,
            floodfills: 4,
            per_net: 1,
            hops: 2,
            quantity: 2,
            servers: 2,
            conditions,
        }
    }
}

impl World {
    /// Makes the network. Every router knows the floodfills and a few others.
    ///
    /// # Panics
    /// When a router cannot be made, which is a bug.
    #[must_use]
    pub fn build(&self) -> Sim {
        let mut rng = Rng::from_number(self.seed);
        let parts: Vec<_> = (0..self.routers)
            .map(|i| self.router(i, &mut rng))
            .collect();
        let infos: Vec<Arc<RouterInfo>> = parts.iter().map(|p| p.2.clone()).collect();
        let mut nodes = Vec::new();
        for (i, (config, keys, _)) in parts.into_iter().enumerate() {
            let served = i + self.servers >= self.routers;
            let parts = Parts {
                config,
                keys,
                routers: self.known(i, &infos, &mut rng),
                served: if served { client_keys(&mut rng) } else { None },
            };
            nodes.push(Node::new(parts, &mut rng, now_at(Instant(1))));
        }
        Sim::new(nodes, rng, self.conditions)
    }

    fn router(&self, i: usize, rng: &mut Rng) -> (Config, RouterKeys, Arc<RouterInfo>) {
        let (encryption, signing) = (PrivateKey::random(rng), SigningKey::random(rng));
        let filler = rng.array::<32>().repeat(10);
        let keys =
            KeysAndCert::ed25519(ENC_X25519, encryption.public(), &filler, &signing.public());
        let identity = RouterIdentity(keys.unwrap_or_else(|e| panic!("identity: {e}")));
        let mut options = Mapping::new();
        options
            .set("v", "2")
            .set("s", base64(&rng.array::<32>()))
            .set("i", base64(&rng.array::<16>()));
        let (net, place) = (i / self.per_net + 1, i % self.per_net + 1);
        options
            .set("host", format!("10.{net}.0.{place}"))
            .set("port", "9999");
        let address = RouterAddress {
            cost: 3,
            expiration: 0,
            style: "NTCP2".to_owned(),
            options,
        };
        let config = Config {
            net_id: 77,
            allow_private: true,
            floodfill: i < self.floodfills,
            addresses: vec![address],
            reachable: true,
            transit_bytes_per_sec: 64 << 20,
            exploratory: PoolConfig {
                hops: self.hops.min(2),
                quantity: 2,
            },
            client: PoolConfig {
                hops: self.hops,
                quantity: self.quantity,
            },
            // Servers have no clients of their own.
            spare_destination: i + self.servers < self.routers,
            ..Config::default()
        };
        let keys = RouterKeys {
            identity,
            signing,
            encryption,
        };
        let own = ramson_proto::router::own_info::OwnInfo::new(&config, &keys, now_at(Instant(1)));
        let info = own
            .unwrap_or_else(|e| panic!("own RouterInfo: {e}"))
            .current()
            .clone();
        (config, keys, info)
    }

    /// The floodfills, and half of the others.
    fn known(&self, i: usize, infos: &[Arc<RouterInfo>], rng: &mut Rng) -> Vec<Arc<RouterInfo>> {
        let mut known = Vec::new();
        for (j, info) in infos.iter().enumerate() {
            if j != i && (j < self.floodfills || rng.below(2) == 0) {
                known.push(info.clone());
            }
        }
        known
    }
}
