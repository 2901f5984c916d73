//! The text of `routerd status`: one `key: value` a line.

use crate::link_loop::LinkStatus;
use ramson_proto::router::own_info::VERSION;
use ramson_proto::router::snapshot::Snapshot;
use std::fmt::Write as _;

/// The whole text.
#[must_use]
pub fn text(s: &Snapshot, links: &LinkStatus, dropped: u64) -> String {
    let mut t = String::with_capacity(2048);
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        // Writing to a string does not fail.
        let _ = writeln!(t, "{key}: {value}");
    };
    line("version", &env!("CARGO_PKG_VERSION"));
    line("router.version", &VERSION);
    line("uptime_seconds", &s.uptime_secs);
    line("peers", &s.peers);
    line("netdb.routers", &s.routers);
    line("netdb.floodfills", &s.floodfills);
    line("netdb.lease_sets", &s.lease_sets);
    line("names", &s.names);
    line("destinations", &s.destinations);
    line("destinations.ready", &s.destinations_ready);
    line("streams", &s.streams);
    line("messages.new_sessions", &s.messages.new_sessions);
    line("messages.sent", &s.messages.messages);
    line("messages.unopened", &s.messages.unopened);
    line("messages.overflowed", &s.messages.overflowed);
    line("paths.failed", &s.messages.paths_failed);
    line("packets.received", &s.packets.received);
    line("packets.sent", &s.packets.sent);
    line("packets.resent", &s.packets.resent);
    line("packets.duplicates", &s.packets.duplicates);
    line("packets.overflows", &s.packets.overflows);
    line(
        "packets.refused",
        &(s.packets.bad + s.packets.bad_signatures + s.packets.refused),
    );
    line("packets.strays", &s.packets.strays);
    for p in &s.tunnels.pools {
        let name = if p.id.0 == 0 {
            "exploratory".to_owned()
        } else {
            p.id.0.to_string()
        };
        for (way, c) in [("inbound", p.inbound), ("outbound", p.outbound)] {
            let text = format!(
                "{} of {}, {} building, {} failing",
                c.up, c.wanted, c.building, c.failing
            );
            line(&format!("tunnels.{name}.{way}"), &text);
        }
    }
    let b = &s.tunnels;
    let refused: u64 = b.refused.values().sum();
    let all = b.built + b.timeouts + refused + b.bad_replies;
    line(
        "builds.success_percent",
        &(b.built * 100).checked_div(all).unwrap_or(0),
    );
    line("builds.succeeded", &b.built);
    line("builds.timed_out", &b.timeouts);
    for (code, n) in &b.refused {
        line(&format!("builds.refused.{code}"), n);
    }
    line("builds.bad_replies", &b.bad_replies);
    line("builds.no_hops", &b.no_hops);
    line("tests.passed", &b.tests_passed);
    line("tests.lost", &b.tests_lost);
    line("transit.accepted", &s.transit_accepted);
    line("transit.refused", &s.transit_refused);
    let shard = &links.shard;
    line(
        "transit.tunnels",
        &(shard.participants + shard.gateways + shard.endpoints),
    );
    line("bandwidth.received_bytes", &links.links.bytes_in);
    line("bandwidth.sent_bytes", &links.links.bytes_out);
    line("bandwidth.transit_bytes", &shard.bytes_sent);
    line("links.inbound", &links.links.inbound);
    line("links.outbound", &links.links.outbound);
    line(
        "links.failed",
        &(links.links.failed_in + links.links.failed_out),
    );
    line("dropped.messages", &s.dropped);
    line("dropped.queues", &dropped);
    line("dropped.events", &links.events_dropped);
    line("memory.rss_kbytes", &rss_kbytes());
    t
}

/// Resident memory of this process in KiB; 0 where the kernel does not say.
fn rss_kbytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    line.trim()
        .split(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}
