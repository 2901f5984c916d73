//! The symmetric state of Noise, shared by all handshakes
//! (Noise revision 34 section 5.2; i2p spec/ntcp2, spec/ecies, spec/tunnel-creation-ecies).

use super::{aead, hkdf};
use crate::secret::Secret;
use crate::wire::hash::sha256;

/// Handshake hash and chaining key.
#[derive(Clone)]
pub struct Noise {
    h: [u8; 32],
    ck: Secret<32>,
}

impl Noise {
    /// Starts from a protocol name: hashed when it is longer than 32 bytes, else padded with
    /// zeros. The null prologue is mixed in.
    #[must_use]
    pub fn new(protocol_name: &[u8]) -> Self {
        let mut name = [0; 32];
        if protocol_name.len() > 32 {
            name = sha256(&[protocol_name]);
        } else {
            for (d, s) in name.iter_mut().zip(protocol_name) {
                *d = *s;
            }
        }
        let mut out = Self {
            h: name,
            ck: Secret::new(name),
        };
        out.mix_hash(&[]);
        out
    }

    /// The handshake hash.
    #[must_use]
    pub const fn h(&self) -> &[u8; 32] {
        &self.h
    }

    /// The chaining key.
    #[must_use]
    pub const fn ck(&self) -> &Secret<32> {
        &self.ck
    }

    /// h = SHA256(h ‖ data).
    pub fn mix_hash(&mut self, data: &[u8]) {
        self.h = sha256(&[&self.h, data]);
    }

    /// Mixes a shared secret into the chaining key; the answer is the new cipher key, whose
    /// nonce starts at 0.
    pub fn mix_key(&mut self, shared: &Secret<32>) -> Secret<32> {
        let (ck, k) = hkdf::hkdf2(self.ck.expose(), shared.expose(), &[]);
        self.ck = ck;
        k
    }

    /// Seals with the handshake hash as additional data, then mixes the ciphertext in.
    #[must_use]
    pub fn seal(&mut self, key: &Secret<32>, n: u64, plain: &[u8]) -> Vec<u8> {
        let out = aead::seal(key.expose(), n, &self.h, plain);
        self.mix_hash(&out);
        out
    }

    /// Opens with the handshake hash as additional data, then mixes the ciphertext in. On `None`
    /// the state is unchanged.
    #[must_use]
    pub fn open(&mut self, key: &Secret<32>, n: u64, sealed: &[u8]) -> Option<Vec<u8>> {
        let out = aead::open(key.expose(), n, &self.h, sealed)?;
        self.mix_hash(sealed);
        Some(out)
    }

    /// The two transport keys: initiator to responder, responder to initiator.
    #[must_use]
    pub fn split(&self) -> (Secret<32>, Secret<32>) {
        hkdf::hkdf2(self.ck.expose(), &[], &[])
    }
}
