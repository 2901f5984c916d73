//! The one configuration file of `supervisor` and `gatewayd`: text to checked values.
//!
//! Every key has a default; unknown keys are refused; errors carry line numbers. The shipped
//! `gateway.toml` spells the defaults out, a test keeps the two equal.

use ipnet::{Ipv4Net, Ipv6Net};
use serde::Deserialize;
use std::fmt;
use std::path::{Component, Path, PathBuf};

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The side of the clients.
    pub lan: Lan,
    /// The side of the Internet.
    pub wan: Wan,
    /// The addresses names are mapped to.
    #[serde(rename = "virtual")]
    pub vip: Virtual,
    /// Who the processes are.
    pub users: Users,
    /// Files and sockets.
    pub paths: Paths,
    /// Bounds of `gatewayd`.
    pub limits: Limits,
}

/// `[lan]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lan {
    /// Interface name.
    pub interface: Interface,
    /// The gateway's own address there, with the prefix length of the LAN.
    pub address: Ipv4Net,
    /// The same for IPv6; without it clients get no IPv6 addresses and need none.
    pub address6: Option<Ipv6Net>,
    /// TCP port of the transparent listeners.
    pub port: u16,
}

impl Default for Lan {
    fn default() -> Self {
        Self {
            interface: Interface("lan0".into()),
            address: Ipv4Net::new_assert([192, 168, 77, 1].into(), 24),
            address6: None,
            port: 7002,
        }
    }
}

/// `[wan]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wan {
    /// Interface name.
    pub interface: Interface,
    /// TCP port the router listens on; the only one open from outside.
    pub router_port: u16,
}

impl Default for Wan {
    fn default() -> Self {
        Self {
            interface: Interface("wan0".into()),
            router_port: 9999,
        }
    }
}

/// `[virtual]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Virtual {
    /// Range of virtual IPv4 addresses. (The IPv6 range is made once and kept as state.)
    pub v4: Ipv4Net,
}

impl Default for Virtual {
    fn default() -> Self {
        Self {
            v4: Ipv4Net::new_assert([198, 18, 0, 0].into(), 15),
        }
    }
}

/// `[users]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Users {
    /// Who may open connections on the WAN.
    pub router: User,
    /// Who `gatewayd` runs as.
    pub gateway: User,
}

impl Default for Users {
    fn default() -> Self {
        Self {
            router: User::Name("ramson".into()),
            gateway: User::Name("ramson-gw".into()),
        }
    }
}

/// `[paths]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paths {
    /// Directory of the supervisor's state file; made if missing. Nobody but root may be able to
    /// change it, or one above it: not below the router's.
    pub state_dir: PathBuf,
    /// The router's socket for streams.
    pub stream_sock: PathBuf,
    /// The supervisor's own socket for requests, in a directory of the same kind.
    pub admin_sock: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            state_dir: "/var/lib/ramson-gateway".into(),
            stream_sock: ramson_ipc::STREAM_SOCK.into(),
            admin_sock: "/run/ramson-gateway/admin.sock".into(),
        }
    }
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Streams open at a time.
    pub flows: usize,
    /// Streams open at a time for one client.
    pub flows_per_client: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flows: 512,
            flows_per_client: 128,
        }
    }
}

/// A network interface's name: it ends up in rules and paths, so its alphabet is narrow.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Interface(String);

impl Interface {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Interface {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let good = |b: u8| b.is_ascii_alphanumeric() || b"-_.@".contains(&b);
        let long = name.is_empty() || name.len() > 15;
        if long || name.starts_with('.') || !name.bytes().all(good) {
            return Err("not an interface name (1 to 15 of letters, digits, - _ . @)");
        }
        if ["lo", "all", "default"].contains(&name.as_str()) {
            return Err("this interface name is reserved");
        }
        Ok(Self(name))
    }
}

/// A user by name or number.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum User {
    /// Numeric user id; the group id is the same number.
    Id(u32),
    /// Looked up in the user data base, with its primary group.
    Name(String),
}

