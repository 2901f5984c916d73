//! The configuration file: text to typed settings, once. Errors name file, line, key and what is
//! accepted.

mod rules;
pub mod servers;

use ramson_proto::config::PoolConfig;
use ramson_proto::router::own_info;
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
    /// `[[servers]]`
    pub servers: Vec<servers::Server>,
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

        impl $name {
            /// Names of the settings that differ.
            fn differences(&self, other: &Self) -> Vec<&'static str> {
                let mut out = Vec::new();
                $(if self.$field != other.$field {
                    out.push(stringify!($field));
                })*
                out
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
        /// Bandwidth class letter, or `auto`.
        class: String = "auto".to_owned(),
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
        /// MiB that may be received and not read yet, over all streams.
        receive_mebibytes: usize = 24,
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
        /// Whether reseed hosts are asked over HTTPS.
        https: bool = true,
        /// Their URLs, or empty for those built in.
        hosts: Vec<String> = Vec::new(),
        /// File of the certificates that their own are judged by, or empty for those built in.
        tls_roots: PathBuf = PathBuf::new(),
        /// Host and port of a proxy (HTTP CONNECT) for that, or empty.
        proxy: String = String::new(),
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
        /// Users besides root and the router's own that may ask for the status and bring reseed
        /// files.
        admins: Vec<u32> = Vec::new(),
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
            servers: Vec::new(),
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
            let span = e.span().unwrap_or_default();
            let line = rules::line_of(text, span.start);
            let accepted = rules::accepted_at(text, &span).unwrap_or_default();
            // Only the first line: the rest draws the place.
            let what = e.message().lines().next().unwrap_or_default();
            ConfigError(format!("{name}:{line}: {accepted}{what}"))
        })?;
        match rules::problem(&config) {
            Some(rule) => {
                let line = rules::line_of_key(text, rule.section, rule.key);
                let (key, accepted) = (rule.key, rule.accepted);
                Err(ConfigError(format!("{name}:{line}: {key} {accepted}")))
            }
            None => match servers::problem(&config) {
                Some(what) => Err(ConfigError(format!("{name}: {what}"))),
                None => Ok(config),
            },
        }
    }

    /// The settings that differ, as `section.key`.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut out = Vec::new();
        if self.data_dir != other.data_dir {
            out.push("data_dir".to_owned());
        }
        for (section, keys) in [
            ("network", self.network.differences(&other.network)),
            ("router", self.router.differences(&other.router)),
            ("transit", self.transit.differences(&other.transit)),
            ("tunnels", self.tunnels.differences(&other.tunnels)),
            ("clients", self.clients.differences(&other.clients)),
            ("seeds", self.seeds.differences(&other.seeds)),
            ("names", self.names.differences(&other.names)),
            ("http_proxy", self.http_proxy.differences(&other.http_proxy)),
            ("sockets", self.sockets.differences(&other.sockets)),
            ("log", self.log.differences(&other.log)),
        ] {
            out.extend(keys.into_iter().map(|key| format!("{section}.{key}")));
        }
        out
    }

    /// The class letter; that of the limit of transit unless another one is set.
    #[must_use]
    pub fn class(&self) -> Option<char> {
        if self.router.class == "auto" {
            let limit = self.transit.kbytes_per_second.saturating_mul(1024);
            return Some(own_info::class_for(limit));
        }
        let mut chars = self.router.class.chars();
        let letter = chars.next().filter(|c| "KLMNOPX".contains(*c))?;
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

    /// The core's settings, but for the addresses, which need keys, and what the machine has.
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
            ipv6: false,
            destinations: self.clients.destinations,
            spare_destination: self.clients.spare,
            receive_budget: self.clients.receive_mebibytes << 20,
        }
    }
}

#[cfg(test)]
mod tests;
