//! Option mappings (i2p spec/common-structures, Mapping): sorted key=value; pairs.

use super::cursor::{Reader, Writer};
use super::error::{Result, WireError};
use crate::limits;

/// A mapping of strings, each at most 255 bytes, in key order; kept as it stands on the wire,
/// since a netDb holds tens of thousands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    bytes: Vec<u8>,
    /// A string was set that cannot be written.
    too_long: bool,
}

/// A mapping inside of bytes that were checked, in the order in which it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MappingView<'a>(&'a [u8]);

impl<'a> MappingView<'a> {
    /// Reads a mapping with its two length bytes. Foreign order is accepted, since signatures are
    /// made over the received bytes; a duplicate key is refused.
    pub fn read(r: &mut Reader<'a>) -> Result<Self> {
        let n = usize::from(r.u16("Mapping.size")?);
        let bytes = r.take(n, "Mapping")?;
        let mut r = Reader::new(bytes);
        let mut keys: Vec<&str> = Vec::new();
        while !r.is_empty() {
            if keys.len() == limits::MAPPING_ENTRIES_MAX {
                return Err(WireError::too_large("Mapping.entries"));
            }
            keys.push(read_pair(&mut r)?.0);
        }
        keys.sort_unstable();
        if keys.windows(2).any(|w| w.first() == w.last()) {
            return Err(WireError::invalid("Mapping.duplicate"));
        }
        Ok(Self(bytes))
    }

    /// Reads a mapping that was checked before.
    pub(super) fn skim(r: &mut Reader<'a>) -> Result<Self> {
        let n = usize::from(r.u16("Mapping.size")?);
        r.take(n, "Mapping").map(Self)
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(self, key: &str) -> Option<&'a str> {
        self.iter().find(|(k, _)| *k == key).map(|(_, v)| v)
    }

    /// The pairs in the order in which they came.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut r = Reader::new(self.0);
        core::iter::from_fn(move || read_pair(&mut r).ok())
    }
}

impl Mapping {
    /// An empty mapping.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            too_long: false,
        }
    }

    /// The same, to be read.
    #[must_use]
    pub fn view(&self) -> MappingView<'_> {
        MappingView(&self.bytes)
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.view().get(key)
    }

    /// Sets `key`, replacing an earlier value.
    pub fn set(&mut self, key: &str, value: impl Into<String>) -> &mut Self {
        let value = value.into();
        if key.len() > 255 || value.len() > 255 {
            self.too_long = true;
            return self;
        }
        let mut pairs: Vec<(&str, &str)> = self.iter().filter(|(k, _)| *k != key).collect();
        pairs.push((key, &value));
        self.bytes = sorted(pairs);
        self
    }

    /// The pairs in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.view().iter()
    }

    /// Reads a mapping as [`MappingView::read`] does.
    pub fn read(r: &mut Reader<'_>) -> Result<Self> {
        MappingView::read(r).map(Self::from)
    }

    /// Writes the mapping with its two length bytes, keys sorted.
    ///
    /// # Errors
    /// A key or value above 255 bytes, or the whole above 65,535.
    pub fn write(&self, w: &mut Writer) -> Result<()> {
        if self.too_long {
            return Err(WireError::too_large("Mapping.string"));
        }
        w.len_u16("Mapping.size", |w| {
            w.put(&self.bytes);
        })
    }
}

impl From<MappingView<'_>> for Mapping {
    fn from(view: MappingView<'_>) -> Self {
        Self {
            bytes: sorted(view.iter().collect()),
            too_long: false,
        }
    }
}

/// Strings are at most 255 bytes: they were read, or checked when they were set.
fn sorted(mut pairs: Vec<(&str, &str)>) -> Vec<u8> {
    pairs.sort_unstable();
    let mut w = Writer::new();
    for (k, v) in pairs {
        w.u8(k.len() as u8).put(k.as_bytes()).u8(b'=');
        w.u8(v.len() as u8).put(v.as_bytes()).u8(b';');
    }
    w.into_vec()
}

fn read_pair<'a>(r: &mut Reader<'a>) -> Result<(&'a str, &'a str)> {
    let key = read_str(r, "Mapping.key")?;
    expect(r, b'=', "Mapping.equals")?;
    let value = read_str(r, "Mapping.value")?;
    expect(r, b';', "Mapping.semicolon")?;
    Ok((key, value))
}

/// A string with one length byte, UTF-8 (i2p spec/common-structures, String).
pub fn read_str<'a>(r: &mut Reader<'a>, field: &'static str) -> Result<&'a str> {
    let n = usize::from(r.u8(field)?);
    let bytes = r.take(n, field)?;
    core::str::from_utf8(bytes).map_err(|_| WireError::invalid(field))
}

fn expect(r: &mut Reader<'_>, byte: u8, field: &'static str) -> Result<()> {
    if r.u8(field)? == byte {
        Ok(())
    } else {
        Err(WireError::invalid(field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_sorted() {
        let mut m = Mapping::new();
        m.set("b", "2").set("a", "1");
        let mut w = Writer::new();
        m.write(&mut w).unwrap();
        assert_eq!(w.as_slice(), b"\x00\x0c\x01a=\x011;\x01b=\x012;");
        let mut r = Reader::new(w.as_slice());
        assert_eq!(Mapping::read(&mut r).unwrap(), m);
        r.finish("Mapping").unwrap();
    }

    #[test]
    fn foreign_order_is_read_and_sorted_when_written() {
        let came = b"\x00\x0c\x01b=\x012;\x01a=\x011;";
        let mut r = Reader::new(came);
        let view = MappingView::read(&mut r).unwrap();
        assert_eq!((view.get("a"), view.get("b")), (Some("1"), Some("2")));
        assert_eq!(view.iter().next(), Some(("b", "2")));
        let mut w = Writer::new();
        let mut own = Mapping::from(view);
        own.write(&mut w).unwrap();
        assert_eq!(w.as_slice(), b"\x00\x0c\x01a=\x011;\x01b=\x012;");
        own.set("a", "3").set("c", "");
        assert_eq!(own.get("a"), Some("3"));
        assert_eq!(own.iter().map(|(k, _)| k).collect::<String>(), "abc");
        own.set("d", "x".repeat(256));
        assert!(own.write(&mut w).is_err());
    }

    #[test]
    fn refuses_truncated_and_duplicate() {
        let whole = b"\x00\x0c\x01a=\x011;\x01a=\x012;";
        let e = Mapping::read(&mut Reader::new(whole)).unwrap_err();
        assert_eq!(e.field, "Mapping.duplicate");
        for n in 0..whole.len() {
            assert!(Mapping::read(&mut Reader::new(&whole[..n])).is_err());
        }
    }
}
