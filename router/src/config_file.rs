//! The configuration file: text to typed settings, once. Errors name file, line and reason.

use ramson_proto::config::PoolConfig;
use ramson_proto::trace::Level;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The file as it is written; `routerd.toml` beside the sources equals the defaults.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigFile {
    /// Directory of everything that outlives a restart.
    pub data_dir: PathBuf,
    /// `[network]`
    pub network: Network,
    /// `[router]`
    pub router: RouterSection,
    /// `[transit]`
    pub transit: Transit,
    /// `[tunnels]`
    pub tunnels: Tunnels,
    /// `[clients]`
    pub clients: Clients,
    /// `[seeds]`
    pub seeds: Seeds,
    /// `[names]`
    pub names: Names,
    /// `[http_proxy]`
    pub http_proxy: HttpProxy,
    /// `[sockets]`
    pub sockets: Sockets,
    /// `[log]`
    pub log: Log,
}

macro_rules! section {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$fdoc:meta])* $field:ident: $ty:ty = $default:expr,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name { $($(#[$fdoc])* pub $field: $ty,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}

section!(
    /// Which network, and where we are in it.
    Network {
        /// Network id.
        net_id: u8 = 2,
        /// Published IPv4 address, or empty.
        host: String = String::new(),
        /// Published IPv6 address, or empty.
        host6: String = String::new(),
        /// NTCP2 port, or 0.
        port: u16 = 0,
        /// Accept private addresses.
        allow_private: bool = false,
        /// Lowest version of hops.
        min_peer_version: u16 = 58,
    }
);
section!(
    /// What we are to others.
    RouterSection {
        /// Floodfill duty.
        floodfill: bool = false,
        /// Bandwidth class letter.
        class: String = "O".to_owned(),
    }
);
section!(
    /// Other routers' tunnels.
    Transit {
        /// Whether to carry any.
        accept: bool = true,
        /// Tunnels at once.
        tunnels: usize = 1000,
        /// Their share of the bandwidth, KiB/s.
        kbytes_per_second: u64 = 256,
    }
);
section!(
    /// Our own tunnels.
    Tunnels {
        /// Hops of client tunnels.
        hops: u8 = 3,
        /// Client tunnels in each direction.
        quantity: u8 = 3,
        /// Hops of exploratory tunnels.
        exploratory_hops: u8 = 2,
        /// Exploratory tunnels in each direction.
        exploratory_quantity: u8 = 3,
    }
);
section!(
    /// Client destinations.
    Clients {
        /// At once.
        destinations: usize = 16,
        /// Keep a spare one.
        spare: bool = true,
    }
);
section!(
    /// Where the first routers come from.
    Seeds {
        /// Directory of RouterInfo files, or empty.
        dir: PathBuf = PathBuf::new(),
        /// Reseed file, or empty.
        su3: PathBuf = PathBuf::new(),
        /// Directory of certificates, or empty for those built in.
        certificates: PathBuf = PathBuf::new(),
    }
);
section!(
    /// The address book.
    Names {
        /// Its file.
        hosts: PathBuf = PathBuf::from("hosts.txt"),
    }
);
section!(
    /// The HTTP proxy.
    HttpProxy {
        /// Whether it listens.
        enabled: bool = true,
        /// Where.
        listen: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4444),
    }
);
section!(
    /// Local sockets.
    Sockets {
        /// Streams of the gateway.
        stream: PathBuf = PathBuf::from(ramson_ipc::STREAM_SOCK),
        /// Status and shutdown.
        control: PathBuf = PathBuf::from(ramson_ipc::CONTROL_SOCK),
        /// Users (numbers) besides root and the router's own that may open streams.
        uids: Vec<u32> = Vec::new(),
    }
);
section!(
    /// What is printed.
    Log {
        /// Lowest level.
        level: String = "info".to_owned(),
    }
);

impl Default for ConfigFile {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("/var/lib/ramson"),
            network: Network::default(),
            router: RouterSection::default(),
            transit: Transit::default(),
            tunnels: Tunnels::default(),
            clients: Clients::default(),
            seeds: Seeds::default(),
            names: Names::default(),
            http_proxy: HttpProxy::default(),
            sockets: Sockets::default(),
            log: Log::default(),
        }
    }
}

