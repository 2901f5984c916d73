//! Values that parsed but were not verified yet.

use super::error::{Cause, Result, WireError};
use crate::crypto::sig;
use crate::wire::cert::SigType;

/// A parsed value whose signature was not checked; only [`Unverified::verify`] gives it out.
#[derive(Clone, Debug)]
pub struct Unverified<T> {
    value: T,
    kind: SigType,
    key: Vec<u8>,
    signed: Vec<u8>,
    signature: Vec<u8>,
    field: &'static str,
    /// Another signature that has to hold: the one that authorises the key.
    before: Option<Box<Unverified<()>>>,
}

impl<T> Unverified<T> {
    /// A value with the key, the signed bytes and the signature; `field` names the signature.
    pub(super) const fn new(
        value: T,
        kind: SigType,
        key: Vec<u8>,
        signed: Vec<u8>,
        signature: Vec<u8>,
        field: &'static str,
    ) -> Self {
        Self {
            value,
            kind,
            key,
            signed,
            signature,
            field,
            before: None,
        }
    }

    /// The same, whose key is authorised by another signature.
    pub(super) fn authorised_by(self, before: Option<Unverified<()>>) -> Self {
        Self {
            before: before.map(Box::new),
            ..self
        }
    }

    /// Checks the signature, and the one that authorises its key.
    ///
    /// # Errors
    /// The signature field, unsupported or not verifying.
    pub fn verify(self) -> Result<T> {
        if !sig::can_verify(self.kind) {
            return Err(WireError::new(self.field, Cause::Unsupported));
        }
        if let Some(before) = self.before {
            before.verify()?;
        }
        if sig::verify(self.kind, &self.key, &[&self.signed], &self.signature) {
            Ok(self.value)
        } else {
            Err(WireError::new(self.field, Cause::BadSignature))
        }
    }

    /// The value before its signature was checked: for reading what decides whether checking is
    /// worth the work, such as a date or a hash.
    #[must_use]
    pub const fn peek(&self) -> &T {
        &self.value
    }
}
