//! One tunnel build: the request with its records and layers, and the judgement of the reply.
//!
//! Sealing a single record is [`super::record`]; when to build and along which reply path is
//! decided in `super::own`. Short records only (i2p spec/tunnel-creation-ecies).

pub(super) mod launch;

use super::plan::{Direction, Hop};
use super::record::{self, GarlicReply, PREFIX, RecordKeys, RequestRecord, SHORT, SHORT_PLAIN};
use crate::crypto::tunnel_aes::LayerKeys;
use crate::crypto::x25519::PrivateKey;
use crate::limits;
use crate::relay::hop::Role;
use crate::rng::Rng;
use crate::time::Date;
use crate::wire::hash::{MessageId, RouterHash, TunnelId};
use crate::wire::mapping::Mapping;
use std::collections::BTreeMap;

/// Records of a build message that has room for all hops.
const RECORDS_MIN: usize = 4;

/// One sealed or opaque record.
pub(super) type Record = [u8; SHORT];

/// Where the last hop sends what leaves it: the reply gateway of an outbound tunnel, or us.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) router: RouterHash,
    pub(super) tunnel: TunnelId,
}

/// One hop's request before it is sealed.
pub(super) struct Part {
    pub(super) hop: Hop,
    pub(super) role: Role,
    pub(super) plain: [u8; SHORT_PLAIN],
    pub(super) ephemeral: PrivateKey,
}

/// Everything that is drawn for a build.
pub(super) struct Draft {
    /// In order of travel.
    pub(super) parts: Vec<Part>,
    /// Tunnel id at the first hop.
    pub(super) first_id: TunnelId,
    /// Id of the message that the reply comes in.
    pub(super) reply_id: MessageId,
    /// Record index of each hop.
    pub(super) slots: Vec<usize>,
    /// The records of no hop, our own among them, by index.
    pub(super) fillers: BTreeMap<usize, Record>,
}

/// A request that is ready to go out, and what its reply is judged by.
pub(super) struct Request {
    /// Count byte and records.
    pub(super) body: Vec<u8>,
    /// What to expect a wrapped reply under; outbound only.
    pub(super) garlic: Option<GarlicReply>,
    /// Record index and keys of the hops in order of travel.
    hops: Vec<(usize, RecordKeys)>,
    fillers: BTreeMap<usize, Record>,
}

/// What a reply says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    /// Reply codes of the hops in order of travel.
    Refused(Vec<u8>),
    Malformed,
}

impl Draft {
    /// Draws ids, keys, places and fillers. `us` gets a record of its own in inbound builds.
    /// `None` without hops.
    pub(super) fn draw(
        direction: Direction,
        hops: &[Hop],
        end: End,
        us: &RouterHash,
        now: Date,
        rng: &mut Rng,
    ) -> Option<Self> {
        let ids: Vec<TunnelId> = hops.iter().map(|_| TunnelId(rng.nonzero_u32())).collect();
        let last = hops.len().saturating_sub(1);
        let mut reply_id = MessageId::default();
        let mut parts = Vec::with_capacity(hops.len());
        for (i, (hop, receive)) in hops.iter().zip(&ids).enumerate() {
            let next = hops.get(i + 1).zip(ids.get(i + 1));
            let role = match direction {
                Direction::Inbound if i == 0 => Role::InboundGateway,
                Direction::Outbound if i == last => Role::OutboundEndpoint,
                _ => Role::Participant,
            };
            reply_id = MessageId(rng.nonzero_u32());
            let request = RequestRecord {
                receive: *receive,
                next: next.map_or(end.router, |(hop, _)| hop.hash),
                next_id: next.map_or(end.tunnel, |(_, id)| *id),
                role,
                layer_type: 0,
                minutes: RequestRecord::minutes_of(now),
                life_secs: record::LIFE_SECS,
                next_message: reply_id,
                options: Mapping::default(),
            };
            parts.push(Part {
                hop: *hop,
                role,
                plain: request.to_plain(rng).ok()?,
                ephemeral: PrivateKey::random(rng),
            });
        }
        let own = usize::from(direction == Direction::Inbound);
        let (slots, fillers) = places(hops.len(), own, us, rng);
        Some(Self {
            parts,
            first_id: *ids.first()?,
            reply_id,
            slots,
            fillers,
        })
    }
}

