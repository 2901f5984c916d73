//! Every page that the router writes, as a phone shows it, in light and dark:
//! `cargo test -p ramson-router --test pages -- --ignored` with Chromium installed, and a step of
//! `cargo ci`. The pictures lie in `target/screenshots`.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used)]

use ramson_proto::client::error_page::{
    For, Offer, Page, bad_answer, bad_helper, bad_request, confirm, conflict, refused, silent,
};
use ramson_proto::client::http_head::HeadError;
use ramson_proto::client::http_request::RequestError;
use ramson_proto::client::http_response::AnswerError;
use ramson_proto::names::NameError;
use ramson_proto::router::output::{Missing, Readiness, Refusal};
use ramson_proto::wire::hash::DestHash;
use std::path::Path;
use std::process::{Command, Stdio};

const SITE: &str = "my-site.i2p";

/// The size of a small phone, points.
const PHONE: (u32, u32) = (360, 740);

fn starting(missing: Missing, all: [usize; 4]) -> Page {
    let [routers, peers, outbound, inbound] = all;
    let readiness = Readiness {
        missing,
        routers,
        peers,
        outbound,
        inbound,
    };
    refused(Refusal::NotReady(readiness), Some(SITE))
}

fn pages() -> Vec<(&'static str, Page)> {
    let (known, new) = (DestHash([77; 32]), DestHash([142; 32]));
    let offer = Offer {
        dest: &new,
        path: "/",
        port: 80,
    };
    let leads = "https://example.com/a/long/way/out?with=parameters".to_owned();
    let of = |why| refused(why, Some(SITE));
    vec![
        ("starting", starting(Missing::Tunnels, [900, 8, 2, 0])),
        ("no-peers", starting(Missing::Peers, [900, 0, 0, 0])),
        ("no-routers", starting(Missing::Routers, [0; 4])),
        ("clock", starting(Missing::Clock, [900, 3, 0, 0])),
        ("unknown-name", of(Refusal::UnknownName)),
        ("helper-confirm", confirm(offer, "0")),
        ("helper-conflict", conflict(&known, offer)),
        ("helper-damaged", bad_helper(NameError::Bad)),
        ("offline", of(Refusal::NoLeaseSet)),
        ("no-reply", of(Refusal::NoAnswer)),
        ("silent", silent(180)),
        ("refused", of(Refusal::Rejected)),
        ("web-server-down", of(Refusal::Empty)),
        ("key-needed", of(Refusal::Encrypted)),
        ("unusable", of(Refusal::Unusable)),
        ("clearnet", bad_request(RequestError::NotI2p)),
        ("leads-out", bad_answer(AnswerError::Elsewhere(leads))),
        (
            "bad-b32",
            refused(Refusal::BadName, Some("uzz2abc4.b32.i2p")),
        ),
        ("bad-name", of(Refusal::BadName)),
        ("misdirected", bad_request(RequestError::Misdirected)),
        ("too-many", of(Refusal::Limit)),
        ("malformed", bad_request(RequestError::RequestLine)),
        ("too-large", bad_request(HeadError::TooLarge.into())),
        ("bad-answer", bad_answer(AnswerError::Malformed)),
    ]
}

fn shoot(from: &Path, to: &Path, dark: bool) {
    let (width, height) = PHONE;
    let mut browser = Command::new("chromium");
    browser
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .args(["--disable-background-networking", "--hide-scrollbars"])
        .arg("--force-device-scale-factor=1")
        .arg(format!("--window-size={width},{height}"))
        .arg(format!("--screenshot={}", to.display()));
    if dark {
        browser.args([
            "--force-dark-mode",
            "--blink-settings=preferredColorScheme=0",
        ]);
    }
    browser.arg(format!("file://{}", from.display()));
    let done = browser.stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(done.unwrap().success() && to.exists(), "{}", to.display());
}

#[test]
#[ignore = "needs Chromium"]
fn pictures_of_every_page() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let into = target.join("screenshots");
    std::fs::create_dir_all(&into).unwrap();
    for (name, page) in pages() {
        let site = match name {
            "clearnet" => "example.com",
            "bad-b32" => "uzz2abc4.b32.i2p",
            "bad-name" => "my_site.i2p",
            _ => SITE,
        };
        let to = For {
            site: Some(site),
            safe: true,
            head_only: false,
        };
        let bytes = page.to_bytes(to);
        let at = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let html = into.join(format!("{name}.html"));
        std::fs::write(&html, bytes.get(at + 4..).unwrap()).unwrap();
        for (dark, scheme) in [(false, "light"), (true, "dark")] {
            shoot(&html, &into.join(format!("{name}-{scheme}.png")), dark);
        }
    }
}
