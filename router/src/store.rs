//! sled behind five calls: open, load, apply, flush, and a thread that batches writes. It holds
//! only what the network can give back; a database that does not open is moved aside.

use crate::log::Log;
use ramson_proto::router::output::Persist;
use ramson_proto::trace::Level;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Writes waiting for the store thread; the oldest news about a router is the least worth.
const QUEUE: usize = 256;
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

    /// Everything that is kept; entries that do not read are left out.
    #[must_use]
    pub fn load(&self) -> Loaded {
        let routers = self.routers.iter().values().filter_map(Result::ok);
        let profiles = self
            .profiles
            .iter()
            .filter_map(Result::ok)
            .filter_map(|(k, v)| Some((<[u8; 32]>::try_from(k.as_ref()).ok()?, v.to_vec())));
        (routers.map(|v| v.to_vec()).collect(), profiles.collect())
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

const fn hash_key(hash: &ramson_proto::wire::hash::RouterHash) -> &[u8] {
    hash.as_bytes()
}

/// The store thread: takes records, flushes in batches and at the end.
pub struct StoreThread {
    queue: Option<SyncSender<Persist>>,
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
            thread: Some(thread),
        })
    }

    /// Hands a record over; `false` when the queue is full and the record is dropped.
    #[must_use]
    pub fn put(&self, record: Persist) -> bool {
        self.queue
            .as_ref()
            .is_some_and(|q| q.try_send(record).is_ok())
    }

    /// Writes what is queued, flushes and ends the thread.
    pub fn close(mut self) {
        self.queue = None;
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
    use ramson_proto::wire::hash::RouterHash;

    #[test]
    fn what_was_put_is_there_after_a_restart() {
        let dir = std::env::temp_dir().join(format!("ramson-store-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let log = Log::new(Level::Error);
        let thread = StoreThread::spawn(Store::open(&dir, log).unwrap(), log).unwrap();
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
}
