//! The one HTTP filter: what of a browser's request reaches a site
//! (i2p docs/api/i2ptunnel, HTTP client header filtering).

use super::http_head::{Head, HeadError};
use crate::names::hosts::is_host_name;

/// The user agent that everyone behind an I2P proxy shows.
const USER_AGENT: &str = "MYOB/6.66 (AN/ON)";

/// A request that may be sent on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Destination name, in lower case.
    pub host: String,
    /// Port at the destination.
    pub port: u16,
    /// What travels.
    pub kind: RequestKind,
    head: Head,
}

/// What follows the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// One request with this many bytes of body; the connection closes after the answer.
    Message {
        /// Bytes after the head.
        body: u64,
    },
    /// A CONNECT: bytes both ways.
    Tunnel,
}

/// Why a request is answered by the proxy itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// The head is not HTTP/1 or too large.
    Head(HeadError),
    /// The request line is malformed.
    RequestLine,
    /// Neither the request line nor a Host header names a host, or there are two.
    NoHost,
    /// The host is not under `.i2p`: this proxy has no way out.
    NotI2p,
    /// The body has no length (chunked) or a malformed one.
    Length,
    /// A scheme other than http.
    Scheme,
}

impl From<HeadError> for RequestError {
    fn from(e: HeadError) -> Self {
        Self::Head(e)
    }
}

impl Request {
    /// Judges and filters a head. `fixed_host` is the name that a transparent connection was
    /// opened to; otherwise the request itself has to name its host.
    pub fn filter(mut head: Head, fixed: Option<(&str, u16)>) -> Result<Self, RequestError> {
        let mut parts = head.start.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(RequestError::RequestLine);
        };
        if !version.starts_with("HTTP/1.") || method.is_empty() {
            return Err(RequestError::RequestLine);
        }
        if head.count("host") > 1 {
            return Err(RequestError::NoHost);
        }
        if method == "CONNECT" {
            let (host, port) = split_authority(target, 443)?;
            let (host, port) = check(fixed.map_or((host, port), |(h, p)| (h.to_owned(), p)))?;
            return Ok(Self {
                host,
                port,
                kind: RequestKind::Tunnel,
                head,
            });
        }
        let (authority, path) = split_target(target)?;
        let named = authority.or_else(|| head.get("host").map(str::to_owned));
        let (host, port) = match (fixed, named) {
            (Some((host, port)), _) => (host.to_owned(), port),
            (None, Some(named)) => split_authority(&named, 80)?,
            (None, None) => return Err(RequestError::NoHost),
        };
        let (host, port) = check((host, port))?;
        let body = body_length(&head)?;
        head.start = format!("{method} {path} HTTP/1.1");
        scrub(&mut head);
        Ok(Self {
            host,
            port,
            kind: RequestKind::Message { body },
            head,
        })
    }

    /// The head to send, once the destination's base32 name is known: an address-book name
    /// would tell the site what its visitor calls it.
    #[must_use]
    pub fn to_bytes(mut self, b32: &str) -> Vec<u8> {
        self.head
            .headers
            .insert(0, ("Host".to_owned(), b32.to_owned()));
        self.head.to_bytes()
    }
}

/// Drops what identifies the browser, its language, where it came from, and what is between
/// browser and proxy only.
fn scrub(head: &mut Head) {
    let connection = head
        .get("connection")
        .unwrap_or_default()
        .to_ascii_lowercase();
    head.drop_headers(|name| {
        name.starts_with("proxy-")
            || name.starts_with("x-forwarded")
            || name.starts_with("x-real")
            || name.starts_with("sec-")
            || name.starts_with("accept-")
            || connection.split(',').any(|n| n.trim() == name)
            || DROPPED.contains(&name)
    });
    head.set("User-Agent", USER_AGENT);
    head.set("Accept-Encoding", "identity;q=1, *;q=0");
    head.set("Connection", "close");
}

const DROPPED: &[&str] = &[
    "accept",
    "cache-control",
    "client-ip",
    "connection",
    "dnt",
    "expect",
    "forwarded",
    "from",
    "host",
    "keep-alive",
    "pragma",
    "priority",
    "referer",
    "save-data",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
    "x-requested-with",
];

fn check((host, port): (String, u16)) -> Result<(String, u16), RequestError> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if !is_host_name(&host) {
        return Err(RequestError::NotI2p);
    }
    Ok((host, port))
}

