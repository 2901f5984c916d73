//! Packets that come in: whose stream they are of, and what becomes of those of none.

use super::connection::{Connection, Heard, Names};
use super::packet::{ECHO, Packet, SYN};
use super::{Path, StreamId, Streams};
use crate::limits::{STREAMS_MAX, STREAMS_PER_PEER_MAX};
use crate::rng::Rng;
use crate::time::Now;
use crate::wire::hash::DestHash;

impl Streams {
    /// Takes a packet in. `from` is who the session says it is from; the ports are those of the
    /// envelope. Bad packets are counted.
    pub fn handle_packet(
        &mut self,
        now: Now,
        rng: &mut Rng,
        from: DestHash,
        from_port: u16,
        to_port: u16,
        payload: &[u8],
    ) {
        self.stats.received += 1;
        let Ok(head) = Packet::peek(payload) else {
            self.stats.bad += 1;
            return;
        };
        let ports = (to_port, from_port);
        if head.flags & ECHO != 0 {
            return self.handle_echo(now, from, ports, payload);
        }
        let recv_id = head.recv_id;
        let known = if head.send_id == 0 {
            self.by_remote.get(&(from, recv_id))
        } else {
            self.by_local.get(&head.send_id)
        };
        if let Some(id) = known.copied() {
            return self.handle_known(now, id, from, payload);
        }
        if head.send_id != 0 {
            return self.handle_stray(now, from, ports, &head);
        }
        if recv_id == 0 || self.ended.has_remote(from, recv_id) {
            self.stats.strays += 1;
        } else if head.flags & SYN != 0 {
            self.handle_syn(now, rng, from, ports, payload);
        } else if !self.listens(ports.0) || !self.early.keep(now.mono, from, recv_id, payload) {
            self.stats.strays += 1;
        }
    }

    fn handle_known(&mut self, now: Now, id: StreamId, from: DestHash, payload: &[u8]) {
        let Some(s) = self.streams.get_mut(&id) else {
            return;
        };
        if s.names.peer != from {
            self.stats.bad_signatures += 1;
            return;
        }
        let Ok(p) = Packet::parse(payload) else {
            self.stats.bad += 1;
            return;
        };
        let unnamed = s.names.remote == 0;
        match s.handle(now, &self.local, p, payload) {
            Heard::Nothing => {}
            heard @ (Heard::Progress | Heard::Answer) => {
                if heard == Heard::Progress {
                    self.paths.insert(from, Path::Works);
                }
                if let Some(peer) = self.peers.get_mut(&from) {
                    peer.alive = Some(now.mono);
                }
            }
            Heard::Duplicate => self.stats.duplicates += 1,
            Heard::Again => {
                self.stats.duplicates += 1;
                let peer = self.peers.get_mut(&from);
                if peer.is_some_and(|p| p.doubt(now.mono)) {
                    self.paths.entry(from).or_insert(Path::Unanswered);
                }
            }
            Heard::Dropped => self.stats.overflows += 1,
            Heard::Late => self.stats.strays += 1,
            Heard::Bad => self.stats.bad += 1,
            Heard::BadSignature => self.stats.bad_signatures += 1,
        }
        if unnamed && s.names.remote != 0 {
            self.by_remote.insert((from, s.names.remote), id);
        }
        self.touch(id);
    }

    fn handle_syn(
        &mut self,
        now: Now,
        rng: &mut Rng,
        from: DestHash,
        ports: (u16, u16),
        payload: &[u8],
    ) {
        let c = &self.local.config;
        let open = self.listens(ports.0);
        let incoming = self.share.incoming >= c.streams_max.min(STREAMS_MAX) / 4 * 3;
        let of_peer = self.peers.get(&from).map_or(0, |p| p.incoming);
        if !open
            || self.is_full()
            || incoming
            || of_peer >= c.per_peer_max.min(STREAMS_PER_PEER_MAX)
            || !self.gate.pass(now.mono, from, c.syn_rate_peer, c.syn_rate)
        {
            self.stats.refused += 1;
            return;
        }
        let Ok(p) = Packet::parse(payload) else {
            self.stats.bad += 1;
            return;
        };
        if !p.is_for(&self.local.hash) {
            self.stats.bad_signatures += 1;
            return;
        }
        let recv_id = p.recv_id;
        let names = Names {
            id: StreamId(self.next_id),
            peer: from,
            from_port: ports.0,
            to_port: ports.1,
            local: self.free_id(rng),
            remote: recv_id,
            incoming: true,
        };
        let memory = self.remember(now.mono, &from);
        let mut stream = Connection::new(now.mono, &self.local, names, memory);
        stream.set_share(now.mono, self.share.level);
        match stream.handle(now, &self.local, p, payload) {
            Heard::Bad | Heard::Dropped => self.stats.bad += 1,
            Heard::BadSignature => self.stats.bad_signatures += 1,
            Heard::Nothing
            | Heard::Progress
            | Heard::Answer
            | Heard::Duplicate
            | Heard::Again
            | Heard::Late => {
                self.insert(stream);
                for e in self.early.take(from, recv_id) {
                    self.handle_known(now, names.id, from, &e.payload);
                }
                self.touch(names.id);
            }
        }
    }
}
