//! Being found: our RouterInfo over links, LeaseSets of served destinations through their own
//! tunnels; each confirmed by its floodfill, LeaseSets looked up again afterwards
//! (i2p docs/how/network-database, RouterInfo Storage, LeaseSet Storage).

use super::lookup::{Goal, Lookup};
use super::routing_key::RoutingKey;
use super::{Context, MESSAGE_LIFE, NetDb, NetDbOutput, Paths, ReplyPath, Source, Target};
use crate::limits;
use crate::peer::profile::Observation;
use crate::rng::Rng;
use crate::time::{Date, Instant, Now};
use crate::wire::hash::{MessageId, RouterHash, TunnelId};
use crate::wire::i2np::store::{DatabaseStore, StoreReply};
use crate::wire::lease_set2::LeaseSet2;
use crate::wire::router_info::RouterInfo;
use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A floodfill has this long to confirm a RouterInfo; a dial may be part of it.
const CONFIRM_ROUTER: Duration = Duration::from_secs(5);
/// A floodfill has this long to confirm a LeaseSet, by tunnels both ways.
const CONFIRM_LEASES: Duration = Duration::from_secs(3);
/// LeaseSets of a destination are stored this far apart in the long run. Some may come sooner,
/// since each tells of tunnels that are dead, but never two at once.
const APART: Duration = Duration::from_secs(20);
const SOONER: u32 = 2;
const LEAST: Duration = Duration::from_secs(2);
/// A confirmed LeaseSet is looked up after this time, plus jitter.
const VERIFY: Duration = Duration::from_secs(5);
const VERIFY_SPREAD: Duration = Duration::from_secs(3);
/// Times that a LeaseSet which cannot be found is stored again.
const ROUNDS: u32 = 3;
/// Without a floodfill or tunnels it is tried again after this time.
const RETRY: Duration = Duration::from_millis(500);
/// When nobody confirms, all floodfills are tried again after this time, plus as much jitter.
const PAUSE: Duration = Duration::from_secs(20);
/// This long before midnight a RouterInfo is stored under the next day's key too.
const MIDNIGHT_ROUTER: Duration = Duration::from_secs(45 * 60);
/// The same for LeaseSets.
const MIDNIGHT_LEASES: Duration = Duration::from_secs(10 * 60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What is published: one value for each context and day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) ctx: Context,
    key: [u8; 32],
    tomorrow: bool,
}

#[derive(Clone, Debug)]
enum Value {
    Router(Arc<RouterInfo>),
    Leases(Arc<LeaseSet2>),
}

