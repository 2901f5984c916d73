//! The client thread: local listeners, and events of the core to their sockets.

use crate::listen::conn::{Registry, event_id};
use crate::listen::control_sock::{self, Control};
use crate::listen::visitors::{Incoming, Visitors};
use crate::listen::{http, stream_sock};
use crate::seeds::Given;
use crate::servers::Table;
use ramson_proto::router::input::ClientCmd;
use ramson_proto::router::output::ClientEvent;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio::task::{LocalSet, spawn_local};

/// Where the thread listens, and who may.
pub struct ClientLoopConfig {
    /// HTTP proxy.
    pub http: Option<SocketAddr>,
    /// Streams of the gateway.
    pub stream: PathBuf,
    /// Users besides root and ourselves that may open streams.
    pub uids: Vec<u32>,
    /// Users besides root and ourselves that may bring reseed files.
    pub admins: Vec<u32>,
    /// Status, reseed files and shutdown.
    pub control: PathBuf,
}

/// The thread's ends of its channels.
pub struct ClientLoopChannels {
    /// To the core.
    pub cmds: Sender<ClientCmd>,
    /// From the core; the thread ends when it closes.
    pub events: Receiver<ClientEvent>,
    /// The newest status text.
    pub status: watch::Receiver<String>,
    /// Woken by a shutdown request.
    pub shutdown: Arc<Notify>,
    /// Reseed files that somebody brings.
    pub reseeds: Sender<Given>,
    /// The servers in force.
    pub servers: watch::Receiver<Table>,
}

/// Binds all listeners, then runs the thread.
///
/// # Errors
/// Which listener could not be bound, and why.
pub fn spawn(config: ClientLoopConfig, ch: ClientLoopChannels) -> Result<JoinHandle<()>, String> {
    let (ready_tx, ready_rx) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("client".to_owned())
        .spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            {
                Ok(rt) => rt,
                Err(e) => return drop(ready_tx.send(Err(e.to_string()))),
            };
            LocalSet::new().block_on(&runtime, run(config, ch, ready_tx));
        })
        .map_err(|e| e.to_string())?;
    ready_rx
        .blocking_recv()
        .map_err(|_| "the client thread did not start".to_owned())??;
    Ok(thread)
}

async fn run(
    config: ClientLoopConfig,
    ch: ClientLoopChannels,
    ready: oneshot::Sender<Result<(), String>>,
) {
    let (key, visitors_key) = match crate::entropy::rng() {
        Ok(mut rng) => (rng.array(), rng.array()),
        Err(e) => return drop(ready.send(Err(e.to_string()))),
    };
    let registry = Registry::new(ch.cmds.clone(), key);
    let visitors = Visitors::new(ch.servers, registry.clone(), visitors_key);
    let control = Control {
        cmds: ch.cmds.clone(),
        status: ch.status,
        shutdown: ch.shutdown,
        reseeds: ch.reseeds,
        uids: config.uids.clone(),
        admins: config.admins.clone(),
        one: Semaphore::new(1),
    };
    let bound = listen(&config, &registry, control).await;
    let failed = bound.is_err();
    if ready.send(bound).is_err() || failed {
        return;
    }
    let mut events = ch.events;
    while let Some(event) = events.recv().await {
        let id = event_id(&event);
        let taken = match event {
            ClientEvent::Incoming {
                id,
                dest,
                from,
                destination,
                ..
            } => visitors.take(Incoming {
                id,
                dest,
                from,
                destination,
            }),
            event => registry.dispatch(event),
        };
        if !taken {
            registry.send(ClientCmd::Reset { id }).await;
        }
    }
    registry.close();
    for path in [&config.stream, &config.control] {
        let _ = std::fs::remove_file(path);
    }
}

async fn listen(
    config: &ClientLoopConfig,
    registry: &Registry,
    control: Control,
) -> Result<(), String> {
    if let Some(addr) = config.http {
        let listener = TcpListener::bind(addr)
            .await
            .map_err(|e| format!("HTTP proxy at {addr}: {e}"))?;
        spawn_local(http::serve(listener, registry.clone()));
    }
    let streams = control_sock::bind(&config.stream)?;
    spawn_local(stream_sock::serve(
        streams,
        registry.clone(),
        config.uids.clone(),
    ));
    let listener = control_sock::bind(&config.control)?;
    spawn_local(control_sock::serve(listener, control));
    Ok(())
}
