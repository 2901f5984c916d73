//! Applications of the simulator: a client asks for bytes, a server sends them, a checker
//! compares every byte.

use super::node::Node;
use ramson_proto::router::input::{ClientCmd, ClientId};
use ramson_proto::router::output::ClientEvent;
use ramson_proto::time::Instant;
use ramson_proto::wire::hash::DestHash;
use std::collections::BTreeMap;

/// Bytes that a server writes at once.
const CHUNK: usize = 16 * 1024;

/// A client of one router opens a stream to another router's destination, sends a request of
/// sixteen bytes (how many bytes it wants and the number of the transfer), and gets them.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// Node of the client.
    pub client: usize,
    /// Node of the server.
    pub server: usize,
    /// Isolation tag.
    pub tag: Vec<u8>,
    /// Bytes to be sent by the server.
    pub bytes: usize,
}

/// How a transfer stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// When it was started.
    pub started: Option<Instant>,
    /// When the first byte came.
    pub first: Option<Instant>,
    /// Bytes that came, each checked.
    pub received: usize,
    /// When the end of the stream came.
    pub finished: Option<Instant>,
    /// The stream failed.
    pub failed: bool,
    /// Who the server thinks that the client is.
    pub seen_as: Option<DestHash>,
}

/// A server's side of a stream.
#[derive(Debug, Default)]
struct Serving {
    from: DestHash,
    request: Vec<u8>,
    left: Option<usize>,
    sent: usize,
    credit: usize,
    done: bool,
}

/// All applications of a network.
pub struct Apps {
    transfers: Vec<(Transfer, Progress)>,
    clients: Vec<BTreeMap<ClientId, usize>>,
    servers: Vec<BTreeMap<ClientId, Serving>>,
}

/// Byte `i` of every transfer.
#[must_use]
pub const fn byte_at(i: usize) -> u8 {
    (i.wrapping_mul(31) ^ (i >> 8) ^ (i >> 16)) as u8
}

impl Apps {
    /// For a network of `n` nodes.
    #[must_use]
    pub fn new(n: usize) -> Self {
        let clients = (0..n).map(|_| BTreeMap::new()).collect();
        let servers = (0..n).map(|_| BTreeMap::new()).collect();
        Self {
            transfers: Vec::new(),
            clients,
            servers,
        }
    }

    /// Adds a transfer; the answer is its number.
    pub fn add(&mut self, transfer: Transfer) -> usize {
        self.transfers.push((transfer, Progress::default()));
        self.transfers.len() - 1
    }

    /// The transfers and how they stand.
    pub fn transfers(&self) -> impl Iterator<Item = &(Transfer, Progress)> {
        self.transfers.iter()
    }

    /// Whether every transfer has ended.
    #[must_use]
    pub fn all_done(&self) -> bool {
        !self.transfers.is_empty()
            && self
                .transfers
                .iter()
                .all(|(_, p)| p.finished.is_some() || p.failed)
    }

    /// Transfers that did not bring everything, in words.
    #[must_use]
    pub fn unfinished(&self) -> Vec<String> {
        let bad = self
            .transfers
            .iter()
            .filter(|(t, p)| p.failed || p.received != t.bytes);
        bad.map(|(t, p)| format!("{t:?}: {p:?}")).collect()
    }

    /// Starts a transfer: the client's node and its commands.
    pub fn start(
        &mut self,
        number: usize,
        nodes: &[Node],
        now: Instant,
    ) -> (usize, Vec<ClientCmd>) {
        let (t, p) = &mut self.transfers[number];
        p.started = Some(now);
        let id = ClientId(number as u64 + 1);
        let dest: DestHash = nodes[t.server].serves.unwrap_or_default();
        self.clients[t.client].insert(id, number);
        let open = ClientCmd::Open {
            id,
            tag: t.tag.clone(),
            host: dest.b32(),
            port: 80,
        };
        let request = [t.bytes as u64, number as u64].map(u64::to_be_bytes);
        let request = request.concat();
        (t.client, vec![open, ClientCmd::Data { id, bytes: request }])
    }

