//! Cells in clear put together to messages, as a tunnel's endpoint does it
//! (i2p spec/tunnel-message). Taking layers off and refusing replayed cells is the caller's.

use super::fragment::TunnelDelivery;
use crate::crypto::tunnel_aes::CELL;
use crate::limits;
use crate::time::{Instant, Now};
use crate::wire::cursor::Reader;
use crate::wire::error::{Cause, Result, WireError};
use crate::wire::hash::{RouterHash, TunnelId, sha256};
use std::collections::BTreeMap;

/// Bytes of memory that a fragment counts for beyond its payload.
const FRAGMENT_OVERHEAD: usize = 64;
/// Bytes of memory that an unfinished message counts for beyond its fragments.
const MESSAGE_OVERHEAD: usize = 256;
const _: () = assert!(size_of::<(u32, Partial)>() <= MESSAGE_OVERHEAD - 64);
const _: () = assert!(
    limits::REASSEMBLY_BYTES_MAX
        > limits::I2NP_BODY_MAX + 16 + 64 * FRAGMENT_OVERHEAD + MESSAGE_OVERHEAD
);

/// What is left of messages of which fragments are missing. When a bound is reached the oldest
/// one is given up; after [`limits::REASSEMBLY_TIMEOUT`] each is.
#[derive(Default)]
pub struct Reassembler {
    partial: BTreeMap<u32, Partial>,
    bytes: usize,
    lost: u64,
}

struct Partial {
    since: Instant,
    first: Option<(TunnelDelivery, Vec<u8>)>,
    follow: BTreeMap<u8, Vec<u8>>,
    last: Option<u8>,
    /// Bytes of payload.
    payload: usize,
}

/// One fragment or whole message of a cell.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Whole(TunnelDelivery, &'a [u8]),
    First(u32, TunnelDelivery, &'a [u8]),
    Follow {
        id: u32,
        number: u8,
        last: bool,
        data: &'a [u8],
    },
}

impl Reassembler {
    /// Nothing held.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one cell in clear and answers the messages (16-byte header, not parsed) that it
    /// completes, in order.
    ///
    /// # Errors
    /// The checksum does not match or the instructions do not fit; then no fragment of the cell
    /// is taken.
    pub fn accept(
        &mut self,
        now: Now,
        cell: &[u8; CELL],
    ) -> Result<Vec<(TunnelDelivery, Vec<u8>)>> {
        let pieces = parse_cell(cell)?;
        self.expire(now);
        Ok(pieces
            .into_iter()
            .filter_map(|piece| self.take(now, piece))
            .collect())
    }

    /// Gives up what is too old.
    pub fn expire(&mut self, now: Now) {
        let old = |p: &Partial| now.mono.since(p.since) >= limits::REASSEMBLY_TIMEOUT;
        while let Some(id) = self
            .oldest()
            .filter(|id| self.partial.get(id).is_some_and(old))
        {
            self.give_up(id);
        }
    }

    /// Bytes that the fragments held count for.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Messages given up so far.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Gives up everything.
    pub fn clear(&mut self) {
        self.lost += self.partial.len() as u64;
        self.partial.clear();
        self.bytes = 0;
    }

    fn oldest(&self) -> Option<u32> {
        let (id, _) = self.partial.iter().min_by_key(|(_, p)| p.since)?;
        Some(*id)
    }

    fn give_up(&mut self, id: u32) {
        if let Some(p) = self.partial.remove(&id) {
            self.bytes -= p.cost();
            self.lost += 1;
        }
    }

    fn take(&mut self, now: Now, piece: Piece<'_>) -> Option<(TunnelDelivery, Vec<u8>)> {
        let (id, len) = match piece {
            Piece::Whole(delivery, data) => return Some((delivery, data.to_vec())),
            Piece::First(id, _, data) | Piece::Follow { id, data, .. } => (id, data.len()),
        };
        self.make_room(id, len);
        let new = !self.partial.contains_key(&id);
        let p = self.partial.entry(id).or_insert_with(|| Partial::new(now));
        let before = if new { 0 } else { p.cost() };
        let sound = p.insert(piece);
        self.bytes += p.cost() - before;
        if !sound {
            self.give_up(id);
            return None;
        }
        if !p.is_complete() {
            return None;
        }
        let p = self.partial.remove(&id)?;
        self.bytes -= p.cost();
        p.into_message()
    }

    /// Gives up the oldest messages other than `id` until a new fragment fits.
    fn make_room(&mut self, id: u32, len: usize) {
        let cost = len + FRAGMENT_OVERHEAD + MESSAGE_OVERHEAD;
        while self.bytes + cost > limits::REASSEMBLY_BYTES_MAX
            || (self.partial.len() >= limits::REASSEMBLY_MESSAGES_MAX
                && !self.partial.contains_key(&id))
        {
            let others = self.partial.iter().filter(|(other, _)| **other != id);
            let Some((oldest, _)) = others.min_by_key(|(_, p)| p.since) else {
                return;
            };
            self.give_up(*oldest);
        }
    }
}