impl User {
    /// User and group id.
    ///
    /// # Errors
    /// The user does not exist or is root.
    pub fn resolve(&self) -> Result<(u32, u32), Error> {
        let (uid, gid) = match self {
            Self::Id(id) => (*id, *id),
            Self::Name(name) => match nix::unistd::User::from_name(name) {
                Ok(Some(user)) => (user.uid.as_raw(), user.gid.as_raw()),
                Ok(None) => return Err(Error(format!("user {name} does not exist"))),
                Err(e) => return Err(Error(format!("user {name}: {e}"))),
            },
        };
        if uid == 0 || gid == 0 {
            Err(Error("root is not allowed here".into()))
        } else {
            Ok((uid, gid))
        }
    }
}

/// What is wrong with a configuration, in words for its author, with the line where known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// The file cannot be read, or [`Config::parse`] refuses it.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text =
            std::fs::read_to_string(path).map_err(|e| Error(format!("{}: {e}", path.display())))?;
        Self::parse(&text).map_err(|e| Error(format!("{}: {e}", path.display())))
    }

    /// Checked values from the file's text.
    ///
    /// # Errors
    /// Names the first thing that is wrong and its line.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let config: Self = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(0, |span| line_at(text, span.start));
            let key = key_at(text, line).map_or(String::new(), |key| format!("{key}: "));
            Error(format!("line {line}: {key}{}", e.message()))
        })?;
        config.check().map_err(|(section, key, what)| {
            let line = line_of(text, section, key);
            Error(format!("line {line}: {section}.{key} {what}"))
        })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Wrong> {
        self.check_addresses()?;
        self.check_rest()
    }

    fn check_addresses(&self) -> Result<(), Wrong> {
        let (lan, v4) = (self.lan.address, self.vip.v4);
        if !(8..=30).contains(&lan.prefix_len()) {
            return Err(("lan", "address", "needs a prefix length of 8 to 30"));
        }
        if lan.addr() == lan.network() || lan.addr() == lan.broadcast() {
            return Err(("lan", "address", "is not a host address of its prefix"));
        }
        if !is_usable(lan) {
            return Err(("lan", "address", NOT_USABLE));
        }
        if let Some(lan6) = self.lan.address6 {
            if !(48..=64).contains(&lan6.prefix_len()) || !lan6.addr().is_unique_local() {
                return Err((
                    "lan",
                    "address6",
                    "needs fc00::/7 and a prefix length of 48 to 64",
                ));
            }
            if lan6.addr() == lan6.network() {
                return Err(("lan", "address6", "is not a host address of its prefix"));
            }
        }
        if !(8..=20).contains(&v4.prefix_len()) || v4.addr() != v4.network() {
            return Err((
                "virtual",
                "v4",
                "needs a network with a prefix length of 8 to 20",
            ));
        }
        if !is_usable(v4) {
            return Err(("virtual", "v4", NOT_USABLE));
        }
        if v4.contains(&lan.addr()) || lan.contains(&v4.addr()) {
            return Err(("virtual", "v4", "overlaps lan.address"));
        }
        Ok(())
    }

    fn check_rest(&self) -> Result<(), Wrong> {
        if self.lan.interface == self.wan.interface {
            return Err(("wan", "interface", "is the same as lan.interface"));
        }
        if self.lan.port == 0 || self.lan.port == 53 {
            return Err(("lan", "port", "cannot be 0 or 53"));
        }
        if [0, 53, self.lan.port].contains(&self.wan.router_port) {
            return Err(("wan", "router_port", "cannot be 0, 53 or lan.port"));
        }
        for (key, user) in [
            ("router", &self.users.router),
            ("gateway", &self.users.gateway),
        ] {
            if [User::Id(0), User::Name("root".into())].contains(user) {
                return Err(("users", key, "cannot be root"));
            }
            if *user == User::Name(String::new()) {
                return Err(("users", key, "is empty"));
            }
        }
        if self.users.router == self.users.gateway {
            return Err(("users", "gateway", "must differ from users.router"));
        }
        let paths = &self.paths;
        for (key, path, most) in [
            ("state_dir", &paths.state_dir, usize::MAX),
            ("stream_sock", &paths.stream_sock, SOCKET_PATH_MAX),
            ("admin_sock", &paths.admin_sock, SOCKET_PATH_MAX),
        ] {
            let dots = path.components().any(|c| c == Component::ParentDir);
            if !path.is_absolute() || dots || path.file_name().is_none() {
                return Err(("paths", key, "needs a path from / without .."));
            }
            if path.as_os_str().len() > most {
                return Err((
                    "paths",
                    key,
                    "is longer than the 107 bytes of a socket's name",
                ));
            }
        }
        if paths.admin_sock == paths.stream_sock {
            return Err(("paths", "admin_sock", "is the same as paths.stream_sock"));
        }
        if !(1..=16_384).contains(&self.limits.flows) {
            return Err(("limits", "flows", "needs 1 to 16384"));
        }
        if !(1..=self.limits.flows).contains(&self.limits.flows_per_client) {
            return Err(("limits", "flows_per_client", "needs 1 to limits.flows"));
        }
        Ok(())
    }
}

