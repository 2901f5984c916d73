//! Rules of the LAN: who may speak, what those may say, what they are answered.

use super::{MARK, Names, own_frames};
use crate::config::Config;

/// New sources of one MAC: a device with many addresses, or a repeater with many devices, gets
/// them; who makes up sources leaves most of [`SOURCES`] to others.
const NEW_SOURCES: &str = "limit rate over 32/minute burst 64 packets";

/// Datagrams and new connections of one MAC: more are dropped before anybody has work with them.
const FLOOD: &str = "limit rate over 300/second burst 600 packets";

/// Questions for an address or a router of one MAC: what they say of themselves is no matter, and
/// all together are answered a hundred times a second.
const ASKS: &str = "limit rate over 10/second burst 30 packets";

/// Answers of other DHCP servers: enough to learn that there is one.
const DHCP_ANSWERS: &str = "limit rate 20/second burst 40 packets";

/// Questions for a router, of all clients together.
const SOLICITATIONS: &str = "limit rate 50/second burst 100 packets";

/// Resets that a client gets from virtual addresses: above that they are dropped, so that whoever
/// tries them out does not learn which of them stand for nothing.
const RESETS: &str = "limit rate over 20/second burst 40 packets";

/// Who may speak at all. A full set of sources makes its rule fall through. Who looks for an
/// address or a router has no source yet.
pub(super) fn lan_in(names: &Names) -> Vec<String> {
    let nd = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }";
    let askers = format!("update @askers {{ ether saddr {ASKS} }} counter name lan_flood drop");
    let own4 = &names.own4;
    let mut rules: Vec<_> = own_frames(names.ports[1].as_ref()).into_iter().collect();
    rules.extend([
        "notrack".into(),
        format!("{nd} ip6 hoplimit 255 ip6 saddr :: accept"),
        // Our own question, which comes back as all that is sent to everybody.
        format!("ip saddr {own4} udp sport 68 udp dport 67 drop"),
        format!("udp dport {{ 67, 547 }} {askers}"),
        format!("icmpv6 type nd-router-solicit {askers}"),
        format!(
            "ip saddr {{ 0.0.0.0, {} }} ip daddr {{ 255.255.255.255, {own4} }} \
             udp sport 68 udp dport 67 accept",
            names.net4
        ),
        format!(
            "ip daddr {{ 255.255.255.255, {own4} }} udp sport 67 udp dport 68 {DHCP_ANSWERS} accept"
        ),
        "ip6 saddr fe80::/10 ip6 daddr ff02::1:2 udp sport 546 udp dport 547 accept".into(),
        format!(
            "icmpv6 type nd-router-solicit ip6 hoplimit 255 ip6 saddr {{ ::, fe80::/10 }} \
             ip6 daddr ff02::2 {SOLICITATIONS} accept"
        ),
        format!("ip saddr != {} counter name lan_spoof drop", names.net4),
        format!(
            "ip saddr {{ {} }} counter name lan_spoof drop",
            names.not_clients
        ),
        format!(
            "ip6 saddr != {} counter name lan_spoof drop",
            names.clients6()
        ),
        "ip saddr @sources4 update @sources4 { ip saddr } goto lan_known".into(),
        "ip6 saddr @sources6 update @sources6 { ip6 saddr } goto lan_known".into(),
        format!("update @newcomers {{ ether saddr {NEW_SOURCES} }} counter name lan_flood drop"),
        "update @sources4 { ip saddr } goto lan_known".into(),
        "update @sources6 { ip6 saddr } goto lan_known".into(),
        "counter name lan_spoof drop".into(),
    ]);
    rules
}

