//! Garlic encryption: ratchet sessions, one-time replies, messages to routers.

pub mod clove;
pub mod one_time;
pub mod ratchet;
pub mod to_router;

#[cfg(test)]
mod recorded;

use crate::time::Date;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::error::Result;
use crate::wire::hash::MessageId;
use crate::wire::i2np::{Message, kind};

/// Wraps encrypted content into a Garlic message: four length bytes, then the content
/// (i2p spec/i2np, Garlic).
#[must_use]
pub fn to_message(content: &[u8], id: MessageId, expires: Date) -> Message {
    let mut w = Writer::with_capacity(4 + content.len());
    w.u32(content.len() as u32).put(content);
    Message {
        kind: kind::GARLIC,
        id,
        expires,
        body: w.into_vec(),
    }
}

/// The encrypted content of a Garlic body.
///
/// # Errors
/// The length does not fit the body.
pub fn content(body: &[u8]) -> Result<&[u8]> {
    let mut r = Reader::new(body);
    let n = r.u32("Garlic.length")? as usize;
    let content = r.take(n, "Garlic.data")?;
    r.finish("Garlic")?;
    Ok(content)
}
