//! Requests of `control.sock`: one ASCII line each, and after `reseed N` N bytes. The answer is
//! UTF-8 lines `key: value`, ended by the end of the connection; this module knows nothing of them.

/// Longest request line, newline included.
pub const LINE_MAX: usize = 64;

/// What may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Tell how the router is.
    Status,
    /// Drain and stop.
    Shutdown,
    /// End the destination of this isolation tag when its streams have ended.
    Forget([u8; 16]),
    /// Take the routers of a reseed file, of which this many bytes follow.
    Reseed(u32),
}

/// Longest reseed file, bytes.
pub const RESEED_MAX: u32 = 4 << 20;

/// Why a line is no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestError {
    /// No newline within [`LINE_MAX`] bytes.
    TooLong,
    /// Nothing that is known by this name.
    Unknown,
}

impl std::fmt::Display for RequestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TooLong => "request line too long",
            Self::Unknown => "unknown request",
        })
    }
}

impl std::error::Error for RequestError {}

impl Request {
    /// The line, newline included.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        match self {
            Self::Status => b"status\n".to_vec(),
            Self::Shutdown => b"shutdown\n".to_vec(),
            Self::Forget(tag) => format!("forget {:032x}\n", u128::from_be_bytes(tag)).into_bytes(),
            Self::Reseed(len) => format!("reseed {len}\n").into_bytes(),
        }
    }

    /// Reads one line off the front of `bytes`: the request and how many bytes it took. A
    /// carriage return before the newline is allowed. `None` needs more, never beyond
    /// [`LINE_MAX`].
    ///
    /// # Errors
    /// The line is too long or means nothing.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, RequestError> {
        let Some(end) = bytes.iter().take(LINE_MAX).position(|b| *b == b'\n') else {
            return if bytes.len() < LINE_MAX {
                Ok(None)
            } else {
                Err(RequestError::TooLong)
            };
        };
        let line = bytes.get(..end).unwrap_or_default();
        let request = match line.strip_suffix(b"\r").unwrap_or(line) {
            b"status" => Self::Status,
            b"shutdown" => Self::Shutdown,
            line => {
                let request = Self::reseed(line).or_else(|| Self::forget(line));
                request.ok_or(RequestError::Unknown)?
            }
        };
        Ok(Some((request, end + 1)))
    }

    fn forget(line: &[u8]) -> Option<Self> {
        let hex = line.strip_prefix(b"forget ")?;
        if hex.len() != 32 || !hex.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let tag = u128::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?;
        Some(Self::Forget(tag.to_be_bytes()))
    }

    fn reseed(line: &[u8]) -> Option<Self> {
        let number = line.strip_prefix(b"reseed ")?;
        if !number.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let len = std::str::from_utf8(number).ok()?.parse().ok()?;
        (1..=RESEED_MAX).contains(&len).then_some(Self::Reseed(len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_back_and_truncations_need_more() {
        let reseed = Request::Reseed(RESEED_MAX);
        let forget = Request::Forget([0xa7; 16]);
        for request in [Request::Status, Request::Shutdown, reseed, forget] {
            let line = request.encode();
            assert_eq!(Request::decode(&line), Ok(Some((request, line.len()))));
            for n in 0..line.len() {
                assert_eq!(Request::decode(&line[..n]), Ok(None));
            }
        }
        assert_eq!(
            Request::decode(b"status\r\nmore"),
            Ok(Some((Request::Status, 8)))
        );
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            b"\n".as_slice(),
            b"Status\n",
            b"status \n",
            b"\xff\n",
            b"status\r\r\n",
            b"forget \n",
            b"forget 00000000000000000000000000000000a\n",
            b"forget +0000000000000000000000000000000\n",
            b"reseed\n",
            b"reseed \n",
            b"reseed 0\n",
            b"reseed +1\n",
            b"reseed 4194305\n",
            b"reseed 99999999999999999999\n",
        ] {
            assert_eq!(Request::decode(line), Err(RequestError::Unknown));
        }
        assert_eq!(Request::decode(&[b'a'; LINE_MAX - 1]), Ok(None));
        assert_eq!(
            Request::decode(&[b'a'; LINE_MAX]),
            Err(RequestError::TooLong)
        );
        let mut late = vec![b'a'; LINE_MAX];
        late.push(b'\n');
        assert_eq!(Request::decode(&late), Err(RequestError::TooLong));
    }
}
