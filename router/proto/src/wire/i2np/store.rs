//! DatabaseStore (i2p spec/i2np, DatabaseStore): one netDb entry, and where to confirm it.

use super::{Message, kind};
use crate::limits;
use crate::time::Date;
use crate::wire::any_lease_set::AnyLeaseSet;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::error::{Result, WireError};
use crate::wire::hash::{MessageId, RouterHash, TunnelId};
use crate::wire::inflate::{GzipHeader, gunzip, gzip};
use crate::wire::lease_set2::{self, LeaseSet2};
use crate::wire::router_info::RouterInfo;

/// The gzip header that Java routers write, so that it says nothing about us.
const GZIP: GzipHeader = GzipHeader {
    mtime: [0; 4],
    xfl: 2,
    os: 0xff,
};

/// Where the receiver confirms a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreReply {
    /// Id of the DeliveryStatus to send, not zero.
    pub token: u32,
    /// Tunnel at the gateway; zero: straight to the router `gateway`.
    pub tunnel: TunnelId,
    /// Gateway of the tunnel, or the router itself.
    pub gateway: RouterHash,
}

/// The entry, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Type 0: a RouterInfo, unpacked.
    Router(Vec<u8>),
    /// Type 3: a LeaseSet2.
    LeaseSet2(Vec<u8>),
    /// Types 1 (old), 5 (encrypted) and 7 (meta): for floodfills.
    Other(u8, Vec<u8>),
}

/// A DatabaseStore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseStore {
    /// Hash of the identity or destination (not the routing key).
    pub key: [u8; 32],
    /// Confirmation that is asked for.
    pub reply: Option<StoreReply>,
    /// What is stored.
    pub entry: Entry,
}

impl DatabaseStore {
    /// A store of a RouterInfo.
    #[must_use]
    pub fn router(info: &RouterInfo, reply: Option<StoreReply>) -> Self {
        Self {
            key: info.hash().0,
            reply,
            entry: Entry::Router(info.as_bytes().to_vec()),
        }
    }

    /// A store of a LeaseSet2.
    #[must_use]
    pub fn lease_set2(ls: &LeaseSet2, reply: Option<StoreReply>) -> Self {
        Self {
            key: ls.hash().0,
            reply,
            entry: Entry::LeaseSet2(ls.as_bytes().to_vec()),
        }
    }

    /// A store of a LeaseSet of any type.
    #[must_use]
    pub fn any_lease_set(ls: &AnyLeaseSet, reply: Option<StoreReply>) -> Self {
        let raw = ls.as_bytes().to_vec();
        Self {
            key: ls.hash().0,
            reply,
            entry: match ls.kind() {
                lease_set2::STORE_TYPE => Entry::LeaseSet2(raw),
                kind => Entry::Other(kind, raw),
            },
        }
    }

    /// Parses the body; a RouterInfo is unpacked to at most [`limits::ROUTER_INFO_MAX`] bytes.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let mut r = Reader::new(body);
        let key = r.array("DatabaseStore.key")?;
        // The upper half of the byte is reserved and ignored.
        let kind = r.u8("DatabaseStore.type")? & 0x0f;
        let token = r.u32("DatabaseStore.reply_token")?;
        let reply = if token == 0 {
            None
        } else {
            Some(StoreReply {
                token,
                tunnel: TunnelId(r.u32("DatabaseStore.reply_tunnelId")?),
                gateway: RouterHash(r.array("DatabaseStore.reply_gateway")?),
            })
        };
        let entry = match kind {
            0 => {
                let n = usize::from(r.u16("DatabaseStore.length")?);
                let packed = r.take(n, "DatabaseStore.data")?;
                r.finish("DatabaseStore.data")?;
                Entry::Router(gunzip(packed, limits::ROUTER_INFO_MAX)?.1)
            }
            1 | 3 | 5 | 7 => {
                let data = r.rest().to_vec();
                if data.is_empty() {
                    return Err(WireError::invalid("DatabaseStore.data"));
                }
                if data.len() > limits::LEASE_SET_MAX {
                    return Err(WireError::too_large("DatabaseStore.data"));
                }
                match kind {
                    3 => Entry::LeaseSet2(data),
                    other => Entry::Other(other, data),
                }
            }
            _ => return Err(WireError::invalid("DatabaseStore.type")),
        };
        Ok(Self { key, reply, entry })
    }

    /// The message with this body.
    ///
    /// # Errors
    /// The token is zero, or the entry is too large.
    pub fn to_message(&self, id: MessageId, expires: Date) -> Result<Message> {
        let mut w = Writer::with_capacity(1024);
        let (kind, data) = match &self.entry {
            Entry::Router(b) => (0, b),
            Entry::LeaseSet2(b) => (3, b),
            Entry::Other(k, b) => (*k, b),
        };
        w.put(&self.key).u8(kind);
        match &self.reply {
            None => w.u32(0),
            Some(reply) if reply.token == 0 => {
                return Err(WireError::invalid("DatabaseStore.reply_token"));
            }
            Some(reply) => w.u32(reply.token).u32(reply.tunnel.0).put(&reply.gateway.0),
        };
        if kind == 0 {
            w.len_u16("DatabaseStore.length", |w| {
                w.put(&gzip(GZIP, data));
            })?;
        } else {
            w.put(data);
        }
        if w.len() > limits::I2NP_BODY_MAX {
            return Err(WireError::too_large("DatabaseStore.data"));
        }
        Ok(Message {
            kind: kind::DATABASE_STORE,
            id,
            expires,
            body: w.into_vec(),
        })
    }
}
