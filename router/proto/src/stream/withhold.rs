//! Flow control: packets whose bytes nobody reads are acknowledged late.
//!
//! A choke (i2p docs/api/streaming) is understood but never said. A choked i2pd 2.55 to 2.57 sends
//! only when an acknowledgement covers something new, and then only if its send timer has run
//! since its last packet (libi2pd/Streaming.cpp, `ResendPacket`, changed in 2.58): a choke that
//! reaches it at a bad moment stops it for good. Every sender stops by itself when its window is
//! full of packets that are not acknowledged, and goes on when they are.

use crate::time::Instant;
use core::time::Duration;
use std::collections::VecDeque;

/// While nobody reads at all, one packet is acknowledged this often: i2pd gives a stream up after
/// ten resends, 9 s apart.
const NUDGE: Duration = Duration::from_secs(20);

/// Packets are told apart when they have this many bytes; smaller ones are released together, so
/// that the receive buffer bounds how many there are to keep.
const APART: u64 = 1024;

/// The packets in order that are not to be acknowledged yet.
pub(super) struct Withhold {
    /// Bytes that may be unread before acknowledgements wait.
    free: usize,
    /// First sequence number of some packets, and how many bytes have come up to their last one.
    packets: VecDeque<(u32, u64)>,
    /// How many bytes have come before the last entry.
    last_start: u64,
    /// Bytes that have come in order.
    taken: u64,
    nudge_at: Option<Instant>,
}

impl Withhold {
    pub(super) const fn new(free: usize) -> Self {
        Self {
            free,
            packets: VecDeque::new(),
            last_start: 0,
            taken: 0,
            nudge_at: None,
        }
    }

    /// From now on `free` bytes may be unread before acknowledgements wait.
    pub(super) const fn set_free(&mut self, free: usize) {
        self.free = free;
    }

    /// Packet `seq` with `bytes` is the next in order.
    pub(super) fn take(&mut self, seq: u32, bytes: usize) {
        let start = self.taken;
        self.taken += bytes as u64;
        match self.packets.back_mut() {
            Some((_, end)) if self.taken - self.last_start <= APART => *end = self.taken,
            _ => {
                self.last_start = start;
                self.packets.push_back((seq, self.taken));
            }
        }
    }

    /// Lets go what may be acknowledged when `unread` bytes are. Returns the number of entries.
    pub(super) fn update(&mut self, now: Instant, unread: usize) -> usize {
        let read = self.taken.saturating_sub(unread as u64);
        let limit = read + self.free as u64;
        let n = self
            .packets
            .iter()
            .take_while(|(_, at)| *at <= limit)
            .count();
        self.release(now, n);
        n
    }

    /// The peer will send nothing more: there is nothing to hold back.
    pub(super) fn release_all(&mut self) {
        self.packets = VecDeque::new();
        self.nudge_at = None;
    }

    fn release(&mut self, now: Instant, n: usize) {
        self.packets.drain(..n);
        if self.packets.is_empty() {
            self.nudge_at = None;
        } else if n > 0 || self.nudge_at.is_none() {
            self.nudge_at = Some(now + NUDGE);
        }
    }

    /// The first packet that is not to be acknowledged.
    pub(super) fn first(&mut self, now: Instant) -> Option<u32> {
        if self.nudge_at.is_some_and(|at| now >= at) {
            self.release(now, 1);
        }
        self.packets.front().map(|(seq, _)| *seq)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// When an acknowledgement is due that nothing else asks for.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.nudge_at
    }
}
