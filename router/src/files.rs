//! The files that a configuration names: read at the start, looked at by `--check-config`, and
//! read again on SIGHUP or when the clock has become right.

use crate::config_file::ConfigFile;
use crate::config_file::servers::Server;
use crate::data_dir::DataDir;
use crate::keys::KeyFile;
use crate::log::Log;
use crate::reseed::Fetcher;
use crate::seeds::{self, Given, RESEED_BELOW, Reseed, Waiting};
use crate::servers::{self, Change, Table};
use crate::{clock, entropy, names_file};
use ramson_proto::limits;
use ramson_proto::names::hosts::Hosts;
use ramson_proto::time::Now;
use ramson_proto::trace::Level;
use ramson_proto::wire::router_info::{RouterInfo, parse_verified};
use ramson_proto::wire::su3::RsaKey;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::Signal;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::watch;

/// Name of the file with our newest RouterInfo in the data directory.
pub const ROUTER_INFO: &str = "router.info";
/// How often it is looked whether a reseed file that waits can be read.
const LOOK: Duration = Duration::from_secs(10);

/// What a running router is to know of changed files.
#[derive(Debug, Default)]
pub struct News {
    /// Another address book.
    pub hosts: Option<Hosts>,
    /// More routers.
    pub routers: Vec<Arc<RouterInfo>>,
    /// Another limit of transit in bytes per second.
    pub transit_bytes_per_sec: Option<u64>,
    /// What keeps the reseed file from being read.
    pub waiting: Option<String>,
    /// Servers that come and go.
    pub servers: Option<Change>,
    /// What reseed hosts said; nothing else is new then.
    pub reseed: Option<String>,
}

/// The files of the configuration that is in force.
pub struct Files {
    path: PathBuf,
    running: ConfigFile,
    log: Log,
    waiting: Waiting,
    /// The servers in force.
    servers: watch::Sender<Table>,
}

impl Files {
    /// Those of `running`, which was read from `path`.
    #[must_use]
    pub fn new(path: PathBuf, running: ConfigFile, log: Log) -> Self {
        let waiting = Waiting::default();
        Self {
            path,
            running,
            log,
            waiting,
            servers: watch::Sender::default(),
        }
    }

    /// The servers in force, from now on.
    #[must_use]
    pub fn servers(&self) -> watch::Receiver<Table> {
        self.servers.subscribe()
    }

    /// Puts the configured servers in force; what the core is to do for that.
    ///
    /// # Errors
    /// A key file cannot be used; all stays as it was.
    pub fn serve(&mut self, dir: &DataDir) -> Result<Change, String> {
        let mut rng = entropy::rng().map_err(|e| format!("no randomness: {e}"))?;
        let old = self.servers.borrow().clone();
        let (table, change) = servers::plan(&self.running, dir, &old, &mut rng)?;
        for (dest, running) in table.iter().filter(|(dest, _)| !old.contains_key(dest)) {
            // What is served is public; which visitors come is not.
            let (name, b32) = (&running.server.name, dest.b32());
            self.log
                .line(Level::Info, format_args!("server {name}: {b32}"));
        }
        self.servers.send_replace(table);
        Ok(change)
    }

    /// The same for a configuration that was read again.
    fn serve_again(&mut self, new: Vec<Server>) -> Option<Change> {
        let old = std::mem::replace(&mut self.running.servers, new);
        let done = match DataDir::look(&self.running.data_dir) {
            Ok(Some(dir)) => self.serve(&dir),
            Ok(None) => Err("the data directory is gone".to_owned()),
            Err(e) => Err(e),
        };
        done.inspect_err(|e| {
            self.running.servers = old;
            let text = format!("{e}; the servers stay as they were");
            self.log.line(Level::Error, text);
        })
        .ok()
    }

    /// What keeps the reseed file from being read.
    #[must_use]
    pub fn waiting(&self) -> Option<String> {
        self.waiting.why().map(str::to_owned)
    }

    /// The address book.
    ///
    /// # Errors
    /// File and reason.
    pub fn hosts(&self) -> Result<Hosts, String> {
        names_file::read(&self.running.path(&self.running.names.hosts), self.log)
    }

