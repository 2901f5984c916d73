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
        let current = Arc::new(build(config, keys, now.wall)?);
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

    /// Makes a new one, later than every one before.
    pub fn renew(&mut self, config: &Config, keys: &RouterKeys, now: Now) -> &Arc<RouterInfo> {
        let published = now.wall.max(self.last + Duration::from_secs(1));
        if let Ok(info) = build(config, keys, published) {
            self.last = published;
            self.current = Arc::new(info);
        }
        &self.current
    }
}

fn build(config: &Config, keys: &RouterKeys, published: Date) -> Result<RouterInfo> {
    let mut options = Mapping::new();
    options.set("caps", caps(config));
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

/// Bandwidth class, then floodfill, reachability, and G when we carry no transit
/// (i2p proposal 162).
fn caps(config: &Config) -> String {
    let mut caps = String::from(config.class);
    if config.floodfill && config.reachable {
        caps.push('f');
    }
    caps.push(if config.reachable { 'R' } else { 'U' });
    if !config.transit {
        caps.push('G');
    }
    caps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_say_what_the_configuration_does() {
        let mut config = Config {
            reachable: true,
            floodfill: true,
            ..Config::default()
        };
        assert_eq!(caps(&config), "OfR");
        config.reachable = false;
        config.transit = false;
        assert_eq!(caps(&config), "OUG");
    }

    #[test]
    fn the_version_has_its_number() {
        assert_eq!(VERSION, format!("0.9.{VERSION_NUMBER}"));
    }
}
