//! ChaCha20-Poly1305 with I2P's nonces: four zero bytes, then the counter little endian
//! (i2p spec/cryptography, ChaCha20-Poly1305; RFC 8439).

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

/// Bytes that sealing adds.
pub const TAG: usize = 16;

fn key_of(key: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, key)
        .ok()
        .map(LessSafeKey::new)
}

fn nonce_of(n: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&n.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// A key that is used more than once; the schedule is kept.
pub struct Key(LessSafeKey);

impl Key {
    /// From 32 bytes.
    ///
    /// # Panics
    /// Never: every 32 bytes are a key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        match key_of(key) {
            Some(k) => Self(k),
            None => unreachable!("a ChaCha20 key is 32 bytes"),
        }
    }

    /// Seals `buf` in place and appends the 16-byte tag.
    pub fn seal(&self, n: u64, ad: &[u8], buf: &mut Vec<u8>) {
        let sealed = self
            .0
            .seal_in_place_append_tag(nonce_of(n), Aad::from(ad), buf);
        assert!(sealed.is_ok(), "sealing fails only beyond 256 GiB");
    }

    /// Opens `buf` in place and cuts the tag off; `false` leaves nothing usable in it.
    #[must_use]
    pub fn open(&self, n: u64, ad: &[u8], buf: &mut Vec<u8>) -> bool {
        let Ok(plain) = self.0.open_in_place(nonce_of(n), Aad::from(ad), buf) else {
            buf.clear();
            return false;
        };
        let len = plain.len();
        buf.truncate(len);
        true
    }
}

/// Seals `plain`; the answer is 16 bytes longer.
#[must_use]
pub fn seal(key: &[u8; 32], n: u64, ad: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut buf = Vec::with_capacity(plain.len() + TAG);
    buf.extend_from_slice(plain);
    Key::new(key).seal(n, ad, &mut buf);
    buf
}

/// Opens `sealed`; `None` when it does not verify.
#[must_use]
pub fn open(key: &[u8; 32], n: u64, ad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let mut buf = sealed.to_vec();
    Key::new(key).open(n, ad, &mut buf).then_some(buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seals_and_opens_and_refuses() {
        let sealed = seal(&[7; 32], 3, b"ad", b"plain");
        assert_eq!(sealed.len(), 5 + TAG);
        assert_eq!(open(&[7; 32], 3, b"ad", &sealed), Some(b"plain".to_vec()));
        assert_eq!(open(&[7; 32], 4, b"ad", &sealed), None);
        assert_eq!(open(&[7; 32], 3, b"", &sealed), None);
        assert_eq!(open(&[7; 32], 3, b"ad", &sealed[..15]), None);
    }
}
