//! The payload of ECIES garlic: blocks, cloves and their delivery instructions
//! (i2p spec/ecies, Payload Section; spec/i2np, Garlic Clove Delivery Instructions).

use crate::wire::cursor::{Reader, Writer};
use crate::wire::error::{Result, WireError};
use crate::wire::hash::{DestHash, RouterHash, TunnelId};
use crate::wire::i2np::Message;

/// Blocks of one payload.
const BLOCKS_MAX: usize = 64;

/// Where a clove goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Whoever opened the garlic.
    Local,
    /// A destination of whoever opened it.
    Destination(DestHash),
    /// A router.
    Router(RouterHash),
    /// A tunnel of a router.
    Tunnel(RouterHash, TunnelId),
}

/// One message and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clove {
    /// Where it goes.
    pub delivery: Delivery,
    /// The message; 9-byte header inside the block.
    pub message: Message,
}

/// A key for the next tag set (i2p spec/ecies, NextDHRatchet Public Key).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextKey {
    /// Flag bit 0: `key` is present.
    pub key: Option<[u8; 32]>,
    /// Flag bit 1: a reverse key; clear for a forward key.
    pub reverse: bool,
    /// Flag bit 2: a reverse key is requested.
    pub request_reverse: bool,
    /// Key id, 0..=32767.
    pub id: u16,
}

/// One block of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// Type 0: seconds since 1970.
    DateTime(u32),
    /// Type 4: the session ends, with a reason.
    Termination(u8),
    /// Type 6: messages sent in the previous tag set.
    MessageNumbers(u16),
    /// Type 7.
    NextKey(NextKey),
    /// Type 8: received messages as (tag set id, message number).
    Ack(Vec<(u16, u16)>),
    /// Type 9: please acknowledge this message.
    AckRequest,
    /// Type 11.
    Clove(Clove),
    /// Type 254: this many bytes of padding.
    Padding(usize),
    /// Any other type, ignored.
    Unknown(u8),
}

/// Parses a payload into its blocks. Padding has to be last; unknown blocks are kept as such.
pub fn parse_blocks(payload: &[u8]) -> Result<Vec<Block>> {
    let mut r = Reader::new(payload);
    let mut out = Vec::new();
    while !r.is_empty() {
        if out.len() == BLOCKS_MAX {
            return Err(WireError::too_large("Garlic.blocks"));
        }
        let kind = r.u8("Garlic.block.type")?;
        let n = usize::from(r.u16("Garlic.block.size")?);
        let body = r.sub(n, "Garlic.block.data")?;
        out.push(parse_block(kind, body)?);
        if kind == 254 {
            break;
        }
    }
    r.finish("Garlic.padding")?;
    Ok(out)
}

fn parse_block(kind: u8, mut r: Reader<'_>) -> Result<Block> {
    let block = match kind {
        0 => Block::DateTime(r.u32("Garlic.DateTime")?),
        4 => {
            let reason = r.u8("Garlic.Termination.reason")?;
            r.rest();
            Block::Termination(reason)
        }
        6 => Block::MessageNumbers(r.u16("Garlic.MessageNumbers.pn")?),
        7 => {
            let flags = r.u8("Garlic.NextKey.flag")?;
            let id = r.u16("Garlic.NextKey.key_id")?;
            if id > 0x7fff {
                return Err(WireError::invalid("Garlic.NextKey.key_id"));
            }
            let key = if flags & 1 == 1 {
                Some(r.array("Garlic.NextKey.key")?)
            } else {
                None
            };
            let (reverse, request_reverse) = (flags & 2 != 0, flags & 4 != 0);
            Block::NextKey(NextKey {
                key,
                reverse,
                request_reverse,
                id,
            })
        }
        8 => {
            let mut acks = Vec::new();
            while !r.is_empty() {
                acks.push((r.u16("Garlic.ACK.tagsetid")?, r.u16("Garlic.ACK.n")?));
            }
            Block::Ack(acks)
        }
        9 => {
            r.rest();
            Block::AckRequest
        }
        11 => Block::Clove(parse_clove(&mut r)?),
        254 => Block::Padding(r.rest().len()),
        other => {
            r.rest();
            Block::Unknown(other)
        }
    };
    r.finish("Garlic.block.data")?;
    Ok(block)
}

