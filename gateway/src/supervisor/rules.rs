//! The packet rules as text for `nft`, made from the configuration by a pure function.
//!
//! Everything is dropped unless named. LAN packets are judged in prerouting, because the forward
//! hook sees nothing while forwarding is off; by interface, source and destination, because a
//! packet of a closed or handed-over socket has no user. On the WAN only the router's user may
//! begin anything. A hook behind all others lets nothing out of the WAN that does not carry its
//! address, not even from raw sockets. LAN traffic is never tracked.

use crate::config::Config;
use crate::supervisor::wan::WanAddresses;
use ipnet::Ipv6Net;
use std::fmt::Write;
use std::net::Ipv6Addr;

/// Mark of packets that belong to transparent sockets; routed to the box itself.
pub const MARK: u32 = 1;

/// Refuses everything in place of the rules.
pub const LOCKDOWN: &str = "\
table inet ramson {}
delete table inet ramson
table inet ramson {
\tchain pre { type filter hook prerouting priority raw; policy drop; iifname lo accept; }
\tchain fw { type filter hook forward priority filter; policy drop; }
\tchain out { type filter hook output priority filter; policy drop; oifname lo accept; }
}
";

/// Ports of a bridge skip the rules of the IP families: nothing crosses a bridge. Loaded apart,
/// for not every kernel has it.
pub const BRIDGE: &str = "\
table bridge ramson {}
delete table bridge ramson
table bridge ramson {
\tchain fw { type filter hook forward priority filter; policy drop; }
}
";

/// Different LAN sources of one family that are listened to within [`SOURCE_TIME`]; further ones
/// are dropped. Each costs an entry of the kernel's neighbour table, which holds 1,024 for all
/// interfaces: a client that makes up sources must not push the WAN's next hop out.
const SOURCES: u32 = 512;
const SOURCE_TIME: &str = "2m";

/// New sources of one MAC: a device with many addresses, or a repeater with many devices, gets
/// them; who makes up sources leaves most of [`SOURCES`] to others.
const NEW_SOURCES: &str = "limit rate over 32/minute burst 64 packets";

/// Datagrams and new connections of one MAC: more are dropped before anybody has work with them.
const FLOOD: &str = "limit rate over 300/second burst 600 packets";

/// Answers of other DHCP servers: enough to learn that there is one.
const DHCP_ANSWERS: &str = "limit rate 20/second burst 40 packets";

/// Questions for a router, of all clients together.
const SOLICITATIONS: &str = "limit rate 50/second burst 100 packets";

/// Resets that a client gets from virtual addresses: above that they are dropped, so that whoever
/// tries them out does not learn which of them stand for nothing.
const RESETS: &str = "limit rate over 20/second burst 40 packets";

/// MACs whose rates are remembered; those of further ones are not limited.
const MACS: u32 = 1024;

/// ARP skips the rules of the IP families, and its senders, too, fill a neighbour table. Loaded
/// apart, for not every kernel has it.
#[must_use]
pub fn arp(config: &Config) -> String {
    let (lan, net) = (&config.lan.interface, config.lan.address.trunc());
    format!(
        "table arp ramson {{}}\ndelete table arp ramson\ntable arp ramson {{\n\
         \tchain in {{ type filter hook input priority filter; policy accept; \
         iifname \"{lan}\" arp saddr ip != {{ 0.0.0.0, {net} }} drop; }}\n}}\n"
    )
}

/// Takes all tables away.
pub const REMOVE: &str = "\
table arp ramson {}
delete table arp ramson
table inet ramson {}
delete table inet ramson
table netdev ramson {}
delete table netdev ramson
table bridge ramson {}
delete table bridge ramson
";

/// The rules. `prefix6` is the virtual /48, `router_uid` who may begin connections on the WAN.
#[must_use]
pub fn generate(config: &Config, prefix6: &[u8; 6], router_uid: u32, wan: &WanAddresses) -> String {
    let names = Names::new(config, prefix6, router_uid);
    let mut out = String::from(
        "table inet ramson {}\ndelete table inet ramson\n\
         table netdev ramson {}\ndelete table netdev ramson\ntable inet ramson {\n",
    );
    for counter in [
        "lan_spoof",
        "lan_flood",
        "lan_refused",
        "lan_silent",
        "other_if",
        "out_other",
    ] {
        line(&mut out, 1, &format!("counter {counter} {{ }}"));
    }
    for (set, kind) in [("sources4", "ipv4_addr"), ("sources6", "ipv6_addr")] {
        let bound = format!("size {SOURCES}; flags dynamic, timeout; timeout {SOURCE_TIME}");
        line(
            &mut out,
            1,
            &format!("set {set} {{ type {kind}; {bound}; }}"),
        );
    }
    for (set, kind) in [("resets4", "ipv4_addr"), ("resets6", "ipv6_addr")] {
        let bound = format!("size {MACS}; flags dynamic, timeout; timeout {SOURCE_TIME}");
        line(
            &mut out,
            1,
            &format!("set {set} {{ type {kind}; {bound}; }}"),
        );
    }
    for set in ["newcomers", "flood"] {
        let bound = format!("size {MACS}; flags dynamic, timeout; timeout {SOURCE_TIME}");
        line(
            &mut out,
            1,
            &format!("set {set} {{ type ether_addr; {bound}; }}"),
        );
    }
    for (chain, rules) in [
        ("pre", pre(&names)),
        ("lan_in", lan_in(&names)),
        ("lan_known", lan_known(&names)),
        ("wan_in", wan_in(&names)),
        ("in", input(&names)),
        ("fw", forward()),
        ("oraw", output_raw(&names)),
        ("out", output(&names)),
        ("lan_out", lan_out(&names)),
        ("wan_out", wan_out(&names)),
    ] {
        block(&mut out, chain, &rules);
    }
    out.push_str("}\ntable netdev ramson {\n");
    block(&mut out, "wan", &egress(&names, wan));
    out.push_str("}\n");
    out
}

