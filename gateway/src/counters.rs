//! What `gatewayd` did and refused, by reason.

use std::cell::Cell;

/// What is counted. The names are the lines of the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// DNS questions answered.
    Questions,
    /// Questions of sources that nobody answers for, sent to TCP or dropped.
    Unproven,
    /// Questions above a client's rate.
    TooOften,
    /// Questions for which no virtual address was free.
    NoAddress,
    /// DNS connections above a client's share, or above all.
    DnsConnections,
    /// DHCP messages answered.
    DhcpAnswers,
    /// DHCP messages that could not be read.
    DhcpMalformed,
    /// DHCP messages above a device's rate.
    DhcpTooOften,
    /// Router advertisements sent, besides answers to neighbours.
    RouterAdvertisements,
    /// Connections to the gateway's own page that a client gave up for newer ones, or that were
    /// refused.
    PageShare,
    /// Streams opened.
    Opened,
    /// Connections to a virtual address that stands for no name.
    NoName,
    /// Connections above a client's share.
    Share,
    /// Connections when nothing was left.
    Full,
    /// Idle streams ended for a client that had none.
    Displaced,
    /// The router refused the stream.
    Refused,
    /// The router was not there, or broke off before its answer.
    RouterGone,
    /// The router's answer was no answer.
    RouterNonsense,
    /// The router did not answer in time.
    RouterSilent,
}

/// All of them with their names, in the order of the wire.
const NAMES: [(Count, &str); 19] = [
    (Count::Questions, "dns questions"),
    (Count::Unproven, "dns refused, source unknown"),
    (Count::TooOften, "dns refused, too often"),
    (Count::NoAddress, "dns refused, no address free"),
    (Count::DnsConnections, "dns refused, connections"),
    (Count::DhcpAnswers, "dhcp answers"),
    (Count::DhcpMalformed, "dhcp refused, malformed"),
    (Count::DhcpTooOften, "dhcp refused, too often"),
    (Count::RouterAdvertisements, "router advertisements"),
    (Count::PageShare, "own page ended, connections"),
    (Count::Opened, "streams opened"),
    (Count::NoName, "streams refused, no name"),
    (Count::Share, "streams refused, share of the client"),
    (Count::Full, "streams refused, full"),
    (Count::Displaced, "streams ended, idle"),
    (Count::Refused, "streams refused, by the router"),
    (Count::RouterGone, "streams refused, router gone"),
    (
        Count::RouterNonsense,
        "streams refused, router answers nonsense",
    ),
    (Count::RouterSilent, "streams refused, router silent"),
];

/// Counters since the start of the process.
#[derive(Debug, Default)]
pub struct Counters([Cell<u64>; NAMES.len()]);

impl Counters {
    /// One more.
    pub fn add(&self, what: Count) {
        for ((count, _), cell) in NAMES.iter().zip(&self.0) {
            if *count == what {
                cell.set(cell.get() + 1);
            }
        }
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, what: Count) -> u64 {
        let mut all = NAMES.iter().zip(&self.0);
        let cell = all.find_map(|((count, _), cell)| (*count == what).then_some(cell));
        cell.map_or(0, Cell::get)
    }

    /// All together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.0.iter().map(Cell::get).sum()
    }

    /// Lines `name: number`.
    #[must_use]
    pub fn to_text(&self) -> String {
        let all = NAMES.iter().zip(&self.0);
        all.map(|((_, name), cell)| format!("{name}: {}\n", cell.get()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_their_names() {
        let counters = Counters::default();
        counters.add(Count::NoName);
        counters.add(Count::RouterSilent);
        counters.add(Count::RouterSilent);
        let text = counters.to_text();
        assert_eq!(text.lines().count(), NAMES.len());
        for line in [
            "streams refused, no name: 1",
            "streams refused, router silent: 2",
            "dns questions: 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{text}");
        }
        assert_eq!((counters.sum(), counters.get(Count::RouterSilent)), (3, 2));
    }
}
