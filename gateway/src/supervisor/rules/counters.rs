//! What the rules count, and what each count means to people.

/// Counters of the rules with their meaning. They begin anew with each load of the rules.
pub const NAMES: [(&str, &str); 14] = [
    (
        "lan_spoof",
        "lan packets dropped, source that no device here can have",
    ),
    ("lan_flood", "lan packets dropped, too many of one device"),
    ("lan_refused", "lan packets refused, neither names nor I2P"),
    (
        "lan_silent",
        "lan refusals kept back, too many tries of one device",
    ),
    (
        "lan_arp",
        "lan address questions dropped, of a sender outside of the LAN",
    ),
    (
        "both_ports",
        "packets dropped, as of one port of this box at the other",
    ),
    (
        "both_proven",
        "questions of this box at one port that came in by the other",
    ),
    ("bridged", "frames dropped on their way over a bridge"),
    ("other_if", "packets dropped, of an unknown interface"),
    (
        "wan_spoof",
        "wan packets dropped, with addresses of the LAN or of sites",
    ),
    ("wan_refused", "wan packets dropped, nobody asked for them"),
    ("forwarded", "packets dropped on their way through the box"),
    (
        "out_other",
        "packets of the box dropped, by a program that may not send them",
    ),
    (
        "wan_exit",
        "packets of the box dropped at the exit, not from its own address",
    ),
];

/// Lines `meaning: packets` of what `nft list counters` says.
#[must_use]
pub fn meanings(listing: &str) -> String {
    let lines = NAMES.map(|(name, meaning)| format!("{meaning}: {}\n", count(listing, name)));
    lines.concat()
}

/// Packets of one counter.
#[must_use]
pub fn count(listing: &str, name: &str) -> u64 {
    let header = format!("counter {name} {{");
    // One that both tables have stays at zero in one of them.
    let found = listing.split(&header).skip(1).filter_map(|rest| {
        let mut words = rest.split_whitespace();
        words.find(|word| *word == "packets")?;
        words.next()?.parse::<u64>().ok()
    });
    found.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_shown_by_their_meaning() {
        let listing = "table inet ramson {\n\tcounter lan_spoof {\n\t\tpackets 12 bytes 900\n\t}\n\
                       \tcounter wan_exit {\n\t\tpackets 0 bytes 0\n\t}\n}\ntable netdev ramson {\n\
                       \tcounter wan_exit {\n\t\tpackets 3 bytes 90\n\t}\n}\n";
        let text = meanings(listing);
        assert!(text.starts_with("lan packets dropped, source that no device here can have: 12\n"));
        assert!(text.ends_with("not from its own address: 3\n"));
        assert_eq!(text.lines().count(), NAMES.len());
        assert!(meanings("").lines().all(|line| line.ends_with(": 0")));
    }
}
