//! Against real peers: what our router does for others, as a hop of their tunnels and as their
//! floodfill.
//!
//! Needs root and namespaces, like the other interop tests:
//! `cargo test -p ramson-tests --test interop_transit -- --ignored --test-threads=1`.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ramson_tests::fault::Outcome;
use ramson_tests::i2pd::FixedClient;
use ramson_tests::network::{Network, Plan};
use ramson_tests::peers::Suite;
use ramson_tests::probe::{self, Transfer};
use ramson_tests::router::Router;
use ramson_tests::router_file::{self, RouterFile};
use ramson_tests::{places, setup, site, wall};

const TWO_MB: u64 = 2_000_000;
const SOON: Duration = Duration::from_secs(30);
const LATER: Duration = Duration::from_secs(120);
const ONE_HOP: u16 = 9100;
const THREE_HOPS: u16 = 9101;
const STEP: Duration = Duration::from_millis(250);

/// Room for the tests' own traffic, which passes us several times.
const WIDE: &str = "\n[router]\nclass = \"X\"\n\n[transit]\nkbytes_per_second = 20000\n";
const WIDE_FLOODFILL: &str =
    "\n[router]\nclass = \"X\"\nfloodfill = true\n\n[transit]\nkbytes_per_second = 20000\n";
/// Full with the first tunnel.
const NARROW: &str = "\n[transit]\ntunnels = 1\n";

/// What i2pd warns of without anybody's fault: newcomers, two that dial each other at once, and
/// somebody who is sought before a floodfill is known.
const USUAL: &[&str] = &["No profile yet", "already exists", "NetDbReq:"];

static ALONE: Mutex<()> = Mutex::new(());

/// A small network and our router in it.
struct Stage {
    router: Router,
    network: Network,
    _alone: MutexGuard<'static, ()>,
}

impl Stage {
    /// A network whose routers are prepared knowing ours. Ours is there before them: who dials it
    /// in vain takes it for unreachable for 8 minutes, and asks it as a floodfill no more even
    /// though it is linked with it (i2pd 2.56 `NetDb::GetClosestFloodfill`).
    fn up(
        floodfills: u8,
        more: &str,
        prepare: impl FnOnce(&mut Network, &[u8], &RouterFile) -> Outcome<()>,
    ) -> Stage {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        setup::ready(&[Suite::Trixie], true).unwrap();
        let plan = Plan {
            routers: 6,
            floodfills,
            hops: 2,
            log_level: "debug",
            ..Plan::default()
        };
        let mut router = None;
        let network = Network::up_after(&plan, |network| {
            // A short run for its keys.
            drop(Router::start_with(network.slot()?, 2, more)?);
            let (bytes, file) = ours(network)?;
            prepare(network, &bytes, &file)?;
            router = Some(Router::start_with(network.slot()?, 2, more)?);
            Ok(())
        });
        Stage {
            network: network.unwrap(),
            router: router.unwrap(),
            _alone: alone,
        }
    }

    /// Ends our router, lets something happen without it, and starts it again with the same files
    /// and tunnels of `hops`.
    fn restart(self, hops: u8, more: &str, meanwhile: impl FnOnce(&Network)) -> Stage {
        let Stage {
            router,
            network,
            _alone,
        } = self;
        drop(router);
        meanwhile(&network);
        let router = Router::start_with(network.slot().unwrap(), hops, more).unwrap();
        Stage {
            router,
            network,
            _alone,
        }
    }

    fn hash(&self) -> String {
        ours(&self.network).unwrap().1.hash
    }

    fn wait_for(&mut self, key: &str, least: u64, limit: Duration) {
        let begin = wall::now();
        let now = self.router.wait_for(key, least, limit).unwrap();
        println!("{key} is {now} after {:.1} s", wall::since(begin));
    }

    /// The site by one of the client's tunnels.
    fn fetch(&self, port: u16, path: &str, limit: Duration) -> Transfer {
        let client = self.network.client();
        let url = format!("http://{}:{port}{path}", client.address);
        let space = client.namespace.name();
        probe::curl(space, &url, &self.body(), limit, &[]).unwrap()
    }

    fn body(&self) -> PathBuf {
        self.network.folder().join("fixed")
    }

    fn fetch_all(&mut self, port: u16) {
        let begin = wall::now();
        let mut last = None;
        let page = wall::until("page by our tunnel", LATER, STEP, || {
            self.network.check()?;
            self.router.check()?;
            let got = self.fetch(port, "/", Duration::from_secs(10));
            let ok = got.is_ok();
            last = Some(got);
            Ok(ok.then_some(()))
        });
        page.unwrap_or_else(|f| panic!("{f}: {last:?}\n{}", self.router.status()));
        let waited = wall::since(begin);
        let got = self.fetch(port, &format!("/bytes/{TWO_MB}"), LATER);
        assert!(got.is_ok(), "{got:?}\n{}", self.router.status());
        site::check_bytes(&self.body(), TWO_MB).unwrap();
        let rate = got.megabytes_per_s();
        println!("port {port}: first page after {waited:.1} s, 2 MB at {rate:.2} MB/s");
    }

    /// i2pd's own client opens the site.
    fn first_page(&mut self) {
        let begin = wall::now();
        if let Err(fault) = self.network.first_page(LATER) {
            panic!("{fault}\n{}", self.router.status());
        }
        println!("the client's page after {:.1} s", wall::since(begin));
    }

