//! TunnelData and TunnelGateway (i2p spec/i2np, TunnelData and TunnelGateway).

use super::{Message, kind};
use crate::crypto::tunnel_aes::CELL;
use crate::time::Date;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::error::{Result, WireError};
use crate::wire::hash::{MessageId, TunnelId};

/// One cell: the receiver's tunnel id, then IV and body (1024 bytes).
#[derive(Clone, PartialEq, Eq)]
pub struct TunnelData {
    /// Tunnel id at the receiver.
    pub id: TunnelId,
    /// IV (16) and body (1008).
    pub cell: Box<[u8; CELL]>,
}

impl TunnelData {
    /// Parses the body of 1028 bytes.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let mut r = Reader::new(body);
        let id = TunnelId(r.u32("TunnelData.tunnel_id")?);
        let cell = r.take(CELL, "TunnelData.data")?;
        r.finish("TunnelData")?;
        let cell = Box::<[u8; CELL]>::try_from(cell.to_vec().into_boxed_slice())
            .map_err(|_| WireError::invalid("TunnelData.data"))?;
        Ok(Self { id, cell })
    }

    /// The message with this body.
    #[must_use]
    pub fn to_message(&self, id: MessageId, expires: Date) -> Message {
        let mut w = Writer::with_capacity(4 + CELL);
        w.u32(self.id.0).put(self.cell.as_slice());
        Message {
            kind: kind::TUNNEL_DATA,
            id,
            expires,
            body: w.into_vec(),
        }
    }
}

/// A message for an inbound gateway: tunnel id at the gateway, and the inner message in the
/// 16-byte form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelGateway {
    /// Tunnel id at the gateway.
    pub id: TunnelId,
    /// The inner message as bytes, relayed untouched.
    pub inner: Vec<u8>,
}

impl TunnelGateway {
    /// Parses the body.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let mut r = Reader::new(body);
        let id = TunnelId(r.u32("TunnelGateway.tunnel_id")?);
        let n = usize::from(r.u16("TunnelGateway.length")?);
        let inner = r.take(n, "TunnelGateway.data")?.to_vec();
        r.finish("TunnelGateway")?;
        Ok(Self { id, inner })
    }

    /// The message with this body.
    ///
    /// # Errors
    /// The inner message is above 65,535 bytes.
    pub fn to_message(&self, id: MessageId, expires: Date) -> Result<Message> {
        let n = u16::try_from(self.inner.len())
            .map_err(|_| WireError::too_large("TunnelGateway.length"))?;
        let mut w = Writer::with_capacity(6 + self.inner.len());
        w.u32(self.id.0).u16(n).put(&self.inner);
        Ok(Message {
            kind: kind::TUNNEL_GATEWAY,
            id,
            expires,
            body: w.into_vec(),
        })
    }
}
