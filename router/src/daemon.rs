//! Start and end of `routerd`: files to values, values to threads, drain on shutdown.

use crate::client_loop::{self, ClientLoopChannels, ClientLoopConfig};
use crate::config_file::ConfigFile;
use crate::core_loop::{self, CoreChannels};
use crate::keys::KeyFile;
use crate::link_loop::LinkLoopChannels;
use crate::log::Log;
use crate::store::{Store, StoreThread};
use crate::{clock, entropy, link_loop, sandbox, seeds};
use ramson_proto::config::Config;
use ramson_proto::link::LinksConfig;
use ramson_proto::names::hosts::Hosts;
use ramson_proto::relay::shard::ShardLimits;
use ramson_proto::router::Router;
use ramson_proto::router::boot::Saved;
use ramson_proto::trace::Level;
use ramson_proto::wire::hash::{RouterHash, base64};
use ramson_proto::wire::mapping::Mapping;
use ramson_proto::wire::router_address::RouterAddress;
use ramson_proto::wire::router_info::parse_verified;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};

/// Messages between two threads.
const CHANNEL: usize = 1024;
/// Cost of an NTCP2 address that is published, and of one that is not.
const COST_PUBLISHED: u8 = 3;
const COST_UNPUBLISHED: u8 = 14;
/// Links with other routers at once.
const LINKS_MAX: usize = 1024;
/// Fewer routers than this make the reseed file worth reading.
const RESEED_BELOW: usize = 25;

/// Runs the router until SIGTERM, SIGINT or a shutdown request.
///
/// # Errors
/// What could not be read, bound or started, and why.
pub fn run(file: &ConfigFile) -> Result<(), String> {
    sandbox::enter()?;
    let log = Log::new(file.level().unwrap_or(Level::Info));
    let mut rng = entropy::rng().map_err(|e| format!("no randomness: {e}"))?;
    std::fs::create_dir_all(&file.data_dir)
        .map_err(|e| format!("{}: {e}", file.data_dir.display()))?;
    let keys = KeyFile::load_or_create(&file.path("router.keys".as_ref()), &mut rng)?;
    let store = Store::open(&file.path("netdb".as_ref()), log)?;
    let saved = saved(file, &store, log)?;
    let port = if file.network.port == 0 {
        keys.port
    } else {
        file.network.port
    };
    let config = Config {
        addresses: addresses(file, &keys, port),
        ..file.core()
    };
    log.line(
        Level::Info,
        format_args!(
            "router {} with {} routers",
            base64(keys.router.identity.hash().as_bytes()),
            saved.routers.len() + saved.seeds.len()
        ),
    );
    let router = Router::new(config, keys.router.clone(), saved, rng.fork(), clock::now())
        .map_err(|e| format!("own RouterInfo: {e}"))?;
    // What the core left out would never be removed again.
    store.keep_only(|h| router.has_router(h), |h| router.has_profile(h));
    write_own_info(file, &router)?;
    start(file, &keys, router, store, port, log)
}

/// The newest RouterInfo beside the keys, for other routers' seeds and for looking at.
fn write_own_info(file: &ConfigFile, router: &Router) -> Result<(), String> {
    let path = file.path("router.info".as_ref());
    let named = |e: std::io::Error| format!("{}: {e}", path.display());
    crate::keys::write_secret(&path, router.info().as_bytes()).map_err(named)
}

fn start(
    file: &ConfigFile,
    keys: &KeyFile,
    router: Router,
    store: Store,
    port: u16,
    log: Log,
) -> Result<(), String> {
    let (link_cmd_tx, link_cmd_rx) = mpsc::channel(CHANNEL);
    let (link_event_tx, link_event_rx) = mpsc::channel(CHANNEL);
    let (client_cmd_tx, client_cmd_rx) = mpsc::channel(CHANNEL);
    let (client_event_tx, client_event_rx) = mpsc::channel(CHANNEL);
    let (status_tx, status_rx) = watch::channel(String::new());
    let (stats_tx, stats_rx) = watch::channel(link_loop::LinkStatus::default());
    let shutdown = Arc::new(Notify::new());
    let links = link_loop::LinkLoopConfig {
        listen: listen(port),
        links: links_config(file, keys, &router),
        shard: ShardLimits {
            hops: file.transit.tunnels,
            bytes_per_sec: file.core().transit_bytes_per_sec,
            ..ShardLimits::default()
        },
    };
    let channels = LinkLoopChannels {
        cmds: link_cmd_rx,
        events: link_event_tx,
        status: stats_tx,
    };
    let link_thread = link_loop::spawn(links, channels).map_err(|e| e.to_string())?;
    let store = StoreThread::spawn(store, log).map_err(|e| format!("store thread: {e}"))?;
    let clients = ClientLoopConfig {
        http: file.http_proxy.enabled.then_some(file.http_proxy.listen),
        stream: file.sockets.stream.clone(),
        uids: file.sockets.uids.clone(),
        control: file.sockets.control.clone(),
    };
    let channels = ClientLoopChannels {
        cmds: client_cmd_tx,
        events: client_event_rx,
        status: status_rx,
        shutdown: Arc::clone(&shutdown),
    };
    let client_thread = client_loop::spawn(clients, channels)?;
    let core = CoreChannels {
        links: link_event_rx,
        link_cmds: link_cmd_tx,
        clients: client_cmd_rx,
        client_events: client_event_tx,
        status: status_tx,
        link_stats: stats_rx,
        shutdown: Arc::clone(&shutdown),
    };
    log.line(Level::Info, format_args!("listening on TCP port {port}"));
    run_core(router, core, store, &shutdown, log)?;
    // The core dropped its channel ends: the other threads end by themselves.
    let ended = link_thread.join().is_ok() & client_thread.join().is_ok();
    log.line(Level::Info, "stopped");
    if ended {
        Ok(())
    } else {
        Err("a thread failed".to_owned())
    }
}

