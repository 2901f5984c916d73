//! Commands of clients, and events of streams for them.

use crate::names;
use crate::router::Router;
use crate::router::clients::{Client, EARLY_CREDIT};
use crate::router::input::{ClientCmd, ClientId};
use crate::router::output::{ClientEvent, Output, Refusal};
use crate::stream::{ResetWhy, StreamEvent, StreamId};
use crate::time::Now;
use crate::tunnel::PoolId;
use crate::wire::hash::DestHash;
use core::time::Duration;

/// A stream may wait this long for tunnels and for a LeaseSet.
const WAIT_MAX: Duration = Duration::from_secs(30);

impl Router {
    pub(in crate::router) fn on_client(&mut self, now: Now, cmd: ClientCmd) {
        match cmd {
            ClientCmd::Open {
                id,
                tag,
                host,
                port,
            } => self.open(now, id, &tag, &host, port),
            ClientCmd::Data { id, bytes } => self.client_data(now, id, &bytes),
            ClientCmd::Consumed { id, n } => {
                if let Some((dest, stream)) = self.stream_of(id) {
                    dest.streams.consume(now, stream, n);
                }
            }
            ClientCmd::Finish { id } => self.client_finish(now, id),
            ClientCmd::Reset { id } => self.client_reset(now, id),
            ClientCmd::Forget { tag } => self.isolation.retire(&tag),
            ClientCmd::Listen { dest, port } => {
                if let Some(d) = self.dests.served_mut(dest) {
                    d.streams.listen(port);
                }
            }
        }
    }

    fn open(&mut self, now: Now, id: ClientId, tag: &[u8], host: &str, port: u16) {
        let dest = match names::resolve(host, &self.hosts) {
            Ok(dest) => dest,
            Err(e) => return self.refuse(id, e.into()),
        };
        let Some(pool) = self.destination_for(now, tag) else {
            return self.refuse(id, Refusal::Limit);
        };
        if !self.clients.may_open(pool) {
            return self.refuse(id, Refusal::Limit);
        }
        let client = Client {
            pool,
            dest,
            port,
            since: now.mono,
            stream: None,
            early: Vec::new(),
            finished: false,
            remote_finished: false,
            open: false,
            heard: false,
            warned: false,
        };
        self.clients.insert(id, client);
        self.tell(ClientEvent::Resolved { id, dest });
        self.tell(ClientEvent::Credit {
            id,
            n: EARLY_CREDIT,
        });
        self.try_connect(now, id);
    }

    /// The tag's destination; the spare one when the tag is new, and if there is no room for one,
    /// a new one in place of one that nobody uses.
    fn destination_for(&mut self, now: Now, tag: &[u8]) -> Option<PoolId> {
        if !self.isolation.is_known(tag) && !self.isolation.has_spare() {
            if self.isolation.len() >= self.config.destinations {
                let idle = self.isolation.evict(now.mono)?;
                self.give_up(now, idle);
            }
            self.add_spare(now);
        }
        self.isolation.assign(tag, now.mono)
    }

    /// Opens the stream as soon as tunnels and the LeaseSet are there.
    fn try_connect(&mut self, now: Now, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let (pool, to, port) = (client.pool, client.dest, client.port);
        let waited = now.mono.since(client.since);
        if !client.warned
            && let Some(readiness) = self.readiness(now, pool)
            && waited >= self.patience(now, readiness.missing)
        {
            if let Some(client) = self.clients.get_mut(id) {
                client.warned = true;
            }
            self.tell(ClientEvent::NotReady { id, readiness });
        }
        let Some(dest) = self.dests.get_mut(pool) else {
            return self.refuse(id, Refusal::Closing);
        };
        if dest.is_unusable(to) {
            return self.refuse(id, Refusal::Unusable);
        }
        let ready = dest.prepare(now, to) && self.tunnels.outbound(pool).next().is_some();
        if !ready {
            if waited > WAIT_MAX {
                let why = self.cause(now, pool, Refusal::NoLeaseSet);
                self.refuse(id, why);
            }
            return;
        }
        match dest.streams.connect(now, &mut self.rng, to, port) {
            Ok(stream) => {
                self.clients.attach(id, stream);
                self.feed(now, id);
            }
            Err(_) => self.refuse(id, Refusal::Limit),
        }
    }

    /// Waiting streams are looked at again.
    pub(in crate::router) fn tend_clients(&mut self, now: Now) {
        for id in self.clients.waiting() {
            self.try_connect(now, id);
        }
        for pool in self.clients.pools() {
            self.isolation.touch(pool, now.mono);
        }
    }

