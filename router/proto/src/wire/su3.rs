//! SU3: the signed container of reseed data (i2p spec/updates, SU3 File Specification).
//! It reads the frame; who may sign and what is inside is up to the caller.

use super::cert::SigType;
use super::cursor::Reader;
use super::error::{Cause, Result, WireError};
use crate::crypto::legacy::rsa_verify_bare;
use sha2::{Digest, Sha512};
use x509_cert::Certificate;
use x509_cert::der::asn1::UintRef;
use x509_cert::der::{Decode, DecodePem, Reader as _, SliceReader};

/// File type of a zip.
pub const FILE_ZIP: u8 = 0;
/// Content type of reseed data.
pub const CONTENT_RESEED: u8 = 3;

/// The frame of an SU3 file; nothing in it is verified.
#[derive(Clone, Debug)]
pub struct Su3<'a> {
    /// File type, such as [`FILE_ZIP`].
    pub file_type: u8,
    /// Content type, such as [`CONTENT_RESEED`].
    pub content_type: u8,
    /// Version, without the padding; of reseed data the seconds since 1970.
    pub version: &'a str,
    /// Name of the signer.
    pub signer: &'a str,
    sig_type: SigType,
    content: &'a [u8],
    signed: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Su3<'a> {
    /// Parses exactly these bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut r = Reader::new(bytes);
        if r.take(6, "SU3.magic")? != b"I2Psu3" {
            return Err(WireError::invalid("SU3.magic"));
        }
        r.u8("SU3.unused")?;
        if r.u8("SU3.format_version")? != 0 {
            return Err(WireError::new("SU3.format_version", Cause::Unsupported));
        }
        let sig_type = SigType::from_number(r.u16("SU3.signature_type")?)
            .ok_or(WireError::invalid("SU3.signature_type"))?;
        let signature_len = usize::from(r.u16("SU3.signature_length")?);
        if signature_len != sig_type.signature_len() {
            return Err(WireError::invalid("SU3.signature_length"));
        }
        r.u8("SU3.unused")?;
        let version_len = usize::from(r.u8("SU3.version_length")?);
        r.u8("SU3.unused")?;
        let signer_len = usize::from(r.u8("SU3.signer_length")?);
        let content_len = usize::try_from(r.u64("SU3.content_length")?)
            .map_err(|_| WireError::too_large("SU3.content_length"))?;
        r.u8("SU3.unused")?;
        let file_type = r.u8("SU3.file_type")?;
        r.u8("SU3.unused")?;
        let content_type = r.u8("SU3.content_type")?;
        r.take(12, "SU3.unused")?;
        let version = text(r.take(version_len, "SU3.version")?, "SU3.version")?;
        let signer = text(r.take(signer_len, "SU3.signer")?, "SU3.signer")?;
        let content = r.take(content_len, "SU3.content")?;
        let signed = r.since(0);
        let signature = r.take(signature_len, "SU3.signature")?;
        r.finish("SU3")?;
        Ok(Self {
            file_type,
            content_type,
            version: version.trim_end_matches('\0'),
            signer,
            sig_type,
            content,
            signed,
            signature,
        })
    }

    /// The content, once the signature verifies under the key.
    ///
    /// # Errors
    /// A signature type other than RSA-4096 with SHA-512, or a signature that does not verify.
    pub fn verify(&self, key: &RsaKey) -> Result<&'a [u8]> {
        if self.sig_type != SigType::Rsa4096 {
            return Err(WireError::new("SU3.signature_type", Cause::Unsupported));
        }
        let digest = Sha512::digest(self.signed);
        if rsa_verify_bare(&key.modulus, &key.exponent, &digest, self.signature) {
            Ok(self.content)
        } else {
            Err(WireError::new("SU3.signature", Cause::BadSignature))
        }
    }
}

fn text<'a>(bytes: &'a [u8], field: &'static str) -> Result<&'a str> {
    core::str::from_utf8(bytes).map_err(|_| WireError::invalid(field))
}

/// The RSA key of a signer's X.509 certificate, with the dates that it holds between.
#[derive(Clone, Debug)]
pub struct RsaKey {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
    /// First second of validity since 1970.
    pub not_before: u64,
    /// Last second of validity since 1970.
    pub not_after: u64,
}

impl RsaKey {
    /// Reads a certificate, PEM or DER.
    ///
    /// # Errors
    /// It is not an X.509 certificate, or holds no RSA key of 4096 bits.
    pub fn from_certificate(bytes: &[u8]) -> Result<Self> {
        let cert = Certificate::from_pem(bytes)
            .or_else(|_| Certificate::from_der(bytes))
            .map_err(|_| WireError::invalid("X509"))?;
        let tbs = cert.tbs_certificate();
        let bits = tbs
            .subject_public_key_info()
            .subject_public_key
            .as_bytes()
            .ok_or(WireError::invalid("X509.subject_public_key"))?;
        let (modulus, exponent) =
            rsa_numbers(bits).map_err(|_| WireError::invalid("X509.subject_public_key"))?;
        if modulus.len() != SigType::Rsa4096.key_len() {
            return Err(WireError::new("X509.modulus", Cause::Unsupported));
        }
        let validity = tbs.validity();
        Ok(Self {
            modulus,
            exponent,
            not_before: validity.not_before.to_unix_duration().as_secs(),
            not_after: validity.not_after.to_unix_duration().as_secs(),
        })
    }
}

/// Modulus and public exponent of an RSAPublicKey (RFC 8017, appendix A.1.1).
fn rsa_numbers(der: &[u8]) -> x509_cert::der::Result<(Vec<u8>, Vec<u8>)> {
    let mut reader = SliceReader::new(der)?;
    let numbers = reader.sequence(|r| {
        let n = UintRef::decode(r)?.as_bytes().to_vec();
        let e = UintRef::decode(r)?.as_bytes().to_vec();
        Ok::<_, x509_cert::der::Error>((n, e))
    })?;
    reader.finish()?;
    Ok(numbers)
}
