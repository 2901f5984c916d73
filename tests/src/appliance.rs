//! The image in a machine of its own, where else our programs run in a slot: QEMU between the
//! slot's line and a LAN client.
//!
//! The slot's namespace only has bridges then. What goes on inside is asked on the serial line.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ramson_image::arch::Arch;
use ramson_image::build::{self, Image};
use ramson_image::host;
use ramson_image::qemu::{Machine, Start};
use ramson_layout::parts::Part;

use crate::fault::{About, Fault, Outcome};
use crate::lan::{BOX, BOX_6, Lan};
use crate::network::{Network, Plan};
use crate::peers::Suite;
use crate::probe::Transfer;
use crate::process::Process;
use crate::scene::{PEERS_READY, Scene};
use crate::slot::{HUB_ADDRESS, Slot};
use crate::{i2pd, places, process, setup, wall};

/// The users of router, gateway and console, as the image's table of users has them.
const ROUTER: u32 = 110;
const GATEWAY: u32 = 111;
const CONSOLE: u32 = 112;

/// Size of the disk for what is kept.
const DATA: &str = "64M";

/// What `dd` counts in.
const MEGABYTE: u64 = 1 << 20;

const STEP: Duration = Duration::from_millis(20);

/// How the machine is to be.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Megabytes of memory.
    pub memory: u32,
    /// Hops of its tunnels.
    pub hops: u8,
    /// Whether the host's processor helps.
    pub kvm: bool,
    /// Whether it starts the whole disk by firmware and boot loader, not kernel and root directly.
    pub disk: bool,
}

/// A running machine.
pub struct Appliance {
    process: Process,
    serial: UnixStream,
    monitor: PathBuf,
    console: PathBuf,
    has_shell: bool,
    said: u32,
}

impl Appliance {
    /// Bridges the slot's ports to a new machine, which has a disk with what this network needs,
    /// and switches it on.
    pub fn start(image: &Image, slot: &Slot, shape: Shape) -> Outcome<Appliance> {
        bridge(slot)?;
        if shape.disk {
            let disk = whole_disk(image, slot, shape.hops)?;
            return Self::power_on_disks(image.arch, vec![disk], slot, shape);
        }
        Self::power_on(image, slot, shape, &data_disk(slot, shape.hops)?)
    }

    /// Switches a machine on that has a disk and whose ports are bridged.
    pub fn power_on(image: &Image, slot: &Slot, shape: Shape, data: &Path) -> Outcome<Appliance> {
        let start = Start::Direct {
            kernel: image.kernel.clone(),
            root: image.root.clone(),
            data: Some(data.to_path_buf()),
            shell: true,
        };
        Self::switch_on(image.arch, start, slot, shape)
    }

    /// Switches on a machine with disks whose ports are bridged.
    pub fn power_on_disks(
        arch: Arch,
        disks: Vec<PathBuf>,
        slot: &Slot,
        shape: Shape,
    ) -> Outcome<Appliance> {
        let variables = slot.folder().join("variables.fd");
        let [_, empty] = arch.firmware();
        fs::copy(empty, &variables).about(empty)?;
        Self::switch_on(arch, Start::Disks { disks, variables }, slot, shape)
    }

    fn switch_on(arch: Arch, start: Start, slot: &Slot, shape: Shape) -> Outcome<Appliance> {
        let folder = slot.folder();
        let has_shell = matches!(start, Start::Direct { .. });
        // Paths of sockets are short.
        let run = places::folder(slot.run())?;
        let machine = Machine {
            arch,
            start,
            taps: ["tap-lan", "tap-wan"].map(str::to_string),
            memory: shape.memory,
            serial: run.join("serial"),
            log: folder.join("console.log"),
            monitor: run.join("monitor"),
        };
        for socket in [&machine.serial, &machine.monitor] {
            let _ = fs::remove_file(socket);
        }
        let qemu = machine.command(shape.kvm);
        let mut command = slot.namespace.command(qemu.get_program());
        command.args(qemu.get_args());
        let mut process = Process::start("qemu", command, &folder.join("qemu.log"))?;
        let serial = wall::until("serial line", Duration::from_secs(10), STEP, || {
            process.check()?;
            Ok(UnixStream::connect(&machine.serial).ok())
        })?;
        if has_shell {
            serial.set_read_timeout(Some(Duration::from_secs(1)))?;
        } else {
            // A line that nobody reads stops the machine after some three hundred bytes.
            let mut serial = serial.try_clone()?;
            std::thread::spawn(move || std::io::copy(&mut serial, &mut std::io::sink()));
        }
        Ok(Appliance {
            process,
            serial,
            monitor: machine.monitor,
            console: machine.log,
            has_shell,
            said: 0,
        })
    }

    /// A fault with its last words if it has ended.
    pub fn check(&mut self) -> Outcome<()> {
        let last = places::tail(&self.console, 1500);
        self.process.check().about(&last)
    }

