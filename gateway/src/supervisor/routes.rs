//! Lines for `ip`: marked packets go to the box itself, the LAN link gets its addresses.

use crate::config::Config;
use crate::supervisor::rules::MARK;

/// Routing table of marked packets.
const TABLE: u32 = 100;

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
    lines
}

/// What undoes the rules and routes of [`up`]; the link stays as it is.
#[must_use]
pub fn down() -> Vec<String> {
    let mut lines = Vec::new();
    for family in ["-4", "-6"] {
        lines.push(format!("- {family} rule del fwmark {MARK} lookup {TABLE}"));
        lines.push(format!("- {family} route flush table {TABLE}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_are_routed_and_the_link_comes_last() {
        let text = "[lan]\naddress6 = \"fd77:1::1/64\"";
        let lines = up(&Config::parse(text).unwrap());
        assert_eq!(lines.last().unwrap(), "link set lan0 up");
        for line in [
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
                .any(|l| l.starts_with("-6 addr"))
        );
        assert!(down().iter().all(|l| l.starts_with("- ")));
    }
}