/// What those may say.
pub(super) fn lan_known(names: &Names) -> Vec<String> {
    let nd = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }";
    let flood = format!("update @flood {{ ether saddr {FLOOD} }} counter name lan_flood drop");
    let mut rules = vec![
        format!("{nd} ip6 hoplimit 255 accept"),
        format!("meta l4proto udp {flood}"),
        format!("tcp flags & (syn | ack) == syn {flood}"),
        format!(
            "ip daddr {} meta l4proto tcp tproxy ip to :{} meta mark set {MARK} accept",
            names.virtual4, names.port
        ),
    ];
    if let Some((_, virtual6)) = &names.v6 {
        let to = format!("tproxy ip6 to :{}", names.port);
        rules.push(format!(
            "ip6 daddr {virtual6} meta l4proto tcp {to} meta mark set {MARK} accept"
        ));
    }
    let page = format!(
        "tcp dport 80 tproxy ip to :{} meta mark set {MARK} accept",
        names.port
    );
    rules.push(format!("ip daddr {} {page}", names.own4));
    if let Some(own6) = &names.own6 {
        let page = page.replace("tproxy ip to", "tproxy ip6 to");
        rules.push(format!("ip6 daddr {own6} {page}"));
    }
    rules.extend([
        format!("udp dport 53 tproxy to :53 meta mark set {MARK} accept"),
        format!("tcp dport 53 tproxy to :53 meta mark set {MARK} accept"),
        format!(
            "ip daddr {} icmp type echo-request limit rate 50/second accept",
            names.own4
        ),
        "counter name lan_refused".into(),
        "meta l4proto tcp reject with tcp reset".into(),
        "limit rate 200/second burst 400 packets reject with icmpx type admin-prohibited".into(),
        "drop".into(),
    ]);
    rules
}

/// Streams come from virtual addresses, DNS answers and refusals from whatever was asked.
pub(super) fn lan_out(names: &Names) -> Vec<String> {
    let (virtual4, net4, clients6) = (&names.virtual4, &names.net4, names.clients6());
    let silent = |set, key| {
        format!(
            "tcp flags & rst == rst update @{set} {{ {key} {RESETS} }} counter name lan_silent drop"
        )
    };
    let mut rules = vec![
        format!("ip saddr {virtual4} {}", silent("resets4", "ip daddr")),
        format!("ip saddr {virtual4} ip daddr {net4} meta l4proto tcp accept"),
    ];
    if let Some((_, virtual6)) = &names.v6 {
        rules.push(format!(
            "ip6 saddr {virtual6} {}",
            silent("resets6", "ip6 daddr")
        ));
        rules.push(format!(
            "ip6 saddr {virtual6} ip6 daddr {clients6} meta l4proto tcp accept"
        ));
    }
    let own4 = &names.own4;
    rules.extend([
        "icmpv6 type nd-neighbor-solicit accept".into(),
        // The kernel's own say that this is no router; gatewayd's do not (`ra`).
        "icmpv6 type nd-neighbor-advert @th,32,1 1 accept".into(),
        "icmpv6 type nd-neighbor-advert drop".into(),
        "icmpv6 type nd-router-advert ip6 saddr fe80::/10 ip6 daddr ff02::1 accept".into(),
        "ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept".into(),
        format!("ip saddr {own4} tcp sport 80 ip daddr {net4} accept"),
        format!("ip saddr {own4} udp sport 67 udp dport 68 accept"),
        format!("ip saddr {own4} ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept"),
    ]);
    if let Some(own6) = &names.own6 {
        rules.push(format!(
            "ip6 saddr {own6} tcp sport 80 ip6 daddr {clients6} accept"
        ));
    }
    for to in [format!("ip daddr {net4}"), format!("ip6 daddr {clients6}")] {
        rules.push(format!("{to} udp sport 53 accept"));
        rules.push(format!("{to} tcp sport 53 accept"));
        rules.push(format!("{to} tcp flags & rst == rst accept"));
    }
    rules.extend([
        format!("ip daddr {net4} icmp type {{ destination-unreachable, echo-reply }} accept"),
        format!("ip6 daddr {clients6} icmpv6 type destination-unreachable accept"),
        "counter name out_other drop".into(),
    ]);
    rules
}

/// ARP skips the rules of the IP families, and its senders, too, fill a neighbour table. Loaded
/// apart, for not every kernel has it.
#[must_use]
pub fn arp(config: &Config) -> String {
    let (lan, net) = (&config.lan.interface, config.lan.address.trunc());
    format!(
        "table arp ramson {{}}\ndelete table arp ramson\ntable arp ramson {{\n\
         \tcounter lan_arp {{ }}\n\
         \tchain in {{ type filter hook input priority filter; policy accept; \
         iifname \"{lan}\" arp saddr ip != {{ 0.0.0.0, {net} }} counter name lan_arp drop; }}\n}}\n"
    )
}