    /// The address book; one that cannot be read is said and taken for an empty one.
    #[must_use]
    pub fn hosts_or_none(&self) -> Hosts {
        self.hosts().unwrap_or_else(|e| {
            self.log.line(Level::Error, e);
            Hosts::default()
        })
    }

    /// The routers to start from when `known` are known already.
    ///
    /// # Errors
    /// The reseed file cannot be used, and there is nothing else to start from.
    pub fn seeds(&mut self, now: Now, known: usize) -> Result<Vec<Arc<RouterInfo>>, String> {
        let mut routers = self.seeds_dir();
        let all = known + routers.len();
        if all < RESEED_BELOW {
            match self.reseed(now) {
                Ok(more) => routers.extend(more),
                Err(e) if all == 0 => return Err(e),
                Err(e) => self.log.line(Level::Error, e),
            }
        }
        Ok(routers)
    }

    fn seeds_dir(&self) -> Vec<Arc<RouterInfo>> {
        let dir = &self.running.seeds.dir;
        if dir.as_os_str().is_empty() {
            return Vec::new();
        }
        let net_id = self.running.network.net_id;
        seeds::from_dir(&self.running.path(dir), net_id, self.log).routers
    }

    fn reseed(&mut self, now: Now) -> Result<Vec<Arc<RouterInfo>>, String> {
        let su3 = &self.running.seeds.su3;
        if su3.as_os_str().is_empty() {
            self.waiting.done();
            return Ok(Vec::new());
        }
        let path = self.running.path(su3);
        match seeds::from_su3(&self.running, now)? {
            Reseed::Routers(found) => {
                self.waiting.done();
                let level = if found.routers.is_empty() {
                    Level::Error
                } else {
                    Level::Info
                };
                self.log
                    .line(level, format_args!("{}: {found}", path.display()));
                Ok(found.routers)
            }
            Reseed::Later(why) => {
                self.log.line(Level::Error, &why);
                self.waiting.put_off(now, why);
                Ok(Vec::new())
            }
        }
    }

    /// Reads the reseed file that waited, if its time has come.
    pub fn retry(&mut self, now: Now) -> Option<News> {
        if !self.waiting.is_due(now) {
            return None;
        }
        let routers = self.reseed(now).unwrap_or_else(|e| {
            self.log.line(Level::Error, &e);
            self.waiting.put_off(now, e);
            Vec::new()
        });
        Some(News {
            routers,
            waiting: self.waiting(),
            ..News::default()
        })
    }

    /// A reseed file that somebody brought: its routers, and what to tell him.
    fn given(&self, bytes: &[u8], now: Now) -> (Option<News>, String) {
        let refused = |why: &dyn std::fmt::Display| (None, format!("error: {why}\n"));
        match seeds::from_bytes(bytes, &self.running, now) {
            Ok(Reseed::Routers(found)) if found.routers.is_empty() => refused(&found),
            Ok(Reseed::Routers(found)) => {
                let text = found.to_string();
                self.log.line(
                    Level::Info,
                    format_args!("a reseed file was brought: {text}"),
                );
                let news = News {
                    routers: found.routers,
                    waiting: self.waiting(),
                    ..News::default()
                };
                (Some(news), format!("{text}\n"))
            }
            Ok(Reseed::Later(why)) | Err(why) => refused(&why),
        }
    }

