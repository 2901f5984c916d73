//! Whether a tunnel works: test messages that go out of one tunnel and come back by another.
//!
//! A test is a DeliveryStatus in one-time garlic, padded by chance, so that endpoint and gateway
//! see what any other message looks like (i2p docs/how/tunnel-routing, Tunnel Testing).

use super::fragment::TunnelDelivery;
use super::plan::PoolId;
use super::way::{Once, TagUse, Way};
use super::{InboundId, OutboundId, Tunnels};
use crate::garlic::clove::{Block, Clove, Delivery};
use crate::garlic::{clove, one_time};
use crate::limits;
use crate::rng::Rng;
use crate::router::output::Class;
use crate::secret::Secret;
use crate::time::{Instant, Now};
use crate::wire::hash::{MessageId, RouterHash};
use crate::wire::i2np::status::DeliveryStatus;
use crate::wire::i2np::{Message, kind};
use core::time::Duration;

/// Time between tests of a tunnel, and what is added at most by chance.
const PERIOD: Duration = Duration::from_secs(15);
const PERIOD_JITTER: Duration = Duration::from_secs(12);
/// A new tunnel is tested after this and as much again by chance.
const FIRST: Duration = Duration::from_millis(40);
/// A test that has not come back after so many of the longest round trips known has failed,
/// within these bounds.
const ROUND_TRIPS: u32 = 4;
const TIMEOUT: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(8));
/// A tunnel that failed is tested again so soon, and as much again by chance.
const AGAIN: Duration = Duration::from_millis(1500);
/// Failures in a row that make a tunnel failing; for one that never carried anything, a single one
/// beside a tunnel that did is enough.
const FAILURES: u8 = 2;
/// Padding of a test message in bytes, and what is added at most by chance.
const PADDING: (usize, usize) = (60, 400);

/// What the tests of one tunnel said.
#[derive(Clone, Debug)]
pub(super) struct Health {
    /// Smoothed round trip of the pairs it was part of.
    pub(super) rtt: Option<Duration>,
    /// Two tests in a row were lost.
    pub(super) failing: bool,
    pub(super) next_test: Instant,
    failures: u8,
    /// Something speaks against it: its tests are waited for no longer than round trips tell.
    suspected: bool,
    tested: Option<Instant>,
    last_ok: Option<Instant>,
}

impl Health {
    pub(super) fn new(now: Instant, rng: &mut Rng) -> Self {
        Self {
            rtt: None,
            failing: false,
            next_test: now + FIRST + rng.jitter(FIRST),
            failures: 0,
            suspected: false,
            tested: None,
            last_ok: None,
        }
    }

    /// Whether something has come through.
    pub(super) const fn is_proven(&self) -> bool {
        self.last_ok.is_some()
    }

    /// Something spoke against it and a test was lost since: a replacement is built before it is
    /// given up.
    pub(super) const fn is_doubtful(&self) -> bool {
        self.suspected && self.failures > 0
    }

    /// Something speaks against it: no build is sent into it while there is another.
    pub(super) const fn is_in_doubt(&self) -> bool {
        self.suspected || self.failures > 0
    }

    fn as_partner(&self) -> impl Ord {
        (self.failing, !self.is_proven(), self.next_test)
    }

    /// Something came through. Answers whether that is news: the first time, or the first time
    /// after failures.
    pub(super) fn passed(&mut self, now: Instant, rtt: Option<Duration>) -> bool {
        if let Some(rtt) = rtt {
            self.rtt = Some(self.rtt.map_or(rtt, |old| (old * 3 + rtt) / 4));
        }
        self.failures = 0;
        self.suspected = false;
        let first = self.last_ok.replace(now).is_none();
        core::mem::replace(&mut self.failing, false) || first
    }

    /// A test goes out, or cannot: the next one is due after the usual time.
    fn postpone(&mut self, now: Instant, rng: &mut Rng) {
        self.tested = Some(now);
        self.next_test = now + PERIOD + rng.jitter(PERIOD_JITTER);
    }

    /// Something may be wrong: test at once, unless that was just done. Answers whether a test
    /// is due.
    pub(super) fn suspect(&mut self, now: Instant) -> bool {
        let just_tested = self.tested.is_some_and(|at| now < at + AGAIN);
        if !just_tested {
            self.next_test = now;
        }
        !just_tested
    }

    /// The same, where nothing at all comes back any more.
    fn distrust(&mut self, now: Instant) -> bool {
        self.suspected = true;
        self.suspect(now)
    }

