//! Old public-key cryptography over big integers, on public values only: RSA verification of
//! reseed files (i2p spec/updates, SU3 signature), DSA verification of old destinations (i2p
//! spec/cryptography, DSA).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use num_bigint::BigUint;
use std::sync::LazyLock;
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

/// The one set of DSA parameters of the network.
struct DsaGroup {
    p: BigUint,
    q: BigUint,
    g: BigUint,
}

static DSA: LazyLock<DsaGroup> = LazyLock::new(|| {
    let number =
        |hex: &[&str]| BigUint::parse_bytes(hex.concat().as_bytes(), 16).unwrap_or_default();
    DsaGroup {
        p: number(&[
            "9C05B2AA960D9B97B8931963C9CC9E8C3026E9B8ED92FAD0A69CC886D5BF8015",
            "FCADAE31A0AD18FAB3F01B00A358DE237655C4964AFAA2B337E96AD316B9FB1C",
            "C564B5AEC5B69A9FF6C3E4548707FEF8503D91DD8602E867E6D35D2235C1869C",
            "E2479C3B9D5401DE04E0727FB33D6511285D4CF29538D9E3B6051F5B22CC1C93",
        ]),
        q: number(&["A5DFC28FEF4CA1E286744CD8EED9D29D684046B7"]),
        g: number(&[
            "0C1F4D27D40093B429E962D7223824E0BBC47E7C832A39236FC683AF84889581",
            "075FF9082ED32353D4374D7301CDA1D23C431F4698599DDA02451824FF369752",
            "593647CC3DDC197DE985E43D136CDCFC6BD5409CD2F450821142A5E6F8EB1C3A",
            "B5D0484B8129FCF17BCE4F7F33321C3CB3DBB14A905E7B2B3E93BE4708CBCC82",
        ]),
    }
});

/// Verifies a DSA signature with SHA-1 (FIPS 186-2): key 128 bytes, signature r ‖ s, 20 bytes each.
#[must_use]
pub fn dsa_sha1_verify(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let group = &*DSA;
    let (Some((r, s)), 128) = (signature.split_at_checked(20), key.len()) else {
        return false;
    };
    if s.len() != 20 {
        return false;
    }
    let [y, r, s] = [key, r, s].map(BigUint::from_bytes_be);
    let zero = BigUint::default();
    let one = BigUint::from(1u8);
    // A key of a small group would verify what nobody signed.
    if r == zero || r >= group.q || s >= group.q || y <= one || &y + &one >= group.p {
        return false;
    }
    let Some(w) = s.modinv(&group.q) else {
        return false;
    };
    let hash = BigUint::from_bytes_be(digest(&SHA1_FOR_LEGACY_USE_ONLY, message).as_ref());
    let (u1, u2) = (hash * &w % &group.q, &r * w % &group.q);
    let v = group.g.modpow(&u1, &group.p) * y.modpow(&u2, &group.p) % &group.p;
    v % &group.q == r
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signed by OpenSSL with the network's parameters.
    #[test]
    fn a_dsa_signature_verifies() {
        let key = hex::decode(concat!(
            "36ee4831a74cb8af3c388aab5e349f376a793d6144184d6b0b361f69f2ab5dad",
            "0df6efc606551c87761251b90ff8aaf332c540e61e9bf432f61d8a333a33a994",
            "cb0015f50fa870f2816eff6677ae1845daa787d87d5456385189c7d836b6c57b",
            "11738026888a81712cd0abc228fb36e32c33a0a80dbe66d64931c7030fe11b61"
        ))
        .unwrap();
        let good = hex::decode(concat!(
            "5e62a0b03d9c21272dd5eb354a195eea9ff75750",
            "42d79c32cda2f7a966a80f3a00dd73b8ca3fc698"
        ))
        .unwrap();
        assert!(dsa_sha1_verify(&key, b"ramson", &good));
        assert!(!dsa_sha1_verify(&key, b"ramsom", &good));
        for n in 0..40 {
            let mut bad = good.clone();
            bad[n] ^= 1;
            assert!(!dsa_sha1_verify(&key, b"ramson", &bad));
            assert!(!dsa_sha1_verify(&key, b"ramson", &good[..n]));
        }
        // With these keys r = 1 would do for any message.
        for weak in [0u8, 1] {
            let mut key = [0; 128];
            key[127] = weak;
            let mut forged = [0; 40];
            (forged[19], forged[39]) = (1, 1);
            assert!(!dsa_sha1_verify(&key, b"ramson", &forged));
        }
        assert!(!dsa_sha1_verify(&key, b"ramson", &[0; 40]));
        assert!(!dsa_sha1_verify(&key, b"ramson", &[0xff; 40]));
    }
}
