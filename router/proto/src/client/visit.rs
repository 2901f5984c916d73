//! A visitor's requests on their way to a local web server (i2p docs/api/i2ptunnel, HTTP server):
//! each says who asks, whatever the visitor says of it, and names the server as its host.
//!
//! All requests of a connection are read, or a second one could bring names of its own. Only the
//! first one may ask for another protocol: its answer is the connection's first.

use super::http_body::{Body, Framing};
use super::http_head::{Head, HeadReader, Side, is_token};
use super::http_request::{Version, framing};
use crate::wire::hash::{DestHash, base64};

/// Bytes of another protocol that may come before the server has agreed to it.
const HELD_MAX: usize = 64 * 1024;
/// How an answer begins that agrees.
const SWITCHED: [&[u8]; 2] = [b"HTTP/1.1 101", b"HTTP/1.0 101"];
/// What names the visitor begins so, in any case and with `_` for `-`.
const OURS: &str = "x-i2p-dest";

/// What the visitor sent is no request that a server may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadVisit;

/// Who visits, and whom.
#[derive(Clone, Debug)]
pub struct Names {
    /// The visitor.
    pub from: DestHash,
    /// The same in full; left out when empty.
    pub destination: Vec<u8>,
    /// What the server is called.
    pub host: String,
}

/// One connection of a visitor.
#[derive(Debug)]
pub struct Visit {
    names: Names,
    state: State,
    /// A head has passed.
    begun: bool,
}

#[derive(Debug)]
enum State {
    Head(HeadReader),
    Body(Body),
    /// Asked for another protocol: what follows, and what has come of the answer.
    Asked(Vec<u8>, Vec<u8>),
    /// Another protocol.
    Other,
}

impl Visit {
    /// A visit that has brought nothing yet.
    #[must_use]
    pub const fn new(names: Names) -> Self {
        Self {
            names,
            state: State::Head(HeadReader::new(Side::Request)),
            begun: false,
        }
    }

    /// Takes bytes of the visitor; what the server may see is appended to `out`.
    ///
    /// # Errors
    /// See [`BadVisit`]; nothing more can be taken.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), BadVisit> {
        while !bytes.is_empty() {
            let taken = match &mut self.state {
                State::Head(reader) => match reader.push(bytes).map_err(|_| BadVisit)? {
                    Some((head, n)) => {
                        self.state = self.request(head, out)?;
                        n
                    }
                    None => bytes.len(),
                },
                State::Body(body) => body.take(bytes, out).map_err(|_| BadVisit)?,
                State::Asked(held, _) => {
                    if held.len() + bytes.len() > HELD_MAX {
                        return Err(BadVisit);
                    }
                    held.extend_from_slice(bytes);
                    bytes.len()
                }
                State::Other => {
                    out.extend_from_slice(bytes);
                    bytes.len()
                }
            };
            if matches!(&self.state, State::Body(body) if body.is_complete()) {
                self.state = State::Head(HeadReader::new(Side::Request));
            }
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// Sees bytes of the server, which pass; what waited for its agreement is appended to `out`.
    ///
    /// # Errors
    /// What waited is no request, and the server has not agreed.
    pub fn answered(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), BadVisit> {
        let State::Asked(held, start) = &mut self.state else {
            return Ok(());
        };
        let len = SWITCHED[0].len();
        start.extend(bytes.iter().take(len - start.len()));
        if start.len() < len {
            return Ok(());
        }
        let held = core::mem::take(held);
        if SWITCHED.contains(&start.as_slice()) {
            self.state = State::Other;
        } else {
            self.state = State::Head(HeadReader::new(Side::Request));
        }
        self.push(&held, out)
    }

    fn request(&mut self, mut head: Head, out: &mut Vec<u8>) -> Result<State, BadVisit> {
        let first = !core::mem::replace(&mut self.begun, true);
        let mut words = head.start.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(BadVisit);
        };
        let version = match version {
            "HTTP/1.1" => Version::V11,
            "HTTP/1.0" => Version::V10,
            _ => return Err(BadVisit),
        };
        if !is_token(method) || method == "CONNECT" {
            return Err(BadVisit);
        }
        let body = framing(&head, version).map_err(|_| BadVisit)?;
        let path = origin_form(target).ok_or(BadVisit)?;
        let said = if version == Version::V11 {
            "1.1"
        } else {
            "1.0"
        };
        head.start = format!("{method} {path} HTTP/{said}");
        let plain = body == Framing::Length(0);
        let asks = head.has_member("connection", "upgrade") && head.count("upgrade") > 0;
        let switches = first && asks && plain && version == Version::V11;
        head.headers.retain(|(name, _)| {
            let name = name.to_ascii_lowercase().replace('_', "-");
            let drop = name == "host" || name.starts_with(OURS);
            !drop && (switches || name != "upgrade")
        });
        head.headers
            .insert(0, ("Host".to_owned(), self.names.host.clone()));
        head.add("X-I2P-DestHash", base64(self.names.from.as_bytes()));
        head.add("X-I2P-DestB32", self.names.from.b32());
        if !self.names.destination.is_empty() {
            head.add("X-I2P-DestBase64", base64(&self.names.destination));
        }
        out.extend(head.to_bytes());
        Ok(if switches {
            State::Asked(Vec::new(), Vec::new())
        } else {
            State::Body(Body::new(body, false))
        })
    }
}

