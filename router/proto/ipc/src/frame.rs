//! The frame around a body: magic, version, length. Not the bodies themselves.

use std::fmt;

/// First byte of every frame.
pub const MAGIC: u8 = 0xd7;

/// The one version this crate speaks.
pub const VERSION: u8 = 1;

/// Bytes before the body.
pub const HEADER_LEN: usize = 4;

/// The longest frame, header included. A reader never needs a larger buffer to get an answer
/// from `decode` other than "more".
pub const FRAME_MAX: usize = HEADER_LEN + BODY_MAX;

/// kind, port, tag length, tag, name length, name.
const BODY_MAX: usize = 1 + 2 + 1 + crate::TAG_MAX + 2 + crate::NAME_MAX;

/// Why bytes are not a frame. The connection is of no use afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// The first byte is not [`MAGIC`].
    Magic,
    /// The other side speaks this version.
    Version(u8),
    /// The announced body is longer than any body can be.
    TooLong,
    /// The body ends inside this field.
    Short(&'static str),
    /// The body goes on after its last field.
    Trailing,
    /// The field has a value without meaning.
    Value(&'static str),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => write!(f, "not a frame"),
            Self::Version(v) => write!(f, "version {v} is not supported"),
            Self::TooLong => write!(f, "frame too long"),
            Self::Short(field) => write!(f, "frame ends inside {field}"),
            Self::Trailing => write!(f, "bytes after the last field"),
            Self::Value(field) => write!(f, "bad value of {field}"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Puts the header before a body of at most [`BODY_MAX`] bytes; `None` when it is longer.
pub(crate) fn wrap(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() > BODY_MAX {
        return None;
    }
    let len = u16::try_from(body.len()).ok()?;
    let mut out = Vec::with_capacity(HEADER_LEN + body.len());
    out.extend([MAGIC, VERSION]);
    out.extend(len.to_be_bytes());
    out.extend(body);
    Some(out)
}

/// The body at the start of `bytes` and the length of the whole frame; `None` needs more bytes.
/// Judges each header byte as soon as it is there.
pub(crate) fn unwrap(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, FrameError> {
    if bytes.first().is_some_and(|b| *b != MAGIC) {
        return Err(FrameError::Magic);
    }
    if let Some(v) = bytes.get(1).filter(|v| **v != VERSION) {
        return Err(FrameError::Version(*v));
    }
    let (Some(hi), Some(lo)) = (bytes.get(2), bytes.get(3)) else {
        return Ok(None);
    };
    let len = usize::from(u16::from_be_bytes([*hi, *lo]));
    if len > BODY_MAX {
        return Err(FrameError::TooLong);
    }
    let total = HEADER_LEN + len;
    Ok(bytes.get(HEADER_LEN..total).map(|body| (body, total)))
}

/// Reads fields off the front of a body.
pub(crate) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn take(&mut self, n: usize, field: &'static str) -> Result<&'a [u8], FrameError> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(FrameError::Short(field))?;
        self.0 = rest;
        Ok(head)
    }

    pub fn u8(&mut self, field: &'static str) -> Result<u8, FrameError> {
        let (head, rest) = self.0.split_first().ok_or(FrameError::Short(field))?;
        self.0 = rest;
        Ok(*head)
    }

    pub fn u16(&mut self, field: &'static str) -> Result<u16, FrameError> {
        Ok(u16::from_be_bytes([self.u8(field)?, self.u8(field)?]))
    }

    pub fn end(self) -> Result<(), FrameError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(FrameError::Trailing)
        }
    }
}
