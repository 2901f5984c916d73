//! Packets of no stream: pings, and what is left of streams that are over or were never known.

use super::listener::Bucket;
use super::packet::{ECHO, Head, NO_ACK, Packet, PeerKey, RESET};
use super::{StreamId, Streams, Transmit};
use crate::crypto::sig::SigningKey;
use crate::limits::STREAM_ANSWERS_MAX;
use crate::time::{Instant, Now};
use crate::wire::hash::DestHash;
use std::collections::VecDeque;

/// Answers a second to all strays and pings together.
const RATE: u32 = 20;
/// Bytes of a ping that come back (i2p docs/api/streaming, Ping / Pong).
const PONG_MAX: usize = 32;

/// Answers that wait to be sent.
pub(crate) struct Strays {
    queue: VecDeque<Transmit>,
    bucket: Bucket,
}

impl Default for Strays {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            bucket: Bucket::full(Instant(0)),
        }
    }
}

impl Strays {
    pub(crate) fn pop(&mut self) -> Option<Transmit> {
        self.queue.pop_front()
    }

    fn allows(&mut self, now: Instant) -> bool {
        self.queue.len() < STREAM_ANSWERS_MAX && self.bucket.take(now, RATE)
    }

    fn push(&mut self, to: DestHash, ports: (u16, u16), p: &Packet, key: Option<&SigningKey>) {
        if let Ok(payload) = p.write(key) {
            self.queue.push_back(Transmit {
                to,
                from_port: ports.0,
                to_port: ports.1,
                payload,
                syn: false,
                seq: None,
                again: false,
                resend: 0,
                id: StreamId(0),
            });
        }
    }
}

impl Streams {
    /// Whose stream of ours a packet is of, as far as its numbers tell.
    pub(crate) fn whose(&self, payload: &[u8]) -> Option<DestHash> {
        let head = Packet::peek(payload).ok()?;
        let id = self.by_local.get(&head.send_id)?;
        self.streams.get(id).map(|s| s.names.peer)
    }

    /// A ping is answered, when it is signed by its sender and not too frequent.
    pub(super) fn handle_echo(
        &mut self,
        now: Now,
        from: DestHash,
        ports: (u16, u16),
        payload: &[u8],
    ) {
        let Ok(p) = Packet::parse(payload) else {
            self.stats.bad += 1;
            return;
        };
        // A pong: nothing here asks for one.
        if p.send_id == 0 || !self.strays.allows(now.mono) {
            self.stats.strays += 1;
            return;
        }
        let sender = p.from.as_ref().filter(|d| d.hash() == from);
        let key = sender.and_then(|d| PeerKey::new(d, p.offline.as_ref(), now.wall));
        if !key.is_some_and(|k| p.verify(payload, &k)) {
            self.stats.bad_signatures += 1;
            return;
        }
        let pong = Packet {
            recv_id: p.send_id,
            flags: ECHO | NO_ACK,
            payload: p.payload.get(..PONG_MAX).unwrap_or(&p.payload).to_vec(),
            ..Packet::default()
        };
        self.strays.push(from, ports, &pong, None);
    }

    /// A packet to an id of ours that no stream has: an ended stream acknowledges once more,
    /// else the peer learns that there is nothing here.
    pub(super) fn handle_stray(
        &mut self,
        now: Now,
        from: DestHash,
        ports: (u16, u16),
        head: &Head,
    ) {
        self.stats.strays += 1;
        if head.flags & RESET != 0 || head.recv_id == 0 {
            return;
        }
        let reset = match self.ended.get(head.send_id) {
            Some(e) if e.peer != from => return,
            Some(e) if e.reset => true,
            Some(_) if head.is_plain_ack() => return,
            Some(_) => false,
            None => true,
        };
        if !self.strays.allows(now.mono) {
            return;
        }
        if reset {
            let p = Packet {
                send_id: head.recv_id,
                recv_id: head.send_id,
                flags: RESET | NO_ACK,
                ..Packet::default()
            };
            self.strays.push(from, ports, &p, Some(&self.local.key));
        } else if let Some(e) = self.ended.get(head.send_id) {
            self.strays.push(from, ports, &e.words, None);
        }
    }
}
