//! Rounds of questions to a few servers, as a state machine: packets and a stopwatch in, packets
//! and a report in the end out. One server may lie or be away; what counts is the middle of those
//! that agree.

use super::report::Report;
use super::wire::{self, Answer, LEN};
use super::{NANOS, ceiling, floor};
use std::net::IpAddr;
use std::time::Duration;

/// Servers at most.
pub const SERVERS_MAX: usize = 6;

/// How long a round waits for answers.
const WAIT: Duration = Duration::from_secs(3);

/// Time to the next round: after the first good one, and later; after a bad one it doubles from the
/// third to the second.
const NEXT: Duration = Duration::from_secs(900);
const CALM: Duration = Duration::from_secs(3600);
const AGAIN: Duration = Duration::from_secs(4);

/// How long a server that wants fewer questions gets none.
const SLOWER: Duration = Duration::from_secs(4 * 3600);

/// Longest way there and back of an answer that is used.
const DELAY_MAX: i64 = 2 * NANOS;

/// How far from the middle an answer may be, besides what it says itself.
const AGREE: i64 = NANOS / 2;

/// The client.
#[derive(Default)]
pub struct Machine {
    servers: Vec<Server>,
    /// When something is due; `None`: nobody can be asked.
    due: Option<Duration>,
    /// Whether answers are waited for.
    asking: bool,
    good: u32,
    bad: u32,
}

struct Server {
    address: IpAddr,
    asked: Option<Question>,
    sample: Option<Sample>,
    /// Gets no question until then.
    quiet_until: Duration,
}

#[derive(Clone, Copy)]
struct Question {
    number: u64,
    at: Duration,
}

#[derive(Clone, Copy)]
struct Sample {
    /// What time it was when the stopwatch began, nanoseconds since 1970.
    base: i64,
    /// How far off that may be.
    error: i64,
}

impl Machine {
    /// Asks these from now on; the same ones as before are no news.
    pub fn set_servers(&mut self, addresses: &[IpAddr], now: Duration) {
        let addresses = addresses.get(..SERVERS_MAX).unwrap_or(addresses);
        if self.servers.iter().map(|s| &s.address).eq(addresses) {
            return;
        }
        let server = |address: &IpAddr| Server {
            address: *address,
            asked: None,
            sample: None,
            quiet_until: Duration::ZERO,
        };
        self.servers = addresses.iter().map(server).collect();
        (self.asking, self.good, self.bad) = (false, 0, 0);
        self.due = (!addresses.is_empty()).then_some(now);
    }

    /// When [`Machine::handle_timeout`] is due.
    #[must_use]
    pub const fn deadline(&self) -> Option<Duration> {
        self.due
    }

    /// Something is due: a round begins (whom to ask what), or ends (what came of it).
    pub fn handle_timeout(
        &mut self,
        now: Duration,
        random: &mut dyn FnMut() -> u64,
    ) -> (Vec<(IpAddr, [u8; LEN])>, Option<Report>) {
        if self.due.is_none_or(|due| now < due) {
            return (Vec::new(), None);
        }
        if self.asking {
            return (Vec::new(), Some(self.end(now)));
        }
        let mut packets = Vec::new();
        for server in &mut self.servers {
            (server.asked, server.sample) = (None, None);
            if now < server.quiet_until {
                continue;
            }
            let number = random();
            server.asked = Some(Question { number, at: now });
            packets.push((server.address, wire::question(number)));
        }
        self.asking = true;
        self.due = Some(if packets.is_empty() { now } else { now + WAIT });
        (packets, None)
    }

    /// A packet of this sender's port for time; the round ends early when it was the last one.
    pub fn handle_packet(&mut self, from: IpAddr, bytes: &[u8], now: Duration) {
        let Some(server) = self.servers.iter_mut().find(|s| s.address == from) else {
            return;
        };
        let Some(question) = server.asked else {
            return;
        };
        let Ok(answer) = wire::parse(bytes, question.number) else {
            // Anybody can send what is none; the answer may still come.
            return;
        };
        server.asked = None;
        match answer {
            Answer::Slower => server.quiet_until = now + SLOWER,
            Answer::Refused => server.quiet_until = Duration::MAX,
            Answer::Time {
                received,
                sent,
                distance,
            } => {
                let (at, now) = (nanos(question.at), nanos(now));
                let delay = (now - at) - (sent - received);
                let base = (received - at) / 2 + (sent - now) / 2;
                let time = (base + now) / NANOS;
                let error = nanos(distance) + delay / 2;
                if (0..=DELAY_MAX).contains(&delay) && (floor()..ceiling()).contains(&time) {
                    server.sample = Some(Sample { base, error });
                }
            }
        }
        if self.servers.iter().all(|s| s.asked.is_none()) {
            self.due = self.due.map(|due| due.min(now));
        }
    }

    fn end(&mut self, now: Duration) -> Report {
        self.asking = false;
        let mut samples: Vec<_> = self.servers.iter().filter_map(|s| s.sample).collect();
        samples.sort_unstable_by_key(|s| s.base);
        let refused = self.servers.iter().all(|s| now < s.quiet_until);
        for server in &mut self.servers {
            (server.asked, server.sample) = (None, None);
        }
        let answers = samples.len();
        let report = match samples.get(answers.saturating_sub(1) / 2).copied() {
            None if refused => Report::Refused,
            None => Report::Silent,
            Some(middle) => {
                samples.retain(|s| (s.base - middle.base).abs() <= AGREE + s.error);
                match samples.get(samples.len().saturating_sub(1) / 2) {
                    Some(best) if samples.len() * 2 > answers => Report::Time {
                        base: best.base,
                        agree: u8::try_from(samples.len()).unwrap_or(u8::MAX),
                        asked: u8::try_from(self.servers.len()).unwrap_or(u8::MAX),
                    },
                    _ => Report::Disagree,
                }
            }
        };
        let pause = if matches!(report, Report::Time { .. }) {
            (self.good, self.bad) = (self.good + 1, 0);
            if self.good == 1 { NEXT } else { CALM }
        } else {
            self.bad += 1;
            CALM.min(AGAIN * 2_u32.pow((self.bad - 1).min(10)))
        };
        self.due = Some(now + pause);
        report
    }
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests;
