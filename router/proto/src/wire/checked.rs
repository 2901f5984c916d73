//! Values that parsed but were not verified yet.

use super::error::{Cause, Result, WireError};
use crate::crypto::sig;
use crate::wire::cert::SigType;

/// A signature over bytes, not checked yet.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    /// Its type.
    pub(super) kind: SigType,
    /// Public key of the signer.
    pub(super) key: Vec<u8>,
    /// What was signed.
    pub(super) bytes: Vec<u8>,
    /// The signature.
    pub(super) signature: Vec<u8>,
    /// Its name.
    pub(super) field: &'static str,
}

impl Signed {
    fn verify(&self) -> Result<()> {
        if !sig::can_verify(self.kind) {
            return Err(WireError::new(self.field, Cause::Unsupported));
        }
        if sig::verify(self.kind, &self.key, &[&self.bytes], &self.signature) {
            Ok(())
        } else {
            Err(WireError::new(self.field, Cause::BadSignature))
        }
    }
}

/// A parsed value whose signatures were not checked; only [`Unverified::verify`] gives it out.
#[derive(Clone, Debug)]
pub struct Unverified<T> {
    value: T,
    signed: Signed,
    /// The signature over a transient key, by the key that names the value.
    offline: Option<Signed>,
}

impl<T> Unverified<T> {
    /// A value with its signature.
    pub(super) const fn new(value: T, signed: Signed) -> Self {
        Self {
            value,
            signed,
            offline: None,
        }
    }

    /// The signer is a transient key that this signature vouches for.
    pub(super) fn with_offline(mut self, offline: Option<Signed>) -> Self {
        self.offline = offline;
        self
    }

    /// The same with another form of the value.
    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> Unverified<U> {
        Unverified {
            value: f(self.value),
            signed: self.signed,
            offline: self.offline,
        }
    }

    /// Checks the signatures.
    ///
    /// # Errors
    /// The signature field, unsupported or not verifying.
    pub fn verify(self) -> Result<T> {
        if let Some(offline) = &self.offline {
            offline.verify()?;
        }
        self.signed.verify()?;
        Ok(self.value)
    }

    /// What [`Unverified::verify`] costs, in units of an Ed25519 verification.
    #[must_use]
    pub fn cost(&self) -> u32 {
        let offline = self.offline.as_ref();
        sig::cost(self.signed.kind) + offline.map_or(0, |o| sig::cost(o.kind))
    }

    /// The value before its signature was checked: for reading what decides whether checking is
    /// worth the work, such as a date or a hash.
    #[must_use]
    pub const fn peek(&self) -> &T {
        &self.value
    }
}
