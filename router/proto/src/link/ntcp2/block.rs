//! Payload blocks of frames (i2p spec/ntcp2, Unencrypted data).

use crate::wire::cursor::{Reader, Writer};
use crate::wire::error::{Result, WireError};
use crate::wire::i2np::Message;

/// Bytes of a block's type and length.
pub const HEADER: usize = 3;
/// Bytes of an I2NP block in front of the message's body.
pub const I2NP_OVERHEAD: usize = HEADER + 9;

const DATE_TIME: u8 = 0;
const OPTIONS: u8 = 1;
const ROUTER_INFO: u8 = 2;
const I2NP: u8 = 3;
const TERMINATION: u8 = 4;
const PADDING: u8 = 254;

/// One block, its content borrowed from the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block<'a> {
    /// Seconds since 1970.
    DateTime(u32),
    /// Padding parameters; none are honoured.
    Options(&'a [u8]),
    /// A RouterInfo, not compressed.
    RouterInfo {
        /// The sender asks to have it flooded.
        flood: bool,
        /// The serialised RouterInfo.
        bytes: &'a [u8],
    },
    /// An I2NP message in its 9-byte form.
    I2np(&'a [u8]),
    /// The end of the link.
    Termination {
        /// Data-phase frames that the sender had received.
        received: u64,
        /// Why, see [`super::reason`].
        reason: u8,
    },
    /// Padding.
    Padding,
    /// A type that is ignored.
    Unknown(u8),
}

impl<'a> Block<'a> {
    /// Reads one block off the front of `r`.
    pub fn read(r: &mut Reader<'a>) -> Result<Self> {
        let kind = r.u8("Block.blk")?;
        let n = usize::from(r.u16("Block.size")?);
        let mut r = r.sub(n, "Block.data")?;
        Ok(match kind {
            DATE_TIME => {
                let secs = r.u32("DateTime.timestamp")?;
                r.finish("DateTime")?;
                Self::DateTime(secs)
            }
            OPTIONS => Self::Options(r.rest()),
            ROUTER_INFO => Self::RouterInfo {
                flood: r.u8("RouterInfoBlock.flg")? & 1 != 0,
                bytes: r.rest(),
            },
            I2NP => Self::I2np(r.rest()),
            TERMINATION => Self::Termination {
                received: r.u64("Termination.received")?,
                reason: r.u8("Termination.rsn")?,
            },
            PADDING => Self::Padding,
            other => Self::Unknown(other),
        })
    }
}

/// Reads the payload of handshake message 3: a RouterInfo block, then at most options and padding.
pub fn read_confirmed(payload: &[u8]) -> Result<&[u8]> {
    let mut r = Reader::new(payload);
    let Block::RouterInfo { bytes, .. } = Block::read(&mut r)? else {
        return Err(WireError::invalid("SessionConfirmed.router_info"));
    };
    let mut rank = 0;
    while !r.is_empty() {
        let next = match Block::read(&mut r)? {
            Block::Options(_) => 1,
            Block::Padding => 2,
            _ => return Err(WireError::invalid("SessionConfirmed.block")),
        };
        if next <= rank {
            return Err(WireError::invalid("SessionConfirmed.order"));
        }
        rank = next;
    }
    Ok(bytes)
}

/// Writes a DateTime block.
pub fn date_time(w: &mut Writer, secs: u32) {
    w.u8(DATE_TIME).u16(4).u32(secs);
}

/// Writes a RouterInfo block; RouterInfos are bounded far below the block's 65,515 bytes.
pub fn router_info(w: &mut Writer, flood: bool, bytes: &[u8]) {
    debug_assert!(bytes.len() <= crate::limits::ROUTER_INFO_MAX);
    w.u8(ROUTER_INFO).u16(bytes.len() as u16 + 1);
    w.u8(u8::from(flood)).put(bytes);
}

/// Writes an I2NP block; bodies are bounded by [`crate::limits::I2NP_BODY_MAX`].
pub fn i2np(w: &mut Writer, message: &Message) {
    debug_assert!(message.body.len() <= crate::limits::I2NP_BODY_MAX);
    w.u8(I2NP).u16(message.body.len() as u16 + 9);
    message.write_short(w);
}

/// Writes a termination block.
pub fn termination(w: &mut Writer, received: u64, reason: u8) {
    w.u8(TERMINATION).u16(9).u64(received).u8(reason);
}

/// Writes a padding block, at most 65,516 bytes.
pub fn padding(w: &mut Writer, bytes: &[u8]) {
    debug_assert!(bytes.len() <= 65_516);
    w.u8(PADDING).u16(bytes.len() as u16).put(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(w: &Writer) -> Vec<Block<'_>> {
        let mut r = Reader::new(w.as_slice());
        let mut out = Vec::new();
        while !r.is_empty() {
            out.push(Block::read(&mut r).unwrap());
        }
        out
    }

    #[test]
    fn round_trip_and_unknown_types() {
        let mut w = Writer::new();
        date_time(&mut w, 7);
        router_info(&mut w, true, b"info");
        w.u8(99).u16(2).put(b"xx");
        termination(&mut w, 3, 2);
        padding(&mut w, b"");
        let expected = vec![
            Block::DateTime(7),
            Block::RouterInfo {
                flood: true,
                bytes: b"info",
            },
            Block::Unknown(99),
            Block::Termination {
                received: 3,
                reason: 2,
            },
            Block::Padding,
        ];
        assert_eq!(all(&w), expected);
        for n in 1..7 {
            assert!(Block::read(&mut Reader::new(&w.as_slice()[..n])).is_err());
        }
    }

    #[test]
    fn message_3_takes_its_blocks_in_order_only() {
        let mut w = Writer::new();
        router_info(&mut w, false, b"info");
        assert_eq!(read_confirmed(w.as_slice()).unwrap(), b"info");
        padding(&mut w, b"pad");
        assert_eq!(read_confirmed(w.as_slice()).unwrap(), b"info");
        let mut twice = w.clone();
        padding(&mut twice, b"pad");
        assert!(read_confirmed(twice.as_slice()).is_err());
        date_time(&mut w, 1);
        assert!(read_confirmed(w.as_slice()).is_err());
        let mut w = Writer::new();
        padding(&mut w, b"pad");
        router_info(&mut w, false, b"info");
        assert!(read_confirmed(w.as_slice()).is_err());
    }
}
