//! Which port is the LAN's and which the WAN's: names of interfaces, which the rules go by, given
//! to other ports. A change that nobody confirms from where the LAN is then is undone.

use super::child::{Child, IDLE};
use super::directory::Directory;
use super::{Others, Supervisor, command, rules, sysctl};
use crate::config::Interface;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Where the kernel tells of interfaces.
const ALL: &str = "/sys/class/net";

/// How long the answer to who wants a change has before it happens.
const ANSWER: Duration = Duration::from_secs(1);

/// Name of what was chosen, among the settings; the boot script reads it.
const FILE: &str = "ports";

/// A port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// What it is called now.
    pub name: String,
    /// Its address, as the kernel writes it.
    pub mac: String,
    /// Whether there is somebody at the other end of the cable; a port that is down does not know.
    pub link: Option<bool>,
}

/// The addresses of the ports of LAN and WAN.
type Roles = [String; 2];

/// What is to happen.
#[derive(Default)]
pub(super) enum Change {
    /// Nothing.
    #[default]
    None,
    /// The ports change soon.
    Soon(Instant, Roles),
    /// They have changed, and are as before at that time.
    Trial(Instant, Roles),
}

/// All ports of the machine.
#[must_use]
pub fn list(all: &Path) -> Vec<Port> {
    let entries = fs::read_dir(all).into_iter().flatten().flatten();
    let mut ports: Vec<_> = entries.filter_map(|entry| port(&entry.path())).collect();
    ports.sort_by(|a, b| a.name.cmp(&b.name));
    ports
}

fn port(path: &Path) -> Option<Port> {
    let read = |file: &str| fs::read_to_string(path.join(file)).ok();
    // Ethernet, and neither a bridge nor a part of another port.
    let made_up = ["bridge", "master", "brport"]
        .iter()
        .any(|f| path.join(f).exists());
    if read("type")?.trim() != "1" || made_up {
        return None;
    }
    Some(Port {
        name: path.file_name()?.to_str()?.to_owned(),
        mac: read("address")?.trim().to_owned(),
        link: read("carrier").map(|carrier| carrier.trim() == "1"),
    })
}

/// Lines for `ip` that give the names of LAN and WAN to the ports with these addresses. Those that
/// had them get others.
fn plan(ports: &[Port], names: [&str; 2], roles: &Roles) -> Vec<String> {
    let role = |port: &Port| roles.iter().position(|mac| *mac == port.mac);
    let moves = |port: &&Port| role(port).is_some() || names.contains(&port.name.as_str());
    let moved: Vec<_> = ports.iter().filter(moves).collect();
    let mut lines = Vec::new();
    for (n, port) in moved.iter().enumerate() {
        let name = &port.name;
        lines.push(format!("- -4 addr flush dev {name}"));
        lines.push(format!("- -6 addr flush dev {name}"));
        lines.push(format!("link set {name} down"));
        lines.push(format!("link set {name} name moving{n}"));
    }
    let mut spare = (0..).map(|n| format!("spare{n}"));
    for (n, port) in moved.iter().enumerate() {
        let new = match role(port).and_then(|role| names.get(role)) {
            Some(name) => (*name).to_owned(),
            None => {
                let taken = |name: &String| ports.iter().any(|p| p.name == *name);
                spare.find(|name| !taken(name)).unwrap_or_default()
            }
        };
        lines.push(format!("link set moving{n} name {new}"));
    }
    lines
}

impl Supervisor {
    fn names(&self) -> [&str; 2] {
        [
            self.config.lan.interface.as_str(),
            self.config.wan.interface.as_str(),
        ]
    }

    fn roles(&self, ports: &[Port], names: [&str; 2]) -> Result<Roles, String> {
        let mac = |name: &str| {
            let found = ports.iter().find(|port| port.name == name);
            found
                .map(|port| port.mac.clone())
                .ok_or(format!("there is no port {name}"))
        };
        Ok([mac(names[0])?, mac(names[1])?])
    }