    /// Reads the configuration and its files again. What needs a restart is named and stays as
    /// it was, and so does everything when the configuration is refused.
    pub fn reload(&mut self, now: Now) -> News {
        let mut news = News::default();
        let new = match ConfigFile::load(&self.path) {
            Ok(new) => new,
            Err(e) => {
                let text = format!("{e}; everything stays as it was");
                self.log.line(Level::Error, text);
                news.waiting = self.waiting();
                return news;
            }
        };
        let is_free = |key: &str| {
            let limited =
                new.transit.kbytes_per_second > 0 && self.running.transit.kbytes_per_second > 0;
            matches!(key, "seeds.dir" | "seeds.su3" | "seeds.certificates")
                || matches!(key, "names.hosts" | "log.level")
                || (key == "transit.kbytes_per_second" && limited)
        };
        let changed = self.running.differences(&new);
        let (free, bound): (Vec<_>, Vec<_>) = changed.iter().partition(|key| is_free(key));
        for key in bound {
            let text = format!("{key} changed: it needs a restart");
            self.log.line(Level::Warn, text);
        }
        if free.iter().any(|key| *key == "transit.kbytes_per_second") {
            self.running.transit.kbytes_per_second = new.transit.kbytes_per_second;
            news.transit_bytes_per_sec = Some(self.running.core().transit_bytes_per_sec);
        }
        self.running.names = new.names;
        self.running.seeds = new.seeds;
        self.running.log = new.log;
        self.log
            .set_level(self.running.level().unwrap_or(Level::Info));
        news.servers = self.serve_again(new.servers);
        match self.hosts() {
            Ok(hosts) => {
                let text = format!("{} names are known", hosts.len());
                self.log.line(Level::Info, text);
                news.hosts = Some(hosts);
            }
            Err(e) => self.log.line(Level::Error, e),
        }
        news.routers = self.seeds_dir();
        match self.reseed(now) {
            Ok(more) => news.routers.extend(more),
            Err(e) => self.log.line(Level::Error, e),
        }
        news.waiting = self.waiting();
        news
    }
}

/// Why files are read.
enum Why {
    Asked,
    Time,
    Given(Given),
}

/// Reads files again on each SIGHUP and when the clock has become right, and those that somebody
/// brings, and tells what they hold; ends when nobody listens.
pub async fn watch(
    mut files: Files,
    mut hang_up: Signal,
    mut given: Receiver<Given>,
    told: Sender<News>,
) {
    loop {
        let why = tokio::select! {
            Some(()) = hang_up.recv() => Why::Asked,
            Some(file) = given.recv() => Why::Given(file),
            () = tokio::time::sleep(LOOK) => Why::Time,
        };
        let read = move || {
            let now = clock::now();
            let news = match why {
                Why::Asked => Some(files.reload(now)),
                Why::Time => files.retry(now),
                Why::Given(file) => {
                    let (news, answer) = files.given(&file.bytes, now);
                    // Whoever brought it may be gone.
                    let _ = file.answer.send(answer);
                    news
                }
            };
            (files, news)
        };
        let Ok((same, news)) = tokio::task::spawn_blocking(read).await else {
            return;
        };
        files = same;
        if let Some(news) = news
            && told.send(news).await.is_err()
        {
            return;
        }
    }
}

/// Looks at every file that the configuration names and changes none. What a start would only
/// warn of is printed.
///
/// # Errors
/// What would end a start, or be of no use to it, one line each.
pub fn check(path: PathBuf, file: &ConfigFile) -> Result<(), String> {
    let log = Log::new(Level::Warn);
    let mut wrong = Vec::new();
    match DataDir::look(&file.data_dir) {
        Ok(Some(dir)) => {
            wrong.extend(KeyFile::load(&dir).err());
            wrong.extend(servers::problems(file, &dir));
            let info = dir.read(ROUTER_INFO, limits::ROUTER_INFO_MAX);
            if let Some(Err(e)) = info.ok().map(|bytes| parse_verified(&bytes)) {
                let path = dir.path(ROUTER_INFO);
                let text = format!("{}: {e}; a start writes it anew", path.display());
                log.line(Level::Warn, text);
            }
        }
        Ok(None) => {}
        Err(e) => wrong.push(e),
    }
    let mut files = Files::new(path, file.clone(), log);
    wrong.extend(files.hosts().err());
    let seeds = &file.seeds;
    if !seeds.dir.as_os_str().is_empty() {
        let dir = file.path(&seeds.dir);
        match std::fs::read_dir(&dir) {
            Ok(_) => drop(files.seeds_dir()),
            Err(e) => wrong.push(format!("{}: {e}", dir.display())),
        }
    }
    match seeds::certificates(file) {
        Ok(all) => wrong.extend(all.iter().filter_map(|(signer, bytes)| {
            let key = RsaKey::from_certificate(bytes);
            key.err().map(|e| format!("certificate of {signer}: {e}"))
        })),
        Err(e) => wrong.push(e),
    }
    wrong.extend(files.reseed(clock::now()).err());
    wrong.extend(Fetcher::new(file).err());
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\nrouterd: "))
    }
}
