//! Directories of root's: what is made and opened in them cannot be swapped by anybody else.
//!
//! The router's and the gateway's users own directories of their own, and may be somebody else's
//! by the time root works: nothing of root's is kept in those, and no symbolic link is followed.

use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, mkdirat};
use nix::unistd::{Gid, Uid, fchownat};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Component, Path};

const OPEN: OFlag = OFlag::O_DIRECTORY
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// An open directory which, like all above it, only root can change.
pub struct Directory(OwnedFd);

impl Directory {
    /// Opens it; makes what is missing, 0700 the last and 0755 the others.
    ///
    /// # Errors
    /// In words: the part of the path that is a symbolic link or in others' hands.
    pub fn open(path: &Path) -> Result<Self, String> {
        let fail = |e: String| format!("{}: {e}", path.display());
        let mut parts = path.components().peekable();
        if parts.next() != Some(Component::RootDir) {
            return Err(fail("has to begin with /".into()));
        }
        let root = open("/", OPEN, Mode::empty()).map_err(|e| fail(e.to_string()))?;
        let mut at = Self(root);
        let mut done = std::path::PathBuf::from("/");
        at.check().map_err(|e| fail(format!("/ {e}")))?;
        while let Some(part) = parts.next() {
            let Component::Normal(name) = part else {
                return Err(fail("must not contain . or ..".into()));
            };
            let mode = if parts.peek().is_none() { 0o700 } else { 0o755 };
            done.push(name);
            let next = at.enter(Path::new(name), Mode::from_bits_truncate(mode));
            at = next.map_err(|e| fail(format!("{} {e}", done.display())))?;
        }
        Ok(at)
    }

    fn enter(&self, name: &Path, mode: Mode) -> Result<Self, String> {
        match mkdirat(self.0.as_fd(), name, mode) {
            Ok(()) | Err(nix::Error::EEXIST) => {}
            Err(e) => return Err(format!("cannot be made: {e}")),
        }
        let next = openat(self.0.as_fd(), name, OPEN, Mode::empty()).map_err(|e| match e {
            nix::Error::ELOOP | nix::Error::ENOTDIR => "is a symbolic link or no directory".into(),
            e => e.to_string(),
        })?;
        let next = Self(next);
        next.check()?;
        Ok(next)
    }

    /// Ours or root's, and nobody else may make or rename things in it. In a directory with the
    /// sticky bit others may make things, but not touch ours.
    fn check(&self) -> Result<(), String> {
        let stat = fstat(self.0.as_fd()).map_err(|e| e.to_string())?;
        let uid = stat.st_uid;
        if !is_ours(uid) {
            return Err(format!("belongs to user {uid}, not to root"));
        }
        let mode = Mode::from_bits_truncate(stat.st_mode);
        if mode.intersects(Mode::S_IWGRP | Mode::S_IWOTH) && !mode.contains(Mode::S_ISVTX) {
            return Err("can be written by others than root".into());
        }
        Ok(())
    }

    /// A listening socket of this name in place of another, its owner's alone from the first moment
    /// on. `path` is where it is; the directory is root's, so that is the same place still.
    ///
    /// # Errors
    /// Of the system.
    pub fn listen(&self, path: &Path, name: &str) -> io::Result<UnixListener> {
        self.remove(name)?;
        let (unix, flags) = (AddressFamily::Unix, SockFlag::SOCK_CLOEXEC);
        let fd = socket(unix, SockType::Stream, flags, None)?;
        // The name takes the mode of the socket.
        fchmod(fd.as_fd(), Mode::S_IRUSR | Mode::S_IWUSR)?;
        bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
        listen(&fd, Backlog::MAXCONN)?;
        Ok(fd.into())
    }

    /// Lets others reach what is in it by name; they still cannot list or change it.
    ///
    /// # Errors
    /// Of the system.
    pub fn let_through(&self) -> io::Result<()> {
        Ok(fchmod(self.0.as_fd(), Mode::from_bits_truncate(0o711))?)
    }

