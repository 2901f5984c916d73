//! `[[servers]]`: local services that are reached through I2P.

use super::ConfigFile;
use ramson_proto::config::PoolConfig;
use ramson_proto::limits;
use ramson_proto::names::b32;
use ramson_proto::wire::hash::DestHash;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// Servers at once: each has a destination with tunnels of its own.
const SERVERS_MAX: usize = 32;
/// Ports, and destinations of a list.
const LIST_MAX: usize = 256;

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// What it is called here.
    pub name: String,
    /// What is spoken.
    pub kind: Kind,
    /// The local service.
    pub target: SocketAddr,
    /// Name of the key file in the data directory; empty: its own name and `.dat`.
    #[serde(default)]
    pub keys: String,
    /// What `Host` says to it; empty: the target.
    #[serde(default)]
    pub host: String,
    /// Ports that take streams; none: all do.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// Hops of its tunnels.
    #[serde(default = "three")]
    pub hops: u8,
    /// Its tunnels in each direction.
    #[serde(default = "three")]
    pub quantity: u8,
    /// Visitors that are let in, by their `.b32.i2p` names; none: all are.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Visitors that are not.
    #[serde(default)]
    pub deny: Vec<String>,
    /// Streams at once.
    #[serde(default = "streams")]
    pub streams: usize,
    /// Those of one visitor.
    #[serde(default = "streams_per_visitor")]
    pub streams_per_visitor: usize,
    /// Each visitor comes from a loopback address of its own.
    #[serde(default)]
    pub distinct_addresses: bool,
}

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// HTTP/1: requests say who asks.
    Http,
    /// Bytes as they are.
    Tcp,
}

const fn three() -> u8 {
    3
}

const fn streams() -> usize {
    256
}

const fn streams_per_visitor() -> usize {
    32
}

impl Server {
    /// The name of its key file.
    #[must_use]
    pub fn key_file(&self) -> String {
        if self.keys.is_empty() {
            format!("{}.dat", self.name)
        } else {
            self.keys.clone()
        }
    }

    /// Its tunnels.
    #[must_use]
    pub const fn pool(&self) -> PoolConfig {
        PoolConfig {
            hops: self.hops,
            quantity: self.quantity,
        }
    }

    /// What `Host` says.
    #[must_use]
    pub fn host(&self) -> String {
        if self.host.is_empty() {
            self.target.to_string()
        } else {
            self.host.clone()
        }
    }

    /// Whether this visitor may come.
    #[must_use]
    pub fn lets_in(&self, visitor: DestHash) -> bool {
        let has = |list: &[String]| list.iter().any(|b32| b32_hash(b32) == Some(visitor));
        !has(&self.deny) && (self.allow.is_empty() || has(&self.allow))
    }

    /// What is wrong with it.
    fn problem(&self) -> Option<&'static str> {
        let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
        let is_name = (1..=64).contains(&self.name.len()) && self.name.bytes().all(plain);
        let file = |c: u8| plain(c) || c == b'.';
        let is_file = self.keys.len() <= 100
            && self.keys.bytes().all(file)
            && (self.keys.is_empty() || self.keys.ends_with(".dat"));
        let header = |c: u8| c.is_ascii_graphic();
        let list = |list: &[String]| {
            list.len() <= LIST_MAX && list.iter().all(|b32| b32_hash(b32).is_some())
        };
        let v4 = |ip: IpAddr| ip.is_ipv4() && ip.is_loopback();
        let rules = [
            (is_name, "name must be 1 to 64 letters, digits, - or _"),
            (
                self.target.port() != 0,
                "target must be an address with a port",
            ),
            (
                is_file,
                "keys must be the name of a file in data_dir that ends with .dat",
            ),
            (
                self.host.len() <= 255 && self.host.bytes().all(header),
                "host must be a host name",
            ),
            (
                self.ports.len() <= LIST_MAX && !self.ports.contains(&0),
                "ports must be a list of numbers, 1 to 65535",
            ),
            (self.hops <= 3, "hops must be 0 to 3"),
            (
                (1..=limits::POOL_QUANTITY_MAX).contains(&self.quantity),
                "quantity must be 1 to 16",
            ),
            (
                list(&self.allow),
                "allow must be a list of at most 256 names under .b32.i2p",
            ),
            (
                list(&self.deny),
                "deny must be a list of at most 256 names under .b32.i2p",
            ),
            (
                (1..=512).contains(&self.streams),
                "streams must be 1 to 512",
            ),
            (
                (1..=self.streams).contains(&self.streams_per_visitor),
                "streams_per_visitor must be 1 to streams",
            ),
            (
                !self.distinct_addresses || v4(self.target.ip()),
                "distinct_addresses needs a target at 127.0.0.0/8",
            ),
        ];
        rules.into_iter().find(|(ok, _)| !ok).map(|(_, what)| what)
    }
}