impl Value {
    fn to_store(&self, reply: StoreReply) -> DatabaseStore {
        match self {
            Self::Router(info) => DatabaseStore::router(info, Some(reply)),
            Self::Leases(ls) => DatabaseStore::lease_set2(ls, Some(reply)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be stored.
    Store,
    /// Stored at this floodfill under this token, to be confirmed by this tunnel, or by the link.
    Confirm(RouterHash, MessageId, Option<ReplyPath>),
    /// Confirmed by this floodfill; to be looked up.
    Verify(RouterHash),
    /// Being looked up.
    Verifying(RouterHash),
    /// Nothing more to do for this value.
    Done,
}

/// When values of one slot may be stored.
#[derive(Clone, Copy, Debug, Default)]
struct Spacing {
    last: Option<Instant>,
    /// When nothing of what may come sooner is used up any more.
    settled: Instant,
}

impl Spacing {
    fn next(&self, now: Instant) -> Instant {
        let least = self.last.map_or(now, |t| t + LEAST);
        now.max(least).max(self.settled - APART * SOONER)
    }

    fn stored(&mut self, now: Instant) {
        self.last = Some(now);
        self.settled = self.settled.max(now) + APART;
    }
}

/// One value on its way to the floodfills.
pub(super) struct Publication {
    /// When there is something to do.
    pub(super) due: Option<Instant>,
    value: Value,
    state: State,
    tried: BTreeSet<RouterHash>,
    rounds: u32,
    spacing: Spacing,
}

impl NetDb {
    /// Sets our own RouterInfo, without publishing it.
    pub fn set_own(&mut self, info: Arc<RouterInfo>) {
        self.own = Some(info);
    }

    /// Sets our own RouterInfo and stores it at the nearest floodfill, another one when that
    /// does not confirm, and so on. The caller decides how often.
    pub fn publish_router(&mut self, now: Now, info: Arc<RouterInfo>) {
        self.own = Some(Arc::clone(&info));
        self.publish(
            now,
            Context::Router,
            info.hash().0,
            Value::Router(info),
            MIDNIGHT_ROUTER,
        );
    }

    /// Stores the LeaseSet of a served destination through its own tunnels, and looks it up
    /// afterwards. Of several that come too soon the newest is stored. LeaseSets that are not to be
    /// published are ignored.
    pub fn publish_lease_set(&mut self, now: Now, ctx: Context, ls: Arc<LeaseSet2>) {
        if ctx != Context::Router && !ls.is_unpublished() {
            self.publish(now, ctx, ls.hash().0, Value::Leases(ls), MIDNIGHT_LEASES);
        }
    }

    /// Whether the newest published value of the context was confirmed by a floodfill.
    #[must_use]
    pub fn is_published(&self, ctx: Context) -> bool {
        self.publications.iter().any(|(slot, p)| {
            slot.ctx == ctx
                && !slot.tomorrow
                && matches!(
                    p.state,
                    State::Verify(_) | State::Verifying(_) | State::Done
                )
        })
    }

    fn publish(&mut self, now: Now, ctx: Context, key: [u8; 32], value: Value, before: Duration) {
        let soon = (now.wall + before).yyyymmdd() != now.wall.yyyymmdd();
        for tomorrow in [false, true] {
            if tomorrow && !soon {
                continue;
            }
            let slot = Slot { ctx, key, tomorrow };
            if self.publications.len() >= limits::PUBLISHING_MAX
                && !self.publications.contains_key(&slot)
            {
                self.dropped += 1;
                return;
            }
            let spacing = self.publications.get(&slot).map(|p| p.spacing);
            let spacing = spacing.unwrap_or_default();
            let due = match value {
                Value::Router(_) => now.mono,
                Value::Leases(_) => spacing.next(now.mono),
            };
            let publication = Publication {
                due: Some(due),
                value: value.clone(),
                state: State::Store,
                tried: BTreeSet::new(),
                rounds: 0,
                spacing,
            };
            self.publications.insert(slot, publication);
        }
    }

    pub(super) fn drive_publications(&mut self, now: Now, rng: &mut Rng, paths: &dyn Paths) {
        let due: Vec<Slot> = self
            .publications
            .iter()
            .filter(|(_, p)| p.due.is_some_and(|t| t <= now.mono))
            .map(|(slot, _)| *slot)
            .collect();
        for slot in due {
            if let Some(mut p) = self.publications.remove(&slot) {
                self.step(now, rng, paths, &slot, &mut p);
                // What belonged to a day that is over makes room.
                if p.state != State::Done || !slot.tomorrow {
                    self.publications.insert(slot, p);
                }
            }
        }
    }

    fn step(
        &mut self,
        now: Now,
        rng: &mut Rng,
        paths: &dyn Paths,
        slot: &Slot,
        p: &mut Publication,
    ) {
        match p.state {
            State::Confirm(silent, ..) => {
                self.observed(now.mono, slot.ctx, silent, Observation::LookupFailed);
                p.tried.insert(silent);
                self.store_next(now, rng, paths, slot, p);
            }
            State::Store => self.store_next(now, rng, paths, slot, p),
            State::Verify(at) => {
                let target = Target::LeaseSet(crate::wire::hash::DestHash(slot.key));
                // Another floodfill than the one that has it, if there is another.
                let other = self
                    .floodfills_of(slot.ctx)
                    .any(|r| r.hash() != at && self.usable_floodfill(r, false));
                let lookup = Lookup::new(now, slot.ctx, target, Goal::Verify);
                let id = self.start(lookup.without(other.then_some(at)));
                let running = self.lookups.contains_key(&id);
                // Too many lookups: the confirmation has to do.
                p.state = if running {
                    State::Verifying(at)
                } else {
                    State::Done
                };
                p.due = None;
            }
            State::Verifying(_) | State::Done => p.due = None,
        }
    }

    fn store_next(
        &mut self,
        now: Now,
        rng: &mut Rng,
        paths: &dyn Paths,
        slot: &Slot,
        p: &mut Publication,
    ) {
        let leases = matches!(p.value, Value::Leases(_));
        // Our RouterInfo goes over a link and is confirmed there: nobody learns a tunnel of ours.
        let mut path = || paths.reply_path(slot.ctx, None, rng);
        let path = if leases { path() } else { None };
        p.state = State::Store;
        if leases && (path.is_none() || !paths.has_outbound(slot.ctx)) {
            p.due = Some(now.mono + RETRY);
            return;
        }
        let ahead = if slot.tomorrow { DAY } else { Duration::ZERO };
        let date = now.wall + ahead;
        let to = (p.tried.len() < limits::PUBLISH_ATTEMPTS)
            .then(|| self.nearest_untried(now, date, slot, p, !leases))
            .flatten();
        let Some(to) = to else {
            // Nobody is known yet, or nobody confirmed.
            let nobody = p.tried.is_empty();
            p.tried.clear();
            let pause = if nobody {
                RETRY
            } else {
                PAUSE + rng.jitter(PAUSE)
            };
            p.due = Some(now.mono + pause);
            return;
        };
        let token = MessageId(rng.nonzero_u32());
        let (gateway, tunnel) = match path {
            Some(path) => (path.gateway, path.tunnel),
            None => (self.config.us, TunnelId(0)),
        };
        let reply = StoreReply {
            token: token.0,
            tunnel,
            gateway,
        };
        let store = p.value.to_store(reply);
        let expires = now.wall + MESSAGE_LIFE;
        let Ok(message) = store.to_message(Self::message_id(rng), expires) else {
            // Our own value is too large: it will not get smaller.
            (p.state, p.due) = (State::Done, None);
            return;
        };
        self.push(NetDbOutput::Send {
            ctx: slot.ctx,
            to: to.hash(),
            message,
            seal: if leases { to.enc_key() } else { None },
            direct: !leases,
        });
        let wait = if leases {
            CONFIRM_LEASES
        } else {
            CONFIRM_ROUTER
        };
        if p.tried.is_empty() {
            p.spacing.stored(now.mono);
        }
        p.state = State::Confirm(to.hash(), token, path);
        p.due = Some(now.mono + wait);
    }

    fn nearest_untried(
        &self,
        now: Now,
        date: Date,
        slot: &Slot,
        p: &Publication,
        direct: bool,
    ) -> Option<Arc<RouterInfo>> {
        let key = RoutingKey::of(&slot.key, date);
        self.nearest_floodfill(now, slot.ctx, &key, |r| {
            !p.tried.contains(&r.hash()) && self.usable_floodfill(r, direct)
        })
    }

    /// A DeliveryStatus; whether it confirms one of our stores, by the way that the store named.
    pub(super) fn on_confirmed(
        &mut self,
        now: Now,
        rng: &mut Rng,
        ctx: Context,
        source: Source,
        id: MessageId,
    ) -> bool {
        let found = self
            .publications
            .iter_mut()
            .find_map(|(slot, p)| match p.state {
                State::Confirm(at, token, path) if token == id && slot.ctx == ctx => {
                    let right = path.map_or(Source::Link(at), Source::Tunnel) == source;
                    right.then_some((slot, p, at))
                }
                _ => None,
            });
        let Some((slot, p, at)) = found else {
            return false;
        };
        if matches!(p.value, Value::Leases(_)) && !slot.tomorrow {
            p.state = State::Verify(at);
            p.due = Some(now.mono + VERIFY + rng.jitter(VERIFY_SPREAD));
        } else {
            (p.state, p.due) = (State::Done, None);
        }
        let slot = *slot;
        if slot.tomorrow {
            self.publications.remove(&slot);
        }
        self.observed(now.mono, slot.ctx, at, Observation::LookupAnswered);
        true
    }

    /// The end of the lookup that was to find our own LeaseSet.
    pub(super) fn on_verified(&mut self, now: Now, ctx: Context, target: Target, found: bool) {
        let Target::LeaseSet(dest) = target else {
            return;
        };
        let newest = self.leases.found(ctx, &dest).map(|ls| ls.published());
        for (slot, p) in &mut self.publications {
            let (State::Verifying(at), Value::Leases(ls)) = (p.state, &p.value) else {
                continue;
            };
            if slot.ctx != ctx || slot.key != dest.0 {
                continue;
            }
            let good = found && newest.is_some_and(|t| t >= ls.published());
            if good || p.rounds + 1 >= ROUNDS {
                (p.state, p.due) = (State::Done, None);
            } else {
                p.rounds += 1;
                p.tried.insert(at);
                p.state = State::Store;
                p.due = Some(p.spacing.next(now.mono));
            }
        }
    }
}
