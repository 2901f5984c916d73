//! Lines for `ip`: marked packets go to the box itself, those for clients to the LAN, whose link
//! gets its addresses.

use crate::config::Config;
use crate::supervisor::rules::MARK;

/// Routing table of marked packets.
const TABLE: u32 = 100;

/// Routing table of the LAN, asked before all routes of the WAN: none can draw answers to clients
/// away, however it covers the LAN's prefix.
const LAN_TABLE: u32 = 99;

/// What to run so that it is there, whether or not it was before. See `command::ip`.
#[must_use]
pub fn up(config: &Config) -> Vec<String> {
    let lan = &config.lan.interface;
    let mut lines = vec!["link set lo up".to_owned()];
    for (family, all) in [("-4", "0.0.0.0/0"), ("-6", "::/0")] {
        lines.push(format!("- {family} rule del fwmark {MARK} lookup {TABLE}"));
        lines.push(format!(
            "{family} rule add pref {TABLE} fwmark {MARK} lookup {TABLE}"
        ));
        lines.push(format!(
            "{family} route replace local {all} dev lo table {TABLE}"
        ));
    }
    lines.push(format!("-4 addr replace {} dev {lan}", config.lan.address));
    if let Some(address) = config.lan.address6 {
        lines.push(format!("-6 addr replace {address} dev {lan} nodad"));
    }
    lines.push(format!("link set {lan} up"));
    let net6 = config.lan.address6.map(|net| net.trunc().to_string());
    for (family, net) in [
        ("-4", Some(config.lan.address.trunc().to_string())),
        ("-6", net6),
    ] {
        let Some(net) = net else { continue };
        lines.push(format!(
            "{family} route replace {net} dev {lan} table {LAN_TABLE}"
        ));
        lines.push(format!("- {family} rule del pref {LAN_TABLE}"));
        lines.push(format!(
            "{family} rule add pref {LAN_TABLE} to {net} lookup {LAN_TABLE}"
        ));
    }
    lines
}

/// What undoes the rules and routes of [`up`]; the link stays as it is.
#[must_use]
pub fn down() -> Vec<String> {
    let mut lines = Vec::new();
    for family in ["-4", "-6"] {
        lines.push(format!("- {family} rule del fwmark {MARK} lookup {TABLE}"));
        lines.push(format!("- {family} rule del pref {LAN_TABLE}"));
        for table in [TABLE, LAN_TABLE] {
            lines.push(format!("- {family} route flush table {table}"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_are_routed_and_the_lan_before_all_others() {
        let text = "[lan]\naddress6 = \"fd77:1::1/64\"";
        let lines = up(&Config::parse(text).unwrap());
        let at = |line: &str| lines.iter().position(|l| l == line).unwrap();
        assert!(at("link set lan0 up") < at("-4 route replace 192.168.77.0/24 dev lan0 table 99"));
        for line in [
            "-4 rule add pref 99 to 192.168.77.0/24 lookup 99",
            "-6 rule add pref 99 to fd77:1::/64 lookup 99",
            "-4 rule add pref 100 fwmark 1 lookup 100",
            "-6 route replace local ::/0 dev lo table 100",
            "-4 addr replace 192.168.77.1/24 dev lan0",
            "-6 addr replace fd77:1::1/64 dev lan0 nodad",
        ] {
            assert!(lines.iter().any(|l| l == line), "{line}");
        }
        assert!(
            !up(&Config::default())
                .iter()
                .any(|l| l.starts_with("-6 addr") || l.starts_with("-6 rule add pref 99"))
        );
        assert!(down().iter().all(|l| l.starts_with("- ")));
    }
}
