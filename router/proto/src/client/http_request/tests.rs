use super::*;
use crate::client::http_head::{HeadReader, Side};

fn filter(text: &str, fixed: Option<(&str, u16)>) -> Result<Request, RequestError> {
    let head = HeadReader::new(Side::Request).push(text.as_bytes());
    Request::filter(head.unwrap().unwrap().0, fixed)
}

#[test]
fn refusals() {
    for (text, error) in [
        ("GET / HTTP/1.1\r\n\r\n", RequestError::NoHost),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", RequestError::NoHost),
        ("GET http:/// HTTP/1.1\r\n\r\n", RequestError::NoHost),
        (
            "GET http://example.com/ HTTP/1.1\r\n\r\n",
            RequestError::NotI2p,
        ),
        ("GET http://i2p/ HTTP/1.1\r\n\r\n", RequestError::NotI2p),
        (
            "GET http://my_site.i2p/ HTTP/1.1\r\n\r\n",
            RequestError::BadName,
        ),
        ("GET http://x-.i2p/ HTTP/1.1\r\n\r\n", RequestError::BadName),
        ("GET http://a..i2p/ HTTP/1.1\r\n\r\n", RequestError::BadName),
        ("GET https://a.i2p/ HTTP/1.1\r\n\r\n", RequestError::Scheme),
        ("GET /\r\n\r\n", RequestError::RequestLine),
        (
            "GET  / HTTP/1.1\r\nHost: a.i2p\r\n\r\n",
            RequestError::RequestLine,
        ),
        (
            "GET /\u{e9} HTTP/1.1\r\nHost: a.i2p\r\n\r\n",
            RequestError::RequestLine,
        ),
        (
            "G(T / HTTP/1.1\r\nHost: a.i2p\r\n\r\n",
            RequestError::RequestLine,
        ),
        (
            "GET / HTTP/2\r\nHost: a.i2p\r\n\r\n",
            RequestError::RequestLine,
        ),
        (
            "GET / HTTP/1.10\r\nHost: a.i2p\r\n\r\n",
            RequestError::RequestLine,
        ),
        (
            "GET http://a.i2p:x/ HTTP/1.1\r\n\r\n",
            RequestError::RequestLine,
        ),
        (
            "GET http://a.i2p:0/ HTTP/1.1\r\n\r\n",
            RequestError::RequestLine,
        ),
        (
            "GET http://a.i2p:+8/ HTTP/1.1\r\n\r\n",
            RequestError::RequestLine,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a.i2p\r\nHost: b.i2p\r\n\r\n",
            RequestError::NoHost,
        ),
        (
            "CONNECT example.com:443 HTTP/1.1\r\n\r\n",
            RequestError::NotI2p,
        ),
    ] {
        assert_eq!(filter(text, None).unwrap_err(), error, "{text}");
    }
    let within = filter("CONNECT a.i2p:80 HTTP/1.1\r\n\r\n", Some(("a.i2p", 80)));
    assert_eq!(within.unwrap_err(), RequestError::RequestLine);
    let bad = filter("GET / HTTP/1.1\r\n\r\n", Some(("my_site.i2p", 80)));
    assert_eq!(bad.unwrap_err(), RequestError::BadName);
}

#[test]
fn what_two_readers_could_read_in_two_ways_is_refused() {
    for lines in [
        "Content-Length: 1\r\nTransfer-Encoding: chunked",
        "Content-Length: 1\r\nContent-Length: 1",
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: 1, 1",
        "Content-Length: -1",
        "Content-Length: +1",
        "Content-Length: 0x1",
        "Content-Length:",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
    ] {
        let text = format!("POST http://a.i2p/ HTTP/1.1\r\n{lines}\r\n\r\n");
        let read = HeadReader::new(Side::Request).push(text.as_bytes());
        let error = read.map_err(RequestError::Head);
        let error = error
            .and_then(|h| Request::filter(h.unwrap().0, None))
            .unwrap_err();
        let malformed = RequestError::Head(HeadError::Malformed);
        assert!(
            [RequestError::Length, malformed].contains(&error),
            "{lines}"
        );
    }
    let old = "POST http://a.i2p/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(filter(old, None).unwrap_err(), RequestError::Length);
}

#[test]
fn bodies_and_tunnels() {
    let kind = |text: &str| filter(text, None).map(|r| (r.kind, r.port, r.safe));
    let length = "POST http://a.i2p HTTP/1.0\r\nContent-Length: 7\r\n\r\n";
    let message = RequestKind::Message(Framing::Length(7));
    assert_eq!(kind(length), Ok((message, 80, false)));
    let chunked = "PUT http://a.i2p HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n";
    let message = RequestKind::Message(Framing::Chunked);
    assert_eq!(kind(chunked), Ok((message, 80, false)));
    let tunnel = "CONNECT a.i2p:6667 HTTP/1.1\r\n\r\n";
    assert_eq!(kind(tunnel), Ok((RequestKind::Tunnel, 6667, false)));
    let tunnel = "CONNECT a.i2p HTTP/1.1\r\n\r\n";
    assert_eq!(kind(tunnel), Ok((RequestKind::Tunnel, 443, false)));
}

#[test]
fn a_destination_in_base64_is_a_host() {
    let dest = include_str!("../../../../../tests/vectors/destination.b64").trim();
    assert!(dest.len() >= BASE64_MIN && dest.bytes().any(|b| b.is_ascii_uppercase()));
    for name in [dest.to_owned(), format!("{dest}.i2p")] {
        for text in [
            format!("GET http://{name}/ HTTP/1.1\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n"),
            format!("CONNECT {name}:443 HTTP/1.1\r\n\r\n"),
        ] {
            assert_eq!(filter(&text, None).unwrap().host, name);
        }
        let hosts = crate::names::hosts::Hosts::default();
        assert!(crate::names::resolve(&name, &hosts).is_ok());
    }
    let other = format!("GET http://{}.com/ HTTP/1.1\r\n\r\n", "a".repeat(516));
    assert_eq!(filter(&other, None).unwrap_err(), RequestError::NotI2p);
}
