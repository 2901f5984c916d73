//! What a shard counts: plain numbers, no peer and no tunnel is named.

use super::hop::Role;

/// Why a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// No tunnel of this id.
    UnknownId,
    /// Not from the router that comes before us, or not the kind of message for our role.
    WrongPrevious,
    /// Seen before.
    Replay,
    /// Beyond the bandwidth of transit.
    Limit,
    /// Beyond the sender's share of it.
    Share,
    /// The message or the tunnel is past its time.
    Expired,
    /// Wrong length, checksum or instructions.
    Malformed,
    /// The outputs were not polled in time.
    Queue,
}

/// Drops by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// [`Dropped::UnknownId`].
    pub unknown_id: u64,
    /// [`Dropped::WrongPrevious`].
    pub wrong_previous: u64,
    /// [`Dropped::Replay`].
    pub replay: u64,
    /// [`Dropped::Limit`].
    pub limit: u64,
    /// [`Dropped::Share`].
    pub share: u64,
    /// [`Dropped::Expired`].
    pub expired: u64,
    /// [`Dropped::Malformed`].
    pub malformed: u64,
    /// [`Dropped::Queue`].
    pub queue: u64,
}

impl Drops {
    pub(super) const fn count(&mut self, why: Dropped) {
        let counter = match why {
            Dropped::UnknownId => &mut self.unknown_id,
            Dropped::WrongPrevious => &mut self.wrong_previous,
            Dropped::Replay => &mut self.replay,
            Dropped::Limit => &mut self.limit,
            Dropped::Share => &mut self.share,
            Dropped::Expired => &mut self.expired,
            Dropped::Malformed => &mut self.malformed,
            Dropped::Queue => &mut self.queue,
        };
        *counter += 1;
    }

    /// All drops.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.unknown_id
            + self.wrong_previous
            + self.replay
            + self.limit
            + self.share
            + self.expired
            + self.malformed
            + self.queue
    }
}

/// Counters since the start, and the number of hops now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Tunnels that we are in the middle of.
    pub participants: usize,
    /// Tunnels that begin at us.
    pub gateways: usize,
    /// Tunnels that end at us.
    pub endpoints: usize,
    /// Hops that could not be installed.
    pub not_installed: u64,
    /// Cells taken.
    pub cells_in: u64,
    /// Messages sent on, cells and others.
    pub messages_sent: u64,
    /// Their bytes, headers included.
    pub bytes_sent: u64,
    /// Whole messages that came out of tunnels which end here.
    pub messages_delivered: u64,
    /// Messages given up for lack of a fragment.
    pub fragments_lost: u64,
    /// Drops by reason.
    pub drops: Drops,
}

impl ShardStats {
    /// Hops of all roles.
    #[must_use]
    pub const fn hops(&self) -> usize {
        self.participants + self.gateways + self.endpoints
    }

    pub(super) const fn hops_mut(&mut self, role: Role) -> &mut usize {
        match role {
            Role::Participant => &mut self.participants,
            Role::InboundGateway => &mut self.gateways,
            Role::OutboundEndpoint => &mut self.endpoints,
        }
    }
}
