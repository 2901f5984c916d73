//! Requests for the console, passed on: whole, bounded, and with nothing in their heads but what
//! the console reads. The HTTP library there has no limits and waits for whoever is slow.

mod stream;

use crate::channel::ShortId;
use crate::console::{BODY_MAX, DEVICE, UPDATE, UPDATE_MAX};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// Headers that are passed on; each at most once.
const PASSED: [&str; 6] = [
    "Host",
    "Origin",
    "Referer",
    "Cookie",
    "Content-Type",
    "Sec-Fetch-Site",
];

/// How long a body may take, the console, and the visitor to take the answer.
const BODY: Duration = Duration::from_secs(60);
const CONSOLE: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(30);

/// Forms are shorter than this, bytes; files are not.
const SHORT: usize = 16 * 1024;

/// Longest answer, bytes.
const ANSWER_MAX: u64 = 2 << 20;

/// One request for the console.
#[derive(Debug, PartialEq, Eq)]
pub struct Forward {
    /// Request line and headers, without the last empty line.
    head: String,
    /// Bytes of the body.
    length: usize,
    /// Bytes of the head as it came.
    pub taken: usize,
    /// Whether it is the first page that is read.
    pub is_home: bool,
    /// Whether it is an update, which is passed on as it comes.
    is_update: bool,
    /// The visitor waits for leave to send the body (RFC 9110, section 10.1.1).
    waits: bool,
}

/// Why a request is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// A header twice, or no text.
    Malformed,
    /// The body's length is not said.
    Length,
    /// The body is too long.
    Large,
    /// As many long ones as there is memory for are on their way.
    Busy,
}

