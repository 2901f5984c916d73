//! What a pool wants and what it asks for: settings, wishes for hops, the chooser's answer.
//!
//! Which routers are fit to be hops is not decided here; `peer` answers a [`HopWish`]
//! (i2p docs/how/peer-selection, docs/how/tunnel-routing).

use crate::limits;
use crate::rng::Rng;
use crate::wire::hash::RouterHash;

/// Number of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolId(pub u32);

impl PoolId {
    /// The router's own pool; other pools borrow its tunnels for their builds.
    pub const EXPLORATORY: Self = Self(0);
}

/// Which way the messages of a tunnel go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Towards us.
    Inbound,
    /// Away from us.
    Outbound,
}

/// How many tunnels of how many hops a pool keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// Routers in an inbound tunnel; 0 is "we are the gateway".
    pub inbound_hops: u8,
    /// Routers in an outbound tunnel; 0 is "we deliver ourselves".
    pub outbound_hops: u8,
    /// Inbound tunnels to keep.
    pub inbound_quantity: u8,
    /// Outbound tunnels to keep.
    pub outbound_quantity: u8,
}

impl PoolSettings {
    /// The settings within [`limits::TUNNEL_HOPS_MAX`] and [`limits::POOL_QUANTITY_MAX`].
    #[must_use]
    pub fn clamped(self) -> Self {
        let hops = |n: u8| n.min(limits::TUNNEL_HOPS_MAX);
        let quantity = |n: u8| n.clamp(1, limits::POOL_QUANTITY_MAX);
        Self {
            inbound_hops: hops(self.inbound_hops),
            outbound_hops: hops(self.outbound_hops),
            inbound_quantity: quantity(self.inbound_quantity),
            outbound_quantity: quantity(self.outbound_quantity),
        }
    }

    pub(super) const fn hops(&self, direction: Direction) -> u8 {
        match direction {
            Direction::Inbound => self.inbound_hops,
            Direction::Outbound => self.outbound_hops,
        }
    }

    pub(super) const fn quantity(&self, direction: Direction) -> usize {
        match direction {
            Direction::Inbound => self.inbound_quantity as usize,
            Direction::Outbound => self.outbound_quantity as usize,
        }
    }
}

/// A router chosen to be a hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The router.
    pub hash: RouterHash,
    /// Its X25519 key.
    pub enc_key: [u8; 32],
}

/// What a tunnel to be built needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HopWish {
    /// The pool it is for.
    pub pool: PoolId,
    /// Which way it goes.
    pub direction: Direction,
    /// Routers wanted, 1 to [`limits::TUNNEL_HOPS_MAX`].
    pub hops: u8,
    /// Whether it is for the exploratory pool, where slower routers will do.
    pub exploratory: bool,
    /// Routers that must not be in it.
    pub avoid: Vec<RouterHash>,
}

/// Chooses the routers of a tunnel.
pub trait HopChooser {
    /// Exactly `wish.hops` different routers in the order of travel (of an inbound tunnel the
    /// gateway is first and the router closest to us last), or `None` when there are not enough.
    fn choose(&mut self, wish: &HopWish, rng: &mut Rng) -> Option<Vec<Hop>>;
}

/// How a build ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildResult {
    /// Every hop accepted.
    Accepted,
    /// The answers of all hops in order of travel; at least one is not zero.
    Refused(Vec<u8>),
    /// No answer in time. [`BuildResult::Accepted`] may still follow.
    Timeout,
    /// There was an answer, but a record of it did not verify.
    Malformed,
}
