//! One byte budget over the receive buffers of all streams of the router, shared fairly.
//!
//! A destination may hold as much as it leaves to the others, and a stream a sixteenth of what its
//! destination may still take: who does not read finds its acknowledgements held back sooner and
//! sooner, the others do not. What was sent before that is still taken.

use super::{StreamId, Streams};
use crate::limits::STREAM_RECEIVE_LEAST;
use crate::time::Now;

/// The part of a destination's room that one stream may fill before acknowledgements wait.
const PART: usize = 16;

/// What the streams of one destination hold and may hold.
pub(super) struct Share {
    /// Bytes held for the applications, counted stream by stream.
    pub held: usize,
    /// Incoming streams among them.
    pub incoming: usize,
    /// Bytes that a stream may hold before acknowledgements wait, and whether the budget is used
    /// up.
    pub level: (usize, bool),
}

impl Default for Share {
    fn default() -> Self {
        Self {
            held: 0,
            incoming: 0,
            level: (usize::MAX, false),
        }
    }
}

impl Streams {
    /// Bytes that its streams hold for their applications.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.share.held
    }

    /// All streams of the router together may hold `room` bytes more.
    pub fn set_room(&mut self, now: Now, room: usize) {
        let mine = room.saturating_sub(self.share.held);
        // In steps of two, so that the streams are seldom told.
        let free = (mine / PART).max(STREAM_RECEIVE_LEAST / 2);
        let level = (1 << free.ilog2(), room == 0);
        if level == self.share.level {
            return;
        }
        self.share.level = level;
        let ids: Vec<StreamId> = self.streams.keys().copied().collect();
        for id in ids {
            if let Some(s) = self.streams.get_mut(&id) {
                s.set_share(now.mono, level);
            }
            self.touch(id);
        }
    }

    /// Counts what a stream holds now.
    pub(super) fn count(&mut self, id: StreamId) {
        if let Some(s) = self.streams.get_mut(&id) {
            let held = s.held();
            self.share.held = self.share.held - s.counted + held;
            s.counted = held;
        }
    }
}
