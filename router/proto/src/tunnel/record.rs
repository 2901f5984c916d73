//! Tunnel build records: the short ones (218 bytes) from both ends, the long ones at the hop
//! (i2p spec/tunnel-creation-ecies). Not here: who is asked ([`super::admission`] decides for
//! others' requests) and how records are put into a message in layers.

pub mod long;

use crate::crypto::noise::Noise;
use crate::crypto::tunnel_aes::LayerKeys;
use crate::crypto::x25519::PrivateKey;
use crate::crypto::{aead, chacha, hkdf};
use crate::garlic::to_router;
use crate::relay::hop::Role;
use crate::rng::Rng;
use crate::secret::Secret;
use crate::time::Date;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::error::{Result, WireError};
use crate::wire::hash::{MessageId, RouterHash, TunnelId};
use crate::wire::mapping::Mapping;

/// Bytes of a short record.
pub const SHORT: usize = 218;
/// Bytes of a short request in clear.
pub const SHORT_PLAIN: usize = 154;
/// Bytes of a short reply in clear; the last one is the code.
pub const SHORT_REPLY_PLAIN: usize = 202;
/// Bytes of a router hash that say whose record it is.
pub const PREFIX: usize = 16;
/// The only life of a tunnel, in seconds, that routers agree on.
pub const LIFE_SECS: u32 = 600;
/// Reply code: the hop carries the tunnel.
pub const ACCEPT: u8 = 0;
/// Reply code: the hop does not, for whatever reason.
pub const REJECT: u8 = 30;

const FLAG_GATEWAY: u8 = 0x80;
const FLAG_ENDPOINT: u8 = 0x40;
/// Option bytes with their two length bytes at most (i2p spec/tunnel-creation-ecies).
const OPTIONS_MAX: usize = 98;

/// What a creator asks of one hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// Id under which the hop receives.
    pub receive: TunnelId,
    /// The next hop; at an outbound endpoint the router that the reply goes to.
    pub next: RouterHash,
    /// Id at the next hop; at an outbound endpoint the reply tunnel, 0 for the router itself.
    pub next_id: TunnelId,
    /// The hop's part.
    pub role: Role,
    /// Layer encryption; 0 is AES, nothing else is in use.
    pub layer_type: u8,
    /// When the request was made, in minutes since 1970, rounded down.
    pub minutes: u32,
    /// Life in seconds since then.
    pub life_secs: u32,
    /// Id of the message that the hop sends on.
    pub next_message: MessageId,
    /// Options; unreadable ones count as none.
    pub options: Mapping,
}

impl RequestRecord {
    /// The request time of this moment, in minutes.
    #[must_use]
    pub fn minutes_of(date: Date) -> u32 {
        u32::try_from(date.secs() / 60).unwrap_or(u32::MAX)
    }

    /// Parses a short request.
    ///
    /// # Errors
    /// A tunnel id of zero where there has to be one, or both role flags.
    pub fn parse(plain: &[u8; SHORT_PLAIN]) -> Result<Self> {
        let mut r = Reader::new(plain);
        let receive = TunnelId(r.u32("BuildRequest.receive_tunnel")?);
        let next_id = TunnelId(r.u32("BuildRequest.next_tunnel")?);
        let next = RouterHash(r.array("BuildRequest.next_ident")?);
        let role = role_of(r.u8("BuildRequest.flags")?)?;
        r.take(2, "BuildRequest.more_flags")?;
        let layer_type = r.u8("BuildRequest.layer_encryption")?;
        let tail = parse_tail(&mut r)?;
        Self::checked(receive, next_id, next, role, layer_type, tail)
    }

    fn checked(
        receive: TunnelId,
        next_id: TunnelId,
        next: RouterHash,
        role: Role,
        layer_type: u8,
        tail: Tail,
    ) -> Result<Self> {
        if receive.0 == 0 {
            return Err(WireError::invalid("BuildRequest.receive_tunnel"));
        }
        if next_id.0 == 0 && role != Role::OutboundEndpoint {
            return Err(WireError::invalid("BuildRequest.next_tunnel"));
        }
        Ok(Self {
            receive,
            next,
            next_id,
            role,
            layer_type,
            minutes: tail.minutes,
            life_secs: tail.life_secs,
            next_message: tail.next_message,
            options: tail.options,
        })
    }

