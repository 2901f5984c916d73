//! One client stream as its socket's task sees it: an id, events in, commands out.

use super::accepted::Accepted;
use super::mailbox::Mailbox;
use ramson_proto::router::input::{ClientCmd, ClientId};
use ramson_proto::router::output::ClientEvent;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use tokio::sync::mpsc::Sender;

/// Streams at once, over all listeners.
const STREAMS: usize = 1024;
/// Visitors leave the rest to our own clients.
const STREAMS_WITH_VISITOR: usize = STREAMS / 2;

/// Who gets which event; lives on the client thread alone.
#[derive(Clone)]
pub struct Registry {
    conns: Rc<RefCell<BTreeMap<u64, Mailbox>>>,
    next: Rc<Cell<u64>>,
    accepted: Rc<RefCell<Accepted>>,
    cmds: Sender<ClientCmd>,
}

impl Registry {
    /// An empty registry whose streams send their commands to `cmds`; `key` is secret, and makes
    /// the tokens of forms.
    #[must_use]
    pub fn new(cmds: Sender<ClientCmd>, key: [u8; 32]) -> Self {
        Self {
            conns: Rc::default(),
            next: Rc::new(Cell::new(1)),
            accepted: Rc::new(RefCell::new(Accepted::new(key))),
            cmds,
        }
    }

    /// A new stream, or `None` when there are too many.
    #[must_use]
    pub fn register(&self) -> Option<Conn> {
        let id = self.next.get();
        self.next.set(id + 1);
        self.insert(ClientId(id), STREAMS)
    }

    /// A stream that a remote has opened, or `None` when there are too many.
    #[must_use]
    pub fn adopt(&self, id: ClientId) -> Option<Conn> {
        self.insert(id, STREAMS_WITH_VISITOR)
    }

    fn insert(&self, id: ClientId, most: usize) -> Option<Conn> {
        let mut conns = self.conns.borrow_mut();
        if conns.len() >= most {
            return None;
        }
        let events = Mailbox::default();
        conns.insert(id.0, events.clone());
        Some(Conn {
            id,
            events,
            registry: self.clone(),
            closed: false,
        })
    }

    /// A new stream that is asked for, or `None` when there are too many. A name that the client
    /// took from a link means what it took.
    pub async fn open(&self, tag: &[u8], host: &str, port: u16) -> Option<Conn> {
        let conn = self.register()?;
        let known = self.accepted.borrow().get(tag, host);
        let (id, tag) = (conn.id, tag.to_vec());
        let host = known.map_or_else(|| host.to_owned(), |dest| dest.b32());
        conn.send(ClientCmd::Open {
            id,
            tag,
            host,
            port,
        })
        .await;
        Some(conn)
    }

    /// Names that clients took.
    pub(super) fn accepted(&self) -> &RefCell<Accepted> {
        &self.accepted
    }

    /// Hands an event to its stream; `false` when the stream has to be reset.
    #[must_use]
    pub fn dispatch(&self, event: ClientEvent) -> bool {
        let id = event_id(&event).0;
        let mut conns = self.conns.borrow_mut();
        if conns.get(&id).is_none_or(|mailbox| mailbox.put(event)) {
            return true;
        }
        if let Some(mailbox) = conns.remove(&id) {
            mailbox.close();
        }
        false
    }

    /// The core is gone: every stream ends with what it has.
    pub fn close(&self) {
        let conns = std::mem::take(&mut *self.conns.borrow_mut());
        conns.into_values().for_each(|mailbox| mailbox.close());
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
        | ClientEvent::NotReady { id, .. }
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
    events: Mailbox,
    registry: Registry,
    closed: bool,
}

impl Conn {
    /// The next event; bytes and what comes after them only if `data`. `None` when the core is
    /// gone or the stream overran its bound.
    pub async fn event(&mut self, data: bool) -> Option<ClientEvent> {
        let event = self.events.take(self.id, data).await?;
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