    /// What the peers' logs hold against us.
    fn complaints(&self) -> Vec<String> {
        let (hash, address) = (self.hash(), self.network.slot().unwrap().address);
        let short = format!("({})", &hash[..4]);
        let names = [hash, short, address.to_string()];
        let logs: Vec<String> = self.network.nodes.iter().map(|node| node.log()).collect();
        logs.iter()
            .flat_map(|log| log.lines())
            .filter(|line| line.contains("/warn") || line.contains("/error"))
            .filter(|line| names.iter().any(|name| line.contains(name.as_str())))
            .filter(|line| USUAL.iter().all(|usual| !line.contains(usual)))
            .map(str::to_string)
            .collect()
    }
}

/// Our RouterInfo as it lies beside our keys.
fn ours(network: &Network) -> Outcome<(Vec<u8>, RouterFile)> {
    let bytes = places::read(&network.slot()?.data().join("router.info"))?;
    let file = router_file::parse(&bytes)?;
    Ok((bytes, file))
}

/// The site and two tunnels of the client, all by way of us: alone, and as the middle hop.
fn pin(network: &mut Network, bytes: &[u8], ours: &RouterFile) -> Outcome<()> {
    let hash_of = |index: usize| network.nodes[index].router_info().unwrap().1.hash;
    let (first, last) = (hash_of(0), hash_of(1));
    let site = network.site_b32()?;
    let fixed = |port, hops| FixedClient {
        port,
        hops,
        site: site.clone(),
    };
    let clients = vec![
        fixed(ONE_HOP, vec![ours.hash.clone()]),
        fixed(THREE_HOPS, vec![first, ours.hash.clone(), last]),
    ];
    let publisher = network.publisher_mut()?;
    publisher.settings.site_hops = vec![ours.hash.clone()];
    publisher.learn(bytes, ours)?;
    publisher.write_files()?;
    let client = network.client_mut()?;
    client.settings.fixed_clients = clients;
    client.learn(bytes, ours)?;
    client.write_files()
}

/// Tunnels that are bound to us carry every byte in each role; a restart with the same files is
/// the same router to all, and one that is full says so.
#[test]
#[ignore = "needs root and namespaces"]
fn transit() {
    let mut stage = Stage::up(3, WIDE, pin);
    stage.wait_for("netdb.published", 1, SOON);
    stage.fetch_all(ONE_HOP);
    stage.fetch_all(THREE_HOPS);
    for role in ["gateways", "participants", "endpoints"] {
        stage.wait_for(&format!("transit.{role}"), 1, SOON);
    }
    // One fetch turns around at us, the other one passes us twice.
    stage.wait_for("bandwidth.transit_bytes", 3 * TWO_MB, SOON);
    let complaints = stage.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");

    let before = stage.hash();
    let mut stage = stage.restart(2, NARROW, |_| ());
    assert_eq!(before, stage.hash());
    stage.wait_for("peers", 3, SOON);
    stage.wait_for("netdb.published", 1, SOON);
    stage.wait_for("transit.accepted", 1, LATER);
    stage.wait_for("transit.refused", 1, LATER);
}

/// Peers that dial us in vain while we are away hold us for unreachable for 8 minutes and send us
/// nothing without a link; our return makes the links. Without hops of our own we would dial none
/// of them for any other reason.
#[test]
#[ignore = "needs root and namespaces"]
fn absence() {
    let mut stage = Stage::up(3, WIDE, pin);
    stage.wait_for("netdb.published", 1, SOON);
    stage.fetch_all(ONE_HOP);
    let linked = stage.router.number("peers");
    assert!(linked >= 2, "the site's router and the client's have links");
    // What is remembered of them reaches the disk within a second or two.
    wall::pause(Duration::from_secs(3)).unwrap();
    let away = Duration::from_secs(20);
    let mut stage = stage.restart(0, WIDE, |network| {
        let (space, folder) = (network.client().namespace.name(), network.folder());
        let url = format!("http://{}:{ONE_HOP}/", network.client().address);
        let got = probe::curl(space, &url, &folder.join("away"), away, &[]).unwrap();
        assert!(
            !got.is_ok(),
            "a tunnel that is bound to us works without us"
        );
    });
    stage.wait_for("peers", linked, Duration::from_secs(10));
    // The site and the client build anew by way of us; what they had through us is lost.
    stage.wait_for("transit.accepted", 4, LATER);
}

/// We are the only floodfill: the site's LeaseSet comes to us and is found by us. Then a peer goes
/// away for a moment and comes back knowing nobody else.
#[test]
#[ignore = "needs root and namespaces"]
fn floodfill() {
    let mut stage = Stage::up(0, WIDE_FLOODFILL, |network, bytes, ours| {
        let mut nodes = network.nodes.iter();
        nodes.try_for_each(|node| node.learn(bytes, ours))
    });
    stage.first_page();
    stage.wait_for("netdb.lease_sets", 1, SOON);
    let confirmed = wall::until("acknowledgement of the LeaseSet", LATER, STEP, || {
        let log = stage.network.publisher().log();
        Ok(log.contains("LeaseSet confirmed").then_some(()))
    });
    confirmed.unwrap();
    let complaints = stage.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");

    let (bytes, ours) = ours(&stage.network).unwrap();
    let accepted = stage.router.number("transit.accepted");
    let client = stage.network.client_mut().unwrap();
    client.end();
    wall::pause(Duration::from_secs(2)).unwrap();
    let failed = stage.router.number("links.failed");
    assert!(failed < 50, "{failed} dials of a peer that is away");
    client.forget_all().unwrap();
    client.learn(&bytes, &ours).unwrap();
    client.start().unwrap();
    stage.wait_for("transit.accepted", accepted + 1, LATER);
}
