//! Kernel settings: nothing is forwarded on any interface, the LAN cannot configure the box.
//!
//! `ip_forward` alone proves little: each interface and the defaults have a switch of their own.
//! So every interface that exists is named, and all is read back every few seconds.

use crate::config::{Config, WanMode};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const ROOT: &str = "/proc/sys/net";

/// One file below `/proc/sys/net` and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    path: String,
    value: &'static str,
    /// Whether a box where it cannot be set must not run; all others are set where they exist.
    required: bool,
}

/// Everything to set, for these interfaces besides `all` and `default`.
#[must_use]
pub fn plan(config: &Config, interfaces: &BTreeSet<String>) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut add = |path: String, value, required| {
        settings.push(Setting {
            path,
            value,
            required,
        })
    };
    // Writing this one resets the others of its family: it comes first.
    add("ipv4/ip_forward".into(), "0", true);
    for dev in ["all", "default"]
        .into_iter()
        .chain(interfaces.iter().map(String::as_str))
    {
        add(format!("ipv4/conf/{dev}/forwarding"), "0", true);
        add(format!("ipv4/conf/{dev}/accept_redirects"), "0", true);
        add(format!("ipv4/conf/{dev}/send_redirects"), "0", false);
        add(format!("ipv4/conf/{dev}/accept_source_route"), "0", true);
        add(format!("ipv4/conf/{dev}/proxy_arp"), "0", false);
        add(format!("ipv4/conf/{dev}/route_localnet"), "0", false);
        add(format!("ipv6/conf/{dev}/forwarding"), "0", true);
        add(format!("ipv6/conf/{dev}/force_forwarding"), "0", false);
        add(format!("ipv6/conf/{dev}/accept_redirects"), "0", true);
        add(format!("ipv6/conf/{dev}/accept_source_route"), "0", false);
        add(format!("ipv6/conf/{dev}/proxy_ndp"), "0", false);
    }
    let (lan, wan) = (&config.lan.interface, &config.wan.interface);
    for dev in ["all", "default", lan.as_str(), wan.as_str()] {
        add(format!("ipv4/conf/{dev}/arp_ignore"), "2", true);
        add(format!("ipv4/conf/{dev}/arp_announce"), "2", false);
    }
    add(format!("ipv6/conf/{lan}/accept_ra"), "0", true);
    add(format!("ipv6/conf/{lan}/autoconf"), "0", false);
    // Addresses on the WAN must not be made of the MAC; the default is for a WAN that is replaced.
    for dev in ["default", wan.as_str()] {
        add(format!("ipv6/conf/{dev}/addr_gen_mode"), "3", false);
    }
    // Answers to a DHCP client without an address come from where no route leads yet. Who may be a
    // source is judged by the rules.
    if config.wan.mode == WanMode::Dhcp {
        for dev in ["all", wan.as_str()] {
            add(format!("ipv4/conf/{dev}/rp_filter"), "0", false);
        }
    }
    // Refusals come from the rules, which bound them themselves.
    add("ipv4/icmp_ratelimit".into(), "0", false);
    add("ipv6/icmp/ratelimit".into(), "0", false);
    add("ipv4/ip_unprivileged_port_start".into(), "1024", true);
    add("netfilter/nf_conntrack_max".into(), "16384", false);
    add("netfilter/nf_conntrack_udp_timeout".into(), "30", false);
    add(
        "netfilter/nf_conntrack_udp_timeout_stream".into(),
        "120",
        false,
    );
    settings
}

/// Sets what differs; how many did.
///
/// # Errors
/// A required one cannot be set.
pub fn apply(config: &Config) -> Result<u64, String> {
    let interfaces = interfaces();
    let mut changed = 0;
    for setting in plan(config, &interfaces) {
        let path = Path::new(ROOT).join(&setting.path);
        let Ok(now) = fs::read_to_string(&path) else {
            // A family the kernel does not have needs no switch; a vanished interface neither.
            continue;
        };
        if now.trim() == setting.value {
            continue;
        }
        match fs::write(&path, setting.value) {
            Ok(()) => changed += 1,
            Err(e) if setting.required && path.exists() => {
                return Err(format!("{}: {e}", path.display()));
            }
            Err(_) => {}
        }
    }
    Ok(changed)
}

/// A port that was the LAN's takes advertisements again, as a WAN does.
pub fn begin_anew(wan: &str) {
    for key in ["accept_ra", "autoconf"] {
        // Without IPv6 there is nothing to be set.
        let _ = fs::write(format!("{ROOT}/ipv6/conf/{wan}/{key}"), "1");
    }
}

fn interfaces() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for family in ["ipv4", "ipv6"] {
        let Ok(entries) = fs::read_dir(format!("{ROOT}/{family}/conf")) else {
            continue;
        };
        found.extend(
            entries
                .flatten()
                .filter_map(|entry| entry.file_name().into_string().ok()),
        );
    }
    found.retain(|name| name != "all" && name != "default");
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarding_is_off_everywhere_after_the_global_switch() {
        let interfaces = ["lo".to_owned(), "usb0".to_owned()].into();
        let plan = plan(&Config::default(), &interfaces);
        assert_eq!(plan[0].path, "ipv4/ip_forward");
        for family in ["ipv4", "ipv6"] {
            for dev in ["all", "default", "lo", "usb0"] {
                let path = format!("{family}/conf/{dev}/forwarding");
                assert!(
                    plan.iter()
                        .any(|s| s.path == path && s.value == "0" && s.required)
                );
            }
        }
        let lan = |key: &str| {
            plan.iter()
                .any(|s| s.path == format!("ipv6/conf/lan0/{key}"))
        };
        assert!(lan("accept_ra"));
        assert!(!plan.iter().any(|s| s.path == "ipv6/conf/wan0/accept_ra"));
    }
}
