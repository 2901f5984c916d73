//! Messages for routers without a link, for the few seconds until there is one.

use super::queue::{Drops, SendQueue, size};
use crate::limits;
use crate::router::output::Class;
use crate::time::Instant;
use crate::wire::hash::RouterHash;
use crate::wire::i2np::Message;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

/// How long messages wait for somebody to dial.
const WAIT: Duration = Duration::from_secs(5);
/// How long in all when a dial is under way.
const WAIT_DIAL: Duration = Duration::from_secs(10);
/// After a dial failed, messages alone cause no other one for this time.
const PAUSE: Duration = Duration::from_secs(5);

struct Target {
    since: Instant,
    dialling: bool,
    messages: VecDeque<(Class, Message)>,
    bytes: usize,
}

impl Target {
    fn until(&self) -> Instant {
        self.since + if self.dialling { WAIT_DIAL } else { WAIT }
    }

    fn drop_all(&self, drops: &mut Drops) {
        for (class, _) in &self.messages {
            drops[*class as usize] += 1;
        }
    }
}

/// All of them, by router.
#[derive(Default)]
pub struct Waiting {
    targets: BTreeMap<RouterHash, Target>,
    failed: BTreeMap<RouterHash, Instant>,
}

impl Waiting {
    /// Keeps a message. `true` when the router was not waited for before.
    ///
    /// The oldest messages for a router make room for newer ones; a new router above
    /// [`limits::LINK_WAIT_TARGETS`] is refused with its message.
    pub fn push(
        &mut self,
        now: Instant,
        to: RouterHash,
        class: Class,
        message: Message,
        drops: &mut Drops,
    ) -> bool {
        let n = size(&message);
        let full = self.targets.len() >= limits::LINK_WAIT_TARGETS;
        let known = self.targets.contains_key(&to);
        if n > limits::LINK_WAIT_BYTES || (full && !known) {
            drops[class as usize] += 1;
            return false;
        }
        let target = self.targets.entry(to).or_insert_with(|| Target {
            since: now,
            dialling: false,
            messages: VecDeque::new(),
            bytes: 0,
        });
        while target.bytes + n > limits::LINK_WAIT_BYTES {
            let Some((class, old)) = target.messages.pop_front() else {
                break;
            };
            target.bytes -= size(&old);
            drops[class as usize] += 1;
        }
        target.bytes += n;
        target.messages.push_back((class, message));
        !known
    }

    /// A dial failed. Above [`limits::LINK_WAIT_TARGETS`] it is not remembered.
    pub fn failed(&mut self, now: Instant, to: RouterHash) {
        self.failed.retain(|_, at| now.since(*at) < PAUSE);
        if self.failed.len() < limits::LINK_WAIT_TARGETS {
            self.failed.insert(to, now);
        }
    }

    /// Whether a dial has failed so lately that a message is no reason for another one.
    #[must_use]
    pub fn is_paused(&self, now: Instant, to: &RouterHash) -> bool {
        self.failed.get(to).is_some_and(|at| now.since(*at) < PAUSE)
    }

    /// A dial to the router is under way: its messages wait longer.
    pub fn dialling(&mut self, to: &RouterHash) {
        if let Some(t) = self.targets.get_mut(to) {
            t.dialling = true;
        }
    }

    /// There is a link: moves the messages to its queue, in order.
    pub fn release(
        &mut self,
        now: Instant,
        to: &RouterHash,
        queue: &mut SendQueue,
        drops: &mut Drops,
    ) {
        for (class, message) in self.targets.remove(to).into_iter().flat_map(|t| t.messages) {
            queue.push(now, class, message, drops);
        }
    }

    /// There will be no link: drops the messages.
    pub fn forget(&mut self, to: &RouterHash, drops: &mut Drops) {
        if let Some(t) = self.targets.remove(to) {
            t.drop_all(drops);
        }
    }

    /// When the first of them gives up.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.targets.values().map(Target::until).min()
    }

    /// Drops what waited too long.
    pub fn expire(&mut self, now: Instant, drops: &mut Drops) {
        self.targets.retain(|_, t| {
            let keep = now < t.until();
            if !keep {
                t.drop_all(drops);
            }
            keep
        });
    }
}
