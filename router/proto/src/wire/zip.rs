//! Enough of zip to read a reseed bundle: the central directory, entries that are stored or
//! deflated (PKWARE APPNOTE 4.3). No zip64, no encryption, no more than one disk.

use super::cursor::Reader;
use super::error::{Cause, Result, WireError};
use super::inflate::{crc32, inflate};

/// End of central directory without its comment.
const END: usize = 22;
const END_MAGIC: &[u8] = b"PK\x05\x06";
const DIRECTORY_MAGIC: u32 = 0x504b_0102;
const LOCAL_MAGIC: u32 = 0x504b_0304;

/// One file of the archive, unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZipFile {
    /// Its name.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Unpacks an archive of at most `files` files of at most `max` bytes each.
///
/// # Errors
/// Too many or too large files, one that is damaged, or a feature that is not read here.
pub fn unpack(zip: &[u8], files: usize, max: usize) -> Result<Vec<ZipFile>> {
    let (count, mut directory) = directory(zip)?;
    if count > files {
        return Err(WireError::too_large("zip.entries"));
    }
    let mut out = Vec::with_capacity(count);
    for _ in 0..count {
        out.push(entry(zip, &mut directory, max)?);
    }
    Ok(out)
}

/// Number of entries and the central directory.
fn directory(zip: &[u8]) -> Result<(usize, Reader<'_>)> {
    let from = zip.len().saturating_sub(END + usize::from(u16::MAX));
    let tail = zip.get(from..).unwrap_or_default();
    let at = tail
        .windows(END_MAGIC.len())
        .rposition(|w| w == END_MAGIC)
        .ok_or(WireError::invalid("zip.end_of_directory"))?;
    let mut r = Reader::new(tail.get(at + END_MAGIC.len()..).unwrap_or_default());
    let disks = le32(&mut r, "zip.disk")?;
    let here = le16(&mut r, "zip.entries")?;
    let count = le16(&mut r, "zip.entries")?;
    if disks != 0 || here != count {
        return Err(WireError::new("zip.disk", Cause::Unsupported));
    }
    let size = le32(&mut r, "zip.directory_size")?;
    let offset = le32(&mut r, "zip.directory_offset")?;
    let comment = le16(&mut r, "zip.comment_length")?;
    r.take(comment, "zip.comment")?;
    r.finish("zip.comment")?;
    let mut all = Reader::new(zip);
    all.take(offset, "zip.directory_offset")?;
    Ok((count, all.sub(size, "zip.directory_size")?))
}

fn entry(zip: &[u8], dir: &mut Reader<'_>, max: usize) -> Result<ZipFile> {
    if dir.u32("zip.directory")? != DIRECTORY_MAGIC {
        return Err(WireError::invalid("zip.directory"));
    }
    dir.take(4, "zip.versions")?;
    let flags = le16(dir, "zip.flags")?;
    let method = le16(dir, "zip.method")?;
    dir.take(4, "zip.time")?;
    let crc = le32(dir, "zip.crc")?;
    let packed_len = le32(dir, "zip.packed_size")?;
    let len = le32(dir, "zip.size")?;
    let name_len = le16(dir, "zip.name_length")?;
    let extra = le16(dir, "zip.extra_length")?;
    let comment = le16(dir, "zip.comment_length")?;
    dir.take(8, "zip.attributes")?;
    let offset = le32(dir, "zip.offset")?;
    let name = core::str::from_utf8(dir.take(name_len, "zip.name")?)
        .map_err(|_| WireError::invalid("zip.name"))?
        .to_owned();
    dir.take(extra + comment, "zip.extra")?;
    if flags & 1 != 0 {
        return Err(WireError::new("zip.flags", Cause::Unsupported));
    }
    if len > max {
        return Err(WireError::too_large("zip.size"));
    }
    let packed = packed(zip, offset, packed_len)?;
    let bytes = match method {
        0 => packed.to_vec(),
        8 => inflate(packed, len)?.1,
        _ => return Err(WireError::new("zip.method", Cause::Unsupported)),
    };
    if bytes.len() != len {
        return Err(WireError::invalid("zip.size"));
    }
    if crc32(&bytes) as usize != crc {
        return Err(WireError::new("zip.crc", Cause::BadSignature));
    }
    Ok(ZipFile { name, bytes })
}

/// The packed bytes behind the local header at `offset`.
fn packed(zip: &[u8], offset: usize, len: usize) -> Result<&[u8]> {
    let mut r = Reader::new(zip);
    r.take(offset, "zip.offset")?;
    if r.u32("zip.local_header")? != LOCAL_MAGIC {
        return Err(WireError::invalid("zip.local_header"));
    }
    r.take(22, "zip.local_header")?;
    let name = le16(&mut r, "zip.name_length")?;
    let extra = le16(&mut r, "zip.extra_length")?;
    r.take(name + extra, "zip.local_header")?;
    r.take(len, "zip.data")
}

fn le16(r: &mut Reader<'_>, field: &'static str) -> Result<usize> {
    Ok(usize::from(u16::from_le_bytes(r.array(field)?)))
}

fn le32(r: &mut Reader<'_>, field: &'static str) -> Result<usize> {
    usize::try_from(u32::from_le_bytes(r.array(field)?)).map_err(|_| WireError::too_large(field))
}
