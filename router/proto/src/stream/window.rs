//! How many packets may be on their way: congestion control counted in packets.
//!
//! Loss in I2P is mostly not a full queue of the path's own: hops drop at their bandwidth limit
//! and tunnels die. A window that halves at every loss starves on such a path, so the decision is
//! made once a round trip from two signs together: the share of packets lost, and whether the
//! round-trip time has grown. Loss without delay takes off as much as was lost; loss with delay
//! is congestion and takes 30 %.

use core::time::Duration;

/// One packet in the units of the window.
const PACKET: u64 = 1024;
/// Least window in packets.
const MIN: u64 = 2;
/// Window after a retransmission timeout.
const AFTER_TIMEOUT: u64 = 4;
/// Delay below this above the minimum is jitter, not a queue.
const JITTER: Duration = Duration::from_millis(15);

/// Samples of a round that show whether a queue grows.
const ENOUGH: u32 = 4;

/// State of the path as the last round saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queue {
    /// Round trips near the minimum.
    Empty,
    /// More than a quarter above it.
    Growing,
    /// More than twice the minimum.
    Long,
}

/// The window of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    size: u64,
    max: u64,
    threshold: u64,
    queue: Queue,
    /// The round ends when this sequence number is acknowledged.
    round_end: u32,
    round_acked: u64,
    round_lost: u64,
    round_rtt: Option<Duration>,
    round_samples: u32,
    /// Rounds for which it still counts that the window held something back.
    limited: u8,
}

impl Window {
    /// A window of `start` packets that never grows beyond `max`.
    pub(crate) fn new(start: u32, max: u32) -> Self {
        let max = u64::from(max).max(MIN) * PACKET;
        Self {
            size: (u64::from(start).max(MIN) * PACKET).min(max),
            max,
            threshold: u64::MAX,
            queue: Queue::Empty,
            round_end: 0,
            round_acked: 0,
            round_lost: 0,
            round_rtt: None,
            round_samples: 0,
            limited: 0,
        }
    }

    /// The window in packets.
    pub(crate) fn packets(&self) -> usize {
        usize::try_from(self.size / PACKET).unwrap_or(usize::MAX)
    }

    /// Whether the window still doubles each round trip.
    pub(crate) const fn is_starting(&self) -> bool {
        self.size < self.threshold
    }

    /// The window was the reason not to send.
    pub(crate) const fn held_back(&mut self) {
        self.limited = 2;
    }

    /// `n` packets were acknowledged, `top` the highest of them; `next` is the next new sequence
    /// number, `min_rtt` the least round-trip time known.
    pub(crate) fn on_ack(
        &mut self,
        n: usize,
        top: u32,
        next: u32,
        rtt: Option<Duration>,
        min_rtt: Option<Duration>,
    ) {
        let n = n as u64;
        self.round_acked += n;
        if let Some(rtt) = rtt {
            let least = self.round_rtt.map_or(rtt, |r| r.min(rtt));
            self.round_rtt = Some(least);
            self.round_samples += 1;
            if self.round_samples >= ENOUGH && queue(least, min_rtt) != Queue::Empty {
                // Doubling once more would only fill the queue.
                self.threshold = self.threshold.min(self.size);
            }
        }
        if self.limited > 0 {
            let grown = if self.is_starting() {
                n * PACKET
            } else {
                let one_a_round = n * PACKET * PACKET / self.size.max(1);
                match self.queue {
                    Queue::Empty => one_a_round + n * PACKET / 16,
                    Queue::Growing => one_a_round,
                    Queue::Long => 0,
                }
            };
            self.size = (self.size + grown).min(self.max);
        }
        if top >= self.round_end {
            self.end_round(min_rtt);
            self.round_end = next;
        }
    }

    /// `n` packets were found missing.
    pub(crate) fn on_lost(&mut self, n: usize) {
        self.round_lost += n as u64;
        // No more doubling; how much to give back is decided when the round is over.
        self.threshold = self.threshold.min(self.size);
    }

    /// Nothing was acknowledged for a whole timeout.
    pub(crate) fn on_timeout(&mut self) {
        // The second timeout in a row says nothing new about where to stop doubling.
        if self.size > AFTER_TIMEOUT * PACKET {
            self.threshold = (self.size * 7 / 10).max(AFTER_TIMEOUT * PACKET);
            self.size = AFTER_TIMEOUT * PACKET;
        }
        self.reset_round();
    }

    /// The far side could not take what was sent.
    pub(crate) fn on_choke(&mut self) {
        self.size = (self.size / 2).max(MIN * PACKET);
        self.threshold = self.size;
    }

    fn end_round(&mut self, min_rtt: Option<Duration>) {
        if let Some(rtt) = self.round_rtt {
            self.queue = queue(rtt, min_rtt);
        }
        if self.round_lost > 0 {
            let sent = (self.round_acked + self.round_lost).max(1);
            let kept = match self.queue {
                Queue::Empty => PACKET - (PACKET * self.round_lost / sent).min(PACKET / 2),
                Queue::Growing | Queue::Long => PACKET * 7 / 10,
            };
            self.size = (self.size * kept / PACKET).max(MIN * PACKET);
            self.threshold = self.size;
        }
        self.reset_round();
    }

    const fn reset_round(&mut self) {
        self.round_acked = 0;
        self.round_lost = 0;
        self.round_rtt = None;
        self.round_samples = 0;
        self.limited = self.limited.saturating_sub(1);
    }
}

/// What a round-trip time says about the queue on the path.
fn queue(rtt: Duration, min: Option<Duration>) -> Queue {
    let min = min.unwrap_or(rtt);
    if rtt > min * 2 + JITTER {
        Queue::Long
    } else if rtt > min * 5 / 4 + JITTER {
        Queue::Growing
    } else {
        Queue::Empty
    }
}
