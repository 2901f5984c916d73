//! Other routers' requests that we carry their tunnel: opened, judged, answered
//! (i2p spec/tunnel-creation-ecies). A refusal is answered honestly with code 30; only what is
//! malformed, replayed, stale or too frequent gets silence.
//!
//! A request is remembered for as long as its time would be accepted. How many are opened, which
//! costs a key agreement each, is limited so that the memory always suffices: it forgets none
//! early, and a flood of requests lets no old one in again. What was made before our start, when
//! nothing was remembered, is stale.
//!
//! One router, as the hop before or after us, has at most a share of all places.
//!
//! Not here: our own builds. Their messages come back with a record that bears our hash too, so
//! the caller looks for the id of a build of its own first.

mod answer;

use super::record;
use crate::crypto::x25519::PrivateKey;
use crate::limits;
use crate::relay::hop::{Hop, Role};
use crate::relay::iv_filter::IvFilter;
use crate::relay::limit::{Meter, PerPeer, Rate};
use crate::rng::Rng;
use crate::time::{Instant, Now};
use crate::wire::hash::{RouterHash, TunnelId};
use crate::wire::i2np::Message;
use answer::{OurRecord, records};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

/// How old a request may be; its time is rounded down to a minute.
const AGE_MAX_MINUTES: u32 = 8;
/// How far ahead of our clock a request may be.
const AHEAD_MAX_MINUTES: u32 = 5;
/// How far the minute of a request may lie before that of our first one.
const START_MINUTES: u32 = 1;
/// How long a request is remembered: from the earliest moment at which its time is accepted until
/// the last, with the minute that rounding takes, and one more.
const REMEMBERED: Duration =
    Duration::from_secs(60 * (AGE_MAX_MINUTES + AHEAD_MAX_MINUTES + 2) as u64);
/// Bytes of the filter of seen requests, once there have been as many.
const FILTER_BYTES: usize = 2560 * 1024;
/// Requests of all peers that are opened in a second, and at once.
const OPENED: Rate = Rate {
    per_sec: 400,
    burst: 2000,
};
const _: () = assert!(
    IvFilter::certain(FILTER_BYTES) as u64 >= OPENED.per_sec * REMEMBERED.as_secs() + OPENED.burst
);
/// Percent of all places that one router may have as the hop before us, and as many after us; and
/// how many it may have in any case (Java I2P's throttle of participating tunnels is alike).
const SHARE_PERCENT: usize = 12;
const SHARE_MIN: usize = 18;

/// What may be accepted.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionLimits {
    /// Whether to carry tunnels at all; if not, every request is answered with a refusal.
    pub accept_transit: bool,
    /// Transit tunnels at once.
    pub hops: usize,
    /// Requests per peer and minute; further ones are dropped unopened.
    pub per_peer_per_minute: u32,
    /// Peers that are told apart.
    pub peers: usize,
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        Self {
            accept_transit: true,
            hops: 1000,
            per_peer_per_minute: 120,
            peers: 2048,
        }
    }
}

/// Why a request got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No record of the message is for us, or it does not open.
    NotForUs,
    /// Not a build request of 1 to 8 records.
    Malformed,
    /// The peer asks too often.
    TooMany,
    /// Seen before.
    Replay,
    /// Too old, or too far in the future.
    Stale,
    /// The next hop would be ourselves.
    Loop,
    /// A layer encryption that nobody defined.
    LayerType,
}

/// What comes of a request.
#[derive(Clone, Debug)]
pub enum AdmissionOutput {
    /// Carry this tunnel. Comes before the answer.
    Install(Hop),
    /// Send the answer on. `to` may be ourselves: then it is for our own inbound gateway or for a
    /// build of our own.
    Send {
        /// The router.
        to: RouterHash,
        /// The build message, the reply, or the reply in garlic and TunnelGateway.
        message: Message,
    },
}

/// Counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdmissionStats {
    /// Requests that we agreed to.
    pub accepted: u64,
    /// Requests answered with code 30.
    pub rejected: u64,
    /// Requests that got no answer.
    pub dropped: u64,
}

