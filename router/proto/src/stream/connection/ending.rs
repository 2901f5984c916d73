//! How a stream ends, and what silence says about the path.
//!
//! i2pd deletes a stream with the acknowledgement of its CLOSE, or with the CLOSE that it gets,
//! and drops without a word what comes for it later (libi2pd/Streaming.cpp, `ProcessAck` and
//! `ProcessPacket`); Java forgets it a little later. Repeats of what such a peer does not answer
//! say nothing about the path.

use super::{Connection, End, Fin};
use crate::stream::ResetWhy;
use crate::stream::config::StreamConfig;
use crate::stream::send::Fired;
use crate::time::Instant;
use core::time::Duration;

/// Timeouts without a sign of life after the peer's CLOSE.
const RESENDS_AFTER_CLOSE: u32 = 2;
/// The same of our CLOSE alone, when the peer's has not come.
const RESENDS_OF_CLOSE: u32 = 3;
/// How long [`Fin::Now`] waits for the peer's CLOSE after its own was acknowledged.
const LINGER: Duration = Duration::from_secs(10);

/// What a timer says about the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    Nothing,
    /// Another path is worth a try.
    Unanswered,
    /// The path may be dead.
    Stalled,
}

impl Connection {
    /// Whether the peer may have forgotten the stream: it has said CLOSE and acknowledged nothing
    /// that was sent since.
    pub(super) fn has_left(&self) -> bool {
        self.closed_at
            .is_some_and(|closed| self.send.newest_arrived().is_none_or(|at| at < closed))
    }

    /// Ends the stream when both directions are done.
    pub(super) fn check_end(&mut self, now: Instant) {
        if self.end.is_some() || self.send.close_seq.is_none() {
            return;
        }
        let acked = self.send.close_acked();
        if self.recv.is_closed() {
            if acked && self.send.is_idle() {
                self.end = Some(End::Closed);
                self.ack_out = self.recv.deadline().is_some();
            } else if self.send.resends() > RESENDS_AFTER_CLOSE {
                self.give_up();
            }
        } else if acked && now >= self.linger_until() {
            self.end = Some(End::Closed);
        }
    }

    /// Until when a stream whose CLOSE was acknowledged waits for the peer's.
    pub(super) fn linger_until(&self) -> Instant {
        // After `close` nobody reads, after `finish` on our server's side the peer may go on.
        let idle = if self.names.incoming {
            Duration::from_secs(60)
        } else {
            LINGER
        };
        self.moved + idle
    }

    /// When an open stream has had no answer for too long.
    pub(super) fn gives_up_at(&self, config: &StreamConfig) -> Option<Instant> {
        let since = self.send.waits_since().filter(|_| self.opened)?;
        Some(since + config.stall_max)
    }

    /// Until when the answer to our SYN is waited for. Who sends what comes after it has answered,
    /// only that was lost.
    pub(super) fn unopened_until(&self, config: &StreamConfig) -> Instant {
        let silent = self.heard + config.connect_timeout;
        silent.min(self.started + config.stall_max)
    }

    fn give_up(&mut self) {
        let said_all = self.send.close_seq.is_some() && !self.send.owes_bytes();
        self.end = Some(if said_all {
            End::Closed
        } else if self.recv.is_closed() {
            End::Reset(ResetWhy::Peer)
        } else {
            End::Reset(ResetWhy::Timeout)
        });
    }

    /// Runs what is due. `alive` is when the peer last acknowledged anything, on any stream: what
    /// was sent before that says nothing about the path.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        config: &StreamConfig,
        alive: Option<Instant>,
    ) -> Silence {
        if self.end.is_some() {
            return Silence::Nothing;
        }
        if !self.opened && now >= self.unopened_until(config) {
            self.end = Some(End::Reset(ResetWhy::NoAnswer));
            return Silence::Nothing;
        }
        let only_close = self.send.close_seq.is_some() && !self.send.owes_bytes();
        let limit = if !self.opened {
            u32::MAX
        } else if self.recv.is_closed() {
            RESENDS_AFTER_CLOSE
        } else if only_close {
            RESENDS_OF_CLOSE
        } else {
            config.resends_max
        };
        let since = self.send.oldest_at();
        let fired = self.send.on_timer(now, limit);
        let stood = self.gives_up_at(config).is_some_and(|at| now >= at);
        if fired == Fired::GaveUp || stood {
            self.give_up();
        }
        if self.ends_when_idle() && self.send.is_idle() && now >= self.moved + config.close_idle {
            self.fin = Fin::Now;
        }
        self.check_end(now);
        let proven = since.is_some_and(|sent| alive.is_some_and(|at| at >= sent));
        if fired == Fired::Nothing || self.has_left() || proven {
            Silence::Nothing
        } else if self.opened && self.send.owes_bytes() {
            self.stalled = true;
            Silence::Stalled
        } else {
            Silence::Unanswered
        }
    }

    /// Whether everything about the end has been said to both sides.
    pub(crate) const fn is_over(&self) -> bool {
        self.told_end && !self.reset_out && !self.ack_out
    }

    /// Whether a peer that still sends has to hear that the stream is gone: it ended otherwise
    /// than in order, or our CLOSE may never have arrived.
    pub(crate) fn was_reset(&self) -> bool {
        match self.end {
            Some(End::Reset(_)) => true,
            Some(End::Closed) => !self.recv.is_closed() && !self.send.close_acked(),
            None => false,
        }
    }
}
