//! The program that takes an update, with files in the place of partitions: everything that it
//! refuses, what it leaves behind then, and what memory it takes.

#![allow(clippy::unwrap_used)]

#[path = "update/bundle.rs"]
mod bundle;

use bundle::{BOOT, ROOT, bundle, image};
use ed25519_dalek::SigningKey;
use ramson_gateway::ctl;
use ramson_gateway::update::slots::Places;
use ramson_layout::bundle::{Arch, Header};
use ramson_layout::key;
use ramson_layout::state::{Health, Slot};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A box with a disk of files.
struct Box {
    dir: PathBuf,
    key: SigningKey,
    /// The program, and the most memory it took, KiB.
    pid: AtomicU32,
    peak: AtomicU32,
}

impl Box {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("ramson-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let this = Self {
            dir,
            key: SigningKey::from_bytes(&[4; 32]),
            pid: AtomicU32::new(0),
            peak: AtomicU32::new(0),
        };
        let mut list = String::from("slot=a\n");
        for (name, len) in [
            ("state", 65_536),
            ("boot_a", BOOT + 4096),
            ("root_a", ROOT + 4096),
            ("boot_b", BOOT + 4096),
            ("root_b", ROOT + 4096),
        ] {
            fs::write(this.path(name), vec![0x55; len]).unwrap();
            list += &format!("{name}={}\n", this.path(name).display());
        }
        fs::write(this.path("list"), list).unwrap();
        let public = key::public_text(&this.key.verifying_key());
        fs::write(this.path("key"), public).unwrap();
        fs::write(this.path("version"), "0.1.0+100\n").unwrap();
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn places(&self) -> Places {
        Places::read(&self.path("list")).unwrap().unwrap()
    }

    /// What came of an update, and the lines on the way.
    fn update(&self, file: &[u8]) -> (Result<String, String>, Vec<String>) {
        let socket = self.path("socket");
        let _ = fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let mut lines = Vec::new();
        let done = std::thread::scope(|threads| {
            let updater = threads.spawn(|| {
                let (stream, _) = listener.accept().unwrap();
                let mut command = Command::new(env!("CARGO_BIN_EXE_updater"));
                command.arg("--boot").arg(self.path("list"));
                command.arg("--key").arg(self.path("key"));
                command.arg("--version").arg(self.path("version"));
                command.stdin(Stdio::from(OwnedFd::from(stream)));
                let child = command.stdout(Stdio::piped()).spawn().unwrap();
                self.pid.store(child.id(), Ordering::Relaxed);
                // Our copy of the socket goes with it.
                drop(command);
                child.wait_with_output().unwrap()
            });
            let mut told = |line: &str| {
                if line == "reading back, 50 %" {
                    self.peak.store(self.memory(), Ordering::Relaxed);
                }
                lines.push(line.to_owned());
            };
            let done = ctl::update(&socket, file, &mut told);
            let output = updater.join().unwrap();
            assert_eq!(output.status.success(), done.is_ok());
            let last = String::from_utf8(output.stdout).unwrap();
            assert_eq!(last.lines().last(), lines.last().map(String::as_str));
            done
        });
        (done, lines)
    }

    fn memory(&self) -> u32 {
        let pid = self.pid.load(Ordering::Relaxed);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let number = line.and_then(|l| l.split_whitespace().next()?.parse().ok());
        number.unwrap_or(0)
    }

    fn is_untouched(&self) -> bool {
        ["state", "boot_a", "root_a", "boot_b", "root_b"]
            .into_iter()
            .all(|name| {
                fs::read(self.path(name))
                    .unwrap()
                    .iter()
                    .all(|b| *b == 0x55)
            })
    }
}

