//! The whole picture: peers, site, our router in its box, the gateway, a LAN client.
//!
//! Both the demonstration and the interop tests play it; what they look at is theirs.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::time::Duration;

use crate::capture::Rules;
use crate::fault::{About, Fault, Outcome};
use crate::i2pd;
use crate::lan::Lan;
use crate::network::{Network, Plan, SITE_NAME};
use crate::probe::Transfer;
use crate::router::Router;
use crate::slot::HUB_ADDRESS;
use crate::{places, wall};

/// The peers have this long to find each other.
pub const PEERS_READY: Duration = Duration::from_secs(180);

/// Everything running. Fields are taken down in this order.
pub struct Scene {
    pub lan: Lan,
    pub router: Router,
    pub network: Network,
}

impl Scene {
    /// Starts the parts one after another; `told` hears after each what was done.
    pub fn up(plan: &Plan, told: &mut dyn FnMut(&str)) -> Outcome<Scene> {
        let mut network = Network::up(plan)?;
        let count = network.nodes.len();
        told(&format!(
            "a private network of {count} i2pd routers with a site is up"
        ));
        // Fresh peers dial each other all at once and lose each other's packets for a while.
        if let Err(fault) = network.first_page(PEERS_READY) {
            network.keep_files();
            return Err(fault);
        }
        told("i2pd's own client has opened the site: the peers have tunnels");
        match serve(&network, plan.hops, told) {
            Ok((router, lan)) => Ok(Scene {
                lan,
                router,
                network,
            }),
            Err(fault) => {
                network.keep_files();
                Err(fault)
            }
        }
    }

    /// A fault if any of our or the peers' programs has ended.
    pub fn check(&mut self) -> Outcome<()> {
        self.router.check()?;
        self.lan.check()?;
        self.network.check()
    }

    /// A URL of the site as the LAN client types it.
    pub fn url(path: &str) -> String {
        format!("http://{SITE_NAME}{path}")
    }

    /// The client asks for the page until it comes.
    pub fn first_page(&mut self, limit: Duration) -> Outcome<Transfer> {
        let mut last = "never asked".to_string();
        let step = Duration::from_millis(250);
        let page = wall::until("first page on the LAN", limit, step, || {
            self.check()?;
            let got = self
                .lan
                .curl(&Scene::url("/"), Duration::from_secs(30), &[])?;
            last = format!("code {} {}", got.code, got.complaint);
            Ok(got.is_ok().then_some(got))
        });
        page.map_err(|fault| self.with_logs(&fault.to_string()))
            .about(&last)
    }

    /// A fault with the end of our programs' logs.
    pub fn with_logs(&self, text: &str) -> Fault {
        let words = places::tail(self.router.log(), 1500);
        Fault::new(format!(
            "{text}\nrouterd's last words:\n{words}\nits status:\n{}\nthe gateway's:\n{}",
            self.router.status(),
            self.lan.last_words(),
        ))
    }

    /// What may leave the box.
    pub fn rules(&self) -> Outcome<Rules> {
        rules(&self.network)
    }
}

/// Our side: router, gateway, LAN client.
fn serve(network: &Network, hops: u8, told: &mut dyn FnMut(&str)) -> Outcome<(Router, Lan)> {
    let slot = network.slot()?;
    let router = Router::start(slot, hops)?;
    told("our router runs in its box");
    let mut lan = Lan::new(slot)?;
    lan.start_gateway(slot)?;
    told("the gateway serves a LAN with one client");
    Ok((router, lan))
}

/// What may leave the first slot of a network: I2P with its routers.
pub fn rules(network: &Network) -> Outcome<Rules> {
    let peers = network
        .nodes
        .iter()
        .map(|n| SocketAddrV4::new(n.address, i2pd::PORT));
    Ok(Rules {
        own: SocketAddrV4::new(network.slot()?.address, i2pd::PORT),
        peers: peers.collect::<BTreeSet<_>>(),
        next_hop: HUB_ADDRESS.parse().map_err(|_| Fault::new("hub address"))?,
        discovery: false,
    })
}
