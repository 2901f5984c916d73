//! Rules of the WAN: who may begin what, what may come back, and the last line behind all others.

use super::{Names, hook, own_frames};
use crate::supervisor::wan::WanAddresses;
use std::net::IpAddr;

/// Questions for the time to one server: more than the client ever asks, and no more than that.
const TIME: &str = "limit rate 20/hour burst 10 packets";

pub(super) fn wan_in(names: &Names) -> Vec<String> {
    let (v4, net4) = (&names.virtual4, &names.net4);
    let mut rules = Vec::new();
    if let Some(lan) = &names.ports[0] {
        // Only who hears the LAN knows the client's address in it (RFC 2131: chaddr).
        rules.push(format!(
            "ether saddr {lan} udp sport 68 udp dport 67 @th,288,48 0x{} \
             counter name both_proven drop",
            names.asker
        ));
    }
    rules.extend(own_frames(names.ports[0].as_ref()));
    if names.uids.dhcp.is_some() {
        // A server may have the LAN's prefix; that it does is how the LAN learns to make way.
        rules.push("ip daddr 255.255.255.255 udp sport 67 udp dport 68 accept".to_owned());
    }
    rules.extend([
        format!("ip saddr {{ {v4}, {net4} }} counter name wan_spoof drop"),
        format!("ip daddr {{ {v4}, {net4} }} counter name wan_spoof drop"),
    ]);
    if let Some((lan6, virtual6)) = &names.v6 {
        rules.push(format!(
            "ip6 saddr {{ {virtual6}, {lan6} }} counter name wan_spoof drop"
        ));
        rules.push(format!(
            "ip6 daddr {{ {virtual6}, {lan6} }} counter name wan_spoof drop"
        ));
    }
    rules.push("accept".into());
    rules
}

pub(super) fn input(names: &Names) -> Vec<String> {
    let wan = &names.wan;
    let nd = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert }";
    let mut rules = vec![
        hook("input", "filter", "drop"),
        "iifname lo accept".into(),
        format!("iifname {} accept comment \"judged in lan_in\"", names.lan),
        format!("iifname {wan} {nd} ip6 hoplimit 255 accept"),
        format!("iifname {wan} ct state established,related accept"),
        format!(
            "iifname {wan} fib daddr . iif type local tcp dport {} accept",
            names.router_port
        ),
    ];
    if names.uids.dhcp.is_some() {
        // Questions, ours as it comes back and others', are nothing to be counted.
        rules.push(format!("iifname {wan} udp sport 68 udp dport 67 drop"));
        // To everybody, or to an address that is not ours yet: no flow of the box.
        rules.push(format!("iifname {wan} udp sport 67 udp dport 68 accept"));
    }
    rules.push("counter name wan_refused drop".into());
    rules
}

pub(super) fn wan_out(names: &Names) -> Vec<String> {
    let nd = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit }";
    let router = names.uids.router;
    let mut rules = vec![
        "ct state established,related accept".into(),
        format!("ct state new meta skuid {router} accept"),
        format!("{nd} accept"),
    ];
    if let Some(uid) = names.uids.dhcp {
        // Without an address on the WAN the kernel would take the LAN's as the source.
        rules.push(format!(
            "meta skuid {uid} udp sport 68 udp dport 67 ip daddr 255.255.255.255 \
             ip saddr set 0.0.0.0 accept"
        ));
        rules.push(format!("meta skuid {uid} udp sport 68 udp dport 67 accept"));
    }
    if let Some(uid) = names.uids.clock {
        let ask = format!("meta skuid {uid} udp dport 123 {TIME} accept");
        rules.extend(names.times.iter().map(|server| match server {
            IpAddr::V4(v4) => format!("ip daddr {v4} {ask}"),
            IpAddr::V6(v6) => format!("ip6 daddr {v6} {ask}"),
        }));
    }
    rules.push("counter name out_other drop".into());
    rules
}

pub(super) fn egress(names: &Names, wan: &WanAddresses) -> Vec<String> {
    let list = |own: Vec<String>, always: &[&str]| {
        let all: Vec<_> = own
            .into_iter()
            .chain(always.iter().map(ToString::to_string))
            .collect();
        all.join(", ")
    };
    let own4: Vec<_> = wan.v4.iter().map(|net| net.addr().to_string()).collect();
    let own6: Vec<_> = wan.v6.iter().map(|net| net.addr().to_string()).collect();
    let mut rules = vec![format!(
        "type filter hook egress device {} priority filter; policy drop;",
        names.wan
    )];
    // Probes before an address is taken carry none; they tell nothing.
    let own4 = list(own4, &["0.0.0.0"]);
    rules.push(format!("ether type arp arp saddr ip {{ {own4} }} accept"));
    rules.push(format!("ip saddr {{ {own4} }} accept"));
    rules.push(format!(
        "ip6 saddr {{ {} }} accept",
        list(own6, &["fe80::/10", "::"])
    ));
    rules.push("counter name wan_exit drop".into());
    rules
}