/// Compares what `nft list ruleset` says with what must be there.
///
/// # Errors
/// Names the base chain that is missing or open.
pub fn verify(listing: &str, config: &Config) -> Result<(), String> {
    let wan = &config.wan.interface;
    let egress = format!("hook egress device \"{wan}\" priority filter; policy drop;");
    let expected = [
        ("inet", "hook prerouting priority raw; policy drop;"),
        ("inet", "hook input priority filter; policy drop;"),
        ("inet", "hook forward priority filter; policy drop;"),
        ("inet", "hook output priority raw; policy accept;"),
        ("inet", "hook output priority filter; policy drop;"),
        ("netdev", egress.as_str()),
    ];
    for (family, hook) in expected {
        let header = format!("{family} ramson {{");
        let table = listing
            .split("\ntable ")
            .find_map(|table| table.trim_start_matches("table ").strip_prefix(&header));
        let there = table.is_some_and(|table| {
            table.lines().any(|l| {
                l.trim()
                    .strip_prefix("type filter ")
                    .is_some_and(|l| l == hook)
            })
        });
        if !there {
            return Err(format!("the rules were loaded but {family} lacks: {hook}"));
        }
    }
    Ok(())
}

/// The words rules are made of.
struct Names {
    lan: String,
    wan: String,
    net4: String,
    own4: String,
    /// Addresses no client can have: network, the gateway's own, broadcast.
    not_clients: String,
    virtual4: String,
    own6: Option<String>,
    /// LAN prefix and virtual /48, when the LAN has IPv6.
    v6: Option<(String, String)>,
    port: u16,
    router_port: u16,
    router_uid: u32,
}

impl Names {
    fn new(config: &Config, prefix6: &[u8; 6], router_uid: u32) -> Self {
        let lan = config.lan.address;
        let mut octets = [0; 16];
        octets[..6].copy_from_slice(prefix6);
        let virtual6 = Ipv6Net::new_assert(Ipv6Addr::from(octets), 48);
        Self {
            lan: format!("\"{}\"", config.lan.interface),
            wan: format!("\"{}\"", config.wan.interface),
            net4: lan.trunc().to_string(),
            own4: lan.addr().to_string(),
            not_clients: format!("{}, {}, {}", lan.network(), lan.addr(), lan.broadcast()),
            virtual4: config.vip.v4.to_string(),
            own6: config.lan.address6.map(|net| net.addr().to_string()),
            v6: config
                .lan
                .address6
                .map(|lan6| (lan6.trunc().to_string(), virtual6.to_string())),
            port: config.lan.port,
            router_port: config.wan.router_port,
            router_uid,
        }
    }

    /// Sources and destinations of clients in IPv6.
    fn clients6(&self) -> String {
        self.v6.as_ref().map_or("fe80::/10".into(), |(lan, _)| {
            format!("{{ {lan}, fe80::/10 }}")
        })
    }
}

fn line(out: &mut String, depth: usize, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}{text}", "\t".repeat(depth));
}

fn block(out: &mut String, chain: &str, rules: &[String]) {
    line(out, 1, &format!("chain {chain} {{"));
    for rule in rules {
        line(out, 2, rule);
    }
    line(out, 1, "}");
}

fn hook(name: &str, priority: &str, policy: &str) -> String {
    format!("type filter hook {name} priority {priority}; policy {policy};")
}

fn pre(names: &Names) -> Vec<String> {
    vec![
        hook("prerouting", "raw", "drop"),
        "iifname lo accept".into(),
        format!("iifname {} jump lan_in", names.lan),
        format!("iifname {} jump wan_in", names.wan),
        "counter name other_if drop".into(),
    ]
}

/// Who may speak at all. A full set of sources makes its rule fall through. Who looks for an
/// address or a router has no source yet.
fn lan_in(names: &Names) -> Vec<String> {
    let nd = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }";
    let flood = format!("update @flood {{ ether saddr {FLOOD} }} counter name lan_flood drop");
    let own4 = &names.own4;
    vec![
        "notrack".into(),
        format!("{nd} ip6 hoplimit 255 ip6 saddr :: accept"),
        // Our own question, which comes back as all that is sent to everybody.
        format!("ip saddr {own4} udp sport 68 udp dport 67 drop"),
        format!("udp dport {{ 67, 547 }} {flood}"),
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
    ]
}