fn split_target(target: &str) -> Result<(Option<String>, String), RequestError> {
    if target.starts_with('/') || target == "*" {
        return Ok((None, target.to_owned()));
    }
    let Some((scheme, rest)) = target.split_once("://") else {
        return Err(RequestError::RequestLine);
    };
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(RequestError::Scheme);
    }
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(at).ok_or(RequestError::RequestLine)?;
    let path = match path.strip_prefix('?') {
        Some(query) => format!("/?{query}"),
        None if path.is_empty() => "/".to_owned(),
        None => path.to_owned(),
    };
    Ok((Some(authority.to_owned()), path))
}

fn split_authority(text: &str, default: u16) -> Result<(String, u16), RequestError> {
    let host = text.rsplit_once('@').map_or(text, |(_, h)| h);
    match host.split_once(':') {
        Some((host, port)) => {
            let port = port.parse().map_err(|_| RequestError::RequestLine)?;
            Ok((host.to_owned(), port))
        }
        None => Ok((host.to_owned(), default)),
    }
}

fn body_length(head: &Head) -> Result<u64, RequestError> {
    if head.count("transfer-encoding") > 0 || head.count("content-length") > 1 {
        return Err(RequestError::Length);
    }
    match head.get("content-length") {
        Some(n) if n.bytes().all(|c| c.is_ascii_digit()) => {
            n.parse().map_err(|_| RequestError::Length)
        }
        Some(_) => Err(RequestError::Length),
        None => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str, fixed: Option<(&str, u16)>) -> Result<Request, RequestError> {
        Request::filter(Head::parse(text.as_bytes()).unwrap().unwrap().0, fixed)
    }

    const BROWSER: &str = "GET http://Site.i2p/p?q HTTP/1.1\r\nHost: Site.i2p\r\n\
        User-Agent: Browser/1\r\nAccept: x\r\nAccept-Language: tlh\r\nReferer: http://a.i2p/\r\n\
        Cookie: c=1\r\nX-Private: 1\r\nConnection: keep-alive, X-Private\r\n\r\n";

    #[test]
    fn identifying_headers_do_not_travel() {
        let r = filter(BROWSER, None).unwrap();
        assert_eq!((r.host.as_str(), r.port), ("site.i2p", 80));
        let sent = String::from_utf8(r.to_bytes("b.b32.i2p")).unwrap();
        assert_eq!(
            sent,
            "GET /p?q HTTP/1.1\r\nHost: b.b32.i2p\r\nCookie: c=1\r\n\
             User-Agent: MYOB/6.66 (AN/ON)\r\nAccept-Encoding: identity;q=1, *;q=0\r\n\
             Connection: close\r\n\r\n"
        );
    }

    #[test]
    fn a_transparent_request_is_the_same_as_an_explicit_one() {
        let direct = BROWSER.replace("http://Site.i2p/", "/");
        let a = filter(BROWSER, None).unwrap().to_bytes("b.b32.i2p");
        let b = filter(&direct, Some(("site.i2p", 80)))
            .unwrap()
            .to_bytes("b.b32.i2p");
        assert_eq!(a, b);
    }

    #[test]
    fn refusals() {
        let cases = [
            ("GET / HTTP/1.1\r\n\r\n", RequestError::NoHost),
            (
                "GET http://example.com/ HTTP/1.1\r\n\r\n",
                RequestError::NotI2p,
            ),
            ("GET https://a.i2p/ HTTP/1.1\r\n\r\n", RequestError::Scheme),
            ("GET /\r\n\r\n", RequestError::RequestLine),
            (
                "GET / HTTP/2\r\nHost: a.i2p\r\n\r\n",
                RequestError::RequestLine,
            ),
            (
                "GET / HTTP/1.1\r\nHost: a.i2p\r\nHost: b.i2p\r\n\r\n",
                RequestError::NoHost,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a.i2p\r\nTransfer-Encoding: chunked\r\n\r\n",
                RequestError::Length,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a.i2p\r\nContent-Length: -1\r\n\r\n",
                RequestError::Length,
            ),
            (
                "CONNECT example.com:443 HTTP/1.1\r\n\r\n",
                RequestError::NotI2p,
            ),
        ];
        for (text, error) in cases {
            assert_eq!(filter(text, None).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn bodies_and_tunnels() {
        let r = filter(
            "POST http://a.i2p HTTP/1.0\r\nContent-Length: 7\r\n\r\n",
            None,
        )
        .unwrap();
        assert_eq!(r.kind, RequestKind::Message { body: 7 });
        let r = filter("CONNECT a.i2p:6667 HTTP/1.1\r\n\r\n", None).unwrap();
        assert_eq!((r.kind, r.port), (RequestKind::Tunnel, 6667));
    }
}