/// A refused configuration: file, line when it has one, and the reason.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(pub String);

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl ConfigFile {
    /// Reads and judges a file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| ConfigError(format!("{}: cannot be read: {e}", path.display())))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Parses and judges the text of the file `name`.
    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(0, |s| line_of(text, s.start));
            ConfigError(format!("{name}:{line}: {}", e.message()))
        })?;
        match config.problems().first() {
            Some((key, problem)) => {
                let line = line_of_key(text, key);
                Err(ConfigError(format!("{name}:{line}: {key} {problem}")))
            }
            None => Ok(config),
        }
    }

    fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let t = &self.tunnels;
        let rules = [
            ("hops", t.hops <= 3, "must be 0 to 3"),
            (
                "exploratory_hops",
                t.exploratory_hops <= 3,
                "must be 0 to 3",
            ),
            (
                "quantity",
                (1..=16).contains(&t.quantity),
                "must be 1 to 16",
            ),
            (
                "exploratory_quantity",
                (1..=16).contains(&t.exploratory_quantity),
                "must be 1 to 16",
            ),
            (
                "class",
                self.class().is_some(),
                "must be one of L, M, N, O, P, X",
            ),
            (
                "level",
                self.level().is_some(),
                "must be error, warn, info or debug",
            ),
            (
                "destinations",
                (1..=256).contains(&self.clients.destinations),
                "must be 1 to 256",
            ),
            (
                "tunnels",
                self.transit.tunnels <= 100_000,
                "must be at most 100000",
            ),
            (
                "kbytes_per_second",
                self.transit.kbytes_per_second <= 10_000_000,
                "must be at most 10000000",
            ),
            (
                "host",
                is_ip::<Ipv4Addr>(&self.network.host),
                "is not an IPv4 address",
            ),
            (
                "host6",
                is_ip::<Ipv6Addr>(&self.network.host6),
                "is not an IPv6 address",
            ),
            ("net_id", self.network.net_id != 0, "must not be 0"),
            (
                "data_dir",
                !self.data_dir.as_os_str().is_empty(),
                "must not be empty",
            ),
        ];
        rules
            .into_iter()
            .filter(|r| !r.1)
            .map(|r| (r.0, r.2))
            .collect()
    }

    /// The class letter.
    #[must_use]
    pub fn class(&self) -> Option<char> {
        let mut chars = self.router.class.chars();
        let letter = chars.next().filter(|c| "LMNOPX".contains(*c))?;
        chars.next().is_none().then_some(letter)
    }

    /// The lowest level that is printed.
    #[must_use]
    pub fn level(&self) -> Option<Level> {
        Some(match self.log.level.as_str() {
            "error" => Level::Error,
            "warn" => Level::Warn,
            "info" => Level::Info,
            "debug" => Level::Debug,
            _ => return None,
        })
    }

    /// Published addresses.
    #[must_use]
    pub fn hosts(&self) -> Vec<IpAddr> {
        let v4 = self.network.host.parse::<Ipv4Addr>().map(IpAddr::V4);
        let v6 = self.network.host6.parse::<Ipv6Addr>().map(IpAddr::V6);
        v4.into_iter().chain(v6).collect()
    }

    /// A path of the file, starting at the data directory when it is relative.
    #[must_use]
    pub fn path(&self, path: &Path) -> PathBuf {
        self.data_dir.join(path)
    }

    /// The core's settings, but for the addresses, which need keys.
    #[must_use]
    pub fn core(&self) -> ramson_proto::config::Config {
        let t = &self.tunnels;
        ramson_proto::config::Config {
            net_id: self.network.net_id,
            min_peer_version: self.network.min_peer_version,
            allow_private: self.network.allow_private,
            floodfill: self.router.floodfill,
            class: self.class().unwrap_or('O'),
            transit: self.transit.accept && self.transit.kbytes_per_second > 0,
            transit_tunnels: self.transit.tunnels,
            transit_bytes_per_sec: self.transit.kbytes_per_second * 1024,
            exploratory: PoolConfig {
                hops: t.exploratory_hops,
                quantity: t.exploratory_quantity,
            },
            client: PoolConfig {
                hops: t.hops,
                quantity: t.quantity,
            },
            addresses: Vec::new(),
            reachable: !self.hosts().is_empty(),
            destinations: self.clients.destinations,
            spare_destination: self.clients.spare,
        }
    }
}

fn is_ip<T: std::str::FromStr>(text: &str) -> bool {
    text.is_empty() || text.parse::<T>().is_ok()
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|b| *b == b'\n').count()
}

/// The line that sets a key; each key is unique in the file but for `hosts` and `tunnels`, whose
/// values are judged by type alone or stand once.
fn line_of_key(text: &str, key: &str) -> usize {
    let found = text.lines().position(|l| {
        l.trim_start()
            .strip_prefix(key)
            .is_some_and(|rest| rest.trim_start().starts_with('='))
    });
    found.map_or(0, |n| n + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_equals_the_defaults() {
        let shipped = include_str!("../routerd.toml");
        assert_eq!(
            ConfigFile::parse(shipped, "routerd.toml"),
            Ok(ConfigFile::default())
        );
        assert_eq!(ConfigFile::parse("", "empty"), Ok(ConfigFile::default()));
        let core = ramson_proto::config::Config::default();
        assert_eq!(
            format!("{:?}", ConfigFile::default().core()),
            format!("{core:?}")
        );
    }

    #[test]
    fn errors_name_file_and_line() {
        let cases = [
            ("[network]\nnet_id = 2\nnett = 3\n", "c:3: "),
            ("[tunnels]\n\nhops = 4\n", "c:3: hops must be 0 to 3"),
            ("[network]\nport = 70000\n", "c:2: "),
            ("[router]\nclass = \"Q\"\n", "c:2: class must be"),
            (
                "[network]\nhost = \"a.example\"\n",
                "c:2: host is not an IPv4 address",
            ),
            ("data_dir = 1\n", "c:1: "),
        ];
        for (text, start) in cases {
            let e = ConfigFile::parse(text, "c").unwrap_err().0;
            assert!(e.starts_with(start), "{e}");
        }
    }
}
