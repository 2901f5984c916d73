//! What the router says of itself on its control socket, as far as the page shows it.

use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// How long the router may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// Longest status, bytes.
const STATUS_MAX: u64 = 64 * 1024;

/// Figures of the status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouterState {
    /// "ok", or what is wrong with the clock.
    pub clock: String,
    /// Routers it knows.
    pub known: u64,
    /// Routers it has a link with.
    pub peers: u64,
    /// Tunnels of its own.
    pub tunnels: u64,
    /// A client destination has tunnels.
    pub ready: bool,
    /// Tunnels built of those tried, percent.
    pub success: u64,
    /// Bytes of all links since the start.
    pub received: u64,
    /// See `received`.
    pub sent: u64,
    /// Bytes sent for others since the start.
    pub transit: u64,
    /// Seconds since the start.
    pub uptime: u64,
    /// Kilobytes of memory.
    pub memory: u64,
    /// What keeps the reseed file from being read.
    pub waiting: Option<String>,
}

impl RouterState {
    /// From the lines of the status; what is missing counts as nothing.
    #[must_use]
    pub fn parse(status: &str) -> Self {
        let mut state = Self::default();
        for line in status.lines() {
            let Some((key, value)) = line.split_once(": ") else {
                continue;
            };
            let number = || value.parse().unwrap_or(0);
            match key {
                "clock" => state.clock = value.chars().take(200).collect(),
                "netdb.routers" => state.known = number(),
                "peers" => state.peers = number(),
                "destinations.ready" => state.ready = number() > 0,
                "builds.success_percent" => state.success = number(),
                "bandwidth.received_bytes" => state.received = number(),
                "bandwidth.sent_bytes" => state.sent = number(),
                "bandwidth.transit_bytes" => state.transit = number(),
                "uptime_seconds" => state.uptime = number(),
                "memory.rss_kbytes" => state.memory = number(),
                "seeds.waiting" => state.waiting = Some(value.chars().take(200).collect()),
                _ if key.starts_with("tunnels.") => {
                    let up = value.split(' ').next().unwrap_or_default();
                    state.tunnels += up.parse::<u64>().unwrap_or(0);
                }
                _ => {}
            }
        }
        state
    }
}

/// Asks; `None` when there is no answer.
pub async fn ask(socket: &Path) -> Option<RouterState> {
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await.ok()?;
        stream.write_all(b"status\n").await.ok()?;
        let mut text = String::new();
        let mut limited = stream.take(STATUS_MAX);
        limited.read_to_string(&mut text).await.ok()?;
        let said = !text.is_empty() && !text.starts_with("error");
        said.then(|| RouterState::parse(&text))
    };
    tokio::time::timeout(PATIENCE, exchange).await.ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_taken_from_the_status() {
        let text = "version: 0.1\nclock: ok\npeers: 7\nnetdb.routers: 120\ndestinations.ready: 2\n\
                    tunnels.exploratory.inbound: 3 of 3, 0 building, 0 failing\n\
                    tunnels.5.outbound: 2 of 3, 1 building, 0 failing\n\
                    builds.success_percent: 87\nodd line\n";
        let state = RouterState::parse(text);
        let expected = RouterState {
            clock: "ok".into(),
            known: 120,
            peers: 7,
            tunnels: 5,
            ready: true,
            success: 87,
            ..RouterState::default()
        };
        assert_eq!(state, expected);
        assert!(!RouterState::parse("").ready);
    }
}
