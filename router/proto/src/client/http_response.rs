//! A site's answer on its way to the browser: its head is filtered, its body bounded by its own
//! framing, and both speak the browser's version of HTTP/1.

mod headers;
mod policy;

use super::http_body::{Body, Framing};
use super::http_head::{Head, HeadError, HeadReader, Side, is_token};
use super::http_request::Version;
use super::site::Site;

/// Interim answers of one exchange; more are a site that never comes to the point.
const INTERIM_MAX: usize = 32;

/// What of the request its answer has to be read with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The site under both names.
    pub site: Site,
    /// A HEAD: the answer has no body.
    pub head_only: bool,
    /// What the browser speaks.
    pub version: Version,
    /// The connection may become another protocol's.
    pub upgrade: bool,
    /// The browser waits for `100 Continue`.
    pub expects: bool,
    /// The page that asked is another site's, and was told as `null`.
    pub foreign_origin: Option<String>,
}

/// Why an answer is not passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerError {
    /// It is no HTTP response, or ended within its head.
    Malformed,
    /// Its head is above our limits.
    TooLarge,
    /// It would send the browser out of I2P, to this address.
    Elsewhere(String),
}

/// The answer of one exchange.
#[derive(Debug)]
pub struct Answers {
    asked: Asked,
    state: State,
    interim: usize,
}

#[derive(Debug)]
enum State {
    Head(HeadReader),
    Body(Body),
    /// Another protocol: bytes pass.
    Switched,
}

impl Answers {
    /// Nothing has come.
    #[must_use]
    pub const fn new(asked: Asked) -> Self {
        Self {
            asked,
            state: State::Head(HeadReader::new(Side::Response)),
            interim: 0,
        }
    }

    /// Whether the browser has got a final answer's head.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        !matches!(self.state, State::Head(_))
    }

    /// Whether nothing at all has come, not even an interim answer.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(&self.state, State::Head(head) if head.is_empty() && self.interim == 0)
    }

    /// Whether the whole answer has come.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        matches!(&self.state, State::Body(body) if body.is_complete())
    }

    /// Whether the connection is another protocol's.
    #[must_use]
    pub const fn is_switched(&self) -> bool {
        matches!(self.state, State::Switched)
    }

    /// Whether the browser sees by itself if the answer ends here too early.
    #[must_use]
    pub const fn shows_its_end(&self) -> bool {
        match &self.state {
            State::Head(_) => false,
            State::Body(body) => body.shows_its_end(),
            State::Switched => true,
        }
    }

    /// Takes bytes of the site and appends to `out` what the browser gets.
    ///
    /// # Errors
    /// Nothing more can be taken. Before [`Self::has_begun`] a page can still be sent instead.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), AnswerError> {
        loop {
            match &mut self.state {
                State::Switched => {
                    out.extend_from_slice(bytes);
                    return Ok(());
                }
                State::Body(body) => {
                    let passed = body.push(bytes, out);
                    return passed.map_err(|_| AnswerError::Malformed);
                }
                State::Head(reader) => {
                    let head = reader.push(bytes).map_err(|e| match e {
                        HeadError::TooLarge => AnswerError::TooLarge,
                        HeadError::Malformed => AnswerError::Malformed,
                    })?;
                    let Some((head, n)) = head else {
                        return Ok(());
                    };
                    bytes = bytes.get(n..).unwrap_or_default();
                    self.on_head(&head, out)?;
                }
            }
        }
    }

    fn on_head(&mut self, head: &Head, out: &mut Vec<u8>) -> Result<(), AnswerError> {
        let status = Status::parse(&head.start).ok_or(AnswerError::Malformed)?;
        match status.code {
            101 if self.asked.upgrade => {
                let switched = headers::switched(head).ok_or(AnswerError::Malformed)?;
                out.extend(switched.to_bytes());
                self.state = State::Switched;
            }
            101 => return Err(AnswerError::Malformed),
            100..=199 => {
                self.interim += 1;
                if self.interim > INTERIM_MAX {
                    return Err(AnswerError::Malformed);
                }
                if status.code == 100 && core::mem::take(&mut self.asked.expects) {
                    out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
            }
            _ => {
                let (filtered, body) = self.on_final(&status, head)?;
                out.extend(filtered.to_bytes());
                self.state = State::Body(body);
            }
        }
        Ok(())
    }

    fn on_final(&self, status: &Status, head: &Head) -> Result<(Head, Body), AnswerError> {
        let framing = framing(status, head)?;
        let old = self.asked.version == Version::V10;
        let version = if old { "HTTP/1.0" } else { "HTTP/1.1" };
        let reason = &status.reason;
        let mut out = Head {
            start: format!("{version} {} {reason}", status.code),
            headers: Vec::new(),
        };
        headers::copy(head, status.code, &self.asked, &mut out)?;
        let empty = self.asked.head_only || matches!(status.code, 204 | 304);
        match framing {
            Framing::Chunked if !old => out.add("Transfer-Encoding", "chunked"),
            Framing::Length(n) if status.code != 204 => out.add("Content-Length", n.to_string()),
            _ => {}
        }
        out.add("Connection", "close");
        let framing = if empty { Framing::Length(0) } else { framing };
        Ok((out, Body::new(framing, old)))
    }
}

struct Status {
    /// The answer is HTTP/1.0 or older in what it may use.
    old: bool,
    code: u16,
    reason: String,
}

impl Status {
    /// A status line as browsers read it: any number of spaces, any case, no reason needed; `ICY`
    /// is what radio servers say instead of HTTP/1.0.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ').filter(|w| !w.is_empty());
        let version = words.next()?.to_ascii_uppercase();
        let code = words.next()?;
        let old = match version.strip_prefix("HTTP/") {
            None if version == "ICY" => true,
            None => return None,
            Some(number) => {
                let (major, minor) = number.split_once('.')?;
                major.parse::<u16>().ok()? == 1 && minor.parse::<u16>().ok()? == 0
            }
        };
        let digits = code.len() == 3 && code.bytes().all(|c| c.is_ascii_digit());
        let code = code.parse().ok().filter(|c| digits && *c >= 100)?;
        let reason = words.collect::<Vec<_>>().join(" ");
        Some(Self { old, code, reason })
    }
}

/// The framing that browsers see in a head (RFC 9112 section 6.3, with what they forgive).
fn framing(status: &Status, head: &Head) -> Result<Framing, AnswerError> {
    if !status.old && head.has_member("transfer-encoding", "chunked") {
        return Ok(Framing::Chunked);
    }
    let mut found = None;
    for length in head.members("content-length") {
        let digits = length.bytes().all(|c| c.is_ascii_digit());
        let Some(n) = length.parse::<u64>().ok().filter(|_| digits) else {
            return Ok(Framing::UntilEnd);
        };
        if found.is_some_and(|f| f != n) {
            return Err(AnswerError::Malformed);
        }
        found = Some(n);
    }
    Ok(found.map_or(Framing::UntilEnd, Framing::Length))
}

#[cfg(test)]
mod tests;
