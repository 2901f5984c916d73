//! Round-trip time and retransmission timeout of one stream (RFC 6298, i2p docs/api/streaming,
//! Other Parameters).

use crate::time::Instant;
use core::time::Duration;

/// Timeout before there is a sample.
const INITIAL: Duration = Duration::from_secs(9);
/// Largest timeout, backoff included. Below the 45 s of the specification: whoever sends the
/// packets changes the path at each timeout, and a good path should not wait for long.
const MAX: Duration = Duration::from_secs(20);
/// Least distance of the timeout from the round-trip time: tunnels jitter, and the far side may
/// delay its acknowledgement.
const MARGIN: Duration = Duration::from_millis(500);
/// Largest sample that is believed.
const SAMPLE_MAX: Duration = Duration::from_secs(60);
/// Age at which a minimum is replaced by that of the following period.
const MIN_PERIOD: Duration = Duration::from_secs(30);

/// The estimator.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rtt {
    smoothed: Option<Duration>,
    variation: Duration,
    /// It was learnt by another stream: the first sample replaces it.
    guessed: bool,
    /// Minimum of the last full period, and of the running one with its start.
    min_before: Option<Duration>,
    min_now: Option<(Duration, Instant)>,
    backoff: u32,
}

impl Rtt {
    /// An estimator that starts from what another stream to the same peer has learnt.
    pub(crate) fn remembered(smoothed: Duration) -> Self {
        Self {
            smoothed: Some(smoothed),
            variation: smoothed / 2,
            guessed: true,
            ..Self::default()
        }
    }

    /// Takes a sample of a packet that was sent once.
    pub(crate) fn sample(&mut self, now: Instant, sample: Duration) {
        let sample = sample.min(SAMPLE_MAX);
        self.backoff = 0;
        match self
            .smoothed
            .filter(|_| !core::mem::take(&mut self.guessed))
        {
            None => {
                self.smoothed = Some(sample);
                self.variation = sample / 2;
            }
            Some(s) => {
                self.variation = self.variation * 3 / 4 + s.abs_diff(sample) / 4;
                self.smoothed = Some(s * 7 / 8 + sample / 8);
            }
        }
        match &mut self.min_now {
            Some((min, since)) if now.since(*since) < MIN_PERIOD => *min = sample.min(*min),
            slot => {
                self.min_before = slot.map(|(min, _)| min);
                *slot = Some((sample, now));
            }
        }
    }

    /// Smoothed round-trip time.
    pub(crate) const fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// Least round-trip time of the last one or two periods.
    pub(crate) fn min(&self) -> Option<Duration> {
        let now = self.min_now.map(|(min, _)| min);
        match (self.min_before, now) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Time after which an unacknowledged packet is taken for lost.
    pub(crate) fn timeout(&self) -> Duration {
        let base = self
            .smoothed
            .map_or(INITIAL, |s| s + (self.variation * 4).max(MARGIN));
        (base * 2_u32.pow(self.backoff.min(5))).min(MAX)
    }

    /// What another stream to the same peer may start from: a queue of this stream's own making
    /// is not part of it.
    pub(crate) fn lesson(&self) -> Option<Duration> {
        let smoothed = self.smoothed?;
        Some(self.min().map_or(smoothed, |min| smoothed.min(min * 2)))
    }

    /// Doubles the timeout, until the next acknowledgement.
    pub(crate) fn back_off(&mut self) {
        self.backoff = self.backoff.saturating_add(1);
    }

    /// Something was acknowledged: the path works.
    pub(crate) fn relax(&mut self) {
        self.backoff = 0;
    }

    /// The time between two acknowledgements of ours: ten a round trip. The least sample counts:
    /// the first one may have waited for a session or for the server.
    pub(crate) fn ack_pace(&self) -> Duration {
        let (least, most) = (Duration::from_micros(400), Duration::from_millis(40));
        let rtt = self.min().or(self.smoothed);
        rtt.map_or(least, |rtt| (rtt / 10).clamp(least, most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeout_follows_samples_and_backs_off() {
        let ms = Duration::from_millis;
        let mut r = Rtt::default();
        assert_eq!(r.timeout(), INITIAL);
        r.sample(Instant(0), ms(200));
        assert_eq!(r.timeout(), ms(700));
        for i in 1..100 {
            r.sample(Instant(i * 1000), ms(200));
        }
        assert_eq!(r.timeout(), ms(700));
        r.back_off();
        r.back_off();
        assert_eq!(r.timeout(), ms(2800));
        for _ in 0..100 {
            r.back_off();
        }
        assert_eq!(r.timeout(), ms(20_000));
        r.sample(Instant(0), ms(200));
        assert_eq!(r.timeout(), ms(700));
        assert_eq!(r.ack_pace(), ms(20));
    }

    #[test]
    fn a_remembered_time_is_only_a_guess() {
        let ms = Duration::from_millis;
        let mut r = Rtt::remembered(ms(6000));
        r.sample(Instant(0), ms(200));
        assert_eq!(r.timeout(), ms(700));
        for i in 1..100 {
            r.sample(Instant(i * 1000), ms(4000));
        }
        assert_eq!(
            r.lesson(),
            Some(ms(400)),
            "a queue of our own is not remembered"
        );
    }

    #[test]
    fn an_old_minimum_is_forgotten() {
        let ms = Duration::from_millis;
        let mut r = Rtt::default();
        r.sample(Instant(0), ms(50));
        for s in 1..100 {
            r.sample(Instant(s * 1_000_000), ms(300));
        }
        assert_eq!(r.min(), Some(ms(300)));
    }
}
