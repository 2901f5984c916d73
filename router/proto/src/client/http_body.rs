//! Bodies of HTTP/1 messages as they pass: where they end, and chunks made anew, so that nothing
//! that is no body goes along (RFC 9112 sections 6 and 7).

use crate::limits;

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes.
    Length(u64),
    /// By chunks.
    Chunked,
    /// With the connection.
    UntilEnd,
}

/// The chunks are malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadChunk;

/// A body on its way.
#[derive(Clone, Debug)]
pub struct Body {
    state: State,
    /// Chunks lose their frames: the receiver speaks HTTP/1.0.
    bare: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Length(u64),
    UntilEnd,
    /// In the line with a chunk's size.
    Size {
        size: u64,
        digits: u32,
        /// What follows the size is not looked at.
        extension: bool,
        length: usize,
    },
    Data(u64),
    /// Behind a chunk's bytes.
    Gap,
    /// In the fields after the last chunk.
    Trailer {
        length: usize,
        blank: bool,
    },
    Done,
}

const SIZE: State = State::Size {
    size: 0,
    digits: 0,
    extension: false,
    length: 0,
};

impl Body {
    /// A body of which nothing has come. With `bare`, only the content of chunks passes.
    #[must_use]
    pub const fn new(framing: Framing, bare: bool) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(n) => State::Length(n),
            Framing::Chunked => SIZE,
            Framing::UntilEnd => State::UntilEnd,
        };
        Self { state, bare }
    }

    /// Whether its last byte has come.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Whether its receiver sees by itself if the connection ends here too early.
    #[must_use]
    pub const fn shows_its_end(&self) -> bool {
        !self.bare || matches!(self.state, State::Done | State::UntilEnd | State::Length(_))
    }

    /// Takes bytes and appends to `out` what passes. What comes after the end is dropped.
    ///
    /// # Errors
    /// The chunks are malformed; nothing more can be taken.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), BadChunk> {
        self.take(bytes, out).map(|_| ())
    }

    /// The same; answers how many of the bytes were the body's.
    ///
    /// # Errors
    /// See [`Self::push`].
    pub fn take(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, BadChunk> {
        let all = bytes.len();
        while let [first, rest @ ..] = bytes {
            match self.state {
                State::Length(left) => {
                    let left = pass(&mut bytes, left, out);
                    self.state = if left == 0 {
                        State::Done
                    } else {
                        State::Length(left)
                    };
                }
                State::Data(left) => {
                    let left = pass(&mut bytes, left, out);
                    self.state = if left == 0 {
                        State::Gap
                    } else {
                        State::Data(left)
                    };
                }
                State::UntilEnd => {
                    out.extend_from_slice(bytes);
                    return Ok(all);
                }
                State::Done => return Ok(all - bytes.len()),
                _ => {
                    self.state = self.framed(*first, out)?;
                    bytes = rest;
                }
            }
        }
        Ok(all - bytes.len())
    }

    /// One byte that is no content.
    fn framed(&self, byte: u8, out: &mut Vec<u8>) -> Result<State, BadChunk> {
        match (self.state, byte) {
            (State::Size { digits, size, .. }, b'\n') if digits > 0 => {
                if size == 0 {
                    let (length, blank) = (0, true);
                    return Ok(State::Trailer { length, blank });
                }
                if !self.bare {
                    out.extend_from_slice(format!("{size:x}\r\n").as_bytes());
                }
                Ok(State::Data(size))
            }
            (
                State::Size {
                    digits,
                    extension,
                    size,
                    length,
                },
                _,
            ) => {
                if length == limits::HTTP_CHUNK_LINE_MAX || byte == b'\n' {
                    return Err(BadChunk);
                }
                let digit = char::from(byte).to_digit(16).filter(|_| !extension);
                let ends = matches!(byte, b';' | b' ' | b'\t' | b'\r') && digits > 0;
                match digit {
                    Some(d) if digits < 15 => Ok(State::Size {
                        size: size * 16 + u64::from(d),
                        digits: digits + 1,
                        extension,
                        length: length + 1,
                    }),
                    None if extension || ends => Ok(State::Size {
                        size,
                        digits,
                        extension: true,
                        length: length + 1,
                    }),
                    _ => Err(BadChunk),
                }
            }
            (State::Gap, b'\r') => Ok(State::Gap),
            (State::Gap, b'\n') => {
                if !self.bare {
                    out.extend_from_slice(b"\r\n");
                }
                Ok(SIZE)
            }
            (State::Trailer { blank: true, .. }, b'\n') => {
                if !self.bare {
                    out.extend_from_slice(b"0\r\n\r\n");
                }
                Ok(State::Done)
            }
            (State::Trailer { length, blank }, _) if length < limits::HTTP_HEAD_MAX => {
                let blank = byte == b'\n' || blank && byte == b'\r';
                let length = length + 1;
                Ok(State::Trailer { length, blank })
            }
            _ => Err(BadChunk),
        }
    }
}