impl Drop for Box {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn an_update_lands_in_the_other_slot_within_a_few_megabytes() {
    let the_box = Box::new("update");
    let (done, lines) = the_box.update(&bundle(&the_box.key, |_| {}));
    let done = done.unwrap();
    assert_eq!(done, "0.1.0+200 is in slot b and starts next");
    assert_eq!(lines.first().unwrap(), "writing, 0 %");
    assert!(lines.contains(&"reading back, 100 %".to_owned()));
    let read = |name: &str| fs::read(the_box.path(name)).unwrap();
    assert!(read("boot_b").starts_with(&image(BOOT, 1)));
    assert!(read("root_b").starts_with(&image(ROOT, 2)));
    assert!(
        read("boot_a")
            .iter()
            .chain(&read("root_a"))
            .all(|b| *b == 0x55)
    );
    let state = the_box.places().state().unwrap();
    assert_eq!((state.next(), state.a), (Some(Slot::B), Health::Good));
    assert_eq!(state.b, Health::Trial);
    let peak = the_box.peak.load(Ordering::Relaxed);
    println!("the updater took {peak} KiB at most");
    assert!((1..8192).contains(&peak), "{peak} KiB");
}

#[test]
fn what_is_refused_is_named_and_leaves_everything_as_it_was() {
    let the_box = Box::new("refused");
    let stranger = SigningKey::from_bytes(&[6; 32]);
    let other = Arch::ALL
        .into_iter()
        .find(|arch| arch.name() != std::env::consts::ARCH)
        .unwrap();
    let own = |change: fn(&mut Header)| bundle(&the_box.key, change);
    for (file, why) in [
        (bundle(&stranger, |_| {}), "not signed"),
        (bundle(&the_box.key, |h| h.arch = other), "not for this box"),
        (own(|h| h.version.build = 99), "older than"),
        (own(|h| h.from.release = [9, 0, 0]), "one in between"),
        (own(|h| h.boot.len = 6 << 20), "boot image is larger"),
        (
            own(|h| h.root.len = 100 << 20),
            "root file system is larger",
        ),
        (own(|_| {})[..200].to_vec(), "ends too early"),
        (image(5000, 0), "no update"),
    ] {
        let (done, _) = the_box.update(&file);
        let said = done.unwrap_err();
        assert!(said.contains(why), "{said}");
        assert!(the_box.is_untouched(), "{said}");
    }
    // Without slots, without a key, without a version.
    for (name, text, why) in [
        ("list", "", "no second slot"),
        ("key", "none", "key of updates"),
        ("version", "new", "is no version"),
    ] {
        let path = the_box.path(name);
        let before = fs::read(&path).unwrap();
        fs::write(&path, text).unwrap();
        let said = the_box.update(&own(|_| {})).0.unwrap_err();
        assert!(said.contains(why) && the_box.is_untouched(), "{said}");
        fs::write(&path, before).unwrap();
    }
}

#[test]
fn what_breaks_off_is_not_started_and_can_be_done_again() {
    let the_box = Box::new("broken");
    let whole = bundle(&the_box.key, |_| {});
    let mut damaged = whole.clone();
    damaged[10 << 20] ^= 1;
    for (file, why) in [
        (&whole[..9 << 20], "ends too early"),
        (&damaged[..], "not the one that was signed"),
    ] {
        let said = the_box.update(file).0.unwrap_err();
        assert!(said.contains(why), "{said}");
        let state = the_box.places().state().unwrap();
        assert_eq!((state.next(), state.b), (Some(Slot::A), Health::Bad));
    }
    the_box.update(&whole).0.unwrap();
    assert_eq!(the_box.places().state().unwrap().next(), Some(Slot::B));
    // Now the second slot runs, and is on trial: the first is all there is to fall back to.
    let list = fs::read_to_string(the_box.path("list")).unwrap();
    fs::write(the_box.path("list"), list.replace("slot=a", "slot=b")).unwrap();
    let said = the_box.update(&whole).0.unwrap_err();
    assert!(said.contains("on trial"), "{said}");
    the_box
        .places()
        .change(|state| state.good(Slot::B))
        .unwrap();
    the_box.update(&whole).0.unwrap();
    assert_eq!(the_box.places().state().unwrap().next(), Some(Slot::A));
}
