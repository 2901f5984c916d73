//! Garlic to a router: Noise N, one message, no session (i2p spec/ecies-routers).

use crate::crypto::noise::Noise;
use crate::crypto::x25519::PrivateKey;
use crate::rng::Rng;

/// 31 bytes: padded with one zero, not hashed.
const NAME: &[u8] = b"Noise_N_25519_ChaChaPoly_SHA256";

/// The Noise state of a message to the router with this static key, before the ephemeral key.
/// Build records start from the same state (i2p spec/tunnel-creation-ecies).
#[must_use]
pub fn initial(static_public: &[u8; 32]) -> Noise {
    let mut noise = Noise::new(NAME);
    noise.mix_hash(static_public);
    noise
}

/// Seals a payload to a router's X25519 key: the ephemeral key (32 bytes), then the ciphertext.
/// `None` when the router's key is of small order.
#[must_use]
pub fn seal(static_public: &[u8; 32], payload: &[u8], rng: &mut Rng) -> Option<Vec<u8>> {
    seal_with(static_public, &PrivateKey::random(rng), payload)
}

/// [`seal`] under a given ephemeral key.
#[must_use]
pub fn seal_with(to: &[u8; 32], ephemeral: &PrivateKey, payload: &[u8]) -> Option<Vec<u8>> {
    let mut noise = initial(to);
    noise.mix_hash(ephemeral.public());
    let key = noise.mix_key(&ephemeral.agree(to)?);
    let mut out = ephemeral.public().to_vec();
    out.extend_from_slice(&noise.seal(&key, 0, payload));
    Some(out)
}

/// Opens what [`seal`] made, with our static key.
#[must_use]
pub fn open(own: &PrivateKey, content: &[u8]) -> Option<Vec<u8>> {
    let (ephemeral, sealed) = content.split_first_chunk::<32>()?;
    let mut noise = initial(own.public());
    noise.mix_hash(ephemeral);
    let key = noise.mix_key(&own.agree(ephemeral)?);
    noise.open(&key, 0, sealed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_router_opens_it() {
        let mut rng = Rng::from_number(1);
        let (a, b) = (PrivateKey::random(&mut rng), PrivateKey::random(&mut rng));
        let sealed = seal(a.public(), b"payload", &mut rng).unwrap();
        assert_eq!(open(&a, &sealed).unwrap(), b"payload");
        assert!(open(&b, &sealed).is_none());
        for n in 0..sealed.len() {
            assert!(open(&a, &sealed[..n]).is_none());
        }
    }
}
