//! SipHash-2-4 and NTCP2's length mask (i2p spec/ntcp2, SipHash obfuscated length).

use siphasher::sip::SipHasher24;
use std::hash::Hasher;

/// SipHash-2-4 of `data`; both key halves little endian.
#[must_use]
pub fn siphash24(key: &[u8; 16], data: &[u8]) -> u64 {
    let mut h = SipHasher24::new_with_key(key);
    h.write(data);
    h.finish()
}

/// The running mask of frame lengths in one direction.
#[derive(Clone)]
pub struct LengthMask {
    key: [u8; 16],
    iv: [u8; 8],
}

impl LengthMask {
    /// From the 32 bytes of derivation: two key halves (16 bytes), then the IV (8 bytes).
    #[must_use]
    pub fn new(material: &[u8; 32]) -> Self {
        let (mut key, mut iv) = ([0; 16], [0; 8]);
        key.copy_from_slice(&material[..16]);
        iv.copy_from_slice(&material[16..24]);
        Self { key, iv }
    }

    /// The mask of the next frame's length: XOR it onto the big-endian number.
    pub fn next_mask(&mut self) -> u16 {
        self.iv = siphash24(&self.key, &self.iv).to_le_bytes();
        u16::from_le_bytes([self.iv[0], self.iv[1]])
    }
}

impl Drop for LengthMask {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_vector_of_the_paper() {
        let key: [u8; 16] = core::array::from_fn(|i| i as u8);
        let data: Vec<u8> = (0..15).collect();
        assert_eq!(siphash24(&key, &data), 0xa129_ca61_49be_45e5);
    }
}
