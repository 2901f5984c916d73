//! Client streams: which id of the shell is which stream of which destination, and what their
//! clients wait for.

use super::input::ClientId;
use super::output::{ClientEvent, Output, Refusal};
use crate::limits::CLIENT_STREAMS_MAX;
use crate::stream::StreamId;
use crate::time::Instant;
use crate::tunnel::PoolId;
use crate::wire::hash::DestHash;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Bytes that a client may send before its stream is open.
pub const EARLY_CREDIT: usize = 64 * 1024;

/// One client stream.
pub struct Client {
    /// Its local destination.
    pub pool: PoolId,
    /// Where it goes.
    pub dest: DestHash,
    /// The port there.
    pub port: u16,
    /// When it was asked for.
    pub since: Instant,
    /// The stream, once there is one.
    pub stream: Option<StreamId>,
    /// Bytes that the stream has not taken yet.
    pub early: Vec<u8>,
    /// The client will send no more.
    pub finished: bool,
    /// The far side will send no more.
    pub remote_finished: bool,
    /// The client was told that it is open.
    pub open: bool,
    /// The client was told that the router is not ready.
    pub warned: bool,
    /// Bytes of the far side came.
    pub heard: bool,
}

/// All client streams.
#[derive(Default)]
pub struct Clients {
    by_id: BTreeMap<ClientId, Client>,
    by_stream: BTreeMap<(PoolId, StreamId), ClientId>,
    incoming: u64,
}

impl Clients {
    /// Streams.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Whether the clients of a destination may open one more stream: only while they hold less
    /// than half of what is left, so that those who take what they can leave some to others.
    #[must_use]
    pub fn may_open(&self, pool: PoolId) -> bool {
        let own = self.by_id.values().filter(|c| c.pool == pool).count();
        2 * own < CLIENT_STREAMS_MAX.saturating_sub(self.by_id.len())
    }

    /// Adds a stream that waits.
    pub fn insert(&mut self, id: ClientId, client: Client) {
        self.by_id.insert(id, client);
    }

    /// The stream is one of a destination's now.
    pub fn attach(&mut self, id: ClientId, stream: StreamId) {
        if let Some(c) = self.by_id.get_mut(&id) {
            c.stream = Some(stream);
            self.by_stream.insert((c.pool, stream), id);
        }
    }

    /// A fresh id for an incoming stream; its top bit is set.
    pub const fn incoming_id(&mut self) -> ClientId {
        self.incoming += 1;
        ClientId(1 << 63 | self.incoming)
    }

    /// A stream by its id.
    pub fn get_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.by_id.get_mut(&id)
    }

    /// The id of a destination's stream.
    #[must_use]
    pub fn id_of(&self, pool: PoolId, stream: StreamId) -> Option<ClientId> {
        self.by_stream.get(&(pool, stream)).copied()
    }

    /// Forgets a stream.
    pub fn remove(&mut self, id: ClientId) -> Option<Client> {
        let client = self.by_id.remove(&id)?;
        if let Some(stream) = client.stream {
            self.by_stream.remove(&(client.pool, stream));
        }
        Some(client)
    }

    /// Streams that wait for tunnels or a LeaseSet.
    #[must_use]
    pub fn waiting(&self) -> Vec<ClientId> {
        self.by_id
            .iter()
            .filter(|(_, c)| c.stream.is_none())
            .map(|(id, _)| *id)
            .collect()
    }

    /// Streams from one destination to a remote.
    #[must_use]
    pub fn of_remote(&self, pool: PoolId, dest: DestHash) -> Vec<ClientId> {
        let theirs = self
            .by_id
            .iter()
            .filter(|(_, c)| c.pool == pool && c.dest == dest);
        theirs.map(|(id, _)| *id).collect()
    }

    /// The destinations that have a stream.
    #[must_use]
    pub fn pools(&self) -> BTreeSet<PoolId> {
        self.by_id.values().map(|c| c.pool).collect()
    }

    /// Forgets a destination's streams; their clients are told.
    pub fn drop_pool(&mut self, pool: PoolId, out: &mut VecDeque<Output>) {
        let ids: Vec<_> = self
            .by_id
            .iter()
            .filter(|(_, c)| c.pool == pool)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            if let Some(c) = self.remove(id) {
                out.push_back(Output::Client(if c.open {
                    ClientEvent::Reset { id }
                } else {
                    ClientEvent::Refused {
                        id,
                        why: Refusal::Closing,
                    }
                }));
            }
        }
    }
}
