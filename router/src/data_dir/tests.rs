use super::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

fn quiet() -> Log {
    Log::new(Level::Error)
}

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ramson-dir-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn open(&self) -> Result<DataDir, String> {
        DataDir::open(&self.0, quiet())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn written_whole_closed_to_others_and_read_back() {
    let place = Place::new("whole");
    let dir = place.open().unwrap();
    dir.write("a.keys", b"one").unwrap();
    dir.write("a.keys", b"two").unwrap();
    assert_eq!(dir.read("a.keys", 3).unwrap().as_slice(), b"two");
    assert_eq!(mode(&place.0.join("a.keys")), 0o600);
    assert!(!place.0.join("a.keys.new").exists());
    let e = dir.read("a.keys", 2).unwrap_err().to_string();
    assert!(e.contains("longer than 2"), "{e}");
    let e = dir.read("b.keys", 2).unwrap_err();
    assert_eq!(e.kind(), io::ErrorKind::NotFound);
}

/// The target of a link that was planted beforehand is neither written nor read, whichever of the
/// two names it was planted under.
#[test]
fn a_planted_link_leads_nowhere() {
    let place = Place::new("link");
    let dir = place.open().unwrap();
    let victim = place.0.join("victim");
    fs::write(&victim, b"precious").unwrap();
    fs::set_permissions(&victim, Permissions::from_mode(0o600)).unwrap();
    symlink(&victim, place.0.join("a.keys")).unwrap();
    let e = dir.read("a.keys", 100).unwrap_err().to_string();
    assert!(e.contains("symbolic link"), "{e}");
    symlink(&victim, place.0.join("a.keys.new")).unwrap();
    dir.write("a.keys", b"secret").unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    assert!(!place.0.join("a.keys").is_symlink());
    symlink(&victim, place.0.join(LOCK)).unwrap();
    let e = dir.lock().unwrap_err();
    assert!(e.contains("symbolic link"), "{e}");
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn a_file_that_others_reach_is_refused() {
    let place = Place::new("reach");
    let dir = place.open().unwrap();
    dir.write("a.keys", b"x").unwrap();
    for open in [0o640, 0o604, 0o620, 0o602] {
        fs::set_permissions(place.0.join("a.keys"), Permissions::from_mode(open)).unwrap();
        let e = dir.read("a.keys", 10).unwrap_err().to_string();
        assert!(e.contains("chmod 600"), "{open:o}: {e}");
    }
    fs::create_dir(place.0.join("b.keys")).unwrap();
    let e = dir.read("b.keys", 10).unwrap_err().to_string();
    assert!(e.contains("not a plain file"), "{e}");
}

#[test]
fn a_directory_that_others_write_in_is_closed() {
    let place = Place::new("closed");
    fs::set_permissions(&place.0, Permissions::from_mode(0o777)).unwrap();
    place.open().unwrap();
    assert_eq!(mode(&place.0), 0o755);
}

/// Needs root to give things away; without it there is nobody else to give them to.
#[test]
fn what_belongs_to_others_is_refused() {
    let place = Place::new("others");
    let inner = place.0.join("inner");
    fs::create_dir(&inner).unwrap();
    let other = geteuid().as_raw() + 61_003;
    if !geteuid().is_root() {
        assert!(chown(&inner, Some(other), None).is_err());
        return;
    }
    let dir = place.open().unwrap();
    dir.write("a.keys", b"x").unwrap();
    chown(place.0.join("a.keys"), Some(other), None).unwrap();
    let e = dir.read("a.keys", 10).unwrap_err().to_string();
    assert!(e.contains(&format!("belongs to user {other}")), "{e}");
    chown(&inner, Some(other), None).unwrap();
    let e = DataDir::open(&inner, quiet()).err().unwrap();
    assert!(e.contains(&format!("belongs to user {other}")), "{e}");
    chown(&inner, Some(0), None).unwrap();
    chown(&place.0, Some(other), None).unwrap();
    let e = DataDir::open(&inner, quiet()).err().unwrap();
    assert!(e.contains("root does not keep keys below it"), "{e}");
}

#[test]
fn one_at_a_time_and_the_second_learns_whose_it_is() {
    let place = Place::new("lock");
    let (first, second) = (place.open().unwrap(), place.open().unwrap());
    let lock = first.lock().unwrap();
    let e = second.lock().unwrap_err();
    let pid = std::process::id();
    assert!(e.contains(&format!("already running (pid {pid})")), "{e}");
    drop(lock);
    assert!(second.lock().is_ok());
}
