//! Signatures by type: Ed25519 made and verified, ECDSA and DSA verified
//! (i2p spec/common-structures, Signature; spec/cryptography).

use super::legacy::dsa_sha1_verify;
use crate::rng::Rng;
use crate::wire::cert::SigType;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED,
    EcdsaVerificationAlgorithm, UnparsedPublicKey,
};
use ed25519_dalek::{Signer as _, Verifier as _};

/// An Ed25519 private key; wiped when dropped.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// From the 32-byte seed.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// A new key.
    #[must_use]
    pub fn random(rng: &mut Rng) -> Self {
        Self::new(rng.array())
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The seed, for key files.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Signs the concatenation of `parts`.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; 64] {
        self.0.sign(&parts.concat()).to_bytes()
    }
}

/// Whether this router can verify signatures of the type.
#[must_use]
pub const fn can_verify(kind: SigType) -> bool {
    matches!(
        kind,
        SigType::Ed25519
            | SigType::Red25519
            | SigType::EcdsaP256
            | SigType::EcdsaP384
            | SigType::EcdsaP521
            | SigType::DsaSha1
    )
}

/// What a verification costs, in units of one of Ed25519.
#[must_use]
pub const fn cost(kind: SigType) -> u32 {
    match kind {
        SigType::EcdsaP384 => 4,
        SigType::EcdsaP521 => 8,
        SigType::DsaSha1 => 6,
        _ => 1,
    }
}

/// Verifies a signature over the concatenation of `parts`. A type that [`can_verify`] does not
/// name never verifies. Red25519 signatures verify as Ed25519 (i2p spec/red25519).
#[must_use]
pub fn verify(kind: SigType, key: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
    let message = parts.concat();
    match kind {
        SigType::Ed25519 | SigType::Red25519 => {
            let (Ok(key), Ok(sig)) = (<[u8; 32]>::try_from(key), <[u8; 64]>::try_from(signature))
            else {
                return false;
            };
            ed25519_dalek::VerifyingKey::from_bytes(&key).is_ok_and(|k| {
                k.verify(&message, &ed25519_dalek::Signature::from_bytes(&sig))
                    .is_ok()
            })
        }
        SigType::EcdsaP256 => ecdsa(&ECDSA_P256_SHA256_FIXED, key, &message, signature),
        SigType::EcdsaP384 => ecdsa(&ECDSA_P384_SHA384_FIXED, key, &message, signature),
        SigType::EcdsaP521 => ecdsa(&ECDSA_P521_SHA512_FIXED, key, &message, signature),
        SigType::DsaSha1 => dsa_sha1_verify(key, &message, signature),
        _ => false,
    }
}

fn ecdsa(
    alg: &'static EcdsaVerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    // I2P carries X ‖ Y; the uncompressed point has a leading 4.
    let mut point = vec![4];
    point.extend_from_slice(key);
    UnparsedPublicKey::new(alg, &point)
        .verify(message, signature)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8032_test_2() {
        let seed: [u8; 32] =
            hex::decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
                .unwrap()
                .try_into()
                .unwrap();
        let key = SigningKey::new(seed);
        assert_eq!(
            hex::encode(key.public()),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        );
        let sig = key.sign(&[&[0x72]]);
        assert_eq!(
            hex::encode(sig),
            concat!(
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
                "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
            )
        );
        assert!(verify(SigType::Ed25519, &key.public(), &[&[0x72]], &sig));
        assert!(!verify(SigType::Ed25519, &key.public(), &[&[0x73]], &sig));
        assert!(!verify(
            SigType::Ed25519,
            &key.public(),
            &[&[0x72]],
            &sig[..63]
        ));
    }
}
