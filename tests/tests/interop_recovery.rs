//! Against real peers: what is lost in the middle of using a site comes again.
//!
//! Needs root and namespaces, like the other interop tests. How soon i2pd finds out what it has
//! lost differs from run to run: we are measured beside a router that starts at that moment and has
//! nothing to recover from.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use ramson_tests::network::{Network, Plan};
use ramson_tests::peers::Suite;
use ramson_tests::probe::{self, Transfer};
use ramson_tests::router::Router;
use ramson_tests::scene::Scene;
use ramson_tests::slot::Slot;
use ramson_tests::{setup, site, wall};

const FIRST_PAGE: Duration = Duration::from_secs(120);
const STEP: Duration = Duration::from_millis(250);
/// How long one try waits before the next one.
const TRY: Duration = Duration::from_secs(4);
const LATER: Duration = Duration::from_secs(150);
/// Seconds that we may be behind a router that starts afresh.
const BEHIND: f64 = 15.0;
/// Seconds after which pages are to come again.
const AIM: f64 = 10.0;
/// Seconds that a site stands still: long enough for a new session to be tried.
const STILL: f64 = 25.0;
/// What it says of itself is kept when a test fails.
const TALKATIVE: &str = "[log]\nlevel = \"debug\"\n";
/// Pages in a row that show that it was no accident.
const ROW: usize = 8;

/// Our router with tunnels of two hops among twelve i2pd routers, and the site in use.
struct Stage {
    router: Router,
    network: Network,
}

impl Stage {
    fn up() -> Stage {
        setup::ready(&[Suite::Forky], true).unwrap();
        let plan = Plan {
            routers: 12,
            floodfills: 4,
            hops: 2,
            suites: vec![Suite::Forky],
            slots: 2,
            // An i2pd that has stood still sends for half a minute into SSU2 sessions that its
            // peers have given up; what is measured here is not that.
            ssu2: false,
            ..Plan::default()
        };
        let network = Network::up(&plan).unwrap();
        let router = Router::start_with(network.slot().unwrap(), 2, TALKATIVE).unwrap();
        let mut stage = Stage { router, network };
        let first = stage.seconds_to_page(FIRST_PAGE);
        println!("first page after {first:.1} s");
        stage.pages(ROW);
        stage
    }

    fn fetch(&self, path: &str, limit: Duration) -> Transfer {
        self.fetch_from(self.network.slot().unwrap(), path, limit)
    }

    fn fetch_from(&self, slot: &Slot, path: &str, limit: Duration) -> Transfer {
        let (space, url) = (slot.namespace.name(), Scene::url(path));
        let proxy = ["-x", "http://127.0.0.1:4444"];
        probe::curl(space, &url, &slot.folder().join("fetched"), limit, &proxy).unwrap()
    }

    /// Asks until the page comes; how long that took.
    fn seconds_to_page(&mut self, limit: Duration) -> f64 {
        let begin = wall::now();
        let mut last = None;
        let page = wall::until("page", limit, STEP, || {
            self.router.check()?;
            let got = self.fetch("/", TRY);
            let ok = got.is_ok();
            last = Some(got);
            Ok(ok.then_some(()))
        });
        page.unwrap_or_else(|f| panic!("{f}: {last:?}\n{}", self.router.status()));
        wall::since(begin)
    }

    /// The same, and how long a router takes that starts now and has nothing to recover from.
    fn beside_a_fresh_one(&mut self) -> (f64, f64) {
        let begin = wall::now();
        let slot = self.network.slots.last().unwrap();
        let fresh = Router::start(slot, 2).unwrap();
        let (mut old, mut new) = (None, None);
        let both = wall::until("page by both", LATER, STEP, || {
            if old.is_none() && self.fetch("/", TRY).is_ok() {
                old = Some(wall::since(begin));
            }
            if new.is_none() && self.fetch_from(slot, "/", TRY).is_ok() {
                new = Some(wall::since(begin));
            }
            Ok(old.zip(new))
        });
        both.unwrap_or_else(|f| panic!("{f}\n{}\n{}", self.router.status(), fresh.status()))
    }

    /// So many pages one after another, each at its first try; the slowest.
    fn pages(&self, count: usize) -> f64 {
        let mut slowest = 0.0_f64;
        for n in 0..count {
            let begin = wall::now();
            let got = self.fetch("/", Duration::from_secs(20));
            assert!(got.is_ok(), "page {n}: {got:?}\n{}", self.router.status());
            slowest = slowest.max(wall::since(begin));
        }
        slowest
    }

    fn two_mb(&self) {
        let got = self.fetch("/bytes/2000000", Duration::from_secs(120));
        assert!(got.is_ok(), "{got:?}\n{}", self.router.status());
        let body = self.network.slot().unwrap().folder().join("fetched");
        site::check_bytes(&body, 2_000_000).unwrap();
    }
}

/// Ordinary churn: two relays end while a site is in use. Until the site has other tunnels nobody
/// reaches it; from then on we do about as soon as a router that starts afresh.
fn two_relays_end(stage: &mut Stage) {
    // Neither floodfills, nor the site's router and the client's.
    for relay in [4, 5] {
        stage.network.nodes[relay].end();
    }
    let (ours, fresh) = stage.beside_a_fresh_one();
    println!("two relays ended: page again after {ours:.1} s, a fresh router's after {fresh:.1} s");
    assert!(ours < fresh + BEHIND, "{}", stage.router.status());
    let slowest = stage.pages(ROW);
    println!("slowest page after that {slowest:.1} s");
    stage.two_mb();
}

/// The site's router starts again with the same keys: what it knew of our sessions is gone, and
/// what we know of its leases is void. How soon it can be reached again is its own affair: i2pd
/// takes up to a minute or two for tunnels and for a LeaseSet that floodfills have.
fn the_site_forgets_our_session(stage: &mut Stage) {
    let publisher = stage.network.publisher_mut().unwrap();
    publisher.end();
    publisher.start().unwrap();
    let healed = stage.seconds_to_page(FIRST_PAGE);
    println!("page again {healed:.1} s after the site's restart");
    stage.pages(ROW);
    stage.two_mb();
}

/// The site's router stands still, as on a machine that has no time for it. What we repeat
/// meanwhile, and the new sessions that we try, reach it all at once, and it goes on answering
/// under the session that it had; then that session has to be as good as it was.
fn the_site_stands_still(stage: &mut Stage) {
    let doubted = stage.router.number("sessions.doubted");
    let site = stage.network.publisher().process().unwrap();
    site.hold();
    let begin = wall::now();
    while wall::since(begin) < STILL {
        let got = stage.fetch("/", TRY);
        assert!(!got.is_ok(), "who stands still answers: {got:?}");
    }
    site.resume();
    let (ours, fresh) = stage.beside_a_fresh_one();
    println!("the site goes on: page again after {ours:.1} s, a fresh router's after {fresh:.1} s");
    assert!(ours < AIM.max(fresh + 5.0), "{}", stage.router.status());
    assert!(stage.router.number("sessions.doubted") > doubted);
    let slowest = stage.pages(ROW);
    println!("slowest page after that {slowest:.1} s");
    stage.two_mb();
}

/// One after the other in one network: to set one up takes longer than each of them.
#[test]
#[ignore = "needs root and namespaces"]
fn what_is_lost_comes_again() {
    let mut stage = Stage::up();
    the_site_stands_still(&mut stage);
    two_relays_end(&mut stage);
    the_site_forgets_our_session(&mut stage);
}
