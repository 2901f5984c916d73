//! Base32 names: 52 characters are the hash of a destination, 56 and more a blinded key
//! (i2p docs/naming, Base 32 Names; spec/b32encrypted).

use super::NameError;
use crate::wire::hash::DestHash;
use data_encoding::BASE32_NOPAD;

/// Parses the part before `.b32.i2p`, in lower case.
pub fn parse(label: &str) -> Result<DestHash, NameError> {
    match label.len() {
        52 => {
            let bytes = BASE32_NOPAD
                .decode(label.to_ascii_uppercase().as_bytes())
                .map_err(|_| NameError::Bad)?;
            bytes.try_into().map(DestHash).map_err(|_| NameError::Bad)
        }
        56.. if label
            .bytes()
            .all(|c| matches!(c, b'a'..=b'z' | b'2'..=b'7')) =>
        {
            Err(NameError::Encrypted)
        }
        _ => Err(NameError::Bad),
    }
}