    /// A test sent at `sent` was lost. Another pair may have proved this tunnel since, then the
    /// partner is to blame. Answers whether the tunnel is failing from now on.
    fn lost(&mut self, sent: Instant, partner_proven: bool, now: Instant, rng: &mut Rng) -> bool {
        if self.last_ok.is_some_and(|ok| ok >= sent) {
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        self.next_test = now + AGAIN + rng.jitter(AGAIN);
        let enough = self.failures >= FAILURES || (partner_proven && !self.is_proven());
        enough && !core::mem::replace(&mut self.failing, true)
    }
}

/// A test on its way.
pub(super) struct Test {
    outbound: OutboundId,
    inbound: InboundId,
    id: MessageId,
    tag: [u8; 8],
    sent: Instant,
    until: Instant,
}

#[cfg(test)]
impl Test {
    pub(super) const fn id(&self) -> MessageId {
        self.id
    }

    pub(super) const fn inbound(&self) -> InboundId {
        self.inbound
    }

    pub(super) const fn tag(&self) -> [u8; 8] {
        self.tag
    }
}

impl Test {
    pub(super) const fn until(&self) -> Instant {
        self.until
    }
}

impl Tunnels {
    /// Sends the tests that are due.
    pub(super) fn start_tests(&mut self, now: Now, rng: &mut Rng) {
        let due = |health: &Health| health.next_test <= now.mono;
        let outbound: Vec<(OutboundId, PoolId)> = self
            .outbound
            .iter()
            .filter(|(_, t)| due(&t.health))
            .map(|(id, t)| (*id, t.pool))
            .collect();
        for (id, pool) in outbound {
            match self.test_partner_inbound(pool) {
                Some(partner) => self.test(now, rng, id, partner),
                None => self.postpone_outbound(id, now.mono, rng),
            }
        }
        let inbound: Vec<(InboundId, PoolId)> = self
            .inbound
            .iter()
            .filter(|(_, t)| t.listed() && due(&t.health))
            .map(|(id, t)| (*id, t.pool))
            .collect();
        for (id, pool) in inbound {
            if self.inbound.get(&id).is_none_or(|t| !due(&t.health)) {
                continue;
            }
            match self.test_partner_outbound(pool) {
                Some(partner) => self.test(now, rng, partner, id),
                None => self.postpone_inbound(id, now.mono, rng),
            }
        }
    }

    /// The inbound tunnel of the pool, else of the exploratory one, that waits longest for a test;
    /// proven ones first, so that a loss says which of the two is to blame.
    fn test_partner_inbound(&self, pool: PoolId) -> Option<InboundId> {
        [pool, PoolId::EXPLORATORY].iter().find_map(|pool| {
            let own = self
                .inbound
                .iter()
                .filter(|(_, t)| t.pool == *pool && t.listed());
            own.min_by_key(|(_, t)| t.health.as_partner())
                .map(|(id, _)| *id)
        })
    }

    fn test_partner_outbound(&self, pool: PoolId) -> Option<OutboundId> {
        [pool, PoolId::EXPLORATORY].iter().find_map(|pool| {
            let own = self.outbound.iter().filter(|(_, t)| t.pool == *pool);
            own.min_by_key(|(_, t)| t.health.as_partner())
                .map(|(id, _)| *id)
        })
    }

    fn postpone_outbound(&mut self, id: OutboundId, now: Instant, rng: &mut Rng) {
        if let Some(t) = self.outbound.get_mut(&id) {
            t.health.postpone(now, rng);
        }
    }

    fn postpone_inbound(&mut self, id: InboundId, now: Instant, rng: &mut Rng) {
        if let Some(t) = self.inbound.get_mut(&id) {
            t.health.postpone(now, rng);
        }
    }

    fn test(&mut self, now: Now, rng: &mut Rng, outbound: OutboundId, inbound: InboundId) {
        self.postpone_outbound(outbound, now.mono, rng);
        self.postpone_inbound(inbound, now.mono, rng);
        let (Some(out), Some(back)) = (self.outbound.get(&outbound), self.inbound.get(&inbound))
        else {
            return;
        };
        let nothing_to_test = out.hops.is_empty() && back.hops.is_empty();
        if nothing_to_test || self.tests.len() >= limits::TUNNEL_TESTS_MAX {
            return;
        }
        let to = TunnelDelivery::Tunnel(back.gateway(self.us), back.gateway_id);
        let id = MessageId(rng.nonzero_u32());
        let (tag, key): ([u8; 8], Secret<32>) = (rng.array(), Secret::new(rng.array()));
        let Some(message) = test_message(now, rng, id, &tag, &key) else {
            return;
        };
        let way = Way::back(inbound, back, out.endpoint(self.us));
        let suspected = out.health.suspected || back.health.suspected;
        let known = out.health.is_proven() && back.health.is_proven() && !suspected;
        let until = now.mono
            + if known {
                TIMEOUT.1
            } else {
                self.test_timeout()
            };
        let number = self.number();
        self.tags.insert(
            tag,
            Once {
                key,
                what: TagUse::Test(number),
                way,
            },
        );
        self.tests.insert(
            number,
            Test {
                outbound,
                inbound,
                id,
                tag,
                sent: now.mono,
                until,
            },
        );
        self.send_as(now, rng, Class::Own, outbound, to, &[message]);
    }

