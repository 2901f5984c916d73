//! What was tried, in which state, and what came out.

use super::probes::Probe;
use std::time::Duration;

/// Rows are threats, columns states.
pub struct Table {
    rows: Vec<(String, String, Vec<String>)>,
    states: Vec<String>,
    checks: Vec<(String, String, String)>,
    leaks: usize,
}

/// Threats of the list that are looked at elsewhere, and those that come with other parts.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("3", "IPv6", "every row above is tried in both families"),
    ("10", "time", "not here yet: the box has no clock service"),
    (
        "12",
        "WAN DHCP tells the product",
        "tests/wan.rs, as far as it is there",
    ),
    (
        "13",
        "boot window",
        "row \"before start\"; the image's own boot is not here yet",
    ),
    (
        "15",
        "rules do not load",
        "tests/netns.rs: a_supervisor_that_cannot_start_locks_everything",
    ),
    (
        "21",
        "captive-portal probes",
        "tests/lan.rs: devices_stay_on_the_network…",
    ),
    ("22", "DNS rebinding", "src/web/tests.rs, tests/lan.rs"),
    (
        "23, 24",
        "requests forged by sites",
        "the box's page changes nothing; settings are not here yet",
    ),
    (
        "25",
        "slow clients of the page",
        "tests/lan.rs: only_the_page_is_open",
    ),
    (
        "27",
        "names without end",
        "src/vip/tests.rs, tests/netns.rs: flood",
    ),
    ("29", "readers that stop", "budget of flows; see README"),
    (
        "30, 31",
        "headers and foreign content",
        "router: client tests, browser.rs",
    ),
    ("32", "clients linkable", "tests/netns.rs: identities"),
    ("33", "search bar", "README"),
    (
        "34",
        "another DHCP server",
        "tests/lan.rs: another_dhcp_server…",
    ),
    (
        "36",
        "data at rest",
        "tests/netns.rs, tests/lan.rs: kept files",
    ),
    ("37, 38", "updates", "not here yet"),
];

/// LAN probes that leaked of 33 (IPv6 forwarding off / on), and the gateway's ports open to the
/// WAN of 13 (v4 / v6), of published rule sets: measured by another harness, not by this run.
const PUBLISHED: &[(&str, &str, &str)] = &[
    ("no rules", "24 / 28", "13 / 13"),
    ("TorBox 0.5.5", "0 / 4", "0 / 13"),
    ("Whonix gateway-default.nft", "0 / 0", "0 / 0"),
    ("OnionPi-router 0.5", "0 / 0", "13 / 13"),
];

impl Table {
    pub fn new(probes: &[Probe], control: &[usize]) -> Self {
        let rows = probes.iter().zip(control).map(|(probe, control)| {
            let what = format!("{} ({} frames)", probe.what, probe.frames.len());
            (probe.threat.to_owned(), what, vec![control.to_string()])
        });
        Self {
            rows: rows.collect(),
            states: vec!["no rules (control)".into()],
            checks: Vec::new(),
            leaks: 0,
        }
    }

    /// One state of the gateway, a number for each row.
    pub fn add(&mut self, state: &str, seen: &[usize]) {
        self.states.push(state.to_owned());
        self.leaks += seen.iter().sum::<usize>();
        for ((_, _, cells), n) in self.rows.iter_mut().zip(seen) {
            cells.push(n.to_string());
        }
    }

    /// One state in which all rows were tried at once.
    pub fn add_sum(&mut self, state: &str, seen: usize) {
        self.check("14", state, seen);
    }

    /// Something else that was tried, and how much came out.
    pub fn check(&mut self, threat: &str, what: &str, leaks: usize) {
        self.leaks += leaks;
        let said = format!("{leaks} leaks");
        self.checks.push((threat.to_owned(), what.to_owned(), said));
    }

    pub const fn leaks(&self) -> usize {
        self.leaks
    }

    pub fn print(&self, time: Duration) {
        println!("frames that left the box, by threat and state");
        for (n, state) in self.states.iter().enumerate() {
            println!("  column {}: {state}", n + 1);
        }
        for (threat, what, cells) in &self.rows {
            let cells: Vec<_> = cells.iter().map(|cell| format!("{cell:>4}")).collect();
            println!("{threat:>4} {what:58} {}", cells.join(""));
        }
        for (threat, what, said) in &self.checks {
            println!("{threat:>4} {what:58} {said}");
        }
        println!("elsewhere");
        for (threat, what, said) in ELSEWHERE {
            println!("{threat:>6} {what:32} {said}");
        }
        println!(
            "published rule sets, measured elsewhere: LAN probes of 33 that leak, open ports of 13"
        );
        for (name, probes, ports) in PUBLISHED {
            println!("  {name:28} {probes:10} {ports}");
        }
        println!("leaks: {} in {:.0} s", self.leaks, time.as_secs_f64());
    }
}
