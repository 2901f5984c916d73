//! The table of the web filter: a request in and what the site gets, an answer in and what the
//! browser gets.

use super::http_head::{Head, HeadReader, Side};
use super::http_request::{Request, RequestError, Version};
use super::http_response::{AnswerError, Answers, Asked};
use super::site::Site;

const B32: &str = "b.b32.i2p";
/// What every request ends and begins with, after its first line.
const HOST: &str = "Host: b.b32.i2p";
const OURS: &str = "User-Agent: MYOB/6.66 (AN/ON)|Accept-Encoding: identity;q=1, *;q=0";

fn head(text: &str) -> Head {
    let text = format!("{}||", text.trim()).replace('|', "\r\n");
    let bytes: Vec<u8> = text.bytes().collect();
    HeadReader::new(Side::Request)
        .push(&bytes)
        .unwrap()
        .unwrap()
        .0
}

fn judge(text: &str, fixed: Option<(&str, u16)>) -> Result<String, RequestError> {
    let (bytes, _) = Request::filter(head(text), fixed)?.to_send(B32);
    let text = String::from_utf8(bytes).unwrap().replace("\r\n", "|");
    Ok(text.trim_end_matches('|').to_owned())
}

/// Lines of a request to `http://site.i2p/`, and which of them the site gets, as it gets them.
const HEADERS: &[(&str, &str)] = &[
    // What belongs to the host is rewritten with it.
    ("Origin: http://site.i2p", "Origin: http://b.b32.i2p"),
    (
        "Origin: http://SITE.i2p:8080",
        "Origin: http://b.b32.i2p:8080",
    ),
    ("Origin: http://b.b32.i2p", "Origin: http://b.b32.i2p"),
    ("Origin: http://other.i2p", "Origin: null"),
    ("Origin: https://example.com", "Origin: null"),
    ("Origin: moz-extension://3f2a", "Origin: null"),
    ("Origin: null", "Origin: null"),
    (
        "Referer: http://site.i2p/a?b",
        "Referer: http://b.b32.i2p/a?b",
    ),
    ("Referer: http://other.i2p/a?b", ""),
    ("Referer: https://example.com/", ""),
    (
        "Destination: http://site.i2p/new",
        "Destination: http://b.b32.i2p/new",
    ),
    ("Destination: /new", "Destination: /new"),
    ("Destination: http://other.i2p/new", ""),
    (
        "If: <http://site.i2p/a> (<urn:uuid:1> [\"e\"])",
        "If: <http://b.b32.i2p/a> (<urn:uuid:1> [\"e\"])",
    ),
    ("If: <http://other.i2p/a> (<urn:uuid:1>)", ""),
    (
        "Content-Location: http://site.i2p/x",
        "Content-Location: http://b.b32.i2p/x",
    ),
    ("HX-Current-URL: http://other.i2p/", ""),
    (
        "hx-token: http://site.i2p/x",
        "hx-token: http://b.b32.i2p/x",
    ),
    ("hx-token: x http://site.i2p/x", ""),
    // What marks a browser, its user, its device or where it was.
    ("Ping-From: http://site.i2p/secret", ""),
    ("Ping-To: http://site.i2p/", ""),
    ("Sec-CH-UA: \"Chromium\"", ""),
    ("Sec-CH-UA-Platform: \"Linux\"", ""),
    ("Sec-Fetch-Site: same-origin", ""),
    ("Sec-GPC: 1", ""),
    ("DNT: 1", ""),
    ("Device-Memory: 8", ""),
    ("Viewport-Width: 800", ""),
    ("Downlink: 10", ""),
    ("RTT: 50", ""),
    ("ECT: 4g", ""),
    ("Save-Data: on", ""),
    ("Accept-Language: tlh", ""),
    ("Accept-Charset: utf-8", ""),
    ("Accept-CH: DPR", ""),
    ("User-Agent: Browser/1", ""),
    ("Priority: u=1", ""),
    ("Upgrade-Insecure-Requests: 1", ""),
    ("From: me@example.com", ""),
    ("Via: 1.1 laptop", ""),
    ("Forwarded: for=192.0.2.1", ""),
    ("X-Forwarded-For: 192.0.2.1", ""),
    ("X-Real-IP: 192.0.2.1", ""),
    ("X-Client-Data: CIa2yQ", ""),
    ("X-UIDH: 1", ""),
    ("X-Wap-Profile: http://x/", ""),
    ("X-Device-Token: 1", ""),
    ("X-Unheard-Of: 1", ""),
    ("Proxy-Authorization: Basic eA==", ""),
    ("Proxy-Connection: keep-alive", ""),
    ("Keep-Alive: 300", ""),
    ("TE: trailers", ""),
    ("HTTP2-Settings: AAMA", ""),
    ("Authorization: NTLM TlRM", ""),
    ("Authorization: Negotiate YII", ""),
    ("X-Requested-With: com.example.app", ""),
    // What a site needs.
    ("Authorization: Basic dTpw", "Authorization: Basic dTpw"),
    ("Authorization: Bearer t", "Authorization: Bearer t"),
    ("cookie: a=1; b=2", "Cookie: a=1; b=2"),
    (
        "X-Requested-With: XMLHttpRequest",
        "X-Requested-With: XMLHttpRequest",
    ),
    (
        "Accept: application/json, text/plain, */*",
        "Accept: application/json, text/plain, */*",
    ),
    ("Accept: text/css,*/*;q=0.1", "Accept: text/css,*/*;q=0.1"),
    ("Accept: text/event-stream", "Accept: text/event-stream"),
    (
        "Accept: text/html,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    (
        "Accept: image/avif,image/webp,image/apng,image/*,*/*;q=0.8",
        "Accept: image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
    ),
    (
        "Accept: audio/webm,audio/ogg;q=0.7,*/*;q=0.5",
        "Accept: */*",
    ),
    ("Cache-Control: no-cache", "Cache-Control: no-cache"),
    ("Cache-Control: max-age=77", ""),
    ("Range: bytes=5-", "Range: bytes=5-"),
    ("If-None-Match: \"e\"", "If-None-Match: \"e\""),
    ("X-CSRF-Token: t", "X-CSRF-Token: t"),
    (
        "X-Transmission-Session-Id: s",
        "X-Transmission-Session-Id: s",
    ),
    ("Expect: 100-continue", "Expect: 100-continue"),
    ("Expect: something", ""),
    ("Depth: 1", "Depth: 1"),
    ("Content-Length: 3", "Content-Length: 3"),
    ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    // Whatever the browser names as being for the next hop only.
    ("Connection: close, cookie|Cookie: a", ""),
    // An upgrade that would carry requests past this filter.
    ("Connection: Upgrade, HTTP2-Settings|Upgrade: h2c", ""),
];

