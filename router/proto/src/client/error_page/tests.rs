use super::*;
use crate::client::http_head::HeadError;
use crate::client::http_request::RequestError;
use crate::client::http_response::AnswerError;
use crate::names::NameError;
use crate::router::output::{Missing, Readiness, Refusal};
use crate::wire::hash::DestHash;

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
    .map(|m| refused(Refusal::NotReady(readiness(m)), GET.site))
    .into();
    pages.extend(
        [
            Refusal::BadName,
            Refusal::UnknownName,
            Refusal::NoLeaseSet,
            Refusal::Encrypted,
            Refusal::Unusable,
            Refusal::NoAnswer,
            Refusal::Rejected,
            Refusal::Empty,
            Refusal::Limit,
            Refusal::Closing,
        ]
        .map(|why| refused(why, GET.site)),
    );
    pages.extend(
        [
            RequestError::Head(HeadError::TooLarge),
            RequestError::Head(HeadError::Malformed),
            RequestError::RequestLine,
            RequestError::NoHost,
            RequestError::NotI2p,
            RequestError::BadName,
            RequestError::Misdirected,
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
    pages.push(refused(Refusal::BadName, Some("abc1.b32.i2p")));
    pages.push(bad_helper(NameError::Bad));
    pages.push(bad_helper(NameError::Encrypted));
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
        assert!(head.contains("Content-Security-Policy: default-src 'none'; style-src"));
        for part in [
            "<p class=\"about\">site.i2p</p>",
            "Written by Ramson",
            "name=\"viewport\"",
            "color-scheme:light dark",
            "<a class=\"button\" href=\"\">Try again now</a>",
            &escape(page.title),
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
        let refresh = format!("\r\nRefresh: {}", page.retry_secs);
        assert_eq!(page.retry_secs > 0, head.contains(&refresh), "{head}");
    }
}

#[test]
fn what_was_sent_is_not_sent_twice() {
    let form = For { safe: false, ..GET };
    let (head, body) = text(&refused(Refusal::Limit, GET.site), form);
    assert!(!head.contains("Refresh") && head.contains("Retry-After: 10"));
    assert!(body.contains("would be sent twice") && body.contains("href=\"/\">"));
}

#[test]
fn a_head_request_gets_a_head() {
    let head = For {
        head_only: true,
        ..GET
    };
    let (with, body) = text(&refused(Refusal::Limit, GET.site), GET);
    assert!(!body.is_empty());
    assert_eq!(
        text(&refused(Refusal::Limit, GET.site), head),
        (with, String::new())
    );
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
    assert!(body.contains("<li class=\"done\">Routers known: <b>many</b></li>"));
    assert!(body.contains("<li class=\"done\">Connected to: <b>a few</b></li>"));
    assert!(body.contains("<li>Tunnels out: <b>none</b></li>"));
    assert!(body.contains("<progress max=\"5\" value=\"2\""), "{body}");
    // Exact numbers would tell a site's script which router this is.
    assert!(!body.contains("<b>1"), "{body}");
    assert!(head.contains("\r\nRefresh: 5"));
}

#[test]
fn a_new_name_is_asked_for_and_a_known_one_is_kept() {
    let (known, new) = (DestHash([1; 32]), DestHash([2; 32]));
    let offer = Offer {
        dest: &new,
        path: "//a?b=\"c",
        port: 8080,
    };
    let (head, body) = text(&confirm(offer, "t0k3n"), GET);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && !head.contains("Refresh"));
    assert!(
        head.contains("form-action 'self'; frame-ancestors 'none'"),
        "{head}"
    );
    let link = format!("href=\"http://{}:8080/a?b=&quot;c\"", new.b32());
    for part in [
        "<form method=\"post\">",
        "value=\"t0k3n\"",
        "<p class=\"about\">site.i2p</p>",
        &new.b32(),
        &link,
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
    let (head, body) = text(&conflict(&known, offer), GET);
    assert!(head.starts_with("HTTP/1.1 409 ") && !body.contains("<form"));
    for part in [&known.b32(), &new.b32(), "href=\"/a?b=&quot;c\"", &link] {
        assert!(body.contains(part), "{part}: {body}");
    }
}

#[test]
fn an_unknown_name_can_be_asked_for_elsewhere_unless_it_is_none() {
    let page = |site| text(&refused(Refusal::UnknownName, site), GET).1;
    let body = page(Some("my-site.i2p"));
    assert!(
        body.contains("href=\"http://reg.i2p/jump/my-site.i2p\""),
        "{body}"
    );
    assert!(body.contains("not known to this router") && !body.contains("address book"));
    for site in [None, Some("10.1.2.3"), Some("a\"b.i2p")] {
        assert!(!page(site).contains("jump"), "{site:?}");
    }
}

#[test]
fn a_redirect_stays_with_its_host() {
    for (path, leads) in [
        ("/a?b", "/a?b"),
        ("//x.com/", "/x.com/"),
        ("/\\x.com", "/x.com"),
    ] {
        let (head, _) = text(&moved(path), GET);
        assert!(head.contains(&format!("\r\nLocation: {leads}")), "{head}");
    }
}
