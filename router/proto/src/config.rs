//! The core's settings as typed values; texts stay in the shell.

use crate::crypto::sig::SigningKey;
use crate::crypto::x25519::PrivateKey;
use crate::wire::identity::{Destination, RouterIdentity};
use crate::wire::router_address::RouterAddress;

/// Settings of a [`crate::router::Router`].
#[derive(Clone, Debug)]
pub struct Config {
    /// Network id; 2 is the live network.
    pub net_id: u8,
    /// Last part of the lowest version `0.9.NN` that may be a hop.
    pub min_peer_version: u16,
    /// Accept routers at private addresses; for test networks.
    pub allow_private: bool,
    /// Serve as a floodfill.
    pub floodfill: bool,
    /// Bandwidth class letter to publish: one of `LMNOPX`.
    pub class: char,
    /// Carry other routers' tunnels.
    pub transit: bool,
    /// Transit tunnels at once.
    pub transit_tunnels: usize,
    /// Bytes per second that transit may use.
    pub transit_bytes_per_sec: u64,
    /// Hops and tunnels of the exploratory pool.
    pub exploratory: PoolConfig,
    /// Hops and tunnels of each client destination.
    pub client: PoolConfig,
    /// Transport addresses to publish, in full.
    pub addresses: Vec<RouterAddress>,
    /// A published address is among them, so that others can dial us.
    pub reachable: bool,
    /// The machine has a way to IPv6 addresses.
    pub ipv6: bool,
    /// Client destinations at once.
    pub destinations: usize,
    /// Keep one unassigned client destination with built tunnels.
    pub spare_destination: bool,
    /// Bytes that may be received and not read yet, over all streams.
    pub receive_budget: usize,
}

/// Length and number of a pool's tunnels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Hops, 0 to 3.
    pub hops: u8,
    /// Tunnels in each direction, 1 to 16.
    pub quantity: u8,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            net_id: 2,
            min_peer_version: 58,
            allow_private: false,
            floodfill: false,
            class: 'O',
            transit: true,
            transit_tunnels: 1000,
            transit_bytes_per_sec: 256 * 1024,
            exploratory: PoolConfig {
                hops: 2,
                quantity: 3,
            },
            client: PoolConfig {
                hops: 3,
                quantity: 3,
            },
            addresses: Vec::new(),
            reachable: false,
            ipv6: false,
            destinations: 16,
            spare_destination: true,
            receive_budget: crate::limits::STREAM_RECEIVE_BUDGET,
        }
    }
}

/// The router's own keys.
#[derive(Clone)]
pub struct RouterKeys {
    /// Identity.
    pub identity: RouterIdentity,
    /// Signing key of the identity.
    pub signing: SigningKey,
    /// Encryption key of the identity.
    pub encryption: PrivateKey,
}

/// A destination that is served: its keys live as long as its name.
#[derive(Clone)]
pub struct DestinationKeys {
    /// The destination.
    pub destination: Destination,
    /// Signing key of the destination.
    pub signing: SigningKey,
    /// Key of its LeaseSets.
    pub encryption: PrivateKey,
}
