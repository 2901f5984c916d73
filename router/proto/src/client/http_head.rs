//! Heads of HTTP/1 messages: a start line and header lines, bounded (RFC 9112 sections 2-5).

use crate::limits;

/// A parsed head; header values are trimmed, their order is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Request or status line, without the line end.
    pub start: String,
    /// Header names as they came and values.
    pub headers: Vec<(String, String)>,
}

/// Why a head was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// Longer than [`limits::HTTP_HEAD_MAX`].
    TooLarge,
    /// Not the syntax of HTTP/1.
    Malformed,
}

impl Head {
    /// Parses the head at the front of `bytes`: the head and its length in bytes, or `None` while
    /// the empty line that ends it has not come.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, HeadError> {
        let Some(end) = find_end(bytes) else {
            let full = bytes.len() >= limits::HTTP_HEAD_MAX;
            return if full {
                Err(HeadError::TooLarge)
            } else {
                Ok(None)
            };
        };
        if end > limits::HTTP_HEAD_MAX {
            return Err(HeadError::TooLarge);
        }
        let text = bytes.get(..end).unwrap_or_default();
        let text = core::str::from_utf8(text).map_err(|_| HeadError::Malformed)?;
        let mut lines = text.split('\n').map(|l| l.strip_suffix('\r').unwrap_or(l));
        let start = lines
            .next()
            .filter(|l| !l.is_empty())
            .ok_or(HeadError::Malformed)?;
        let mut headers = Vec::new();
        for line in lines.take_while(|l| !l.is_empty()) {
            let (name, value) = line.split_once(':').ok_or(HeadError::Malformed)?;
            // Folded lines and spaces before the colon are ways to smuggle headers.
            if name.is_empty() || !name.bytes().all(is_token) || line.contains('\r') {
                return Err(HeadError::Malformed);
            }
            if headers.len() == limits::HTTP_HEADERS_MAX {
                return Err(HeadError::TooLarge);
            }
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        if start.contains(|c: char| c.is_control()) {
            return Err(HeadError::Malformed);
        }
        Ok(Some((
            Self {
                start: start.to_owned(),
                headers,
            },
            end,
        )))
    }

    /// The first value of a header, by its name in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, v)| v.as_str())
    }

    /// How often a header occurs.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .count()
    }

    /// Drops every header that `drop` names; it sees the name in lower case.
    pub fn drop_headers(&mut self, drop: impl Fn(&str) -> bool) {
        self.headers.retain(|(n, _)| !drop(&n.to_ascii_lowercase()));
    }

    /// Replaces a header wherever it stands, or appends it.
    pub fn set(&mut self, name: &str, value: &str) {
        match self
            .headers
            .iter_mut()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
        {
            Some((_, v)) => value.clone_into(v),
            None => self.headers.push((name.to_owned(), value.to_owned())),
        }
    }

    /// The head as bytes, with the empty line.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = format!("{}\r\n", self.start);
        for (n, v) in &self.headers {
            out.push_str(&format!("{n}: {v}\r\n"));
        }
        out.push_str("\r\n");
        out.into_bytes()
    }
}

fn find_end(bytes: &[u8]) -> Option<usize> {
    let mut previous_blank = false;
    for (i, b) in bytes.iter().enumerate() {
        match b {
            b'\n' if previous_blank => return Some(i + 1),
            b'\n' => previous_blank = true,
            b'\r' => {}
            _ => previous_blank = false,
        }
    }
    None
}

const fn is_token(c: u8) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(
            c,
            b'-' | b'_'
                | b'.'
                | b'!'
                | b'#'
                | b'$'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'^'
                | b'|'
                | b'~'
                | b'%'
                | b'`'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_waits_and_refuses() {
        let text = b"GET / HTTP/1.1\r\nHost: a.i2p\r\nX:  y \r\n\r\nbody";
        let (head, n) = Head::parse(text).unwrap().unwrap();
        assert_eq!(n, text.len() - 4);
        assert_eq!(head.get("host"), Some("a.i2p"));
        assert_eq!(head.get("x"), Some("y"));
        for i in 0..n {
            assert_eq!(Head::parse(&text[..i]).unwrap(), None);
        }
        for bad in [
            "\r\n\r\n",
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "G\r\n folded: x\r\n\r\n",
        ] {
            assert_eq!(
                Head::parse(bad.as_bytes()),
                Err(HeadError::Malformed),
                "{bad:?}"
            );
        }
        let long = vec![b'a'; limits::HTTP_HEAD_MAX];
        assert_eq!(Head::parse(&long), Err(HeadError::TooLarge));
    }
}
