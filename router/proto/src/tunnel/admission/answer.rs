//! Our record in a build message of either size, and the message that carries our answer on.

use crate::crypto::tunnel_aes::LayerKeys;
use crate::crypto::x25519::PrivateKey;
use crate::garlic::clove::{Block, Clove, Delivery, write_blocks};
use crate::garlic::{self, one_time};
use crate::limits;
use crate::relay::hop::Role;
use crate::rng::Rng;
use crate::time::Date;
use crate::tunnel::record::long::{self, OpenedLong};
use crate::tunnel::record::{self, ACCEPT, Opened, REJECT, RequestRecord};
use crate::wire::hash::{MessageId, RouterHash};
use crate::wire::i2np::tunnel::TunnelGateway;
use crate::wire::i2np::{Message, kind};

/// The records of a build request; `None` when it is none or its length is wrong.
pub fn records(message: &Message) -> Option<core::slice::ChunksExact<'_, u8>> {
    let size = match message.kind {
        kind::SHORT_TUNNEL_BUILD => record::SHORT,
        kind::VARIABLE_TUNNEL_BUILD => long::LONG,
        _ => return None,
    };
    let (count, rest) = message.body.split_first()?;
    let count = usize::from(*count);
    let sound = (1..=limits::BUILD_RECORDS_MAX).contains(&count) && rest.len() == count * size;
    sound.then(|| rest.chunks_exact(size))
}

enum Sized {
    Short(Opened),
    Long(OpenedLong),
}

/// The record that was made for us.
pub struct OurRecord {
    index: usize,
    ephemeral: [u8; 32],
    opened: Sized,
}

impl OurRecord {
    /// Opens the record at `index`.
    pub fn open(
        key: &PrivateKey,
        us: &RouterHash,
        message: &Message,
        index: usize,
    ) -> Option<Self> {
        let bytes = records(message)?.nth(index)?;
        let opened = if message.kind == kind::SHORT_TUNNEL_BUILD {
            Sized::Short(record::open(key, us, bytes.try_into().ok()?)?)
        } else {
            Sized::Long(long::open(key, us, bytes.try_into().ok()?)?)
        };
        Some(Self {
            index,
            ephemeral: *record::ephemeral_of(bytes)?,
            opened,
        })
    }

    /// The key that makes a request this one.
    pub const fn ephemeral(&self) -> &[u8; 32] {
        &self.ephemeral
    }

    /// What is asked.
    pub const fn request(&self) -> &RequestRecord {
        match &self.opened {
            Sized::Short(o) => &o.request,
            Sized::Long(o) => &o.request,
        }
    }

    /// The keys of the layer.
    pub const fn layer(&self) -> &LayerKeys {
        match &self.opened {
            Sized::Short(o) => &o.keys.layer,
            Sized::Long(o) => &o.layer,
        }
    }

    /// Our answer in clear.
    pub fn reply_plain(&self, accept: bool, rng: &mut Rng) -> Vec<u8> {
        let code = if accept { ACCEPT } else { REJECT };
        match &self.opened {
            Sized::Short(_) => record::reply_plain(code, rng).to_vec(),
            Sized::Long(_) => long::reply_plain(code, rng).to_vec(),
        }
    }

    /// What to send where, once our answer has taken the place of our record. `None` when the
    /// message is not the one that was opened.
    pub fn answer(
        &self,
        us: &RouterHash,
        message: &Message,
        plain: &[u8],
        expires: Date,
        rng: &mut Rng,
    ) -> Option<(RouterHash, Message)> {
        let request = self.request();
        let mut next = Message {
            kind: message.kind,
            id: request.next_message,
            expires,
            body: self.answered(&message.body, plain)?,
        };
        if request.role != Role::OutboundEndpoint {
            return Some((request.next, next));
        }
        next.kind = match self.opened {
            Sized::Short(_) => kind::OUTBOUND_TUNNEL_BUILD_REPLY,
            Sized::Long(_) => kind::VARIABLE_TUNNEL_BUILD_REPLY,
        };
        // The gateway of the reply tunnel must not read the reply; we may, it is our own.
        if request.next != *us
            && let Some(garlic) = self.garlic()
        {
            let clove = Block::Clove(Clove {
                delivery: Delivery::Local,
                message: next,
            });
            let payload = write_blocks(&[clove]).ok()?;
            let content = one_time::seal(&garlic.key, &garlic.tag, &payload);
            next = garlic::to_message(&content, MessageId(rng.nonzero_u32()), expires);
        }
        if request.next_id.0 == 0 {
            return Some((request.next, next));
        }
        let gateway = TunnelGateway {
            id: request.next_id,
            inner: next.to_long(),
        };
        let outer = gateway.to_message(MessageId(rng.nonzero_u32()), expires);
        Some((request.next, outer.ok()?))
    }

    const fn garlic(&self) -> Option<&record::GarlicReply> {
        match &self.opened {
            Sized::Short(o) => o.keys.garlic.as_ref(),
            Sized::Long(_) => None,
        }
    }

    /// The body with our answer in place of our record and our layer over all others.
    fn answered(&self, body: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        let mut body = body.to_vec();
        let (_, rest) = body.split_first_mut()?;
        match &self.opened {
            Sized::Short(o) => {
                let (all, _) = rest.as_chunks_mut::<{ record::SHORT }>();
                for (i, record) in all.iter_mut().enumerate() {
                    if i != self.index {
                        o.keys.layer_record(i, record);
                    }
                }
                *all.get_mut(self.index)? = o.keys.seal_reply(self.index, plain.try_into().ok()?);
            }
            Sized::Long(o) => {
                let (all, _) = rest.as_chunks_mut::<{ long::LONG }>();
                for (i, record) in all.iter_mut().enumerate() {
                    if i != self.index {
                        o.layer_record(record);
                    }
                }
                *all.get_mut(self.index)? = o.seal_reply(plain.try_into().ok()?);
            }
        }
        Some(body)
    }
}
