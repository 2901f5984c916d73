//! The watchdog: a timer of the machine that starts it anew when nobody feeds it. It is fed while
//! the rules read back and the supervisor's loop turns, and not begun before they did once: a box
//! that cannot seal itself is not kept alive by trying.
//!
//! Its time is the device's own, the kernel's default where nothing says otherwise.

use crate::config::Watchdog as Settings;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where the kernel tells of its watchdogs.
const ALL: &str = "/sys/class/watchdog";

/// What one calls itself that is no hardware: it cannot help when the kernel hangs.
const SOFT: &str = "Software Watchdog";

/// Ends it in order: without it a closed device goes on counting.
const MAGIC: &[u8] = b"V";

/// The device, once it is fed.
#[derive(Debug, Default)]
pub struct Watchdog {
    enabled: bool,
    named: Option<PathBuf>,
    open: Option<(File, String)>,
    said: String,
}

impl Watchdog {
    /// Nothing is begun yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            enabled: settings.enabled,
            named: settings.device.clone(),
            ..Self::default()
        }
    }

    /// All is well.
    pub fn feed(&mut self) {
        if !self.enabled {
            return;
        }
        if self.open.is_none() {
            self.begin();
        }
        let Some((device, name)) = &mut self.open else {
            return;
        };
        if let Err(e) = device.write_all(b"\0") {
            self.said = format!("{name}: {e}");
            eprintln!("supervisor: watchdog: {}", self.said);
            self.open = None;
        }
    }

    fn begin(&mut self) {
        let found = match &self.named {
            Some(path) => Some((path.clone(), String::new())),
            None => choose(Path::new(ALL)),
        };
        let Some((path, about)) = found else {
            self.say("this machine has none".into());
            return;
        };
        let mut options = OpenOptions::new();
        let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
        match options.write(true).custom_flags(flags).open(&path) {
            Ok(device) => {
                let name = format!("{}{about}", path.display());
                self.say(format!("fed, {name}"));
                self.open = Some((device, name));
            }
            Err(e) => self.say(format!("{}: {e}", path.display())),
        }
    }

    fn say(&mut self, what: String) {
        if self.said != what {
            eprintln!("supervisor: watchdog: {what}");
            self.said = what;
        }
    }

    /// An end in order: it stops counting, where the kernel lets it.
    pub fn stop(&mut self) {
        if let Some((mut device, name)) = self.open.take()
            && let Err(e) = device.write_all(MAGIC)
        {
            eprintln!("supervisor: watchdog: {name}: {e}");
        }
    }

    /// A line for the status; none where there is none.
    #[must_use]
    pub fn status(&self) -> String {
        match self.enabled {
            true if self.said.is_empty() => "watchdog: not fed yet\n".into(),
            true => format!("watchdog: {}\n", self.said),
            false => String::new(),
        }
    }
}

/// The first one of hardware, else any; what it is and how long it waits.
fn choose(all: &Path) -> Option<(PathBuf, String)> {
    let entries = fs::read_dir(all).ok()?.flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| describe(&entry.path()))
        .collect();
    found.sort();
    let (_, name, about) = found.into_iter().next()?;
    Some((Path::new("/dev").join(name), about))
}

/// Whether it is soft, its name, and the rest in words.
fn describe(path: &Path) -> Option<(bool, String, String)> {
    let name = path.file_name()?.to_str()?.to_owned();
    let read = |file: &str| {
        let text = fs::read_to_string(path.join(file)).unwrap_or_default();
        text.trim().chars().take(60).collect::<String>()
    };
    let identity = read("identity");
    let about = format!(" ({identity}, {} s)", read("timeout"));
    Some((identity == SOFT, name, about))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_is_preferred() {
        let dir = std::env::temp_dir().join(format!("ramson-dogs-{}", std::process::id()));
        assert_eq!(choose(&dir), None);
        for (name, identity) in [("watchdog0", SOFT), ("watchdog1", "i6300ESB timer")] {
            let dog = dir.join(name);
            fs::create_dir_all(&dog).unwrap();
            fs::write(dog.join("identity"), format!("{identity}\n")).unwrap();
            fs::write(dog.join("timeout"), "30\n").unwrap();
        }
        let (path, about) = choose(&dir).unwrap();
        assert_eq!(path, Path::new("/dev/watchdog1"));
        assert_eq!(about, " (i6300ESB timer, 30 s)");
        fs::remove_dir_all(dir.join("watchdog1")).unwrap();
        assert_eq!(choose(&dir).unwrap().0, Path::new("/dev/watchdog0"));
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn it_is_begun_with_the_first_food_and_ended_by_the_magic_word() {
        let path = std::env::temp_dir().join(format!("ramson-dog-{}", std::process::id()));
        let settings = Settings {
            enabled: true,
            device: Some(path.clone()),
        };
        let mut dog = Watchdog::new(&settings);
        dog.feed();
        assert!(dog.status().contains("No such file"), "{}", dog.status());
        fs::write(&path, "").unwrap();
        dog.stop();
        assert_eq!(fs::read(&path).unwrap(), b"");
        for _ in 0..3 {
            dog.feed();
        }
        assert_eq!(fs::read(&path).unwrap(), b"\0\0\0");
        assert_eq!(dog.status(), format!("watchdog: fed, {}\n", path.display()));
        dog.stop();
        dog.stop();
        assert_eq!(fs::read(&path).unwrap(), b"\0\0\0V");
        // One that is dropped without an end goes on counting.
        fs::write(&path, "").unwrap();
        dog.feed();
        drop(dog);
        assert_eq!(fs::read(&path).unwrap(), b"\0");
        let mut none = Watchdog::new(&Settings::default());
        none.feed();
        assert!(none.status().is_empty() && none.open.is_none());
        fs::remove_file(&path).unwrap();
    }
}
