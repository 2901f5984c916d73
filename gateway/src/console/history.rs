//! What the router said of itself, over the last hour and the last day: the values of the plots.

use crate::web::router_state::RouterState;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Distance of two samples, and how many are kept: an hour.
pub const STEP: Duration = Duration::from_secs(10);
const FINE: usize = 360;

/// Samples in one of the day's, and how many of those are kept.
const JOIN: u64 = 30;
const COARSE: usize = 288;

/// One moment, or the mean of several.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sample {
    /// Routers that it has a link with.
    pub peers: f32,
    /// Its own tunnels.
    pub tunnels: f32,
    /// Tunnels built of those tried, percent since the start.
    pub success: f32,
    /// Bytes a second: all received, all sent, and those carried for others.
    pub received: f32,
    /// See `received`.
    pub sent: f32,
    /// See `received`.
    pub transit: f32,
}

/// The samples, oldest first. `None` where the router did not answer.
#[derive(Default)]
pub struct History {
    fine: VecDeque<Option<Sample>>,
    coarse: VecDeque<Option<Sample>>,
    taken: u64,
    last: Option<(Instant, RouterState)>,
}

/// Which time is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The last hour.
    Hour,
    /// The last day.
    Day,
}

impl Span {
    /// How many samples it can have.
    #[must_use]
    pub const fn len(self) -> usize {
        match self {
            Self::Hour => FINE,
            Self::Day => COARSE,
        }
    }

    /// Never.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        false
    }
}

impl History {
    /// One more, about [`STEP`] after the one before.
    pub fn add(&mut self, state: Option<RouterState>, now: Instant) {
        let sample = state.as_ref().map(|state| self.sample(state, now));
        self.last = state.map(|state| (now, state));
        push(&mut self.fine, sample, FINE);
        self.taken += 1;
        if self.taken.is_multiple_of(JOIN) {
            let joined = mean(self.fine.iter().rev().take(30).flatten());
            push(&mut self.coarse, joined, COARSE);
        }
    }

    /// Rates need what was before; the router's counters start anew with it.
    fn sample(&self, state: &RouterState, now: Instant) -> Sample {
        let before = self.last.as_ref();
        let rate = |of: fn(&RouterState) -> u64| {
            let Some((then, old)) = before else {
                return 0.0;
            };
            let secs = now.saturating_duration_since(*then).as_secs_f32();
            let bytes = of(state).saturating_sub(of(old));
            bytes as f32 / secs.max(0.1)
        };
        Sample {
            peers: state.peers as f32,
            tunnels: state.tunnels as f32,
            success: state.success as f32,
            received: rate(|s| s.received),
            sent: rate(|s| s.sent),
            transit: rate(|s| s.transit),
        }
    }

    /// The samples of a time, oldest first.
    pub fn samples(&self, span: Span) -> impl DoubleEndedIterator<Item = Option<Sample>> {
        let ring = match span {
            Span::Hour => &self.fine,
            Span::Day => &self.coarse,
        };
        ring.iter().copied()
    }
}

fn push(ring: &mut VecDeque<Option<Sample>>, sample: Option<Sample>, max: usize) {
    if ring.len() >= max {
        ring.pop_front();
    }
    ring.push_back(sample);
}

fn mean<'a>(samples: impl Iterator<Item = &'a Sample>) -> Option<Sample> {
    let (mut sum, mut n) = (Sample::default(), 0.0f32);
    for s in samples {
        n += 1.0;
        sum.peers += s.peers;
        sum.tunnels += s.tunnels;
        sum.success += s.success;
        sum.received += s.received;
        sum.sent += s.sent;
        sum.transit += s.transit;
    }
    (n > 0.0).then(|| Sample {
        peers: sum.peers / n,
        tunnels: sum.tunnels / n,
        success: sum.success / n,
        received: sum.received / n,
        sent: sum.sent / n,
        transit: sum.transit / n,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::clock;

    fn state(peers: u64, received: u64) -> RouterState {
        RouterState {
            peers,
            received,
            ..RouterState::default()
        }
    }

    #[test]
    fn rates_are_of_the_time_between_and_never_negative() {
        let (mut history, now) = (History::default(), clock());
        history.add(Some(state(3, 5000)), now);
        history.add(Some(state(4, 25_000)), now + STEP);
        history.add(Some(state(5, 100)), now + 2 * STEP);
        history.add(None, now + 3 * STEP);
        history.add(Some(state(5, 900)), now + 4 * STEP);
        let rates: Vec<_> = history
            .samples(Span::Hour)
            .map(|s| s.map(|s| s.received))
            .collect();
        let expected = [Some(0.0), Some(2000.0), Some(0.0), None, Some(0.0)];
        assert_eq!(rates, expected);
    }

    #[test]
    fn an_hour_and_a_day_are_kept_and_no_more() {
        let (mut history, now) = (History::default(), clock());
        for n in 0..20_000u32 {
            let silent = (600..660).contains(&(n % 9000));
            let said = (!silent).then(|| state(u64::from(n % 2) * 10, 0));
            history.add(said, now + n * STEP);
        }
        assert_eq!(history.samples(Span::Hour).count(), 360);
        let day: Vec<_> = history.samples(Span::Day).collect();
        assert_eq!(day.len(), 288);
        assert!(day.iter().flatten().all(|s| s.peers == 5.0));
        // The router's silence of ten minutes is two gaps.
        assert_eq!(day.iter().filter(|s| s.is_none()).count(), 2);
    }
}
