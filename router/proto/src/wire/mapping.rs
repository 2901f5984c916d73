//! Option mappings (i2p spec/common-structures, Mapping): sorted key=value; pairs.

use super::cursor::{Reader, Writer};
use super::error::{Result, WireError};
use crate::limits;
use std::collections::BTreeMap;

/// A mapping of strings, each at most 255 bytes, in key order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping(BTreeMap<String, String>);

impl Mapping {
    /// An empty mapping.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Sets `key`, replacing an earlier value.
    pub fn set(&mut self, key: &str, value: impl Into<String>) -> &mut Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// The pairs in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// Reads a mapping with its two length bytes. Foreign order is accepted, since signatures are
    /// made over the received bytes; a duplicate key is refused.
    pub fn read(r: &mut Reader<'_>) -> Result<Self> {
        let n = usize::from(r.u16("Mapping.size")?);
        let mut r = r.sub(n, "Mapping")?;
        let mut out = BTreeMap::new();
        while !r.is_empty() {
            if out.len() == limits::MAPPING_ENTRIES_MAX {
                return Err(WireError::too_large("Mapping.entries"));
            }
            let key = read_string(&mut r, "Mapping.key")?;
            expect(&mut r, b'=', "Mapping.equals")?;
            let value = read_string(&mut r, "Mapping.value")?;
            expect(&mut r, b';', "Mapping.semicolon")?;
            if out.insert(key, value).is_some() {
                return Err(WireError::invalid("Mapping.duplicate"));
            }
        }
        Ok(Self(out))
    }

    /// Writes the mapping with its two length bytes, keys sorted.
    ///
    /// # Errors
    /// A key or value above 255 bytes, or the whole above 65,535.
    pub fn write(&self, w: &mut Writer) -> Result<()> {
        if self.0.iter().any(|(k, v)| k.len() > 255 || v.len() > 255) {
            return Err(WireError::too_large("Mapping.string"));
        }
        w.len_u16("Mapping.size", |w| {
            for (k, v) in &self.0 {
                w.u8(k.len() as u8).put(k.as_bytes()).u8(b'=');
                w.u8(v.len() as u8).put(v.as_bytes()).u8(b';');
            }
        })
    }
}

/// A string with one length byte, UTF-8 (i2p spec/common-structures, String).
pub fn read_string(r: &mut Reader<'_>, field: &'static str) -> Result<String> {
    let n = usize::from(r.u8(field)?);
    let bytes = r.take(n, field)?;
    core::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| WireError::invalid(field))
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
    fn refuses_truncated_and_duplicate() {
        let whole = b"\x00\x0c\x01a=\x011;\x01a=\x012;";
        let e = Mapping::read(&mut Reader::new(whole)).unwrap_err();
        assert_eq!(e.field, "Mapping.duplicate");
        for n in 0..whole.len() {
            assert!(Mapping::read(&mut Reader::new(&whole[..n])).is_err());
        }
    }
}
