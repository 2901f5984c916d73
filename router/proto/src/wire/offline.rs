//! Offline signatures: a transient key that signs instead of the destination's own
//! (i2p spec/common-structures, OfflineSignature).

use super::cert::SigType;
use super::checked::Signed;
use super::cursor::Reader;
use super::error::{Result, WireError};
use crate::time::Date;

/// Who signs.
pub(super) struct Signer {
    /// Type of the key.
    pub(super) kind: SigType,
    /// The public key.
    pub(super) key: Vec<u8>,
    /// When the key is no longer valid.
    pub(super) ends: Date,
    /// The signature that vouches for a transient key.
    pub(super) vouched: Option<Signed>,
}

/// Reads the offline signature that bit 0 of the flags announces; without it `own` signs.
pub(super) fn read(r: &mut Reader<'_>, flags: u16, own: (SigType, Vec<u8>)) -> Result<Signer> {
    if flags & 1 == 0 {
        return Ok(Signer {
            kind: own.0,
            key: own.1,
            ends: Date(u64::MAX),
            vouched: None,
        });
    }
    let start = r.position();
    let ends = Date::from_secs(u64::from(r.u32("OfflineSignature.expires")?));
    let kind = SigType::from_number(r.u16("OfflineSignature.sigtype")?)
        .ok_or(WireError::invalid("OfflineSignature.sigtype"))?;
    let key = r
        .take(kind.key_len(), "OfflineSignature.transient_key")?
        .to_vec();
    let bytes = r.since(start).to_vec();
    let signature = r.take(own.0.signature_len(), "OfflineSignature.signature")?;
    Ok(Signer {
        kind,
        key,
        ends,
        vouched: Some(Signed {
            kind: own.0,
            key: own.1,
            bytes,
            signature: signature.to_vec(),
            field: "OfflineSignature.signature",
        }),
    })
}
