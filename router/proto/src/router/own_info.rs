//! What we say of ourselves: our RouterInfo (i2p spec/common-structures, RouterInfo;
//! docs/how/network-database, Capabilities).

use crate::config::{Config, RouterKeys};
use crate::time::{Date, Now};
use crate::wire::error::Result;
use crate::wire::mapping::Mapping;
use crate::wire::router_info::RouterInfo;
use core::time::Duration;
use std::sync::Arc;

/// The API version whose demands we meet; peers judge us by it.
pub const VERSION: &str = "0.9.68";
/// Its last part.
pub const VERSION_NUMBER: u16 = 68;
/// Our RouterInfo is made anew this often.
pub const RENEW: Duration = Duration::from_secs(30 * 60);

/// Our RouterInfo and what it depends on.
pub struct OwnInfo {
    current: Arc<RouterInfo>,
    /// Peers replace a RouterInfo only by a later one.
    last: Date,
}

impl OwnInfo {
    /// The first RouterInfo.
    ///
    /// # Errors
    /// An address is too long to be published.
    pub fn new(config: &Config, keys: &RouterKeys, now: Now) -> Result<Self> {
        let current = Arc::new(build(config, keys, now.wall, None)?);
        Ok(Self {
            last: current.published(),
            current,
        })
    }

    /// The RouterInfo in force.
    #[must_use]
    pub const fn current(&self) -> &Arc<RouterInfo> {
        &self.current
    }

    /// The clock was set: the next one bears the new date, even one before that of the last.
    pub fn forget_date(&mut self) {
        self.last = Date::default();
    }

    /// Makes a new one, later than every one before, with a letter for the load of transit.
    pub fn renew(
        &mut self,
        config: &Config,
        keys: &RouterKeys,
        now: Now,
        congestion: Option<char>,
    ) -> &Arc<RouterInfo> {
        let published = now.wall.max(self.last + Duration::from_secs(1));
        if let Ok(info) = build(config, keys, published, congestion) {
            self.last = published;
            self.current = Arc::new(info);
        }
        &self.current
    }
}

fn build(
    config: &Config,
    keys: &RouterKeys,
    published: Date,
    congestion: Option<char>,
) -> Result<RouterInfo> {
    let mut options = Mapping::new();
    options.set("caps", caps(config, congestion));
    options.set("netId", config.net_id.to_string());
    options.set("router.version", VERSION);
    RouterInfo::build(
        &keys.identity,
        published,
        &config.addresses,
        &options,
        &keys.signing,
    )
}

/// Bandwidth class, then floodfill, reachability, and the load of transit, G when we carry none
/// (i2p proposal 162). Who can be reached by IPv6 alone says neither R nor U: most routers cannot.
fn caps(config: &Config, congestion: Option<char>) -> String {
    let mut caps = String::from(config.class);
    let mut hosts = config.addresses.iter().filter_map(|a| a.host()).peekable();
    let only_ipv6 = hosts.peek().is_some() && hosts.all(|h| h.is_ipv6());
    let reachable = config.reachable && !only_ipv6;
    if config.floodfill && reachable {
        caps.push('f');
    }
    match (reachable, only_ipv6) {
        (true, _) => caps.push('R'),
        (false, false) => caps.push('U'),
        (false, true) => {}
    }
    caps.extend(if config.transit {
        congestion
    } else {
        Some('G')
    });
    caps
}

/// The class letter of a router that shares this much (i2p docs/how/network-database,
/// Capabilities).
#[must_use]
pub const fn class_for(bytes_per_sec: u64) -> char {
    match bytes_per_sec / 1024 {
        0..=12 => 'K',
        13..=48 => 'L',
        49..=64 => 'M',
        65..=128 => 'N',
        129..=256 => 'O',
        257..=2048 => 'P',
        _ => 'X',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::router_address::RouterAddress;

    fn address(host: &str) -> RouterAddress {
        let mut options = Mapping::new();
        options.set("host", host);
        RouterAddress {
            cost: 3,
            expiration: 0,
            style: "NTCP2".to_owned(),
            options,
        }
    }

    #[test]
    fn capabilities_say_what_the_configuration_does() {
        let mut config = Config {
            reachable: true,
            floodfill: true,
            ..Config::default()
        };
        assert_eq!(caps(&config, None), "OfR");
        assert_eq!(caps(&config, Some('D')), "OfRD");
        config.addresses = vec![address("2a01::1"), address("1.2.3.4")];
        assert_eq!(caps(&config, Some('E')), "OfRE");
        config.addresses.pop();
        assert_eq!(caps(&config, None), "O");
        config.addresses.clear();
        config.reachable = false;
        config.transit = false;
        assert_eq!(caps(&config, Some('D')), "OUG");
    }

    #[test]
    fn the_class_follows_the_limit() {
        let of = |kbytes: u64| class_for(kbytes * 1024);
        let letters: String = [0, 12, 13, 48, 49, 65, 128, 129, 256, 257, 2048, 2049]
            .map(of)
            .iter()
            .collect();
        assert_eq!(letters, "KKLLMNNOOPPX");
    }

    #[test]
    fn the_version_has_its_number() {
        assert_eq!(VERSION, format!("0.9.{VERSION_NUMBER}"));
    }
}