impl Partial {
    const fn new(now: Now) -> Self {
        Self {
            since: now.mono,
            first: None,
            follow: BTreeMap::new(),
            last: None,
            payload: 0,
        }
    }

    /// Bytes of memory that it counts for.
    fn cost(&self) -> usize {
        let fragments = usize::from(self.first.is_some()) + self.follow.len();
        self.payload + fragments * FRAGMENT_OVERHEAD + MESSAGE_OVERHEAD
    }

    /// Keeps a fragment; a second one of the same number is ignored. `false` when the fragments
    /// cannot be of one message.
    fn insert(&mut self, piece: Piece<'_>) -> bool {
        let added = match piece {
            Piece::First(_, delivery, data) if self.first.is_none() => {
                self.first = Some((delivery, data.to_vec()));
                data.len()
            }
            Piece::Follow {
                number, last, data, ..
            } if !self.follow.contains_key(&number) => {
                if last {
                    self.last.get_or_insert(number);
                }
                self.follow.insert(number, data.to_vec());
                data.len()
            }
            _ => 0,
        };
        self.payload += added;
        let beyond = |last| self.follow.last_key_value().is_some_and(|(n, _)| *n > last);
        self.payload <= limits::I2NP_BODY_MAX + 16 && !self.last.is_some_and(beyond)
    }

    /// Numbers are at least 1 and at most `last`, so counting them is enough.
    fn is_complete(&self) -> bool {
        self.first.is_some()
            && self
                .last
                .is_some_and(|n| self.follow.len() == usize::from(n))
    }

    fn into_message(self) -> Option<(TunnelDelivery, Vec<u8>)> {
        let (delivery, mut message) = self.first?;
        message.reserve_exact(self.payload - message.len());
        for piece in self.follow.values() {
            message.extend_from_slice(piece);
        }
        Some((delivery, message))
    }
}

fn parse_cell(cell: &[u8; CELL]) -> Result<Vec<Piece<'_>>> {
    let mut r = Reader::new(cell);
    let iv = r.take(16, "TunnelMessage.iv")?;
    let sum = r.array::<4>("TunnelMessage.checksum")?;
    let padded = r.rest();
    let zero = padded.iter().position(|b| *b == 0);
    let content = zero
        .and_then(|at| padded.get(at + 1..))
        .ok_or(WireError::invalid("TunnelMessage.zero"))?;
    if !sha256(&[content, iv]).starts_with(&sum) {
        return Err(WireError::new(
            "TunnelMessage.checksum",
            Cause::BadSignature,
        ));
    }
    let mut r = Reader::new(content);
    let mut pieces = Vec::new();
    while !r.is_empty() {
        pieces.push(parse_piece(&mut r)?);
    }
    Ok(pieces)
}

fn parse_piece<'a>(r: &mut Reader<'a>) -> Result<Piece<'a>> {
    let flag = r.u8("TunnelMessage.flag")?;
    if flag & 0x80 != 0 {
        let number = flag >> 1 & 0x3f;
        if number == 0 {
            return Err(WireError::invalid("TunnelMessage.fragment_number"));
        }
        return Ok(Piece::Follow {
            id: r.u32("TunnelMessage.message_id")?,
            number,
            last: flag & 1 == 1,
            data: parse_data(r)?,
        });
    }
    let delivery = match flag >> 5 & 3 {
        0 => TunnelDelivery::Local,
        1 => {
            let id = TunnelId(r.u32("TunnelMessage.tunnel_id")?);
            TunnelDelivery::Tunnel(RouterHash(r.array("TunnelMessage.to_hash")?), id)
        }
        2 => TunnelDelivery::Router(RouterHash(r.array("TunnelMessage.to_hash")?)),
        _ => return Err(WireError::invalid("TunnelMessage.delivery_type")),
    };
    if flag & 0x10 != 0 {
        r.u8("TunnelMessage.delay")?;
    }
    let id = if flag & 0x08 != 0 {
        Some(r.u32("TunnelMessage.message_id")?)
    } else {
        None
    };
    if flag & 0x04 != 0 {
        let n = usize::from(r.u8("TunnelMessage.options")?);
        r.take(n, "TunnelMessage.options")?;
    }
    let data = parse_data(r)?;
    Ok(match id {
        Some(id) => Piece::First(id, delivery, data),
        None => Piece::Whole(delivery, data),
    })
}

fn parse_data<'a>(r: &mut Reader<'a>) -> Result<&'a [u8]> {
    let n = usize::from(r.u16("TunnelMessage.size")?);
    if n == 0 {
        return Err(WireError::invalid("TunnelMessage.size"));
    }
    r.take(n, "TunnelMessage.fragment")
}

#[cfg(test)]
mod tests;
