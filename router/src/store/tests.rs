use super::*;

#[test]
fn what_was_put_is_there_after_a_restart() {
    let dir = std::env::temp_dir().join(format!("ramson-store-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    let log = Log::new(Level::Error);
    let mut thread = StoreThread::spawn(Store::open(&dir, log).unwrap(), log).unwrap();
    let hash = RouterHash([7; 32]);
    assert!(thread.put(Persist::Profile {
        hash,
        bytes: Some(vec![1, 2])
    }));
    thread.close();
    let (routers, profiles) = Store::open(&dir, log).unwrap().load();
    assert!(routers.is_empty());
    assert_eq!(profiles, [([7; 32], vec![1, 2])]);
    std::fs::remove_dir_all(&dir).unwrap();
}

fn place(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("ramson-db-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir.join("netdb")
}

fn gone(path: &Path) {
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

/// A database with one profile in it, closed.
fn filled(path: &Path) {
    let store = Store::open(path, Log::new(Level::Error)).unwrap();
    store.profiles.insert([7; 32], vec![1, 2]).unwrap();
    store.db.flush().unwrap();
}

fn files(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => out.extend(files(&path)),
            false => out.push((path.clone(), std::fs::read(path).unwrap())),
        }
    }
    out.sort();
    out
}

#[test]
fn a_damaged_database_is_moved_aside_and_one_copy_kept() {
    let path = place("damaged");
    let aside = path.with_extension("damaged");
    let log = Log::new(Level::Error);
    for content in [b"not a database", b"nor this one!!"] {
        std::fs::write(&path, content).unwrap();
        assert!(Store::open(&path, log).is_ok());
        assert_eq!(std::fs::read(&aside).unwrap(), content);
        std::fs::remove_dir_all(&path).unwrap();
    }
    filled(&path);
    std::fs::write(path.join("conf"), "segment_size: what\nversion: 0.34\n....").unwrap();
    let (routers, profiles) = Store::open(&path, log).unwrap().load();
    assert!(routers.is_empty() && profiles.is_empty());
    assert!(aside.join("db").exists());
    gone(&path);
}

/// A format of another sled, and a lock of another program.
#[test]
fn what_does_not_open_for_another_reason_is_not_touched() {
    let path = place("closed");
    let log = Log::new(Level::Error);
    filled(&path);
    let conf = std::fs::read(path.join("conf")).unwrap();
    let at = conf.windows(4).position(|w| w == b"0.34").unwrap();
    let mut other = conf.clone();
    other[at..at + 4].copy_from_slice(b"9.99");
    std::fs::write(path.join("conf"), other).unwrap();
    let before = files(&path);
    let e = Store::open(&path, log).err().unwrap();
    assert!(e.contains("netdb: Unsupported"), "{e}");
    assert_eq!(files(&path), before);
    std::fs::write(path.join("conf"), conf).unwrap();
    let lock = std::fs::File::open(path.join("db")).unwrap();
    lock.try_lock().unwrap();
    let before = files(&path);
    let e = Store::open(&path, log).err().unwrap();
    assert!(e.contains("could not acquire lock"), "{e}");
    assert_eq!(files(&path), before);
    assert!(!path.with_extension("damaged").exists());
    drop(lock);
    assert_eq!(Store::open(&path, log).unwrap().load().1.len(), 1);
    gone(&path);
}

#[test]
fn only_content_is_damage() {
    let io = |kind| Refused::from(sled::Error::Io(io::Error::from(kind)));
    for kind in [
        io::ErrorKind::StorageFull,
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::ReadOnlyFilesystem,
        io::ErrorKind::QuotaExceeded,
        io::ErrorKind::WouldBlock,
        io::ErrorKind::Other,
    ] {
        assert!(matches!(io(kind), Refused::Closed(_)), "{kind}");
    }
    for kind in [io::ErrorKind::UnexpectedEof, io::ErrorKind::InvalidData] {
        assert!(matches!(io(kind), Refused::Damaged(_)), "{kind}");
    }
    let corrupt = sled::Error::Corruption { at: None, bt: () };
    assert!(matches!(corrupt.into(), Refused::Damaged(_)));
}

/// A database that aborts the process when it is read does so twice, not for ever.
#[test]
fn what_ends_the_router_twice_is_set_aside() {
    let path = place("aborts");
    let log = Log::new(Level::Error);
    filled(&path);
    for _ in 0..2 {
        let store = Store::open(&path, log).unwrap();
        assert_eq!(store.load().1.len(), 1);
        // As if the process ended here.
        store.abandon();
    }
    assert!(Store::open(&path, log).unwrap().load().1.is_empty());
    assert!(path.with_extension("damaged").join("db").exists());
    // What was read once begins to count anew.
    filled(&path);
    Store::open(&path, log).unwrap().abandon();
    StoreThread::spawn(Store::open(&path, log).unwrap(), log)
        .unwrap()
        .close();
    Store::open(&path, log).unwrap().abandon();
    assert_eq!(Store::open(&path, log).unwrap().load().1.len(), 1);
    gone(&path);
}

#[test]
fn without_a_database_everything_else_goes_on() {
    let mut thread = StoreThread::none("the disk is full");
    assert!(thread.put(Persist::Profile {
        hash: RouterHash([7; 32]),
        bytes: None
    }));
    assert_eq!(thread.state(), "none: the disk is full");
    thread.close();
}

impl Store {
    fn abandon(mut self) {
        core::mem::forget(self.attempt.take());
    }
}

fn profile(n: u32, there: bool) -> Persist {
    let mut hash = [0; 32];
    hash[..4].copy_from_slice(&n.to_be_bytes());
    Persist::Profile {
        hash: RouterHash(hash),
        bytes: there.then(|| vec![1; 33]),
    }
}

/// The thread is asked faster than it writes: what was removed last is gone all the same.
#[test]
fn removals_are_not_lost_when_the_thread_is_busy() {
    let dir = std::env::temp_dir().join(format!("ramson-busy-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    let log = Log::new(Level::Error);
    let mut thread = StoreThread::spawn(Store::open(&dir, log).unwrap(), log).unwrap();
    let all = 20 * QUEUE as u32;
    for n in 0..all {
        assert!(thread.put(profile(n, true)));
    }
    for n in 0..all {
        assert!(thread.put(profile(n, n % 10 == 0)));
    }
    thread.close();
    let (_, profiles) = Store::open(&dir, log).unwrap().load();
    assert_eq!(profiles.len(), all as usize / 10);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn what_memory_left_out_is_removed_from_the_disk() {
    let dir = std::env::temp_dir().join(format!("ramson-keep-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    let log = Log::new(Level::Error);
    let store = Store::open(&dir, log).unwrap();
    for n in 0..100u8 {
        store.routers.insert([n; 32], vec![n]).unwrap();
        store.profiles.insert([n; 32], vec![n]).unwrap();
    }
    store.routers.insert(b"no hash", vec![1]).unwrap();
    store.keep_only(|h| h.0[0] < 10, |h| h.0[0] < 20);
    let (routers, profiles) = store.load();
    assert_eq!((routers.len(), profiles.len()), (10, 20));
    drop(store);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// However large a tree has grown, a start reads only so much of it.
#[test]
fn a_start_reads_no_more_than_memory_holds() {
    let dir = std::env::temp_dir().join(format!("ramson-grown-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    let log = Log::new(Level::Error);
    let store = Store::open(&dir, log).unwrap();
    for n in 0..LOAD_MAX as u32 + 500 {
        let record = profile(n, true);
        store.apply(&record).unwrap();
    }
    let (_, profiles) = store.load();
    assert_eq!(profiles.len(), LOAD_MAX);
    store.keep_only(|_| true, |h| profiles.iter().any(|(k, _)| *k == h.0));
    assert_eq!(store.profiles.len(), LOAD_MAX);
    drop(store);
    std::fs::remove_dir_all(&dir).unwrap();
}
