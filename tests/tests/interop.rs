//! Against real peers: our router and gateway in a private network of i2pd routers.
//!
//! Needs root and namespaces, so it is not part of a plain `cargo test`; `cargo ci` runs it:
//! `cargo test -p ramson-tests --test interop -- --ignored`.

// Helpers too unwrap: by a panic a network learns to keep its files.
#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ramson_tests::capture::Capture;
use ramson_tests::fault::{Fault, Outcome};
use ramson_tests::lan::Lan;
use ramson_tests::netns::Netns;
use ramson_tests::network::{Network, Plan, SITE_NAME};
use ramson_tests::peers::Suite;
use ramson_tests::probe::Transfer;
use ramson_tests::router::Router;
use ramson_tests::scene::{self, Scene};
use ramson_tests::stand_in::StandIn;
use ramson_tests::{i2pd, leaks, probe, setup, site, wall};

const TWO_MB: u64 = 2_000_000;
const FIRST_PAGE: Duration = Duration::from_secs(120);

/// One network at a time: they would only take the machine from each other.
static ALONE: Mutex<()> = Mutex::new(());

fn alone(suites: &[Suite]) -> MutexGuard<'static, ()> {
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    setup::ready(suites, true).unwrap();
    guard
}

fn plan(suites: &[Suite]) -> Plan {
    Plan {
        routers: 10,
        hops: 3,
        suites: suites.to_vec(),
        ..Plan::default()
    }
}

fn told() -> impl FnMut(&str) {
    let start = wall::now();
    move |what: &str| println!("{:6.1} s {what}", wall::since(start))
}

/// Proves the bench itself: i2pd's client fetches i2pd's site.
#[test]
#[ignore = "needs root and namespaces"]
fn peers_alone() {
    let _alone = alone(&[Suite::Trixie]);
    let mut network = Network::up(&Plan {
        slots: 0,
        ..plan(&[Suite::Trixie])
    })
    .unwrap();
    network.first_page(FIRST_PAGE).unwrap();
    println!(
        "i2pd's first page {:.1} s after start",
        wall::since(network.started)
    );
    let got = network
        .fetch(&format!("/bytes/{TWO_MB}"), Duration::from_secs(120))
        .unwrap();
    assert!(got.is_ok(), "{got:?}");
    site::check_bytes(&network.fetched(), TWO_MB).unwrap();
    println!("i2pd's own rate: {:.2} MB/s", got.megabytes_per_s());
}

/// Our router alone: its HTTP proxy fetches the site through three hops of i2pd routers.
#[test]
#[ignore = "needs root and namespaces"]
fn router_through_its_proxy() {
    let _alone = alone(&[Suite::Trixie]);
    let network = Network::up(&plan(&[Suite::Trixie])).unwrap();
    let slot = network.slot().unwrap();
    let start = wall::now();
    let mut router = Router::start(slot, 3).unwrap();
    let body = slot.folder().join("fetched");
    let fetch = |path: &str, limit: u64| {
        let (space, url) = (slot.namespace.name(), Scene::url(path));
        let proxy = ["-x", "http://127.0.0.1:4444"];
        probe::curl(space, &url, &body, Duration::from_secs(limit), &proxy)
    };
    let mut last = None;
    let page = wall::until("page", FIRST_PAGE, Duration::from_millis(250), || {
        router.check()?;
        let got = fetch("/", 30)?;
        let ok = got.is_ok();
        last = Some(got);
        Ok(ok.then_some(()))
    });
    page.unwrap_or_else(|fault| panic!("{fault}: {last:?}\n{}", router.status()));
    println!("our first page {:.1} s after start", wall::since(start));
    assert_eq!(std::fs::read_to_string(&body).unwrap(), site::PAGE);
    let got = fetch(&format!("/bytes/{TWO_MB}"), 120).unwrap();
    assert!(got.is_ok(), "{got:?}");
    site::check_bytes(&body, TWO_MB).unwrap();
    // There is no way out to the Internet.
    let (space, limit) = (slot.namespace.name(), Duration::from_secs(10));
    let outside = |url: &str, extra: &[&str]| {
        let proxy = ["-x", "http://127.0.0.1:4444"];
        probe::curl(space, url, &body, limit, &[&proxy[..], extra].concat()).unwrap()
    };
    let got = outside("http://www.example.org/", &[]);
    assert_eq!((got.code, got.complete), (403, true), "{got:?}");
    let got = outside("https://www.example.org/", &[]);
    assert!(!got.complete && got.complaint.contains("403"), "{got:?}");
}

fn two_mb() -> String {
    format!("/bytes/{TWO_MB}")
}

