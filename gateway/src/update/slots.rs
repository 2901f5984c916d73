//! The two slots as the disk has them: where their partitions are, and the boot state beside them.
//!
//! What runs here, and from where, the boot script has written down (`/run/ramson-boot`).

use super::{Part, Target};
use ramson_layout::state::{COPIES, COPY_LEN, Slot, State};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Longest list of places that is read, bytes.
const PLACES_MAX: u64 = 4096;

/// What the boot script has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// What runs; `None`: the rescue system.
    pub running: Option<Slot>,
    /// Where the boot state is.
    pub state: PathBuf,
    /// The boot partitions of the first and the second slot.
    pub boot: [PathBuf; 2],
    /// The root file systems.
    pub root: [PathBuf; 2],
}

impl Places {
    /// Reads the list; `None` where there are no slots: the machine was started in another way.
    ///
    /// # Errors
    /// In words: it is there and makes no sense.
    pub fn read(path: &Path) -> Result<Option<Self>, String> {
        let named = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(named(&e)),
        };
        let mut text = String::new();
        let read = file.take(PLACES_MAX).read_to_string(&mut text);
        read.map_err(|e| named(&e))?;
        Self::parse(&text).map_err(|e| named(&e))
    }

    fn parse(text: &str) -> Result<Option<Self>, String> {
        let value = |name: &str| {
            let pairs = text.lines().filter_map(|line| line.split_once('='));
            let mut values = pairs.filter_map(|(key, value)| (key == name).then_some(value));
            values.next().filter(|value| !value.is_empty())
        };
        let Some(slot) = value("slot") else {
            return Ok(None);
        };
        let running = match slot {
            "r" => None,
            letter => Some(Slot::of(letter).ok_or(format!("there is no slot {letter}"))?),
        };
        let place = |name: &str| {
            let path = value(name).map(PathBuf::from);
            path.filter(|path| path.is_absolute())
                .ok_or(format!("it does not say where {name} is"))
        };
        Ok(Some(Self {
            running,
            state: place("state")?,
            boot: [place("boot_a")?, place("boot_b")?],
            root: [place("root_a")?, place("root_b")?],
        }))
    }

    /// What is known of the slots; from the factory where both copies are lost.
    ///
    /// # Errors
    /// Of the system.
    pub fn state(&self) -> io::Result<State> {
        let read = read_state(&File::open(&self.state)?)?;
        Ok(read.map_or(State::FACTORY, |(state, _)| state))
    }

    /// Writes what is known of them, over the older copy, and reads it back.
    ///
    /// # Errors
    /// Of the system, or it does not keep it.
    pub fn change(&self, change: impl Fn(&State) -> State) -> io::Result<State> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.state)?;
        let old = read_state(&file)?;
        let (state, copy) = old.unwrap_or((State::FACTORY, 1));
        let new = change(&state);
        let at = |copy: usize| COPIES.get(copy).copied().unwrap_or(0);
        file.write_all_at(&new.encode(), at(1 - copy.min(1)))?;
        settle(&file)?;
        match read_state(&file)? {
            Some((kept, _)) if kept == new => Ok(new),
            _ => Err(io::Error::other("the state is not kept")),
        }
    }
}

fn read_state(file: &File) -> io::Result<Option<(State, usize)>> {
    let mut copies = [[0; COPY_LEN]; 2];
    for (copy, at) in copies.iter_mut().zip(COPIES) {
        match file.read_exact_at(copy, at) {
            // Shorter than it should be: there is none then.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {}
            read => read?,
        }
    }
    Ok(State::newest([&copies[0], &copies[1]]))
}

/// What was written is on the disk, and is read from there.
fn settle(file: &File) -> io::Result<()> {
    file.sync_data()?;
    let forgotten = nix::fcntl::posix_fadvise(
        file,
        0,
        0,
        nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED,
    );
    Ok(forgotten?)
}

/// A slot that does not run, open for an update.
pub struct Open {
    places: Places,
    slot: Slot,
    boot: File,
    root: File,
}

