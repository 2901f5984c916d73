//! The directory of everything that outlives a restart: it belongs to one router at a time, and
//! only its owner and root can write in it. Files are opened relative to it and never through a
//! symbolic link, so that nobody who can write elsewhere on the path redirects a key.

use crate::log::Log;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};
use ramson_proto::trace::Level;
use std::fmt::Display;
use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Held for as long as a router runs; says which process it is.
const LOCK: &str = "routerd.lock";
/// Others may not write here.
const OTHERS_WRITE: u32 = 0o022;
/// Others may do nothing here.
const OTHERS: u32 = 0o077;
/// What others write in such a directory is theirs alone to remove.
const STICKY: u32 = 0o1000;

/// The open directory.
pub struct DataDir {
    path: PathBuf,
    dir: OwnedFd,
}

/// Nobody else runs a router on the directory while this is there.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "what is held is the lock on it")] File);

impl DataDir {
    /// Opens the directory, which is made (0700) when it is missing, and judges who can write in
    /// it. One of our own that others can write in is closed to them.
    ///
    /// # Errors
    /// Path and reason: somebody else owns it, or can move it away.
    pub fn open(path: &Path, log: Log) -> Result<Self, String> {
        let named = |e: &dyn Display| format!("{}: {e}", path.display());
        let mut make = DirBuilder::new();
        make.recursive(true).mode(0o700);
        make.create(path).map_err(|e| named(&e))?;
        let (dir, mode) = Self::judged(path)?;
        if let Some(mode) = mode {
            fchmod(&dir.dir, mode).map_err(|e| named(&e))?;
            let text = "others could write here; closed to them";
            log.line(Level::Warn, named(&text));
        }
        Ok(dir)
    }

    /// Opens the directory to look at it; nothing is made or changed. `None` when there is none.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub fn look(path: &Path) -> Result<Option<Self>, String> {
        if !path.exists() {
            return Ok(None);
        }
        Self::judged(path).map(|(dir, _)| Some(dir))
    }

    /// The directory, and the mode that it should have if that is another.
    fn judged(path: &Path) -> Result<(Self, Option<Mode>), String> {
        let named = |e: &dyn Display| format!("{}: {e}", path.display());
        let real = path.canonicalize().map_err(|e| named(&e))?;
        trusted_above(&real)?;
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let dir = openat(AT_FDCWD, &real, flags, Mode::empty()).map_err(|e| named(&e))?;
        let stat = fstat(&dir).map_err(|e| named(&e))?;
        let us = geteuid().as_raw();
        if stat.st_uid != us && stat.st_uid != 0 {
            return Err(named(&format_args!(
                "belongs to user {}, and the router runs as user {us}",
                stat.st_uid
            )));
        }
        let open = stat.st_mode & OTHERS_WRITE != 0;
        if stat.st_uid != us && stat.st_mode & 0o002 != 0 {
            return Err(named(&"everybody can write in it"));
        }
        let closed = Mode::from_bits_truncate(stat.st_mode & 0o7777 & !OTHERS_WRITE);
        let path = path.to_owned();
        Ok((
            Self { path, dir },
            (open && stat.st_uid == us).then_some(closed),
        ))
    }

    /// The path of a file in it, for messages and for the database.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Claims the directory for this process.
    ///
    /// # Errors
    /// A router runs on it already, with its process id; or why that cannot be found out.
    pub fn lock(&self) -> Result<Lock, String> {
        let path = self.path(LOCK);
        let named = |e: &dyn Display| format!("{}: {e}", path.display());
        let mut file = self
            .open_file(LOCK, OFlag::O_RDWR | OFlag::O_CREAT)
            .map_err(|e| named(&e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let read = (&mut file).take(32).read_to_string(&mut text);
                let pid = read.ok().and_then(|_| text.trim().parse::<u32>().ok());
                let pid = pid.map(|p| format!(" (pid {p})")).unwrap_or_default();
                let dir = self.path.display();
                return Err(format!("already running{pid} on {dir}"));
            }
            Err(TryLockError::Error(e)) => return Err(named(&e)),
        }
        let write = |file: &mut File| -> io::Result<()> {
            file.set_len(0)?;
            writeln!(file, "{}", std::process::id())
        };
        // On a full disk the lock holds all the same; only its owner has no number.
        let _ = write(&mut file);
        Ok(Lock(file))
    }

    fn open_file(&self, name: &str, flags: OFlag) -> io::Result<File> {
        let always = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let file = match openat(&self.dir, name, flags | always, mode) {
            Err(Errno::ELOOP) => return Err(io::Error::other("is a symbolic link")),
            opened => File::from(opened?),
        };
        judge(&fstat(file.as_fd())?)?;
        Ok(file)
    }

    /// Reads a file that is ours alone; its bytes are wiped when dropped.
    ///
    /// # Errors
    /// It is not there, is longer than `max` bytes, is no plain file, or is not ours alone.
    pub fn read(&self, name: &str, max: usize) -> io::Result<Zeroizing<Vec<u8>>> {
        let file = self.open_file(name, OFlag::O_RDONLY)?;
        // Room for one byte more than allowed: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(vec![0; max + 1]);
        let mut n = 0;
        while let Some(rest) = bytes.get_mut(n..).filter(|r| !r.is_empty()) {
            match (&file).read(rest) {
                Ok(0) => break,
                Ok(more) => n += more,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if n > max {
            return Err(io::Error::other(format!("is longer than {max} bytes")));
        }
        bytes.truncate(n);
        Ok(bytes)
    }

    /// Writes a file of mode 0600 that is there whole or not at all.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temp = format!("{name}.new");
        match unlinkat(&self.dir, temp.as_str(), UnlinkatFlags::NoRemoveDir) {
            Err(e) if e != Errno::ENOENT => return Err(e.into()),
            _ => {}
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let mut file = self.open_file(&temp, flags)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        renameat(&self.dir, temp.as_str(), &self.dir, name)?;
        nix::unistd::fsync(&self.dir)?;
        Ok(())
    }
}

/// Whether a file is a plain one that nobody but its owner reaches, and the owner is us or root.
fn judge(stat: &FileStat) -> io::Result<()> {
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err(io::Error::other("is not a plain file"));
    }
    if stat.st_uid != geteuid().as_raw() && stat.st_uid != 0 {
        let text = format!("belongs to user {}", stat.st_uid);
        return Err(io::Error::other(text));
    }
    if stat.st_mode & OTHERS != 0 {
        let mode = stat.st_mode & 0o777;
        let text = format!("others can reach it (mode {mode:o}): chmod 600");
        return Err(io::Error::other(text));
    }
    Ok(())
}

/// Root trusts a path only if nobody else can rename what is on it. Everybody else has no more to
/// lose than their own files, and those above them are root's business.
fn trusted_above(real: &Path) -> Result<(), String> {
    if !geteuid().is_root() {
        return Ok(());
    }
    for above in real.ancestors().skip(1) {
        let meta = above
            .metadata()
            .map_err(|e| format!("{}: {e}", above.display()))?;
        let open = meta.mode() & OTHERS_WRITE != 0 && meta.mode() & STICKY == 0;
        if meta.uid() != 0 || open {
            return Err(format!(
                "{}: others can write in {}, so root does not keep keys below it",
                real.display(),
                above.display()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
