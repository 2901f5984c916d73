//! Whose turn it is.

use super::StreamId;
use std::collections::{BTreeSet, VecDeque};

/// Streams whose turn it is, each once.
#[derive(Default)]
pub(super) struct Turn {
    queue: VecDeque<StreamId>,
    queued: BTreeSet<StreamId>,
}

impl Turn {
    pub(super) fn push(&mut self, id: StreamId) {
        if self.queued.insert(id) {
            self.queue.push_back(id);
        }
    }

    pub(super) fn pop(&mut self) -> Option<StreamId> {
        let id = self.queue.pop_front()?;
        self.queued.remove(&id);
        Some(id)
    }
}
