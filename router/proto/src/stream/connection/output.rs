//! What a stream has to send, and how its packets are put together.

use super::{Connection, End, Fin, Local};
use crate::crypto::sig::SigningKey;
use crate::rng::Rng;
use crate::stream::config::StreamConfig;
use crate::stream::packet::{CLOSE, NO_ACK, Packet, RESET, SYN};
use crate::stream::send::{Kind, Outgoing};
use crate::stream::{ResetWhy, Transmit};
use crate::time::{Instant, Now};
use core::time::Duration;

/// Which copy of which sequenced packet.
struct Copy {
    seq: u32,
    again: bool,
    silent: u32,
}

impl Connection {
    pub(crate) fn poll_transmit(
        &mut self,
        now: Now,
        rng: &mut Rng,
        local: &Local,
    ) -> Option<Transmit> {
        if self.reset_out {
            self.reset_out = false;
            return self.reset_packet(local);
        }
        if self.ack_out {
            self.ack_out = false;
            let p = self.packet(now.mono);
            return self.transmit(&p, None, None);
        }
        if self.end.is_some() {
            return None;
        }
        let out = self.next_sequenced(now.mono, rng, &local.config);
        if let Some(out) = out {
            return self.sequenced(now.mono, local, out);
        }
        let due = self.recv.deadline().is_some_and(|at| at <= now.mono);
        if due && self.can_ack() {
            let p = self.packet(now.mono);
            return self.transmit(&p, None, None);
        }
        None
    }

    fn next_sequenced(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        config: &StreamConfig,
    ) -> Option<Outgoing> {
        let mtu = usize::from(self.mtu);
        if !self.send.has_started() {
            if self.send.is_flushed() && self.fin == Fin::Open && now < self.hold_until {
                return None;
            }
            let out = self.send.fresh(now, Kind::Syn, mtu);
            if self.names.incoming {
                self.send.arm_answer(now);
            } else {
                self.send
                    .arm_syn(now, 0, rng.jitter(Duration::from_secs(1)));
            }
            return Some(out);
        }
        if !self.opened {
            // One packet until the answer: a second New Session right behind the first one
            // would be dropped.
            let out = self.send.next_lost(now)?;
            let jitter = rng.jitter(Duration::from_secs(1));
            self.send.arm_syn(now, out.silent, jitter);
            return Some(out);
        }
        if self.send.is_exhausted() {
            self.end = Some(End::Reset(ResetWhy::Protocol));
            return None;
        }
        if let Some(out) = self.send.next(now, mtu) {
            if !out.payload.is_empty() {
                self.moved = now;
            }
            return Some(out);
        }
        if self.wants_close() {
            return Some(self.send.fresh(now, Kind::Close, mtu));
        }
        let silent = now >= self.heard + config.keepalive
            && self.send.is_idle()
            && self.send.close_seq.is_none();
        if silent || self.send.wants_probe() {
            return Some(self.send.fresh(now, Kind::Data, mtu));
        }
        None
    }

    fn wants_close(&self) -> bool {
        let wanted = match self.fin {
            Fin::Open => false,
            Fin::Polite => self.recv.is_closed(),
            Fin::Now => true,
        };
        wanted && self.send.close_seq.is_none() && self.send.is_flushed()
    }

    /// A packet with everything but what it is for.
    pub(super) fn packet(&mut self, now: Instant) -> Packet {
        let (ack_through, nacks) = self.recv.acknowledge(now);
        Packet {
            send_id: self.names.remote,
            recv_id: self.names.local,
            ack_through,
            nacks,
            resend_delay: u8::try_from(self.send.rtt.timeout().as_secs()).unwrap_or(u8::MAX),
            ..Packet::default()
        }
    }

    fn sequenced(&mut self, now: Instant, local: &Local, out: Outgoing) -> Option<Transmit> {
        let mut p = self.packet(now);
        let mut copy = Copy {
            seq: out.seq,
            again: out.again,
            silent: out.silent,
        };
        if self.has_left() {
            copy.silent = 0;
        }
        p.seq = out.seq;
        p.payload = out.payload;
        if out.ask {
            p.delay = Some(0);
        }
        let mut key = None;
        match out.kind {
            Kind::Syn => {
                p.flags |= SYN;
                // A delay would move the options of a SYN for no use.
                p.delay = None;
                p.from = Some(local.destination.clone());
                p.max_size = Some(local.config.mtu);
                if !self.names.incoming {
                    p.flags |= NO_ACK;
                    p.set_replay_hash(&self.names.peer);
                }
                key = Some(&local.key);
            }
            Kind::Close => {
                p.flags |= CLOSE;
                key = Some(&local.key);
            }
            Kind::Data => {}
        }
        self.transmit(&p, key, Some(copy))
    }

    fn reset_packet(&mut self, local: &Local) -> Option<Transmit> {
        let p = Packet {
            send_id: self.names.remote,
            recv_id: self.names.local,
            flags: RESET | NO_ACK,
            ..Packet::default()
        };
        self.transmit(&p, Some(&local.key), None)
    }

    fn transmit(
        &self,
        p: &Packet,
        key: Option<&SigningKey>,
        copy: Option<Copy>,
    ) -> Option<Transmit> {
        Some(Transmit {
            to: self.names.peer,
            from_port: self.names.from_port,
            to_port: self.names.to_port,
            payload: p.write(key).ok()?,
            syn: p.has(SYN),
            seq: copy.as_ref().map(|c| c.seq),
            again: copy.as_ref().is_some_and(|c| c.again),
            resend: copy.map_or(0, |c| c.silent),
            id: self.names.id,
        })
    }
}
