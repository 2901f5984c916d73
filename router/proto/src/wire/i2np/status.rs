//! DeliveryStatus (i2p spec/i2np, DeliveryStatus): 12 bytes.

use super::{Message, kind};
use crate::time::Date;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::error::Result;
use crate::wire::hash::MessageId;

/// Says that a message arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryStatus {
    /// The message, or the reply token of a store.
    pub id: MessageId,
    /// When it arrived.
    pub at: Date,
}

impl DeliveryStatus {
    /// Parses the body.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let mut r = Reader::new(body);
        let id = MessageId(r.u32("DeliveryStatus.msg_id")?);
        let at = Date(r.u64("DeliveryStatus.time_stamp")?);
        r.finish("DeliveryStatus")?;
        Ok(Self { id, at })
    }

    /// The message with this body.
    #[must_use]
    pub fn to_message(self, id: MessageId, expires: Date) -> Message {
        let mut w = Writer::with_capacity(12);
        w.u32(self.id.0).u64(self.at.0);
        Message {
            kind: kind::DELIVERY_STATUS,
            id,
            expires,
            body: w.into_vec(),
        }
    }
}