    /// The short request in clear, filled up with random bytes.
    ///
    /// # Errors
    /// The options are above 98 bytes.
    pub fn to_plain(&self, rng: &mut Rng) -> Result<[u8; SHORT_PLAIN]> {
        let mut w = Writer::with_capacity(SHORT_PLAIN);
        w.u32(self.receive.0).u32(self.next_id.0).put(&self.next.0);
        w.u8(flags_of(self.role)).u16(0).u8(self.layer_type);
        w.u32(self.minutes)
            .u32(self.life_secs)
            .u32(self.next_message.0);
        let before = w.len();
        self.options.write(&mut w)?;
        if w.len() - before > OPTIONS_MAX {
            return Err(WireError::too_large("BuildRequest.options"));
        }
        let mut plain = rng.array::<SHORT_PLAIN>();
        for (to, from) in plain.iter_mut().zip(w.as_slice()) {
            *to = *from;
        }
        Ok(plain)
    }
}

/// The fields that short and long requests end with.
struct Tail {
    minutes: u32,
    life_secs: u32,
    next_message: MessageId,
    options: Mapping,
}

fn parse_tail(r: &mut Reader<'_>) -> Result<Tail> {
    Ok(Tail {
        minutes: r.u32("BuildRequest.request_time")?,
        life_secs: r.u32("BuildRequest.expiration")?,
        next_message: MessageId(r.u32("BuildRequest.next_message")?),
        options: Mapping::read(r).unwrap_or_default(),
    })
}

fn role_of(flags: u8) -> Result<Role> {
    match flags & (FLAG_GATEWAY | FLAG_ENDPOINT) {
        0 => Ok(Role::Participant),
        FLAG_GATEWAY => Ok(Role::InboundGateway),
        FLAG_ENDPOINT => Ok(Role::OutboundEndpoint),
        _ => Err(WireError::invalid("BuildRequest.flags")),
    }
}

const fn flags_of(role: Role) -> u8 {
    match role {
        Role::Participant => 0,
        Role::InboundGateway => FLAG_GATEWAY,
        Role::OutboundEndpoint => FLAG_ENDPOINT,
    }
}

/// Key and tag of the garlic that the endpoint wraps its reply in.
#[derive(Clone)]
pub struct GarlicReply {
    /// Key.
    pub key: Secret<32>,
    /// Tag.
    pub tag: [u8; 8],
}

/// What both ends of a short record know after it was sealed or opened.
#[derive(Clone)]
pub struct RecordKeys {
    /// Additional data of the hop's reply: the handshake hash after the ciphertext.
    pub ad: [u8; 32],
    /// Key of the hop's reply and of the stream over the other records.
    pub reply: Secret<32>,
    /// The keys of the tunnel's layer.
    pub layer: LayerKeys,
    /// At an outbound endpoint only.
    pub garlic: Option<GarlicReply>,
}

/// A request on its way to a hop, and what its creator keeps.
#[derive(Clone)]
pub struct SealedRequest {
    /// The record before any other hop's layer.
    pub record: [u8; SHORT],
    /// Keys shared with the hop.
    pub keys: RecordKeys,
}

/// A request that was made for us.
#[derive(Clone)]
pub struct Opened {
    /// The request.
    pub request: RequestRecord,
    /// Keys shared with the creator.
    pub keys: RecordKeys,
}

/// Seals a request to a hop's encryption key. The ephemeral key is used for nothing else.
///
/// # Errors
/// The options are too long, or the hop's key is of small order.
pub fn seal(
    request: &RequestRecord,
    hop_key: &[u8; 32],
    hop: &RouterHash,
    ephemeral: &PrivateKey,
    rng: &mut Rng,
) -> Result<SealedRequest> {
    let plain = request.to_plain(rng)?;
    seal_plain(&plain, request.role, hop_key, hop, ephemeral)
        .ok_or(WireError::invalid("BuildRequest.hop_key"))
}

/// [`seal`] of given bytes.
#[must_use]
pub fn seal_plain(
    plain: &[u8; SHORT_PLAIN],
    role: Role,
    hop_key: &[u8; 32],
    hop: &RouterHash,
    ephemeral: &PrivateKey,
) -> Option<SealedRequest> {
    let mut noise = to_router::initial(hop_key);
    noise.mix_hash(ephemeral.public());
    let key = noise.mix_key(&ephemeral.agree(hop_key)?);
    let sealed = noise.seal(&key, 0, plain);
    let mut record = [0; SHORT];
    let bytes = hop.0.iter().take(PREFIX).chain(ephemeral.public());
    for (to, from) in record.iter_mut().zip(bytes.chain(&sealed)) {
        *to = *from;
    }
    Some(SealedRequest {
        record,
        keys: derive(&noise, role),
    })
}