/// A target without the site's own name.
fn origin_form(target: &str) -> Option<String> {
    if target.starts_with('/') || target == "*" {
        return Some(target.to_owned());
    }
    let (scheme, rest) = target.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let rest = rest
        .find(['/', '?'])
        .map_or("", |at| rest.get(at..).unwrap_or_default());
    Some(if rest.starts_with('/') {
        rest.to_owned()
    } else {
        format!("/{rest}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit() -> Visit {
        Visit::new(Names {
            from: DestHash([7; 32]),
            destination: vec![9; 391],
            host: "local:80".to_owned(),
        })
    }

    fn pass(v: &mut Visit, text: &str) -> Result<String, BadVisit> {
        let mut out = Vec::new();
        for byte in text.as_bytes() {
            v.push(&[*byte], &mut out)?;
        }
        Ok(String::from_utf8(out).unwrap())
    }

    fn named(text: &str, value: &str) -> usize {
        text.lines().filter(|l| *l == value).count()
    }

    /// Under no spelling, and in no later request, does a visitor say who it is.
    #[test]
    fn the_visitor_is_named_by_us_alone() {
        let forged = "X-I2P-DestHash: a\r\nx-i2p-destb32: b\r\nX_I2P_DestBase64: c\r\n\
            X-I2P-Dest-More: d\r\n";
        let text = format!(
            "POST http://site.i2p/a?b HTTP/1.1\r\nHost: x.i2p\r\n{forged}Content-Length: 3\r\n\r\n\
             abcGET /2 HTTP/1.1\r\nhost: y\r\n{forged}Transfer-Encoding: chunked\r\n\r\n\
             2\r\nhi\r\n0\r\n\r\nGET /3 HTTP/1.0\r\nHost: z\r\n{forged}\r\n"
        );
        let got = pass(&mut visit(), &text).unwrap();
        let mut whole = Vec::new();
        visit().push(text.as_bytes(), &mut whole).unwrap();
        assert_eq!(got.as_bytes(), whole, "however it is cut");
        let b32 = format!("X-I2P-DestB32: {}", DestHash([7; 32]).b32());
        let hash = format!("X-I2P-DestHash: {}", base64(&[7; 32]));
        let full = format!("X-I2P-DestBase64: {}", base64(&[9; 391]));
        for line in [&b32, &hash, &full, "Host: local:80"] {
            assert_eq!(named(&got, line), 3, "{line}\n{got}");
        }
        let lower = got.to_ascii_lowercase().replace('_', "-");
        assert_eq!(lower.matches(OURS).count(), 9, "{got}");
        assert_eq!(lower.matches("host:").count(), 3, "{got}");
        assert!(got.starts_with("POST /a?b HTTP/1.1\r\n"));
        assert!(got.contains("abcGET /2 HTTP/1.1\r\n") && got.contains("GET /3 HTTP/1.0\r\n"));
    }

    #[test]
    fn another_protocol_waits_for_the_answer() {
        let ask = "GET /s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        let second = "GET /2 HTTP/1.1\r\nX-I2P-DestHash: a\r\n\r\n";
        let mut v = visit();
        let got = pass(&mut v, &format!("{ask}{second}")).unwrap();
        assert!(got.contains("Upgrade: websocket") && !got.contains("/2"));
        let mut out = Vec::new();
        v.answered(b"HTTP/1.1 1", &mut out).unwrap();
        assert!(out.is_empty());
        v.answered(b"01 Switching", &mut out).unwrap();
        assert_eq!(out, second.as_bytes(), "as it is");
        assert_eq!(pass(&mut v, "\x01\x02").unwrap(), "\x01\x02");

        let mut v = visit();
        pass(&mut v, &format!("{ask}{second}")).unwrap();
        let mut out = Vec::new();
        v.answered(b"HTTP/1.1 200 OK\r\n", &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(
            out.contains("GET /2") && !out.contains("X-I2P-DestHash: a"),
            "{out}"
        );
        // Answers of earlier requests could be taken for the one that agrees.
        assert!(!pass(&mut v, ask).unwrap().contains("Upgrade: websocket"));
        assert!(pass(&mut v, second).unwrap().contains("GET /2"));

        let mut v = visit();
        pass(&mut v, ask).unwrap();
        assert_eq!(
            v.push(&vec![0; HELD_MAX + 1], &mut Vec::new()),
            Err(BadVisit)
        );
    }

    #[test]
    fn what_two_servers_could_read_in_two_ways_is_refused() {
        for bad in [
            "CONNECT a:1 HTTP/1.1\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET /  HTTP/1.1\r\n\r\n",
            "GET x HTTP/1.1\r\n\r\n",
            "GET ftp://a/ HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        ] {
            assert_eq!(pass(&mut visit(), bad), Err(BadVisit), "{bad}");
        }
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(1 << 20));
        assert_eq!(pass(&mut visit(), &long), Err(BadVisit));
    }
}
