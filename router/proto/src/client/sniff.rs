//! Whether a client's first bytes are an HTTP request (RFC 9112 section 3), on ports where they
//! need not be.
//!
//! Judged byte by byte, and never in favour of passing: bytes are HTTP as long as they can still
//! become a request line. What is not, cannot any more: browsers send a whole line of this form
//! and nothing before it, whatever a page makes them ask for.

/// What the first bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A request line of HTTP, of whatever version: the preface of HTTP/2 (RFC 9113 section 3.4)
    /// has the form of one as well.
    Http,
    /// Anything else.
    Other,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The method, of which something has come or not.
    Method { some: bool },
    /// The spaces behind the method.
    Space,
    /// The target.
    Target,
    /// The protocol, of which so many bytes have come.
    Protocol(usize),
    /// Judged.
    Judged(Verdict),
}

const PROTOCOL: &[u8] = b"HTTP/";

/// The first bytes of one connection on their way in. Holds none of them.
#[derive(Clone, Debug)]
pub struct Sniffer(State);

impl Default for Sniffer {
    fn default() -> Self {
        Self(State::Method { some: false })
    }
}

impl Sniffer {
    /// Looks at the next bytes; `None` while they may become either.
    pub fn push(&mut self, bytes: &[u8]) -> Option<Verdict> {
        for byte in bytes {
            self.0 = self.0.next(*byte);
            if let State::Judged(verdict) = self.0 {
                return Some(verdict);
            }
        }
        None
    }

    /// Whether there is no more than the beginning of a word.
    #[must_use]
    pub const fn is_word(&self) -> bool {
        matches!(self.0, State::Method { .. })
    }
}

impl State {
    const fn next(self, byte: u8) -> Self {
        let other = Self::Judged(Verdict::Other);
        match (self, byte) {
            (Self::Judged(verdict), _) => Self::Judged(verdict),
            (Self::Method { some: true }, b' ') => Self::Space,
            (Self::Method { .. }, b) if super::http_head::is_token_byte(b) => {
                Self::Method { some: true }
            }
            (Self::Method { .. }, _) => other,
            (Self::Space, b' ') => Self::Space,
            (Self::Target | Self::Protocol(0), b' ') => Self::Protocol(0),
            // Without a protocol it is HTTP/0.9 at best, which has no headers to tell anything.
            (_, 0..=0x1f | 0x7f) => other,
            (Self::Space | Self::Target, _) => Self::Target,
            (Self::Protocol(n), b) => match PROTOCOL.split_at_checked(n) {
                Some((_, [want, rest @ ..])) if want.eq_ignore_ascii_case(&b) => {
                    if rest.is_empty() {
                        Self::Judged(Verdict::Http)
                    } else {
                        Self::Protocol(n + 1)
                    }
                }
                _ => other,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Http, Other};

    /// The verdict and after how many bytes it fell.
    fn judge(bytes: &[u8]) -> Option<(Verdict, usize)> {
        let mut sniffer = Sniffer::default();
        let mut n = 0;
        bytes.iter().find_map(|b| {
            n += 1;
            sniffer.push(&[*b]).map(|v| (v, n))
        })
    }

    #[test]
    fn requests_are_known_by_their_first_line() {
        for line in [
            "GET / HTTP/1.1",
            "OPTIONS * HTTP/1.1",
            "M-SEARCH http://a.i2p/ HTTP/1.0",
            "CONNECT a.i2p:443 HTTP/1.1",
            "PRI * HTTP/2.0",
            "GET  /  HTTP/1.1",
            "get /\u{fc} http/1.1",
        ] {
            let (verdict, n) = judge(line.as_bytes()).unwrap();
            assert_eq!((verdict, n), (Http, line.len() - 3), "{line}");
            let mut whole = Sniffer::default();
            assert_eq!(whole.push(line.as_bytes()), Some(Http));
        }
        // However long a page makes them.
        let long = format!("{} /{} HTTP/1.1", "A".repeat(9000), "b".repeat(9000));
        assert_eq!(judge(long.as_bytes()).unwrap().0, Http);
    }

    #[test]
    fn other_protocols_pass_as_soon_as_they_can_be_told() {
        for (bytes, n) in [
            (&b"\x16\x03\x01\x02\x00"[..], 1),
            (b"\0\0\0\x10", 1),
            (b"\r\n", 1),
            (b"\x05\x01\0", 1),
            (b"\xff\xfd\x18", 1),
            (b"<?xml", 1),
            (b"SSH-2.0-OpenSSH_9.9\r\n", 20),
            (b"SSH-2.0-dropbear 2024\n", 22),
            (b"NICK foo\r\nUSER foo 0 * :Foo\r\n", 9),
            (b"USER foo 0 * :Foo\r\n", 10),
            (b"EHLO me\r\n", 8),
            (b"003agit-upload-pack /x.git\0host=a.i2p\0", 27),
            (b"*1\r\n$4\r\nPING\r\n", 3),
            (b"OPTIONS rtsp://a.i2p/ RTSP/1.0\r\n", 23),
            (b"GET /\r\n", 6),
            (b"GET /a HTPP", 10),
        ] {
            assert_eq!(judge(bytes), Some((Other, n)), "{bytes:?}");
        }
    }

    #[test]
    fn what_may_become_either_is_not_judged() {
        for bytes in ["", "G", "GET", "GET ", "GET /", "GET / ", "GET / HTTP"] {
            let mut sniffer = Sniffer::default();
            assert_eq!(sniffer.push(bytes.as_bytes()), None, "{bytes}");
            assert_eq!(sniffer.is_word(), !bytes.contains(' '));
        }
    }
}
