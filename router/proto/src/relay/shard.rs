//! The hops of one thread: takes tunnel messages off the links and says what to send
//! (i2p spec/tunnel-message; docs/tunnels/implementation). It decides nothing about which tunnels
//! to carry, and never looks into what it relays.

use super::hop::{Hop, Role};
use super::iv_filter::IvFilter;
use super::limit::Limit;
use super::stats::{Dropped, ShardStats};
use crate::crypto::tunnel_aes::CELL;
use crate::limits;
use crate::rng::Rng;
use crate::time::{Date, Instant, Now};
use crate::tunnel::fragment::{TunnelDelivery, cells_of, fragment};
use crate::tunnel::reassemble::Reassembler;
use crate::wire::cursor::Reader;
use crate::wire::error::Result;
use crate::wire::hash::{MessageId, RouterHash, TunnelId};
use crate::wire::i2np::tunnel::TunnelGateway;
use crate::wire::i2np::{Message, kind};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Life of the messages that we send on.
const SENT_LIFE: Duration = Duration::from_secs(10);
/// What each message that leaves a tunnel counts for beyond its body: headers on the wire, and
/// that each may need a queue of its own. A cell may hold 25 messages for as many routers.
const MESSAGE_COST: usize = 64;
/// Bytes of a message's long header, with the expiration at its place.
const HEADER: usize = 16;
const EXPIRES_AT: usize = 5;
const HEADER_AND_BODY_MAX: usize = HEADER + limits::I2NP_BODY_MAX;

/// Bounds of a shard.
#[derive(Clone, Copy, Debug)]
pub struct ShardLimits {
    /// Hops at once; further ones are not installed.
    pub hops: usize,
    /// Bytes per second of transit until [`Shard::set_transit_limit`] says otherwise.
    pub bytes_per_sec: u64,
    /// Bytes of the replay filter at least; it has as many as the bandwidth asks for.
    pub filter_bytes: usize,
    /// Bytes of all endpoints' unfinished messages; above, the hop that holds most loses its own.
    pub fragment_bytes: usize,
    /// Senders to gateways that are told apart.
    pub senders: usize,
    /// Outputs that wait to be polled; further ones are dropped.
    pub outputs: usize,
}

impl Default for ShardLimits {
    fn default() -> Self {
        Self {
            hops: 10_000,
            bytes_per_sec: 256 * 1024,
            filter_bytes: 8 << 20,
            fragment_bytes: 8 << 20,
            senders: 1024,
            outputs: 1024,
        }
    }
}

/// What a shard wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShardOutput {
    /// Send a message to a router; never to ourselves.
    Send {
        /// The router that it came from: who makes us send.
        from: RouterHash,
        /// The router.
        to: RouterHash,
        /// The message.
        message: Message,
    },
    /// A message for our own control plane out of a tunnel that ends here.
    Up {
        /// The router before us in that tunnel; not the author of the message.
        from: RouterHash,
        /// The message.
        message: Message,
    },
}

struct Row {
    hop: Hop,
    /// At outbound endpoints.
    fragments: Reassembler,
}

/// Transit hops, and the ids of our own tunnels that have to be told from them.
pub struct Shard {
    us: RouterHash,
    limits: ShardLimits,
    hops: BTreeMap<TunnelId, Row>,
    expiry: BTreeSet<(Instant, TunnelId)>,
    own: BTreeMap<TunnelId, RouterHash>,
    filter: IvFilter,
    limit: Limit,
    /// Bytes in all reassemblers, who holds how many, and when to look for old ones.
    held: usize,
    holders: BTreeSet<(usize, TunnelId)>,
    sweep: Option<Instant>,
    outputs: VecDeque<ShardOutput>,
    stats: ShardStats,
}

impl Shard {
    /// No hops yet.
    #[must_use]
    pub fn new(us: RouterHash, limits: ShardLimits) -> Self {
        Self {
            us,
            limits,
            hops: BTreeMap::new(),
            expiry: BTreeSet::new(),
            own: BTreeMap::new(),
            filter: IvFilter::new(
                filter_bytes(&limits, limits.bytes_per_sec),
                limits::HOP_LIFE,
            ),
            limit: Limit::new(limits.bytes_per_sec, limits.senders),
            held: 0,
            holders: BTreeSet::new(),
            sweep: None,
            outputs: VecDeque::new(),
            stats: ShardStats::default(),
        }
    }

