//! sled behind six calls: open, load, keep_only, apply, flush, and a thread that batches writes. It
//! holds only what the network can give back; a database that does not open is moved aside.

use crate::log::Log;
use ramson_proto::limits;
use ramson_proto::router::output::Persist;
use ramson_proto::trace::Level;
use ramson_proto::wire::hash::RouterHash;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Records on their way to the store thread.
const QUEUE: usize = 256;
/// Records that wait for a place there, the newest of each key. When full, news give way to
/// removals.
const WAITING_MAX: usize = 2 * (limits::ROUTERS_MAX + limits::PROFILES_MAX);
/// Entries of a tree that a start reads; more than there can be unless the tree once grew.
const LOAD_MAX: usize = limits::ROUTERS_MAX + limits::PROFILES_MAX;
/// The first flush after a change since start: a killed young router keeps what it learnt.
const FIRST_FLUSH: Duration = Duration::from_secs(10);
/// Later flushes: flash wears out by writes.
const FLUSH: Duration = Duration::from_secs(300);
/// Bytes of sled's page cache.
const CACHE: u64 = 16 << 20;

/// The open database.
pub struct Store {
    db: sled::Db,
    routers: sled::Tree,
    profiles: sled::Tree,
}

/// Serialised RouterInfos and (key, bytes) of profiles.
pub type Loaded = (Vec<Vec<u8>>, Vec<([u8; 32], Vec<u8>)>);

impl Store {
    /// Opens the database; one that is damaged is moved aside and a new one started.
    pub fn open(path: &Path, log: Log) -> Result<Self, String> {
        match Self::try_open(path) {
            Ok(store) => Ok(store),
            Err(e) => {
                let aside = path.with_extension("damaged");
                log.line(
                    Level::Warn,
                    format_args!("{}: {e}; moved to {}", path.display(), aside.display()),
                );
                let _ = std::fs::remove_dir_all(&aside);
                std::fs::rename(path, &aside).map_err(|e| format!("{}: {e}", path.display()))?;
                Self::try_open(path).map_err(|e| format!("{}: {e}", path.display()))
            }
        }
    }

    fn try_open(path: &Path) -> sled::Result<Self> {
        let config = sled::Config::new().path(path).cache_capacity(CACHE);
        let db = config.flush_every_ms(None).open()?;
        let (routers, profiles) = (db.open_tree("routers")?, db.open_tree("profiles")?);
        Ok(Self {
            db,
            routers,
            profiles,
        })
    }

    /// What is kept; entries that do not read are left out.
    #[must_use]
    pub fn load(&self) -> Loaded {
        let routers = self.routers.iter().take(LOAD_MAX).filter_map(Result::ok);
        let profiles = self
            .profiles
            .iter()
            .take(LOAD_MAX)
            .filter_map(Result::ok)
            .filter_map(|(k, v)| Some((<[u8; 32]>::try_from(k.as_ref()).ok()?, v.to_vec())));
        let routers = routers.map(|(_, v)| v.to_vec());
        (routers.collect(), profiles.collect())
    }

    /// Removes what is no longer kept in memory after a start, whatever the reason.
    pub fn keep_only(
        &self,
        router: impl Fn(&RouterHash) -> bool,
        profile: impl Fn(&RouterHash) -> bool,
    ) {
        keep_in(&self.routers, router);
        keep_in(&self.profiles, profile);
    }

    fn apply(&self, record: &Persist) -> sled::Result<()> {
        let (tree, key, value) = match record {
            Persist::Router { hash, info } => {
                (&self.routers, hash, info.as_ref().map(|i| i.as_bytes()))
            }
            Persist::Profile { hash, bytes } => (&self.profiles, hash, bytes.as_deref()),
        };
        match value {
            Some(v) => tree.insert(hash_key(key), v)?,
            None => tree.remove(hash_key(key))?,
        };
        Ok(())
    }
}

fn keep_in(tree: &sled::Tree, keep: impl Fn(&RouterHash) -> bool) {
    for key in tree.iter().keys().filter_map(Result::ok) {
        let hash = <[u8; 32]>::try_from(key.as_ref()).ok().map(RouterHash);
        if !hash.is_some_and(|h| keep(&h)) {
            // What stays behind by an error is met again at the next start.
            let _ = tree.remove(key);
        }
    }
}