#[test]
fn headers_that_travel() {
    for (sent, expected) in HEADERS {
        let got = judge(&format!("GET http://site.i2p/ HTTP/1.1|{sent}"), None).unwrap();
        let between = if expected.is_empty() {
            String::new()
        } else {
            format!("|{expected}")
        };
        // The length stands after all others.
        let whole = format!("GET / HTTP/1.1|{HOST}|{OURS}{between}|Connection: close");
        assert_eq!(got, whole, "{sent}");
        let direct = judge(
            &format!("GET / HTTP/1.1|Host: site.i2p|{sent}"),
            Some(("site.i2p", 80)),
        );
        assert_eq!(direct.unwrap(), whole, "transparent: {sent}");
    }
}

/// Request lines, the port they mean, and what the site gets of them.
const LINES: &[(&str, u16, &str)] = &[
    (
        "GET http://Site.i2p/p?q HTTP/1.1",
        80,
        "GET /p?q HTTP/1.1|Host: b.b32.i2p",
    ),
    (
        "GET http://site.i2p HTTP/1.0",
        80,
        "GET / HTTP/1.1|Host: b.b32.i2p",
    ),
    (
        "GET http://site.i2p:/ HTTP/1.1",
        80,
        "GET / HTTP/1.1|Host: b.b32.i2p",
    ),
    (
        "GET http://site.i2p?q HTTP/1.1",
        80,
        "GET /?q HTTP/1.1|Host: b.b32.i2p",
    ),
    (
        "GET http://site.i2p/a#b HTTP/1.1",
        80,
        "GET /a HTTP/1.1|Host: b.b32.i2p",
    ),
    (
        "GET http://u:p@site.i2p/ HTTP/1.1",
        80,
        "GET / HTTP/1.1|Host: b.b32.i2p",
    ),
    (
        "GET http://site.i2p:8080/ HTTP/1.1",
        8080,
        "GET / HTTP/1.1|Host: b.b32.i2p:8080",
    ),
    (
        "GET / HTTP/1.1|Host: site.i2p:",
        80,
        "GET / HTTP/1.1|Host: b.b32.i2p",
    ),
    (
        "GET / HTTP/1.1|Host: site.i2p.",
        80,
        "GET / HTTP/1.1|Host: b.b32.i2p",
    ),
    (
        "GET http://site.i2p/ HTTP/1.1|Host: other.i2p",
        80,
        "GET / HTTP/1.1|Host: b.b32.i2p",
    ),
    (
        "OPTIONS * HTTP/1.1|Host: site.i2p",
        80,
        "OPTIONS * HTTP/1.1|Host: b.b32.i2p",
    ),
    (
        "PROPFIND http://site.i2p/d/ HTTP/1.1",
        80,
        "PROPFIND /d/ HTTP/1.1|Host: b.b32.i2p",
    ),
    (
        "GET ws://site.i2p/s HTTP/1.1",
        80,
        "GET /s HTTP/1.1|Host: b.b32.i2p",
    ),
];

