//! A LAN behind the slot: one client namespace, and the gateway that serves it.
//!
//! The client is an ordinary machine that was just plugged in: it asks for an address with `udhcpc`
//! and makes itself another one of the advertised prefix; nothing of I2P is set on it.

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fault::{About, Fault, Outcome};
use crate::netns::Netns;
use crate::probe::{self, Transfer};
use crate::process::Process;
use crate::router::copy_program;
use crate::slot::{GATEWAY_USER, ROUTER_USER, Slot};
use crate::{i2pd, places, process, wall};

/// The box's address on the LAN.
pub const BOX: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);
/// The address that the client asks for.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 2);

/// The box's IPv6 address on the LAN.
pub const BOX_6: &str = "fd77:1::1";

/// Pause between two tries.
const STEP: Duration = Duration::from_millis(50);

/// Sets what `udhcpc` is told.
const LEASED: &str = "#!/bin/sh
case $1 in bound|renew)
    ip addr replace $ip/$mask dev $interface
    ip route replace default via $router
;; esac
";

/// The client namespace and, once started, the gateway in the slot.
pub struct Lan {
    gateway: Option<Process>,
    admin: Option<PathBuf>,
    pub client: Netns,
    folder: PathBuf,
}

impl Lan {
    /// Cables a client to the slot's `lan0`. Neither side has an address before a gateway starts.
    pub fn new(slot: &Slot) -> Outcome<Lan> {
        let client = Netns::new(&format!("{}-lan", slot.namespace.name()))?;
        slot.namespace.cable("lan0", &client, "eth0")?;
        client.resolver(BOX)?;
        let folder = places::folder(slot.folder().join("lan"))?;
        Ok(Lan {
            gateway: None,
            admin: None,
            client,
            folder,
        })
    }

    /// Starts `supervisor`, which starts `gatewayd`; returns once names are answered.
    pub fn start_gateway(&mut self, slot: &Slot) -> Outcome<()> {
        let file = self.folder.join("gateway.toml");
        copy_program("gatewayd", slot.folder())?; // found beside the supervisor
        let supervisor = copy_program("supervisor", slot.folder())?;
        places::write(&file, config(slot))?;
        let mut command = slot.namespace.command(supervisor);
        command.arg("--config").arg(&file);
        let log = self.folder.join("gateway.log");
        let mut gateway = Process::start("supervisor", command, &log)?;
        self.meet(&mut || gateway.check())?;
        self.gateway = Some(gateway);
        self.admin = Some(admin_socket(slot));
        Ok(())
    }

    /// The client asks for an address until it has one, and until names are answered and it has
    /// an address of the advertised prefix. `check` says whether there is still hope.
    pub fn meet(&self, check: &mut dyn FnMut() -> Outcome<()>) -> Outcome<()> {
        self.lease(check)?;
        let limit = Duration::from_secs(20);
        wall::until("gateway's resolver", limit, STEP, || {
            check()?;
            let answer = probe::dns_query(&self.client, BOX, "gateway.i2p");
            Ok(answer.is_ok().then_some(()))
        })?;
        wall::until("address of the prefix", limit, STEP, || {
            let own = ["-6", "addr", "show", "dev", "eth0"];
            let own = [&own[..], &["scope", "global", "-tentative"]].concat();
            Ok(self.has(&own, "inet6")?.then_some(()))
        })
    }

    /// Plugs the client in; it asks for an address until it has one.
    pub fn lease(&self, check: &mut dyn FnMut() -> Outcome<()>) -> Outcome<()> {
        self.lease_within(Duration::from_secs(20), check)
    }

    /// The same of a box that has to begin more than once, by a client that has forgotten what it
    /// had.
    pub fn lease_anew(
        &self,
        limit: Duration,
        check: &mut dyn FnMut() -> Outcome<()>,
    ) -> Outcome<()> {
        self.client.ip(&["-4", "addr", "flush", "dev", "eth0"])?;
        self.lease_within(limit, check)
    }

