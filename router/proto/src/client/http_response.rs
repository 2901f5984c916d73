//! What of a site's response head reaches the browser.

use super::http_head::{Head, HeadError};

/// Filters a response head: drops what would send the browser elsewhere or keep state about the
/// connection, and confines the page to I2P.
#[must_use]
pub fn filter(mut head: Head) -> Head {
    head.drop_headers(|name| {
        name.starts_with("proxy-") || name.starts_with("x-i2p") || DROPPED.contains(&name)
    });
    head.set("Connection", "close");
    if head.get("content-security-policy").is_none() {
        head.set("Content-Security-Policy", POLICY);
    }
    head.set("Referrer-Policy", "no-referrer");
    head
}

const DROPPED: &[&str] = &[
    "alt-svc",
    "connection",
    "date",
    "expect-ct",
    "keep-alive",
    "nel",
    "proxy-authenticate",
    "public-key-pins",
    "report-to",
    "reporting-endpoints",
    "server",
    "strict-transport-security",
    "via",
    "x-powered-by",
    "x-runtime",
];

/// A page may load from its own site and from other I2P sites only.
const POLICY: &str = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob: http://*.i2p; \
    form-action 'self' http://*.i2p; base-uri 'self'; frame-ancestors 'self' http://*.i2p";

/// What the bytes of a response so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The head is not complete.
    Wait,
    /// The filtered head, and the number of bytes it took.
    Head(Vec<u8>, usize),
    /// An interim answer (1xx) of this many bytes, to be skipped.
    Interim(usize),
}

/// Looks for the response head at the front of `bytes`.
///
/// # Errors
/// The bytes are not a response.
pub fn read(bytes: &[u8]) -> Result<Progress, HeadError> {
    let parsed = match Head::parse(bytes) {
        // Old servers write Latin-1 into header values.
        Err(HeadError::Malformed) => Head::parse(&ascii(bytes))?,
        parsed => parsed?,
    };
    let Some((head, n)) = parsed else {
        return Ok(Progress::Wait);
    };
    let code = head.start.split(' ').nth(1).unwrap_or_default();
    if !head.start.starts_with("HTTP/") || code.len() != 3 {
        return Err(HeadError::Malformed);
    }
    if code.starts_with('1') {
        return Ok(Progress::Interim(n));
    }
    Ok(Progress::Head(filter(head).to_bytes(), n))
}

/// The same number of bytes, each that is not ASCII replaced.
fn ascii(bytes: &[u8]) -> Vec<u8> {
    let keep = |b: &u8| if b.is_ascii() { *b } else { b'?' };
    bytes.iter().map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_filtered_and_interim_ones_skipped() {
        let text = b"HTTP/1.1 200 OK\r\nAlt-Svc: x\r\nContent-Length: 2\r\nServer: s\r\n\r\nhi";
        let Progress::Head(out, n) = read(text).unwrap() else {
            panic!("no head")
        };
        assert_eq!(n, text.len() - 2);
        let out = String::from_utf8(out).unwrap();
        assert!(out.starts_with("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n"));
        assert!(!out.contains("Alt-Svc") && out.contains("form-action"));
        assert_eq!(
            read(b"HTTP/1.1 100 Continue\r\n\r\n"),
            Ok(Progress::Interim(25))
        );
        assert_eq!(read(b"HTTP/1.1 200"), Ok(Progress::Wait));
        assert!(read(b"nonsense\r\n\r\n").is_err());
        let latin = b"HTTP/1.0 200 OK\r\nX-Name: \xe9t\xe9\r\n\r\n\xe9";
        let Ok(Progress::Head(out, n)) = read(latin) else {
            panic!("no head")
        };
        assert_eq!(n, latin.len() - 1);
        assert!(String::from_utf8(out).unwrap().contains("X-Name: ?t?\r\n"));
    }
}
