//! The machine as a whole, where it is nothing but this box (`machine.enabled`): its log, its end,
//! its identity as a backup, and that all is forgotten.
//!
//! What is restored has been read by another process (the page, `ramson ctl`), which leaves single
//! files in the page's directory. What is in there is another user's: nothing but plain files of
//! known names and sizes is taken.

use super::admin::Wish;
use super::directory::Directory;
use super::{Supervisor, command};
use crate::backup::{self, Entry};
use crate::config::Config;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, unlinkat};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use zeroize::Zeroizing;

/// At the next start the boot script finds it and empties the data partition.
pub const RESET: &str = "factory-reset";

/// The page's directory, below the state directory, and what begins the names of files there that
/// are to be restored.
pub const PAGE: &str = "console";
const STAGED: &str = "restore.";

/// Newest bytes of the log that are shown.
const LOG_MAX: usize = 64 << 10;

/// Whether such things may be asked for here.
fn allowed(config: &Config) -> Result<(), String> {
    let why = "this machine has other owners than this box: machine.enabled is false";
    config.machine.enabled.then_some(()).ok_or(why.into())
}

/// The newest lines of the log, without names of sites and codes.
///
/// # Errors
/// There is no log to read.
pub fn log(config: &Config) -> Result<String, String> {
    allowed(config)?;
    let text = command::plain("logread")?;
    let from = text.len().saturating_sub(LOG_MAX);
    let from = (from..text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    let newest = text.get(from..).unwrap_or_default();
    // The first one is cut.
    let newest = if from > 0 {
        newest.split_once('\n').map_or("", |(_, rest)| rest)
    } else {
        newest
    };
    Ok(newest.lines().map(|line| redact(line) + "\n").collect())
}

/// Nothing in the log names users' sites. Should something do so, it ends here.
fn redact(line: &str) -> String {
    let words: Vec<_> = line
        .split(' ')
        .map(|word| {
            let code = word.len() == 8 && word.bytes().all(|b| b.is_ascii_digit());
            if word.contains(".i2p") || code {
                "…"
            } else {
                word
            }
        })
        .collect();
    words.join(" ")
}

/// Ends everything in order and begins anew, or not.
///
/// # Errors
/// What the program said.
pub fn end(config: &Config, again: bool) -> Result<(), String> {
    allowed(config)?;
    command::plain(if again { "reboot" } else { "poweroff" }).map(|_| ())
}

/// All is forgotten at the next start, which is now.
///
/// # Errors
/// In words: nothing is forgotten then.
pub fn reset(config: &Config) -> Result<(), String> {
    allowed(config)?;
    let data = Directory::open(&config.machine.data)?;
    data.write(RESET, b"\n")
        .map_err(|e| format!("{RESET}: {e}"))?;
    end(config, true)
}

/// The identity as text.
///
/// # Errors
/// In words.
pub fn save(config: &Config, router: (u32, u32)) -> Result<Zeroizing<String>, String> {
    allowed(config)?;
    let mut entries = Vec::new();
    for (dir, owner) in [("i2p", router), ("gateway", (0, 0)), ("config", (0, 0))] {
        let place = place(config, dir, owner)?;
        let path = config.machine.data.join(dir);
        let mut names = names(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        names.sort();
        for file in names {
            let name = format!("{dir}/{file}");
            let Some(most) = backup::longest(&name) else {
                continue;
            };
            let bytes = read(&place, &file, most).map_err(|e| format!("{name}: {e}"))?;
            entries.push(Entry { name, bytes });
        }
    }
    if !entries.iter().any(|e| e.name == "i2p/router.keys") {
        return Err("the router has no identity yet".into());
    }
    if entries.len() > backup::FILES_MAX {
        return Err("there are too many keys for one backup".into());
    }
    Ok(backup::encode(&entries))
}

/// Leaves files in the page's directory, for [`restore`].
///
/// # Errors
/// Of the system.
pub fn stage(dir: &OwnedFd, entries: &[Entry]) -> io::Result<()> {
    for entry in entries {
        put(dir, &staged(&entry.name), &entry.bytes, None)?;
    }
    Ok(())
}

fn staged(name: &str) -> String {
    format!("{STAGED}{}", name.replace('/', "."))
}

/// Puts what is staged in place of what is there; the router must not run. The machine has to begin
/// anew then.
///
/// # Errors
/// In words.
pub fn restore(config: &Config, page: (u32, u32), router: (u32, u32)) -> Result<(), String> {
    allowed(config)?;
    let from = Directory::open(&config.paths.state_dir)?.give(PAGE, page)?;
    let path = config.paths.state_dir.join(PAGE);
    let found = names(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut entries = Vec::new();
    for file in found.iter().filter(|file| file.starts_with(STAGED)) {
        let name = file
            .strip_prefix(STAGED)
            .unwrap_or_default()
            .replacen('.', "/", 1);
        let read = match backup::longest(&name) {
            Some(most) => read(&from, file, most).map_err(|e| format!("{name}: {e}")),
            None => Err(format!("{name} is of no backup")),
        };
        // Used up, whatever comes of it.
        let _ = unlinkat(from.as_fd(), file.as_str(), UnlinkatFlags::NoRemoveDir);
        entries.push(Entry { name, bytes: read? });
    }
    if !entries.iter().any(|e| e.name == "i2p/router.keys") {
        return Err("there is nothing to restore".into());
    }
    for Entry { name, bytes } in &entries {
        let (dir, file) = name.split_once('/').unwrap_or_default();
        let (owner, mode) = match dir {
            "i2p" => (router, 0o600),
            "config" => ((0, 0), 0o644),
            _ => ((0, 0), 0o600),
        };
        let written = place(config, dir, owner).and_then(|place| {
            put(&place, file, bytes, Some((owner, mode))).map_err(|e| e.to_string())
        });
        written.map_err(|e| format!("{name}: {e}"))?;
    }
    // Made anew of the keys.
    let router_dir = place(config, "i2p", router)?;
    let _ = unlinkat(
        router_dir.as_fd(),
        "router.info",
        UnlinkatFlags::NoRemoveDir,
    );
    Ok(())
}

impl Supervisor {
    /// Does what is wanted; the answer.
    pub(super) fn machine(&mut self, wish: Wish) -> String {
        let config = &self.config;
        let done = match wish {
            Wish::Log => log(config),
            Wish::Backup => {
                save(config, self.router_user).map(|mut text| std::mem::take(&mut *text))
            }
            Wish::Reboot => end(config, true).map(|()| "reboot: ok\n".into()),
            Wish::PowerOff => end(config, false).map(|()| "power-off: ok\n".into()),
            Wish::Reset => reset(config).map(|()| "factory-reset: ok\n".into()),
            Wish::Restore => self.restore().map(|()| "restore: ok\n".into()),
        };
        done.unwrap_or_else(|e| format!("error: {}\n", e.trim()))
    }

    fn restore(&mut self) -> Result<(), String> {
        allowed(&self.config)?;
        let page = self
            .page_user
            .ok_or("there is no page: console.enabled is false")?;
        // It holds what is replaced.
        self.router.begin_anew();
        restore(&self.config, page, self.router_user)?;
        end(&self.config, true)
    }
}

/// A directory of the data partition. `config` and the gateway's are open to nobody else's writing.
fn place(config: &Config, dir: &str, owner: (u32, u32)) -> Result<OwnedFd, String> {
    let data = &config.machine.data;
    if dir == "i2p" {
        Directory::open(data)?.give(dir, owner)
    } else {
        Directory::open(&data.join(dir)).map(Directory::into_fd)
    }
}

fn names(path: &Path) -> io::Result<Vec<String>> {
    let entries = std::fs::read_dir(path)?.flatten();
    Ok(entries
        .filter_map(|e| e.file_name().into_string().ok())
        .take(4096)
        .collect())
}

fn read(dir: &OwnedFd, name: &str, most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let fd = openat(dir.as_fd(), name, flags, Mode::empty())?;
    let stat = fstat(fd.as_fd())?;
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
    if kind != SFlag::S_IFREG || stat.st_nlink != 1 || size > most {
        return Err(io::Error::other("is no plain file of this size"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    File::from(fd).take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a file in one step, in a directory that may be another user's.
fn put(
    dir: &OwnedFd,
    name: &str,
    bytes: &[u8],
    owner: Option<((u32, u32), u32)>,
) -> io::Result<()> {
    let (at, temp) = (dir.as_fd(), format!("{name}.new"));
    match unlinkat(at, temp.as_str(), UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(nix::Error::ENOENT) => {}
        Err(e) => return Err(e.into()),
    }
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(
        at,
        temp.as_str(),
        flags,
        Mode::S_IRUSR | Mode::S_IWUSR,
    )?);
    file.write_all(bytes)?;
    if let Some(((uid, gid), mode)) = owner {
        // Afterwards it is another's.
        fchmod(file.as_fd(), Mode::from_bits_truncate(mode))?;
        fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    file.sync_all()?;
    renameat(at, temp.as_str(), at, name)?;
    nix::unistd::fsync(at)?;
    Ok(())
}

#[cfg(test)]
mod tests;