    /// What a command says that is typed in the machine's own shell.
    pub fn shell(&mut self, line: &str, limit: Duration) -> Outcome<String> {
        self.said += 1;
        // What is typed is shown too: only what is printed has the words joined.
        let (begin, end) = (format!("BEGIN-{}", self.said), format!("END-{}", self.said));
        let typed = format!(
            "\necho BE''GIN-{said}; {line}; echo EN''D-{said}\n",
            said = self.said
        );
        self.serial.write_all(typed.as_bytes())?;
        let mut text = String::new();
        let stop = wall::now() + limit;
        let mut buffer = [0; 4096];
        while wall::now() < stop {
            match self.serial.read(&mut buffer) {
                Ok(0) => return Err(Fault::new("the serial line is closed")),
                Ok(count) => text.push_str(&String::from_utf8_lossy(&buffer[..count])),
                Err(_) => self.check()?,
            }
            let inside = text.split_once(&begin).map(|(_, rest)| rest);
            if let Some((said, _)) = inside.and_then(|rest| rest.split_once(&end)) {
                return Ok(said.replace('\r', "").trim().to_string());
            }
        }
        Err(Fault::new(format!("no answer to {line} but: {text}")))
    }

    /// Presses the power button; returns when the machine is off.
    pub fn power_off(&mut self, limit: Duration) -> Outcome<()> {
        let mut monitor = UnixStream::connect(&self.monitor).about("monitor")?;
        monitor.write_all(b"system_powerdown\n")?;
        match self.process.wait(limit)? {
            Some(true) => Ok(()),
            Some(false) => self.check(),
            None => {
                let last = places::tail(&self.console, 1500);
                Err(Fault::new(format!("it does not switch itself off: {last}")))
            }
        }
    }

    /// Pulls the plug.
    pub fn cut(&mut self) {
        self.process.kill();
    }

    /// All that is on its console since it was switched on.
    pub fn console(&self) -> String {
        let bytes = fs::read(&self.console).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The last words on its console and in its log.
    pub fn last_words(&mut self) -> String {
        if !self.has_shell {
            return places::tail(&self.console, 4000);
        }
        let log = self.shell("logread | tail -n 60", Duration::from_secs(10));
        let log = log.unwrap_or_else(|fault| fault.to_string());
        let status = self.shell("ramson ctl status", Duration::from_secs(10));
        let status = status.unwrap_or_else(|fault| fault.to_string());
        let console = places::tail(&self.console, 1000);
        format!("console: {console}\nlog: {log}\nstatus: {status}")
    }
}

/// Takes the slot's own address away and joins its two ports to the machine's.
pub fn bridge(slot: &Slot) -> Outcome<()> {
    let space = &slot.namespace;
    space.setting("net/ipv6/conf/all/disable_ipv6", "1")?;
    space.setting("net/ipv6/conf/default/disable_ipv6", "1")?;
    space.ip(&["addr", "flush", "dev", "eth0"])?;
    for (tap, bridge, port) in [("tap-lan", "br-lan", "lan0"), ("tap-wan", "br-wan", "eth0")] {
        space.ip(&["tuntap", "add", "dev", tap, "mode", "tap"])?;
        space.bridge(bridge, &[tap, port])?;
    }
    Ok(())
}

/// The image, built if need be, on a machine that gets what is missing for it.
pub fn image(arch: Arch) -> Outcome<Image> {
    let missing = [host::missing_to_build(arch), host::missing_to_boot(arch)].concat();
    setup::install(&missing, true)?;
    setup::ready(&[Suite::Trixie], true)?;
    let begin = wall::now();
    let mut told = |what: &str| println!("{:6.1} s {what}", wall::since(begin));
    build::build(arch, &mut told).map_err(Fault::new)
}

/// A copy of the image's disk whose data partition has what this network needs.
pub fn whole_disk(image: &Image, slot: &Slot, hops: u8) -> Outcome<PathBuf> {
    let disk = slot.folder().join("disk.img");
    let (from, to) = (image.disk.raw.to_string_lossy(), disk.to_string_lossy());
    process::run(&["cp", "--sparse=always", &from, &to])?;
    let data = data_disk(slot, hops)?;
    let at = (Part::Data.start() / MEGABYTE).to_string();
    let (of, seek) = (format!("of={to}"), format!("seek={at}"));
    let data = format!("if={}", data.to_string_lossy());
    process::run(&[
        "dd",
        &data,
        &of,
        &seek,
        "bs=1M",
        "conv=notrunc,sparse",
        "status=none",
    ])?;
    Ok(disk)
}

/// A disk with the settings, seeds and names of this network.
fn data_disk(slot: &Slot, hops: u8) -> Outcome<PathBuf> {
    let tree = places::folder(slot.folder().join("data-disk"))?;
    let config = places::folder(tree.join("config"))?;
    places::write(&config.join("gateway.toml"), gateway_config(slot))?;
    places::write(&config.join("routerd.toml"), router_config(slot, hops))?;
    let own = places::folder(tree.join("i2p"))?;
    let seeds = places::folder(own.join("seeds"))?;
    fs::copy(slot.hosts(), own.join("hosts.txt")).about("hosts")?;
    for entry in fs::read_dir(slot.seeds())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        fs::copy(&path, seeds.join(name)).about("seed")?;
    }
    for path in [&own, &seeds, &own.join("hosts.txt")] {
        chown(path, Some(ROUTER), Some(ROUTER)).about("owner")?;
    }
    let disk = slot.folder().join("data.img");
    let (from, to) = (tree.to_string_lossy(), disk.to_string_lossy());
    process::run(&[
        "mke2fs", "-q", "-t", "ext4", "-b", "4096", "-d", &from, &to, DATA,
    ])?;
    Ok(disk)
}

