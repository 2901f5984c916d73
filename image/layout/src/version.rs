//! Which of two systems is the older one.

use std::fmt;
use std::str::FromStr;

/// A version: three numbers of the release, then what orders builds of one release: when the
/// sources were changed last, seconds since 1970. They are compared in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// As in `0.1.0`.
    pub release: [u32; 3],
    /// See above.
    pub build: u64,
}

/// Bytes of a version.
pub const LEN: usize = 20;

impl Version {
    /// Older than all others: what may be updated from anything has it as its minimum.
    pub const ZERO: Self = Self {
        release: [0; 3],
        build: 0,
    };

    /// As it stands in a bundle.
    #[must_use]
    pub fn to_bytes(self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let parts = self.release.iter().flat_map(|n| n.to_be_bytes());
        let all = parts.chain(self.build.to_be_bytes());
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = from);
        bytes
    }

    /// See [`Version::to_bytes`]; every value is a version.
    #[must_use]
    pub fn from_bytes(bytes: [u8; LEN]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, build @ ..] = bytes;
        let release = [[a, b, c, d], [e, f, g, h], [i, j, k, l]];
        Self {
            release: release.map(u32::from_be_bytes),
            build: u64::from_be_bytes(build),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.release;
        write!(f, "{a}.{b}.{c}+{}", self.build)
    }
}

impl FromStr for Version {
    type Err = &'static str;

    /// As it is shown: `0.1.0+1790000000`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WHAT: &str = "is no version: 0.1.0+1790000000 is one";
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        let (release, build) = text.split_once('+').ok_or(WHAT)?;
        let mut parts = release.split('.');
        let mut next = || {
            let part = parts.next().filter(|part| digits(part)).ok_or(WHAT)?;
            part.parse::<u32>().map_err(|_| WHAT)
        };
        let release = [next()?, next()?, next()?];
        if parts.next().is_some() || !digits(build) {
            return Err(WHAT);
        }
        let build = build.parse().map_err(|_| WHAT)?;
        Ok(Self { release, build })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_counts_before_the_build() {
        let all: Vec<Version> = ["0.1.0+0", "0.1.0+7", "0.1.1+3", "0.2.0+1", "1.0.0+0"]
            .map(|text| text.parse().unwrap())
            .into();
        assert!(all.is_sorted() && all.iter().all(|v| *v > Version::ZERO));
        for version in all {
            assert_eq!(version.to_string().parse(), Ok(version));
            assert_eq!(Version::from_bytes(version.to_bytes()), version);
        }
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in [
            "",
            "0.1.0",
            "0.1+1",
            "0.1.0.0+1",
            "0.1.0+",
            "0.1.x+1",
            "+1.0.0+1",
            "0.1.0+-1",
            "4294967296.0.0+1",
            "0.1.0+1 ",
        ] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