/// A reader of 500 kB/s gets everything, although the site has closed long before.
fn slow_reader(lan: &Lan) -> Outcome<()> {
    let path = two_mb();
    let page = (SITE_NAME, path.as_str());
    let seconds = probe::slow_get(&lan.client, page, &lan.fetched(), 500_000)?;
    if let Err(fault) = site::check_bytes(&lan.fetched(), TWO_MB) {
        let got = std::fs::read(lan.fetched()).unwrap_or_default();
        let start = String::from_utf8_lossy(&got[..got.len().min(300)]).into_owned();
        return Err(Fault::new(format!("{fault}, which begins {start:?}")));
    }
    assert!(seconds > 3.5, "not slow: {seconds} s");
    Ok(())
}

/// What the router's page says when no answer comes through the tunnels. Peers that are young lose
/// a site now and then; the page asks to try again, and so do we, once.
const NO_ANSWER: &str = "The site does not answer";

fn patient_slow_reader(scene: &Scene) -> Outcome<()> {
    match slow_reader(&scene.lan) {
        Err(fault) if fault.to_string().contains(NO_ANSWER) => {
            println!("{}", scene.with_logs(&fault.to_string()));
            slow_reader(&scene.lan)
        }
        result => result,
    }
}

fn patient_curl(scene: &Scene, url: &str) -> Outcome<Transfer> {
    let limit = Duration::from_secs(120);
    let got = scene.lan.curl(url, limit, &[])?;
    if got.code == 504 {
        println!("{}", scene.with_logs(NO_ANSWER));
        return scene.lan.curl(url, limit, &[]);
    }
    Ok(got)
}

/// The product: a LAN client that knows nothing of I2P opens a site by its name.
fn client_opens_site(suites: &[Suite]) {
    let _alone = alone(suites);
    let mut scene = Scene::up(&plan(suites), &mut told()).unwrap();
    let start = wall::now();
    scene.first_page(FIRST_PAGE).unwrap();
    println!(
        "first page on the LAN {:.1} s after the gateway was up",
        wall::since(start)
    );
    assert_eq!(
        std::fs::read_to_string(scene.lan.fetched()).unwrap(),
        site::PAGE
    );

    let limit = Duration::from_secs(120);
    let got = patient_curl(&scene, &Scene::url(&two_mb())).unwrap();
    assert!(got.is_ok(), "{got:?}");
    site::check_bytes(&scene.lan.fetched(), TWO_MB).unwrap();
    println!("2 MB at {:.2} MB/s", got.megabytes_per_s());
    // More than once: a sender that is held back at a bad moment may stop for good.
    for _ in 0..3 {
        patient_slow_reader(&scene)
            .unwrap_or_else(|f| panic!("{}", scene.with_logs(&f.to_string())));
    }
    // What is wrong with a name is told by the router's page, not by a reset.
    let mut last = None;
    let told = wall::until(
        "page",
        Duration::from_secs(20),
        Duration::from_secs(1),
        || {
            let got = scene.lan.curl("http://nobody.i2p/", limit, &[])?;
            let right = (got.code, got.complete) == (404, true);
            last = Some(got);
            Ok(right.then_some(()))
        },
    );
    told.unwrap_or_else(|fault| panic!("{fault}: {last:?}"));
    scene.check().unwrap();
}

#[test]
#[ignore = "needs root and namespaces"]
fn lan_client_opens_site() {
    client_opens_site(&[Suite::Trixie]);
}

#[test]
#[ignore = "needs root and namespaces"]
fn lan_client_opens_site_among_both_versions() {
    client_opens_site(&Suite::ALL);
}

/// The promise: whatever the client tries, only I2P leaves the box.
#[test]
#[ignore = "needs root and namespaces"]
fn only_i2p_leaves_the_box() {
    let _alone = alone(&[Suite::Trixie]);
    let mut scene = Scene::up(&plan(&[Suite::Trixie]), &mut told()).unwrap();
    let slot = scene.network.slot().unwrap();
    let forged = slot.address;
    let capture = Capture::start(slot, scene.rules().unwrap()).unwrap();
    scene.first_page(FIRST_PAGE).unwrap();
    let got = patient_curl(&scene, &Scene::url(&two_mb())).unwrap();
    assert!(got.is_ok(), "{got:?}");

    let client = &scene.lan.client;
    try_everything(client, forged);
    let foreign = probe::dns_query(client, leaks::RESOLVER, "www.example.org");
    assert!(
        !matches!(foreign, Ok(Some(_))),
        "a foreign name was resolved: {foreign:?}"
    );

    // And while the gateway is gone.
    scene.lan.end_gateway();
    leaks::other_attempts(&scene.lan.client, forged).unwrap();
    let attempts = leaks::tcp_attempts(&scene.lan.client).unwrap();
    assert!(attempts.iter().all(|a| !a.connected), "{attempts:?}");

    let seen = capture.end().unwrap();
    println!("left the box: {seen:?}");
    assert!(
        seen.tcp + seen.udp > 100,
        "hardly any I2P was seen: {seen:?}"
    );
    assert_eq!(seen.violations, 0, "{:#?}", seen.examples);
}

