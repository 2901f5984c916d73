//! The bytes of a stream behind its [`Answer`](crate::Answer): chunks, and an end that is said.
//!
//! A chunk is `length (2, big endian) | bytes`; length 0 is the orderly end of its direction. A
//! connection that closes without one was cut. Closing alone cannot tell the two apart: once one
//! side has shut its half, the kernel reports the other's shutdown and its death alike.

use std::fmt;

/// Longest chunk, bytes.
pub const CHUNK_MAX: usize = 65_535;

/// Bytes before each chunk.
pub const CHUNK_HEAD_LEN: usize = 2;

/// The orderly end of one direction.
pub const CHUNK_END: [u8; CHUNK_HEAD_LEN] = [0; CHUNK_HEAD_LEN];

/// The head of a chunk of `len` bytes; `None` for none and for more than [`CHUNK_MAX`].
#[must_use]
pub fn chunk_head(len: usize) -> Option<[u8; CHUNK_HEAD_LEN]> {
    let len = u16::try_from(len).ok().filter(|len| *len > 0)?;
    Some(len.to_be_bytes())
}

/// Bytes came behind the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AfterEnd;

impl fmt::Display for AfterEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes after the end of the stream")
    }
}

impl std::error::Error for AfterEnd {}

/// Takes the chunks of one direction apart, however they are cut. Holds no bytes of them.
#[derive(Debug, Clone, Default)]
pub struct Chunks {
    /// Bytes that the current chunk still has.
    left: usize,
    /// First byte of a head whose second has not come.
    half: Option<u8>,
    ended: bool,
}

impl Chunks {
    /// Moves the stream's bytes among `bytes` to its front and says how many there are.
    ///
    /// # Errors
    /// Something follows the end.
    pub fn strip(&mut self, bytes: &mut [u8]) -> Result<usize, AfterEnd> {
        let (mut from, mut to) = (0, 0);
        while let Some(&first) = bytes.get(from) {
            if self.ended {
                return Err(AfterEnd);
            }
            if self.left > 0 {
                let n = self.left.min(bytes.len() - from);
                bytes.copy_within(from..from + n, to);
                (from, to, self.left) = (from + n, to + n, self.left - n);
                continue;
            }
            from += 1;
            match self.half.take() {
                None => self.half = Some(first),
                Some(high) => {
                    self.left = usize::from(u16::from_be_bytes([high, first]));
                    self.ended = self.left == 0;
                }
            }
        }
        Ok(to)
    }

    /// Whether the orderly end has come.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(parts: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for part in parts {
            out.extend(chunk_head(part.len()).unwrap());
            out.extend_from_slice(part);
        }
        out.extend(CHUNK_END);
        out
    }

    #[test]
    fn chunks_come_out_the_same_however_they_are_cut() {
        let long = vec![7; 300];
        let bytes = wire(&[b"a", &long, b"end"]);
        let expected = [b"a".as_slice(), &long, b"end"].concat();
        for size in 1..bytes.len() {
            let (mut chunks, mut got) = (Chunks::default(), Vec::new());
            for piece in bytes.chunks(size) {
                assert!(!chunks.is_ended());
                let mut piece = piece.to_vec();
                let n = chunks.strip(&mut piece).unwrap();
                got.extend_from_slice(&piece[..n]);
            }
            assert_eq!(got, expected, "cut at {size}");
            assert!(chunks.is_ended());
        }
    }

    #[test]
    fn a_cut_stream_has_no_end() {
        let bytes = wire(&[b"abc"]);
        for n in 0..bytes.len() {
            let mut chunks = Chunks::default();
            chunks.strip(&mut bytes[..n].to_vec()).unwrap();
            assert!(!chunks.is_ended(), "{n}");
        }
    }

    #[test]
    fn nothing_may_follow_the_end() {
        let mut bytes = wire(&[b"abc"]);
        bytes.push(0);
        assert_eq!(Chunks::default().strip(&mut bytes), Err(AfterEnd));
        let mut chunks = Chunks::default();
        assert_eq!(chunks.strip(&mut wire(&[])), Ok(0));
        assert_eq!(chunks.strip(&mut []), Ok(0));
        assert_eq!(chunks.strip(&mut [0]), Err(AfterEnd));
    }

    #[test]
    fn heads_have_bounds() {
        assert_eq!(chunk_head(0), None);
        assert_eq!(chunk_head(CHUNK_MAX), Some([255, 255]));
        assert_eq!(chunk_head(CHUNK_MAX + 1), None);
    }
}
