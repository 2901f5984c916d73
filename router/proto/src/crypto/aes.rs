//! AES-256: CBC without padding, and single blocks
//! (i2p spec/cryptography, AES; FIPS 197, SP 800-38A).

use aes::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use aes::{Aes256Dec, Aes256Enc};

/// CBC that keeps its chaining value between calls, encrypting.
pub struct CbcEncrypt(cbc::Encryptor<Aes256Enc>);

/// CBC that keeps its chaining value between calls, decrypting.
pub struct CbcDecrypt(cbc::Decryptor<Aes256Dec>);

impl CbcEncrypt {
    /// From key and first chaining value.
    #[must_use]
    pub fn new(key: &[u8; 32], iv: &[u8; 16]) -> Self {
        Self(cbc::Encryptor::new(&(*key).into(), &(*iv).into()))
    }

    /// Encrypts whole blocks in place.
    ///
    /// # Panics
    /// When `data` is not a multiple of 16 bytes.
    pub fn encrypt(&mut self, data: &mut [u8]) {
        let (blocks, rest) = Array::slice_as_chunks_mut(data);
        assert!(rest.is_empty(), "CBC works on whole blocks");
        self.0.encrypt_blocks(blocks);
    }
}

impl CbcDecrypt {
    /// From key and first chaining value.
    #[must_use]
    pub fn new(key: &[u8; 32], iv: &[u8; 16]) -> Self {
        Self(cbc::Decryptor::new(&(*key).into(), &(*iv).into()))
    }

    /// Decrypts whole blocks in place.
    ///
    /// # Panics
    /// When `data` is not a multiple of 16 bytes.
    pub fn decrypt(&mut self, data: &mut [u8]) {
        let (blocks, rest) = Array::slice_as_chunks_mut(data);
        assert!(rest.is_empty(), "CBC works on whole blocks");
        self.0.decrypt_blocks(blocks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sp800_38a_f_2_5() {
        let key: [u8; 32] =
            hex::decode("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
                .unwrap()
                .try_into()
                .unwrap();
        let iv: [u8; 16] = core::array::from_fn(|i| i as u8);
        let plain = hex::decode(concat!(
            "6bc1bee22e409f96e93d7e117393172a",
            "ae2d8a571e03ac9c9eb76fac45af8e51"
        ))
        .unwrap();
        let mut data = plain.clone();
        let mut enc = CbcEncrypt::new(&key, &iv);
        let (a, b) = data.split_at_mut(16);
        enc.encrypt(a);
        enc.encrypt(b);
        assert_eq!(
            hex::encode(&data),
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
        );
        CbcDecrypt::new(&key, &iv).decrypt(&mut data);
        assert_eq!(data, plain);
    }
}
