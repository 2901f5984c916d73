use super::*;
use crate::router::output::{Missing, Readiness, Refusal};

const GET: For<'_> = For {
    site: Some("site.i2p"),
    safe: true,
    head_only: false,
};

fn all() -> Vec<Page> {
    let readiness = |missing| Readiness {
        missing,
        routers: 12,
        peers: 1,
        outbound: 0,
        inbound: 0,
    };
    let mut pages: Vec<Page> = [
        Missing::Clock,
        Missing::Routers,
        Missing::Peers,
        Missing::Tunnels,
    ]
    .map(|m| refused(Refusal::NotReady(readiness(m))))
    .into();
    pages.extend(
        [
            Refusal::BadName,
            Refusal::UnknownName,
            Refusal::NoLeaseSet,
            Refusal::Unusable,
            Refusal::NoAnswer,
            Refusal::Rejected,
            Refusal::Empty,
            Refusal::Limit,
            Refusal::Closing,
        ]
        .map(refused),
    );
    pages.extend(
        [
            RequestError::Head(HeadError::TooLarge),
            RequestError::Head(HeadError::Malformed),
            RequestError::RequestLine,
            RequestError::NoHost,
            RequestError::NotI2p,
            RequestError::BadName,
            RequestError::Length,
            RequestError::Scheme,
        ]
        .map(bad_request),
    );
    pages.extend(
        [
            AnswerError::Malformed,
            AnswerError::TooLarge,
            AnswerError::Elsewhere("http://example.com/".to_owned()),
        ]
        .map(bad_answer),
    );
    pages.push(silent(180));
    pages
}

fn text(page: &Page, to: For<'_>) -> (String, String) {
    let page = String::from_utf8(page.to_bytes(to)).unwrap();
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn every_page_says_who_what_when_and_what_to_do() {
    for page in all() {
        let (head, body) = text(&page, GET);
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
        assert!(head.ends_with("default-src 'none'; style-src 'unsafe-inline'"));
        for part in [
            "<dd>site.i2p</dd>",
            "Written by Ramson",
            "name=\"viewport\"",
            "color-scheme:light dark",
            "<a href=\"\">Try again now</a>",
            page.title,
            page.text,
        ] {
            assert!(body.contains(part), "{part}: {body}");
        }
        assert!(!page.advice.is_empty(), "{body}");
        assert!(
            !body.contains("<script") && !body.contains("src="),
            "{body}"
        );
        let again = format!("again by itself in {} seconds", page.retry_secs);
        assert_eq!(page.retry_secs > 0, body.contains(&again), "{body}");
        let refresh = format!("\r\nRefresh: {}\r\n", page.retry_secs);
        assert_eq!(page.retry_secs > 0, head.contains(&refresh), "{head}");
    }
}

#[test]
fn what_was_sent_is_not_sent_twice() {
    let form = For { safe: false, ..GET };
    let (head, body) = text(&refused(Refusal::Limit), form);
    assert!(!head.contains("Refresh") && head.contains("Retry-After: 10"));
    assert!(body.contains("would be sent twice") && body.contains("<a href=\"/\">"));
}

#[test]
fn a_head_request_gets_a_head() {
    let head = For {
        head_only: true,
        ..GET
    };
    let (with, body) = text(&refused(Refusal::Limit), GET);
    assert!(!body.is_empty());
    assert_eq!(text(&refused(Refusal::Limit), head), (with, String::new()));
}

#[test]
fn what_comes_from_outside_is_text() {
    let evil = "http://x.com/\"'><script>alert(1)</script>&\u{202e}\r\n";
    let to = For {
        site: Some(evil),
        ..GET
    };
    let (_, body) = text(&bad_answer(AnswerError::Elsewhere(evil.to_owned())), to);
    let escaped = "http://x.com/&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;   ";
    assert_eq!(body.matches(escaped).count(), 2, "{body}");
    assert!(!body.contains("<script"));
}

#[test]
fn the_cause_is_named_with_what_is_there() {
    let (head, body) = text(all().first().unwrap(), GET);
    assert!(head.starts_with("HTTP/1.1 503 ") && body.contains("clock"));
    assert!(body.contains("<dt>Routers known:</dt><dd>many</dd>"));
    assert!(body.contains("<dt>Connected to:</dt><dd>a few</dd>"));
    assert!(body.contains("<dt>Tunnels out:</dt><dd>none</dd>"));
    assert!(!body.contains("12"), "{body}");
}
