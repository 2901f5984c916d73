//! Names of destinations: the address book and base32 (i2p docs/naming).

pub mod b32;
pub mod hosts;

use crate::wire::hash::{DestHash, base64_decode};
use crate::wire::identity::Destination;
use hosts::Hosts;

/// Longest name that is looked at: a destination in base64 with an excess key.
const NAME_MAX: usize = 4096;

/// Why a name names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// It is no name of this network.
    Bad,
    /// It is well formed, but not in the address book.
    Unknown,
    /// It names an encrypted LeaseSet, which this router does not open.
    Encrypted,
}

/// Resolves a host name of the address book, a `….b32.i2p` name or a destination in base64.
///
/// # Errors
/// See [`NameError`].
pub fn resolve(name: &str, hosts: &Hosts) -> Result<DestHash, NameError> {
    let name = name.trim_end_matches('.');
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(NameError::Bad);
    }
    if name.len() >= 516 {
        let bytes = base64_decode(name.trim_end_matches(".i2p")).ok_or(NameError::Bad)?;
        return Destination::parse(&bytes)
            .map(|d| d.hash())
            .map_err(|_| NameError::Bad);
    }
    let lower = name.to_ascii_lowercase();
    if !hosts::is_host_name(&lower) {
        return Err(NameError::Bad);
    }
    match lower.strip_suffix(".b32.i2p") {
        Some(label) => b32::parse(label),
        None => hosts.get(&lower).ok_or(NameError::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms() {
        let dest = include_str!("../../../tests/vectors/destination.b64").trim();
        let hash = Destination::parse(&base64_decode(dest).unwrap())
            .unwrap()
            .hash();
        let (hosts, bad) = Hosts::parse(format!("site.i2p={dest}\n").as_bytes());
        assert_eq!(bad.count, 0);
        assert_eq!(resolve("Site.i2p.", &hosts), Ok(hash));
        assert_eq!(resolve(&hash.b32(), &hosts), Ok(hash));
        assert_eq!(resolve(dest, &hosts), Ok(hash));
        assert_eq!(resolve("other.i2p", &hosts), Err(NameError::Unknown));
        assert_eq!(resolve("example.com", &hosts), Err(NameError::Bad));
        assert_eq!(resolve("short.b32.i2p", &hosts), Err(NameError::Bad));
        assert_eq!(resolve(&format!("{}.b32.i2p", "a".repeat(56)), &hosts), {
            Err(NameError::Encrypted)
        });
        assert_eq!(resolve("", &hosts), Err(NameError::Bad));
    }
}
