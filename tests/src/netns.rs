//! Network namespaces as guards, and the hub that joins them with a bridge.
//!
//! Names begin with `rmsn` and the process id, so that a later run can tell and remove what a
//! killed one left. Not here: what runs inside (see `i2pd`, `slot`, `lan`).

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fault::{About, Fault, Outcome};
use crate::{process, wall};

const PREFIX: &str = "rmsn";
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A name prefix of its own for each network of this process.
pub fn new_prefix() -> String {
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}{}n{count}", std::process::id())
}

/// A namespace that exists as long as the value does.
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes the namespace, with its loopback up.
    pub fn new(name: &str) -> Outcome<Netns> {
        process::run(&["ip", "netns", "add", name])?;
        let made = Netns {
            name: name.to_string(),
        };
        made.ip(&["link", "set", "lo", "up"])?;
        Ok(made)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` on this namespace.
    pub fn ip(&self, words: &[&str]) -> Outcome<String> {
        process::output(Command::new("ip").args(["-n", &self.name]).args(words))
    }

    /// A command that will run inside.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        command_in(&self.name, program)
    }

    /// Runs a closure on a thread of its own inside the namespace.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Outcome<T> + Send) -> Outcome<T> {
        inside(&self.name, work)
    }

    /// Writes one of the namespace's kernel settings, e.g. `net/ipv4/ip_forward`.
    pub fn setting(&self, key: &str, value: &str) -> Outcome<()> {
        self.inside(|| fs::write(format!("/proc/sys/{key}"), value).about(key))
    }

    /// Gives commands inside a resolver of their own; removed with the namespace.
    pub fn resolver(&self, address: Ipv4Addr) -> Outcome<()> {
        self.etc("resolv.conf", &format!("nameserver {address}\n"))
    }

    /// Lets commands inside see another file of this name in `/etc`; removed with the namespace.
    pub fn etc(&self, name: &str, text: &str) -> Outcome<()> {
        let folder = PathBuf::from("/etc/netns").join(&self.name);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), text).about(name)
    }

    /// Joins two namespaces by a veth pair.
    pub fn cable(&self, end: &str, other: &Netns, other_end: &str) -> Outcome<()> {
        let words = [
            "ip", "link", "add", end, "netns", &self.name, "type", "veth", "peer",
        ];
        let rest = ["name", other_end, "netns", &other.name];
        process::run(&[&words[..], &rest[..]].concat()).map(|_| ())
    }

    /// A bridge with the named ports of this namespace in it, all up. It does not look for
    /// listeners of multicast: it would say so on its ports, where others' frames are judged.
    pub fn bridge(&self, name: &str, ports: &[&str]) -> Outcome<()> {
        let kind = ["type", "bridge", "mcast_snooping", "0"];
        self.ip(&[&["link", "add", name], &kind[..]].concat())?;
        self.ip(&["link", "set", name, "up"])?;
        for port in ports {
            self.ip(&["link", "set", port, "master", name, "up"])?;
        }
        Ok(())
    }

    /// Sets an address (with its prefix length) on an interface and puts it up.
    pub fn address(&self, interface: &str, address: &str) -> Outcome<()> {
        self.ip(&["addr", "add", address, "dev", interface])?;
        self.ip(&["link", "set", interface, "up"]).map(|_| ())
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// A command that will run inside the named namespace.
pub fn command_in(name: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", name]).arg(program);
    command
}

/// Runs a closure on a thread of its own inside the named namespace.
pub fn inside<T: Send>(name: &str, work: impl FnOnce() -> Outcome<T> + Send) -> Outcome<T> {
    let handle = File::open(format!("/run/netns/{name}")).about(name)?;
    let body = move || {
        setns(&handle, CloneFlags::CLONE_NEWNET).about("setns")?;
        work()
    };
    thread::scope(|scope| scope.spawn(body).join())
        .unwrap_or_else(|_| Err(Fault::new(format!("a thread in {name} panicked"))))
}

/// Ends what still runs in a namespace of ours, then removes it and its files.
fn remove(name: &str) {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let limit = wall::now() + Duration::from_secs(3);
        let mut pids = pids_in(name);
        for pid in &pids {
            let _ = kill(Pid::from_raw(*pid), signal);
        }
        while !pids.is_empty() && wall::now() < limit {
            thread::sleep(Duration::from_millis(20));
            pids = pids_in(name);
        }
    }
    let _ = process::run(&["ip", "netns", "del", name]);
    let _ = fs::remove_dir_all(PathBuf::from("/etc/netns").join(name));
    let _ = fs::remove_dir("/etc/netns");
}

/// Processes inside, without this one (whose threads may be there).
fn pids_in(name: &str) -> Vec<i32> {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let listing = process::run(&["ip", "netns", "pids", name]).unwrap_or_default();
    listing
        .lines()
        .filter_map(|l| l.trim().parse().ok())
        .filter(|p| *p != own)
        .collect()
}

/// Removes namespaces whose makers are gone. Returns how many.
pub fn sweep() -> usize {
    let Ok(entries) = fs::read_dir("/run/netns") else {
        return 0;
    };
    let names = entries.filter_map(|e| e.ok()?.file_name().into_string().ok());
    let stale: Vec<String> = names.filter(|name| owner_is_gone(name)).collect();
    for name in &stale {
        remove(name);
    }
    stale.len()
}

/// Whether `name` is one of our names (`rmsn<pid>n<count>…`) and its process has ended.
pub fn owner_is_gone(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return false;
    };
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    !digits.is_empty() && !PathBuf::from(format!("/proc/{digits}")).exists()
}
