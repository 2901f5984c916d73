//! Other routers' requests that we carry their tunnel: opened, judged, answered
//! (i2p spec/tunnel-creation-ecies). A refusal is answered honestly with code 30; only what is
//! malformed, replayed, stale or too frequent gets silence.
//!
//! Not here: our own builds. Their messages come back with a record that bears our hash too, so
//! the caller looks for the id of a build of its own first.

mod answer;

use super::record;
use crate::crypto::x25519::PrivateKey;
use crate::limits;
use crate::relay::hop::{Hop, Role};
use crate::relay::iv_filter::IvFilter;
use crate::relay::limit::{PerPeer, Rate};
use crate::rng::Rng;
use crate::time::{Instant, Now};
use crate::wire::hash::{RouterHash, TunnelId};
use crate::wire::i2np::Message;
use answer::{OurRecord, records};
use std::collections::{BTreeMap, BTreeSet};

/// How old a request may be; its time is rounded down to a minute.
const AGE_MAX_MINUTES: u32 = 8;
/// How far ahead of our clock a request may be.
const AHEAD_MAX_MINUTES: u32 = 5;
/// Bytes of the filter of seen requests.
const FILTER_BYTES: usize = 256 * 1024;

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
    hops: BTreeMap<TunnelId, Instant>,
    expiry: BTreeSet<(Instant, TunnelId)>,
    peers: PerPeer,
    seen: IvFilter,
    stats: AdmissionStats,
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
            expiry: BTreeSet::new(),
            peers: PerPeer::new(rate_of(limits.per_peer_per_minute), limits.peers),
            seen: IvFilter::new(FILTER_BYTES, limits::HOP_LIFE),
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
        self.hops.len()
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
        if !self.peers.admit(now, from, UNIT) {
            return Err(Refused::TooMany);
        }
        let ours = OurRecord::open(&self.key, &self.us, message, index);
        let ours = ours.ok_or(Refused::NotForUs)?;
        if !self.seen.insert(now, rng, ours.ephemeral()) {
            return Err(Refused::Replay);
        }
        let request = ours.request();
        let minutes = record::RequestRecord::minutes_of(now.wall);
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
            && self.hops.len() < self.limits.hops
            && !self.hops.contains_key(&request.receive);
        Ok((ours, accept))
    }

    fn install(&mut self, now: Now, from: RouterHash, ours: &OurRecord) -> Hop {
        let request = ours.request();
        let expires = now.mono + limits::HOP_LIFE;
        self.hops.insert(request.receive, expires);
        self.expiry.insert((expires, request.receive));
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
            self.hops.remove(&id);
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
