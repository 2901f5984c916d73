//! DatabaseSearchReply (i2p spec/i2np, DatabaseSearchReply): "I do not have it, ask these".

use super::{Message, kind};
use crate::time::Date;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::error::Result;
use crate::wire::hash::{MessageId, RouterHash};

/// A DatabaseSearchReply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseSearchReply {
    /// The key that was looked up.
    pub key: [u8; 32],
    /// Routers near the key, at most 255.
    pub peers: Vec<RouterHash>,
    /// Who says so; not authenticated.
    pub from: RouterHash,
}

impl DatabaseSearchReply {
    /// Parses the body.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let mut r = Reader::new(body);
        let key = r.array("DatabaseSearchReply.key")?;
        let count = usize::from(r.u8("DatabaseSearchReply.num")?);
        let mut list = r.sub(32 * count, "DatabaseSearchReply.peer_hashes")?;
        let mut peers = Vec::with_capacity(count);
        while !list.is_empty() {
            peers.push(RouterHash(list.array("DatabaseSearchReply.peer_hashes")?));
        }
        let from = RouterHash(r.array("DatabaseSearchReply.from")?);
        r.finish("DatabaseSearchReply")?;
        Ok(Self { key, peers, from })
    }

    /// The message with this body; peers beyond 255 are left out.
    #[must_use]
    pub fn to_message(&self, id: MessageId, expires: Date) -> Message {
        let peers = self.peers.iter().take(255);
        let mut w = Writer::with_capacity(65 + 32 * peers.len());
        w.put(&self.key).u8(peers.len() as u8);
        for hash in peers {
            w.put(&hash.0);
        }
        w.put(&self.from.0);
        Message {
            kind: kind::DATABASE_SEARCH_REPLY,
            id,
            expires,
            body: w.into_vec(),
        }
    }
}