/// Shuffled record indexes of `hops` routers and the fillers at the other indexes; one of them
/// looks like a record for `us` when `own` is 1, so that the closest hop learns nothing.
fn places(
    hops: usize,
    own: usize,
    us: &RouterHash,
    rng: &mut Rng,
) -> (Vec<usize>, BTreeMap<usize, Record>) {
    let needed = hops + own;
    let count = if needed <= RECORDS_MIN {
        RECORDS_MIN
    } else {
        limits::BUILD_RECORDS_MAX
    };
    let mut indexes: Vec<usize> = (0..count).collect();
    rng.shuffle(&mut indexes);
    let mut fillers = BTreeMap::new();
    for (i, index) in indexes.iter().skip(hops).enumerate() {
        let mut filler: Record = rng.array();
        if i < own {
            let key = PrivateKey::random(rng);
            for (to, from) in filler
                .iter_mut()
                .zip(us.0.iter().take(PREFIX).chain(key.public()))
            {
                *to = *from;
            }
        }
        fillers.insert(*index, filler);
    }
    indexes.truncate(hops);
    (indexes, fillers)
}

/// Seals the records and applies, to each record that is not used up yet, the layers that the
/// earlier hops will take off. `None` when a hop's key is of small order.
pub(super) fn assemble(draft: Draft) -> Option<Request> {
    let mut records = draft.fillers.clone();
    let mut garlic = None;
    let mut hops: Vec<(usize, RecordKeys)> = Vec::with_capacity(draft.parts.len());
    for (part, slot) in draft.parts.iter().zip(&draft.slots) {
        let (key, hash) = (&part.hop.enc_key, &part.hop.hash);
        let sealed = record::seal_plain(&part.plain, part.role, key, hash, &part.ephemeral)?;
        records.insert(*slot, sealed.record);
        garlic = sealed.keys.garlic.clone();
        hops.push((*slot, sealed.keys));
    }
    for (i, (_, keys)) in hops.iter().enumerate() {
        let used_up: Vec<usize> = hops.iter().take(i + 1).map(|(slot, _)| *slot).collect();
        for (index, record) in &mut records {
            if !used_up.contains(index) {
                keys.layer_record(*index, record);
            }
        }
    }
    let mut body = Vec::with_capacity(1 + records.len() * SHORT);
    body.push(records.len() as u8);
    for record in records.values() {
        body.extend_from_slice(record);
    }
    Some(Request {
        body,
        garlic,
        hops,
        fillers: draft.fillers,
    })
}

impl Request {
    /// Layer keys of the hops in order of travel.
    pub(super) fn layer_keys(&self) -> Vec<LayerKeys> {
        self.hops
            .iter()
            .map(|(_, keys)| keys.layer.clone())
            .collect()
    }

    /// Judges the records that came back.
    pub(super) fn judge(&self, body: &[u8]) -> Verdict {
        let Some(mut records) = self.split(body) else {
            return Verdict::Malformed;
        };
        // A filler comes back as it was, because each layer was applied twice; a changed one is
        // somebody probing for us.
        if self
            .fillers
            .iter()
            .any(|(index, filler)| records.get(*index) != Some(filler))
        {
            return Verdict::Malformed;
        }
        let mut codes = Vec::with_capacity(self.hops.len());
        for (slot, keys) in self.hops.iter().rev() {
            let record = records.get(*slot);
            let Some(code) = record.and_then(|record| keys.open_reply(*slot, record)) else {
                return Verdict::Malformed;
            };
            codes.push(code);
            for (index, record) in records.iter_mut().enumerate() {
                keys.layer_record(index, record);
            }
        }
        codes.reverse();
        if codes.iter().all(|code| *code == 0) {
            Verdict::Accepted
        } else {
            Verdict::Refused(codes)
        }
    }

    fn split(&self, body: &[u8]) -> Option<Vec<Record>> {
        let (count, rest) = body.split_first()?;
        let n = self.hops.len() + self.fillers.len();
        if usize::from(*count) != n || rest.len() != n * SHORT {
            return None;
        }
        rest.chunks_exact(SHORT)
            .map(|r| Record::try_from(r).ok())
            .collect()
    }
}

#[cfg(test)]
mod tests;
