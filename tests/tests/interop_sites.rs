//! Against real peers: i2pd's clients visit sites that our router serves.
//!
//! Needs root and namespaces, like the other interop tests.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ramson_tests::i2pd::Node;
use ramson_tests::netns::Netns;
use ramson_tests::network::{Network, Plan, fetch_by_proxy};
use ramson_tests::peers::Suite;
use ramson_tests::probe::{self, Transfer};
use ramson_tests::router::Router;
use ramson_tests::site::{self, Site};
use ramson_tests::{places, setup, wall};

const SITE: &str = "127.0.0.1:8080";
const ECHO: &str = "127.0.0.1:8081";
const FIVE_MB: u64 = 5_000_000;
/// i2pd routers with an HTTP proxy.
const VISITORS: usize = 6;
const STEP: Duration = Duration::from_millis(250);

fn servers(deny: &str) -> String {
    let server = |name: &str, kind: &str, target: &str, more: &str| {
        format!(
            "[[servers]]\nname = \"{name}\"\nkind = \"{kind}\"\ntarget = \"{target}\"\n\
             hops = 2\n{more}\n"
        )
    };
    server("site", "http", SITE, "host = \"garden.example\"")
        + &server("plain", "tcp", SITE, "")
        + &server(
            "echo",
            "http",
            ECHO,
            &format!("distinct_addresses = true\n{deny}"),
        )
        + &server("down", "http", "127.0.0.1:9", "")
}

/// Answers each request with its head, and with the address that it came from.
fn echo(namespace: &Netns) {
    let address: SocketAddr = ECHO.parse().unwrap();
    let listener = namespace
        .inside(|| Ok(TcpListener::bind(address)?))
        .unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, from)) = listener.accept() {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                match stream.read(&mut byte) {
                    Ok(1..) => head.extend(byte),
                    _ => break,
                }
            }
            let body = format!("{}From: {}\r\n", String::from_utf8_lossy(&head), from.ip());
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
}

struct Stage {
    router: Router,
    network: Network,
    _site: Site,
}

impl Stage {
    fn up() -> Stage {
        setup::ready(&[Suite::Forky], true).unwrap();
        let plan = Plan {
            routers: 10,
            floodfills: 4,
            hops: 2,
            suites: vec![Suite::Forky],
            ..Plan::default()
        };
        let network = Network::up_after(&plan, |network| {
            for node in network.nodes.iter_mut().rev().take(VISITORS) {
                node.settings.client = true;
                node.write_files()?;
            }
            Ok(())
        });
        let network = network.unwrap();
        let slot = network.slot().unwrap();
        let site = Site::start(&slot.namespace, SITE.parse().unwrap()).unwrap();
        echo(&slot.namespace);
        let router = Router::start_with(slot, 2, &servers("")).unwrap();
        Stage {
            router,
            network,
            _site: site,
        }
    }

    fn visitors(&self) -> Vec<&Node> {
        self.network.nodes.iter().rev().take(VISITORS).collect()
    }

    fn b32(&self, server: &str) -> String {
        let (status, key) = (self.router.status(), format!("servers.{server}.b32: "));
        let line = status.lines().find_map(|l| l.strip_prefix(&key));
        line.unwrap_or_else(|| panic!("{status}")).to_owned()
    }

    fn url(&self, server: &str, path: &str) -> String {
        format!("http://{}{path}", self.b32(server))
    }

    fn body(node: &Node) -> PathBuf {
        node.folder().join("fetched")
    }

    /// Asks until an answer with this code comes.
    fn until(&mut self, visitor: usize, server: &str, code: u16) {
        let (url, begin) = (self.url(server, "/"), wall::now());
        let mut last = None;
        let page = wall::until("answer", Duration::from_secs(90), STEP, || {
            self.router.check()?;
            let got = get(self.visitors()[visitor], &url, 20);
            let came = got.complete && got.code == code;
            last = Some(got);
            Ok(came.then_some(()))
        });
        page.unwrap_or_else(|f| panic!("{f}: {last:?}\n{}", self.router.status()));
        println!("{server}: {code} after {:.1} s", wall::since(begin));
    }
}

fn get(node: &Node, url: &str, secs: u64) -> Transfer {
    let (space, limit) = (node.namespace.name(), Duration::from_secs(secs));
    fetch_by_proxy(space, node.address, url, &Stage::body(node), limit).unwrap()
}

