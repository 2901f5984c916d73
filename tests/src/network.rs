//! A private network of i2pd routers in namespaces, with one site and places for our router.
//!
//! The last router is the client (HTTP proxy), the one before it publishes the site, the others
//! relay; the first `floodfills` of them are floodfills. All are on one link, 10.0.0.0/8, each in
//! a /16 of its own.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::fault::{About, Fault, Outcome};
use crate::i2pd::{self, Node, Settings};
use crate::netns::{self, Netns};
use crate::peers::{self, Suite};
use crate::probe::{self, Transfer};
use crate::site::Site;
use crate::slot::{HUB_ADDRESS, Slot};
use crate::{places, process, router_file, stop, wall};

/// The site's name in hosts files.
pub const SITE_NAME: &str = "garden.i2p";

const STEP: Duration = Duration::from_millis(100);

/// What to build.
#[derive(Clone, Debug)]
pub struct Plan {
    pub routers: u8,
    pub floodfills: u8,
    /// Length of the client tunnels of i2pd's client and site.
    pub hops: u8,
    /// Where the peers come from, in turn.
    pub suites: Vec<Suite>,
    /// Places for routers under test.
    pub slots: u8,
    pub log_level: &'static str,
    /// Whether the peers speak SSU2 to each other, besides NTCP2.
    pub ssu2: bool,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            routers: 10,
            floodfills: 6,
            hops: 3,
            suites: vec![Suite::Trixie],
            slots: 1,
            log_level: "warn",
            ssu2: true,
        }
    }
}

/// A running network; dropping it removes every process, namespace and file of it.
pub struct Network {
    pub nodes: Vec<Node>,
    pub site: Site,
    pub slots: Vec<Slot>,
    pub hub: Netns,
    pub prefix: String,
    /// When the routers were started for good.
    pub started: Instant,
    /// Seconds that keys and seeding took.
    pub keys_s: f64,
    folder: PathBuf,
}

impl Network {
    /// Builds and starts everything; returns when the processes run, not when tunnels stand.
    pub fn up(plan: &Plan) -> Outcome<Network> {
        Network::up_after(plan, |_| Ok(()))
    }

    /// The same, but when all have keys and know each other, and before they are started for good,
    /// `prepare` may change what they know and do.
    pub fn up_after(
        plan: &Plan,
        prepare: impl FnOnce(&mut Network) -> Outcome<()>,
    ) -> Outcome<Network> {
        stop::install()?;
        if plan.routers < 3 || plan.suites.is_empty() {
            return Err(Fault::new("a network needs three routers and a suite"));
        }
        netns::sweep();
        sweep_folders();
        let prefix = netns::new_prefix();
        let folder = places::folder(places::scratch().join(&prefix))?;
        let hub = Netns::new(&format!("{prefix}-hub"))?;
        hub.bridge("br0", &[])?;
        hub.address("br0", &format!("{HUB_ADDRESS}/8"))?;
        let nodes = make_nodes(plan, &prefix, &hub, &folder)?;
        let mut slots = Vec::new();
        for number in (plan.routers + 1..).take(usize::from(plan.slots)) {
            let own = folder.join(format!("box{number}"));
            slots.push(Slot::new(&prefix, number, address_of(number), &hub, own)?);
        }
        let publisher = &nodes[site_index(&nodes)].namespace;
        let site = Site::start(publisher, i2pd::SITE)?;
        let started = wall::now();
        let mut network = Network {
            nodes,
            site,
            slots,
            hub,
            prefix,
            started,
            keys_s: 0.0,
            folder,
        };
        network.make_keys()?;
        network.keys_s = wall::since(started);
        prepare(&mut network)?;
        network.started = wall::now();
        for node in &mut network.nodes {
            node.start()?;
        }
        Ok(network)
    }

    /// First start of every router for its keys; then all learn of all.
    fn make_keys(&mut self) -> Outcome<()> {
        for node in &mut self.nodes {
            node.start()?;
        }
        let nodes = &mut self.nodes;
        wall::until(
            "router.info of every peer",
            Duration::from_secs(60),
            STEP,
            || {
                for node in nodes.iter_mut() {
                    node.check()?;
                }
                let ready = nodes.iter().all(|n| n.router_info().is_some());
                Ok((ready && nodes[site_index(nodes)].site_destination().is_ok()).then_some(()))
            },
        )?;
        for node in &mut self.nodes {
            node.ask();
        }
        for node in &mut self.nodes {
            node.end();
        }
        for a in &self.nodes {
            let Some((bytes, file)) = a.router_info() else {
                return Err(Fault::new(format!(
                    "router {} lost its router.info",
                    a.number
                )));
            };
            for b in self.nodes.iter().filter(|b| b.number != a.number) {
                b.learn(&bytes, &file)?;
            }
        }
        self.renew_seeds()?;
        let destination = router_file::base64(&self.publisher().site_destination()?);
        for slot in &self.slots {
            places::write(&slot.hosts(), format!("{SITE_NAME}={destination}\n"))?;
        }
        Ok(())
    }

