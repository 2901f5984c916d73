//! The text of `routerd status`: one `key: value` a line.

use crate::link_loop::LinkStatus;
use crate::servers::Table;
use ramson_proto::router::own_info::VERSION;
use ramson_proto::router::snapshot::Snapshot;
use ramson_proto::tunnel::TunnelStats;
use std::fmt::{Display, Write as _};
use std::sync::atomic::Ordering::Relaxed;

/// What the shell knows of itself.
#[derive(Clone, Debug, Default)]
pub struct ShellStatus {
    /// Records and messages that found a queue full.
    pub dropped: u64,
    /// How the database is.
    pub store: String,
    /// What keeps the reseed file from being read, if anything does.
    pub waiting: Option<String>,
    /// What reseed hosts said the last time.
    pub reseed: Option<String>,
    /// The servers in force.
    pub servers: Table,
}

/// The whole text.
#[must_use]
pub fn text(s: &Snapshot, links: &LinkStatus, shell: &ShellStatus) -> String {
    let mut t = Text(String::with_capacity(2048));
    t.line("version", env!("CARGO_PKG_VERSION"));
    t.line("router.version", VERSION);
    t.line("uptime_seconds", s.uptime_secs);
    clock(&mut t, s);
    t.line("peers", s.peers);
    t.line("netdb.routers", s.routers);
    t.line("netdb.floodfills", s.floodfills);
    t.line("netdb.lease_sets", s.lease_sets);
    t.line("netdb.refused", s.netdb_refused);
    t.line("netdb.published", u8::from(s.published));
    t.line("netdb.store", &shell.store);
    if let Some(why) = &shell.waiting {
        t.line("seeds.waiting", why);
    }
    if let Some(said) = &shell.reseed {
        t.line("seeds.https", said);
    }
    t.line("names", s.names);
    destinations(&mut t, s);
    servers(&mut t, s, &shell.servers);
    tunnels(&mut t, &s.tunnels);
    transit(&mut t, s, links);
    bandwidth(&mut t, links);
    t.line("dropped.messages", s.dropped);
    t.line("dropped.wrong_way", s.wrong_way);
    t.line("dropped.queues", shell.dropped);
    t.line("dropped.events", links.events_dropped);
    t.line("memory.rss_kbytes", rss_kbytes());
    t.0
}

struct Text(String);

impl Text {
    fn line(&mut self, key: &str, value: impl Display) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{key}: {value}");
    }
}

fn clock(t: &mut Text, s: &Snapshot) {
    let c = &s.clock;
    let advice = c.advice().unwrap_or_else(|| "ok".to_owned());
    t.line("clock", advice);
    let skew = c
        .skew_secs
        .map_or_else(|| "unknown".to_owned(), |s| s.to_string());
    t.line("clock.skew_seconds", skew);
    t.line("clock.peers", c.peers);
    t.line("clock.jumps", c.jumps);
}

fn destinations(t: &mut Text, s: &Snapshot) {
    t.line("destinations", s.destinations);
    t.line("destinations.ready", s.destinations_ready);
    t.line("streams", s.streams);
    t.line("messages.new_sessions", s.messages.new_sessions);
    t.line("messages.sent", s.messages.messages);
    t.line("messages.unopened", s.messages.unopened);
    t.line("messages.overflowed", s.messages.overflowed);
    t.line("messages.metered", s.messages.metered);
    t.line("paths.failed", s.messages.paths_failed);
    t.line("sessions.doubted", s.messages.doubted);
    let p = &s.packets;
    t.line("streams.stalled", p.stalled);
    t.line("streams.recovered", p.recovered);
    t.line("streams.ended.closed", p.ended.closed);
    t.line("streams.ended.peer_reset", p.ended.peer);
    t.line("streams.ended.no_answer", p.ended.no_answer);
    t.line("streams.ended.timeout", p.ended.timeout);
    t.line("streams.ended.protocol", p.ended.protocol);
    t.line("streams.ended.local", p.ended.local);
    t.line("packets.received", p.received);
    t.line("packets.sent", p.sent);
    t.line("packets.resent", p.resent);
    t.line("packets.duplicates", p.duplicates);
    t.line("packets.overflows", p.overflows);
    t.line("packets.refused", p.bad + p.bad_signatures + p.refused);
    t.line("packets.strays", p.strays);
}

