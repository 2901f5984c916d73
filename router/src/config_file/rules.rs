//! What each setting may be, and where it stands in the file.

use super::ConfigFile;
use ramson_proto::limits;
use ramson_proto::peer::constraint::is_public;
use ramson_proto::router::own_info::VERSION_NUMBER;
use ramson_proto::wire::router_address::PORT_MIN;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// Bytes of a socket's path, of which the kernel takes 108 with a zero.
const SOCKET_PATH_MAX: usize = 107;

/// One setting.
pub struct Rule {
    /// Its table; empty for the top.
    pub section: &'static str,
    /// Its name.
    pub key: &'static str,
    /// What it must be, after its name.
    pub accepted: &'static str,
    holds: fn(&ConfigFile) -> bool,
}

macro_rules! rules {
    ($($section:literal $key:literal $accepted:literal $holds:expr;)*) => {
        &[$(Rule {
            section: $section,
            key: $key,
            accepted: $accepted,
            holds: $holds,
        },)*]
    };
}

// The texts hold numbers; these are where they come from.
const _: () = assert!(limits::CLIENT_DESTINATIONS_MAX == 63 && limits::POOL_QUANTITY_MAX == 16);
const _: () = assert!(VERSION_NUMBER == 68);

const FLAG: fn(&ConfigFile) -> bool = |_| true;

const RULES: &[Rule] = rules! {
    "" "data_dir" "must be a path" |c| is_path(&c.data_dir);
    "network" "net_id" "must be 1 to 255" |c| c.network.net_id != 0;
    "network" "host" "must be an IPv4 address that others can dial (a private one only with \
        allow_private), or empty" |c| is_host::<Ipv4Addr>(&c.network.host, c);
    "network" "host6" "must be an IPv6 address that others can dial (a private one only with \
        allow_private), or empty" |c| is_host::<Ipv6Addr>(&c.network.host6, c);
    "network" "port" "must be 0, or 1024 to 65535"
        |c| c.network.port == 0 || c.network.port >= PORT_MIN;
    "network" "allow_private" "must be true or false" FLAG;
    "network" "min_peer_version" "must be 0 to 68, this router's own version"
        |c| c.network.min_peer_version <= VERSION_NUMBER;
    "router" "floodfill" "must be true or false" FLAG;
    "router" "class" "must be \"auto\", \"K\", \"L\", \"M\", \"N\", \"O\", \"P\" or \"X\""
        |c| c.class().is_some();
    "transit" "accept" "must be true or false" FLAG;
    "transit" "tunnels" "must be 0 to 100000" |c| c.transit.tunnels <= 100_000;
    "transit" "kbytes_per_second" "must be 0 to 10000000"
        |c| c.transit.kbytes_per_second <= 10_000_000;
    "tunnels" "hops" "must be 0 to 3" |c| c.tunnels.hops <= 3;
    "tunnels" "quantity" "must be 1 to 16" |c| is_quantity(c.tunnels.quantity);
    "tunnels" "exploratory_hops" "must be 0 to 3" |c| c.tunnels.exploratory_hops <= 3;
    "tunnels" "exploratory_quantity" "must be 1 to 16"
        |c| is_quantity(c.tunnels.exploratory_quantity);
    "clients" "destinations" "must be 1 to 63"
        |c| (1..=limits::CLIENT_DESTINATIONS_MAX).contains(&c.clients.destinations);
    "clients" "spare" "must be true or false" FLAG;
    "clients" "receive_mebibytes" "must be 1 to 1024"
        |c| (1..=1024).contains(&c.clients.receive_mebibytes);
    "seeds" "dir" "must be a path, or empty" |c| is_optional(&c.seeds.dir);
    "seeds" "su3" "must be a path, or empty" |c| is_optional(&c.seeds.su3);
    "seeds" "certificates" "must be a path, or empty" |c| is_optional(&c.seeds.certificates);
    "seeds" "https" "must be true or false" FLAG;
    "seeds" "hosts" "must be a list of at most 32 URLs that begin with https://"
        |c| c.seeds.hosts.len() <= 32 && c.seeds.hosts.iter().all(|url| is_url(url));
    "seeds" "tls_roots" "must be a path, or empty" |c| is_optional(&c.seeds.tls_roots);
    "seeds" "proxy" "must be host:port of a proxy, or empty" |c| is_proxy(&c.seeds.proxy);
    "names" "hosts" "must be a path" |c| is_path(&c.names.hosts);
    "http_proxy" "enabled" "must be true or false" FLAG;
    "http_proxy" "listen" "must be an address with a port, such as \"127.0.0.1:4444\""
        |c| c.http_proxy.listen.port() != 0;
    "sockets" "stream" "must be a path of at most 107 bytes"
        |c| is_socket(&c.path(&c.sockets.stream));
    "sockets" "control" "must be a path of at most 107 bytes, and another one than stream"
        |c| is_socket(&c.path(&c.sockets.control)) && c.sockets.control != c.sockets.stream;
    "sockets" "uids" "must be a list of numbers of users, 0 to 4294967295" FLAG;
    "sockets" "admins" "must be a list of numbers of users, 0 to 4294967295" FLAG;
    "log" "level" "must be \"error\", \"warn\", \"info\" or \"debug\"" |c| c.level().is_some();
};

