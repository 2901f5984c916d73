//! The part of the gateway that faces the clients: no capabilities, no keys, no Internet.
//! Started by `supervisor` only, which hands it its sockets over standard input.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ramson_gateway::clock;
use ramson_gateway::config::{Config, Views};
use ramson_gateway::counters::Counters;
use ramson_gateway::dhcp4::leases::Leases;
use ramson_gateway::dns::Dns;
use ramson_gateway::dns::hosts::Hosts;
use ramson_gateway::handover::{self, Handed, Secrets};
use ramson_gateway::lan_service::LanService;
use ramson_gateway::listen::Gate;
use ramson_gateway::neigh::Neighbours;
use ramson_gateway::policy::{Budget, Clients, Identities};
use ramson_gateway::privileges;
use ramson_gateway::report;
use ramson_gateway::router_client::RouterClient;
use ramson_gateway::saved::{Keep, Places, Saved};
use ramson_gateway::vip::Vip;
use ramson_gateway::wan_dhcp;
use ramson_gateway::web::serve::Web;
use ramson_gateway::web::{self, Facts};
use std::cell::RefCell;
use std::io;
use std::net::{TcpListener as StdTcpListener, UdpSocket as StdUdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use tokio::net::{TcpListener, UdpSocket, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::{JoinSet, LocalSet};

fn main() -> ExitCode {
    // The small clients of the WAN are in this program, too, under names of their own: each alone
    // would carry most of it once more.
    let name = std::env::args_os().next().unwrap_or_default();
    let client: Option<fn() -> Result<(), String>> = match name.to_str() {
        Some("wan-dhcp") => Some(wan_dhcp::serve::run),
        Some("clock") => Some(clock::serve::run),
        _ => None,
    };
    if let Some(client) = client {
        return client().map_or_else(
            |e| {
                eprintln!("{}: {e}", name.display());
                ExitCode::FAILURE
            },
            |()| ExitCode::SUCCESS,
        );
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("gatewayd: {e}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "started by supervisor; usage: gatewayd --config FILE --lan ADDRESS";

fn run() -> Result<(), String> {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let [config_flag, path, lan_flag, lan] = args.as_slice() else {
        return Err(USAGE.into());
    };
    if config_flag != "--config" || lan_flag != "--lan" {
        return Err(USAGE.into());
    }
    privileges::prove_none()?;
    let config = Config::load(Path::new(path)).map_err(|e| e.to_string())?;
    let received = handover::receive(std::io::stdin().as_fd());
    let handed = received.map_err(|e| format!("handover: {e}"))?;
    let mut config = config.completed(&handed.secrets);
    // Where the LAN is now: it may have moved away from what the file says.
    let lan = lan.to_str().and_then(|lan| lan.parse().ok());
    config.lan.address = lan.ok_or("--lan needs an address with a prefix")?;
    raise_files();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| format!("runtime: {e}"))?;
    LocalSet::new().block_on(&runtime, serve(&config, handed))
}

/// As many descriptors as allowed: each flow has two.
fn raise_files() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // With fewer, `accept` pauses earlier; nothing else changes.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// The socket of the handover, over which the supervisor asks for counters.
fn channel() -> io::Result<UnixStream> {
    let stream =
        std::os::unix::net::UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

/// Opens what is kept under a name; what was wrong with it is said.
fn open(places: &Arc<Places>, name: &'static str, secrets: &Secrets) -> (Saved, Vec<u8>) {
    let (saved, kept, complaints) = Saved::open(Arc::clone(places), name, secrets);
    for complaint in complaints {
        eprintln!("gatewayd: {complaint}");
    }
    (saved, kept.unwrap_or_default())
}

/// Everything that faces the clients.
fn assemble(config: &Config, secrets: &Secrets, lan: &LanService) -> (Rc<Gate>, Rc<Dns>) {
    let prefix6 = config.lan.address6.map(|_| secrets.prefix6);
    let interface = config.lan.interface.as_str();
    let table = Neighbours::new(interface);
    if let Err(e) = &table {
        eprintln!("gatewayd: neighbour table: {e}; clients are told apart by address");
    }
    let shared = config.vip.views == Views::Shared;
    let vip = Vip::new(secrets.vip_key, config.vip.v4, prefix6).shared(shared);
    let clients = Clients::new(secrets.client_key, interface, table.ok());
    let facts = Facts {
        v4: config.lan.address.addr(),
        v6: config.lan.address6.map(|net| net.addr()),
        name: config.lan.name.clone(),
        domain: config.lan.domain.clone(),
        probes: config.lan.answer_probes,
        console: config.console.enabled,
    };
    let sockets = web::serve::Sockets {
        control: config.paths.control_sock.clone(),
        console: config.paths.console_sock.clone(),
    };
    let rogue = Rc::clone(&lan.rogue);
    let counters = Rc::<Counters>::default();
    let web = Web::new(facts.clone(), sockets, rogue, Rc::clone(&counters));
    let gate = Rc::new(Gate {
        vip: Rc::new(RefCell::new(vip)),
        clients: Rc::new(RefCell::new(clients)),
        identities: Rc::new(RefCell::new(Identities::new(secrets.client_key))),
        budget: Budget::new(config.limits.flows, config.limits.flows_per_client),
        router: RouterClient::new(
            config.paths.stream_sock.clone(),
            config.paths.control_sock.clone(),
        ),
        counters,
        web: Rc::new(web),
    });
    let dns = Dns::new(
        Rc::clone(&gate.vip),
        Hosts::new(facts, Rc::clone(&lan.names)),
        Rc::clone(&gate.clients),
        Rc::clone(&gate.counters),
    );
    (gate, dns)
}

/// Restores what was kept, and keeps it from now on until `end`.
fn keep(
    gate: &Gate,
    lan: &LanService,
    places: Places,
    secrets: &Secrets,
    end: &Rc<Notify>,
) -> JoinSet<()> {
    let places = Arc::new(places);
    let now = tokio::time::Instant::now().into_std();
    let (names, kept) = open(&places, "names", secrets);
    gate.vip.borrow_mut().restore(&kept, now);
    let (identities, kept) = open(&places, "identities", secrets);
    gate.identities.borrow_mut().restore(&kept);
    let (leases, kept) = open(&places, "leases", secrets);
    lan.leases.borrow_mut().restore(&kept, now);
    let mut tasks = JoinSet::new();
    let mut start = |saved: Saved, what: Rc<dyn Keep>| {
        let end = Rc::clone(end);
        tasks.spawn_local(saved.keep(what, async move { end.notified().await }));
    };
    start(names, Rc::<RefCell<Vip>>::clone(&gate.vip));
    start(
        identities,
        Rc::<RefCell<Identities>>::clone(&gate.identities),
    );
    start(leases, Rc::<RefCell<Leases>>::clone(&lan.leases));
    tasks
}

async fn serve(config: &Config, handed: Handed) -> Result<(), String> {
    let Handed {
        sockets,
        places,
        secrets,
    } = handed;
    let lan = LanService::new(config, &secrets);
    let (gate, dns) = assemble(config, &secrets, &lan);
    let end = Rc::new(Notify::new());
    let mut kept = keep(&gate, &lan, places, &secrets, &end);
    let mut tasks = JoinSet::new();
    let text = |e: io::Error| format!("sockets: {e}");
    faces(
        &gate,
        &dns,
        sockets.streams,
        sockets.dns_tcp,
        sockets.dns_udp,
        &mut tasks,
    )
    .map_err(text)?;
    lan.start(
        config,
        &secrets,
        sockets.lan,
        &gate.counters,
        &end,
        &mut tasks,
    )
    .map_err(text)?;
    let served = until_ended(&gate, &dns, &lan, &mut tasks).await;
    end.notify_waiters();
    while kept.join_next().await.is_some() {}
    served
}

/// Starts what serves names and streams.
fn faces(
    gate: &Rc<Gate>,
    dns: &Rc<Dns>,
    streams: [StdTcpListener; 2],
    dns_tcp: [StdTcpListener; 2],
    dns_udp: [StdUdpSocket; 2],
    tasks: &mut JoinSet<io::Result<()>>,
) -> io::Result<()> {
    for listener in streams {
        let listener = TcpListener::from_std(listener)?;
        tasks.spawn_local(Rc::clone(gate).serve(listener));
    }
    for listener in dns_tcp {
        let listener = TcpListener::from_std(listener)?;
        tasks.spawn_local(Rc::clone(dns).serve_tcp(listener));
    }
    for socket in dns_udp {
        let socket = UdpSocket::from_std(socket)?;
        tasks.spawn_local(Rc::clone(dns).serve_udp(socket));
    }
    Ok(())
}

/// Answers the supervisor until it, or a failure, ends the process.
async fn until_ended(
    gate: &Gate,
    dns: &Dns,
    lan: &LanService,
    tasks: &mut JoinSet<io::Result<()>>,
) -> Result<(), String> {
    let text = |e: io::Error| format!("sockets: {e}");
    let supervisor = channel().map_err(text)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(text)?;
    let report = |question| report::answer(gate, dns, lan, question);
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        // Nobody would see to it any more; the next supervisor starts its own.
        _ = ramson_gateway::channel::serve(supervisor, report) => Ok(()),
        // None of them ends while all is well: better to be started again as a whole.
        ended = tasks.join_next() => Err(format!("a listener ended: {ended:?}")),
    }
}
