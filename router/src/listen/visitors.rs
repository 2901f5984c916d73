//! Streams that remotes open to the destinations we serve, connected to local services.

use super::conn::{Conn, Registry};
use super::http::HEAD_TIME;
use super::pump::{Filter, Pump};
use crate::config_file::servers::{Kind, Server};
use crate::servers::{Table, Visits};
use ramson_proto::client::visit::{Names, Visit};
use ramson_proto::router::input::{ClientCmd, ClientId};
use ramson_proto::router::output::ClientEvent;
use ramson_proto::wire::hash::{DestHash, sha256};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::timeout;

/// A local service has this long to take a connection.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// A visitor has this long to take a page of ours.
const PAGE_TIME: Duration = Duration::from_secs(30);

/// A new stream of a remote.
pub struct Incoming {
    /// The stream.
    pub id: ClientId,
    /// Our destination.
    pub dest: DestHash,
    /// The remote.
    pub from: DestHash,
    /// The same in full.
    pub destination: Vec<u8>,
}

/// Streams by our destination and the remote.
type Counted = Rc<RefCell<BTreeMap<(DestHash, DestHash), usize>>>;

/// All visitors of all servers.
pub struct Visitors {
    table: watch::Receiver<Table>,
    registry: Registry,
    open: Counted,
    /// What addresses of visitors are made of.
    key: [u8; 32],
}

impl Visitors {
    /// Nobody yet; `key` is secret.
    pub fn new(table: watch::Receiver<Table>, registry: Registry, key: [u8; 32]) -> Self {
        Self {
            table,
            registry,
            open: Counted::default(),
            key,
        }
    }

    /// Takes a stream, or answers `false` when it has to be reset.
    #[must_use]
    pub fn take(&self, incoming: Incoming) -> bool {
        let table = self.table.borrow().clone();
        let Some(running) = table.get(&incoming.dest) else {
            return false;
        };
        let (server, visits) = (&running.server, &running.visits);
        let place = Place::take(&self.open, (incoming.dest, incoming.from), server, visits);
        let conn = place.and_then(|place| Some((place, self.registry.adopt(incoming.id)?)));
        let Some((place, conn)) = conn else {
            visits.refused.fetch_add(1, Relaxed);
            return false;
        };
        let visitor = Visitor {
            from: self.address_of(incoming.from, server),
            server: server.clone(),
            visits: Arc::clone(visits),
            conn,
        };
        spawn_local(async move {
            visitor.serve(incoming.from, incoming.destination).await;
            drop(place);
        });
        true
    }

    /// The loopback address of a visitor; never one of 127.0.0.0/16, where services listen.
    fn address_of(&self, visitor: DestHash, server: &Server) -> Option<Ipv4Addr> {
        let [a, b, c, ..] = sha256(&[&self.key, visitor.as_bytes()]);
        let address = Ipv4Addr::new(127, a.max(1), b, c.clamp(1, 254));
        server.distinct_addresses.then_some(address)
    }
}

/// One stream among those of its visitor and its server.
struct Place {
    open: Counted,
    who: (DestHash, DestHash),
    visits: Arc<Visits>,
}

