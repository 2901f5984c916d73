//! How much transit the links carry: measured once a second while there is any, so that admission
//! can refuse before what is carried already suffers.

use crate::relay::stats::ShardStats;
use crate::router::input::LinkEvent;
use crate::time::Instant;
use core::time::Duration;

/// Time between two reports.
const EVERY: Duration = Duration::from_secs(1);

/// Compares the counters of the shard with those of the last report.
#[derive(Default)]
pub(super) struct LoadMeter {
    since: Option<Instant>,
    bytes: u64,
    limited: u64,
}

impl LoadMeter {
    /// There is transit from now on.
    pub fn start(&mut self, now: Instant, stats: &ShardStats) {
        if self.since.is_none() {
            self.note(now, stats);
        }
    }

    /// When [`Self::report`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.since.map(|at| at + EVERY)
    }

    /// The load since the last report; the last one, when there is no tunnel any more, says zero.
    pub fn report(&mut self, now: Instant, stats: &ShardStats) -> Option<LinkEvent> {
        let since = self.since.filter(|at| *at + EVERY <= now)?;
        let micros = now.since(since).as_micros().max(1);
        let bytes = u128::from(stats.bytes_sent - self.bytes) * 1_000_000 / micros;
        let limited = stats.drops.limit > self.limited;
        self.note(now, stats);
        if stats.hops() == 0 {
            *self = Self::default();
            return Some(LinkEvent::Load {
                transit_bytes_per_sec: 0,
                limited: false,
            });
        }
        Some(LinkEvent::Load {
            transit_bytes_per_sec: u64::try_from(bytes).unwrap_or(u64::MAX),
            limited,
        })
    }

    const fn note(&mut self, now: Instant, stats: &ShardStats) {
        self.since = Some(now);
        self.bytes = stats.bytes_sent;
        self.limited = stats.drops.limit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(event: Option<LinkEvent>) -> Option<(u64, bool)> {
        match event {
            Some(LinkEvent::Load {
                transit_bytes_per_sec,
                limited,
            }) => Some((transit_bytes_per_sec, limited)),
            _ => None,
        }
    }

    #[test]
    fn reports_rate_and_drops_of_each_second_while_there_are_tunnels() {
        let (mut meter, mut stats) = (LoadMeter::default(), ShardStats::default());
        let at = |ms| Instant(0) + Duration::from_millis(ms);
        assert_eq!(meter.deadline(), None);
        stats.bytes_sent = 500;
        stats.participants = 1;
        meter.start(at(1000), &stats);
        stats.bytes_sent = 4500;
        meter.start(at(1500), &stats);
        assert_eq!(load(meter.report(at(1999), &stats)), None);
        assert_eq!(load(meter.report(at(3000), &stats)), Some((2000, false)));
        stats.drops.limit = 1;
        assert_eq!(load(meter.report(at(4000), &stats)), Some((0, true)));
        stats.bytes_sent = 5000;
        stats.participants = 0;
        assert_eq!(load(meter.report(at(5000), &stats)), Some((0, false)));
        assert_eq!(meter.deadline(), None);
        assert_eq!(load(meter.report(at(9000), &stats)), None);
    }
}