    /// A line for each port, and whether a change waits to be confirmed.
    pub(super) fn ports(&self) -> String {
        let [lan, wan] = self.names();
        let lines = list(Path::new(ALL)).into_iter().map(|port| {
            let role = match &port.name {
                name if name == lan => "lan",
                name if name == wan => "wan",
                _ => "not used",
            };
            let link = match port.link {
                Some(true) => "link",
                Some(false) => "no link",
                None => "down",
            };
            format!("port: {}; {}; {role}; {link}\n", port.name, port.mac)
        });
        let mut text: String = lines.collect();
        if let Change::Trial(until, _) = &self.change {
            let left = until.saturating_duration_since(Instant::now()).as_secs();
            text.push_str(&format!("to be confirmed within: {left} s\n"));
        }
        text
    }

    /// These ports, as they are called now, become the LAN's and the WAN's.
    pub(super) fn choose_ports(&mut self, lan: &Interface, wan: &Interface) -> String {
        let wanted = || {
            if !self.config.machine.enabled {
                return Err("the ports are not this box's: machine.enabled is false".into());
            }
            if !matches!(self.change, Change::None) {
                return Err("another change is not confirmed yet".into());
            }
            let ports = list(Path::new(ALL));
            let roles = self.roles(&ports, [lan.as_str(), wan.as_str()])?;
            if roles[0] == roles[1] {
                return Err("this box needs two ports, one for each side".into());
            }
            if roles == self.roles(&ports, self.names())? {
                return Err("that is how the ports are".into());
            }
            Ok(roles)
        };
        let wanted: Result<Roles, String> = wanted();
        match wanted {
            Ok(roles) => {
                self.change = Change::Soon(Instant::now() + ANSWER, roles);
                let secs = self.config.machine.confirm_seconds;
                format!("ports-set: ok; to be confirmed from the new port within {secs} s\n")
            }
            Err(e) => format!("error: {e}\n"),
        }
    }

    /// The LAN is reached where it is now: it stays there.
    pub(super) fn confirm_ports(&mut self) -> String {
        let Change::Trial(..) = self.change else {
            return "error: there is no change to be confirmed\n".into();
        };
        let ports = list(Path::new(ALL));
        let kept = self.roles(&ports, self.names()).and_then(|[lan, wan]| {
            let dir = Directory::open(&self.config.machine.data.join("config"))?;
            let text = format!("lan {lan}\nwan {wan}\n");
            dir.write(FILE, text.as_bytes())
                .map_err(|e| format!("{FILE}: {e}"))
        });
        match kept {
            Ok(()) => {
                self.change = Change::None;
                "ports-confirm: ok\n".into()
            }
            Err(e) => format!("error: {e}\n"),
        }
    }

    /// How long until the ports change.
    pub(super) fn ports_due(&self) -> Duration {
        match &self.change {
            Change::None => IDLE,
            Change::Soon(at, _) | Change::Trial(at, _) => {
                at.saturating_duration_since(Instant::now())
            }
        }
    }

    /// Changes them when it is time for it.
    ///
    /// # Errors
    /// The box cannot be sealed as it is then.
    pub(super) async fn tend_ports(
        &mut self,
        child: &mut Child,
        others: &mut Others,
    ) -> Result<(), String> {
        if !self.ports_due().is_zero() {
            return Ok(());
        }
        let before = self.roles(&list(Path::new(ALL)), self.names());
        self.change = match std::mem::take(&mut self.change) {
            Change::None => return Ok(()),
            Change::Soon(_, roles) => {
                eprintln!("supervisor: the ports change");
                self.switch(&roles, child, others).await?;
                let time = Duration::from_secs(self.config.machine.confirm_seconds.into());
                // Without ports before there is no way back.
                before.map_or(Change::None, |before| {
                    Change::Trial(Instant::now() + time, before)
                })
            }
            Change::Trial(_, roles) => {
                eprintln!("supervisor: nobody has confirmed the ports: they are as before");
                self.switch(&roles, child, others).await?;
                Change::None
            }
        };
        Ok(())
    }