impl Place {
    fn take(
        open: &Counted,
        who: (DestHash, DestHash),
        server: &Server,
        visits: &Arc<Visits>,
    ) -> Option<Self> {
        let mut counts = open.borrow_mut();
        let own = counts.get(&who).copied().unwrap_or(0);
        let of_server = counts.range((who.0, DestHash([0; 32]))..=(who.0, DestHash([255; 32])));
        let all: usize = of_server.map(|(_, n)| *n).sum();
        let room = own < server.streams_per_visitor && all < server.streams;
        if !room || !server.lets_in(who.1) {
            return None;
        }
        counts.insert(who, own + 1);
        visits.streams.fetch_add(1, Relaxed);
        Some(Self {
            open: Rc::clone(open),
            who,
            visits: Arc::clone(visits),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.open.borrow_mut();
        if let Some(n) = counts.get_mut(&self.who) {
            *n -= 1;
            if *n == 0 {
                counts.remove(&self.who);
            }
        }
        self.visits.streams.fetch_sub(1, Relaxed);
    }
}

/// One stream.
struct Visitor {
    server: Server,
    visits: Arc<Visits>,
    /// The address that it comes from.
    from: Option<Ipv4Addr>,
    conn: Conn,
}

impl Visitor {
    async fn serve(self, from: DestHash, destination: Vec<u8>) {
        match self.server.kind {
            Kind::Tcp => match self.connect().await {
                Ok(socket) => {
                    let filter = Filter::Raw(Vec::new());
                    drop(Pump::new(socket, self.conn, filter).run().await);
                }
                // The stream is reset.
                Err(_) => drop(self.visits.unanswered.fetch_add(1, Relaxed)),
            },
            Kind::Http => {
                let host = self.server.host();
                let names = Names {
                    from,
                    destination,
                    host,
                };
                self.http(Visit::new(names)).await;
            }
        }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let target = self.server.target;
        let socket = if target.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        if let Some(from) = self.from {
            socket.bind(SocketAddr::from((from, 0)))?;
        }
        let connected = timeout(CONNECT_TIME, socket.connect(target)).await??;
        connected.set_nodelay(true)?;
        self.visits.accepted.fetch_add(1, Relaxed);
        Ok(connected)
    }

    /// The local server is asked when a whole head is there, so that slow visitors cost it nothing.
    async fn http(mut self, mut visit: Visit) {
        let mut credit = 0;
        let head = timeout(HEAD_TIME, self.first(&mut visit, &mut credit)).await;
        let Ok(Some(head)) = head else {
            self.visits.refused.fetch_add(1, Relaxed);
            return;
        };
        let Ok(mut socket) = self.connect().await else {
            self.visits.unanswered.fetch_add(1, Relaxed);
            let _ = timeout(PAGE_TIME, self.page(credit)).await;
            return;
        };
        let written = tokio::io::AsyncWriteExt::write_all(&mut socket, &head);
        if !matches!(timeout(CONNECT_TIME, written).await, Ok(Ok(()))) {
            return;
        }
        let mut pump = Pump::new(socket, self.conn, Filter::Visit(Box::new(visit)));
        pump.grant(credit);
        drop(pump.run().await);
    }

    /// What the local server gets first; `None` when it is no request.
    async fn first(&mut self, visit: &mut Visit, credit: &mut usize) -> Option<Vec<u8>> {
        let mut head = Vec::new();
        while head.is_empty() {
            match self.conn.event(true).await? {
                ClientEvent::Credit { n, .. } => *credit += n,
                ClientEvent::Data { bytes, .. } => {
                    visit.push(&bytes, &mut head).ok()?;
                    let (id, n) = (self.conn.id, bytes.len());
                    self.conn.send(ClientCmd::Consumed { id, n }).await;
                }
                ClientEvent::Finished { .. }
                | ClientEvent::Reset { .. }
                | ClientEvent::Refused { .. } => return None,
                _ => {}
            }
        }
        Some(head)
    }

    /// Says that the local server is not there.
    async fn page(&mut self, mut credit: usize) {
        let (id, bytes) = (self.conn.id, down());
        while credit < bytes.len() {
            match self.conn.event(true).await {
                Some(ClientEvent::Credit { n, .. }) => credit += n,
                Some(ClientEvent::Reset { .. } | ClientEvent::Refused { .. }) | None => return,
                Some(_) => {}
            }
        }
        self.conn.send(ClientCmd::Data { id, bytes }).await;
        self.conn.send(ClientCmd::Finish { id }).await;
        loop {
            match self.conn.event(true).await {
                Some(ClientEvent::Data { bytes, .. }) => {
                    let n = bytes.len();
                    self.conn.send(ClientCmd::Consumed { id, n }).await;
                }
                Some(ClientEvent::Finished { .. }) => return self.conn.done(),
                Some(ClientEvent::Reset { .. } | ClientEvent::Refused { .. }) | None => return,
                Some(_) => {}
            }
        }
    }
}

/// The page of a site whose local server does not answer.
fn down() -> Vec<u8> {
    let html = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
        <title>This site is down</title></head><body><h1>This site is down</h1>\
        <p>Its router is there, but the web server behind it does not answer. \
        Try again later.</p></body></html>\n";
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Length: {}\r\nCache-Control: no-store\r\nRetry-After: 60\r\n\
         Connection: close\r\n\r\n",
        html.len()
    );
    [head.as_bytes(), html.as_bytes()].concat()
}

#[cfg(test)]
mod tests;