/// What those may say.
fn lan_known(names: &Names) -> Vec<String> {
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

fn wan_in(names: &Names) -> Vec<String> {
    let (v4, net4) = (&names.virtual4, &names.net4);
    let mut rules = vec![
        format!("ip saddr {{ {v4}, {net4} }} counter drop"),
        format!("ip daddr {{ {v4}, {net4} }} counter drop"),
    ];
    if let Some((lan6, virtual6)) = &names.v6 {
        rules.push(format!("ip6 saddr {{ {virtual6}, {lan6} }} counter drop"));
        rules.push(format!("ip6 daddr {{ {virtual6}, {lan6} }} counter drop"));
    }
    rules.push("accept".into());
    rules
}

fn input(names: &Names) -> Vec<String> {
    let wan = &names.wan;
    let nd = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert }";
    vec![
        hook("input", "filter", "drop"),
        "iifname lo accept".into(),
        format!("iifname {} accept comment \"judged in lan_in\"", names.lan),
        format!("iifname {wan} {nd} ip6 hoplimit 255 accept"),
        format!("iifname {wan} ct state established,related accept"),
        format!(
            "iifname {wan} fib daddr . iif type local tcp dport {} accept",
            names.router_port
        ),
        "counter drop".into(),
    ]
}

fn forward() -> Vec<String> {
    vec![hook("forward", "filter", "drop"), "counter drop".into()]
}

fn output_raw(names: &Names) -> Vec<String> {
    vec![
        hook("output", "raw", "accept"),
        format!("oifname {} notrack", names.lan),
    ]
}

fn output(names: &Names) -> Vec<String> {
    vec![
        hook("output", "filter", "drop"),
        "oifname lo accept".into(),
        format!("oifname {} jump lan_out", names.lan),
        format!("oifname {} jump wan_out", names.wan),
        "counter name out_other drop".into(),
    ]
}

/// Streams come from virtual addresses, DNS answers and refusals from whatever was asked.
fn lan_out(names: &Names) -> Vec<String> {
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

fn wan_out(names: &Names) -> Vec<String> {
    let nd = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit }";
    vec![
        "ct state established,related accept".into(),
        format!("ct state new meta skuid {} accept", names.router_uid),
        format!("{nd} accept"),
        "counter name out_other drop".into(),
    ]
}

fn egress(names: &Names, wan: &WanAddresses) -> Vec<String> {
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
    rules.push("counter".into());
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: [u8; 6] = [0xfc, 0x42, 0x42, 0x42, 0x42, 0x42];

    fn check(name: &str, text: &str, golden: &str) {
        assert!(
            text == golden,
            "{name} differs from the golden file; it is now:\n{text}"
        );
    }

    #[test]
    fn rules_equal_the_golden_files() {
        let text = "[lan]\naddress6 = \"fd77:1::1/64\"";
        let wan = WanAddresses {
            index: 2,
            v4: ["203.0.113.2/24".parse().unwrap()].into(),
            v6: ["2001:db8:1::2/64".parse().unwrap()].into(),
        };
        let both = generate(&Config::parse(text).unwrap(), &PREFIX, 1002, &wan);
        check("both", &both, include_str!("../../tests/golden/both.nft"));
        let v4 = generate(&Config::default(), &PREFIX, 1002, &WanAddresses::default());
        check("v4", &v4, include_str!("../../tests/golden/v4.nft"));
        assert!(!v4.contains("fc42"));
    }

    #[test]
    fn verify_wants_each_base_chain_in_its_table() {
        let config = Config::default();
        let good = "\
table inet ramson {
	chain pre {
		type filter hook prerouting priority raw; policy drop;
	}
	chain in {
		type filter hook input priority filter; policy drop;
	}
	chain fw {
		type filter hook forward priority filter; policy drop;
	}
	chain oraw {
		type filter hook output priority raw; policy accept;
	}
	chain out {
		type filter hook output priority filter; policy drop;
	}
}
table netdev ramson {
	chain wan {
		type filter hook egress device \"wan0\" priority filter; policy drop;
	}
}
";
        assert_eq!(verify(good, &config), Ok(()));
        assert_eq!(
            verify(&format!("table ip x {{\n}}\n{good}"), &config),
            Ok(())
        );
        assert!(verify("", &config).is_err());
        assert!(verify(&good.replace("netdev ramson", "netdev other"), &config).is_err());
        for hook in ["prerouting", "input", "forward", "egress"] {
            let n = good.find(hook).unwrap();
            let (head, tail) = good.split_at(n);
            let open = format!("{head}{}", tail.replacen("drop", "accept", 1));
            assert!(verify(&open, &config).is_err(), "{hook}");
        }
    }
}
