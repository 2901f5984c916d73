//! RouterIdentity and Destination: two public keys and a certificate
//! (i2p spec/common-structures, KeysAndCert).

use super::cert::{Certificate, ENC_X25519, SigType};
use super::cursor::{Reader, Writer};
use super::error::{Result, WireError};
use super::hash::{DestHash, RouterHash, sha256};
use core::fmt;

/// Bytes of the encryption key field.
const ENC_FIELD: usize = 256;
/// Bytes of the signing key field.
const SIG_FIELD: usize = 128;

/// The 384 key bytes and the certificate, kept as they came.
#[derive(Clone, PartialEq, Eq)]
pub struct KeysAndCert {
    bytes: Vec<u8>,
    cert: Certificate,
}

impl fmt::Debug for KeysAndCert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "KeysAndCert({:?}, enc {})",
            self.cert.sig_type(),
            self.cert.enc_type()
        )
    }
}

impl KeysAndCert {
    /// Reads 384 bytes of keys and the certificate (387 bytes and up).
    pub fn read(r: &mut Reader<'_>) -> Result<Self> {
        let start = r.position();
        r.take(ENC_FIELD + SIG_FIELD, "KeysAndCert.keys")?;
        let cert = Certificate::read(r)?;
        Ok(Self {
            bytes: r.since(start).to_vec(),
            cert,
        })
    }

    /// The bytes as they stand on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the bytes.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        sha256(&[&self.bytes])
    }

    /// The certificate.
    #[must_use]
    pub const fn certificate(&self) -> &Certificate {
        &self.cert
    }

    /// Signature type of the signing key.
    #[must_use]
    pub const fn sig_type(&self) -> SigType {
        self.cert.sig_type()
    }

    /// The signing public key, its excess bytes from the certificate appended.
    #[must_use]
    pub fn signing_key(&self) -> Vec<u8> {
        let n = self.cert.sig_type().key_len();
        let field = self
            .bytes
            .get(ENC_FIELD..ENC_FIELD + SIG_FIELD)
            .unwrap_or_default();
        let mut key = field
            .get(SIG_FIELD - n.min(SIG_FIELD)..)
            .unwrap_or_default()
            .to_vec();
        if let Certificate::Key { excess, .. } = &self.cert {
            key.extend_from_slice(excess);
        }
        key
    }

    /// The X25519 public key when the encryption type is 4.
    #[must_use]
    pub fn x25519_key(&self) -> Option<[u8; 32]> {
        if self.cert.enc_type() != ENC_X25519 {
            return None;
        }
        self.bytes.get(..32)?.try_into().ok()
    }

    /// Puts an Ed25519 identity together: `enc_field` fills the front of the encryption field
    /// (an X25519 key for a router), `filler` the rest up to the signing key.
    ///
    /// # Errors
    /// `enc_field` and `filler` together are not 352 bytes.
    pub fn ed25519(enc_type: u16, enc: &[u8], filler: &[u8], signing: &[u8; 32]) -> Result<Self> {
        if enc.len() + filler.len() + signing.len() != ENC_FIELD + SIG_FIELD {
            return Err(WireError::invalid("KeysAndCert.padding"));
        }
        let cert = Certificate::Key {
            sig: SigType::Ed25519,
            enc: enc_type,
            excess: Vec::new(),
        };
        let mut w = Writer::with_capacity(391);
        w.put(enc).put(filler).put(signing);
        cert.write(&mut w);
        Ok(Self {
            bytes: w.into_vec(),
            cert,
        })
    }
}

macro_rules! identity_type {
    ($(#[$doc:meta])* $name:ident, $hash:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(pub KeysAndCert);

        impl $name {
            /// Reads one off the front of `r`.
            pub fn read(r: &mut Reader<'_>) -> Result<Self> {
                KeysAndCert::read(r).map(Self)
            }

            /// Parses exactly these bytes.
            pub fn parse(bytes: &[u8]) -> Result<Self> {
                let mut r = Reader::new(bytes);
                let out = Self::read(&mut r)?;
                r.finish(stringify!($name))?;
                Ok(out)
            }

            /// SHA-256 of the bytes.
            #[must_use]
            pub fn hash(&self) -> $hash {
                $hash(self.0.hash())
            }

            /// The bytes as they stand on the wire.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }

            /// The keys and the certificate.
            #[must_use]
            pub const fn keys(&self) -> &KeysAndCert {
                &self.0
            }
        }
    };
}

identity_type!(
    /// What names a router for its whole life.
    RouterIdentity,
    RouterHash
);
identity_type!(
    /// What names an endpoint: a site or a client.
    Destination,
    DestHash
);