    fn lease_within(&self, limit: Duration, check: &mut dyn FnMut() -> Outcome<()>) -> Outcome<()> {
        self.client.ip(&["link", "set", "eth0", "up"])?;
        let script = self.script()?;
        wall::until("lease", limit, STEP, || {
            check()?;
            self.ask_for_address(&script)?;
            let own = ["-4", "addr", "show", "dev", "eth0"];
            Ok(self.has(&own, "inet ")?.then_some(()))
        })
    }

    /// A script for `udhcpc`.
    fn script(&self) -> Outcome<String> {
        let path = self.folder.join("leased");
        places::write(&path, LEASED)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// One try, a second long; one that fails is repeated by who waits.
    fn ask_for_address(&self, script: &str) -> Outcome<()> {
        let mut command = self.client.command("udhcpc");
        command.args(["-i", "eth0", "-n", "-q", "-f", "-t", "1", "-T", "1"]);
        command.args(["-r", &CLIENT.to_string(), "-s", script]);
        let log = self.folder.join("udhcpc.log");
        let mut process = Process::start("udhcpc", command, &log)?;
        process.wait(Duration::from_secs(5)).map(|_| ())
    }

    fn has(&self, words: &[&str], what: &str) -> Outcome<bool> {
        let mut command = self.client.command("ip");
        let text = process::output(command.args(words))?;
        Ok(text.contains(what))
    }

    /// A fault with its last words if the gateway has ended.
    pub fn check(&mut self) -> Outcome<()> {
        self.gateway.as_mut().map_or(Ok(()), Process::check)
    }

    /// The end of the gateway's log.
    pub fn last_words(&self) -> String {
        self.gateway
            .as_ref()
            .map(|g| places::tail(g.log(), 800))
            .unwrap_or_default()
    }

    /// The process id of `gatewayd`.
    pub fn gatewayd(&self) -> Outcome<i32> {
        let socket = self
            .admin
            .as_ref()
            .ok_or_else(|| Fault::new("no gateway"))?;
        let mut stream = UnixStream::connect(socket).about("admin socket")?;
        stream.write_all(b"status\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let pid = text
            .lines()
            .find_map(|l| l.strip_prefix("gatewayd: running, pid "))
            .and_then(|pid| pid.parse().ok());
        pid.ok_or_else(|| Fault::new(format!("gatewayd does not run: {text}")))
    }

    /// Kills the supervisor at once; the rules stay, `gatewayd` ends by itself.
    pub fn kill_supervisor(&mut self) -> Outcome<()> {
        let gateway = self
            .gateway
            .take()
            .ok_or_else(|| Fault::new("no gateway"))?;
        let pid = i32::try_from(gateway.id()).unwrap_or_default();
        kill(Pid::from_raw(pid), Signal::SIGKILL).about("supervisor")?;
        drop(gateway);
        Ok(())
    }

    /// Ends the gateway.
    pub fn end_gateway(&mut self) {
        self.gateway = None;
    }

    /// What the client's curl makes of a URL; the body is in `fetched()`.
    pub fn curl(&self, url: &str, limit: Duration, extra: &[&str]) -> Outcome<Transfer> {
        probe::curl(self.client.name(), url, &self.fetched(), limit, extra)
    }

    pub fn fetched(&self) -> PathBuf {
        self.folder.join("fetched")
    }
}

fn admin_socket(slot: &Slot) -> PathBuf {
    slot.folder().join("gateway-run/admin.sock")
}

/// The gateway's configuration: the only place of the bench that knows its keys.
fn config(slot: &Slot) -> String {
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    format!(
        "[lan]\ninterface = \"lan0\"\naddress = \"{BOX}/24\"\naddress6 = \"{BOX_6}/64\"\n\n\
         [wan]\ninterface = \"eth0\"\nrouter_port = {port}\n\n\
         [users]\nrouter = {ROUTER_USER}\ngateway = {GATEWAY_USER}\n\n\
         [paths]\nstate_dir = {state:?}\nstream_sock = {stream:?}\n\
         control_sock = {control:?}\nadmin_sock = {admin:?}\n",
        port = i2pd::PORT,
        state = text(slot.folder().join("gateway-state")),
        stream = text(slot.stream_socket()),
        control = text(slot.control_socket()),
        admin = text(admin_socket(slot)),
    )
}