const fn hash_key(hash: &RouterHash) -> &[u8] {
    hash.as_bytes()
}

/// A tree and a key of it.
type Key = (bool, RouterHash);

const fn key_of(record: &Persist) -> Key {
    match record {
        Persist::Router { hash, .. } => (false, *hash),
        Persist::Profile { hash, .. } => (true, *hash),
    }
}

const fn is_removal(record: &Persist) -> bool {
    matches!(
        record,
        Persist::Router { info: None, .. } | Persist::Profile { bytes: None, .. }
    )
}

/// The store thread: takes records, flushes in batches and at the end.
pub struct StoreThread {
    queue: Option<SyncSender<Persist>>,
    waiting: BTreeMap<Key, Persist>,
    thread: Option<JoinHandle<()>>,
}

impl StoreThread {
    /// Starts it.
    pub fn spawn(store: Store, log: Log) -> std::io::Result<Self> {
        let (queue, records) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || run(&store, &records, log))?;
        Ok(Self {
            queue: Some(queue),
            waiting: BTreeMap::new(),
            thread: Some(thread),
        })
    }

    /// Hands a record over. While the thread is busy the newest record of each key waits; `false`
    /// when news were dropped. Removals never are.
    #[must_use]
    pub fn put(&mut self, record: Persist) -> bool {
        self.waiting.insert(key_of(&record), record);
        self.send_waiting();
        if self.waiting.len() <= WAITING_MAX {
            return true;
        }
        let mut waiting = self.waiting.iter();
        let news = waiting.find(|(_, r)| !is_removal(r)).map(|(k, _)| *k);
        news.is_none_or(|key| self.waiting.remove(&key).is_none())
    }

    fn send_waiting(&mut self) {
        let Some(queue) = &self.queue else {
            return;
        };
        while let Some((key, record)) = self.waiting.pop_first() {
            if let Err(TrySendError::Full(record)) = queue.try_send(record) {
                self.waiting.insert(key, record);
                return;
            }
        }
    }

    /// Writes what is queued, flushes and ends the thread.
    pub fn close(mut self) {
        if let Some(queue) = self.queue.take() {
            for record in core::mem::take(&mut self.waiting).into_values() {
                if queue.send(record).is_err() {
                    break;
                }
            }
        }
        if let Some(t) = self.thread.take() {
            let _ = t.join();
        }
    }
}

fn run(store: &Store, records: &Receiver<Persist>, log: Log) {
    let report = |what: &str, r: sled::Result<()>| {
        if let Err(e) = r {
            log.line(Level::Warn, format_args!("store: {what}: {e}"));
        }
    };
    let mut wait = FIRST_FLUSH;
    // Nothing wakes up until something changes; then changes are gathered for a while.
    while let Ok(first) = records.recv() {
        report("write", store.apply(&first));
        let open = gather(records, wait, |r| report("write", store.apply(&r)));
        report("flush", store.db.flush().map(|_| ()));
        if !open {
            return;
        }
        wait = FLUSH;
    }
}

/// Applies records for about `time`; `false` when the other end is gone.
fn gather(records: &Receiver<Persist>, time: Duration, mut apply: impl FnMut(Persist)) -> bool {
    let until = crate::clock::now().mono + time;
    loop {
        let left = until.since(crate::clock::now().mono);
        if left.is_zero() {
            return true;
        }
        match records.recv_timeout(left) {
            Ok(r) => apply(r),
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_damaged_database_is_moved_aside() {
        let dir = std::env::temp_dir().join(format!("ramson-broken-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let aside = dir.with_extension("damaged");
        let _ = std::fs::remove_file(&aside);
        std::fs::write(&dir, b"not a database").unwrap();
        let log = Log::new(Level::Error);
        assert!(Store::open(&dir, log).is_ok());
        assert_eq!(std::fs::read(&aside).unwrap(), b"not a database");
        std::fs::remove_dir_all(&dir).unwrap();
        std::fs::remove_file(&aside).unwrap();
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
}