/// The destination of a `.b32.i2p` name.
fn b32_hash(name: &str) -> Option<DestHash> {
    b32::parse(name.strip_suffix(".b32.i2p")?).ok()
}

/// The first server that is not what it must be, and why.
pub fn problem(config: &ConfigFile) -> Option<String> {
    let all = &config.servers;
    if all.len() > SERVERS_MAX {
        return Some(format!("servers: at most {SERVERS_MAX}"));
    }
    let (mut names, mut files) = (BTreeSet::new(), BTreeSet::new());
    all.iter().find_map(|server| {
        let what = server.problem().or_else(|| {
            let new = names.insert(&server.name) && files.insert(server.key_file());
            (!new).then_some("name and keys must be others than those of the other servers")
        });
        what.map(|what| format!("server {:?}: {what}", server.name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const B32: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b32.i2p";

    fn parse(more: &str) -> Result<Server, String> {
        let text = format!(
            "[[servers]]\nname = \"site\"\nkind = \"http\"\ntarget = \"127.0.0.1:8080\"\n{more}"
        );
        let file = ConfigFile::parse(&text, "c").map_err(|e| e.0)?;
        Ok(file.servers[0].clone())
    }

    #[test]
    fn servers_are_judged() {
        let plain = parse("").unwrap();
        assert_eq!(plain.key_file(), "site.dat");
        assert_eq!((plain.host(), plain.hops), ("127.0.0.1:8080".to_owned(), 3));
        for (more, what) in [
            ("keys = \"../x.dat\"", "keys"),
            ("keys = \"router.keys\"", "keys"),
            ("host = \"a b\"", "host"),
            ("ports = [0]", "ports"),
            ("hops = 4", "hops"),
            ("quantity = 0", "quantity"),
            ("allow = [\"a.i2p\"]", "allow"),
            ("deny = [\"x\"]", "deny"),
            ("streams = 0", "streams"),
            ("streams = 4", "streams_per_visitor"),
            ("other = 1", "other"),
            (
                "[[servers]]\nname = \"site\"\nkind = \"tcp\"\ntarget = \"[::1]:1\"",
                "name",
            ),
            (
                "[[servers]]\nname = \"b\"\nkind = \"tcp\"\ntarget = \"[::1]:1\"\n\
                 distinct_addresses = true",
                "distinct_addresses",
            ),
        ] {
            let e = parse(more).unwrap_err();
            assert!(e.contains(what), "{more}: {e}");
        }
    }

    #[test]
    fn who_is_let_in() {
        let (listed, other) = (DestHash([0; 32]), DestHash([1; 32]));
        let open = parse("").unwrap();
        assert!(open.lets_in(listed) && open.lets_in(other));
        let allow = parse(&format!("allow = [\"{B32}\"]")).unwrap();
        assert!(allow.lets_in(listed) && !allow.lets_in(other));
        let deny = parse(&format!("deny = [\"{B32}\"]")).unwrap();
        assert!(!deny.lets_in(listed) && deny.lets_in(other));
    }
}
