//! Long build records (528 bytes) as a hop sees them: VariableTunnelBuild, which routers use for
//! the first tunnels after a start (i2p spec/tunnel-creation-ecies, long records). Never made here.

use super::{RequestRecord, open_sealed, parse_tail, role_of};
use crate::crypto::aead;
use crate::crypto::aes::CbcEncrypt;
use crate::crypto::tunnel_aes::LayerKeys;
use crate::crypto::x25519::PrivateKey;
use crate::rng::Rng;
use crate::secret::Secret;
use crate::wire::cursor::Reader;
use crate::wire::error::Result;
use crate::wire::hash::{RouterHash, TunnelId};

/// Bytes of a long record.
pub const LONG: usize = 528;
/// Bytes of a long reply in clear; the last one is the code.
pub const LONG_REPLY_PLAIN: usize = 512;

/// A long request that was made for us.
#[derive(Clone)]
pub struct OpenedLong {
    /// The request.
    pub request: RequestRecord,
    /// Additional data of our reply.
    pub ad: [u8; 32],
    /// Key of our reply: the chaining key.
    pub reply: Secret<32>,
    /// The keys of the tunnel's layer, out of the record.
    pub layer: LayerKeys,
    others: (Secret<32>, [u8; 16]),
}

/// Opens a record with our key; `None` when it was not sealed to us or makes no sense.
#[must_use]
pub fn open(own: &PrivateKey, us: &RouterHash, record: &[u8; LONG]) -> Option<OpenedLong> {
    let (noise, plain) = open_sealed(own, us, record)?;
    let (request, layer, others) = parse(&plain).ok()?;
    Some(OpenedLong {
        request,
        ad: *noise.h(),
        reply: noise.ck().clone(),
        layer,
        others,
    })
}

type Parsed = (RequestRecord, LayerKeys, (Secret<32>, [u8; 16]));

fn parse(plain: &[u8]) -> Result<Parsed> {
    let mut r = Reader::new(plain);
    let receive = TunnelId(r.u32("BuildRequest.receive_tunnel")?);
    let next_id = TunnelId(r.u32("BuildRequest.next_tunnel")?);
    let next = RouterHash(r.array("BuildRequest.next_ident")?);
    let layer = Secret::new(r.array("BuildRequest.layer_key")?);
    let iv = Secret::new(r.array("BuildRequest.iv_key")?);
    let reply_key = Secret::new(r.array("BuildRequest.reply_key")?);
    let reply_iv = r.array("BuildRequest.reply_iv")?;
    let role = role_of(r.u8("BuildRequest.flags")?)?;
    r.take(3, "BuildRequest.more_flags")?;
    let tail = parse_tail(&mut r)?;
    let request = RequestRecord::checked(receive, next_id, next, role, 0, tail)?;
    Ok((request, LayerKeys { layer, iv }, (reply_key, reply_iv)))
}

impl OpenedLong {
    /// Our sealed reply; the nonce is 0 wherever the record stands.
    #[must_use]
    pub fn seal_reply(&self, plain: &[u8; LONG_REPLY_PLAIN]) -> [u8; LONG] {
        let sealed = aead::seal(self.reply.expose(), 0, &self.ad, plain);
        let mut record = [0; LONG];
        for (to, from) in record.iter_mut().zip(&sealed) {
            *to = *from;
        }
        record
    }

    /// What we do to every other record.
    pub fn layer_record(&self, record: &mut [u8; LONG]) {
        CbcEncrypt::new(self.others.0.expose(), &self.others.1).encrypt(record);
    }
}

/// A long reply in clear: no options, random bytes, the code.
#[must_use]
pub fn reply_plain(code: u8, rng: &mut Rng) -> [u8; LONG_REPLY_PLAIN] {
    let mut plain = rng.array::<LONG_REPLY_PLAIN>();
    plain[..2].fill(0);
    plain[LONG_REPLY_PLAIN - 1] = code;
    plain
}