fn put(node: &Node, url: &str, file: &Path) -> Transfer {
    let (proxy, data) = (
        format!("http://{}:4444", node.address),
        format!("@{}", file.display()),
    );
    let extra = ["-x", &proxy, "--data-binary", &data, "-H", "Expect:"];
    let space = node.namespace.name();
    let limit = Duration::from_secs(120);
    probe::curl(space, url, &Stage::body(node), limit, &extra).unwrap()
}

/// Five megabytes each way through the HTTP and the TCP server, byte by byte.
fn both_ways(stage: &Stage) {
    let node = stage.visitors()[0];
    let file = node.folder().join("upload");
    let bytes: Vec<u8> = (0..FIVE_MB).map(|n| (n * n / 7) as u8).collect();
    places::write(&file, &bytes).unwrap();
    let sum = site::sum_of(&mut bytes.as_slice()).unwrap();
    for server in ["site", "plain"] {
        let got = get(node, &stage.url(server, &format!("/bytes/{FIVE_MB}")), 120);
        assert!(got.is_ok(), "{server}: {got:?}\n{}", stage.router.status());
        site::check_bytes(&Stage::body(node), FIVE_MB).unwrap();
        let sent = put(node, &stage.url(server, "/sum"), &file);
        assert!(
            sent.is_ok(),
            "{server}: {sent:?}\n{}",
            stage.router.status()
        );
        let said = std::fs::read_to_string(Stage::body(node)).unwrap();
        assert_eq!(said.trim(), sum.trim(), "{server}");
        let (down, up) = (got.total_s, sent.total_s);
        println!("{server}: 5 MB down in {down:.1} s, up in {up:.1} s");
    }
}

fn six_at_once(stage: &Stage) {
    let url = stage.url("site", "/bytes/1000000");
    std::thread::scope(|scope| {
        for node in stage.visitors() {
            let url = &url;
            scope.spawn(move || {
                let got = get(node, url, 120);
                assert!(got.is_ok(), "visitor {}: {got:?}", node.number);
                site::check_bytes(&Stage::body(node), 1_000_000).unwrap();
            });
        }
    });
}

/// The value of a line of what `echo` answered to this visitor.
fn said(node: &Node, name: &str) -> String {
    let head = std::fs::read_to_string(Stage::body(node)).unwrap();
    let mut lines = head.lines().filter_map(|l| l.strip_prefix(name));
    let value = lines.next().unwrap_or_else(|| panic!("{name} in {head}"));
    assert_eq!(lines.next(), None, "{name} in {head}");
    value.trim().to_owned()
}

/// A visitor that is on the list from now on gets nothing more, others do.
fn list(stage: &mut Stage) {
    stage.until(0, "echo", 200);
    stage.until(1, "echo", 200);
    let (one, other) = (stage.visitors()[0], stage.visitors()[1]);
    let b32 = said(one, "X-I2P-DestB32:");
    assert_ne!(b32, said(other, "X-I2P-DestB32:"));
    assert_eq!(said(one, "Host:"), ECHO);
    let (a, b) = (said(one, "From:"), said(other, "From:"));
    assert!(
        a != b && a.starts_with("127.") && a != "127.0.0.1",
        "{a} {b}"
    );
    let deny = servers(&format!("deny = [\"{b32}\"]"));
    stage
        .network
        .slot()
        .unwrap()
        .write_config(2, &deny)
        .unwrap();
    let id = Pid::from_raw(i32::try_from(stage.router.id()).unwrap());
    kill(id, Signal::SIGHUP).unwrap();
    let refused = wall::until("refusal", Duration::from_secs(20), STEP, || {
        let got = get(stage.visitors()[0], &stage.url("echo", "/"), 10);
        Ok((!got.is_ok()).then_some(()))
    });
    refused.unwrap();
    // The status is made once a second.
    let limit = Duration::from_secs(10);
    stage
        .router
        .wait_for("servers.echo.refused", 1, limit)
        .unwrap();
    stage.until(1, "echo", 200);
}

#[test]
#[ignore = "needs root and namespaces"]
fn i2pd_visits_our_sites() {
    let mut stage = Stage::up();
    for server in ["site", "plain", "echo", "down"] {
        let key = format!("servers.{server}.published");
        stage
            .router
            .wait_for(&key, 1, Duration::from_secs(60))
            .unwrap();
    }
    for visitor in 0..VISITORS {
        stage.until(visitor, "site", 200);
    }
    both_ways(&stage);
    six_at_once(&stage);
    stage.until(0, "down", 503);
    let page = std::fs::read_to_string(Stage::body(stage.visitors()[0])).unwrap();
    assert!(page.contains("This site is down"), "{page}");
    list(&mut stage);
    println!("{}", stage.router.status());
}
