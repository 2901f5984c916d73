//! DatabaseLookup (i2p spec/i2np, DatabaseLookup): a question to a floodfill.
//!
//! Replies encrypted with AES for ElGamal routers are not supported: no such router is left.

use super::{Message, kind};
use crate::limits;
use crate::secret::Secret;
use crate::time::Date;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::error::{Cause, Result, WireError};
use crate::wire::hash::{MessageId, RouterHash, TunnelId};

/// Flag bit 0: reply to a tunnel.
const TUNNEL: u8 = 1;
/// Flag bit 1: AES reply; with bit 4, a reply under a key agreement that nobody defined.
const AES: u8 = 1 << 1;
/// Flag bit 4: reply as one-time garlic.
const ECIES: u8 = 1 << 4;

/// What is looked up (flag bits 3-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupKind {
    /// Anything under the key; deprecated.
    Any,
    /// A LeaseSet of any type.
    LeaseSet,
    /// A RouterInfo.
    Router,
    /// Routers near the key that are not floodfills.
    Explore,
}

/// Key and tag that the reply is sealed with, see [`crate::garlic::one_time`].
#[derive(Clone)]
pub struct ReplyKey {
    /// Key of one message.
    pub key: Secret<32>,
    /// Its tag.
    pub tag: [u8; 8],
}

/// A DatabaseLookup.
#[derive(Clone)]
pub struct DatabaseLookup {
    /// Hash of what is looked up (not the routing key).
    pub key: [u8; 32],
    /// What it is.
    pub kind: LookupKind,
    /// Who asks, or the gateway of the reply tunnel.
    pub from: RouterHash,
    /// Reply tunnel at `from`; `None`: straight to `from`.
    pub tunnel: Option<TunnelId>,
    /// Routers not to be named in a search reply, at most [`limits::LOOKUP_EXCLUDED_MAX`].
    pub excluded: Vec<RouterHash>,
    /// Encryption of the reply.
    pub reply_key: Option<ReplyKey>,
}

impl DatabaseLookup {
    /// Parses the body.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let mut r = Reader::new(body);
        let key = r.array("DatabaseLookup.key")?;
        let from = RouterHash(r.array("DatabaseLookup.from")?);
        let flags = r.u8("DatabaseLookup.flags")?;
        let tunnel = if flags & TUNNEL == 0 {
            None
        } else {
            Some(TunnelId(r.u32("DatabaseLookup.reply_tunnelId")?))
        };
        let count = usize::from(r.u16("DatabaseLookup.size")?);
        if count > limits::LOOKUP_EXCLUDED_MAX {
            return Err(WireError::too_large("DatabaseLookup.size"));
        }
        let mut list = r.sub(32 * count, "DatabaseLookup.excludedPeers")?;
        let mut excluded = Vec::with_capacity(count);
        while !list.is_empty() {
            excluded.push(RouterHash(list.array("DatabaseLookup.excludedPeers")?));
        }
        if flags & AES != 0 {
            return Err(WireError::new("DatabaseLookup.flags", Cause::Unsupported));
        }
        let reply_key = if flags & ECIES == 0 {
            None
        } else {
            let key = Secret::new(r.array("DatabaseLookup.reply_key")?);
            if r.u8("DatabaseLookup.tags")? != 1 {
                return Err(WireError::invalid("DatabaseLookup.tags"));
            }
            let tag = r.array("DatabaseLookup.reply_tags")?;
            Some(ReplyKey { key, tag })
        };
        r.finish("DatabaseLookup")?;
        let kind = match (flags >> 2) & 3 {
            0 => LookupKind::Any,
            1 => LookupKind::LeaseSet,
            2 => LookupKind::Router,
            _ => LookupKind::Explore,
        };
        Ok(Self {
            key,
            kind,
            from,
            tunnel,
            excluded,
            reply_key,
        })
    }

    /// The message with this body; routers excluded beyond the limit are left out.
    #[must_use]
    pub fn to_message(&self, id: MessageId, expires: Date) -> Message {
        let mut w = Writer::with_capacity(128 + 32 * self.excluded.len());
        let kind_bits = match self.kind {
            LookupKind::Any => 0,
            LookupKind::LeaseSet => 1,
            LookupKind::Router => 2,
            LookupKind::Explore => 3,
        };
        let flags = (u8::from(self.tunnel.is_some()) * TUNNEL)
            | (kind_bits << 2)
            | (u8::from(self.reply_key.is_some()) * ECIES);
        w.put(&self.key).put(&self.from.0).u8(flags);
        if let Some(tunnel) = self.tunnel {
            w.u32(tunnel.0);
        }
        let excluded = self.excluded.iter().take(limits::LOOKUP_EXCLUDED_MAX);
        w.u16(excluded.len() as u16);
        for hash in excluded {
            w.put(&hash.0);
        }
        if let Some(reply) = &self.reply_key {
            w.put(reply.key.expose()).u8(1).put(&reply.tag);
        }
        Message {
            kind: kind::DATABASE_LOOKUP,
            id,
            expires,
            body: w.into_vec(),
        }
    }
}
