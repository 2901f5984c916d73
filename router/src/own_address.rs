//! What we publish of ourselves as addresses, and how the links present us.

use crate::config_file::ConfigFile;
use crate::families;
use crate::keys::KeyFile;
use ramson_proto::link::LinksConfig;
use ramson_proto::router::Router;
use ramson_proto::wire::hash::base64;
use ramson_proto::wire::mapping::Mapping;
use ramson_proto::wire::router_address::RouterAddress;
use std::net::IpAddr;
use std::sync::Arc;

/// Cost of an NTCP2 address that is published, and of one that is not.
const COST_PUBLISHED: u8 = 3;
const COST_UNPUBLISHED: u8 = 14;
/// Links with other routers at once.
const LINKS_MAX: usize = 1024;

/// Addresses to publish: one of each published host, and without one of IPv4 one that only says how
/// to recognise us.
#[must_use]
pub fn addresses(file: &ConfigFile, keys: &KeyFile, port: u16) -> Vec<RouterAddress> {
    let address = |cost| {
        let mut options = Mapping::new();
        options.set("v", "2").set("s", base64(keys.ntcp2.public()));
        RouterAddress {
            cost,
            expiration: 0,
            style: "NTCP2".to_owned(),
            options,
        }
    };
    let mut out = Vec::new();
    for host in file.hosts() {
        let mut a = address(COST_PUBLISHED);
        a.options
            .set("host", host.to_string())
            .set("port", port.to_string());
        a.options.set("i", base64(&keys.iv));
        out.push(a);
    }
    // Without a published IPv4 address we can dial by IPv4 still.
    if !file.hosts().iter().any(IpAddr::is_ipv4) {
        let mut a = address(COST_UNPUBLISHED);
        a.options.set("caps", "4");
        out.push(a);
    }
    out
}

/// The links' view of ourselves.
#[must_use]
pub fn links_config(
    file: &ConfigFile,
    keys: &KeyFile,
    router: &Router,
    dialable: families::Dialable,
) -> LinksConfig {
    LinksConfig {
        hash: router.hash(),
        static_key: keys.ntcp2.clone(),
        iv: keys.iv,
        net_id: file.network.net_id,
        info: Arc::clone(router.info()),
        links_max: LINKS_MAX,
        ipv4: dialable.ipv4,
        ipv6: dialable.ipv6,
        allow_private: file.network.allow_private,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ramson_proto::rng::Rng;

    /// Hosts and address capabilities of what is published.
    fn published(network: &str) -> Vec<(Option<String>, Option<String>)> {
        let file = ConfigFile::parse(&format!("[network]\n{network}\n"), "c").unwrap();
        let keys = KeyFile::generate(&mut Rng::from_number(1)).unwrap();
        let option = |a: &RouterAddress, name| a.options.get(name).map(str::to_owned);
        let all = addresses(&file, &keys, 4000);
        all.iter()
            .map(|a| (option(a, "host"), option(a, "caps")))
            .collect()
    }

    #[test]
    fn without_a_host_of_ipv4_we_say_that_we_can_dial_by_it() {
        let four = (None, Some("4".to_owned()));
        let host = |h: &str| (Some(h.to_owned()), None);
        assert_eq!(published(""), std::slice::from_ref(&four));
        assert_eq!(published("host6 = \"2a01::1\""), [host("2a01::1"), four]);
        assert_eq!(published("host = \"8.8.8.8\""), [host("8.8.8.8")]);
    }
}
