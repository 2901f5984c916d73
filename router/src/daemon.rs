//! Start and end of `routerd`: files to values, values to threads, drain on shutdown.
//!
//! The order matters: the lock on the data directory comes first, then the ports, the database
//! last, so that a start that cannot succeed has touched nothing.

use crate::client_loop::{self, ClientLoopChannels, ClientLoopConfig};
use crate::config_file::ConfigFile;
use crate::core_loop::{self, CoreChannels};
use crate::data_dir::DataDir;
use crate::families::{self, Listening};
use crate::files::{self, Files, News, ROUTER_INFO};
use crate::keys::KeyFile;
use crate::link_loop::{self, LinkLoopChannels, LinkLoopConfig, LinkStatus};
use crate::log::Log;
use crate::own_address::{addresses, links_config};
use crate::reseed::{self, Fetcher};
use crate::seeds::Given;
use crate::servers::Change;
use crate::store::{Store, StoreThread};
use crate::{clock, entropy, sandbox, tcp};
use ramson_proto::config::Config;
use ramson_proto::relay::shard::ShardLimits;
use ramson_proto::rng::Rng;
use ramson_proto::router::Router;
use ramson_proto::router::boot::Saved;
use ramson_proto::router::input::ClientCmd;
use ramson_proto::router::output::ClientEvent;
use ramson_proto::router::own_info::OwnInfo;
use ramson_proto::trace::Level;
use ramson_proto::wire::hash::{RouterHash, base64};
use ramson_proto::wire::router_info::parse_verified;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

/// Messages between two threads.
const CHANNEL: usize = 1024;
/// What `status` says until the core runs.
const STARTING: &str = "state: starting\n";

/// What everything at the start needs.
struct Start<'a> {
    path: PathBuf,
    file: &'a ConfigFile,
    dir: DataDir,
    keys: KeyFile,
    dialable: families::Dialable,
    rng: Rng,
    log: Log,
    shutdown: Arc<Notify>,
}

/// The core's ends of the client thread's channels, and what both know of servers.
struct ClientEnds {
    files: Files,
    servers: Change,
    cmds: mpsc::Receiver<ClientCmd>,
    events: mpsc::Sender<ClientEvent>,
    status: watch::Sender<String>,
    given: mpsc::Receiver<Given>,
}

/// Signals, caught from the start on: none ends the process before it has written what it knows.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn catch(runtime: &Runtime) -> std::io::Result<Self> {
        let _inside = runtime.enter();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

/// Runs the router until SIGTERM, SIGINT or a shutdown request. SIGHUP reads the configuration,
/// which came from `path`, and its files again.
///
/// # Errors
/// What could not be read, bound or started, and why.
pub fn run(path: PathBuf, file: &ConfigFile) -> Result<(), String> {
    sandbox::enter()?;
    let log = Log::new(file.level().unwrap_or(Level::Info));
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().map_err(|e| e.to_string())?;
    let signals = Signals::catch(&runtime).map_err(|e| format!("signals: {e}"))?;
    let mut rng = entropy::rng().map_err(|e| format!("no randomness: {e}"))?;
    let dir = DataDir::open(&file.data_dir, log)?;
    let _lock = dir.lock()?;
    let keys = KeyFile::load_or_create(&dir, &mut rng)?;
    let start = Start {
        path,
        file,
        dir,
        dialable: families::dialable(&file.hosts(), families::has_way),
        keys,
        rng,
        log,
        shutdown: Arc::new(Notify::new()),
    };
    let listening = families::listen(start.port(), tcp::bind_listener)?;
    for (addr, e) in &listening.missing {
        log.line(Level::Info, format_args!("not listening at {addr}: {e}"));
    }
    start.write_own_info()?;
    let (cmds, cmd_ends) = mpsc::channel(CHANNEL);
    let (event_ends, events) = mpsc::channel(CHANNEL);
    let (status_end, status) = watch::channel(STARTING.to_owned());
    let (reseeds, given) = mpsc::channel(1);
    let mut files = Files::new(start.path.clone(), file.clone(), log);
    let servers = files.serve(&start.dir)?;
    let channels = ClientLoopChannels {
        servers: files.servers(),
        cmds,
        events,
        status,
        reseeds,
        shutdown: Arc::clone(&start.shutdown),
    };
    let clients = client_loop::spawn(clients_config(file), channels)?;
    let ends = ClientEnds {
        files,
        servers,
        cmds: cmd_ends,
        events: event_ends,
        status: status_end,
        given,
    };
    let result = start.run(&runtime, signals, listening, ends);
    // The core dropped its channel ends: the other threads end by themselves.
    let ended = clients.join().is_ok();
    result?;
    log.line(Level::Info, "stopped");
    if ended {
        Ok(())
    } else {
        Err("the client thread failed".to_owned())
    }
}