    fn test_timeout(&self) -> Duration {
        let longest = self.inbound.values().filter_map(|t| t.health.rtt).max();
        longest.map_or(TIMEOUT.1, |rtt| {
            (rtt * ROUND_TRIPS).clamp(TIMEOUT.0, TIMEOUT.1)
        })
    }

    /// Nothing comes any more that was expected: the tunnels of the pool are tested.
    pub fn suspect_all(&mut self, now: Now, pool: PoolId) {
        self.distrust(now, |of, _| of == pool);
    }

    /// The link with a router was lost: it may have ended, and our tunnels through it with it.
    pub fn suspect_hop(&mut self, now: Now, router: RouterHash) {
        self.distrust(now, |_, hops| hops.contains(&router));
    }

    fn distrust(&mut self, now: Now, which: impl Fn(PoolId, &[RouterHash]) -> bool) {
        let mut due = false;
        for t in self.inbound.values_mut().filter(|t| which(t.pool, &t.hops)) {
            due |= t.listed() && t.health.distrust(now.mono);
        }
        for t in self.outbound.values_mut() {
            due |= which(t.pool, &t.hops) && t.health.distrust(now.mono);
        }
        if due {
            self.wake(now.mono);
        }
    }

    /// The garlic of a test was opened.
    pub(super) fn test_came_back(&mut self, now: Now, number: u32, message: &Message) {
        let status = DeliveryStatus::parse(&message.body);
        let known = self.tests.get(&number).map(|t| t.id);
        if message.kind != kind::DELIVERY_STATUS || status.ok().map(|s| s.id) != known {
            self.stats.malformed += 1;
            return;
        }
        let Some(test) = self.tests.remove(&number) else {
            return;
        };
        self.tags.remove(&test.tag);
        self.stats.tests_passed += 1;
        let rtt = Some(now.mono.since(test.sent));
        if let Some(t) = self.outbound.get_mut(&test.outbound) {
            t.health.passed(now.mono, rtt);
        }
        if let Some(t) = self.inbound.get_mut(&test.inbound)
            && t.health.passed(now.mono, rtt)
        {
            let pool = t.pool;
            self.changed(pool);
        }
    }

    /// Judges the tests that did not come back.
    pub(super) fn expire_tests(&mut self, now: Now, rng: &mut Rng) {
        let mut lost = Vec::new();
        self.tests.retain(|_, test| {
            let over = test.until() <= now.mono;
            if over {
                lost.push((test.outbound, test.inbound, test.tag, test.sent));
            }
            !over
        });
        for (outbound, inbound, tag, sent) in lost {
            self.tags.remove(&tag);
            self.stats.tests_lost += 1;
            let out = self.outbound.get(&outbound);
            let out = out.is_some_and(|t| t.health.is_proven());
            let back = self.inbound.get(&inbound);
            let back = back.is_some_and(|t| t.health.is_proven());
            if let Some(t) = self.outbound.get_mut(&outbound) {
                t.health.lost(sent, back, now.mono, rng);
            }
            if let Some(t) = self.inbound.get_mut(&inbound)
                && t.health.lost(sent, out, now.mono, rng)
            {
                let pool = t.pool;
                self.changed(pool);
            }
        }
    }
}

fn test_message(
    now: Now,
    rng: &mut Rng,
    id: MessageId,
    tag: &[u8; 8],
    key: &Secret<32>,
) -> Option<Message> {
    let expires = now.wall + super::MESSAGE_LIFE;
    let status = DeliveryStatus { id, at: now.wall };
    let blocks = [
        Block::Clove(Clove {
            delivery: Delivery::Local,
            message: status.to_message(MessageId(rng.nonzero_u32()), expires),
        }),
        Block::Padding(PADDING.0 + rng.below(PADDING.1)),
    ];
    let payload = clove::write_blocks(&blocks).ok()?;
    let content = one_time::seal(key, tag, &payload);
    let id = MessageId(rng.nonzero_u32());
    Some(crate::garlic::to_message(&content, id, expires))
}
