//! The LAN makes way when the WAN turns out to have the same prefix: both cannot be served, and the
//! WAN's is nobody's choice. Where it has moved to is kept, so that devices find it there again.

use super::directory::Directory;
use super::uplink::overlap;
use super::{Supervisor, command};
use crate::config::Config;
use ipnet::Ipv4Net;

/// Name in the state directory.
const FILE: &str = "lan";

/// The LAN as the configuration has it, or where it has moved to before. What is no alternative of
/// the configuration any more does not count.
///
/// # Errors
/// In words: the state directory is in others' hands.
pub fn remembered(config: &Config) -> Result<Ipv4Net, String> {
    let state = Directory::open(&config.paths.state_dir)?;
    let kept = match state.read::<5>(FILE) {
        Ok(Some([prefix, a, b, c, d])) => Ipv4Net::new([a, b, c, d].into(), prefix).ok(),
        _ => None,
    };
    let known = kept.filter(|net| config.lan.alternatives.contains(net));
    Ok(known.unwrap_or(config.lan.address))
}

fn remember(config: &Config, lan: Ipv4Net) -> Result<(), String> {
    let [a, b, c, d] = lan.addr().octets();
    let state = Directory::open(&config.paths.state_dir)?;
    let written = state.write(FILE, &[lan.prefix_len(), a, b, c, d]);
    written.map_err(|e| format!("{}: {e}", config.paths.state_dir.join(FILE).display()))
}

/// Where the LAN can be beside these prefixes: where it is, else the first alternative that fits;
/// `None` when none does.
#[must_use]
pub fn place(config: &Config, wan: &[Ipv4Net]) -> Option<Ipv4Net> {
    let lan = &config.lan;
    let mut all = std::iter::once(&lan.address).chain(&lan.alternatives);
    let free = |net: &&Ipv4Net| !wan.iter().any(|wan| overlap(**net, *wan));
    all.find(free).copied()
}

impl Supervisor {
    /// Moves the LAN if it has to; whether it has. Rules, routes and `gatewayd` follow the next
    /// time that all is set.
    ///
    /// # Errors
    /// No place is free, or the move cannot be kept.
    pub(super) fn make_way(&mut self, wan: &[Ipv4Net]) -> Result<bool, String> {
        let old = self.config.lan.address;
        let new = place(&self.config, wan)
            .ok_or("the WAN overlaps the LAN and all of lan.alternatives")?;
        if new == old {
            return Ok(false);
        }
        eprintln!("supervisor: the WAN overlaps the LAN {old}: the LAN moves to {new}");
        remember(&self.config, new)?;
        let lan = &self.config.lan.interface;
        // Neither may be there yet.
        command::ip(&format!("- -4 addr del {old} dev {lan}"))?;
        command::ip("- -4 route flush table 99")?;
        self.config.lan.address = new;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    #[test]
    fn the_lan_stays_where_it_can_and_else_takes_the_first_free_place() {
        let config = Config::default();
        let at = |wan: &[&str]| {
            let wan: Vec<_> = wan.iter().map(|w| net(w)).collect();
            place(&config, &wan)
        };
        assert_eq!(at(&["192.0.2.7/24"]), Some(net("192.168.77.1/24")));
        assert_eq!(at(&["192.168.77.9/28"]), Some(net("10.77.77.1/24")));
        assert_eq!(
            at(&["192.168.0.9/16", "10.3.2.1/8"]),
            Some(net("172.29.77.1/24"))
        );
        assert_eq!(at(&["192.168.0.9/16", "10.3.2.1/8", "172.16.0.1/12"]), None);
    }

    #[test]
    fn a_move_is_remembered_while_the_configuration_knows_it() {
        let dir = std::env::temp_dir().join(format!("ramson-moved-{}", std::process::id()));
        let mut config = Config::default();
        config.paths.state_dir = dir.clone();
        assert_eq!(remembered(&config).unwrap(), config.lan.address);
        remember(&config, net("172.29.77.1/24")).unwrap();
        assert_eq!(remembered(&config).unwrap(), net("172.29.77.1/24"));
        config.lan.alternatives.clear();
        assert_eq!(remembered(&config).unwrap(), config.lan.address);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