fn parse_clove(r: &mut Reader<'_>) -> Result<Clove> {
    let flags = r.u8("GarlicClove.flag")?;
    let delivery = match flags >> 5 & 3 {
        0 => Delivery::Local,
        1 => Delivery::Destination(DestHash(r.array("GarlicClove.to_hash")?)),
        2 => Delivery::Router(RouterHash(r.array("GarlicClove.to_hash")?)),
        _ => {
            let hash = RouterHash(r.array("GarlicClove.to_hash")?);
            Delivery::Tunnel(hash, TunnelId(r.u32("GarlicClove.tunnel_id")?))
        }
    };
    if flags & 0x10 != 0 {
        r.u32("GarlicClove.delay")?;
    }
    Ok(Clove {
        delivery,
        message: Message::parse_short(r.rest())?,
    })
}

/// Writes blocks in the given order.
///
/// # Errors
/// A block is above 65,535 bytes.
pub fn write_blocks(blocks: &[Block]) -> Result<Vec<u8>> {
    let mut w = Writer::with_capacity(256);
    for block in blocks {
        w.u8(block_type(block));
        w.len_u16("Garlic.block.size", |w| write_block(block, w))?;
    }
    Ok(w.into_vec())
}

const fn block_type(block: &Block) -> u8 {
    match block {
        Block::DateTime(_) => 0,
        Block::Termination(_) => 4,
        Block::MessageNumbers(_) => 6,
        Block::NextKey(_) => 7,
        Block::Ack(_) => 8,
        Block::AckRequest => 9,
        Block::Clove(_) => 11,
        Block::Padding(_) => 254,
        Block::Unknown(kind) => *kind,
    }
}

fn write_block(block: &Block, w: &mut Writer) {
    match block {
        Block::DateTime(secs) => {
            w.u32(*secs);
        }
        Block::Termination(reason) => {
            w.u8(*reason);
        }
        Block::MessageNumbers(pn) => {
            w.u16(*pn);
        }
        Block::NextKey(k) => {
            let flags = u8::from(k.key.is_some())
                | u8::from(k.reverse) << 1
                | u8::from(k.request_reverse) << 2;
            w.u8(flags)
                .u16(k.id)
                .put(k.key.as_ref().map_or(&[], |k| k.as_slice()));
        }
        Block::Ack(acks) => {
            for (set, n) in acks {
                w.u16(*set).u16(*n);
            }
        }
        Block::AckRequest => {
            w.u8(0);
        }
        Block::Clove(c) => write_clove(c, w),
        Block::Padding(n) => {
            w.put(&vec![0; *n]);
        }
        Block::Unknown(_) => {}
    }
}

fn write_clove(clove: &Clove, w: &mut Writer) {
    match &clove.delivery {
        Delivery::Local => w.u8(0),
        Delivery::Destination(h) => w.u8(0x20).put(&h.0),
        Delivery::Router(h) => w.u8(0x40).put(&h.0),
        Delivery::Tunnel(h, id) => w.u8(0x60).put(&h.0).u32(id.0),
    };
    clove.message.write_short(w);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Date;
    use crate::wire::hash::MessageId;

    fn all() -> Vec<Block> {
        let message = Message {
            kind: 20,
            id: MessageId(5),
            expires: Date::from_secs(1_700_000_000),
            body: vec![1, 2, 3],
        };
        let to = |delivery| {
            Block::Clove(Clove {
                delivery,
                message: message.clone(),
            })
        };
        vec![
            Block::DateTime(1),
            Block::Termination(2),
            Block::MessageNumbers(3),
            Block::NextKey(NextKey {
                key: Some([4; 32]),
                reverse: false,
                request_reverse: true,
                id: 9,
            }),
            Block::NextKey(NextKey {
                key: None,
                reverse: true,
                request_reverse: false,
                id: 1,
            }),
            Block::Ack(vec![(0, 1), (2, 3)]),
            Block::AckRequest,
            to(Delivery::Local),
            to(Delivery::Destination(DestHash([6; 32]))),
            to(Delivery::Router(RouterHash([7; 32]))),
            to(Delivery::Tunnel(RouterHash([8; 32]), TunnelId(9))),
            Block::Padding(10),
        ]
    }

    #[test]
    fn blocks_round_trip() {
        let bytes = write_blocks(&all()).unwrap();
        assert_eq!(parse_blocks(&bytes).unwrap(), all());
    }

    #[test]
    fn truncated_payloads_are_refused_or_shorter() {
        let bytes = write_blocks(&all()).unwrap();
        for n in 0..bytes.len() {
            if let Ok(blocks) = parse_blocks(&bytes[..n]) {
                assert!(blocks.len() < all().len());
            }
        }
    }

    #[test]
    fn nothing_follows_padding() {
        let mut bytes = write_blocks(&all()).unwrap();
        bytes.push(0);
        assert_eq!(parse_blocks(&bytes).unwrap_err().field, "Garlic.padding");
    }
}