impl Open {
    /// The slot that an update goes to.
    ///
    /// # Errors
    /// In words: what runs is on trial itself, so that the other slot is all there is to fall back
    /// to; or of the system.
    pub fn other(places: Places) -> Result<Self, String> {
        let state = places.state().map_err(|e| format!("boot state: {e}"))?;
        let slot = match places.running {
            Some(running) if state.health(running) == ramson_layout::state::Health::Trial => {
                let why =
                    "the last update is on trial still: wait until it has shown that it works";
                return Err(why.into());
            }
            Some(running) => running.other(),
            // In rescue neither has come up: the one that is wanted least.
            None => state.wanted.other(),
        };
        let index = usize::from(slot == Slot::B);
        let open = |paths: &[PathBuf; 2]| {
            let path = paths.get(index).ok_or("no such slot")?;
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).open(path);
            file.map_err(|e| format!("{}: {e}", path.display()))
        };
        Ok(Self {
            slot,
            boot: open(&places.boot)?,
            root: open(&places.root)?,
            places,
        })
    }

    /// Which one it is.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        self.slot
    }

    fn file(&mut self, part: Part) -> &mut File {
        match part {
            Part::Boot => &mut self.boot,
            Part::Root => &mut self.root,
        }
    }
}

impl Target for Open {
    fn size(&mut self, part: Part) -> io::Result<u64> {
        self.file(part).seek(SeekFrom::End(0))
    }

    fn spoil(&mut self) -> io::Result<()> {
        let slot = self.slot;
        self.places.change(|state| state.spoiled(slot)).map(|_| ())
    }

    fn write(&mut self, part: Part, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file(part).write_all_at(bytes, at)
    }

    fn flush(&mut self, part: Part) -> io::Result<()> {
        settle(self.file(part))
    }

    fn read(&mut self, part: Part, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file(part).read_exact_at(bytes, at)
    }

    fn try_next(&mut self) -> io::Result<()> {
        let slot = self.slot;
        self.places.change(|state| state.trying(slot)).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ramson_layout::state::Health;

    const LIST: &str = "slot=a\ndisk=/dev/vda\nstate=/dev/vda2\nboot_a=/dev/vda3\n\
                        root_a=/dev/vda4\nboot_b=/dev/vda5\nroot_b=/dev/vda6\n";

    #[test]
    fn the_boot_scripts_list_is_read_and_what_misses_something_is_not() {
        let places = Places::parse(LIST).unwrap().unwrap();
        assert_eq!(places.running, Some(Slot::A));
        assert_eq!(places.boot[1], Path::new("/dev/vda5"));
        let rescue = Places::parse(&LIST.replace("slot=a", "slot=r")).unwrap();
        assert_eq!(rescue.unwrap().running, None);
        assert_eq!(Places::parse(""), Ok(None));
        assert_eq!(Places::read(Path::new("/no/such/list")), Ok(None));
        for name in ["state", "boot_a", "root_a", "boot_b", "root_b"] {
            let without = LIST.replace(&format!("{name}="), "x=");
            assert!(
                Places::parse(&without).is_err_and(|e| e.contains(name)),
                "{name}"
            );
        }
        assert!(Places::parse(&LIST.replace("slot=a", "slot=c")).is_err());
        assert!(Places::parse(&LIST.replace("=/dev/vda2", "=vda2")).is_err());
    }

    #[test]
    fn changes_go_over_the_older_copy_and_a_slot_on_trial_keeps_the_other() {
        let dir = std::env::temp_dir().join(format!("ramson-slots-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let list = LIST.replace("/dev", dir.to_str().unwrap());
        for n in 2..7 {
            std::fs::write(dir.join(format!("vda{n}")), vec![0; 65_536]).unwrap();
        }
        let places = Places::parse(&list).unwrap().unwrap();
        assert_eq!(places.state().unwrap(), State::FACTORY);
        let mut before = State::FACTORY;
        for round in 0..4 {
            let after = places.change(|state| state.good(Slot::A)).unwrap();
            assert_eq!(after.number, before.number + 1);
            let bytes = std::fs::read(&places.state).unwrap();
            let at = usize::try_from(COPIES[round % 2]).unwrap();
            assert_eq!(&bytes[at..at + COPY_LEN], after.encode());
            before = after;
        }
        assert_eq!(Open::other(places.clone()).unwrap().slot(), Slot::B);
        places.change(|state| state.trying(Slot::A)).unwrap();
        let refused = Open::other(places.clone()).map(|_| ());
        assert!(refused.is_err_and(|e| e.contains("on trial")));
        let state = places.state().unwrap();
        assert_eq!((state.a, state.b), (Health::Trial, Health::Good));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
