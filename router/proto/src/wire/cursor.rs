//! The borrowed reader and the writer that all structures are read and written with.

use super::error::{Cause, Result, WireError};

/// Reads big-endian fields off the front of a slice; each read names its field for the error.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    data: &'a [u8],
    pos: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the front of `data`.
    #[must_use]
    pub const fn new(data: &'a [u8]) -> Self {
        Self { data, pos: 0 }
    }

    /// Bytes read so far.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.pos
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.data.len() - self.pos
    }

    /// Whether everything was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize, field: &'static str) -> Result<&'a [u8]> {
        let end = self.pos.checked_add(n).ok_or(WireError::too_large(field))?;
        let out = self
            .data
            .get(self.pos..end)
            .ok_or(WireError::new(field, Cause::Truncated))?;
        self.pos = end;
        Ok(out)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N]> {
        let bytes = self.take(N, field)?;
        <[u8; N]>::try_from(bytes).map_err(|_| WireError::new(field, Cause::Truncated))
    }

    /// One byte.
    pub fn u8(&mut self, field: &'static str) -> Result<u8> {
        Ok(self.array::<1>(field)?[0])
    }

    /// Two bytes, big endian.
    pub fn u16(&mut self, field: &'static str) -> Result<u16> {
        Ok(u16::from_be_bytes(self.array(field)?))
    }

    /// Four bytes, big endian.
    pub fn u32(&mut self, field: &'static str) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array(field)?))
    }

    /// Eight bytes, big endian.
    pub fn u64(&mut self, field: &'static str) -> Result<u64> {
        Ok(u64::from_be_bytes(self.array(field)?))
    }

    /// A reader of the next `n` bytes alone.
    pub fn sub(&mut self, n: usize, field: &'static str) -> Result<Reader<'a>> {
        Ok(Reader::new(self.take(n, field)?))
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        let out = self.data.get(self.pos..).unwrap_or_default();
        self.pos = self.data.len();
        out
    }

    /// Everything read since `start`, an earlier [`Reader::position`].
    #[must_use]
    pub fn since(&self, start: usize) -> &'a [u8] {
        self.data.get(start..self.pos).unwrap_or_default()
    }

    /// Ends the structure: surplus bytes are an error of `field`.
    pub fn finish(self, field: &'static str) -> Result<()> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(WireError::new(field, Cause::Trailing))
        }
    }
}

/// Appends big-endian fields to a buffer.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    buf: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub const fn new() -> Self {
        Self { buf: Vec::new() }
    }

    /// An empty writer with room for `n` bytes.
    #[must_use]
    pub fn with_capacity(n: usize) -> Self {
        Self {
            buf: Vec::with_capacity(n),
        }
    }

    /// Appends bytes.
    pub fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.buf.extend_from_slice(bytes);
        self
    }

    /// Appends one byte.
    pub fn u8(&mut self, v: u8) -> &mut Self {
        self.put(&[v])
    }

    /// Appends two bytes, big endian.
    pub fn u16(&mut self, v: u16) -> &mut Self {
        self.put(&v.to_be_bytes())
    }

    /// Appends four bytes, big endian.
    pub fn u32(&mut self, v: u32) -> &mut Self {
        self.put(&v.to_be_bytes())
    }

    /// Appends eight bytes, big endian.
    pub fn u64(&mut self, v: u64) -> &mut Self {
        self.put(&v.to_be_bytes())
    }

    /// Runs `body` and puts the two-byte length of what it wrote before it. Until `body` is done
    /// the length reads as the maximum, so a half-written buffer parses as nothing else.
    ///
    /// # Errors
    /// `field` is above its limit when `body` wrote more than 65,535 bytes.
    pub fn len_u16(&mut self, field: &'static str, body: impl FnOnce(&mut Self)) -> Result<()> {
        let at = self.buf.len();
        self.u16(u16::MAX);
        body(self);
        let n = u16::try_from(self.buf.len() - at - 2).map_err(|_| WireError::too_large(field))?;
        if let Some(slot) = self.buf.get_mut(at..at + 2) {
            slot.copy_from_slice(&n.to_be_bytes());
        }
        Ok(())
    }

    /// Bytes written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buf.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    /// The bytes written so far.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.buf
    }

    /// The finished buffer.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.buf
    }
}