/// Judges requests. It keeps its own list of what it agreed to, since hops live elsewhere.
pub struct Admission {
    us: RouterHash,
    key: PrivateKey,
    limits: AdmissionLimits,
    busy: bool,
    hops: BTreeMap<TunnelId, Neighbours>,
    /// Of those, ids of our own tunnels: they take no place of others.
    reserved: usize,
    expiry: BTreeSet<(Instant, TunnelId)>,
    before: BTreeMap<RouterHash, usize>,
    after: BTreeMap<RouterHash, usize>,
    peers: PerPeer,
    opened: Meter,
    since: Option<u32>,
    seen: IvFilter,
    stats: AdmissionStats,
}

/// The routers around us in a tunnel; an endpoint has none after it.
struct Neighbours {
    before: RouterHash,
    after: Option<RouterHash>,
    own: bool,
}

impl Admission {
    /// `key` is the encryption key of our RouterIdentity.
    #[must_use]
    pub const fn new(us: RouterHash, key: PrivateKey, limits: AdmissionLimits) -> Self {
        Self {
            us,
            key,
            limits,
            busy: false,
            hops: BTreeMap::new(),
            reserved: 0,
            expiry: BTreeSet::new(),
            before: BTreeMap::new(),
            after: BTreeMap::new(),
            peers: PerPeer::new(rate_of(limits.per_peer_per_minute), limits.peers),
            opened: Meter::new(OPENED),
            since: None,
            seen: IvFilter::new(FILTER_BYTES, REMEMBERED),
            stats: AdmissionStats {
                accepted: 0,
                rejected: 0,
                dropped: 0,
            },
        }
    }

    /// Other limits from now on; tunnels already carried are kept.
    pub const fn set_limits(&mut self, limits: AdmissionLimits) {
        self.limits = limits;
        self.peers.set_rate(rate_of(limits.per_peer_per_minute));
    }

    /// Whether transit uses up its bandwidth; while it does, requests are refused.
    pub const fn set_busy(&mut self, busy: bool) {
        self.busy = busy;
    }

