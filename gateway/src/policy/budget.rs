//! Counts what is in use, in all and by client, so that nobody's use leaves nothing to others.

use crate::vip::ClientId;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// A unit that nothing was done with for this long may be taken from whoever holds most, for
/// somebody who has none when nothing is left.
pub const IDLE: Duration = Duration::from_secs(60);

/// Whether somebody who holds `own` of `max` may take one more, when all together hold `held`:
/// only while he holds less than half of what is left. Each greedy one leaves two thirds of what
/// he finds to those who come after him.
#[must_use]
pub const fn is_fair(own: usize, held: usize, max: usize) -> bool {
    2 * own < max.saturating_sub(held)
}

/// Why there is no unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// This client has its share.
    Share,
    /// Nothing is left, and nothing lies idle.
    Full,
}

/// Counts what is in use.
pub struct Budget {
    total_max: usize,
    client_max: usize,
    held: RefCell<BTreeMap<u64, Rc<Use>>>,
    next: Cell<u64>,
}

struct Use {
    client: ClientId,
    last: Cell<Instant>,
    taken: Notify,
}

/// One unit of a [`Budget`]; returned when dropped.
pub struct Permit {
    budget: Rc<Budget>,
    number: u64,
    held: Rc<Use>,
}

impl Budget {
    /// Bounds in all and for one client.
    #[must_use]
    pub fn new(total_max: usize, client_max: usize) -> Rc<Self> {
        Rc::new(Self {
            total_max,
            client_max,
            held: RefCell::default(),
            next: Cell::new(0),
        })
    }

    /// What a client holds.
    #[must_use]
    pub fn held(&self, client: ClientId) -> usize {
        let all = self.held.borrow();
        all.values().filter(|u| u.client == client).count()
    }

    /// One more for this client.
    ///
    /// # Errors
    /// A bound is reached, or others need what is left.
    pub fn take(self: &Rc<Self>, client: ClientId, now: Instant) -> Result<Permit, Refused> {
        let mut all = self.held.borrow_mut();
        let own = all.values().filter(|u| u.client == client).count();
        if own >= self.client_max {
            return Err(Refused::Share);
        }
        if !is_fair(own, all.len(), self.total_max) {
            if own > 0 {
                return Err(Refused::Share);
            }
            let victim = most_idle(&all, now).ok_or(Refused::Full)?;
            if let Some(victim) = all.remove(&victim) {
                victim.taken.notify_one();
            }
        }
        let number = self.next.get();
        self.next.set(number + 1);
        let held = Rc::new(Use {
            client,
            last: Cell::new(now),
            taken: Notify::new(),
        });
        all.insert(number, Rc::clone(&held));
        Ok(Permit {
            budget: Rc::clone(self),
            number,
            held,
        })
    }
}

impl Budget {
    /// One more for this client; one that has its share gives up the one that it has used least
    /// lately.
    ///
    /// # Errors
    /// Nothing is left for a client that has none.
    pub fn take_over(self: &Rc<Self>, client: ClientId, now: Instant) -> Result<Permit, Refused> {
        match self.take(client, now) {
            Err(Refused::Share) => {}
            taken => return taken,
        }
        let mut all = self.held.borrow_mut();
        let own = all.iter().filter(|(_, u)| u.client == client);
        let oldest = own.min_by_key(|(number, u)| (u.last.get(), **number));
        let oldest = oldest.map(|(number, _)| *number);
        if let Some(held) = oldest.and_then(|oldest| all.remove(&oldest)) {
            held.taken.notify_one();
        }
        drop(all);
        self.take(client, now)
    }
}

/// What lies idle with the client that holds most, the longest.
fn most_idle(all: &BTreeMap<u64, Rc<Use>>, now: Instant) -> Option<u64> {
    let mut counts = BTreeMap::<ClientId, usize>::new();
    for u in all.values() {
        *counts.entry(u.client).or_default() += 1;
    }
    let count = |u: &Use| counts.get(&u.client).copied().unwrap_or(0);
    let idle = |u: &Use| now.saturating_duration_since(u.last.get()) >= IDLE;
    all.iter()
        .filter(|(_, u)| idle(u))
        .min_by_key(|(_, u)| (std::cmp::Reverse(count(u)), u.last.get()))
        .map(|(number, _)| *number)
}

impl Permit {
    /// Something was done with it.
    pub fn touch(&self, now: Instant) {
        self.held.last.set(now);
    }

    /// Returns once it was taken away: its use has to end.
    pub async fn taken(&self) {
        self.held.taken.notified().await;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.held.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ClientId = ClientId([1; 16]);
    const LATE: ClientId = ClientId([99; 16]);

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    /// All that a client gets.
    fn greedy(budget: &Rc<Budget>, client: ClientId, now: Instant) -> Vec<Permit> {
        std::iter::from_fn(|| budget.take(client, now).ok()).collect()
    }

    #[test]
    fn permits_are_bounded_and_come_back() {
        let (budget, now) = (Budget::new(9, 2), now());
        let held = greedy(&budget, A, now);
        assert_eq!(held.len(), 2);
        assert_eq!(budget.take(A, now).err(), Some(Refused::Share));
        drop(held);
        assert!(budget.held.borrow().is_empty());
        assert!(budget.take(A, now).is_ok());
        // A single unit is somebody's.
        assert!(Budget::new(1, 1).take(A, now).is_ok());
    }

    #[test]
    fn ones_own_oldest_makes_room() {
        let (budget, now) = (Budget::new(9, 2), now());
        let first = budget.take_over(A, now).unwrap();
        let second = budget.take_over(A, now).unwrap();
        first.touch(now + IDLE);
        let third = budget.take_over(A, now + IDLE).unwrap();
        assert_eq!(budget.held(A), 2);
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        for (permit, is_taken) in [(&first, false), (&second, true), (&third, false)] {
            let taken = std::pin::pin!(permit.taken()).poll(&mut context);
            assert_eq!(taken.is_ready(), is_taken);
        }
        drop((first, second, third));
        assert_eq!(budget.held(A), 0);
    }

    #[test]
    fn four_greedy_clients_leave_room_for_others() {
        let (budget, now) = (Budget::new(512, 128), now());
        let held: Vec<_> = (0..4)
            .flat_map(|n| greedy(&budget, ClientId([n; 16]), now))
            .collect();
        assert!(held.len() > 350);
        assert!(greedy(&budget, LATE, now).len() >= 32);
    }

    #[test]
    fn when_nothing_is_left_the_idle_go_first() {
        let (budget, now) = (Budget::new(512, 128), now());
        let held: Vec<_> = (0..60)
            .flat_map(|n| greedy(&budget, ClientId([n; 16]), now))
            .collect();
        assert_eq!(held.len(), 512);
        assert_eq!(budget.take(LATE, now).err(), Some(Refused::Full));
        let later = now + IDLE;
        held[1..].iter().for_each(|permit| permit.touch(later));
        let late = budget.take(LATE, later).unwrap();
        // The one that was idle has been told, all others are as they were.
        use std::task::{Context, Poll, Waker};
        let is_taken = |permit: &Permit| {
            let mut taken = std::pin::pin!(permit.taken());
            taken.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
        };
        assert!(is_taken(&held[0]) && !held[1..].iter().any(is_taken) && !is_taken(&late));
        assert_eq!(budget.take(LATE, later).err(), Some(Refused::Share));
        drop(held);
        assert_eq!(budget.held.borrow().len(), 1);
    }
}
