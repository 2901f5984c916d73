//! One i2pd router of a private network: its files, its process, its console.
//!
//! What such a network needs besides defaults: a network id of its own, private address ranges
//! allowed, no reseeding, NAT detection or clock checks, and the address given in the file.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fault::{About, Fault, Outcome};
use crate::netns::Netns;
use crate::peers::Peer;
use crate::process::Process;
use crate::router_file::{self, RouterFile};
use crate::{places, probe, services};

/// The network id of every test network (the public one has 2).
pub const NET_ID: u8 = 77;
/// Each router's port for both transports.
pub const PORT: u16 = 14000;
/// Where the site's web server listens, beside the router that publishes it.
pub const SITE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// A plain TCP tunnel of an i2pd to the site, by hops of our choice.
#[derive(Clone, Debug)]
pub struct FixedClient {
    /// Where it listens, on all addresses.
    pub port: u16,
    /// Hashes of its hops, the nearest first; one tunnel each way.
    pub hops: Vec<String>,
    /// The site's `….b32.i2p` name.
    pub site: String,
}

/// What one router is.
#[derive(Clone, Debug)]
pub struct Settings {
    pub floodfill: bool,
    /// Length of its client tunnels.
    pub hops: u8,
    pub exploratory_hops: u8,
    /// Tunnels each way.
    pub quantity: u8,
    /// Has an HTTP proxy on port 4444.
    pub client: bool,
    /// Publishes the site.
    pub site: bool,
    /// Hops of the site's tunnels, the nearest first; none: chosen by i2pd.
    pub site_hops: Vec<String>,
    pub fixed_clients: Vec<FixedClient>,
    pub log_level: &'static str,
    /// Speaks SSU2 besides NTCP2.
    pub ssu2: bool,
}

/// A router with its namespace; the process runs between `start` and `end`.
pub struct Node {
    pub number: u8,
    pub address: Ipv4Addr,
    pub settings: Settings,
    process: Option<Process>,
    pub namespace: Netns,
    folder: PathBuf,
    peer: Peer,
}

impl Node {
    /// Writes the router's files into `folder`.
    pub fn new(
        number: u8,
        address: Ipv4Addr,
        settings: Settings,
        namespace: Netns,
        folder: PathBuf,
        peer: Peer,
    ) -> Outcome<Node> {
        let node = Node {
            number,
            address,
            settings,
            process: None,
            namespace,
            folder,
            peer,
        };
        for part in ["certificates/reseed", "certificates/family", "tunnels.d"] {
            places::folder(node.folder.join(part))?;
        }
        node.write_files()?;
        Ok(node)
    }

    /// Writes what the settings say; read at the next start.
    pub fn write_files(&self) -> Outcome<()> {
        places::write(&self.folder.join("i2pd.conf"), self.main_file())?;
        places::write(&self.folder.join("tunnels.conf"), self.tunnels_file())
    }

    fn main_file(&self) -> String {
        let (s, folder, address) = (&self.settings, self.folder.display(), self.address);
        let proxy = pool(s.hops, s.quantity);
        let exploratory = pool(s.exploratory_hops, s.quantity);
        format!(
            "log = file\nlogfile = {folder}/i2pd.log\nloglevel = {level}\ndaemon = false\n\
             netid = {NET_ID}\nreservedrange = false\nnat = false\nipv4 = true\nipv6 = false\n\
             host = {address}\naddress4 = {address}\nport = {PORT}\nbandwidth = X\nshare = 100\n\
             floodfill = {floodfill}\n\
             [ntcp2]\nenabled = true\npublished = true\n\
             [ssu2]\nenabled = {ssu2}\npublished = {ssu2}\n\
             [reseed]\nthreshold = 0\nurls =\nyggurls =\n\
             [addressbook]\nenabled = false\n\
             [nettime]\nenabled = false\nfrompeers = false\n\
             [upnp]\nenabled = false\n\
             [http]\nenabled = true\naddress = 0.0.0.0\nport = 7070\nstrictheaders = false\n\
             [httpproxy]\nenabled = {client}\naddress = 0.0.0.0\nport = 4444\n{proxy}\
             [socksproxy]\nenabled = false\n\
             [sam]\nenabled = false\n\
             [exploratory]\n{exploratory}\
             [precomputation]\nelgamal = false\n\
             [persist]\nprofiles = true\n",
            level = s.log_level,
            floodfill = s.floodfill,
            client = s.client,
            ssu2 = s.ssu2,
        )
    }

    fn tunnels_file(&self) -> String {
        let s = &self.settings;
        let mut out = String::new();
        for FixedClient { port, hops, site } in &s.fixed_clients {
            let pool = fixed_pool(hops);
            let _ = write!(
                out,
                "[fixed{port}]\ntype = client\naddress = 0.0.0.0\nport = {port}\n\
                 destination = {site}\nkeys = transient-{port}\nsignaturetype = 7\n\
                 i2cp.leaseSetEncType = 4\n{pool}",
            );
        }
        if !s.site {
            return out;
        }
        let pool = if s.site_hops.is_empty() {
            pool(s.hops, s.quantity)
        } else {
            fixed_pool(&s.site_hops)
        };
        let _ = write!(
            out,
            "[site]\ntype = http\nhost = {}\nport = {}\nkeys = site.dat\nsignaturetype = 7\n\
             i2cp.leaseSetEncType = 4\n{pool}",
            SITE.ip(),
            SITE.port(),
        );
        for (name, port, inside) in services::PORTS {
            let _ = write!(
                out,
                "[{name}]\ntype = server\nhost = 127.0.0.1\nport = {inside}\ninport = {port}\n\
                 keys = site.dat\nsignaturetype = 7\ni2cp.leaseSetEncType = 4\n{pool}",
            );
        }
        out
    }

