//! An update, from the bytes of a file to a system that is tried at the next start.
//!
//! Everything that the file says of itself is judged before the first byte is written. Then the
//! other system's slot is marked as unusable, so that whatever happens from there on nobody starts
//! half of one; both images are written as they come, hashed, flushed and read back; and only
//! when they are there as they were signed is the slot to be tried. What runs is never touched.

pub mod slots;

use ramson_layout::bundle::{Arch, Body, Header, LEN, Unfit};
use ramson_layout::version::Version;
use sha2::{Digest, Sha256};
use std::fmt;
use std::io::{self, Read};

/// Bytes that are read, written and hashed at a time.
const PIECE: usize = 64 << 10;

/// Bytes after which they go to the disk: what waits for that takes memory.
const FLUSHED: u64 = 1 << 20;

/// One of a slot's two partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What the boot loader starts.
    Boot,
    /// The root file system.
    Root,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boot => "boot image",
            Self::Root => "root file system",
        })
    }
}

/// The slot that does not run, and what is said of it.
pub trait Target {
    /// Bytes of a partition.
    ///
    /// # Errors
    /// Of the system.
    fn size(&mut self, part: Part) -> io::Result<u64>;
    /// Nothing in the slot may be started from now on.
    ///
    /// # Errors
    /// It cannot be said: nothing may be written then.
    fn spoil(&mut self) -> io::Result<()>;
    /// Writes.
    ///
    /// # Errors
    /// Of the system.
    fn write(&mut self, part: Part, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// What was written is on the disk, and is read from there.
    ///
    /// # Errors
    /// Of the system.
    fn flush(&mut self, part: Part) -> io::Result<()>;
    /// Reads all of `bytes`.
    ///
    /// # Errors
    /// Of the system.
    fn read(&mut self, part: Part, at: u64, bytes: &mut [u8]) -> io::Result<()>;
    /// The slot is tried at the next start.
    ///
    /// # Errors
    /// It cannot be said: what runs is started again then.
    fn try_next(&mut self) -> io::Result<()>;
}

/// What an update is judged by.
#[derive(Debug, Clone)]
pub struct Here {
    /// This machine.
    pub arch: Arch,
    /// What runs.
    pub version: Version,
    /// Who is trusted.
    pub key: ed25519_dalek::VerifyingKey,
}

/// Why it was not done.
#[derive(Debug)]
pub enum Refused {
    /// By what the header says.
    Unfit(Unfit),
    /// It ends too early.
    Truncated,
    /// Something follows it.
    Surplus,
    /// An image is larger than its partition.
    Large(Part),
    /// An image is not the one that was signed.
    Damaged(Part),
    /// The disk gives back something else than was written.
    NotKept(Part),
    /// The disk does not do it.
    Disk(&'static str, io::Error),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfit(why) => write!(f, "{why}"),
            Self::Truncated => f.write_str("the update is not whole: it ends too early"),
            Self::Surplus => f.write_str("something follows the update in its file"),
            Self::Large(part) => write!(f, "the {part} is larger than its partition here"),
            Self::Damaged(part) => write!(f, "the {part} is not the one that was signed"),
            Self::NotKept(part) => write!(f, "the disk does not keep the {part} as written"),
            Self::Disk(what, e) => write!(f, "the disk: {what}: {e}"),
        }
    }
}

/// How far it is, for who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Writing; percent.
    Writing(u64),
    /// Reading back; percent.
    Reading(u64),
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writing(n) => write!(f, "writing, {n} %"),
            Self::Reading(n) => write!(f, "reading back, {n} %"),
        }
    }
}

/// Counts what was done of both images.
struct Told<'a> {
    done: u64,
    all: u64,
    last: Option<Progress>,
    tell: &'a mut dyn FnMut(Progress),
}

impl Told<'_> {
    fn add(&mut self, bytes: usize, what: fn(u64) -> Progress) {
        self.done += bytes as u64;
        let now = what(self.done * 100 / self.all.max(1));
        if self.last != Some(now) {
            self.last = Some(now);
            (self.tell)(now);
        }
    }
}