    fn client_data(&mut self, now: Now, id: ClientId, bytes: &[u8]) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        // The shell stays within its credit: more than that is a broken shell.
        if client.early.len() + bytes.len() > crate::limits::CLIENT_BUFFER_MAX {
            return self.client_reset(now, id);
        }
        client.early.extend_from_slice(bytes);
        self.feed(now, id);
    }

    /// Gives the stream what it takes of the client's bytes.
    fn feed(&mut self, now: Now, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let Some(stream) = client.stream else { return };
        let Some(dest) = self.dests.get_mut(client.pool) else {
            return;
        };
        let n = dest.streams.write(now, stream, &client.early);
        client.early.drain(..n);
        let finish = client.finished && client.early.is_empty();
        if finish {
            // A CLOSE ends both directions at many routers: after the far side's end it is due.
            if client.remote_finished {
                dest.streams.close(now, stream);
            } else {
                dest.streams.finish(now, stream);
            }
        }
        if n > 0 && !client.finished {
            self.tell(ClientEvent::Credit { id, n });
        }
    }

    fn client_finish(&mut self, now: Now, id: ClientId) {
        if let Some(client) = self.clients.get_mut(id) {
            client.finished = true;
            self.feed(now, id);
        }
    }

    fn client_reset(&mut self, now: Now, id: ClientId) {
        let Some(client) = self.clients.remove(id) else {
            return;
        };
        if let (Some(stream), Some(dest)) = (client.stream, self.dests.get_mut(client.pool)) {
            dest.streams.reset(now, &mut self.rng, stream);
        }
    }

    fn stream_of(
        &mut self,
        id: ClientId,
    ) -> Option<(&mut crate::dest::local::LocalDest, StreamId)> {
        let client = self.clients.get_mut(id)?;
        Some((self.dests.get_mut(client.pool)?, client.stream?))
    }

    /// Something happened to a stream of one of our destinations.
    pub(super) fn on_stream(&mut self, now: Now, pool: PoolId, event: StreamEvent) {
        match event {
            StreamEvent::Incoming { id, from, port } => self.incoming(now, pool, id, from, port),
            StreamEvent::Opened { id } => {
                if let Some(client) = self.clients.id_of(pool, id) {
                    if let Some(c) = self.clients.get_mut(client) {
                        c.open = true;
                    }
                    self.tell(ClientEvent::Opened { id: client });
                }
            }
            StreamEvent::Data { id, bytes } => {
                if let Some(id) = self.clients.id_of(pool, id) {
                    if let Some(c) = self.clients.get_mut(id) {
                        c.heard = true;
                    }
                    self.tell(ClientEvent::Data { id, bytes });
                }
            }
            StreamEvent::Writable { id, .. } => {
                if let Some(id) = self.clients.id_of(pool, id) {
                    self.feed(now, id);
                }
            }
            StreamEvent::Finished { id } => self.stream_finished(now, pool, id),
            StreamEvent::Closed { id } => {
                if let Some(id) = self.clients.id_of(pool, id) {
                    self.clients.remove(id);
                }
            }
            StreamEvent::Reset { id, why } => self.stream_reset(now, pool, id, why),
            StreamEvent::StandsStill { .. }
            | StreamEvent::GoesOn { .. }
            | StreamEvent::Progress { .. }
            | StreamEvent::Stalled { .. }
            | StreamEvent::Unanswered { .. } => {}
        }
    }

    fn incoming(&mut self, now: Now, pool: PoolId, stream: StreamId, from: DestHash, port: u16) {
        let Some(local) = self.dests.get(pool) else {
            return;
        };
        let (dest, destination) = (local.hash(), local.bytes_of(from));
        let id = self.clients.incoming_id();
        let client = Client {
            pool,
            dest: from,
            port,
            since: now.mono,
            stream: None,
            early: Vec::new(),
            finished: false,
            remote_finished: false,
            open: true,
            heard: true,
            warned: false,
        };
        self.clients.insert(id, client);
        self.clients.attach(id, stream);
        self.tell(ClientEvent::Incoming {
            id,
            dest,
            port,
            from,
            destination,
        });
        self.tell(ClientEvent::Credit {
            id,
            n: EARLY_CREDIT,
        });
    }

    fn stream_finished(&mut self, now: Now, pool: PoolId, stream: StreamId) {
        let Some(id) = self.clients.id_of(pool, stream) else {
            return;
        };
        if let Some(c) = self.clients.get_mut(id) {
            c.remote_finished = true;
        }
        self.tell(ClientEvent::Finished { id });
        self.feed(now, id);
    }

    /// A stream of which nothing was heard may still get a page, which needs the cause.
    fn stream_reset(&mut self, now: Now, pool: PoolId, stream: StreamId, why: ResetWhy) {
        let Some(id) = self.clients.id_of(pool, stream) else {
            return;
        };
        let Some(client) = self.clients.remove(id) else {
            return;
        };
        self.tell(if client.heard {
            ClientEvent::Reset { id }
        } else {
            let why = match why {
                ResetWhy::Peer if client.open => Refusal::Empty,
                ResetWhy::Peer => Refusal::Rejected,
                _ => self.cause(now, pool, Refusal::NoAnswer),
            };
            ClientEvent::Refused { id, why }
        });
    }

    /// A remote has no LeaseSet, or never answered.
    pub(super) fn on_unreachable(&mut self, now: Now, pool: PoolId, remote: DestHash) {
        for id in self.clients.of_remote(pool, remote) {
            let Some(client) = self.clients.get_mut(id) else {
                continue;
            };
            match client.stream {
                None => {
                    let why = self.cause(now, pool, Refusal::NoLeaseSet);
                    self.refuse(id, why);
                }
                Some(_) if !client.open => {
                    self.client_reset(now, id);
                    let why = self.cause(now, pool, Refusal::NoAnswer);
                    self.tell(ClientEvent::Refused { id, why });
                }
                Some(_) => {}
            }
        }
    }

    fn refuse(&mut self, id: ClientId, why: Refusal) {
        self.clients.remove(id);
        self.tell(ClientEvent::Refused { id, why });
    }

    fn tell(&mut self, event: ClientEvent) {
        self.outputs.push_back(Output::Client(event));
    }
}