impl Start<'_> {
    fn port(&self) -> u16 {
        match self.file.network.port {
            0 => self.keys.port,
            port => port,
        }
    }

    fn config(&self) -> Config {
        Config {
            addresses: addresses(self.file, &self.keys, self.port()),
            ipv6: self.dialable.ipv6,
            ..self.file.core()
        }
    }

    /// The newest RouterInfo beside the keys, for other routers' seeds and for looking at. It is
    /// there before the sockets are.
    fn write_own_info(&self) -> Result<(), String> {
        let path = self.dir.path(ROUTER_INFO);
        let own = OwnInfo::new(&self.config(), &self.keys.router, clock::now());
        let own = own.map_err(|e| format!("own RouterInfo: {e}"))?;
        self.dir
            .write(ROUTER_INFO, own.current().as_bytes())
            .map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Everything after the ports: the database, the other threads, and the core's loop.
    fn run(
        mut self,
        runtime: &Runtime,
        signals: Signals,
        listening: Listening,
        clients: ClientEnds,
    ) -> Result<(), String> {
        let log = self.log;
        let store = Store::open(&self.dir.path("netdb"), log);
        let mut files = clients.files;
        let saved = saved(store.as_ref().ok(), &mut files)?;
        let us = base64(self.keys.router.identity.hash().as_bytes());
        let n = saved.routers.len() + saved.seeds.len();
        log.line(Level::Info, format_args!("router {us} with {n} routers"));
        let (keys, rng) = (self.keys.router.clone(), self.rng.fork());
        let mut router = Router::new(self.config(), keys, saved, rng, clock::now())
            .map_err(|e| format!("own RouterInfo: {e}"))?;
        clients.servers.apply(&mut router, clock::now());
        let store = store_thread(store, &router, log)?;
        let (link_cmd_tx, link_cmd_rx) = mpsc::channel(CHANNEL);
        let (link_event_tx, link_event_rx) = mpsc::channel(CHANNEL);
        let (stats_tx, stats_rx) = watch::channel(LinkStatus::default());
        let links = self.links(listening, &router);
        let channels = LinkLoopChannels {
            cmds: link_cmd_rx,
            events: link_event_tx,
            status: stats_tx,
        };
        let link_thread = link_loop::spawn(links, channels).map_err(|e| e.to_string())?;
        let fetcher = Fetcher::new(self.file).unwrap_or_else(|e| {
            log.line(Level::Error, format_args!("{e}; no reseed host is asked"));
            None
        });
        let (told, news) = mpsc::channel(1);
        // Not few before the first count.
        let (known_end, known) = watch::channel(usize::MAX);
        let core = CoreChannels {
            links: link_event_rx,
            link_cmds: link_cmd_tx,
            clients: clients.cmds,
            client_events: clients.events,
            status: clients.status,
            link_stats: stats_rx,
            news,
            known: known_end,
            waiting: files.waiting(),
            servers: files.servers(),
            shutdown: Arc::clone(&self.shutdown),
        };
        let port = self.port();
        log.line(Level::Info, format_args!("listening on TCP port {port}"));
        let beside = Beside {
            files,
            given: clients.given,
            fetcher,
            known,
            told,
        };
        let wake = Arc::clone(&self.shutdown);
        runtime.block_on(async {
            let tasks = beside.start(signals, wake, log);
            core_loop::run(router, core, store, log).await;
            tasks.iter().for_each(JoinHandle::abort);
        });
        link_thread
            .join()
            .map_err(|_| "the link thread failed".to_owned())
    }

    fn links(&self, listening: Listening, router: &Router) -> LinkLoopConfig {
        LinkLoopConfig {
            listeners: listening.listeners,
            links: links_config(self.file, &self.keys, router, self.dialable),
            shard: ShardLimits {
                hops: self.file.transit.tunnels,
                bytes_per_sec: self.file.core().transit_bytes_per_sec,
                ..ShardLimits::default()
            },
        }
    }
}

fn store_thread(
    store: Result<Store, String>,
    router: &Router,
    log: Log,
) -> Result<StoreThread, String> {
    match store {
        Ok(store) => {
            // What the core left out would never be removed again.
            store.keep_only(|h| router.has_router(h), |h| router.has_profile(h));
            StoreThread::spawn(store, log).map_err(|e| format!("store thread: {e}"))
        }
        Err(e) => {
            let text = format!("{e}; nothing is kept over a restart");
            log.line(Level::Error, text);
            Ok(StoreThread::none(&e))
        }
    }
}

/// What goes on beside the core, and tells it what is new.
struct Beside {
    files: Files,
    given: mpsc::Receiver<Given>,
    fetcher: Option<Fetcher>,
    known: watch::Receiver<usize>,
    told: mpsc::Sender<News>,
}

impl Beside {
    fn start(self, signals: Signals, wake: Arc<Notify>, log: Log) -> Vec<JoinHandle<()>> {
        let told = self.told.clone();
        let asking = self.fetcher.map(|fetcher| {
            let asking = reseed::watch(fetcher, self.known, told, log);
            tokio::spawn(asking)
        });
        let stop = stop_on(signals.terminate, signals.interrupt, wake);
        let files = files::watch(self.files, signals.hang_up, self.given, self.told);
        let others = [tokio::spawn(stop), tokio::spawn(files)];
        asking.into_iter().chain(others).collect()
    }
}

async fn stop_on(mut terminate: Signal, mut interrupt: Signal, wake: Arc<Notify>) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    wake.notify_one();
}

fn clients_config(file: &ConfigFile) -> ClientLoopConfig {
    ClientLoopConfig {
        http: file.http_proxy.enabled.then_some(file.http_proxy.listen),
        stream: file.path(&file.sockets.stream),
        uids: file.sockets.uids.clone(),
        admins: file.sockets.admins.clone(),
        control: file.path(&file.sockets.control),
    }
}

/// Everything that a start begins with: what was kept, seeds, and the address book.
fn saved(store: Option<&Store>, files: &mut Files) -> Result<Saved, String> {
    let (routers, profiles) = store.map(Store::load).unwrap_or_default();
    let mut saved = Saved::default();
    let kept = routers.iter().filter_map(|b| parse_verified(b).ok());
    saved.routers = kept.map(Arc::new).collect();
    saved.profiles = profiles
        .into_iter()
        .map(|(k, v)| (RouterHash(k), v))
        .collect();
    saved.seeds = files.seeds(clock::now(), saved.routers.len())?;
    saved.hosts = files.hosts_or_none();
    Ok(saved)
}