    /// What [`Self::set_busy`] said last.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.busy
    }

    /// Tunnels that we agreed to carry and that are not past their time.
    #[must_use]
    pub fn hops(&self) -> usize {
        self.hops.len() - self.reserved
    }

    /// Counters.
    #[must_use]
    pub const fn stats(&self) -> AdmissionStats {
        self.stats
    }

    /// Whether the message is a build request in which a record bears our hash. Our own inbound
    /// builds come back looking like that too.
    #[must_use]
    pub fn is_request_for_us(&self, message: &Message) -> bool {
        records(message).is_some_and(|mut r| r.any(|record| record::is_for(&self.us, record)))
    }

    /// Judges and answers a request that came over the link with `from`.
    ///
    /// # Errors
    /// The request gets no answer.
    pub fn handle(
        &mut self,
        now: Now,
        rng: &mut Rng,
        from: RouterHash,
        message: &Message,
    ) -> Result<Vec<AdmissionOutput>, Refused> {
        let (ours, accept) = match self.judge(now, rng, from, message) {
            Ok(judged) => judged,
            Err(why) => {
                self.stats.dropped += 1;
                return Err(why);
            }
        };
        let plain = ours.reply_plain(accept, rng);
        let expires = now.wall + limits::BUILD_LIFE;
        let Some((to, reply)) = ours.answer(&self.us, message, &plain, expires, rng) else {
            self.stats.dropped += 1;
            return Err(Refused::Malformed);
        };
        let mut out = Vec::with_capacity(2);
        if accept {
            self.stats.accepted += 1;
            out.push(AdmissionOutput::Install(self.install(now, from, &ours)));
        } else {
            self.stats.rejected += 1;
        }
        out.push(AdmissionOutput::Send { to, message: reply });
        Ok(out)
    }

    /// Opens our record and says whether to agree. What costs nothing is checked first.
    fn judge(
        &mut self,
        now: Now,
        rng: &mut Rng,
        from: RouterHash,
        message: &Message,
    ) -> Result<(OurRecord, bool), Refused> {
        let mut all = records(message).ok_or(Refused::Malformed)?;
        let index = all.position(|r| record::is_for(&self.us, r));
        let index = index.ok_or(Refused::NotForUs)?;
        if message.expires + limits::CLOCK_TOLERANCE < now.wall {
            return Err(Refused::Stale);
        }
        if !self.peers.admit(now, from, UNIT) || !self.opened.admit(now, 1) {
            return Err(Refused::TooMany);
        }
        let ours = OurRecord::open(&self.key, &self.us, message, index);
        let ours = ours.ok_or(Refused::NotForUs)?;
        if !self.seen.insert(now, rng, ours.ephemeral()) {
            return Err(Refused::Replay);
        }
        let request = ours.request();
        let minutes = record::RequestRecord::minutes_of(now.wall);
        let since = *self.since.get_or_insert(minutes);
        if request.minutes.saturating_add(START_MINUTES) < since.min(minutes) {
            return Err(Refused::Stale);
        }
        if request.minutes.saturating_add(AGE_MAX_MINUTES) < minutes
            || request.minutes > minutes.saturating_add(AHEAD_MAX_MINUTES)
        {
            return Err(Refused::Stale);
        }
        if request.role != Role::OutboundEndpoint && request.next == self.us {
            return Err(Refused::Loop);
        }
        if request.layer_type != 0 {
            return Err(Refused::LayerType);
        }
        self.forget_expired(now);
        let accept = self.limits.accept_transit
            && !self.busy
            && self.hops() < self.limits.hops
            && self.has_share(from, request)
            && !self.hops.contains_key(&request.receive);
        Ok((ours, accept))
    }

    /// A build of our own came back over the link with `from`: the id that it has here is taken
    /// from now on, exactly as if we were only a participant, or `from` could find out by asking
    /// for a tunnel of that id whether the tunnel ends here. `false` when a participant would
    /// refuse: then the build has failed.
    pub fn reserve(&mut self, now: Now, from: RouterHash, id: TunnelId) -> bool {
        self.forget_expired(now);
        let room = self.before.get(&from).is_none_or(|n| *n < self.share());
        if self.hops.contains_key(&id) || !room {
            return false;
        }
        self.reserved += 1;
        let (before, own) = (from, true);
        let after = None;
        self.enter(now, id, Neighbours { before, after, own });
        true
    }

    fn enter(&mut self, now: Now, id: TunnelId, around: Neighbours) {
        *self.before.entry(around.before).or_insert(0) += 1;
        if let Some(after) = around.after {
            *self.after.entry(after).or_insert(0) += 1;
        }
        self.hops.insert(id, around);
        self.expiry.insert((now.mono + limits::HOP_LIFE, id));
    }

    fn install(&mut self, now: Now, from: RouterHash, ours: &OurRecord) -> Hop {
        let request = ours.request();
        let expires = now.mono + limits::HOP_LIFE;
        let after = (request.role != Role::OutboundEndpoint).then_some(request.next);
        let (before, own) = (from, false);
        self.enter(now, request.receive, Neighbours { before, after, own });
        Hop {
            id: request.receive,
            role: request.role,
            from: (request.role != Role::InboundGateway).then_some(from),
            next: request.next,
            next_id: request.next_id,
            keys: ours.layer().clone(),
            expires,
        }
    }

    fn forget_expired(&mut self, now: Now) {
        while let Some((at, id)) = self.expiry.first().copied() {
            if at > now.mono {
                return;
            }
            self.expiry.pop_first();
            if let Some(gone) = self.hops.remove(&id) {
                self.reserved -= usize::from(gone.own);
                count_down(&mut self.before, gone.before);
                if let Some(after) = gone.after {
                    count_down(&mut self.after, after);
                }
            }
        }
    }

    fn share(&self) -> usize {
        (self.limits.hops.saturating_mul(SHARE_PERCENT) / 100).max(SHARE_MIN)
    }

    /// Whether both neighbours have fewer tunnels through us than one router may.
    fn has_share(&self, from: RouterHash, request: &record::RequestRecord) -> bool {
        let share = self.share();
        let room = |of: &BTreeMap<RouterHash, usize>, peer| of.get(peer).is_none_or(|n| *n < share);
        let endpoint = request.role == Role::OutboundEndpoint;
        room(&self.before, &from) && (endpoint || room(&self.after, &request.next))
    }
}

fn count_down(of: &mut BTreeMap<RouterHash, usize>, peer: RouterHash) {
    if let Some(n) = of.get_mut(&peer) {
        *n = n.saturating_sub(1);
        if *n == 0 {
            of.remove(&peer);
        }
    }
}

/// One request in the units of its bucket: a minute's rate has to be whole per second.
const UNIT: u64 = 60;

const fn rate_of(per_minute: u32) -> Rate {
    Rate {
        per_sec: per_minute as u64,
        burst: per_minute as u64 * UNIT,
    }
}

#[cfg(test)]
mod tests;
