//! What `gatewayd` keeps over restarts: one sealed file for each purpose, in two places.
//!
//! The copy in memory (the runtime directory) is written soon after a change and survives the
//! process; the one on flash is written in batches and survives the power. The newer one counts.
//! Both are encrypted and authenticated under a key that only the supervisor's state has: they
//! hold names and devices. One that does not open is set aside and never stops a start.

use crate::handover::Secrets;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// First bytes of a file: a name and a version.
const MAGIC: [u8; 4] = *b"RGS1";
const NONCE_LEN: usize = 24;

/// Longest file that is read, bytes: 16,384 names of the longest kind fit.
const FILE_MAX: u64 = 8 << 20;

/// Pause between looks at what has changed: the age that the copy in memory may have.
const SOON: Duration = Duration::from_millis(200);

/// Time between copies on flash while something changes.
pub const BATCH: Duration = Duration::from_secs(300);

/// The directories, both of the gateway's user alone.
#[derive(Debug)]
pub struct Places {
    /// In memory: survives the process.
    pub run: OwnedFd,
    /// On flash: survives the power.
    pub flash: OwnedFd,
}

/// One file in both places.
pub struct Saved {
    places: Arc<Places>,
    name: &'static str,
    cipher: XChaCha20Poly1305,
    /// Of the newest copy.
    serial: u64,
}

/// Something that is kept.
pub trait Keep {
    /// Differs whenever there is something new to keep.
    fn changes(&self) -> u64;

    /// Differs whenever there is something that is to be on flash at once.
    fn urgent(&self) -> u64 {
        0
    }

    /// All of it.
    fn snapshot(&self) -> Vec<u8>;
}

impl Saved {
    /// Opens a file; what was kept, if anything, and what was wrong with a copy, in words.
    #[must_use]
    pub fn open(
        places: Arc<Places>,
        name: &'static str,
        secrets: &Secrets,
    ) -> (Self, Option<Vec<u8>>, Vec<String>) {
        let key = secrets.derive(&format!("saved {name}"));
        let mut saved = Self {
            places,
            name,
            cipher: XChaCha20Poly1305::new((&*key).into()),
            serial: 0,
        };
        let (mut newest, mut complaints) = (None, Vec::new());
        let places = Arc::clone(&saved.places);
        for place in [&places.run, &places.flash] {
            match saved.read(place) {
                Ok(Some((serial, bytes))) if serial > saved.serial => {
                    saved.serial = serial;
                    newest = Some(bytes);
                }
                Ok(_) => {}
                Err(e) => complaints.push(saved.set_aside(place, &e)),
            }
        }
        (saved, newest, complaints)
    }

    /// Writes the copy in memory, and the one on flash when asked. Nothing else waits for it: a
    /// card may take seconds.
    ///
    /// # Errors
    /// Of the system; what was there stays.
    pub async fn save(&mut self, bytes: &[u8], flash: bool) -> io::Result<()> {
        self.serial += 1;
        let sealed = self.seal(bytes)?;
        let (places, name) = (Arc::clone(&self.places), self.name);
        let writing = tokio::task::spawn_blocking(move || {
            write(&places.run, name, &sealed)?;
            if flash {
                write(&places.flash, name, &sealed)?;
            }
            Ok(())
        });
        writing.await.map_err(io::Error::other)?
    }

    /// Keeps something until `last` says that the end has come; then once more, on flash.
    pub async fn keep(mut self, what: Rc<dyn Keep>, last: impl Future<Output = ()>) {
        let (mut in_memory, mut on_flash) = (what.changes(), what.changes());
        let mut since: Option<tokio::time::Instant> = None;
        let mut urgent = what.urgent();
        let mut last = std::pin::pin!(last);
        loop {
            let ended = tokio::select! {
                () = tokio::time::sleep(SOON) => false,
                () = &mut last => true,
            };
            let now = what.changes();
            let waited = since.is_none_or(|since| since.elapsed() >= BATCH);
            let due = waited || what.urgent() != urgent;
            let flash = now != on_flash && (ended || due);
            if now != in_memory || flash {
                urgent = what.urgent();
                match self.save(&what.snapshot(), flash).await {
                    Ok(()) if flash => (in_memory, on_flash) = (now, now),
                    Ok(()) => in_memory = now,
                    Err(e) => eprintln!("gatewayd: {} is not kept: {e}", self.name),
                }
            }
            if flash {
                // Also after a failure: a full disk is not tried five times a second.
                since = Some(tokio::time::Instant::now());
            }
            if ended {
                return;
            }
        }
    }

    fn seal(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(io::Error::other)?;
        let plain = [&self.serial.to_be_bytes()[..], bytes].concat();
        let payload = Payload {
            msg: &plain,
            aad: self.name.as_bytes(),
        };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| io::Error::other("too long to be sealed"))?;
        Ok([&MAGIC[..], &nonce, &sealed].concat())
    }

    fn unseal(&self, file: &[u8]) -> Option<(u64, Vec<u8>)> {
        let (nonce, sealed) = file
            .strip_prefix(&MAGIC)?
            .split_first_chunk::<NONCE_LEN>()?;
        let payload = Payload {
            msg: sealed,
            aad: self.name.as_bytes(),
        };
        let plain = self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()?;
        let (serial, bytes) = plain.split_first_chunk::<8>()?;
        Some((u64::from_be_bytes(*serial), bytes.to_vec()))
    }

    fn read(&self, place: &OwnedFd) -> io::Result<Option<(u64, Vec<u8>)>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let fd = match openat(place.as_fd(), self.name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(nix::Error::ENOENT) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let mut bytes = Vec::new();
        File::from(fd).take(FILE_MAX + 1).read_to_end(&mut bytes)?;
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "does not open");
        self.unseal(&bytes).map(Some).ok_or_else(damaged)
    }

    /// One copy is kept for who wants to look; it is never read again.
    fn set_aside(&self, place: &OwnedFd, why: &io::Error) -> String {
        let aside = format!("{}.damaged", self.name);
        let at = place.as_fd();
        match renameat(at, self.name, at, aside.as_str()) {
            Ok(()) => format!("{} {why}: set aside as {aside}", self.name),
            Err(e) => format!("{} {why}, and cannot be set aside: {e}", self.name),
        }
    }
}

/// Another file, fsync, rename, fsync of the directory.
///
/// # Errors
/// Of the system; what was there stays.
pub fn write(place: &OwnedFd, name: &str, bytes: &[u8]) -> io::Result<()> {
    let (at, temp) = (place.as_fd(), format!("{name}.new"));
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let mut file = File::from(openat(at, temp.as_str(), flags, mode)?);
    file.write_all(bytes)?;
    file.sync_all()?;
    renameat(at, temp.as_str(), at, name)?;
    nix::unistd::fsync(at)?;
    Ok(())
}

#[cfg(test)]
mod tests;
