//! sled behind six calls: open, load, keep_only, apply, flush, and a thread that batches writes. It
//! holds only what the network can give back: without it the router works all the same.
//!
//! A database that reads as damaged is set aside, and one such copy is kept. Any other reason why
//! it does not open, such as a full disk, is no reason to touch it.

mod attempt;

use crate::log::Log;
use attempt::Attempt;
use ramson_proto::limits;
use ramson_proto::router::output::Persist;
use ramson_proto::trace::Level;
use ramson_proto::wire::hash::RouterHash;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

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
    path: PathBuf,
    attempt: Option<Attempt>,
}

/// Serialised RouterInfos and (key, bytes) of profiles.
pub type Loaded = (Vec<Vec<u8>>, Vec<([u8; 32], Vec<u8>)>);

/// Why a database does not open.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    /// Its content makes no sense.
    Damaged(String),
    /// Something else, and the content may be good.
    Closed(String),
}

impl From<sled::Error> for Refused {
    fn from(e: sled::Error) -> Self {
        let text = e.to_string();
        match e {
            sled::Error::Corruption { .. }
            | sled::Error::ReportableBug(_)
            | sled::Error::CollectionNotFound(_) => Self::Damaged(text),
            sled::Error::Io(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData
                ) =>
            {
                Self::Damaged(text)
            }
            sled::Error::Io(_) | sled::Error::Unsupported(_) => Self::Closed(text),
        }
    }
}

impl Store {
    /// Opens the database, or a new one when there is none or it is damaged; a damaged one is set
    /// aside, in the place of an earlier one.
    ///
    /// # Errors
    /// Path and reason, when the router has to do without; nothing was touched then.
    pub fn open(path: &Path, log: Log) -> Result<Self, String> {
        let named = |e: &dyn Display| format!("{}: {e}", path.display());
        let attempt = Attempt::begin(path);
        let opened = if attempt.failed_before() {
            let why = "ended the router twice while it was read";
            Err(Refused::Damaged(why.to_owned()))
        } else {
            Self::try_open(path)
        };
        let mut store = match opened {
            Ok(store) => store,
            Err(Refused::Closed(e)) => return Err(named(&e)),
            Err(Refused::Damaged(e)) => {
                let aside = set_aside(path).map_err(|e| named(&e))?;
                let text = format!("{e}; moved to {}", aside.display());
                log.line(Level::Warn, named(&text));
                Self::try_open(path)
                    .map_err(|(Refused::Damaged(e) | Refused::Closed(e))| named(&e))?
            }
        };
        store.attempt = Some(attempt);
        Ok(store)
    }

    fn try_open(path: &Path) -> Result<Self, Refused> {
        if path.exists() && !path.is_dir() {
            return Err(Refused::Damaged("is no database".to_owned()));
        }
        let config = sled::Config::new().path(path).cache_capacity(CACHE);
        let db = config.flush_every_ms(None).open()?;
        let (routers, profiles) = (db.open_tree("routers")?, db.open_tree("profiles")?);
        Ok(Self {
            db,
            routers,
            profiles,
            path: path.to_owned(),
            attempt: None,
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

/// Moves a damaged database out of the way; where to.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = path.with_extension("damaged");
    let gone = if aside.is_dir() && !aside.is_symlink() {
        std::fs::remove_dir_all(&aside)
    } else {
        std::fs::remove_file(&aside)
    };
    match gone {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => std::fs::rename(path, &aside)?,
    }
    Ok(aside)
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
    state: watch::Receiver<String>,
}

impl StoreThread {
    /// Starts it; once it runs, the database has been read without ending the router.
    pub fn spawn(mut store: Store, log: Log) -> io::Result<Self> {
        if let Some(attempt) = store.attempt.take() {
            attempt.succeeded();
        }
        let (queue, records) = sync_channel(QUEUE);
        let (told, state) = watch::channel("open".to_owned());
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || run(store, &records, &told, log))?;
        Ok(Self {
            queue: Some(queue),
            waiting: BTreeMap::new(),
            thread: Some(thread),
            state,
        })
    }

    /// Stands for it where there is no database; `why` is said in the status.
    #[must_use]
    pub fn none(why: &str) -> Self {
        let (_, state) = watch::channel(format!("none: {why}"));
        Self {
            queue: None,
            waiting: BTreeMap::new(),
            thread: None,
            state,
        }
    }

    /// How the database is: `open`, or what is wrong with it.
    #[must_use]
    pub fn state(&self) -> String {
        self.state.borrow().clone()
    }

    /// Hands a record over. While the thread is busy the newest record of each key waits; `false`
    /// when news were dropped. Removals never are. Without a database there is nothing to do.
    #[must_use]
    pub fn put(&mut self, record: Persist) -> bool {
        if self.queue.is_none() {
            return true;
        }
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

fn run(store: Store, records: &Receiver<Persist>, told: &watch::Sender<String>, log: Log) {
    let path = store.path.clone();
    let mut store = Some(store);
    let mut wait = FIRST_FLUSH;
    // Nothing wakes up until something changes; then changes are gathered for a while.
    while let Ok(first) = records.recv() {
        // After a failure sled refuses every write until it is opened again.
        if store.is_none() {
            store = Store::try_open(&path).ok();
        }
        let mut result = write(store.as_ref(), &first);
        let open = gather(records, wait, |r| {
            if result.is_ok() {
                result = write(store.as_ref(), &r);
            }
        });
        let flush = |s: &Store| s.db.flush().map(|_| ()).map_err(|e| e.to_string());
        let result = result.and_then(|()| store.as_ref().map_or(Ok(()), flush));
        if result.is_err() {
            store = None;
        }
        tell(result, told, &path, log);
        if !open {
            return;
        }
        wait = FLUSH;
    }
}

fn write(store: Option<&Store>, record: &Persist) -> Result<(), String> {
    let store = store.ok_or("does not open again")?;
    store.apply(record).map_err(|e| e.to_string())
}

/// Says how the database is when that changed.
fn tell(result: Result<(), String>, told: &watch::Sender<String>, path: &Path, log: Log) {
    let state = match result {
        Ok(()) => "open".to_owned(),
        Err(e) => format!("failing: {e}"),
    };
    if *told.borrow() != state {
        log.line(Level::Warn, format_args!("{}: {state}", path.display()));
        told.send_replace(state);
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
mod tests;