fn servers(t: &mut Text, s: &Snapshot, table: &Table) {
    t.line("servers", table.len());
    for (dest, running) in table.iter() {
        let view = s.served.iter().find(|v| v.dest == *dest);
        let visits = &running.visits;
        let key = |what: &str| format!("servers.{}.{what}", running.server.name);
        t.line(&key("b32"), dest.b32());
        t.line(
            &key("published"),
            u8::from(view.is_some_and(|v| v.published)),
        );
        t.line(&key("leases"), view.map_or(0, |v| v.leases));
        t.line(&key("streams"), visits.streams.load(Relaxed));
        t.line(&key("accepted"), visits.accepted.load(Relaxed));
        t.line(&key("refused"), visits.refused.load(Relaxed));
        t.line(&key("unanswered"), visits.unanswered.load(Relaxed));
    }
}

fn tunnels(t: &mut Text, s: &TunnelStats) {
    for p in &s.pools {
        let exploratory = p.id.0 == 0;
        let name = if exploratory {
            "exploratory".to_owned()
        } else {
            p.id.0.to_string()
        };
        for (way, c) in [("inbound", p.inbound), ("outbound", p.outbound)] {
            let (up, wanted, building, failing) = (c.up, c.wanted, c.building, c.failing);
            let text = format!("{up} of {wanted}, {building} building, {failing} failing");
            t.line(&format!("tunnels.{name}.{way}"), text);
        }
    }
    let refused: u64 = s.refused.values().sum();
    let all = s.built + s.timeouts + refused + s.bad_replies;
    t.line(
        "builds.success_percent",
        (s.built * 100).checked_div(all).unwrap_or(0),
    );
    t.line("builds.succeeded", s.built);
    t.line("builds.timed_out", s.timeouts);
    for (code, n) in &s.refused {
        t.line(&format!("builds.refused.{code}"), n);
    }
    t.line("builds.bad_replies", s.bad_replies);
    t.line("builds.no_hops", s.no_hops);
    t.line("tests.passed", s.tests_passed);
    t.line("tests.lost", s.tests_lost);
}

fn transit(t: &mut Text, s: &Snapshot, status: &LinkStatus) {
    let shard = &status.shard;
    t.line("transit.accepted", s.transit_accepted);
    t.line("transit.accepted_long", s.transit_long);
    t.line("transit.refused", s.transit_refused);
    t.line("transit.busy", u8::from(s.transit_busy));
    t.line("transit.tunnels", shard.hops());
    t.line("transit.gateways", shard.gateways);
    t.line("transit.participants", shard.participants);
    t.line("transit.endpoints", shard.endpoints);
    t.line("transit.not_installed", shard.not_installed);
    t.line("transit.dropped", shard.drops.total());
    t.line("transit.dropped.limit", shard.drops.limit);
    t.line("transit.dropped.share", shard.drops.share);
    t.line("transit.dropped.expired", shard.drops.expired);
}

fn bandwidth(t: &mut Text, status: &LinkStatus) {
    let (links, shard) = (&status.links, &status.shard);
    t.line("bandwidth.received_bytes", links.bytes_in);
    t.line("bandwidth.sent_bytes", links.bytes_out);
    t.line("bandwidth.transit_bytes", shard.bytes_sent);
    t.line("links.inbound", links.inbound);
    t.line("links.outbound", links.outbound);
    t.line("links.failed", links.failed_in + links.failed_out);
    t.line("links.refused", links.refused);
    t.line("links.flooded", links.flooded);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_streams_ended_is_shown() {
        let mut s = Snapshot::default();
        let p = &mut s.packets;
        (p.stalled, p.recovered, p.ended.timeout) = (3, 2, 1);
        let text = text(&s, &LinkStatus::default(), &ShellStatus::default());
        for line in [
            "streams.stalled: 3",
            "streams.recovered: 2",
            "streams.ended.timeout: 1",
            "streams.ended.no_answer: 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}");
        }
    }
}
