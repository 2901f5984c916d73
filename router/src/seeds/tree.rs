//! Walks a tree of RouterInfo files without leaving it.

use nix::fcntl::OFlag;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Directories below each other: `netDb/rA` of a router's data directory, and one to spare.
const DEPTH_MAX: usize = 4;
/// Entries that are looked at.
const ENTRIES_MAX: usize = 50_000;
/// Files that are read.
const FILES_MAX: usize = 10_000;

/// RouterInfo files of the tree in the order of their names. Symbolic links are not followed: what
/// they lead to inside the tree is met where it is. `skip` hears why something was not looked at.
///
/// # Errors
/// The directory itself cannot be read.
pub fn files(dir: &Path, skip: &mut dyn FnMut(&str)) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left = ENTRIES_MAX;
    let mut folders = vec![(fs::read_dir(dir)?, 1)];
    while let Some((entries, depth)) = folders.pop() {
        for entry in entries {
            let Some(fewer) = left.checked_sub(1) else {
                skip("or more beyond the limit of files");
                return Ok(found);
            };
            left = fewer;
            let Ok((path, kind)) = entry.and_then(|e| Ok((e.path(), e.file_type()?))) else {
                skip("that cannot be read");
                continue;
            };
            let is_info = path.extension().is_some_and(|e| e == "dat");
            if kind.is_dir() && depth < DEPTH_MAX {
                match fs::read_dir(&path) {
                    Ok(entries) => folders.push((entries, depth + 1)),
                    Err(_) => skip("directories that cannot be read"),
                }
            } else if kind.is_dir() {
                skip("directories too deep");
            } else if is_info && kind.is_symlink() {
                skip("symbolic links");
            } else if is_info && found.len() >= FILES_MAX {
                skip("beyond the limit of files");
            } else if is_info && kind.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Reads a plain file of at most `max` bytes.
///
/// # Errors
/// It cannot be read, is none, or is longer.
pub fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    // A pipe would be waited for.
    let mut open = OpenOptions::new();
    open.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let file = open.open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("is not a plain file"));
    }
    if meta.len() > max {
        let text = format!("{} bytes are too many, {max} at most", meta.len());
        return Err(io::Error::other(text));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0));
    file.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}