    /// Carries a tunnel from now on. A hop that is expired, beyond the limit, of an id in use, or
    /// that would send to ourselves is not installed, and counted.
    pub fn install(&mut self, now: Now, hop: Hop) {
        let taken = self.hops.contains_key(&hop.id) || self.own.contains_key(&hop.id);
        let loops = hop.role != Role::OutboundEndpoint && hop.next == self.us;
        if taken || loops || hop.expires <= now.mono || self.hops.len() >= self.limits.hops {
            self.stats.not_installed += 1;
            return;
        }
        *self.stats.hops_mut(hop.role) += 1;
        self.expiry.insert((hop.expires, hop.id));
        let fragments = Reassembler::new();
        self.hops.insert(hop.id, Row { hop, fragments });
    }

    /// Stops carrying a tunnel.
    pub fn remove(&mut self, id: TunnelId) {
        if let Some(row) = self.hops.remove(&id) {
            self.expiry.remove(&(row.hop.expires, id));
            let bytes = row.fragments.bytes();
            self.note_held(id, bytes, 0);
            *self.stats.hops_mut(row.hop.role) -= 1;
        }
    }

    /// Cells under this id from this router are for our own tunnel. A transit hop of the same id
    /// gives way.
    pub fn install_own(&mut self, id: TunnelId, from: RouterHash) {
        self.remove(id);
        self.own.insert(id, from);
    }

    /// Our own tunnel is gone.
    pub fn remove_own(&mut self, id: TunnelId) {
        self.own.remove(&id);
    }

    /// Bytes per second that transit may use from now on.
    pub fn set_transit_limit(&mut self, bytes_per_sec: u64) {
        self.limit.set_rate(bytes_per_sec);
        let bytes = filter_bytes(&self.limits, bytes_per_sec);
        self.filter.set_bytes_max(bytes);
    }

    /// Takes a message that `from` sent over its link. The answer is what the control plane has
    /// to see: cells and gateway messages of our own tunnels, and every other kind.
    pub fn accept(
        &mut self,
        now: Now,
        rng: &mut Rng,
        from: RouterHash,
        message: Message,
    ) -> Option<Message> {
        let taken = match message.kind {
            kind::TUNNEL_DATA => self.cell(now, rng, from, message),
            kind::TUNNEL_GATEWAY => self.gateway_message(now, rng, from, message),
            _ => return Some(message),
        };
        match taken {
            Ok(for_us) => for_us,
            Err(why) => {
                self.stats.drops.count(why);
                None
            }
        }
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<ShardOutput> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let expiry = self.expiry.first().map(|(at, _)| *at);
        [expiry, self.sweep].into_iter().flatten().min()
    }