/// Moves at most `left` bytes; answers how many are left then.
fn pass(bytes: &mut &[u8], left: u64, out: &mut Vec<u8>) -> u64 {
    let n = usize::try_from(left).map_or(bytes.len(), |n| n.min(bytes.len()));
    let (now, later) = bytes.split_at_checked(n).unwrap_or((bytes, &[]));
    out.extend_from_slice(now);
    *bytes = later;
    left - now.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(
        framing: Framing,
        bare: bool,
        text: &str,
        size: usize,
    ) -> Result<(String, Body), BadChunk> {
        let (mut body, mut out) = (Body::new(framing, bare), Vec::new());
        for piece in text.as_bytes().chunks(size) {
            body.push(piece, &mut out)?;
        }
        Ok((String::from_utf8(out).unwrap(), body))
    }

    #[test]
    fn bodies_pass_up_to_their_end() {
        let chunks = "5;x=\"y\"\r\nhello\r\n1  \n \r\n0\r\nCookie: a\r\n\r\nGET / HTTP/1.1\r\n";
        for size in 1..chunks.len() {
            let (out, body) = run(Framing::Chunked, false, chunks, size).unwrap();
            assert_eq!(out, "5\r\nhello\r\n1\r\n \r\n0\r\n\r\n");
            assert!(body.is_complete());
            let (out, _) = run(Framing::Chunked, true, chunks, size).unwrap();
            assert_eq!(out, "hello ");
            let (out, body) = run(Framing::Length(7), false, "1234567890", size).unwrap();
            assert!(out == "1234567" && body.is_complete());
            let (out, body) = run(Framing::UntilEnd, false, "1234567890", size).unwrap();
            assert!(out == "1234567890" && !body.is_complete());
        }
        assert!(Body::new(Framing::Length(0), false).is_complete());
    }

    #[test]
    fn a_body_that_is_cut_is_not_complete() {
        for (framing, text, shows) in [
            (Framing::Length(4), "abc", true),
            (Framing::UntilEnd, "abc", true),
            (Framing::Chunked, "3\r\nabc\r\n", false),
            (Framing::Chunked, "3\r\nabc\r\n0\r\n", false),
            (Framing::Chunked, "", false),
        ] {
            let (_, body) = run(framing, true, text, 100).unwrap();
            assert_eq!(
                (body.is_complete(), body.shows_its_end()),
                (false, shows),
                "{text}"
            );
            assert!(run(framing, false, text, 100).unwrap().1.shows_its_end());
        }
    }

    #[test]
    fn malformed_chunks_are_refused() {
        for bad in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "0x1\r\n",
            "+1\r\n",
            " 1\r\n",
            ";x\r\n",
            "1000000000000000\r\n",
            "1\r\nab\r\n",
            "1\r\na0\r\n",
        ] {
            let done = run(Framing::Chunked, false, bad, 1).map(|(out, _)| out);
            assert_eq!(done, Err(BadChunk), "{bad:?}");
        }
        let line = format!("1;{}", "x".repeat(limits::HTTP_CHUNK_LINE_MAX));
        assert!(run(Framing::Chunked, false, &line, 100).is_err());
        let trailer = format!("0\r\n{}", "x: y\r\n".repeat(limits::HTTP_HEAD_MAX / 6 + 1));
        assert!(run(Framing::Chunked, false, &trailer, 100).is_err());
    }
}
