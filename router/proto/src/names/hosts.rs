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

/// The lines of a hosts file that were skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BadLines {
    /// The first of them, at most [`limits::HOSTS_BAD_LINES_MAX`].
    pub first: Vec<BadLine>,
    /// All of them.
    pub count: usize,
}

impl BadLines {
    fn add(&mut self, line: usize, reason: &'static str) {
        self.count += 1;
        if self.first.len() < limits::HOSTS_BAD_LINES_MAX {
            self.first.push(BadLine { line, reason });
        }
    }
}

impl Hosts {
    /// Parses the bytes of a hosts file. Lines that cannot be used are skipped and named, and
    /// spoil no other; a later line for a name replaces an earlier one; at most
    /// [`limits::HOSTS_MAX`] names are kept. Lines end with LF, CR LF or CR; a byte order mark is
    /// no part of the first one. What follows the destination may be in any encoding.
    #[must_use]
    pub fn parse(file: &[u8]) -> (Self, BadLines) {
        let (mut hosts, mut bad) = (Self::default(), BadLines::default());
        let text = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
        for (i, line) in lines(text).enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            if let Err(reason) = hosts.add_line(line) {
                bad.add(i + 1, reason);
            }
        }
        (hosts, bad)
    }

    fn add_line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let at = line.iter().position(|b| *b == b'=').ok_or("has no '='")?;
        let (name, rest) = line.split_at(at);
        // Feed commands (i2p spec/subscription) or a comment may follow the destination.
        let dest = rest
            .split(|b| *b == b'#')
            .next()
            .and_then(|d| d.strip_prefix(b"="))
            .unwrap_or_default()
            .trim_ascii();
        let name = core::str::from_utf8(name.trim_ascii())
            .map_err(|_| "has a name that is not ASCII")?
            .to_ascii_lowercase();
        if !is_host_name(&name) || name.ends_with(".b32.i2p") {
            return Err("is not a name that ends in .i2p");
        }
        let bytes = core::str::from_utf8(dest)
            .ok()
            .and_then(base64_decode)
            .ok_or("has a destination that is not base64")?;
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

/// Lines that end with LF, CR LF or CR.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.iter().position(|b| matches!(b, b'\n' | b'\r')) else {
            rest = None;
            return Some(text);
        };
        let (line, ended) = text.split_at(end);
        rest = ended
            .strip_prefix(b"\r\n")
            .or_else(|| ended.get(1..))
            .or(Some(&[]));
        Some(line)
    })
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
            NameError::Encrypted => Self::Encrypted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEST: &str = include_str!("../../../../tests/vectors/destination.b64");

    fn numbers(bad: &BadLines) -> Vec<usize> {
        bad.first.iter().map(|b| b.line).collect()
    }

    #[test]
    fn bad_lines_are_named_and_skipped() {
        let dest = DEST.trim();
        let text = format!("# c\n\na.i2p={dest}#!sig=x\nb.com={dest}\nc.i2p\nd.i2p=AAAA\n");
        let (hosts, bad) = Hosts::parse(text.as_bytes());
        assert_eq!(hosts.len(), 1);
        assert_eq!((numbers(&bad), bad.count), (vec![4, 5, 6], 3));
        assert!(hosts.get("a.i2p").is_some());
    }

    #[test]
    fn other_encodings_spoil_only_what_they_are_in() {
        let dest = DEST.trim();
        let mut file = b"\xef\xbb\xbf".to_vec();
        let lines: [&[u8]; 6] = [
            b"first.i2p=",
            b"caf\xe9.i2p=",
            b"# caf\xe9\n#",
            b"bad.i2p=\xe9",
            b"cafe\xcc\x81.i2p=",
            b"last.i2p = ",
        ];
        for line in lines {
            file.extend_from_slice(line);
            file.extend_from_slice(dest.as_bytes());
            file.extend_from_slice(b"#!desc=caf\xe9\n");
        }
        let (hosts, bad) = Hosts::parse(&file);
        assert_eq!(numbers(&bad), [2, 5, 6]);
        assert_eq!(hosts.len(), 2);
        assert!(hosts.get("first.i2p").is_some() && hosts.get("last.i2p").is_some());
        let utf16: Vec<u8> = format!("\u{feff}a.i2p={dest}\n")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let (hosts, bad) = Hosts::parse(&utf16);
        assert!(hosts.is_empty() && bad.count >= 1);
    }

    #[test]
    fn lines_end_in_three_ways() {
        let dest = DEST.trim();
        for end in ["\n", "\r\n", "\r"] {
            let text = [
                &format!("a.i2p={dest}"),
                "bad",
                "",
                &format!("b.i2p={dest}"),
            ]
            .join(end);
            for text in [text.clone(), text + end] {
                let (hosts, bad) = Hosts::parse(text.as_bytes());
                assert_eq!((hosts.len(), numbers(&bad)), (2, vec![2]), "{end:?}");
            }
        }
        assert!(Hosts::parse(b"").0.is_empty());
    }

    #[test]
    fn a_file_of_nothing_but_bad_lines_is_counted() {
        let (hosts, bad) = Hosts::parse(&b"x\n".repeat(1000));
        assert!(hosts.is_empty());
        assert_eq!(
            (bad.first.len(), bad.count),
            (limits::HOSTS_BAD_LINES_MAX, 1000)
        );
    }
}
