//! What waits to be sent on one link: one queue for each class, bounded in bytes and in age.
//!
//! Higher classes go first, each class in order. When the bound is reached the oldest messages of
//! the lowest class make room; a message whose class is lower than all that wait is refused.
//! What waited longer than its class allows is dropped instead of sent: the far end has given up
//! on it, and a standing queue only delays what comes after it.

use super::ntcp2::block::I2NP_OVERHEAD;
use crate::limits;
use crate::router::output::Class;
use crate::time::Instant;
use crate::wire::i2np::Message;
use core::time::Duration;
use std::collections::VecDeque;

/// Bytes of memory that a waiting message counts for beyond its body.
const OVERHEAD: usize = 96;
const _: () = assert!(size_of::<(Instant, Message)>() <= OVERHEAD - 24);

/// How long a message of each class may wait.
const AGE_MAX: [Duration; CLASSES] = [
    Duration::from_millis(1500),
    Duration::from_millis(3000),
    Duration::from_millis(3000),
    Duration::from_millis(8000),
];

/// All of [`Class`], the lowest first.
const ALL: [Class; CLASSES] = [Class::Transit, Class::Answer, Class::Own, Class::Control];
const CLASSES: usize = 4;

/// Dropped messages by [`Class`].
pub type Drops = [u64; CLASSES];

/// The send queue of one link.
#[derive(Default)]
pub struct SendQueue {
    classes: [VecDeque<(Instant, Message)>; CLASSES],
    bytes: usize,
}

/// Bytes of memory that a waiting message counts for.
pub(super) const fn size(message: &Message) -> usize {
    message.body.len() + OVERHEAD
}

impl SendQueue {
    /// Bytes that wait.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Queues a message and makes room for it by the rule above.
    pub fn push(&mut self, now: Instant, class: Class, message: Message, drops: &mut Drops) {
        let class = class as usize;
        let n = size(&message);
        while self.bytes + n > limits::LINK_QUEUE_BYTES {
            let lowest = self.classes.iter().position(|q| !q.is_empty());
            let victim = match lowest {
                Some(lowest) if lowest <= class => self.take(lowest),
                _ => None,
            };
            match (victim, lowest) {
                (Some(_), Some(lowest)) => count(drops, lowest),
                _ => return count(drops, class),
            }
        }
        self.bytes += n;
        if let Some(q) = self.classes.get_mut(class) {
            q.push_back((now, message));
        }
    }

    /// The next message whose block takes at most `room` bytes of a frame; `None` also when the
    /// next one in order is larger.
    pub fn pop(&mut self, now: Instant, room: usize, drops: &mut Drops) -> Option<Message> {
        for class in (0..self.classes.len()).rev() {
            while let Some((at, message)) = self.classes.get(class).and_then(VecDeque::front) {
                let late = AGE_MAX.get(class).is_some_and(|max| now.since(*at) > *max);
                if late {
                    self.take(class);
                    count(drops, class);
                    continue;
                }
                if message.body.len() + I2NP_OVERHEAD > room {
                    return None;
                }
                return self.take(class);
            }
        }
        None
    }

    /// Empties the queue into the queue of another link, in order.
    pub fn move_to(&mut self, other: &mut Self, drops: &mut Drops) {
        for (class, q) in ALL.into_iter().zip(&mut self.classes) {
            for (at, message) in q.drain(..) {
                other.push(at, class, message, drops);
            }
        }
        self.bytes = 0;
    }

    fn take(&mut self, class: usize) -> Option<Message> {
        let (_, message) = self.classes.get_mut(class)?.pop_front()?;
        self.bytes -= size(&message);
        Some(message)
    }
}

fn count(drops: &mut Drops, class: usize) {
    if let Some(n) = drops.get_mut(class) {
        *n += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Date;
    use crate::wire::hash::MessageId;

    fn message(id: u32, n: usize) -> Message {
        Message {
            kind: 20,
            id: MessageId(id),
            expires: Date(0),
            body: vec![0; n],
        }
    }

    fn ids(q: &mut SendQueue, now: Instant, drops: &mut Drops) -> Vec<u32> {
        core::iter::from_fn(|| q.pop(now, usize::MAX, drops))
            .map(|m| m.id.0)
            .collect()
    }

    #[test]
    fn higher_classes_go_first_and_lower_ones_make_room() {
        let (mut q, mut drops) = (SendQueue::default(), Drops::default());
        let now = Instant(0);
        let big = limits::LINK_QUEUE_BYTES / 2 - OVERHEAD;
        q.push(now, Class::Transit, message(1, big), &mut drops);
        q.push(now, Class::Transit, message(2, big), &mut drops);
        q.push(now, Class::Own, message(3, 100), &mut drops);
        assert_eq!(drops, [1, 0, 0, 0]);
        q.push(now, Class::Control, message(4, big), &mut drops);
        assert_eq!(drops, [2, 0, 0, 0]);
        q.push(now, Class::Control, message(5, big), &mut drops);
        assert_eq!(drops, [2, 0, 1, 0]);
        q.push(now, Class::Own, message(6, 100), &mut drops);
        assert_eq!(drops, [2, 0, 2, 0]);
        assert_eq!(ids(&mut q, now, &mut drops), [4, 5]);
        assert_eq!(q.bytes(), 0);
    }

    #[test]
    fn old_messages_are_dropped_at_the_head() {
        let (mut q, mut drops) = (SendQueue::default(), Drops::default());
        q.push(Instant(0), Class::Transit, message(1, 10), &mut drops);
        q.push(Instant(0), Class::Control, message(2, 10), &mut drops);
        let later = Instant(0) + Duration::from_secs(2);
        q.push(later, Class::Transit, message(3, 10), &mut drops);
        assert_eq!(ids(&mut q, later, &mut drops), [2, 3]);
        assert_eq!(drops, [1, 0, 0, 0]);
    }

    #[test]
    fn a_message_that_does_not_fit_waits_for_the_next_frame() {
        let (mut q, mut drops) = (SendQueue::default(), Drops::default());
        q.push(Instant(0), Class::Own, message(1, 100), &mut drops);
        let room = 100 + I2NP_OVERHEAD;
        assert_eq!(q.pop(Instant(0), room - 1, &mut drops), None);
        assert!(q.pop(Instant(0), room, &mut drops).is_some());
        q.push(Instant(0), Class::Own, message(2, 0), &mut drops);
        assert_eq!(q.pop(Instant(0), 0, &mut drops), None);
    }
    #[test]
    fn messages_without_a_body_fill_the_queue_too() {
        for n in [0, 1] {
            let (mut q, mut drops) = (SendQueue::default(), Drops::default());
            for id in 0..10_000 {
                q.push(Instant(0), Class::Own, message(id, n), &mut drops);
                assert!(q.bytes() <= limits::LINK_QUEUE_BYTES);
            }
            let kept = ids(&mut q, Instant(0), &mut drops).len();
            assert_eq!(kept, limits::LINK_QUEUE_BYTES / (n + OVERHEAD));
        }
    }
}
