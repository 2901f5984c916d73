//! Raw ChaCha20 from block counter 1: other hops' build records, SSU2 headers
//! (i2p spec/tunnel-creation-ecies; RFC 8439 section 2.4).

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};

/// XORs the keystream onto `data`. The nonce is four zero bytes and `n` little endian.
pub fn xor(key: &[u8; 32], n: u64, data: &mut [u8]) {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&n.to_le_bytes());
    xor_with_nonce(key, &nonce, data);
}

/// XORs the keystream of a full 12-byte nonce onto `data`.
pub fn xor_with_nonce(key: &[u8; 32], nonce: &[u8; 12], data: &mut [u8]) {
    let mut cipher = ChaCha20::new(&(*key).into(), &(*nonce).into());
    cipher.seek(64u32);
    cipher.apply_keystream(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8439_section_2_4_2() {
        let key: [u8; 32] = core::array::from_fn(|i| i as u8);
        let nonce: [u8; 12] = hex::decode("000000000000004a00000000")
            .unwrap()
            .try_into()
            .unwrap();
        let mut data = *b"Ladies and Gentlemen of the class of '99";
        xor_with_nonce(&key, &nonce, &mut data);
        assert_eq!(hex::encode(&data[..16]), "6e2e359a2568f98041ba0728dd0d6981");
    }
}
