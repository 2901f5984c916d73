//! The part of the gateway that faces the clients: no capabilities, no keys, no Internet.
//! Started by `supervisor` only, which hands it its sockets over standard input.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ramson_gateway::config::Config;
use ramson_gateway::counters::Counters;
use ramson_gateway::dns::Dns;
use ramson_gateway::handover::{self, Secrets, Sockets};
use ramson_gateway::listen::Gate;
use ramson_gateway::neigh::Neighbours;
use ramson_gateway::policy::{Budget, Clients};
use ramson_gateway::privileges;
use ramson_gateway::router_client::RouterClient;
use ramson_gateway::vip::Vip;
use std::cell::RefCell;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use tokio::net::{TcpListener, UdpSocket, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinSet, LocalSet};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("gatewayd: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let [flag, path] = args.as_slice() else {
        return Err("started by supervisor; usage: gatewayd --config FILE".into());
    };
    if flag != "--config" {
        return Err("usage: gatewayd --config FILE".into());
    }
    privileges::prove_none()?;
    let config = Config::load(Path::new(path)).map_err(|e| e.to_string())?;
    let received = handover::receive(std::io::stdin().as_fd());
    let (sockets, secrets) = received.map_err(|e| format!("handover: {e}"))?;
    raise_files();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| format!("runtime: {e}"))?;
    LocalSet::new().block_on(&runtime, serve(&config, sockets, &secrets))
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

async fn serve(config: &Config, sockets: Sockets, secrets: &Secrets) -> Result<(), String> {
    let prefix6 = config.lan.address6.map(|_| secrets.prefix6);
    let table = Neighbours::new(config.lan.interface.as_str());
    if let Err(e) = &table {
        eprintln!("gatewayd: neighbour table: {e}; clients are told apart by address");
    }
    let vip = Rc::new(RefCell::new(Vip::new(
        secrets.vip_key,
        config.vip.v4,
        prefix6,
    )));
    let clients = Rc::new(RefCell::new(Clients::new(secrets.client_key, table.ok())));
    let counters = Rc::new(Counters::default());
    let gate = Rc::new(Gate {
        vip: Rc::clone(&vip),
        clients: Rc::clone(&clients),
        budget: Budget::new(config.limits.flows, config.limits.flows_per_client),
        router: RouterClient::new(config.paths.stream_sock.clone()),
        counters: Rc::clone(&counters),
    });
    let dns = Dns::new(vip, clients, Rc::clone(&counters));
    let text = |e: io::Error| format!("sockets: {e}");
    let mut tasks = JoinSet::new();
    let supervisor = channel().map_err(text)?;
    for listener in sockets.streams {
        let listener = TcpListener::from_std(listener).map_err(text)?;
        tasks.spawn_local(Rc::clone(&gate).serve(listener));
    }
    for listener in sockets.dns_tcp {
        let listener = TcpListener::from_std(listener).map_err(text)?;
        tasks.spawn_local(Rc::clone(&dns).serve_tcp(listener));
    }
    for socket in sockets.dns_udp {
        let socket = UdpSocket::from_std(socket).map_err(text)?;
        tasks.spawn_local(Rc::clone(&dns).serve_udp(socket));
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(text)?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        // Nobody would see to it any more; the next supervisor starts its own.
        _ = counters.serve(supervisor) => Ok(()),
        // None of them ends while all is well: better to be started again as a whole.
        ended = tasks.join_next() => Err(format!("a listener ended: {ended:?}")),
    }
}
