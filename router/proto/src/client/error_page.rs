//! Pages the proxy writes itself: what happened, and what can be done about it.

use super::http_request::RequestError;
use crate::router::output::Refusal;

/// A page with its status line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Status code and phrase.
    pub status: &'static str,
    /// Heading.
    pub title: &'static str,
    /// One or two sentences.
    pub text: &'static str,
    /// Seconds after which the browser asks again; 0 for never.
    pub retry_secs: u32,
}

impl Page {
    /// The whole response.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let body = format!(
            "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title>\
             <style>body{{font:1em/1.5 sans-serif;max-width:36em;margin:4em auto;padding:0 1em}}\
             </style></head><body><h1>{0}</h1><p>{1}</p></body></html>\n",
            self.title, self.text
        );
        let refresh = match self.retry_secs {
            0 => String::new(),
            n => format!("Retry-After: {n}\r\nRefresh: {n}\r\n"),
        };
        format!(
            "HTTP/1.1 {}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\nConnection: close\r\n{refresh}\
             Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n\r\n{body}",
            self.status,
            body.len()
        )
        .into_bytes()
    }
}

/// The page for a stream that was refused.
#[must_use]
pub const fn refused(why: Refusal) -> Page {
    let (status, title, text, retry_secs) = match why {
        Refusal::BadName => (
            "400 Bad Request",
            "This is not an I2P name",
            "Names end in .i2p and consist of letters, digits and hyphens; base32 names have 52 \
             characters before .b32.i2p.",
            0,
        ),
        Refusal::UnknownName => (
            "404 Not Found",
            "This name is not in the address book",
            "The router knows no destination of this name. A base32 address (….b32.i2p) works \
             without an address book.",
            0,
        ),
        Refusal::NotReady => (
            "503 Service Unavailable",
            "The router is still connecting",
            "It is building its first tunnels. This page tries again by itself.",
            5,
        ),
        Refusal::NoLeaseSet => (
            "504 Gateway Timeout",
            "The site cannot be found right now",
            "The network has no current entry for this destination. The site is probably offline.",
            30,
        ),
        Refusal::Unusable => (
            "502 Bad Gateway",
            "The site uses a form of address that this router cannot reach",
            "Its entry in the network is encrypted, or has no key or lease that can be used.",
            0,
        ),
        Refusal::NoAnswer => (
            "504 Gateway Timeout",
            "The site does not answer",
            "It is known to the network, but no answer came back through the tunnels. Trying again \
             uses other tunnels.",
            0,
        ),
        Refusal::Rejected => (
            "502 Bad Gateway",
            "The site refused the connection",
            "The destination is reachable, but does not accept connections to this port.",
            0,
        ),
        Refusal::Limit => (
            "503 Service Unavailable",
            "Too many connections at once",
            "A limit of this router is reached. Try again when other transfers are done.",
            10,
        ),
        Refusal::Closing => (
            "503 Service Unavailable",
            "The router is shutting down",
            "It accepts no new connections.",
            0,
        ),
    };
    Page {
        status,
        title,
        text,
        retry_secs,
    }
}

/// The page for a request that the filter refused.
#[must_use]
pub const fn bad_request(why: RequestError) -> Page {
    let (status, title, text) = match why {
        RequestError::Head(super::http_head::HeadError::TooLarge) => (
            "431 Request Header Fields Too Large",
            "The request is too large",
            "The head of the request is above the limit of this proxy.",
        ),
        RequestError::Head(super::http_head::HeadError::Malformed) | RequestError::RequestLine => (
            "400 Bad Request",
            "The request is malformed",
            "This proxy speaks HTTP/1.0 and HTTP/1.1.",
        ),
        RequestError::NoHost => (
            "400 Bad Request",
            "The request names no site",
            "It has no host, or more than one.",
        ),
        RequestError::NotI2p => (
            "403 Forbidden",
            "Only I2P sites can be opened here",
            "This is not a name under .i2p, and there is no way out to the Internet from here.",
        ),
        RequestError::Length => (
            "411 Length Required",
            "The request has no length",
            "Bodies need a Content-Length; chunked requests are not passed on.",
        ),
        RequestError::Scheme => (
            "400 Bad Request",
            "Only http can be opened here",
            "Start the address with http:// — the tunnels encrypt everything already.",
        ),
    };
    Page {
        status,
        title,
        text,
        retry_secs: 0,
    }
}

/// The page for an answer that is no HTTP response.
#[must_use]
pub const fn bad_response() -> Page {
    Page {
        status: "502 Bad Gateway",
        title: "The site's answer is malformed",
        text: "What came back is not a response of HTTP/1.0 or HTTP/1.1, or ended too early.",
        retry_secs: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_that_of_the_body() {
        let page = String::from_utf8(refused(Refusal::NotReady).to_bytes()).unwrap();
        let (head, body) = page.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
        assert!(head.contains("Refresh: 5"));
    }
}