    /// Ends what is past its time.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some((at, id)) = self.expiry.first().copied() {
            if at > now.mono {
                break;
            }
            self.remove(id);
        }
        if self.sweep.is_some_and(|at| at <= now.mono) {
            let holders: Vec<TunnelId> = self.holders.iter().map(|(_, id)| *id).collect();
            for id in holders {
                self.with_fragments(id, |f| f.expire(now));
            }
            self.sweep = (self.held > 0).then(|| now.mono + limits::REASSEMBLY_TIMEOUT);
        }
    }

    /// Counters, and the hops there are.
    #[must_use]
    pub const fn stats(&self) -> ShardStats {
        self.stats
    }

    fn cell(
        &mut self,
        now: Now,
        rng: &mut Rng,
        from: RouterHash,
        mut message: Message,
    ) -> core::result::Result<Option<Message>, Dropped> {
        let (id, cell) = split_cell(&mut message.body).ok_or(Dropped::Malformed)?;
        if let Some(expected) = self.own.get(&id) {
            return if *expected == from {
                Ok(Some(message))
            } else {
                Err(Dropped::WrongPrevious)
            };
        }
        let row = self.hops.get_mut(&id).ok_or(Dropped::UnknownId)?;
        let hop = &row.hop;
        if hop.expires <= now.mono || is_stale(now, message.expires) {
            return Err(Dropped::Expired);
        }
        if hop.from != Some(from) {
            return Err(Dropped::WrongPrevious);
        }
        // What is beyond the limit must not fill the filter, so that this is bounded by the limit.
        self.limit.admit_from(now, rng, from, CELL)?;
        if !self.filter.insert(now, rng, &replay_mark(id, cell)) {
            return Err(Dropped::Replay);
        }
        hop.keys.encrypt(cell);
        self.stats.cells_in += 1;
        if hop.role == Role::Participant {
            let to = hop.next;
            readdress(&mut message.body, hop.next_id);
            message.id = MessageId(rng.nonzero_u32());
            message.expires = now.wall + SENT_LIFE;
            self.send(from, to, message)?;
            return Ok(None);
        }
        let cell = *cell;
        let messages = self.with_fragments(id, |f| f.accept(now, &cell));
        self.after_reassembly(now);
        let messages = messages.and_then(core::result::Result::ok);
        for (n, (delivery, bytes)) in messages.ok_or(Dropped::Malformed)?.into_iter().enumerate() {
            // The first is paid for with the cell.
            let paid = match n {
                0 => Ok(()),
                _ => self.limit.admit_from(now, rng, from, MESSAGE_COST),
            };
            let delivered = paid.and_then(|()| self.deliver(now, rng, from, delivery, &bytes));
            if let Err(why) = delivered {
                self.stats.drops.count(why);
            }
        }
        Ok(None)
    }

    /// Lets the fragments of an endpoint change, and keeps the sums.
    fn with_fragments<T>(
        &mut self,
        id: TunnelId,
        change: impl FnOnce(&mut Reassembler) -> T,
    ) -> Option<T> {
        let fragments = &mut self.hops.get_mut(&id)?.fragments;
        let (before, lost) = (fragments.bytes(), fragments.lost());
        let answer = change(fragments);
        self.stats.fragments_lost += fragments.lost() - lost;
        let after = fragments.bytes();
        self.note_held(id, before, after);
        Some(answer)
    }

    fn note_held(&mut self, id: TunnelId, before: usize, after: usize) {
        self.held = self.held - before + after;
        self.holders.remove(&(before, id));
        if after > 0 {
            self.holders.insert((after, id));
        }
    }

    /// Who holds most gives up all of it, so that few tunnels cannot take the others' room.
    fn after_reassembly(&mut self, now: Now) {
        while self.held > self.limits.fragment_bytes
            && let Some((_, id)) = self.holders.last().copied()
        {
            self.with_fragments(id, Reassembler::clear);
        }
        if self.held > 0 && self.sweep.is_none() {
            self.sweep = Some(now.mono + limits::REASSEMBLY_TIMEOUT);
        }
    }

    /// One whole message at an endpoint.
    fn deliver(
        &mut self,
        now: Now,
        rng: &mut Rng,
        from: RouterHash,
        delivery: TunnelDelivery,
        bytes: &[u8],
    ) -> core::result::Result<(), Dropped> {
        self.stats.messages_delivered += 1;
        match delivery {
            TunnelDelivery::Tunnel(to, id) if to == self.us => {
                check_inner(now, bytes)?;
                if self.own.contains_key(&id) {
                    let message = wrapped(now, rng, id, bytes).map_err(|_| Dropped::Malformed)?;
                    return self.push(ShardOutput::Up { from, message });
                }
                self.gateway(now, rng, from, id, bytes)
            }
            TunnelDelivery::Tunnel(to, id) => {
                check_inner(now, bytes)?;
                let message = wrapped(now, rng, id, bytes).map_err(|_| Dropped::Malformed)?;
                self.send(from, to, message)
            }
            TunnelDelivery::Router(to) if to != self.us => {
                self.send(from, to, unwrapped(now, bytes)?)
            }
            TunnelDelivery::Local | TunnelDelivery::Router(_) => {
                let message = unwrapped(now, bytes)?;
                self.push(ShardOutput::Up { from, message })
            }
        }
    }

    fn gateway_message(
        &mut self,
        now: Now,
        rng: &mut Rng,
        from: RouterHash,
        message: Message,
    ) -> core::result::Result<Option<Message>, Dropped> {
        let (id, inner) = split_gateway(&message.body).map_err(|_| Dropped::Malformed)?;
        if self.own.contains_key(&id) {
            return Ok(Some(message));
        }
        if is_stale(now, message.expires) {
            return Err(Dropped::Expired);
        }
        self.gateway(now, rng, from, id, inner)?;
        Ok(None)
    }

    /// A message for the inbound gateway `id`: cut, encrypted, sent.
    fn gateway(
        &mut self,
        now: Now,
        rng: &mut Rng,
        from: RouterHash,
        id: TunnelId,
        inner: &[u8],
    ) -> core::result::Result<(), Dropped> {
        let row = self.hops.get(&id).ok_or(Dropped::UnknownId)?;
        if row.hop.expires <= now.mono {
            return Err(Dropped::Expired);
        }
        if row.hop.role != Role::InboundGateway {
            return Err(Dropped::WrongPrevious);
        }
        check_inner(now, inner)?;
        let bytes = cells_of(inner.len()) * CELL;
        self.limit.admit_sender(now, rng, from, bytes)?;
        let mut cells = fragment(&[(TunnelDelivery::Local, inner)], rng);
        if cells.is_empty() {
            return Err(Dropped::Malformed);
        }
        let (to, next_id, keys) = (row.hop.next, row.hop.next_id, row.hop.keys.clone());
        for cell in &mut cells {
            keys.encrypt(cell);
            let message = Message {
                kind: kind::TUNNEL_DATA,
                id: MessageId(rng.nonzero_u32()),
                expires: now.wall + SENT_LIFE,
                body: [&next_id.0.to_be_bytes(), cell.as_slice()].concat(),
            };
            self.send(from, to, message)?;
        }
        Ok(())
    }

    fn send(
        &mut self,
        from: RouterHash,
        to: RouterHash,
        message: Message,
    ) -> core::result::Result<(), Dropped> {
        let bytes = (message.body.len() + HEADER) as u64;
        self.push(ShardOutput::Send { from, to, message })?;
        self.stats.messages_sent += 1;
        self.stats.bytes_sent += bytes;
        Ok(())
    }

    fn push(&mut self, output: ShardOutput) -> core::result::Result<(), Dropped> {
        if self.outputs.len() >= self.limits.outputs {
            return Err(Dropped::Queue);
        }
        self.outputs.push_back(output);
        Ok(())
    }
}