    /// Copies the routers' present RouterInfos into every slot's seeds.
    pub fn renew_seeds(&self) -> Outcome<()> {
        for (bytes, file) in self.nodes.iter().filter_map(Node::router_info) {
            for slot in &self.slots {
                slot.learn(&bytes, &file)?;
            }
        }
        Ok(())
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The router that publishes the site.
    pub fn publisher(&self) -> &Node {
        &self.nodes[site_index(&self.nodes)]
    }

    /// The router with the HTTP proxy.
    pub fn client(&self) -> &Node {
        &self.nodes[self.nodes.len() - 1]
    }

    /// The router with the HTTP proxy, to be set up anew.
    pub fn client_mut(&mut self) -> Outcome<&mut Node> {
        self.nodes.last_mut().ok_or_else(|| Fault::new("no router"))
    }

    /// The router that publishes the site, to be set up anew.
    pub fn publisher_mut(&mut self) -> Outcome<&mut Node> {
        let index = site_index(&self.nodes);
        self.nodes
            .get_mut(index)
            .ok_or_else(|| Fault::new("no router"))
    }

    /// The first place for a router under test.
    pub fn slot(&self) -> Outcome<&Slot> {
        self.slots
            .first()
            .ok_or_else(|| Fault::new("the plan has no slot"))
    }

    /// The site's `….b32.i2p` name.
    pub fn site_b32(&self) -> Outcome<String> {
        Ok(router_file::b32_name(&self.publisher().site_destination()?))
    }

    /// A fault if a router has ended by itself.
    pub fn check(&mut self) -> Outcome<()> {
        self.nodes.iter_mut().try_for_each(Node::check)
    }

    /// Fetches a path of the site through i2pd's own proxy into `folder()/fetched`.
    pub fn fetch(&self, path: &str, limit: Duration) -> Outcome<Transfer> {
        let url = format!("http://{}{path}", self.site_b32()?);
        let namespace = self.client().namespace.name();
        fetch_by_proxy(
            namespace,
            self.client().address,
            &url,
            &self.fetched(),
            limit,
        )
    }

    /// Where `fetch` puts what it gets.
    pub fn fetched(&self) -> PathBuf {
        self.folder.join("fetched")
    }

    /// Asks for the page until it comes; the fault after `limit` has the last answer.
    pub fn first_page(&mut self, limit: Duration) -> Outcome<Transfer> {
        let mut last = String::new();
        let page = wall::until("first page", limit, Duration::from_millis(250), || {
            self.check()?;
            let got = self.fetch("/", Duration::from_secs(20))?;
            last = format!("code {} {}", got.code, got.complaint);
            Ok(got.is_ok().then_some(got))
        });
        page.about(&format!("last answer {last}"))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep_files();
        }
        for node in &mut self.nodes {
            node.ask();
        }
        for node in &mut self.nodes {
            node.end();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Network {
    /// Copies the files of a failure to `target/net/failed`, replacing those of an earlier one.
    pub fn keep_files(&self) {
        let kept = places::target().join("net").join("failed");
        let _ = places::folder(places::target().join("net"));
        let _ = std::fs::remove_dir_all(&kept);
        let (from, to) = (self.folder.to_string_lossy(), kept.to_string_lossy());
        if process::run(&["cp", "-r", &from, &to]).is_ok() {
            eprintln!("the network's files are kept in {}", kept.display());
        }
    }
}

/// Through an i2pd's proxy on `address`.
pub fn fetch_by_proxy(
    namespace: &str,
    address: Ipv4Addr,
    url: &str,
    body: &Path,
    limit: Duration,
) -> Outcome<Transfer> {
    let proxy = format!("http://{address}:4444");
    probe::curl(namespace, url, body, limit, &["-x", &proxy])
}

fn site_index(nodes: &[Node]) -> usize {
    nodes.len() - 2
}

fn address_of(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 30 + number, 0, 1)
}

fn make_nodes(plan: &Plan, prefix: &str, hub: &Netns, folder: &Path) -> Outcome<Vec<Node>> {
    let suites: Outcome<Vec<_>> = plan.suites.iter().map(|suite| peers::get(*suite)).collect();
    let suites = suites?;
    let mut nodes = Vec::new();
    for (number, peer) in (1..=plan.routers).zip(suites.iter().cycle()) {
        stop::check()?;
        let address = address_of(number);
        let namespace = Netns::new(&format!("{prefix}-r{number}"))?;
        let port = format!("v{number}");
        hub.cable(&port, &namespace, "eth0")?;
        hub.ip(&["link", "set", &port, "master", "br0", "up"])?;
        namespace.setting("net/ipv6/conf/all/disable_ipv6", "1")?;
        namespace.address("eth0", &format!("{address}/8"))?;
        let settings = Settings {
            floodfill: number <= plan.floodfills,
            hops: plan.hops,
            exploratory_hops: 2,
            quantity: 3,
            client: number == plan.routers,
            site: number + 1 == plan.routers,
            site_hops: Vec::new(),
            fixed_clients: Vec::new(),
            log_level: plan.log_level,
            ssu2: plan.ssu2,
        };
        let own = folder.join(format!("r{number}"));
        nodes.push(Node::new(
            number,
            address,
            settings,
            namespace,
            own,
            peer.clone(),
        )?);
    }
    Ok(nodes)
}

/// Removes the folders of networks whose process is gone, and of their sockets.
fn sweep_folders() {
    for parent in [places::scratch(), PathBuf::from("/run")] {
        let Ok(entries) = std::fs::read_dir(parent) else {
            continue;
        };
        for entry in entries.flatten() {
            if netns::owner_is_gone(&entry.file_name().to_string_lossy()) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}