    async fn switch(
        &mut self,
        roles: &Roles,
        child: &mut Child,
        others: &mut Others,
    ) -> Result<(), String> {
        // Nothing passes while names and rules do not belong together.
        command::nft(rules::LOCKDOWN)?;
        others.uplink.stop();
        others.uplink.apply(None)?;
        child.stop().await;
        for line in plan(&list(Path::new(ALL)), self.names(), roles) {
            command::ip(&line)?;
        }
        sysctl::begin_anew(self.config.wan.interface.as_str());
        self.times = self.time_servers(&others.uplink);
        self.reload(child).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str, mac: &str) -> Port {
        Port {
            name: name.into(),
            mac: mac.into(),
            link: Some(true),
        }
    }

    fn renamed(ports: &[Port], roles: [&str; 2]) -> Vec<(String, String)> {
        let mut names: Vec<_> = ports.iter().map(|p| p.name.clone()).collect();
        for line in plan(ports, ["lan0", "wan0"], &roles.map(str::to_owned)) {
            let words: Vec<_> = line.split(' ').collect();
            if let ["link", "set", old, "name", new] = words[..] {
                assert!(!names.iter().any(|n| n == new), "{line}: {names:?}");
                *names.iter_mut().find(|n| *n == old).unwrap() = new.to_owned();
            }
        }
        names
            .into_iter()
            .zip(ports.iter().map(|p| p.mac.clone()))
            .collect()
    }

    #[test]
    fn names_go_to_the_ports_that_are_wanted() {
        let two = [port("lan0", "a"), port("wan0", "b")];
        let pair = |n: &str, m: &str| (n.to_owned(), m.to_owned());
        assert_eq!(
            renamed(&two, ["b", "a"]),
            [pair("wan0", "a"), pair("lan0", "b")]
        );
        assert_eq!(
            renamed(&two, ["a", "b"]),
            [pair("lan0", "a"), pair("wan0", "b")]
        );
        let four = [
            port("eth2", "c"),
            port("lan0", "a"),
            port("spare0", "d"),
            port("wan0", "b"),
        ];
        let third = [
            pair("lan0", "c"),
            pair("spare1", "a"),
            pair("spare0", "d"),
            pair("wan0", "b"),
        ];
        assert_eq!(renamed(&four, ["c", "b"]), third);
        let both = [
            pair("wan0", "c"),
            pair("spare1", "a"),
            pair("lan0", "d"),
            pair("spare2", "b"),
        ];
        assert_eq!(renamed(&four, ["d", "c"]), both);
        let lines = plan(&two, ["lan0", "wan0"], &["b".into(), "a".into()]);
        let down = lines
            .iter()
            .position(|l| l == "link set lan0 down")
            .unwrap();
        let name = lines
            .iter()
            .position(|l| l == "link set lan0 name moving0")
            .unwrap();
        assert!(down < name);
    }

    #[test]
    fn only_ethernet_ports_are_listed() {
        let dir = std::env::temp_dir().join(format!("ramson-ports-{}", std::process::id()));
        for (name, kind, carrier, more) in [
            ("lan0", "1", Some("1"), None),
            ("lo", "772", Some("1"), None),
            ("br0", "1", Some("1"), Some("bridge")),
            ("eth2", "1", None, None),
        ] {
            let port = dir.join(name);
            fs::create_dir_all(&port).unwrap();
            fs::write(port.join("type"), kind).unwrap();
            fs::write(port.join("address"), "02:00:00:00:00:01\n").unwrap();
            if let Some(carrier) = carrier {
                fs::write(port.join("carrier"), carrier).unwrap();
            }
            if let Some(more) = more {
                fs::create_dir(port.join(more)).unwrap();
            }
        }
        let found = list(&dir);
        let names: Vec<_> = found.iter().map(|p| (p.name.as_str(), p.link)).collect();
        assert_eq!(names, [("eth2", None), ("lan0", Some(true))]);
        assert_eq!(found[0].mac, "02:00:00:00:00:01");
        fs::remove_dir_all(&dir).unwrap();
        assert!(list(&dir).is_empty());
    }
}
