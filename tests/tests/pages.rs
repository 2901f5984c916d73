//! Every page that the router writes, as a phone shows it, in light and dark:
//! `cargo test -p ramson-tests --test pages -- --ignored` with Chromium installed, and a step of
//! `cargo ci`. The pictures lie in `target/screenshots/pages`.

#![allow(clippy::unwrap_used)]

use ramson_proto::client::error_page::{
    For, Offer, Page, bad_answer, bad_helper, bad_request, confirm, conflict, refused, silent,
};
use ramson_proto::client::http_head::HeadError;
use ramson_proto::client::http_request::RequestError;
use ramson_proto::client::http_response::AnswerError;
use ramson_proto::names::NameError;
use ramson_proto::router::output::{Missing, Readiness, Refusal};
use ramson_proto::wire::hash::DestHash;
use ramson_tests::devtools::{Browser, Look};
use ramson_tests::places;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const SITE: &str = "my-site.i2p";

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

/// Each page as the router sends it, at an address of this machine.
struct Server {
    at: SocketAddr,
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
}

impl Server {
    fn start(pages: BTreeMap<&'static str, Vec<u8>>) -> Server {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (at, stop) = (listener.local_addr().unwrap(), Arc::<AtomicBool>::default());
        let stopped = Arc::clone(&stop);
        let worker = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                serve(stream.unwrap(), &pages);
            }
        });
        let worker = Some(worker);
        Server { at, stop, worker }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.at);
        let _ = self.worker.take().unwrap().join();
    }
}

fn serve(mut stream: TcpStream, pages: &BTreeMap<&'static str, Vec<u8>>) {
    let mut first = String::new();
    // Browsers connect ahead, and may say nothing.
    let limit = Some(Duration::from_millis(300));
    stream.set_read_timeout(limit).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Ok(1..) = reader.read_line(&mut first) {
        if first.ends_with("\r\n\r\n") {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let page = pages.get(path.trim_start_matches('/'));
    let none = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec();
    let _ = stream.write_all(page.unwrap_or(&none));
}

fn bytes(name: &str, page: &Page) -> Vec<u8> {
    let site = match name {
        "clearnet" => "example.com",
        "bad-b32" => "uzz2abc4.b32.i2p",
        "bad-name" => "my_site.i2p",
        _ => SITE,
    };
    page.to_bytes(For {
        site: Some(site),
        safe: true,
        head_only: false,
    })
}

/// One browser for all. No page is wider than a phone, and the dark one is another picture.
#[test]
#[ignore = "needs Chromium"]
fn pictures_of_every_page() {
    let into = places::folder(places::target().join("screenshots/pages")).unwrap();
    let pages: BTreeMap<_, _> = pages()
        .iter()
        .map(|(name, page)| (*name, bytes(name, page)))
        .collect();
    let names: Vec<_> = pages.keys().copied().collect();
    let server = Server::start(pages);
    let own = places::scratch().join(format!("ramson-pages-{}", std::process::id()));
    let profile = places::folder(own.join("profile")).unwrap();
    let mut browser = Browser::here(&profile).unwrap();
    let tab = browser.tab().unwrap();
    for name in names {
        let mut pictures = BTreeMap::new();
        for (look, word) in [
            (Look::PHONE, "phone"),
            (Look::PHONE_DARK, "phone-dark"),
            (Look::DESK, "desk"),
        ] {
            browser.look(&tab, look).unwrap();
            let url = format!("http://{}/{name}", server.at);
            assert_eq!(browser.go(&tab, &url).unwrap(), None, "{url}");
            let shown = browser.until_shown(&tab, "Ramson", Duration::from_secs(10));
            assert!(shown.unwrap().len() > 60, "{name} says too little");
            let file = into.join(format!("{name}-{word}.png"));
            let width = browser.picture(&tab, &file).unwrap();
            assert!(width <= f64::from(look.width), "{name}: {width} wide");
            pictures.insert(word, places::read(&file).unwrap());
        }
        assert!(pictures["phone"] != pictures["phone-dark"], "{name}");
    }
    drop(browser);
    std::fs::remove_dir_all(&own).unwrap();
    println!("pictures of every page: {}", into.display());
}