    /// Starts the process; a running one is left alone.
    pub fn start(&mut self) -> Outcome<()> {
        if self.is_running() {
            return Ok(());
        }
        let folder = self.folder.display();
        let words = self.peer.words();
        let (first, rest) = words.split_first().ok_or_else(|| Fault::new("no peer"))?;
        let mut command: Command = self.namespace.command(first);
        command.args(rest).args([
            format!("--conf={folder}/i2pd.conf"),
            format!("--tunconf={folder}/tunnels.conf"),
            format!("--tunnelsdir={folder}/tunnels.d"),
            format!("--datadir={folder}"),
            format!("--certsdir={folder}/certificates"),
            format!("--pidfile={folder}/i2pd.pid"),
        ]);
        let name = format!("i2pd {}", self.number);
        let log = self.folder.join("stdout.log");
        self.process = Some(Process::start(&name, command, &log)?);
        Ok(())
    }

    /// Asks the process to end, so that many can end at once.
    pub fn ask(&mut self) {
        if let Some(process) = &mut self.process {
            process.ask();
        }
    }

    /// The running process, to be held up and let go on.
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Ends the process.
    pub fn end(&mut self) {
        self.process = None;
    }

    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    /// A fault when the process was started and has ended by itself.
    pub fn check(&mut self) -> Outcome<()> {
        self.process.as_mut().map_or(Ok(()), Process::check)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its RouterInfo once it is usable: with addresses, and as floodfill if it is to be one.
    pub fn router_info(&self) -> Option<(Vec<u8>, RouterFile)> {
        let bytes = std::fs::read(self.folder.join("router.info")).ok()?;
        let file = router_file::parse(&bytes).ok()?;
        let ready = file.addresses > 0 && (!self.settings.floodfill || file.caps.contains('f'));
        ready.then_some((bytes, file))
    }

    /// Puts another router's RouterInfo where this one finds it at its start.
    pub fn learn(&self, bytes: &[u8], file: &RouterFile) -> Outcome<()> {
        let first = file.hash.chars().next().unwrap_or('A');
        let folder = places::folder(self.folder.join(format!("netDb/r{first}")))?;
        places::write(&folder.join(format!("routerInfo-{}.dat", file.hash)), bytes)
    }

    /// Forgets every router it knows; to be done while it does not run.
    pub fn forget_all(&self) -> Outcome<()> {
        for part in ["netDb", "peerProfiles"] {
            let folder = self.folder.join(part);
            if folder.exists() {
                std::fs::remove_dir_all(&folder).about(&folder.to_string_lossy())?;
            }
        }
        Ok(())
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.folder.join("i2pd.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The site's destination, once its key file exists.
    pub fn site_destination(&self) -> Outcome<Vec<u8>> {
        let keys = places::read(&self.folder.join("site.dat"))?;
        Ok(router_file::destination(&keys)?.to_vec())
    }

    /// The console's figures, `None` while it does not answer.
    pub fn console(&self) -> Option<Console> {
        let address = SocketAddr::from((self.address, 7070));
        let page = probe::http_get(self.namespace.name(), address, "/").ok()?;
        Some(Console::parse(&page))
    }
}

/// What i2pd's first page says of itself.
#[derive(Debug, Default, Clone)]
pub struct Console {
    pub routers: u32,
    pub floodfills: u32,
    pub lease_sets: u32,
    pub client_tunnels: u32,
    pub transit_tunnels: u32,
    /// Percent of tunnel builds that succeed.
    pub success: u32,
}

impl Console {
    pub fn parse(page: &str) -> Console {
        let text = page.replace("&nbsp;", " ");
        Console {
            routers: number_after(&text, "Routers:"),
            floodfills: number_after(&text, "Floodfills:"),
            lease_sets: number_after(&text, "LeaseSets:"),
            client_tunnels: number_after(&text, "Client Tunnels:"),
            transit_tunnels: number_after(&text, "Transit Tunnels:"),
            success: number_after(&text, "Tunnel creation success rate:"),
        }
    }
}

/// The first number after a label, skipping tags between.
fn number_after(text: &str, label: &str) -> u32 {
    let Some((_, rest)) = text.split_once(label) else {
        return 0;
    };
    let mut in_tag = false;
    let visible = rest.chars().take(80).filter(|c| {
        let keep = !in_tag && *c != '<';
        in_tag = if *c == '<' { true } else { in_tag && *c != '>' };
        keep && *c != '>'
    });
    let digits: String = visible
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().unwrap_or(0)
}

fn pool(hops: u8, quantity: u8) -> String {
    format!(
        "inbound.length = {hops}\noutbound.length = {hops}\n\
         inbound.quantity = {quantity}\noutbound.quantity = {quantity}\n"
    )
}

fn fixed_pool(hops: &[String]) -> String {
    let count = hops.len();
    format!(
        "inbound.length = {count}\noutbound.length = {count}\n\
         inbound.quantity = 1\noutbound.quantity = 1\nexplicitPeers = {}\n",
        hops.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_behind_tags() {
        let page = "<b>Routers:</b> 12 <b>Floodfills:</b> 6 <b>LeaseSets:</b> <i>3</i><br>";
        let console = Console::parse(page);
        assert_eq!(
            (console.routers, console.floodfills, console.lease_sets),
            (12, 6, 3)
        );
        assert_eq!(console.transit_tunnels, 0);
    }
}
