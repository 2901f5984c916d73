//! Names of devices on the LAN, as they gave them to the DHCP server: `name.domain` and back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// Longest label, bytes (RFC 1035, section 2.3.4).
const LABEL_MAX: usize = 63;

/// Names that mean something else to devices, or would let one stand in for another's service.
const REFUSED: [&str; 7] = [
    "wpad",
    "isatap",
    "localhost",
    "gateway",
    "router",
    "i2p",
    "b32",
];

/// Who has which name. Bounded by the leases of the DHCP server, which owns the entries.
#[derive(Debug, Default)]
pub struct LanNames {
    by_name: BTreeMap<String, Ipv4Addr>,
}

impl LanNames {
    /// The device of a name (one label, lower case).
    #[must_use]
    pub fn address(&self, label: &str) -> Option<Ipv4Addr> {
        self.by_name.get(label).copied()
    }

    /// The name of a device.
    #[must_use]
    pub fn label(&self, address: Ipv4Addr) -> Option<&str> {
        let mut all = self.by_name.iter();
        all.find_map(|(name, at)| (*at == address).then_some(name.as_str()))
    }

    /// Gives a device a name, with a number where another has it; any earlier one is forgotten.
    /// The name given, `None` for one that nobody may have.
    pub fn set(&mut self, wanted: &str, own: &str, address: Ipv4Addr) -> Option<String> {
        self.remove(address);
        let label = clean(wanted).filter(|label| *label != own)?;
        let numbered = (2..10).map(|n| {
            let keep = label.len().min(LABEL_MAX - 2);
            format!("{}-{n}", label.get(..keep).unwrap_or_default())
        });
        let free = |label: &String| !self.by_name.contains_key(label);
        let label = std::iter::once(label.clone()).chain(numbered).find(free)?;
        self.by_name.insert(label.clone(), address);
        Some(label)
    }

    /// Forgets the names of all but these.
    pub fn keep(&mut self, addresses: &BTreeSet<Ipv4Addr>) {
        self.by_name.retain(|_, at| addresses.contains(at));
    }

    /// Forgets the name of a device.
    pub fn remove(&mut self, address: Ipv4Addr) {
        self.by_name.retain(|_, at| *at != address);
    }
}

/// The first label of what a device calls itself, if it can be a name here.
fn clean(wanted: &str) -> Option<String> {
    let first = wanted.split('.').next().unwrap_or_default();
    let second = wanted.split('.').nth(1).unwrap_or_default();
    if second.eq_ignore_ascii_case("i2p") || wanted.to_ascii_lowercase().ends_with(".i2p") {
        return None;
    }
    let label: String = first
        .chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() => c.to_ascii_lowercase(),
            _ => '-',
        })
        .take(LABEL_MAX)
        .collect();
    let label = label.trim_matches('-');
    let refused = label.is_empty() || REFUSED.contains(&label);
    (!refused).then(|| label.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u8) -> Ipv4Addr {
        Ipv4Addr::new(192, 168, 77, n)
    }

    #[test]
    fn names_are_labels_of_one_device_each() {
        let mut names = LanNames::default();
        let mut set = |wanted: &str, n| names.set(wanted, "ramson", at(n));
        assert_eq!(set("Laptop", 2).as_deref(), Some("laptop"));
        assert_eq!(set("laptop.home", 3).as_deref(), Some("laptop-2"));
        assert_eq!(set("Anna's phone", 4).as_deref(), Some("anna-s-phone"));
        assert_eq!(set(&"x".repeat(80), 5).as_deref(), Some(&*"x".repeat(63)));
        assert_eq!(
            set(&"x".repeat(80), 6).as_deref(),
            Some(&*format!("{}-2", "x".repeat(61)))
        );
        for bad in [
            "",
            "-",
            "...",
            "WPAD",
            "isatap.lan",
            "localhost",
            "ramson",
            "garden.i2p",
            "i2p",
        ] {
            assert_eq!(set(bad, 9), None, "{bad}");
        }
        // Again the same is the same, and another one replaces it.
        assert_eq!(set("laptop", 2).as_deref(), Some("laptop"));
        assert_eq!(set("tablet", 2).as_deref(), Some("tablet"));
        assert_eq!(names.address("laptop"), None);
        assert_eq!(
            (names.address("tablet"), names.label(at(2))),
            (Some(at(2)), Some("tablet"))
        );
        names.remove(at(2));
        assert_eq!(names.label(at(2)), None);
    }
}
