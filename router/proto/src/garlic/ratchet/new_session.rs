//! The handshake: New Session and New Session Reply, a Noise IK whose ephemeral keys look random
//! (i2p spec/ecies, sections 1b to 1g).
//!
//! Pure functions of keys and bytes; which session comes of them is [`super::peer`]'s business.

use super::tagset::{Tag, TagSet};
use crate::crypto::aead;
use crate::crypto::elligator2;
use crate::crypto::hkdf::hkdf1;
use crate::crypto::noise::Noise;
use crate::crypto::x25519::PrivateKey;
use crate::rng::Rng;

/// 40 bytes, hashed. "hs2": a tag is mixed in before the second message.
const NAME: &[u8] = b"Noise_IKelg2+hs2_25519_ChaChaPoly_SHA256";
/// Ephemeral key, sealed static key, MAC of the payload.
pub const NEW_SESSION_MIN: usize = 32 + 32 + aead::TAG + aead::TAG;

/// An ephemeral key and the random-looking form it is sent in.
pub struct Ephemeral {
    /// The key.
    pub key: PrivateKey,
    /// Its Elligator2 representative.
    pub representative: [u8; 32],
}

impl Ephemeral {
    /// A new one.
    #[must_use]
    pub fn random(rng: &mut Rng) -> Self {
        let (key, representative) = elligator2::random_key(rng);
        Self {
            key,
            representative,
        }
    }
}

/// The two tag sets of a session: Alice, who began it, to Bob, and back.
pub struct Pair {
    /// Alice to Bob.
    pub ab: TagSet,
    /// Bob to Alice.
    pub ba: TagSet,
}

/// An opened New Session.
pub struct Received {
    /// The handshake after it.
    pub noise: Noise,
    /// Alice's ephemeral key, decoded.
    pub ephemeral: [u8; 32],
    /// Alice's static key; `None` when she wants no session.
    pub from: Option<[u8; 32]>,
    /// The blocks.
    pub payload: Vec<u8>,
}

/// The handshake towards the holder of this static key, before any message.
#[must_use]
pub fn initial(bob: &[u8; 32]) -> Noise {
    let mut noise = Noise::new(NAME);
    noise.mix_hash(bob);
    noise
}

/// Alice seals a New Session with her static key in it; the answer is the content and the
/// handshake after it. `None` when Bob's key is of small order.
#[must_use]
pub fn seal(
    own: &PrivateKey,
    bob: &[u8; 32],
    ephemeral: &Ephemeral,
    payload: &[u8],
) -> Option<(Vec<u8>, Noise)> {
    let mut noise = initial(bob);
    noise.mix_hash(ephemeral.key.public());
    let mut out = Vec::with_capacity(NEW_SESSION_MIN + payload.len());
    out.extend_from_slice(&ephemeral.representative);
    let key = noise.mix_key(&ephemeral.key.agree(bob)?);
    out.extend_from_slice(&noise.seal(&key, 0, own.public()));
    let key = noise.mix_key(&own.agree(bob)?);
    out.extend_from_slice(&noise.seal(&key, 0, payload));
    Some((out, noise))
}

/// The decoded ephemeral key of what may be a New Session.
#[must_use]
pub fn ephemeral_of(content: &[u8]) -> Option<[u8; 32]> {
    content.first_chunk().map(elligator2::decode)
}

/// Bob opens a New Session whose ephemeral key is already decoded.
#[must_use]
pub fn open(own: &PrivateKey, ephemeral: [u8; 32], content: &[u8]) -> Option<Received> {
    let (section, payload) = content.get(32..)?.split_at_checked(32 + aead::TAG)?;
    let mut noise = initial(own.public());
    noise.mix_hash(&ephemeral);
    let key = noise.mix_key(&own.agree(&ephemeral)?);
    let from = <[u8; 32]>::try_from(noise.open(&key, 0, section)?).ok()?;
    if from == [0; 32] {
        let payload = noise.open(&key, 1, payload)?;
        return Some(Received {
            noise,
            ephemeral,
            from: None,
            payload,
        });
    }
    let key = noise.mix_key(&own.agree(&from)?);
    let payload = noise.open(&key, 0, payload)?;
    Some(Received {
        noise,
        ephemeral,
        from: Some(from),
        payload,
    })
}

/// The tag set of the replies to a New Session, from the handshake after it.
#[must_use]
pub fn reply_tags(noise: &Noise) -> TagSet {
    let k = hkdf1(noise.ck().expose(), &[], b"SessionReplyTags");
    TagSet::new(0, noise.ck(), &k)
}

/// Bob seals a New Session Reply under a tag of [`reply_tags`], with a fresh ephemeral key.
#[must_use]
pub fn seal_reply(
    after: &Noise,
    alice: (&[u8; 32], &[u8; 32]),
    tag: &Tag,
    ephemeral: &Ephemeral,
    payload: &[u8],
) -> Option<(Vec<u8>, Pair)> {
    let (alice_ephemeral, alice_static) = alice;
    let mut noise = after.clone();
    noise.mix_hash(tag);
    noise.mix_hash(ephemeral.key.public());
    // ee makes no cipher key: only the chaining key of this step goes on.
    noise.mix_key(&ephemeral.key.agree(alice_ephemeral)?);
    let key = noise.mix_key(&ephemeral.key.agree(alice_static)?);
    let mut out = Vec::with_capacity(72 + payload.len());
    out.extend_from_slice(tag);
    out.extend_from_slice(&ephemeral.representative);
    out.extend_from_slice(&noise.seal(&key, 0, &[]));
    let (pair, payload_key) = split(&noise);
    let sealed = aead::seal(payload_key.expose(), 0, noise.h(), payload);
    out.extend_from_slice(&sealed);
    Some((out, pair))
}

/// Alice opens a New Session Reply to the New Session that left the handshake in `after`.
#[must_use]
pub fn open_reply(
    after: &Noise,
    own: &PrivateKey,
    ephemeral: &PrivateKey,
    content: &[u8],
) -> Option<(Vec<u8>, Pair)> {
    let (tag, rest) = content.split_first_chunk::<8>()?;
    let (representative, rest) = rest.split_first_chunk::<32>()?;
    let (section, sealed) = rest.split_at_checked(aead::TAG)?;
    let bob = elligator2::decode(representative);
    let mut noise = after.clone();
    noise.mix_hash(tag);
    noise.mix_hash(&bob);
    noise.mix_key(&ephemeral.agree(&bob)?);
    let key = noise.mix_key(&own.agree(&bob)?);
    if !noise.open(&key, 0, section)?.is_empty() {
        return None;
    }
    let (pair, payload_key) = split(&noise);
    let payload = aead::open(payload_key.expose(), 0, noise.h(), sealed)?;
    Some((payload, pair))
}

/// The tag sets of both directions and the key of the reply's payload.
fn split(noise: &Noise) -> (Pair, crate::secret::Secret<32>) {
    let (k_ab, k_ba) = noise.split();
    let payload_key = hkdf1(k_ba.expose(), &[], b"AttachPayloadKDF");
    let pair = Pair {
        ab: TagSet::new(0, noise.ck(), &k_ab),
        ba: TagSet::new(0, noise.ck(), &k_ba),
    };
    (pair, payload_key)
}
