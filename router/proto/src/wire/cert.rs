//! Certificates, signature types and encryption types
//! (i2p spec/common-structures, Certificate and Key Certificate).

use super::cursor::{Reader, Writer};
use super::error::{Result, WireError};

/// Signature algorithm by its number in a key certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum SigType {
    /// DSA-1024 with SHA-1: 128-byte keys, 40-byte signatures.
    DsaSha1 = 0,
    /// ECDSA with SHA-256 on P-256: 64 and 64.
    EcdsaP256 = 1,
    /// ECDSA with SHA-384 on P-384: 96 and 96.
    EcdsaP384 = 2,
    /// ECDSA with SHA-512 on P-521: 132 and 132.
    EcdsaP521 = 3,
    /// RSA-2048 with SHA-256: 256 and 256.
    Rsa2048 = 4,
    /// RSA-3072 with SHA-384: 384 and 384.
    Rsa3072 = 5,
    /// RSA-4096 with SHA-512: 512 and 512.
    Rsa4096 = 6,
    /// Ed25519: 32 and 64.
    Ed25519 = 7,
    /// Ed25519 over a pre-hash: 32 and 64.
    Ed25519Ph = 8,
    /// Red25519, re-randomisable Ed25519: 32 and 64.
    Red25519 = 11,
}

impl SigType {
    /// From the number on the wire; `None` for one that has no sizes here.
    #[must_use]
    pub const fn from_number(n: u16) -> Option<Self> {
        Some(match n {
            0 => Self::DsaSha1,
            1 => Self::EcdsaP256,
            2 => Self::EcdsaP384,
            3 => Self::EcdsaP521,
            4 => Self::Rsa2048,
            5 => Self::Rsa3072,
            6 => Self::Rsa4096,
            7 => Self::Ed25519,
            8 => Self::Ed25519Ph,
            11 => Self::Red25519,
            _ => return None,
        })
    }

    /// Bytes of a public key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::DsaSha1 => 128,
            Self::EcdsaP256 => 64,
            Self::EcdsaP384 => 96,
            Self::EcdsaP521 => 132,
            Self::Rsa2048 => 256,
            Self::Rsa3072 => 384,
            Self::Rsa4096 => 512,
            Self::Ed25519 | Self::Ed25519Ph | Self::Red25519 => 32,
        }
    }

    /// Bytes of a signature.
    #[must_use]
    pub const fn signature_len(self) -> usize {
        match self {
            Self::DsaSha1 => 40,
            Self::Ed25519 | Self::Ed25519Ph | Self::Red25519 => 64,
            other => other.key_len(),
        }
    }
}

/// Number of the encryption type in a key certificate that means ElGamal-2048.
pub const ENC_ELGAMAL: u16 = 0;
/// Number of the encryption type that means X25519.
pub const ENC_X25519: u16 = 4;

/// A certificate: null, or a key certificate with what follows its two types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Type 0: DSA and ElGamal keys.
    Null,
    /// Type 5: the two key types and excess key bytes.
    Key {
        /// Signature type number.
        sig: SigType,
        /// Encryption type number; unknown ones are carried.
        enc: u16,
        /// Key bytes that did not fit in the fields.
        excess: Vec<u8>,
    },
}

impl Certificate {
    /// Reads a certificate. Hidden, hashcash, signed and multiple certificates are refused:
    /// nothing on the network carries them.
    pub fn read(r: &mut Reader<'_>) -> Result<Self> {
        let kind = r.u8("Certificate.type")?;
        let n = usize::from(r.u16("Certificate.length")?);
        let mut body = r.sub(n, "Certificate.payload")?;
        match kind {
            0 if n == 0 => Ok(Self::Null),
            5 => {
                let number = body.u16("KeyCertificate.signing_type")?;
                let sig = SigType::from_number(number)
                    .ok_or(WireError::invalid("KeyCertificate.signing_type"))?;
                let enc = body.u16("KeyCertificate.crypto_type")?;
                let excess = body.rest().to_vec();
                if excess.len() != sig.key_len().saturating_sub(128) {
                    return Err(WireError::invalid("KeyCertificate.excess"));
                }
                Ok(Self::Key { sig, enc, excess })
            }
            _ => Err(WireError::invalid("Certificate.type")),
        }
    }

    /// Writes the certificate.
    pub fn write(&self, w: &mut Writer) {
        match self {
            Self::Null => {
                w.u8(0).u16(0);
            }
            Self::Key { sig, enc, excess } => {
                w.u8(5)
                    .u16(4 + excess.len() as u16)
                    .u16(*sig as u16)
                    .u16(*enc)
                    .put(excess);
            }
        }
    }

    /// The signature type.
    #[must_use]
    pub const fn sig_type(&self) -> SigType {
        match self {
            Self::Null => SigType::DsaSha1,
            Self::Key { sig, .. } => *sig,
        }
    }

    /// The encryption type number.
    #[must_use]
    pub const fn enc_type(&self) -> u16 {
        match self {
            Self::Null => ENC_ELGAMAL,
            Self::Key { enc, .. } => *enc,
        }
    }
}