fn run_core(
    router: Router,
    core: CoreChannels,
    store: StoreThread,
    shutdown: &Arc<Notify>,
    log: Log,
) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let mut term = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
        let mut int = signal(SignalKind::interrupt()).map_err(|e| e.to_string())?;
        let wake = Arc::clone(shutdown);
        let signals = tokio::spawn(async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            wake.notify_one();
        });
        core_loop::run(router, core, store, log).await;
        signals.abort();
        Ok(())
    })
}

/// Everything that a start begins with: what was kept, seeds, and the address book.
fn saved(file: &ConfigFile, store: &Store, log: Log) -> Result<Saved, String> {
    let (routers, profiles) = store.load();
    let mut saved = Saved::default();
    let kept = routers.iter().filter_map(|b| parse_verified(b).ok());
    saved.routers = kept.map(Arc::new).collect();
    saved.profiles = profiles
        .into_iter()
        .map(|(k, v)| (RouterHash(k), v))
        .collect();
    if !file.seeds.dir.as_os_str().is_empty() {
        saved
            .seeds
            .extend(seeds::from_dir(&file.path(&file.seeds.dir), log));
    }
    if !file.seeds.su3.as_os_str().is_empty()
        && saved.routers.len() + saved.seeds.len() < RESEED_BELOW
    {
        let mut config = file.seeds.clone();
        config.su3 = file.path(&config.su3);
        if !config.certificates.as_os_str().is_empty() {
            config.certificates = file.path(&config.certificates);
        }
        saved.seeds.extend(seeds::from_su3(&config, clock::now())?);
    }
    saved.hosts = hosts(file, log)?;
    Ok(saved)
}

fn hosts(file: &ConfigFile, log: Log) -> Result<Hosts, String> {
    let path = file.path(&file.names.hosts);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Hosts::default()),
        Err(e) => return Err(format!("{}: {e}", path.display())),
    };
    let (hosts, bad) = Hosts::parse(&text);
    for b in bad.iter().take(10) {
        log.line(
            Level::Warn,
            format_args!("{}:{}: the line {}", path.display(), b.line, b.reason),
        );
    }
    Ok(hosts)
}

/// Addresses to publish: one of each published host, else one without host that only says how to
/// recognise us.
fn addresses(file: &ConfigFile, keys: &KeyFile, port: u16) -> Vec<RouterAddress> {
    let address = |cost| {
        let mut options = Mapping::new();
        options.set("v", "2").set("s", base64(keys.ntcp2.public()));
        RouterAddress {
            cost,
            expiration: 0,
            style: "NTCP2".to_owned(),
            options,
        }
    };
    let mut out = Vec::new();
    for host in file.hosts() {
        let mut a = address(COST_PUBLISHED);
        a.options
            .set("host", host.to_string())
            .set("port", port.to_string());
        a.options.set("i", base64(&keys.iv));
        out.push(a);
    }
    if out.is_empty() {
        let mut a = address(COST_UNPUBLISHED);
        a.options.set("caps", "4");
        out.push(a);
    }
    out
}

fn listen(port: u16) -> Vec<SocketAddr> {
    [
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    ]
    .map(|ip| SocketAddr::new(ip, port))
    .to_vec()
}

fn links_config(file: &ConfigFile, keys: &KeyFile, router: &Router) -> LinksConfig {
    LinksConfig {
        hash: router.hash(),
        static_key: keys.ntcp2.clone(),
        iv: keys.iv,
        net_id: file.network.net_id,
        info: Arc::clone(router.info()),
        links_max: LINKS_MAX,
        ipv4: true,
        ipv6: !file.network.host6.is_empty(),
        allow_private: file.network.allow_private,
    }
}
