//! The address book in its common form: lines of `name=destination`
//! (i2p docs/naming, hosts.txt).

use super::NameError;
use crate::limits;
use crate::wire::hash::{DestHash, base64_decode};
use crate::wire::identity::Destination;
use std::collections::BTreeMap;

/// Names and the hashes of what they name; the destinations themselves come with their LeaseSets.
#[derive(Clone, Debug, Default)]
pub struct Hosts(BTreeMap<String, DestHash>);

/// A line of a hosts file that was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Line number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Hosts {
    /// Parses a hosts file. Lines that cannot be used are skipped and named; a later line for a
    /// name replaces an earlier one; at most [`limits::HOSTS_MAX`] names are kept.
    #[must_use]
    pub fn parse(text: &str) -> (Self, Vec<BadLine>) {
        let (mut hosts, mut bad) = (Self::default(), Vec::new());
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Err(reason) = hosts.add_line(line) {
                bad.push(BadLine {
                    line: i + 1,
                    reason,
                });
            }
        }
        (hosts, bad)
    }

    fn add_line(&mut self, line: &str) -> Result<(), &'static str> {
        let (name, rest) = line.split_once('=').ok_or("has no '='")?;
        // Feed commands may follow the destination (i2p spec/subscription).
        let dest = rest.split("#!").next().unwrap_or_default().trim();
        let name = name.trim().to_ascii_lowercase();
        if !is_host_name(&name) || name.ends_with(".b32.i2p") {
            return Err("is not a name that ends in .i2p");
        }
        let bytes = base64_decode(dest).ok_or("has a destination that is not base64")?;
        let dest = Destination::parse(&bytes).map_err(|_| "has a malformed destination")?;
        if self.0.len() >= limits::HOSTS_MAX && !self.0.contains_key(&name) {
            return Err("is beyond the limit of names");
        }
        self.0.insert(name, dest.hash());
        Ok(())
    }

    /// The destination of a name in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<DestHash> {
        self.0.get(name).copied()
    }

    /// Names in the book.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the book is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether this is a host name in lower case under `.i2p` (i2p docs/naming, Naming Rules).
#[must_use]
pub fn is_host_name(name: &str) -> bool {
    let Some(rest) = name.strip_suffix(".i2p") else {
        return false;
    };
    name.len() <= 255
        && rest.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 255
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        })
}

impl From<NameError> for crate::router::output::Refusal {
    fn from(e: NameError) -> Self {
        match e {
            NameError::Bad => Self::BadName,
            NameError::Unknown => Self::UnknownName,
            NameError::Encrypted => Self::Unusable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_lines_are_named_and_skipped() {
        let dest = include_str!("../../../../tests/vectors/destination.b64").trim();
        let text = format!("# c\n\na.i2p={dest}#!sig=x\nb.com={dest}\nc.i2p\nd.i2p=AAAA\n");
        let (hosts, bad) = Hosts::parse(&text);
        assert_eq!(hosts.len(), 1);
        assert_eq!(bad.iter().map(|b| b.line).collect::<Vec<_>>(), [4, 5, 6]);
        assert!(hosts.get("a.i2p").is_some());
    }
}