/// The first setting that is not what it must be.
pub fn problem(config: &ConfigFile) -> Option<&'static Rule> {
    RULES.iter().find(|r| !(r.holds)(config))
}

fn is_quantity(n: u8) -> bool {
    (1..=limits::POOL_QUANTITY_MAX).contains(&n)
}

fn is_host<T: std::str::FromStr + Into<IpAddr>>(text: &str, config: &ConfigFile) -> bool {
    let Ok(ip) = text.parse::<T>().map(Into::into) else {
        return text.is_empty();
    };
    let lan = match ip {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_broadcast(),
        IpAddr::V6(ip) => !ip.is_unspecified(),
    };
    is_public(ip) || (config.network.allow_private && lan && !ip.is_multicast())
}

fn is_url(url: &str) -> bool {
    let host = url.strip_prefix("https://").unwrap_or_default();
    !host.is_empty() && !host.starts_with('/') && url.bytes().all(|b| b.is_ascii_graphic())
}

fn is_proxy(proxy: &str) -> bool {
    let port = proxy
        .rsplit_once(':')
        .map(|(host, port)| (host.is_empty(), port.parse::<u16>()));
    let fits = matches!(port, Some((false, Ok(1..))));
    proxy.is_empty() || (fits && proxy.bytes().all(|b| b.is_ascii_graphic() && b != b'/'))
}

fn is_optional(path: &Path) -> bool {
    !path.as_os_str().as_encoded_bytes().contains(&0)
}

fn is_path(path: &Path) -> bool {
    !path.as_os_str().is_empty() && is_optional(path)
}

fn is_socket(path: &Path) -> bool {
    is_path(path) && path.file_name().is_some() && path.as_os_str().len() <= SOCKET_PATH_MAX
}

/// What the setting at this place of the text must be, before the parser's own words.
pub fn accepted_at(text: &str, place: &Range<usize>) -> Option<String> {
    let is_at = |rule: &&Rule| {
        let span = span_of(text, rule.section, rule.key);
        span.is_some_and(|s| s.start <= place.start && place.end <= s.end)
    };
    let rule = RULES.iter().find(is_at)?;
    Some(format!("{} {}: ", rule.key, rule.accepted))
}

/// From the key's name to the end of its value.
fn span_of(text: &str, section: &str, key: &str) -> Option<Range<usize>> {
    let document = DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    if !section.is_empty() {
        let (_, value) = table.iter().find(|(k, _)| k.get_ref() == section)?;
        table = match value.get_ref() {
            DeValue::Table(table) => table,
            _ => return None,
        };
    }
    let (name, value) = table.iter().find(|(k, _)| k.get_ref() == key)?;
    Some(name.span().start..value.span().end)
}

/// The number of the line that a byte is in, from 1.
pub fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|b| *b == b'\n').count()
}

/// The line that sets a key; 0 when none does.
pub fn line_of_key(text: &str, section: &str, key: &str) -> usize {
    span_of(text, section, key).map_or(0, |s| line_of(text, s.start))
}

#[cfg(test)]
pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    RULES.iter().map(|r| (r.section, r.key))
}
