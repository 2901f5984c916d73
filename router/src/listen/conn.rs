//! One client stream as its socket's task sees it: an id, events in, commands out.

use ramson_proto::router::input::{ClientCmd, ClientId};
use ramson_proto::router::output::ClientEvent;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use tokio::sync::mpsc::{self, Receiver, Sender, error::TrySendError};

/// Events waiting for one socket. The core's receive window bounds the bytes among them; a
/// stream that overruns this many is reset.
const EVENTS: usize = 4096;
/// Streams at once, over all listeners.
const STREAMS: usize = 1024;

/// Who gets which event; lives on the client thread alone.
#[derive(Clone)]
pub struct Registry {
    conns: Rc<RefCell<BTreeMap<u64, Sender<ClientEvent>>>>,
    next: Rc<Cell<u64>>,
    cmds: Sender<ClientCmd>,
}

impl Registry {
    /// An empty registry whose streams send their commands to `cmds`.
    #[must_use]
    pub fn new(cmds: Sender<ClientCmd>) -> Self {
        Self {
            conns: Rc::default(),
            next: Rc::new(Cell::new(1)),
            cmds,
        }
    }

    /// A new stream, or `None` when there are too many.
    #[must_use]
    pub fn register(&self) -> Option<Conn> {
        let mut conns = self.conns.borrow_mut();
        if conns.len() >= STREAMS {
            return None;
        }
        let id = self.next.get();
        self.next.set(id + 1);
        let (tx, events) = mpsc::channel(EVENTS);
        conns.insert(id, tx);
        Some(Conn {
            id: ClientId(id),
            events,
            registry: self.clone(),
            closed: false,
        })
    }

    /// Hands an event to its stream; `false` when the stream has to be reset.
    #[must_use]
    pub fn dispatch(&self, event: ClientEvent) -> bool {
        let id = event_id(&event).0;
        let sender = self.conns.borrow().get(&id).cloned();
        match sender.map(|s| s.try_send(event)) {
            Some(Err(TrySendError::Full(_))) => {
                self.conns.borrow_mut().remove(&id);
                false
            }
            _ => true,
        }
    }

    /// Sends a command, waiting for room.
    pub async fn send(&self, cmd: ClientCmd) {
        // The core is gone only at shutdown, when nothing matters any more.
        let _ = self.cmds.send(cmd).await;
    }
}

/// The stream that an event is about.
#[must_use]
pub const fn event_id(event: &ClientEvent) -> ClientId {
    match event {
        ClientEvent::Resolved { id, .. }
        | ClientEvent::Opened { id }
        | ClientEvent::Refused { id, .. }
        | ClientEvent::Incoming { id, .. }
        | ClientEvent::Data { id, .. }
        | ClientEvent::Finished { id }
        | ClientEvent::Reset { id }
        | ClientEvent::Credit { id, .. } => *id,
    }
}

/// One registered stream; resets the core's side when it is dropped before the end.
pub struct Conn {
    /// Its id.
    pub id: ClientId,
    events: Receiver<ClientEvent>,
    registry: Registry,
    closed: bool,
}

impl Conn {
    /// The next event; `None` when the core is gone or the stream overran its queue.
    pub async fn event(&mut self) -> Option<ClientEvent> {
        let event = self.events.recv().await?;
        if matches!(
            event,
            ClientEvent::Refused { .. } | ClientEvent::Reset { .. }
        ) {
            self.closed = true;
        }
        Some(event)
    }

    /// Sends a command about this stream.
    pub async fn send(&self, cmd: ClientCmd) {
        self.registry.send(cmd).await;
    }

    /// Both directions ended in order: nothing has to be reset.
    pub const fn done(&mut self) {
        self.closed = true;
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.registry.conns.borrow_mut().remove(&self.id.0);
        if !self.closed {
            let (cmds, id) = (self.registry.cmds.clone(), self.id);
            tokio::task::spawn_local(async move {
                let _ = cmds.send(ClientCmd::Reset { id }).await;
            });
        }
    }
}
