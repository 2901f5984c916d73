//! The place for the router under test: a namespace with a WAN interface, an address and seeds.
//!
//! Between the slot and the hub lies a namespace of its own, the line, whose only traffic is the
//! slot's: what leaves the box can be watched there without trusting the box.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::fault::Outcome;
use crate::i2pd::{NET_ID, PORT};
use crate::netns::Netns;
use crate::places;
use crate::router_file::RouterFile;

/// User and group of `routerd` in the bench; any number will do that nothing else uses.
pub const ROUTER_USER: u32 = 61002;
/// User and group of `gatewayd` in the bench.
pub const GATEWAY_USER: u32 = 61001;

/// The interface of the line namespace that faces the slot.
pub const LINE_PORT: &str = "box";

/// The hub's own address on the link.
pub const HUB_ADDRESS: &str = "10.0.0.1";

/// A place for a router. What runs in it is started by whoever uses it.
pub struct Slot {
    pub address: Ipv4Addr,
    pub namespace: Netns,
    pub line: Netns,
    folder: PathBuf,
}

impl Slot {
    /// Makes the namespaces and joins them to the hub as port `v<number>`.
    pub fn new(
        prefix: &str,
        number: u8,
        address: Ipv4Addr,
        hub: &Netns,
        folder: PathBuf,
    ) -> Outcome<Slot> {
        let namespace = Netns::new(&format!("{prefix}-box{number}"))?;
        let line = Netns::new(&format!("{prefix}-line{number}"))?;
        namespace.cable("eth0", &line, LINE_PORT)?;
        let port = format!("v{number}");
        line.cable("net", hub, &port)?;
        line.setting("net/ipv6/conf/all/disable_ipv6", "1")?;
        line.bridge("br0", &[LINE_PORT, "net"])?;
        hub.ip(&["link", "set", &port, "master", "br0", "up"])?;
        namespace.setting("net/ipv6/conf/eth0/disable_ipv6", "1")?;
        namespace.address("eth0", &format!("{address}/8"))?;
        // A way out for everything, so that what would leak can leak (to where it is seen).
        namespace.ip(&["route", "add", "default", "via", HUB_ADDRESS])?;
        let slot = Slot {
            address,
            namespace,
            line,
            folder,
        };
        for part in [slot.seeds(), slot.data()] {
            places::folder(part)?;
        }
        Ok(slot)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Folder of `routerInfo-*.dat` files to start from.
    pub fn seeds(&self) -> PathBuf {
        self.folder.join("seeds")
    }

    /// Where the router keeps its own files.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The names the router knows: `name=destination` lines.
    pub fn hosts(&self) -> PathBuf {
        self.folder.join("hosts.txt")
    }

    /// The router's Unix sockets; a short path, because such paths are limited to 107 bytes.
    pub fn run(&self) -> PathBuf {
        PathBuf::from("/run").join(self.namespace.name())
    }

    pub fn stream_socket(&self) -> PathBuf {
        self.run().join("stream.sock")
    }

    pub fn control_socket(&self) -> PathBuf {
        self.run().join("control.sock")
    }

    /// Puts another router's RouterInfo among the seeds.
    pub fn learn(&self, bytes: &[u8], file: &RouterFile) -> Outcome<()> {
        places::write(
            &self.seeds().join(format!("routerInfo-{}.dat", file.hash)),
            bytes,
        )
    }

    /// Writes `routerd.toml` and gives its path.
    pub fn write_config(&self, hops: u8, more: &str) -> Outcome<PathBuf> {
        places::folder(self.run())?;
        let file = self.folder.join("routerd.toml");
        places::write(&file, self.router_config(hops) + more)?;
        Ok(file)
    }

    /// The router's configuration: the only place of the bench that knows its keys.
    fn router_config(&self, hops: u8) -> String {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        format!(
            "data_dir = {data:?}\n\n\
             [network]\nnet_id = {NET_ID}\nhost = \"{address}\"\nport = {PORT}\n\
             allow_private = true\n\n\
             [seeds]\ndir = {seeds:?}\n\n\
             [tunnels]\nhops = {hops}\n\n\
             [names]\nhosts = {hosts:?}\n\n\
             [http_proxy]\nlisten = \"127.0.0.1:4444\"\n\n\
             [sockets]\nstream = {stream:?}\ncontrol = {control:?}\nuids = [{GATEWAY_USER}]\n",
            address = self.address,
            data = text(self.data()),
            seeds = text(self.seeds()),
            stream = text(self.stream_socket()),
            control = text(self.control_socket()),
            hosts = text(self.hosts()),
        )
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.run());
    }
}