#[test]
fn request_lines_that_travel() {
    for (line, port, expected) in LINES {
        let request = Request::filter(head(line), None).unwrap();
        assert_eq!(
            (request.host.as_str(), request.port),
            ("site.i2p", *port),
            "{line}"
        );
        let whole = format!("{expected}|{OURS}|Connection: close");
        assert_eq!(judge(line, None).unwrap(), whole, "{line}");
    }
}

const SOCKET: &str = "Connection: keep-alive, Upgrade|Upgrade: websocket|\
    Origin: http://site.i2p|Sec-WebSocket-Version: 13|Sec-WebSocket-Key: k|\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits|\
    Sec-WebSocket-Protocol: chat";

#[test]
fn upgrades_travel_in_every_form() {
    let expected = format!(
        "GET /s HTTP/1.1|{HOST}|{OURS}|Origin: http://b.b32.i2p|Upgrade: websocket|\
         Sec-WebSocket-Key: k|Sec-WebSocket-Version: 13|Sec-WebSocket-Protocol: chat|\
         Sec-WebSocket-Extensions: permessage-deflate|Connection: Upgrade"
    );
    for (start, fixed) in [
        ("GET /s HTTP/1.1|Host: site.i2p", Some(("site.i2p", 80))),
        ("GET /s HTTP/1.1|Host: site.i2p", None),
        ("GET http://site.i2p/s HTTP/1.1|Host: site.i2p", None),
        ("GET ws://site.i2p/s HTTP/1.1", None),
        ("GET http://site.i2p/s HTTP/1.1", Some(("site.i2p", 80))),
    ] {
        assert_eq!(
            judge(&format!("{start}|{SOCKET}"), fixed).unwrap(),
            expected,
            "{start}"
        );
    }
    let other = "GET http://site.i2p/ HTTP/1.1|Connection: upgrade|Upgrade: h2c, irc/1";
    let got = judge(other, None).unwrap();
    assert!(
        got.ends_with("|Upgrade: irc/1|Connection: Upgrade"),
        "{got}"
    );
    let old = "GET http://site.i2p/ HTTP/1.0|Connection: upgrade|Upgrade: websocket";
    let got = judge(old, None).unwrap();
    assert!(got.ends_with("*;q=0|Connection: close"), "{got}");
}

