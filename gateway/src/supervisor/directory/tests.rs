//! These play the other user: what he plants in the way, and what he owns.

use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A place of our own in the temporary directory; removed with everything in it.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        let n = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ramson-dir-{}-{n}", std::process::id()));
        drop(Directory::open(&path).unwrap());
        Self(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn refused(path: &Path) -> String {
    Directory::open(path).err().expect("it was opened")
}

#[test]
fn files_are_private_and_come_back() {
    let place = Place::new();
    let dir = Directory::open(&place.at("a/b")).unwrap();
    assert_eq!(
        (mode(&place.at("a")), mode(&place.at("a/b"))),
        (0o755, 0o700)
    );
    assert_eq!(dir.read::<4>("x").unwrap(), None);
    dir.write("x", b"1234").unwrap();
    dir.write("x", b"5678").unwrap();
    assert_eq!(dir.read("x").unwrap(), Some(*b"5678"));
    assert_eq!(mode(&place.at("a/b/x")), 0o600);
    assert!(!place.at("a/b/x.new").exists());
    for wrong in [dir.read::<3>("x").err(), dir.read::<5>("x").err()] {
        assert_eq!(wrong.unwrap().kind(), io::ErrorKind::InvalidData);
    }
    dir.remove("x").unwrap();
    dir.remove("x").unwrap();
}

#[test]
fn planted_links_are_not_followed() {
    let place = Place::new();
    let victim = place.at("victim");
    fs::write(&victim, b"mine").unwrap();
    set_mode(&victim, 0o600);
    let dir = Directory::open(&place.at("dir")).unwrap();
    symlink(&victim, place.at("dir/x.new")).unwrap();
    dir.write("x", b"1234").unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
    assert_eq!(dir.read("x").unwrap(), Some(*b"1234"));
    symlink(&victim, place.at("dir/y")).unwrap();
    assert!(dir.read::<4>("y").is_err(), "read through a link");
    fs::hard_link(&victim, place.at("dir/z")).unwrap();
    assert!(dir.read::<4>("z").is_err(), "read another's file");
    symlink(place.at("dir"), place.at("link")).unwrap();
    for path in ["link", "link/below"] {
        assert!(refused(&place.at(path)).contains("symbolic link"));
    }
    assert!(!place.at("dir/below").exists());
}

#[test]
fn what_others_can_change_is_refused_wherever_it_is_in_the_path() {
    let place = Place::new();
    let inner = place.at("outer/inner");
    drop(Directory::open(&inner).unwrap());
    for (path, bits) in [("outer", 0o775), ("outer", 0o757), ("outer/inner", 0o770)] {
        set_mode(&place.at(path), bits);
        assert!(refused(&inner).contains("written by others"), "{path}");
        set_mode(&place.at(path), 0o755);
    }
    // Others may make things in such a one, and what they have made is looked at.
    set_mode(&place.at("outer"), 0o1777);
    assert!(Directory::open(&inner).is_ok());
    let dir = Directory::open(&inner).unwrap();
    dir.write("x", b"1234").unwrap();
    set_mode(&place.at("outer/inner/x"), 0o604);
    assert!(dir.read::<4>("x").is_err(), "open to others");
    assert!(refused(Path::new("relative")).contains("begin with /"));
    assert!(refused(&place.at("outer/../outer/inner")).contains(".."));
    if Uid::effective().is_root() {
        set_mode(&place.at("outer/inner/x"), 0o600);
        chown(place.at("outer/inner/x"), Some(64_101), None).unwrap();
        assert!(dir.read::<4>("x").is_err(), "another's file");
        for path in ["outer", "outer/inner"] {
            chown(place.at(path), Some(64_101), None).unwrap();
            assert!(refused(&inner).contains("belongs to user 64101"), "{path}");
            chown(place.at(path), Some(0), None).unwrap();
        }
        assert!(Directory::open(&inner).is_ok());
    }
}