fn gateway_config(slot: &Slot) -> String {
    format!(
        "[lan]\naddress = \"{BOX}/24\"\naddress6 = \"{BOX_6}/64\"\n\n\
         [wan]\nmode = \"static\"\naddress = \"{address}/8\"\ngateway = \"{HUB_ADDRESS}\"\n\
         router_port = {port}\n\n\
         [users]\nrouter = \"i2p\"\ngateway = \"gw\"\nwan = \"wan\"\nconsole = \"www\"\n\
         clock = \"ntp\"\n\n\
         [clock]\nenabled = true\n\n[watchdog]\nenabled = true\n\n[machine]\nenabled = true\n\n\
         [console]\nenabled = true\n\n\
         [paths]\nstate_dir = \"/data/gateway\"\n",
        address = slot.address,
        port = i2pd::PORT,
    )
}

fn router_config(slot: &Slot, hops: u8) -> String {
    format!(
        "data_dir = \"/data/i2p\"\n\n\
         [network]\nnet_id = {net}\nhost = \"{address}\"\nport = {port}\nallow_private = true\n\n\
         [seeds]\ndir = \"seeds\"\n\n[tunnels]\nhops = {hops}\n\n\
         [http_proxy]\nenabled = false\n\n[sockets]\nuids = [{GATEWAY}]\nadmins = [{CONSOLE}]\n",
        net = i2pd::NET_ID,
        address = slot.address,
        port = i2pd::PORT,
    )
}

/// Everything running: peers with a site, the machine, a LAN client. Taken down in this order.
pub struct Plugged {
    pub lan: Lan,
    pub appliance: Appliance,
    pub network: Network,
}

impl Plugged {
    /// The network with its site, ready for a machine that is not there yet.
    pub fn network(plan: &Plan, told: &mut dyn FnMut(&str)) -> Outcome<Network> {
        let mut network = Network::up(plan)?;
        told(&format!(
            "a private network of {} i2pd routers with a site is up",
            network.nodes.len()
        ));
        if let Err(fault) = network.first_page(PEERS_READY) {
            network.keep_files();
            return Err(fault);
        }
        told("i2pd's own client has opened the site: the peers have tunnels");
        Ok(network)
    }

    /// Switches the machine on and plugs the client in.
    pub fn up(
        network: Network,
        image: &Image,
        shape: Shape,
        told: &mut dyn FnMut(&str),
    ) -> Outcome<Plugged> {
        let slot = network.slot()?;
        let lan = Lan::new(slot)?;
        let mut appliance = Appliance::start(image, slot, shape)?;
        told("the machine is switched on");
        let met = lan.lease(&mut || appliance.check());
        met.map_err(|fault| Fault::new(format!("{fault}\n{}", appliance.last_words())))?;
        told("the LAN client has an address by DHCP");
        let met = lan.meet(&mut || appliance.check());
        met.map_err(|fault| Fault::new(format!("{fault}\n{}", appliance.last_words())))?;
        told("names are answered, and the client has an address of IPv6");
        Ok(Plugged {
            lan,
            appliance,
            network,
        })
    }

    /// A fault if something has ended.
    pub fn check(&mut self) -> Outcome<()> {
        self.appliance.check()?;
        self.network.check()
    }

    /// The client asks for a URL until it comes; what came last is in the fault.
    pub fn page(&mut self, path: &str, limit: Duration) -> Outcome<Transfer> {
        let mut last = "never asked".to_string();
        let page = wall::until("page on the LAN", limit, Duration::from_millis(250), || {
            self.check()?;
            let got = self.lan.curl(&Scene::url(path), limit, &[])?;
            last = format!("code {} {}", got.code, got.complaint);
            Ok(got.is_ok().then_some(got))
        });
        page.map_err(|fault| {
            Fault::new(format!("{fault}: {last}\n{}", self.appliance.last_words()))
        })
    }
}