/// What a browser that asked for `http://site.i2p/` gets of an answer's head. `{OUT}` stands for
/// what all heads end with.
const ANSWERS: &[(&str, &str)] = &[
    (
        "HTTP/1.1 200 OK|Content-Length: 0",
        "HTTP/1.1 200 OK{OUT}|Content-Length: 0{END}",
    ),
    (
        "HTTP/1.1 200 OK|X-Own: 1|ETag: e",
        "HTTP/1.1 200 OK|X-Own: 1|ETag: e{OUT}{END}",
    ),
    // Read as browsers do.
    (
        "ICY 200 OK|icy-name: r",
        "HTTP/1.1 200 OK|icy-name: r{OUT}{END}",
    ),
    ("http/1.0  200", "HTTP/1.1 200 {OUT}{END}"),
    (
        "HTTP/1.1 200 OK|A : b|no colon|C: d| e",
        "HTTP/1.1 200 OK|A: b|C: d e{OUT}{END}",
    ),
    // Lengths that say the same or nothing.
    (
        "HTTP/1.1 200 OK|Content-Length: 2, 2",
        "HTTP/1.1 200 OK{OUT}|Content-Length: 2{END}",
    ),
    (
        "HTTP/1.1 200 OK|Content-Length: -2",
        "HTTP/1.1 200 OK{OUT}{END}",
    ),
    (
        "HTTP/1.1 200 OK|Content-Length: 9|Transfer-Encoding: chunked",
        "HTTP/1.1 200 OK{OUT}|Transfer-Encoding: chunked{END}",
    ),
    (
        "HTTP/1.0 200 OK|Transfer-Encoding: chunked",
        "HTTP/1.1 200 OK{OUT}{END}",
    ),
    // Its own name goes back to what the browser calls it.
    (
        "HTTP/1.1 302 F|Location: http://b.b32.i2p/x",
        "HTTP/1.1 302 F|Location: http://site.i2p/x{OUT}{END}",
    ),
    (
        "HTTP/1.1 302 F|Location: /x",
        "HTTP/1.1 302 F|Location: /x{OUT}{END}",
    ),
    (
        "HTTP/1.1 302 F|Location: http://other.i2p/",
        "HTTP/1.1 302 F|Location: http://other.i2p/{OUT}{END}",
    ),
    (
        "HTTP/1.1 201 C|Location: http://example.com/",
        "HTTP/1.1 201 C{OUT}{END}",
    ),
    (
        "HTTP/1.1 200 OK|Content-Location: http://b.b32.i2p/x",
        "HTTP/1.1 200 OK|Content-Location: http://site.i2p/x{OUT}{END}",
    ),
    (
        "HTTP/1.1 200 OK|Content-Location: http://example.com/x",
        "HTTP/1.1 200 OK{OUT}{END}",
    ),
    (
        "HTTP/1.1 200 OK|Refresh: 5",
        "HTTP/1.1 200 OK|Refresh: 5{OUT}{END}",
    ),
    (
        "HTTP/1.1 200 OK|Refresh: 0;URL='http://b.b32.i2p/x'",
        "HTTP/1.1 200 OK|Refresh: 0; url=http://site.i2p/x{OUT}{END}",
    ),
    (
        "HTTP/1.1 200 OK|Refresh: 0; url=http://192.168.1.1/",
        "HTTP/1.1 200 OK{OUT}{END}",
    ),
    (
        "HTTP/1.1 200 OK|Refresh: 0, https:example.com",
        "HTTP/1.1 200 OK{OUT}{END}",
    ),
    (
        "HTTP/1.1 200 OK|Link: <https://cdn.example>; rel=preconnect",
        "HTTP/1.1 200 OK{OUT}{END}",
    ),
    (
        "HTTP/1.1 200 OK|Link: <//x.com>; rel=dns-prefetch, <http://b.b32.i2p/s.css>; \
            rel=\"a, preload\", <n>; rel=next",
        "HTTP/1.1 200 OK|Link: <http://site.i2p/s.css>; rel=\"a, preload\", <n>; \
            rel=next{OUT}{END}",
    ),
    (
        "HTTP/1.1 200 OK|Link: nonsense",
        "HTTP/1.1 200 OK{OUT}{END}",
    ),
    (
        "HTTP/1.1 200 OK|Set-Cookie: a=1; Domain=b.b32.i2p; Path=/",
        "HTTP/1.1 200 OK|Set-Cookie: a=1; Path=/{OUT}{END}",
    ),
    (
        "HTTP/1.1 200 OK|Set-Cookie: a=1; domain=.b32.i2p",
        "HTTP/1.1 200 OK|Set-Cookie: a=1{OUT}{END}",
    ),
    // Its own policy stands beside ours.
    (
        "HTTP/1.1 200 OK|Content-Security-Policy: upgrade-insecure-requests; img-src \
            http://b.b32.i2p; report-uri https://r.example/",
        "HTTP/1.1 200 OK|Content-Security-Policy: img-src http://site.i2p{OUT}{END}",
    ),
    (
        "HTTP/1.1 200 OK|Content-Security-Policy: Upgrade-Insecure-Requests",
        "HTTP/1.1 200 OK{OUT}{END}",
    ),
    (
        "HTTP/1.1 200 OK|Content-Security-Policy: default-src *, \
            upgrade-insecure-requests, script-src 'self'",
        "HTTP/1.1 200 OK|Content-Security-Policy: default-src *, script-src 'self'{OUT}{END}",
    ),
    (
        "HTTP/1.1 200 OK|Content-Security-Policy-Report-Only: default-src 'none'; \
            report-uri //r.example/",
        "HTTP/1.1 200 OK{OUT}{END}",
    ),
    (
        "HTTP/1.1 200 OK|Referrer-Policy: unsafe-url",
        "HTTP/1.1 200 OK{OUT}{END}",
    ),
    // What would have the browser tell others, or speak for the connection.
    (
        "HTTP/1.1 200 OK|Alt-Svc: h2=\":443\"|NEL: {}|Report-To: {}|\
            Reporting-Endpoints: a=\"/r\"|Public-Key-Pins: x|Expect-CT: max-age=1|\
            Strict-Transport-Security: max-age=1|Origin-Trial: x",
        "HTTP/1.1 200 OK{OUT}{END}",
    ),
    (
        "HTTP/1.1 200 OK|Clear-Site-Data: \"cookies\"|Service-Worker-Allowed: /",
        "HTTP/1.1 200 OK|Clear-Site-Data: \"cookies\"|Service-Worker-Allowed: /{OUT}{END}",
    ),
    (
        "HTTP/1.1 200 OK|Accept-CH: DPR|Critical-CH: DPR|Speculation-Rules: \"/r\"|\
            SourceMap: http://x.com/",
        "HTTP/1.1 200 OK{OUT}{END}",
    ),
    (
        "HTTP/1.1 200 OK|Connection: keep-alive, X-Hop|X-Hop: 1|Keep-Alive: 1",
        "HTTP/1.1 200 OK{OUT}{END}",
    ),
    (
        "HTTP/1.1 401 U|WWW-Authenticate: NTLM|WWW-Authenticate: Basic realm=\"r\"",
        "HTTP/1.1 401 U|WWW-Authenticate: Basic realm=\"r\"{OUT}{END}",
    ),
    (
        "HTTP/1.1 407 P|Proxy-Authenticate: Basic realm=\"r\"",
        "HTTP/1.1 407 P{OUT}{END}",
    ),
];