impl Forward {
    /// Of a parsed head of `taken` bytes for `target` (path and query).
    ///
    /// # Errors
    /// It cannot be passed on.
    pub fn new(
        request: &httparse::Request<'_, '_>,
        target: &str,
        taken: usize,
    ) -> Result<Self, Unfit> {
        let one = |name: &str| {
            let mut all = request.headers.iter();
            let mut found = all.by_ref().filter(|h| h.name.eq_ignore_ascii_case(name));
            let first = found.next();
            match found.next() {
                Some(_) => Err(Unfit::Malformed),
                None => first
                    .map(|h| std::str::from_utf8(h.value).map_err(|_| Unfit::Malformed))
                    .transpose(),
            }
        };
        let method = request.method.unwrap_or("GET");
        let is_text = target.bytes().all(|b| b.is_ascii_graphic());
        if !is_text || !target.starts_with('/') {
            return Err(Unfit::Malformed);
        }
        if one("Transfer-Encoding")?.is_some() {
            return Err(Unfit::Length);
        }
        let length = match one("Content-Length")? {
            Some(length) if length.bytes().all(|b| b.is_ascii_digit()) => {
                length.parse().unwrap_or(usize::MAX)
            }
            Some(_) => return Err(Unfit::Malformed),
            None if method == "POST" => return Err(Unfit::Length),
            None => 0,
        };
        let is_update = method == "POST" && target.split('?').next() == Some(UPDATE);
        if length > if is_update { UPDATE_MAX } else { BODY_MAX } {
            return Err(Unfit::Large);
        }
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        for name in PASSED {
            if let Some(value) = one(name)? {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        let expect = one("Expect")?.unwrap_or_default();
        Ok(Self {
            head,
            length,
            taken,
            is_update,
            is_home: method != "POST" && target.split('?').next() == Some("/"),
            waits: expect.eq_ignore_ascii_case("100-continue"),
        })
    }

    /// Whether its body is long: there is memory for few of those.
    #[must_use]
    pub const fn is_long(&self) -> bool {
        self.length > SHORT
    }

    /// Takes the rest of the body from the visitor, of which `early` is there, and brings him the
    /// console's answer. `false`: the console is away, or broke off, and nothing was said. The
    /// console hears of a request when all of it is there.
    ///
    /// # Errors
    /// The visitor is gone, or late.
    pub async fn run(
        &self,
        console: &Path,
        device: ShortId,
        early: &[u8],
        visitor: &mut TcpStream,
    ) -> io::Result<bool> {
        if self.is_update {
            let passed = stream::pass_on(self, console, device, early, visitor).await;
            let Some(answer) = passed? else {
                return Ok(false);
            };
            timeout(ANSWER, visitor.write_all(&answer)).await??;
            return Ok(true);
        }
        let body = self.body(early, visitor).await?;
        let asked = timeout(CONSOLE, self.ask(console, device, &body)).await;
        let Ok(Ok(answer)) = asked else {
            return Ok(false);
        };
        if answer.is_empty() {
            return Ok(false);
        }
        timeout(ANSWER, visitor.write_all(&answer)).await??;
        Ok(true)
    }

    async fn body(&self, early: &[u8], visitor: &mut TcpStream) -> io::Result<Vec<u8>> {
        let early = early.get(..self.length).unwrap_or(early);
        let mut body = early.to_vec();
        let rest = self.length - body.len();
        if rest > 0 {
            if self.waits {
                visitor.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            }
            let limit = u64::try_from(rest).map_err(io::Error::other)?;
            timeout(BODY, visitor.take(limit).read_to_end(&mut body)).await??;
            if body.len() < self.length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(body)
    }

    async fn ask(&self, console: &Path, device: ShortId, body: &[u8]) -> io::Result<Vec<u8>> {
        let mut there = UnixStream::connect(console).await?;
        let head = format!(
            "{}Content-Length: {}\r\n{DEVICE}: {device}\r\nConnection: close\r\n\r\n",
            self.head,
            body.len()
        );
        there.write_all(head.as_bytes()).await?;
        there.write_all(body).await?;
        let mut answer = Vec::new();
        there.take(ANSWER_MAX).read_to_end(&mut answer).await?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(text: &str, target: &str) -> Result<Forward, Unfit> {
        let mut lines = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut lines);
        let parsed = request.parse(text.as_bytes()).unwrap();
        Forward::new(&request, target, parsed.unwrap())
    }

    #[test]
    fn only_what_the_console_reads_is_passed_on() {
        let text = "POST /login HTTP/1.1\r\nhost: ramson\r\nX-Ramson-Device: 00000001\r\n\
                    Cookie: ramson=1\r\nUser-Agent: x\r\nContent-Length: 3\r\n\
                    Connection: keep-alive\r\n\r\nabc";
        let passed = forward(text, "/login?x").unwrap();
        assert_eq!(
            passed.head,
            "POST /login?x HTTP/1.1\r\nHost: ramson\r\nCookie: ramson=1\r\n"
        );
        assert_eq!((passed.length, passed.is_home), (3, false));
        assert!(text[passed.taken..].starts_with("abc"));
        assert!(
            forward("GET /?x HTTP/1.1\r\nHost: r\r\n\r\n", "/?x")
                .unwrap()
                .is_home
        );
    }

    #[test]
    fn what_leaves_a_doubt_where_a_request_ends_is_not_passed_on() {
        let post = |more: &str| {
            let text = format!("POST / HTTP/1.1\r\nHost: r\r\n{more}\r\n");
            forward(&text, "/").map(|f| f.length)
        };
        assert_eq!(post(""), Err(Unfit::Length));
        assert_eq!(post("Transfer-Encoding: chunked\r\n"), Err(Unfit::Length));
        let both = "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n";
        assert_eq!(post(both), Err(Unfit::Length));
        assert_eq!(
            post("Content-Length: 3\r\nContent-Length: 3\r\n"),
            Err(Unfit::Malformed)
        );
        assert_eq!(post("Content-Length: +3\r\n"), Err(Unfit::Malformed));
        assert_eq!(post("Content-Length: 4194305\r\n"), Err(Unfit::Large));
        assert_eq!(
            post("Content-Length: 99999999999999999999999\r\n"),
            Err(Unfit::Large)
        );
        assert_eq!(post("Content-Length: 4194304\r\n"), Ok(BODY_MAX));
        let get = "GET / HTTP/1.1\r\nHost: r\r\n\r\n";
        assert_eq!(forward(get, "/a b"), Err(Unfit::Malformed));
        assert_eq!(forward(get, "x"), Err(Unfit::Malformed));
    }
}
