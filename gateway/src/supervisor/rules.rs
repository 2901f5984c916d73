//! The packet rules as text for `nft`, made from the configuration by a pure function.
//!
//! Everything is dropped unless named. LAN packets are judged in prerouting, because the forward
//! hook sees nothing while forwarding is off; by interface, source and destination, because a
//! packet of a closed or handed-over socket has no user. On the WAN only the router's user may
//! begin anything. A hook behind all others lets nothing out of the WAN that does not carry its
//! address, not even from raw sockets. LAN traffic is never tracked.

mod counters;
mod lan;
mod wan;

pub use counters::{NAMES as COUNTERS, count, meanings};
pub use lan::arp;

use crate::config::Config;
use crate::handover::Secrets;
use crate::supervisor::wan::WanAddresses;
use ipnet::Ipv6Net;
use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr};

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
\tcounter bridged { }
\tchain fw { type filter hook forward priority filter; policy drop; counter name bridged drop; }
}
";

/// Different LAN sources of one family that are listened to within [`SOURCE_TIME`]; further ones
/// are dropped. Each costs an entry of the kernel's neighbour table, which holds 1,024 for all
/// interfaces: a client that makes up sources must not push the WAN's next hop out.
const SOURCES: u32 = 512;
const SOURCE_TIME: &str = "2m";

/// MACs whose rates are remembered; those of further ones are not limited.
const MACS: u32 = 1024;

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

/// Who may begin something on the WAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uids {
    /// The router: anything.
    pub router: u32,
    /// The DHCP client: its questions. Where the WAN is not configured by DHCP there is none.
    pub dhcp: Option<u32>,
    /// The client of time servers: its questions to these. Where the clock is not kept here there
    /// is none.
    pub clock: Option<u32>,
}

/// The rules. The virtual /48 is one of the secrets.
#[must_use]
pub fn generate(
    config: &Config,
    secrets: &Secrets,
    uids: Uids,
    wan: &WanAddresses,
    times: &[IpAddr],
) -> String {
    let names = Names::new(config, secrets, uids, wan, times);
    let mut out = String::from(
        "table inet ramson {}\ndelete table inet ramson\n\
         table netdev ramson {}\ndelete table netdev ramson\ntable inet ramson {\n",
    );
    for (counter, _) in COUNTERS {
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
    for set in ["newcomers", "flood", "askers"] {
        let bound = format!("size {MACS}; flags dynamic, timeout; timeout {SOURCE_TIME}");
        line(
            &mut out,
            1,
            &format!("set {set} {{ type ether_addr; {bound}; }}"),
        );
    }
    for (chain, rules) in [
        ("pre", pre(&names)),
        ("lan_in", lan::lan_in(&names)),
        ("lan_known", lan::lan_known(&names)),
        ("wan_in", wan::wan_in(&names)),
        ("in", wan::input(&names)),
        ("fw", forward()),
        ("oraw", output_raw(&names)),
        ("out", output(&names)),
        ("lan_out", lan::lan_out(&names)),
        ("wan_out", wan::wan_out(&names)),
    ] {
        block(&mut out, chain, &rules);
    }
    out.push_str("}\ntable netdev ramson {\n");
    line(&mut out, 1, "counter wan_exit { }");
    block(&mut out, "wan", &wan::egress(&names, wan));
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
    uids: Uids,
    /// Time servers that may be asked.
    times: Vec<IpAddr>,
    /// MACs of the LAN's and of the WAN's port.
    ports: [Option<String>; 2],
    /// The hardware address in our own DHCP questions.
    asker: String,
}

impl Names {
    fn new(
        config: &Config,
        secrets: &Secrets,
        uids: Uids,
        wan: &WanAddresses,
        times: &[IpAddr],
    ) -> Self {
        let lan = config.lan.address;
        let mut octets = [0; 16];
        octets[..6].copy_from_slice(&secrets.prefix6);
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
            uids,
            times: times.to_vec(),
            ports: wan.ports.map(|mac| mac.map(mac_text)),
            asker: secrets.asker().map(|byte| format!("{byte:02x}")).concat(),
        }
    }

    /// Sources and destinations of clients in IPv6.
    fn clients6(&self) -> String {
        self.v6.as_ref().map_or("fe80::/10".into(), |(lan, _)| {
            format!("{{ {lan}, fe80::/10 }}")
        })
    }
}

fn mac_text([a, b, c, d, e, f]: [u8; 6]) -> String {
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

/// What one port says does not come in by the other, unless both are in one network.
fn own_frames(mac: Option<&String>) -> Option<String> {
    Some(format!("ether saddr {} counter name both_ports drop", mac?))
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

fn forward() -> Vec<String> {
    vec![
        hook("forward", "filter", "drop"),
        "counter name forwarded drop".into(),
    ]
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

#[cfg(test)]
mod tests;