const OUT: &str = "|Content-Security-Policy: default-src 'self' 'unsafe-inline' \
    'unsafe-eval' data: \
    blob: http://*.i2p:* ws://*.i2p:*; form-action 'self' http://*.i2p:*; base-uri 'self' \
    http://*.i2p:*; frame-ancestors 'self' http://*.i2p:*; webrtc 'block'|\
    Referrer-Policy: same-origin|\
    X-DNS-Prefetch-Control: off";

fn asked() -> Asked {
    Asked {
        site: Site::new("site.i2p", "site.i2p", B32),
        head_only: false,
        version: Version::V11,
        upgrade: false,
        expects: false,
        foreign_origin: None,
    }
}

fn answered(asked: Asked, text: &str) -> Result<String, AnswerError> {
    let (mut answers, mut out) = (Answers::new(asked), Vec::new());
    let text = format!("{text}||").replace('|', "\r\n");
    answers.push(text.as_bytes(), &mut out)?;
    let text = String::from_utf8(out).unwrap().replace("\r\n", "|");
    Ok(text.trim_end_matches('|').to_owned())
}

#[test]
fn answers_that_reach_the_browser() {
    for (sent, expected) in ANSWERS {
        let whole = expected
            .replace("{OUT}", OUT)
            .replace("{END}", "|Connection: close");
        assert_eq!(answered(asked(), sent).unwrap(), whole, "{sent}");
    }
}

#[test]
fn answers_that_become_pages() {
    for code in [301, 302, 303, 307, 308] {
        for to in [
            "https://example.com/",
            "//10.0.0.1/",
            "data:text/html,x",
            "https:example.com",
        ] {
            let answer = answered(asked(), &format!("HTTP/1.1 {code} M|Location: {to}"));
            assert_eq!(
                answer,
                Err(AnswerError::Elsewhere(to.to_owned())),
                "{code} {to}"
            );
        }
    }
    for bad in [
        "HTTP/1.1 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1",
        "HTTP/1.1 101 Switching Protocols|Upgrade: websocket",
        "HTTP/1.1 200 OK|Content-Length: 1|Content-Length: 2",
    ] {
        assert_eq!(answered(asked(), bad), Err(AnswerError::Malformed), "{bad}");
    }
    let long = format!("HTTP/1.1 200 OK|{}", "A: b|".repeat(1100));
    assert_eq!(answered(asked(), &long), Err(AnswerError::TooLarge));
    let many = format!("HTTP/1.1 200 OK|{}", "A: b|".repeat(1000));
    assert!(answered(asked(), many.trim_end_matches('|')).is_ok());
}

#[test]
fn the_origin_of_another_site_is_allowed_as_it_was_told() {
    let foreign = Asked {
        foreign_origin: Some("http://other.i2p".to_owned()),
        ..asked()
    };
    for (said, heard) in [
        ("null", "http://other.i2p"),
        ("*", "*"),
        ("http://x.i2p", "http://x.i2p"),
    ] {
        let answer = format!("HTTP/1.1 200 OK|Access-Control-Allow-Origin: {said}");
        let got = answered(foreign.clone(), &answer).unwrap();
        let line = format!("|Access-Control-Allow-Origin: {heard}|");
        assert!(got.contains(&line), "{got}");
    }
    let line = "GET http://site.i2p/ HTTP/1.1|Origin: http://other.i2p";
    let (_, asked) = Request::filter(head(line), None).unwrap().to_send(B32);
    assert_eq!(asked.foreign_origin.as_deref(), Some("http://other.i2p"));
}
