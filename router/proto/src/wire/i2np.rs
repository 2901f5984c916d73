//! I2NP messages: the header in its two forms and the body as bytes (i2p spec/i2np).
//!
//! A [`Message`] keeps its body unparsed, because relays forward every type untouched; the
//! modules below parse bodies on local delivery.

pub mod lookup;
pub mod search_reply;
pub mod status;
pub mod store;
pub mod tunnel;

use super::cursor::{Reader, Writer};
use super::error::{Result, WireError};
use super::hash::{MessageId, sha256};
use crate::limits;
use crate::time::Date;
use core::fmt;

/// Message type numbers.
pub mod kind {
    /// DatabaseStore.
    pub const DATABASE_STORE: u8 = 1;
    /// DatabaseLookup.
    pub const DATABASE_LOOKUP: u8 = 2;
    /// DatabaseSearchReply.
    pub const DATABASE_SEARCH_REPLY: u8 = 3;
    /// DeliveryStatus.
    pub const DELIVERY_STATUS: u8 = 10;
    /// Garlic.
    pub const GARLIC: u8 = 11;
    /// TunnelData.
    pub const TUNNEL_DATA: u8 = 18;
    /// TunnelGateway.
    pub const TUNNEL_GATEWAY: u8 = 19;
    /// Data.
    pub const DATA: u8 = 20;
    /// VariableTunnelBuild.
    pub const VARIABLE_TUNNEL_BUILD: u8 = 23;
    /// VariableTunnelBuildReply.
    pub const VARIABLE_TUNNEL_BUILD_REPLY: u8 = 24;
    /// ShortTunnelBuild.
    pub const SHORT_TUNNEL_BUILD: u8 = 25;
    /// OutboundTunnelBuildReply.
    pub const OUTBOUND_TUNNEL_BUILD_REPLY: u8 = 26;
}

/// One I2NP message with its body as bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Type number, see [`kind`].
    pub kind: u8,
    /// Message id.
    pub id: MessageId,
    /// When it stops being worth anything.
    pub expires: Date,
    /// Body, at most [`limits::I2NP_BODY_MAX`] bytes.
    pub body: Vec<u8>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "I2np(type {}, id {}, {} bytes)",
            self.kind,
            self.id.0,
            self.body.len()
        )
    }
}

impl Message {
    /// Parses the 16-byte header (type 1, id 4, expiration ms 8, size 2, checksum 1) and the body,
    /// as fragments of tunnels and TunnelGateway carry them.
    pub fn parse_long(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(bytes);
        let kind = r.u8("I2NP.type")?;
        let id = MessageId(r.u32("I2NP.msg_id")?);
        let expires = Date(r.u64("I2NP.expiration")?);
        let size = usize::from(r.u16("I2NP.size")?);
        let sum = r.u8("I2NP.chks")?;
        let body = r.take(size, "I2NP.payload")?;
        if size > limits::I2NP_BODY_MAX {
            return Err(WireError::too_large("I2NP.size"));
        }
        r.finish("I2NP.payload")?;
        if sha256(&[body])[0] != sum {
            return Err(WireError::new(
                "I2NP.chks",
                super::error::Cause::BadSignature,
            ));
        }
        Ok(Self {
            kind,
            id,
            expires,
            body: body.to_vec(),
        })
    }

    /// Parses the 9-byte header (type 1, id 4, expiration in seconds 4) and the body, as NTCP2,
    /// SSU2 and ratchet cloves carry them.
    pub fn parse_short(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(bytes);
        let kind = r.u8("I2NP.type")?;
        let id = MessageId(r.u32("I2NP.msg_id")?);
        let expires = Date::from_secs(u64::from(r.u32("I2NP.short_expiration")?));
        let body = r.rest();
        if body.len() > limits::I2NP_BODY_MAX {
            return Err(WireError::too_large("I2NP.payload"));
        }
        Ok(Self {
            kind,
            id,
            expires,
            body: body.to_vec(),
        })
    }

    /// Writes the 16-byte form.
    ///
    /// # Panics
    /// Never for bodies within [`limits::I2NP_BODY_MAX`].
    pub fn write_long(&self, w: &mut Writer) {
        debug_assert!(self.body.len() <= limits::I2NP_BODY_MAX);
        w.u8(self.kind).u32(self.id.0).u64(self.expires.0);
        w.u16(self.body.len() as u16)
            .u8(sha256(&[&self.body])[0])
            .put(&self.body);
    }

    /// Writes the 9-byte form; the expiration is cut to whole seconds.
    pub fn write_short(&self, w: &mut Writer) {
        w.u8(self.kind)
            .u32(self.id.0)
            .u32(self.expires.secs() as u32)
            .put(&self.body);
    }

    /// The 16-byte form as bytes.
    #[must_use]
    pub fn to_long(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(16 + self.body.len());
        self.write_long(&mut w);
        w.into_vec()
    }

    /// The 9-byte form as bytes.
    #[must_use]
    pub fn to_short(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(9 + self.body.len());
        self.write_short(&mut w);
        w.into_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_headers_round_trip() {
        let m = Message {
            kind: kind::DATA,
            id: MessageId(7),
            expires: Date::from_secs(1_700_000_000),
            body: b"body".to_vec(),
        };
        assert_eq!(Message::parse_long(&m.to_long()), Ok(m.clone()));
        assert_eq!(Message::parse_short(&m.to_short()), Ok(m.clone()));
        let mut long = m.to_long();
        long.push(0);
        assert_eq!(
            Message::parse_long(&long).unwrap_err().field,
            "I2NP.payload"
        );
        let mut long = m.to_long();
        *long.last_mut().unwrap() ^= 1;
        assert_eq!(Message::parse_long(&long).unwrap_err().field, "I2NP.chks");
        for n in 0..20 {
            assert!(Message::parse_long(&m.to_long()[..n]).is_err());
        }
    }
}
