//! Against real peers: what is lost in the middle of using a site comes again.
//!
//! Needs root and namespaces, like the other interop tests:
//! `cargo test -p ramson-tests --test interop_recovery -- --ignored --test-threads=1`.

#![allow(clippy::unwrap_used)]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ramson_tests::network::{Network, Plan};
use ramson_tests::peers::Suite;
use ramson_tests::probe::{self, Transfer};
use ramson_tests::router::Router;
use ramson_tests::scene::Scene;
use ramson_tests::{setup, site, wall};

const FIRST_PAGE: Duration = Duration::from_secs(120);
const STEP: Duration = Duration::from_millis(250);
/// How long one try waits before the next one.
const TRY: Duration = Duration::from_secs(8);
/// Pages in a row that show that it was no accident.
const ROW: usize = 8;

static ALONE: Mutex<()> = Mutex::new(());

/// Our router with tunnels of two hops among twelve i2pd routers, and the site in use.
struct Stage {
    router: Router,
    network: Network,
    _alone: MutexGuard<'static, ()>,
}

impl Stage {
    fn up() -> Stage {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        setup::ready(&[Suite::Forky], true).unwrap();
        let plan = Plan {
            routers: 12,
            floodfills: 4,
            hops: 2,
            suites: vec![Suite::Forky],
            ..Plan::default()
        };
        let network = Network::up(&plan).unwrap();
        let router = Router::start(network.slot().unwrap(), 2).unwrap();
        let mut stage = Stage {
            router,
            network,
            _alone: alone,
        };
        let first = stage.seconds_to_page(FIRST_PAGE);
        println!("first page after {first:.1} s");
        stage.pages(ROW);
        stage
    }

    fn fetch(&self, path: &str, limit: Duration) -> Transfer {
        let slot = self.network.slot().unwrap();
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

/// Ordinary churn: two relays end without a word while a site is in use.
#[test]
#[ignore = "needs root and namespaces"]
fn two_relays_end() {
    let mut stage = Stage::up();
    for round in 0..2 {
        // Neither floodfills, nor the site's router and the client's.
        for relay in [4 + 2 * round, 5 + 2 * round] {
            stage.network.nodes[relay].end();
        }
        let healed = stage.seconds_to_page(Duration::from_secs(30));
        println!("round {round}: page again {healed:.1} s after two relays ended");
        let slowest = stage.pages(ROW);
        println!("round {round}: slowest page after that {slowest:.1} s");
        stage.two_mb();
    }
}

/// The site's router starts again with the same keys: what it knew of our sessions is gone, and
/// what we know of its leases is void. How soon it can be reached again is its own affair: i2pd
/// takes up to a minute or two for tunnels and for a LeaseSet that floodfills have.
#[test]
#[ignore = "needs root and namespaces"]
fn the_site_forgets_our_session() {
    let mut stage = Stage::up();
    let publisher = stage.network.publisher_mut().unwrap();
    publisher.end();
    publisher.start().unwrap();
    let healed = stage.seconds_to_page(FIRST_PAGE);
    println!("page again {healed:.1} s after the site's restart");
    stage.pages(ROW);
    stage.two_mb();
}