/// Section, key, and what is wrong with it.
type Wrong = (&'static str, &'static str, &'static str);

/// Longest name of a Unix socket, bytes.
const SOCKET_PATH_MAX: usize = 107;

const NOT_USABLE: &str = "is not of a range that hosts can have";

/// Whether hosts can have such addresses: not "this host", loopback, link-local or multicast.
fn is_usable(net: Ipv4Net) -> bool {
    let never = [
        Ipv4Net::new_assert([0, 0, 0, 0].into(), 8),
        Ipv4Net::new_assert([127, 0, 0, 0].into(), 8),
        Ipv4Net::new_assert([169, 254, 0, 0].into(), 16),
        Ipv4Net::new_assert([224, 0, 0, 0].into(), 3),
    ];
    let overlaps = |other: &Ipv4Net| other.contains(&net.addr()) || net.contains(&other.addr());
    !never.iter().any(overlaps)
}

/// The key that a line sets, with its section.
fn key_at(text: &str, line: usize) -> Option<String> {
    let lines: Vec<_> = text.lines().map(str::trim).take(line).collect();
    let (key, _) = lines.last()?.split_once('=')?;
    let mut headers = lines.iter().rev().filter_map(|l| l.strip_prefix('['));
    let section = headers.next()?.split(']').next()?;
    Some(format!("{}.{}", section.trim(), key.trim()))
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

/// Line of a key, of its section when the key is left to its default, or of the end.
fn line_of(text: &str, section: &str, key: &str) -> usize {
    let (mut inside, mut header, mut count) = (false, None, 0);
    for (n, line) in text.lines().enumerate() {
        let line = line.trim_start();
        count = n + 1;
        if let Some(name) = line.strip_prefix('[') {
            inside = name
                .split(']')
                .next()
                .is_some_and(|name| name.trim() == section);
            if inside {
                header = Some(count);
            }
        } else if inside
            && line
                .split('=')
                .next()
                .is_some_and(|left| left.trim() == key)
        {
            return count;
        }
    }
    header.unwrap_or(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Config::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_shipped_file_spells_out_the_defaults() {
        let shipped = include_str!("../gateway.toml");
        assert_eq!(Config::parse(shipped).unwrap(), Config::default());
        assert_eq!(Config::parse("").unwrap(), Config::default());
        for key in [
            "interface",
            "address",
            "address6",
            "port",
            "router_port",
            "v4",
            "router",
            "gateway",
            "state_dir",
            "stream_sock",
            "admin_sock",
            "flows",
            "flows_per_client",
        ] {
            let named = |line: &str| {
                line.trim_start_matches("# ")
                    .starts_with(&format!("{key} ="))
            };
            assert!(shipped.lines().any(named), "{key}");
        }
    }

    #[test]
    fn errors_carry_the_line() {
        assert!(error("[lan]\n\nport = 70000\n").starts_with("line 3: lan.port: "));
        assert!(error("[lan]\ncolour = 1\n").contains("unknown field"));
        assert!(error("[LAN]\n").starts_with("line 1: unknown field"));
        assert!(error("[lan]\ninterface = \"a\"\naddress = \"1.2.3\"\n").starts_with("line 3: "));
        assert!(error("[wan]\ninterface = \"a b\"").starts_with("line 2: wan.interface: not an"));
        assert!(error("\n[wan\n").starts_with("line 2: "));
    }

    #[test]
    fn values_that_contradict_each_other_are_refused() {
        let overlap = "[lan]\naddress = \"10.0.0.1/8\"\n[virtual]\nv4 = \"10.64.0.0/16\"\n";
        assert_eq!(error(overlap), "line 4: virtual.v4 overlaps lan.address");
        assert_eq!(
            error("[lan]\ninterface = \"wan0\"\n"),
            "line 2: wan.interface is the same as lan.interface"
        );
        assert!(
            error("[lan]\naddress = \"192.168.1.0/24\"").starts_with("line 2: lan.address is not")
        );
        assert!(error("[lan]\naddress6 = \"2001:db8::1/64\"").starts_with("line 2: lan.address6"));
        assert!(error("[users]\nrouter = 5\ngateway = 5").starts_with("line 3: users.gateway"));
        assert!(error("[limits]\nflows = 2").starts_with("line 1: limits.flows_per_client"));
        assert!(error("[lan]\ninterface = \"lo\"").contains("reserved"));
    }

    /// Settings with values beyond their ends.
    const EXTREMES: &[(&str, &str, &[&str])] = &[
        (
            "lan",
            "interface",
            &["\"\"", "\"0123456789abcdef\"", "\"a/b\"", "5"],
        ),
        (
            "lan",
            "address",
            &[
                "\"127.0.0.1/8\"",
                "\"224.0.0.1/24\"",
                "\"0.0.0.1/8\"",
                "\"10.0.0.1/31\"",
                "\"10.0.0.1\"",
                "\"169.254.1.1/24\"",
                "\"10.0.0.255/24\"",
            ],
        ),
        (
            "lan",
            "address6",
            &["\"fe80::1/64\"", "\"fd00::/64\"", "\"fd00::1/128\""],
        ),
        (
            "lan",
            "port",
            &["0", "53", "-1", "65536", "\"x\"", "9999999999999999999999"],
        ),
        ("wan", "interface", &["\"lo\"", "\"lan0\"", "\".a\""]),
        ("wan", "router_port", &["0", "53", "7002", "65536"]),
        (
            "virtual",
            "v4",
            &[
                "\"127.0.0.0/8\"",
                "\"0.0.0.0/8\"",
                "\"224.0.0.0/8\"",
                "\"198.18.0.1/15\"",
                "\"10.0.0.0/7\"",
                "\"10.0.0.0/21\"",
                "\"192.0.0.0/8\"",
            ],
        ),
        (
            "users",
            "router",
            &["0", "\"root\"", "\"\"", "-1", "4294967296", "1.5"],
        ),
        ("users", "gateway", &["0", "\"root\"", "\"ramson\""]),
        (
            "paths",
            "state_dir",
            &["\"\"", "\"a\"", "\"/\"", "\"/a/../b\""],
        ),
        ("paths", "stream_sock", &["\"\"", "\"a.sock\"", "7"]),
        (
            "paths",
            "admin_sock",
            &["\"/run/ramson/stream.sock\"", "\"x\""],
        ),
        ("limits", "flows", &["0", "16385", "-1", "\"many\""]),
        ("limits", "flows_per_client", &["0", "513", "1e3"]),
    ];

    /// Each setting at and beyond its ends: the error has the line and the key.
    #[test]
    fn extremes_are_refused_by_line_and_key() {
        for (section, key, values) in EXTREMES {
            for value in *values {
                let said = error(&format!("# first\n[{section}]\n{key} = {value}\n"));
                let named = said.contains(&format!("{section}.{key}"));
                assert!(
                    said.starts_with("line 3: ") && named,
                    "{key} = {value}: {said}"
                );
            }
        }
        let long = format!("[paths]\nadmin_sock = \"/{}\"", "a".repeat(107));
        assert!(error(&long).starts_with("line 2: paths.admin_sock is longer"));
    }

    #[test]
    fn users_are_names_or_numbers_but_never_root() {
        let config = Config::parse("[users]\nrouter = 1002").unwrap();
        assert_eq!(config.users.router.resolve(), Ok((1002, 1002)));
        assert!(User::Name("root".into()).resolve().is_err());
        assert!(User::Name("no such user".into()).resolve().is_err());
    }
}
