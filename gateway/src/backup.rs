//! The identity of a box in one file, as text: what cannot be made again when it is lost. Names are
//! those of the data partition; the router's directory there is `i2p`, the gateway's `gateway`.
//!
//! It is not encrypted. Reading and writing files is done elsewhere (`supervisor::machine`), by
//! root with what has been read here by others.

use sha2::{Digest, Sha256};
use std::fmt::Write;
use zeroize::{Zeroize, Zeroizing};

/// First line.
const HEAD: &str = "ramson-backup 1";

/// Files of a backup, and bytes of its text, at most.
pub const FILES_MAX: usize = 64;
pub const TEXT_MAX: usize = 1 << 20;

/// Bytes in a line, as twice as many digits.
const WIDTH: usize = 32;

/// One file.
pub struct Entry {
    /// Where it lies, from the data partition.
    pub name: String,
    /// What is in it.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// Longest file of this name; `None`: it is not of a backup.
#[must_use]
pub fn longest(name: &str) -> Option<usize> {
    match name {
        "gateway/secrets" => Some(38),
        "config/gateway.toml" | "config/routerd.toml" => Some(64 << 10),
        _ => {
            let stem = name.strip_prefix("i2p/")?.strip_suffix(".keys")?;
            let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            let fits = (1..=40).contains(&stem.len()) && stem.bytes().all(good);
            fits.then_some(8 << 10)
        }
    }
}

/// The text of a backup.
#[must_use]
pub fn encode(entries: &[Entry]) -> Zeroizing<String> {
    let long: usize = entries.iter().map(|e| 3 * e.bytes.len() + 200).sum();
    // Enough, so that no copy is left behind where it grew.
    let mut text = Zeroizing::new(String::with_capacity(long + 200));
    let mut line = |line: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{line}");
    };
    line(format_args!("{HEAD}"));
    for entry in entries {
        line(format_args!("file {} {}", entry.name, entry.bytes.len()));
        for part in entry.bytes.chunks(WIDTH) {
            line(format_args!("{}", hex(part)));
        }
    }
    let sum = Sha256::digest(text.as_bytes());
    let _ = writeln!(text, "sha256 {}", hex(&sum));
    text
}

/// The files of a backup.
///
/// # Errors
/// What is wrong with it.
pub fn decode(text: &[u8]) -> Result<Vec<Entry>, &'static str> {
    const CUT: &str = "is damaged or not whole";
    if text.len() > TEXT_MAX {
        return Err("is too long to be a backup");
    }
    let text = std::str::from_utf8(text).map_err(|_| "is no backup of a Ramson box")?;
    // What a person's system has made of the line ends.
    let text = Zeroizing::new(text.replace("\r\n", "\n"));
    if text.lines().next() != Some(HEAD) {
        return Err("is no backup of a Ramson box");
    }
    let at = text.rfind("sha256 ").ok_or(CUT)?;
    let (body, sum) = text.split_at(at);
    let sum = sum.strip_prefix("sha256 ").map(str::trim_end);
    if sum != Some(hex(&Sha256::digest(body.as_bytes())).as_str()) {
        return Err(CUT);
    }
    let mut lines = body.lines().skip(1).peekable();
    let mut entries: Vec<Entry> = Vec::new();
    while let Some(line) = lines.next() {
        let mut words = line.split(' ');
        let (Some("file"), Some(name), Some(len), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(CUT);
        };
        let most = longest(name).ok_or("has a file that is of no backup")?;
        let len = len.parse().ok().filter(|len| *len <= most).ok_or(CUT)?;
        let twice = entries.iter().any(|e| e.name == name);
        if twice || entries.len() >= FILES_MAX {
            return Err(CUT);
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(len));
        while bytes.len() < len {
            unhex(lines.next().ok_or(CUT)?, len, &mut bytes).ok_or(CUT)?;
        }
        entries.push(Entry {
            name: name.to_owned(),
            bytes,
        });
    }
    if !entries.iter().any(|e| e.name == "i2p/router.keys") {
        return Err("has no identity of a router");
    }
    Ok(entries)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A line's bytes, no more than `most` in all.
fn unhex(line: &str, most: usize, into: &mut Vec<u8>) -> Option<()> {
    if line.is_empty() || line.len() > 2 * WIDTH {
        return None;
    }
    let (pairs, rest) = line.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || into.len() + pairs.len() > most {
        return None;
    }
    for [high, low] in pairs {
        let digit = |b: &u8| {
            char::from(*b)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        into.push(digit(high)? << 4 | digit(low)?);
    }
    Some(())
}

/// A text that holds keys, once it is not needed any more.
pub fn wipe(mut text: String) {
    text.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, len: usize) -> Entry {
        Entry {
            name: name.into(),
            bytes: Zeroizing::new((0..len).map(|n| (n * 7) as u8).collect()),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let all = [
            entry("i2p/router.keys", 679),
            entry("i2p/site-1.keys", 0),
            entry("gateway/secrets", 38),
            entry("config/gateway.toml", 1000),
        ];
        let text = encode(&all);
        assert!(text.lines().all(|line| line.len() <= 80));
        for text in [text.to_string(), text.replace('\n', "\r\n")] {
            let read = decode(text.as_bytes()).unwrap();
            assert_eq!(read.len(), all.len());
            for (a, b) in read.iter().zip(&all) {
                assert!(a.name == b.name && a.bytes == b.bytes);
            }
        }
    }

    #[test]
    fn what_is_damaged_or_of_somebody_else_is_refused() {
        let text = encode(&[entry("i2p/router.keys", 90), entry("gateway/secrets", 38)]);
        for end in 0..text.len() - 1 {
            assert!(decode(&text.as_bytes()[..end]).is_err(), "{end}");
        }
        assert!(decode(text.replacen("0", "1", 1).as_bytes()).is_err());
        assert_eq!(decode(b"PK").err(), Some("is no backup of a Ramson box"));
        assert!(decode(&vec![b'x'; TEXT_MAX + 1]).is_err());
        for name in [
            "i2p/../etc.keys",
            "i2p/.keys",
            "i2p/A.keys",
            "/etc/shadow",
            "gateway/other",
            "config/x",
            "i2p/router.keys.new",
            "i2p/a/b.keys",
        ] {
            assert_eq!(longest(name), None, "{name}");
            assert!(
                decode(encode(&[entry("i2p/router.keys", 9), entry(name, 3)]).as_bytes()).is_err()
            );
        }
        let twice = [entry("i2p/router.keys", 9), entry("i2p/router.keys", 9)];
        assert!(decode(encode(&twice).as_bytes()).is_err());
        assert!(decode(encode(&[entry("gateway/secrets", 39)]).as_bytes()).is_err());
        assert!(decode(encode(&[entry("gateway/secrets", 38)]).as_bytes()).is_err());
        crate::mutate::each(text.as_bytes(), |bytes| {
            let _ = decode(bytes);
        });
    }
}