/// Takes an update from `input`; what it is. `tell` hears how far it is.
///
/// # Errors
/// Why not: what runs is started at the next start, as before.
pub fn install(
    input: &mut impl Read,
    here: &Here,
    target: &mut impl Target,
    tell: &mut dyn FnMut(Progress),
) -> Result<Version, Refused> {
    let mut bytes = [0; LEN];
    input
        .read_exact(&mut bytes)
        .map_err(|_| Refused::Truncated)?;
    let header = Header::open(&bytes, &here.key).map_err(Refused::Unfit)?;
    let fits = header.fits(here.arch, here.version);
    fits.map_err(Refused::Unfit)?;
    let parts = [(Part::Boot, header.boot), (Part::Root, header.root)];
    for (part, body) in parts {
        let size = target.size(part).map_err(|e| Refused::Disk("size", e))?;
        if body.len > size {
            return Err(Refused::Large(part));
        }
    }
    target.spoil().map_err(|e| Refused::Disk("state", e))?;
    let mut buffer = vec![0; PIECE];
    let mut told = Told {
        done: 0,
        all: header.boot.len + header.root.len,
        last: None,
        tell,
    };
    for (part, body) in parts {
        write(input, target, part, body, &mut buffer, &mut told)?;
    }
    match input.read(&mut [0]) {
        Ok(0) => {}
        Ok(_) => return Err(Refused::Surplus),
        Err(_) => return Err(Refused::Truncated),
    }
    told.done = 0;
    for (part, body) in parts {
        compare(target, part, body, &mut buffer, &mut told)?;
    }
    target.try_next().map_err(|e| Refused::Disk("state", e))?;
    Ok(header.version)
}

/// One image, as it comes.
fn write(
    input: &mut impl Read,
    target: &mut impl Target,
    part: Part,
    body: Body,
    buffer: &mut [u8],
    told: &mut Told<'_>,
) -> Result<(), Refused> {
    let disk = |e| Refused::Disk("writing", e);
    let mut hash = Sha256::new();
    let (mut at, mut unflushed) = (0, 0);
    while at < body.len {
        let piece = piece(buffer, body.len - at);
        input.read_exact(piece).map_err(|_| Refused::Truncated)?;
        hash.update(&*piece);
        target.write(part, at, piece).map_err(disk)?;
        at += piece.len() as u64;
        unflushed += piece.len() as u64;
        if unflushed >= FLUSHED {
            target.flush(part).map_err(disk)?;
            unflushed = 0;
        }
        told.add(piece.len(), Progress::Writing);
    }
    target.flush(part).map_err(disk)?;
    let is_signed = hash.finalize().as_slice() == body.sha256;
    is_signed.then_some(()).ok_or(Refused::Damaged(part))
}

/// Whether an image is on the disk as it was written.
fn compare(
    target: &mut impl Target,
    part: Part,
    body: Body,
    buffer: &mut [u8],
    told: &mut Told<'_>,
) -> Result<(), Refused> {
    let mut hash = Sha256::new();
    let mut at = 0;
    while at < body.len {
        let piece = piece(buffer, body.len - at);
        let read = target.read(part, at, piece);
        read.map_err(|e| Refused::Disk("reading back", e))?;
        hash.update(&*piece);
        at += piece.len() as u64;
        told.add(piece.len(), Progress::Reading);
    }
    let is_signed = hash.finalize().as_slice() == body.sha256;
    is_signed.then_some(()).ok_or(Refused::NotKept(part))
}

/// As much of the buffer as is left to do.
fn piece(buffer: &mut [u8], left: u64) -> &mut [u8] {
    let len = usize::try_from(left)
        .unwrap_or(usize::MAX)
        .min(buffer.len());
    buffer.split_at_mut(len).0
}

#[cfg(test)]
mod tests;
