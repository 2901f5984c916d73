//! HKDF-SHA256 as I2P and Noise use it: one extraction, one or two outputs
//! (i2p spec/ecies, HKDF; RFC 5869).

use crate::secret::Secret;
use aws_lc_rs::hmac;

/// HMAC-SHA256 over the concatenation of `parts`.
#[must_use]
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut ctx = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for p in parts {
        ctx.update(p);
    }
    let mut out = [0; 32];
    out.copy_from_slice(ctx.sign().as_ref());
    out
}

/// 32 bytes out of `salt`, key material and `info`.
#[must_use]
pub fn hkdf1(salt: &[u8; 32], ikm: &[u8], info: &[u8]) -> Secret<32> {
    let prk = Secret::new(hmac_sha256(salt, &[ikm]));
    Secret::new(hmac_sha256(prk.expose(), &[info, &[1]]))
}

/// 64 bytes out of `salt`, key material and `info`, as two halves.
#[must_use]
pub fn hkdf2(salt: &[u8; 32], ikm: &[u8], info: &[u8]) -> (Secret<32>, Secret<32>) {
    let prk = Secret::new(hmac_sha256(salt, &[ikm]));
    let a = hmac_sha256(prk.expose(), &[info, &[1]]);
    let b = hmac_sha256(prk.expose(), &[&a, info, &[2]]);
    (Secret::new(a), Secret::new(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5869_case_1_with_a_padded_salt() {
        // HMAC pads keys with zeros, so the 13-byte salt of the RFC is the same as 32 bytes.
        let mut salt = [0; 32];
        for (i, b) in salt.iter_mut().take(13).enumerate() {
            *b = i as u8;
        }
        let info = hex::decode("f0f1f2f3f4f5f6f7f8f9").unwrap();
        let (a, b) = hkdf2(&salt, &[0x0b; 22], &info);
        let okm = hex::decode(concat!(
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
            "34007208d5b887185865"
        ))
        .unwrap();
        assert_eq!(a.expose(), &okm[..32]);
        assert_eq!(&b.expose()[..10], &okm[32..]);
        assert_eq!(hkdf1(&salt, &[0x0b; 22], &info).expose(), a.expose());
    }
}