    /// A node ended: so do the streams of its applications.
    pub fn end(&mut self, node: usize) {
        self.servers[node].clear();
        for number in std::mem::take(&mut self.clients[node]).into_values() {
            let (t, p) = &mut self.transfers[number];
            p.failed |= p.received != t.bytes;
        }
    }

    /// An event for an application of a node; the answer is what it does.
    pub fn handle(&mut self, node: usize, event: ClientEvent, now: Instant) -> Vec<ClientCmd> {
        match event {
            ClientEvent::Incoming { id, from, .. } => {
                let serving = Serving {
                    from,
                    ..Serving::default()
                };
                self.servers[node].insert(id, serving);
                Vec::new()
            }
            ClientEvent::Credit { id, n } => {
                if let Some(s) = self.servers[node].get_mut(&id) {
                    s.credit += n;
                }
                self.serve(node, id)
            }
            ClientEvent::Data { id, bytes } => {
                let n = bytes.len();
                let mut cmds = vec![ClientCmd::Consumed { id, n }];
                if let Some(s) = self.servers[node].get_mut(&id) {
                    s.request.extend_from_slice(&bytes);
                    cmds.extend(self.serve(node, id));
                } else {
                    self.receive(node, id, &bytes, now);
                }
                cmds
            }
            ClientEvent::Finished { id } => self.finish(node, id, now),
            ClientEvent::Refused { id, .. } | ClientEvent::Reset { id } => {
                self.servers[node].remove(&id);
                if let Some(number) = self.clients[node].remove(&id) {
                    let (t, p) = &mut self.transfers[number];
                    p.failed |= p.received != t.bytes;
                }
                Vec::new()
            }
            ClientEvent::Opened { .. }
            | ClientEvent::Resolved { .. }
            | ClientEvent::NotReady { .. } => Vec::new(),
        }
    }

    fn receive(&mut self, node: usize, id: ClientId, bytes: &[u8], now: Instant) {
        let Some(number) = self.clients[node].get(&id) else {
            return;
        };
        let (t, p) = &mut self.transfers[*number];
        p.first.get_or_insert(now);
        for b in bytes {
            assert_eq!(
                *b,
                byte_at(p.received),
                "byte {} of {t:?} is wrong",
                p.received
            );
            p.received += 1;
        }
        assert!(p.received <= t.bytes, "{t:?} brought more than was sent");
    }

    fn finish(&mut self, node: usize, id: ClientId, now: Instant) -> Vec<ClientCmd> {
        let Some(number) = self.clients[node].remove(&id) else {
            return Vec::new();
        };
        let (t, p) = &mut self.transfers[number];
        assert_eq!(p.received, t.bytes, "{t:?} ended early");
        p.finished = Some(now);
        vec![ClientCmd::Finish { id }]
    }

    fn serve(&mut self, node: usize, id: ClientId) -> Vec<ClientCmd> {
        let Some(s) = self.servers[node].get_mut(&id) else {
            return Vec::new();
        };
        if s.left.is_none() {
            let (Some(bytes), Some(number)) = (s.request.first_chunk::<8>(), s.request.get(8..16))
            else {
                return Vec::new();
            };
            s.left = Some(u64::from_be_bytes(*bytes) as usize);
            let number = number.iter().fold(0, |n, b| n << 8 | usize::from(*b));
            if let Some((_, p)) = self.transfers.get_mut(number) {
                p.seen_as = Some(s.from);
            }
        }
        let mut cmds = Vec::new();
        while let Some(left) = s.left.filter(|l| *l > 0 && s.credit > 0) {
            let n = left.min(CHUNK).min(s.credit);
            let bytes = (s.sent..s.sent + n).map(byte_at).collect();
            cmds.push(ClientCmd::Data { id, bytes });
            s.sent += n;
            s.credit -= n;
            s.left = Some(left - n);
        }
        if s.left == Some(0) && !s.done {
            s.done = true;
            cmds.push(ClientCmd::Finish { id });
        }
        cmds
    }
}
