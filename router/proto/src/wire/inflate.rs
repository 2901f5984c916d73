//! Gzip with a cap, and gzip that only stores (RFC 1952, RFC 1951).

use super::cursor::{Reader, Writer};
use super::error::{Cause, Result, WireError};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// The fields of a gzip header that I2P gives a meaning of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GzipHeader {
    /// The four bytes of the modification time.
    pub mtime: [u8; 4],
    /// Extra flags.
    pub xfl: u8,
    /// Operating system; I2CP's protocol number.
    pub os: u8,
}

/// Unpacks a gzip member of at most `max` bytes of content. Optional header fields are skipped;
/// the checksum and the length are verified; bytes after the member are refused.
pub fn gunzip(bytes: &[u8], max: usize) -> Result<(GzipHeader, Vec<u8>)> {
    let mut r = Reader::new(bytes);
    if r.array("gzip.magic")? != [0x1f, 0x8b, 8] {
        return Err(WireError::invalid("gzip.magic"));
    }
    let flags = r.u8("gzip.flags")?;
    let header = GzipHeader {
        mtime: r.array("gzip.mtime")?,
        xfl: r.u8("gzip.xfl")?,
        os: r.u8("gzip.os")?,
    };
    if flags & 4 != 0 {
        let n = u16::from_le_bytes(r.array("gzip.extra")?);
        r.take(usize::from(n), "gzip.extra")?;
    }
    for bit in [8, 16] {
        if flags & bit != 0 {
            while r.u8("gzip.name")? != 0 {}
        }
    }
    if flags & 2 != 0 {
        r.u16("gzip.header_crc")?;
    }
    let (used, plain) = inflate(r.clone().rest(), max)?;
    r.take(used, "gzip.data")?;
    let crc = u32::from_le_bytes(r.array("gzip.crc")?);
    let size = u32::from_le_bytes(r.array("gzip.size")?);
    r.finish("gzip")?;
    if size as usize != plain.len() {
        return Err(WireError::invalid("gzip.size"));
    }
    if crc != crc32(&plain) {
        return Err(WireError::new("gzip.crc", Cause::BadSignature));
    }
    Ok((header, plain))
}

/// Inflates one deflate stream off the front of `packed` to at most `max` bytes: bytes used, and
/// the content.
pub fn inflate(packed: &[u8], max: usize) -> Result<(usize, Vec<u8>)> {
    let mut state = Box::<DecompressorOxide>::default();
    let mut out = vec![0; max.min(packed.len().saturating_mul(2).max(256))];
    let (mut used, mut filled) = (0, 0);
    loop {
        let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let input = packed.get(used..).unwrap_or_default();
        let (status, n, m) = decompress(&mut state, input, &mut out, filled, flags);
        used += n;
        filled += m;
        match status {
            TINFLStatus::Done => {
                out.truncate(filled);
                return Ok((used, out));
            }
            TINFLStatus::HasMoreOutput if out.len() < max => {
                out.resize(max.min(out.len() * 2), 0);
            }
            TINFLStatus::HasMoreOutput => return Err(WireError::too_large("gzip.data")),
            TINFLStatus::FailedCannotMakeProgress => {
                return Err(WireError::new("gzip.data", Cause::Truncated));
            }
            _ => return Err(WireError::invalid("gzip.data")),
        }
    }
}

/// A gzip member that stores `plain` (at most 65,535 bytes) without compressing it.
///
/// # Errors
/// `plain` is too large.
pub fn gzip_stored(header: GzipHeader, plain: &[u8]) -> Result<Vec<u8>> {
    let n = u16::try_from(plain.len()).map_err(|_| WireError::too_large("gzip.data"))?;
    let mut w = Writer::with_capacity(plain.len() + 23);
    w.put(&[0x1f, 0x8b, 8, 0])
        .put(&header.mtime)
        .u8(header.xfl)
        .u8(header.os);
    w.u8(1)
        .put(&n.to_le_bytes())
        .put(&(!n).to_le_bytes())
        .put(plain);
    w.put(&crc32(plain).to_le_bytes())
        .put(&u32::from(n).to_le_bytes());
    Ok(w.into_vec())
}

/// A gzip member that compresses `plain`.
#[must_use]
pub fn gzip(header: GzipHeader, plain: &[u8]) -> Vec<u8> {
    let mut w = Writer::new();
    w.put(&[0x1f, 0x8b, 8, 0])
        .put(&header.mtime)
        .u8(header.xfl)
        .u8(header.os);
    w.put(&miniz_oxide::deflate::compress_to_vec(plain, 6));
    w.put(&crc32(plain).to_le_bytes())
        .put(&(plain.len() as u32).to_le_bytes());
    w.into_vec()
}

const CRC_TABLE: [u32; 256] = crc_table();

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut c = i as u32;
        let mut k = 0;
        while k < 8 {
            c = if c & 1 == 1 {
                0xedb8_8320 ^ (c >> 1)
            } else {
                c >> 1
            };
            k += 1;
        }
        table[i] = c;
        i += 1;
    }
    table
}

/// CRC-32 as gzip and zip use it.
#[must_use]
pub fn crc32(data: &[u8]) -> u32 {
    let mut c = u32::MAX;
    for b in data {
        c = CRC_TABLE[((c ^ u32::from(*b)) & 0xff) as usize] ^ (c >> 8);
    }
    !c
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_and_compressed_round_trip() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let h = GzipHeader {
            mtime: [0, 80, 0, 7],
            xfl: 2,
            os: 6,
        };
        for plain in [&b""[..], b"hello", &[7; 5000]] {
            for packed in [gzip_stored(h, plain).unwrap(), gzip(h, plain)] {
                assert_eq!(gunzip(&packed, 5000).unwrap(), (h, plain.to_vec()));
                for n in 0..packed.len().min(40) {
                    assert!(gunzip(&packed[..n], 5000).is_err());
                }
                let mut more = packed.clone();
                more.push(0);
                assert!(gunzip(&more, 5000).is_err());
            }
        }
        assert_eq!(
            gunzip(&gzip(h, &[7; 5001]), 5000).unwrap_err().field,
            "gzip.data"
        );
    }
}
