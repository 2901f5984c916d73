//! Packets that come again although they were acknowledged: our acknowledgements do not arrive.

use crate::time::Instant;
use core::time::Duration;

/// Repeats of one packet that say so: the first one may have crossed its acknowledgement, or that
/// one alone was lost.
const OFTEN: u32 = 2;
/// What a repeat may be late after a round trip.
const SLACK: Duration = Duration::from_millis(50);
/// A packet that did not come again for so long has been acknowledged.
const OVER: Duration = Duration::from_secs(30);

/// The repeats since something new came.
#[derive(Default)]
pub(super) struct Repeats {
    first: Option<Repeat>,
}

struct Repeat {
    seq: u32,
    at: Instant,
    times: u32,
}

impl Repeats {
    /// Packet `seq` came again, and what we last said about it left at `answered`. Whether what we
    /// say seems not to arrive.
    pub(super) fn again(
        &mut self,
        now: Instant,
        seq: u32,
        answered: Instant,
        rtt: Duration,
    ) -> bool {
        match &mut self.first {
            Some(r) if r.seq == seq => {
                // Copies that come together are one repeat.
                if answered <= r.at || now.since(r.at) < rtt + SLACK {
                    return false;
                }
                r.at = now;
                r.times = r.times.saturating_add(1);
                r.times >= OFTEN
            }
            Some(r) if r.seq < seq && now.since(r.at) < OVER => false,
            _ => {
                let (at, times) = (now, 1);
                self.first = Some(Repeat { seq, at, times });
                false
            }
        }
    }

    /// Something new came, or something of ours arrived.
    pub(super) fn clear(&mut self) {
        self.first = None;
    }
}