    /// The open directory itself.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// Gives what has this name away; a link itself, not where it leads.
    ///
    /// # Errors
    /// Of the system.
    pub fn give_name(&self, name: &str, (uid, gid): (u32, u32)) -> io::Result<()> {
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
        Ok(fchownat(self.0.as_fd(), name, uid, gid, flags)?)
    }

    /// Opens a directory below this one that belongs to another user alone; makes it if missing.
    ///
    /// # Errors
    /// In words: it is a symbolic link, a third party's, or cannot be made or given away.
    pub fn give(&self, name: &str, (uid, gid): (u32, u32)) -> Result<OwnedFd, String> {
        let fail = |e: &dyn std::fmt::Display| format!("{name}: {e}");
        match mkdirat(self.0.as_fd(), name, Mode::S_IRWXU) {
            Ok(()) | Err(nix::Error::EEXIST) => {}
            Err(e) => return Err(fail(&e)),
        }
        let fd = openat(self.0.as_fd(), name, OPEN, Mode::empty()).map_err(|e| fail(&e))?;
        let stat = fstat(fd.as_fd()).map_err(|e| fail(&e))?;
        if stat.st_uid != uid {
            if !is_ours(stat.st_uid) {
                return Err(fail(&format!("belongs to user {}", stat.st_uid)));
            }
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            nix::unistd::fchown(fd.as_fd(), Some(uid), Some(gid)).map_err(|e| fail(&e))?;
        }
        if stat.st_mode & 0o077 != 0 {
            return Err(fail(&"is open to other users"));
        }
        Ok(fd)
    }

    /// Reads a whole file of exactly `N` bytes; `None` when there is none.
    ///
    /// # Errors
    /// `InvalidData` when it has another length; `PermissionDenied` when it is no plain file, not
    /// ours, or open to others.
    pub fn read<const N: usize>(&self, name: &str) -> io::Result<Option<[u8; N]>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let fd = match openat(self.0.as_fd(), name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(nix::Error::ENOENT) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        if !is_private(&fstat(fd.as_fd())?) {
            let what = "is not a private file of root's";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
        }
        let mut bytes = Vec::with_capacity(N);
        File::from(fd)
            .take(u64::try_from(N + 1).unwrap_or(u64::MAX))
            .read_to_end(&mut bytes)?;
        let bytes = <[u8; N]>::try_from(bytes.as_slice());
        bytes
            .map(Some)
            .map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// Writes a file of mode 0600 in one step: another file, fsync, rename, fsync of the directory.
    ///
    /// # Errors
    /// Of the system. What was there stays then.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temp = format!("{name}.new");
        // Left over from a start that was cut short; anything else cannot be made here.
        self.remove(&temp)?;
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let mut file = File::from(openat(self.0.as_fd(), temp.as_str(), flags, mode)?);
        file.write_all(bytes)?;
        file.sync_all()?;
        let at = self.0.as_fd();
        nix::fcntl::renameat(at, temp.as_str(), at, name)?;
        nix::unistd::fsync(at)?;
        Ok(())
    }

    /// Removes a name that is no directory; one that is not there is fine.
    ///
    /// # Errors
    /// Of the system.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        let flag = nix::unistd::UnlinkatFlags::NoRemoveDir;
        match nix::unistd::unlinkat(self.0.as_fd(), name, flag) {
            Ok(()) | Err(nix::Error::ENOENT) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

fn is_ours(uid: u32) -> bool {
    uid == 0 || uid == Uid::effective().as_raw()
}

fn is_private(stat: &FileStat) -> bool {
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    let others = Mode::from_bits_truncate(stat.st_mode) & (Mode::S_IRWXG | Mode::S_IRWXO);
    kind == SFlag::S_IFREG && others.is_empty() && is_ours(stat.st_uid) && stat.st_nlink == 1
}

#[cfg(test)]
mod tests;
