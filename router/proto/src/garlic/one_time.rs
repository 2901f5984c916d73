//! Garlic under a key and a tag that are used once: replies to lookups and to outbound builds
//! (i2p spec/ecies-routers, Reply encryption; spec/tunnel-creation-ecies, OTBRM).

use crate::crypto::aead;
use crate::secret::Secret;

/// Seals a payload: the 8-byte tag, then the ciphertext with the tag as additional data, nonce 0.
#[must_use]
pub fn seal(key: &Secret<32>, tag: &[u8; 8], payload: &[u8]) -> Vec<u8> {
    let mut out = tag.to_vec();
    out.extend_from_slice(&aead::seal(key.expose(), 0, tag, payload));
    out
}

/// Opens what [`seal`] made; `None` when it is of another tag or does not verify.
#[must_use]
pub fn open(key: &Secret<32>, tag: &[u8; 8], content: &[u8]) -> Option<Vec<u8>> {
    let (have, sealed) = content.split_at_checked(8)?;
    if have != tag {
        return None;
    }
    aead::open(key.expose(), 0, tag, sealed)
}
