//! Reseed files: a signed SU3 around a zip of RouterInfos (i2p spec/updates, SU3 Reseed File
//! Specification). The signature is always verified. Fetching is the shell's work.

use crate::limits;
use crate::time::Date;
use crate::wire::error::WireError;
use crate::wire::su3::{CONTENT_RESEED, FILE_ZIP, RsaKey, Su3};
use crate::wire::zip;
use core::fmt;

/// Why a reseed file was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReseedError {
    /// The container or the archive is damaged, or its signature does not verify.
    Wire(WireError),
    /// It is not a zip of reseed data; file type and content type.
    Kind(u8, u8),
    /// There is no certificate for this signer.
    UnknownSigner(String),
    /// The certificate of this signer cannot be read.
    Certificate(String, WireError),
    /// The certificate of this signer does not hold on that day.
    OutOfDate(String),
    /// Nothing in it is a RouterInfo.
    Empty,
}

impl From<WireError> for ReseedError {
    fn from(e: WireError) -> Self {
        Self::Wire(e)
    }
}

impl fmt::Display for ReseedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wire(e) => write!(f, "reseed file: {e}"),
            Self::Kind(file, content) => write!(
                f,
                "reseed file: file type {file} and content type {content}, expected 0 and 3"
            ),
            Self::UnknownSigner(who) => write!(f, "reseed file: no certificate of {who:?}"),
            Self::Certificate(who, e) => write!(f, "certificate of {who:?}: {e}"),
            Self::OutOfDate(who) => write!(f, "certificate of {who:?}: not valid at this date"),
            Self::Empty => f.write_str("reseed file: no RouterInfo in it"),
        }
    }
}

impl core::error::Error for ReseedError {}

/// Verifies a reseed file and unpacks its RouterInfos, which are themselves not verified.
/// `certificates` are names of signers and their X.509 certificates, PEM or DER; `now` checks
/// the certificates' dates, `None` when the clock cannot be trusted.
///
/// # Errors
/// What is wrong with it.
pub fn read_su3(
    bytes: &[u8],
    certificates: &[(&str, &[u8])],
    now: Option<Date>,
) -> Result<Vec<Vec<u8>>, ReseedError> {
    if bytes.len() > limits::SU3_MAX {
        return Err(WireError::too_large("SU3").into());
    }
    let su3 = Su3::parse(bytes)?;
    if (su3.file_type, su3.content_type) != (FILE_ZIP, CONTENT_RESEED) {
        return Err(ReseedError::Kind(su3.file_type, su3.content_type));
    }
    let signer = || su3.signer.to_owned();
    let (_, certificate) = certificates
        .iter()
        .find(|(name, _)| *name == su3.signer)
        .ok_or_else(|| ReseedError::UnknownSigner(signer()))?;
    let key =
        RsaKey::from_certificate(certificate).map_err(|e| ReseedError::Certificate(signer(), e))?;
    if now.is_some_and(|t| t.secs() < key.not_before || t.secs() > key.not_after) {
        return Err(ReseedError::OutOfDate(signer()));
    }
    let content = su3.verify(&key)?;
    let files = zip::unpack(content, limits::RESEED_ROUTERS_MAX, limits::ROUTER_INFO_MAX)?;
    let routers: Vec<Vec<u8>> = files
        .into_iter()
        .filter(|f| f.name.starts_with("routerInfo-") && f.name.ends_with(".dat"))
        .map(|f| f.bytes)
        .collect();
    if routers.is_empty() {
        return Err(ReseedError::Empty);
    }
    Ok(routers)
}

macro_rules! signers {
    ($($name:literal: $file:literal),* $(,)?) => {
        /// The signers that the network's reseed hosts use, with their certificates (PEM).
        pub const SIGNERS: &[(&str, &[u8])] = &[$((
            $name,
            include_bytes!(concat!("../../../certificates/reseed/", $file)),
        )),*];
    };
}

signers! {
    "acetone@mail.i2p": "acetone_at_mail.i2p.crt",
    "admin@stormycloud.org": "admin_at_stormycloud.org.crt",
    "arnavbhatt288@mail.i2p": "arnavbhatt288_at_mail.i2p.crt",
    "creativecowpat@mail.i2p": "creativecowpat_at_mail.i2p.crt",
    "echelon3@mail.i2p": "echelon3_at_mail.i2p.crt",
    "hankhill19580@gmail.com": "hankhill19580_at_gmail.com.crt",
    "hottuna@mail.i2p": "hottuna_at_mail.i2p.crt",
    "i2p-reseed@mk16.de": "i2p-reseed_at_mk16.de.crt",
    "igor@novg.net": "igor_at_novg.net.crt",
    "lazygravy@mail.i2p": "lazygravy_at_mail.i2p.crt",
    "orignal@mail.i2p": "orignal_at_mail.i2p.crt",
    "r4sas-reseed@mail.i2p": "r4sas-reseed_at_mail.i2p.crt",
    "rambler@mail.i2p": "rambler_at_mail.i2p.crt",
    "reseed@diva.exchange": "reseed_at_diva.exchange.crt",
}