/// What the replay filter needs to remember all cells of a tunnel's life at this rate, up to
/// [`limits::REPLAY_BYTES`].
fn filter_bytes(limits: &ShardLimits, bytes_per_sec: u64) -> usize {
    let seconds = limits::HOP_LIFE.as_secs() + 1;
    let cells = bytes_per_sec.saturating_mul(seconds) / CELL as u64;
    let bytes = IvFilter::bytes_for(usize::try_from(cells).unwrap_or(usize::MAX));
    bytes.min(limits::REPLAY_BYTES).max(limits.filter_bytes)
}

fn is_stale(now: Now, expires: Date) -> bool {
    expires + limits::CLOCK_TOLERANCE < now.wall
}

/// Tunnel id and the 1024 bytes of a TunnelData body.
fn split_cell(body: &mut [u8]) -> Option<(TunnelId, &mut [u8; CELL])> {
    let (id, cell) = body.split_first_chunk_mut::<4>()?;
    Some((TunnelId(u32::from_be_bytes(*id)), cell.try_into().ok()?))
}

fn readdress(body: &mut [u8], id: TunnelId) {
    if let Some(slot) = body.first_chunk_mut::<4>() {
        *slot = id.0.to_be_bytes();
    }
}

/// What makes a cell this one: tunnel, IV and the first block.
fn replay_mark(id: TunnelId, cell: &[u8; CELL]) -> [u8; 36] {
    let mut mark = [0; 36];
    let bytes = id.0.to_be_bytes().into_iter().chain(cell.iter().copied());
    for (to, from) in mark.iter_mut().zip(bytes) {
        *to = from;
    }
    mark
}

/// Tunnel id and inner message of a TunnelGateway body, where they stand.
fn split_gateway(body: &[u8]) -> Result<(TunnelId, &[u8])> {
    let mut r = Reader::new(body);
    let id = TunnelId(r.u32("TunnelGateway.tunnel_id")?);
    let n = usize::from(r.u16("TunnelGateway.length")?);
    let inner = r.take(n, "TunnelGateway.data")?;
    r.finish("TunnelGateway")?;
    Ok((id, inner))
}

fn wrapped(now: Now, rng: &mut Rng, id: TunnelId, inner: &[u8]) -> Result<Message> {
    let inner = inner.to_vec();
    let (message, expires) = (MessageId(rng.nonzero_u32()), now.wall + SENT_LIFE);
    TunnelGateway { id, inner }.to_message(message, expires)
}

/// What leaves a tunnel, or enters one, is a message that is not long past its time. Its checksum
/// is the receiver's to check.
fn check_inner(now: Now, bytes: &[u8]) -> core::result::Result<(), Dropped> {
    let expires = bytes.get(EXPIRES_AT..).and_then(<[u8]>::first_chunk);
    let expires = expires.filter(|_| bytes.len() >= HEADER && bytes.len() <= HEADER_AND_BODY_MAX);
    let expires = expires.ok_or(Dropped::Malformed)?;
    if is_stale(now, Date(u64::from_be_bytes(*expires))) {
        return Err(Dropped::Expired);
    }
    Ok(())
}

fn unwrapped(now: Now, bytes: &[u8]) -> core::result::Result<Message, Dropped> {
    let message = Message::parse_long(bytes).map_err(|_| Dropped::Malformed)?;
    if is_stale(now, message.expires) {
        return Err(Dropped::Expired);
    }
    Ok(message)
}

#[cfg(test)]
mod tests;