/// Everything a client can try; every connection is refused, and at once.
fn try_everything(client: &Netns, forged: Ipv4Addr) {
    leaks::dns_attempts(client).unwrap();
    leaks::other_attempts(client, forged).unwrap();
    let attempts = leaks::tcp_attempts(client).unwrap();
    assert!(attempts.iter().all(|a| !a.connected), "{attempts:?}");
    let slow: Vec<_> = attempts.iter().filter(|a| !a.refused).collect();
    assert!(slow.is_empty(), "not refused at once: {slow:?}");
}

/// The gateway alone: with no router behind it, it refuses everything and lets nothing out.
#[test]
#[ignore = "needs root and namespaces"]
fn gateway_without_a_router_is_closed() {
    let _alone = alone(&[Suite::Trixie]);
    let few = Plan {
        routers: 3,
        floodfills: 2,
        ..plan(&[Suite::Trixie])
    };
    let network = Network::up(&few).unwrap();
    let slot = network.slot().unwrap();
    let mut lan = Lan::new(slot).unwrap();
    lan.start_gateway(slot).unwrap();
    let capture = Capture::start(slot, scene::rules(&network).unwrap()).unwrap();
    let got = lan
        .curl(&Scene::url("/"), Duration::from_secs(20), &[])
        .unwrap();
    assert!(!got.is_ok() && got.total_s < 10.0, "{got:?}");
    try_everything(&lan.client, slot.address);
    lan.check().unwrap();
    let seen = capture.end().unwrap();
    assert_eq!(seen.violations, 0, "{:#?}", seen.examples);
    assert_eq!(seen.tcp + seen.udp, 0, "{seen:?}");
}

/// The gateway to the byte, with a stand-in for the router: pages, 2 MB, and a reader far slower
/// than the site, which has long closed.
#[test]
#[ignore = "needs root and namespaces"]
fn gateway_carries_every_byte() {
    let _alone = alone(&[Suite::Trixie]);
    let few = Plan {
        routers: 3,
        floodfills: 2,
        ..plan(&[Suite::Trixie])
    };
    let network = Network::up(&few).unwrap();
    let slot = network.slot().unwrap();
    let publisher = network.publisher().namespace.name();
    let stand_in = StandIn::start(slot, publisher, i2pd::SITE).unwrap();
    let mut lan = Lan::new(slot).unwrap();
    lan.start_gateway(slot).unwrap();
    let limit = Duration::from_secs(30);
    let got = lan.curl(&Scene::url("/"), limit, &[]).unwrap();
    assert!(got.is_ok(), "{got:?}");
    assert_eq!(std::fs::read_to_string(lan.fetched()).unwrap(), site::PAGE);
    let got = lan.curl(&Scene::url(&two_mb()), limit, &[]).unwrap();
    assert!(got.is_ok(), "{got:?}");
    site::check_bytes(&lan.fetched(), TWO_MB).unwrap();
    println!("2 MB at {:.2} MB/s", got.megabytes_per_s());
    let got = lan
        .curl(&Scene::url("/bytes/100000000"), limit, &[])
        .unwrap();
    assert!(got.is_ok(), "{got:?}");
    site::check_bytes(&lan.fetched(), 100_000_000).unwrap();
    println!("100 MB at {:.2} MB/s", got.megabytes_per_s());
    slow_reader(&lan).unwrap();
    let got = lan.curl("http://nobody.i2p/", limit, &[]).unwrap();
    assert!(!got.is_ok() && got.total_s < 5.0, "{got:?}");
    assert_eq!(stand_in.tags(), 1, "one client, one tag");
}

/// Positive control of that: without a gateway, a datagram to the outside is seen and named.
#[test]
#[ignore = "needs root and namespaces"]
fn capture_sees_what_leaks() {
    let _alone = alone(&[Suite::Trixie]);
    let few = Plan {
        routers: 3,
        floodfills: 2,
        ..plan(&[Suite::Trixie])
    };
    let network = Network::up(&few).unwrap();
    let slot = network.slot().unwrap();
    let capture = Capture::start(slot, scene::rules(&network).unwrap()).unwrap();
    leaks::one_datagram(&slot.namespace).unwrap();
    wall::pause(Duration::from_millis(200)).unwrap();
    let seen = capture.end().unwrap();
    assert_eq!(seen.violations, 1, "{seen:?}");
    assert!(seen.examples[0].contains("203.0.113.7"), "{seen:?}");
}
