//! The cipher of one tunnel layer: IV encrypted, body in CBC, IV encrypted again
//! (i2p spec/tunnel-message, Participant Processing).

use crate::secret::Secret;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes256Dec, Aes256Enc};

/// Bytes of a cell without its tunnel id: IV (16) and body (1008).
pub const CELL: usize = 1024;

/// The two keys of a hop.
#[derive(Clone)]
pub struct LayerKeys {
    /// AES-256 key of the body.
    pub layer: Secret<32>,
    /// AES-256 key of the IV.
    pub iv: Secret<32>,
}

impl LayerKeys {
    /// What a hop does: adds its layer.
    pub fn encrypt(&self, cell: &mut [u8; CELL]) {
        let iv_cipher = Aes256Enc::new(&(*self.iv.expose()).into());
        let (iv, body) = cell.split_at_mut(16);
        crypt_iv(iv, |b| iv_cipher.encrypt_block(b));
        super::aes::CbcEncrypt::new(self.layer.expose(), &as_iv(iv)).encrypt(body);
        crypt_iv(iv, |b| iv_cipher.encrypt_block(b));
    }

    /// What the creator does: takes a hop's layer off, or applies it before sending.
    pub fn decrypt(&self, cell: &mut [u8; CELL]) {
        let iv_cipher = Aes256Dec::new(&(*self.iv.expose()).into());
        let (iv, body) = cell.split_at_mut(16);
        crypt_iv(iv, |b| iv_cipher.decrypt_block(b));
        super::aes::CbcDecrypt::new(self.layer.expose(), &as_iv(iv)).decrypt(body);
        crypt_iv(iv, |b| iv_cipher.decrypt_block(b));
    }
}

fn as_iv(iv: &[u8]) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(iv);
    out
}

fn crypt_iv(iv: &mut [u8], f: impl FnOnce(&mut aes::Block)) {
    let mut block = aes::Block::from(as_iv(iv));
    f(&mut block);
    iv.copy_from_slice(&block);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_comes_off_again() {
        let keys = LayerKeys {
            layer: [1; 32].into(),
            iv: [2; 32].into(),
        };
        let mut cell = [0; CELL];
        for (i, b) in cell.iter_mut().enumerate() {
            *b = i as u8;
        }
        let before = cell;
        keys.encrypt(&mut cell);
        assert_ne!(cell, before);
        keys.decrypt(&mut cell);
        assert_eq!(cell, before);
    }
}
