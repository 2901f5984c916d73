//! Old public-key cryptography over big integers, on public values only: RSA verification of
//! reseed files (i2p spec/updates, SU3 signature).

use num_bigint::BigUint;
use subtle::ConstantTimeEq;

/// Verifies an RSA signature whose padded block holds the bare digest: PKCS#1 block type 1
/// (00 01 ff… 00) and no DigestInfo. All bytes of the block are compared.
#[must_use]
pub fn rsa_verify_bare(modulus: &[u8], exponent: &[u8], digest: &[u8], signature: &[u8]) -> bool {
    let n = BigUint::from_bytes_be(modulus);
    let size = n.bits().div_ceil(8) as usize;
    if signature.len() != size || size < digest.len() + 11 {
        return false;
    }
    let s = BigUint::from_bytes_be(signature);
    if s >= n {
        return false;
    }
    let opened = s
        .modpow(&BigUint::from_bytes_be(exponent), &n)
        .to_bytes_be();
    let mut block = vec![0; size - opened.len()];
    block.extend_from_slice(&opened);
    let mut expected = vec![0xff; size];
    if let [a, b, ..] = expected.as_mut_slice() {
        (*a, *b) = (0, 1);
    }
    let at = size - digest.len();
    expected.truncate(at - 1);
    expected.push(0);
    expected.extend_from_slice(digest);
    block.ct_eq(&expected).into()
}
