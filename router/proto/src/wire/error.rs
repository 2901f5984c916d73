//! What a parser says when it refuses: which field, and why.

use core::fmt;

/// A refused structure: the field by its specification name and the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireError {
    /// Dotted name of the field, such as `RouterInfo.published`.
    pub field: &'static str,
    /// What is wrong with it.
    pub cause: Cause,
}

/// Why a field was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The input ends before the field does.
    Truncated,
    /// Bytes follow the end of the structure.
    Trailing,
    /// A length or count is above its bound.
    TooLarge,
    /// The value is not one that the specification allows.
    Invalid,
    /// A legal value that this router does not handle.
    Unsupported,
    /// A signature or checksum does not match.
    BadSignature,
}

impl WireError {
    /// An error of this field and cause.
    #[must_use]
    pub const fn new(field: &'static str, cause: Cause) -> Self {
        Self { field, cause }
    }

    /// The value of `field` is not allowed.
    #[must_use]
    pub const fn invalid(field: &'static str) -> Self {
        Self::new(field, Cause::Invalid)
    }

    /// A length or count in `field` is above its bound.
    #[must_use]
    pub const fn too_large(field: &'static str) -> Self {
        Self::new(field, Cause::TooLarge)
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = match self.cause {
            Cause::Truncated => "is truncated",
            Cause::Trailing => "is followed by surplus bytes",
            Cause::TooLarge => "is above its limit",
            Cause::Invalid => "has an invalid value",
            Cause::Unsupported => "is of an unsupported kind",
            Cause::BadSignature => "does not verify",
        };
        write!(f, "{} {}", self.field, cause)
    }
}

impl core::error::Error for WireError {}

/// Result of a parser.
pub type Result<T> = core::result::Result<T, WireError>;
