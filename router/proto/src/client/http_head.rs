//! Heads of HTTP/1 messages: a start line and header lines, bounded (RFC 9112 sections 2-5).
//!
//! Bytes are taken for characters of the same number (Latin-1), so that whatever a value holds
//! comes out as it went in.

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
    /// Longer than the budget.
    TooLarge,
    /// Not the syntax of HTTP/1.
    Malformed,
}

/// Whose head it is: how much of it is taken, and how it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A request: at most [`limits::HTTP_HEAD_MAX`] bytes and [`limits::HTTP_HEADERS_MAX`] lines,
    /// read by the letter.
    Request,
    /// A response: at most [`limits::HTTP_ANSWER_HEAD_MAX`] bytes and
    /// [`limits::HTTP_ANSWER_HEADERS_MAX`] lines, read as browsers read it: folded lines are
    /// joined, spaces before a colon and lines without one are dropped.
    Response,
}

impl Side {
    const fn budget(self) -> (usize, usize) {
        match self {
            Self::Request => (limits::HTTP_HEAD_MAX, limits::HTTP_HEADERS_MAX),
            Self::Response => (
                limits::HTTP_ANSWER_HEAD_MAX,
                limits::HTTP_ANSWER_HEADERS_MAX,
            ),
        }
    }
}

/// A head on its way in: each byte is looked at once, however it is cut.
#[derive(Clone, Debug)]
pub struct HeadReader {
    side: Side,
    bytes: Vec<u8>,
    /// Bytes of empty lines before the start line.
    skipped: usize,
    lines: usize,
    /// The line so far is empty.
    blank: bool,
}

impl HeadReader {
    /// A reader that has seen nothing.
    #[must_use]
    pub const fn new(side: Side) -> Self {
        Self {
            side,
            bytes: Vec::new(),
            skipped: 0,
            lines: 0,
            blank: true,
        }
    }

    /// Whether anything of a head has come.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes the next bytes: the head with the number of them that belong to it, or `None` while
    /// the empty line that ends it has not come. After a head the reader is as new.
    ///
    /// # Errors
    /// See [`HeadError`].
    pub fn push(&mut self, piece: &[u8]) -> Result<Option<(Head, usize)>, HeadError> {
        let (bytes_max, lines_max) = self.side.budget();
        for (i, b) in piece.iter().enumerate() {
            if self.bytes.is_empty() && matches!(b, b'\r' | b'\n') {
                // Clients of long ago end a body with an empty line (RFC 9112 section 2.2).
                self.skipped += 1;
                if self.skipped > bytes_max {
                    return Err(HeadError::TooLarge);
                }
                continue;
            }
            if self.bytes.len() == bytes_max {
                return Err(HeadError::TooLarge);
            }
            self.bytes.push(*b);
            match b {
                b'\n' if self.blank => return self.finish().map(|head| Some((head, i + 1))),
                b'\n' => {
                    self.lines += 1;
                    self.blank = true;
                    if self.lines > lines_max + 1 {
                        return Err(HeadError::TooLarge);
                    }
                }
                b'\r' => {}
                _ => self.blank = false,
            }
        }
        self.looks_right().map(|()| None)
    }

    /// What is no response at all is told before it has filled the budget.
    fn looks_right(&self) -> Result<(), HeadError> {
        let starts = |with: &[u8]| {
            let n = self.bytes.len().min(with.len());
            let same = self.bytes.get(..n).zip(with.get(..n));
            same.is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
        };
        if self.side == Side::Response && !starts(b"HTTP/") && !starts(b"ICY ") {
            return Err(HeadError::Malformed);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Head, HeadError> {
        self.looks_right()?;
        let bytes = core::mem::take(&mut self.bytes);
        (self.skipped, self.lines, self.blank) = (0, 0, true);
        let text: String = bytes.iter().map(|b| char::from(*b)).collect();
        match self.side {
            Side::Request => parse_strictly(&text),
            Side::Response => parse_kindly(&text),
        }
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').map(|l| l.strip_suffix('\r').unwrap_or(l))
}

/// Characters that no line of a head may hold; the tab is one that may.
const fn is_control(c: char) -> bool {
    matches!(c, '\0'..='\x08' | '\x0a'..='\x1f' | '\x7f')
}

/// Folded lines, spaces before the colon and control characters are ways to smuggle headers.
fn parse_strictly(text: &str) -> Result<Head, HeadError> {
    let mut lines = lines(text);
    let start = lines.next().unwrap_or_default().to_owned();
    if start.contains(|c| is_control(c) || c == '\t') {
        return Err(HeadError::Malformed);
    }
    let mut headers = Vec::new();
    for line in lines.take_while(|l| !l.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(HeadError::Malformed)?;
        if !is_token(name) || line.contains(is_control) {
            return Err(HeadError::Malformed);
        }
        headers.push((name.to_owned(), trim(value).to_owned()));
    }
    Ok(Head { start, headers })
}

/// Chromium's and Firefox's reading of a head (RFC 9112 section 5 leaves it to the recipient).
fn parse_kindly(text: &str) -> Result<Head, HeadError> {
    if text.contains('\0') {
        return Err(HeadError::Malformed);
    }
    let clean = |c| if is_control(c) || c == '\t' { ' ' } else { c };
    let mut lines = lines(text);
    let start = lines.next().unwrap_or_default();
    let start = start.chars().map(clean).collect();
    let mut headers: Vec<(String, String)> = Vec::new();
    // Whether the line before was a header, so that a folded line belongs to it.
    let mut open = false;
    for line in lines.take_while(|l| !l.is_empty()) {
        let line: String = line.chars().map(clean).collect();
        if line.starts_with(' ') {
            if let Some((_, value)) = headers.last_mut().filter(|_| open) {
                value.push(' ');
                value.push_str(trim(&line));
            }
            continue;
        }
        let header = line.split_once(':').map(|(n, v)| (trim(n), trim(v)));
        open = header.is_some_and(|(n, _)| is_token(n));
        if let Some((name, value)) = header.filter(|_| open) {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(Head { start, headers })
}

/// Without spaces and tabs around it.
#[must_use]
pub fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

impl Head {
    /// The first value of a header, by its name in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, v)| v.as_str())
    }

    /// All values of a header.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = move |(n, _): &&(String, String)| n.eq_ignore_ascii_case(name);
        self.headers.iter().filter(named).map(|(_, v)| v.as_str())
    }

    /// How often a header occurs.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.all(name).count()
    }

    /// The members of a header that is a list, over all its lines.
    pub fn members<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let members = self.all(name).flat_map(|v| v.split(',').map(trim));
        members.filter(|m| !m.is_empty())
    }

    /// Whether a list has this member, in any case.
    #[must_use]
    pub fn has_member(&self, name: &str, member: &str) -> bool {
        self.members(name).any(|m| m.eq_ignore_ascii_case(member))
    }

    /// Appends a header.
    pub fn add(&mut self, name: &str, value: impl Into<String>) {
        self.headers.push((name.to_owned(), value.into()));
    }

    /// The head as bytes, with the empty line.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = format!("{}\r\n", self.start);
        for (n, v) in &self.headers {
            out.push_str(&format!("{n}: {v}\r\n"));
        }
        out.push_str("\r\n");
        let byte = |c| u8::try_from(u32::from(c)).unwrap_or(b'?');
        out.chars().map(byte).collect()
    }
}

/// Whether this is a name of RFC 9110 section 5.6.2.
#[must_use]
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

pub(super) const fn is_token_byte(c: u8) -> bool {
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
mod tests;