/// Opens a record with our key; `None` when it was not sealed to us or makes no sense.
#[must_use]
pub fn open(own: &PrivateKey, us: &RouterHash, record: &[u8; SHORT]) -> Option<Opened> {
    let (noise, plain) = open_sealed(own, us, record)?;
    let plain = <[u8; SHORT_PLAIN]>::try_from(plain).ok()?;
    let request = RequestRecord::parse(&plain).ok()?;
    Some(Opened {
        keys: derive(&noise, request.role),
        request,
    })
}

/// Whether the record is addressed to this router.
#[must_use]
pub fn is_for(router: &RouterHash, record: &[u8]) -> bool {
    record.get(..PREFIX) == router.0.get(..PREFIX)
}

/// The ephemeral key of a record.
#[must_use]
pub fn ephemeral_of(record: &[u8]) -> Option<&[u8; 32]> {
    record.get(PREFIX..)?.first_chunk()
}

fn open_sealed(own: &PrivateKey, us: &RouterHash, record: &[u8]) -> Option<(Noise, Vec<u8>)> {
    if !is_for(us, record) {
        return None;
    }
    let (ephemeral, sealed) = record.get(PREFIX..)?.split_first_chunk::<32>()?;
    let mut noise = to_router::initial(own.public());
    noise.mix_hash(ephemeral);
    let key = noise.mix_key(&own.agree(ephemeral)?);
    let plain = noise.open(&key, 0, sealed)?;
    Some((noise, plain))
}

/// The chain of short records' keys; an endpoint's is longer (i2p spec/tunnel-creation-ecies, KDF).
fn derive(noise: &Noise, role: Role) -> RecordKeys {
    let (ck, reply) = hkdf::hkdf2(noise.ck().expose(), &[], b"SMTunnelReplyKey");
    let (ck, layer) = hkdf::hkdf2(ck.expose(), &[], b"SMTunnelLayerKey");
    let (iv, garlic) = if role == Role::OutboundEndpoint {
        let (ck, iv) = hkdf::hkdf2(ck.expose(), &[], b"TunnelLayerIVKey");
        let (tag, key) = hkdf::hkdf2(ck.expose(), &[], b"RGarlicKeyAndTag");
        let tag = tag.expose().first_chunk().copied().unwrap_or_default();
        (iv, Some(GarlicReply { key, tag }))
    } else {
        (ck, None)
    };
    RecordKeys {
        ad: *noise.h(),
        reply,
        layer: LayerKeys { layer, iv },
        garlic,
    }
}

impl RecordKeys {
    /// The hop's sealed reply at this index of the message.
    #[must_use]
    pub fn seal_reply(&self, index: usize, plain: &[u8; SHORT_REPLY_PLAIN]) -> [u8; SHORT] {
        let sealed = aead::seal(self.reply.expose(), index as u64, &self.ad, plain);
        let mut record = [0; SHORT];
        for (to, from) in record.iter_mut().zip(&sealed) {
            *to = *from;
        }
        record
    }

    /// The reply code of the hop's record at this index, every later hop's layer taken off;
    /// `None` when it does not verify.
    #[must_use]
    pub fn open_reply(&self, index: usize, record: &[u8; SHORT]) -> Option<u8> {
        aead::open(self.reply.expose(), index as u64, &self.ad, record)?
            .last()
            .copied()
    }

    /// What the hop does to another record at this index, and what undoes it.
    pub fn layer_record(&self, index: usize, record: &mut [u8; SHORT]) {
        chacha::xor(self.reply.expose(), index as u64, record);
    }
}

/// A short reply in clear: no options, random bytes, the code.
#[must_use]
pub fn reply_plain(code: u8, rng: &mut Rng) -> [u8; SHORT_REPLY_PLAIN] {
    let mut plain = rng.array::<SHORT_REPLY_PLAIN>();
    plain[..2].fill(0);
    plain[SHORT_REPLY_PLAIN - 1] = code;
    plain
}

#[cfg(test)]
mod tests;
