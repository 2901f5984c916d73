//! Iterative lookups (i2p docs/how/network-database, RouterInfo and LeaseSet Lookup): the
//! nearest floodfills are asked one after the other, two at a time, through tunnels of the
//! context with sealed replies. Directly only by the router itself before it has tunnels.

use super::closest::nearest;
use super::routing_key::RoutingKey;
use super::{
    Context, LookupId, MESSAGE_LIFE, NetDb, NetDbOutput, Paths, ReplyPath, Source, Target,
};
use crate::limits;
use crate::peer::profile::Observation;
use crate::rng::Rng;
use crate::secret::Secret;
use crate::time::{Instant, Now};
use crate::wire::hash::RouterHash;
use crate::wire::i2np::lookup::{DatabaseLookup, LookupKind, ReplyKey};
use crate::wire::i2np::search_reply::DatabaseSearchReply;
use crate::wire::router_info::RouterInfo;
use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A lookup ends after this time.
const TOTAL: Duration = Duration::from_secs(20);
/// A floodfill has this long to answer, plus jitter.
const ANSWER: Duration = Duration::from_millis(2600);
const ANSWER_SPREAD: Duration = Duration::from_millis(400);
/// The second floodfill is asked this long after the first, plus jitter.
const SECOND: Duration = Duration::from_millis(400);
const SECOND_SPREAD: Duration = Duration::from_millis(300);
/// Without tunnels or floodfills it is tried again after this time.
const RETRY: Duration = Duration::from_millis(250);
/// Tags of replies are expected for this long.
const TAG_LIFE: Duration = Duration::from_secs(15);

/// What a lookup is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// A caller waits for it.
    Caller,
    /// A router named by a search reply.
    Referral,
    /// Routers near a random key.
    Explore,
    /// Floodfills near a random key.
    Meet,
    /// Whether our own LeaseSet can be found.
    Verify,
}

struct Question {
    to: RouterHash,
    tag: Option<[u8; 8]>,
    until: Instant,
}

/// One lookup under way.
pub(super) struct Lookup {
    pub(super) ctx: Context,
    pub(super) target: Target,
    pub(super) goal: Goal,
    /// When there is something to do.
    pub(super) due: Instant,
    ends: Instant,
    next_question: Instant,
    asked: BTreeSet<RouterHash>,
    /// Asked first: who named the target.
    hint: Option<RouterHash>,
    questions: Vec<Question>,
    steps: usize,
}

impl Lookup {
    pub(super) fn new(now: Now, ctx: Context, target: Target, goal: Goal) -> Self {
        Self {
            ctx,
            target,
            goal,
            due: now.mono,
            ends: now.mono + TOTAL,
            next_question: now.mono,
            asked: BTreeSet::new(),
            hint: None,
            questions: Vec::new(),
            steps: 0,
        }
    }

    /// Questions without an answer.
    #[cfg(test)]
    pub(super) const fn open(&self) -> usize {
        self.questions.len()
    }

    /// Not to be asked.
    pub(super) fn without(mut self, router: Option<RouterHash>) -> Self {
        self.asked.extend(router);
        self
    }

    const fn max_steps(&self) -> usize {
        match self.goal {
            Goal::Explore | Goal::Meet => 1,
            Goal::Verify | Goal::Referral => 3,
            Goal::Caller => limits::LOOKUP_STEPS,
        }
    }

    const fn kind(&self) -> LookupKind {
        match (self.goal, &self.target) {
            (Goal::Explore, _) => LookupKind::Explore,
            (_, Target::Router(_)) => LookupKind::Router,
            (_, Target::LeaseSet(_)) => LookupKind::LeaseSet,
        }
    }
}

/// How the next question can travel.
enum Way {
    Tunnel(ReplyPath),
    Direct,
}

impl NetDb {
    /// Starts a lookup, or joins one for the same target in the same context. It always asks the
    /// network; what is known already is in [`NetDb::router`] and [`NetDb::lease_set`]. Ends with
    /// [`NetDbOutput::Found`] or [`NetDbOutput::NotFound`], after 20 s at the latest.
    pub fn lookup(&mut self, now: Now, ctx: Context, target: Target) -> LookupId {
        if let Some((id, running)) = self.lookups.iter_mut().find(|(_, l)| {
            l.ctx == ctx && l.target == target && matches!(l.goal, Goal::Caller | Goal::Referral)
        }) {
            running.goal = Goal::Caller;
            running.due = now.mono;
            return *id;
        }
        self.start(Lookup::new(now, ctx, target, Goal::Caller))
    }

    /// Registers a lookup; when there are too many it fails at once.
    pub(super) fn start(&mut self, lookup: Lookup) -> LookupId {
        let id = LookupId(self.next_id);
        self.next_id += 1;
        let own = self.lookups.values().filter(|l| l.goal != Goal::Caller);
        let full = match lookup.goal {
            Goal::Caller => self.lookups.len() >= limits::LOOKUPS_MAX,
            _ => own.count() >= limits::OWN_LOOKUPS_MAX,
        };
        if !full {
            self.lookups.insert(id, lookup);
        } else if lookup.goal == Goal::Caller {
            let (ctx, target) = (lookup.ctx, lookup.target);
            self.push(NetDbOutput::NotFound { id, ctx, target });
        }
        id
    }

    pub(super) fn wake_lookups(&mut self, now: Instant) {
        for l in self.lookups.values_mut() {
            // Those that could not go on may now.
            if l.questions.len() < limits::LOOKUP_PARALLEL && l.next_question <= now {
                l.due = now;
            }
        }
    }

    pub(super) fn is_asked(&self, ctx: Context, target: &Target) -> bool {
        self.lookups
            .values()
            .any(|l| l.ctx == ctx && l.target == *target)
    }

    /// Ends all lookups for the target with success, in one context or in all.
    pub(super) fn succeed(&mut self, now: Now, ctx: Option<Context>, target: Target) {
        let done: Vec<LookupId> = self
            .lookups
            .iter()
            .filter(|(_, l)| l.target == target && ctx.is_none_or(|c| c == l.ctx))
            .map(|(id, _)| *id)
            .collect();
        for id in done {
            self.finish(now, id, true);
        }
    }

    fn finish(&mut self, now: Now, id: LookupId, found: bool) {
        let Some(lookup) = self.lookups.remove(&id) else {
            return;
        };
        let (ctx, target) = (lookup.ctx, lookup.target);
        match (lookup.goal, found) {
            (Goal::Caller, true) => self.push(NetDbOutput::Found { id, ctx, target }),
            (Goal::Caller, false) => self.push(NetDbOutput::NotFound { id, ctx, target }),
            (Goal::Verify, _) => self.on_verified(now, ctx, target, found),
            (Goal::Referral | Goal::Explore | Goal::Meet, _) => {}
        }
    }

    pub(super) fn drive_lookups(&mut self, now: Now, rng: &mut Rng, paths: &dyn Paths) {
        let due: Vec<LookupId> = self
            .lookups
            .iter()
            .filter(|(_, l)| l.due <= now.mono)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            if let Some(mut lookup) = self.lookups.remove(&id) {
                self.expire_questions(now, &mut lookup);
                let over = self.drive(now, rng, paths, &mut lookup);
                self.lookups.insert(id, lookup);
                if over {
                    self.finish(now, id, false);
                }
            }
        }
    }

    fn expire_questions(&mut self, now: Now, lookup: &mut Lookup) {
        let (late, open) = core::mem::take(&mut lookup.questions)
            .into_iter()
            .partition(|q| q.until <= now.mono);
        lookup.questions = open;
        let late: Vec<Question> = late;
        for q in late {
            lookup.next_question = now.mono;
            self.observed(now.mono, q.to, Observation::LookupFailed);
        }
    }

    /// Asks who is to be asked; `true` when the lookup is over.
    fn drive(&mut self, now: Now, rng: &mut Rng, paths: &dyn Paths, lookup: &mut Lookup) -> bool {
        if lookup.ends <= now.mono {
            return true;
        }
        let mut exhausted = false;
        while lookup.questions.len() < limits::LOOKUP_PARALLEL && lookup.next_question <= now.mono {
            if lookup.steps >= lookup.max_steps() {
                exhausted = true;
                break;
            }
            let Some(way) = way_for(lookup.ctx, rng, paths) else {
                lookup.next_question = now.mono + RETRY;
                break;
            };
            let Some(to) = self.next_floodfill(now, lookup, &way) else {
                exhausted = true;
                break;
            };
            self.ask(now, rng, lookup, &to, &way);
        }
        if exhausted && lookup.questions.is_empty() && !self.awaits_referrals(lookup) {
            return true;
        }
        let answers = lookup.questions.iter().map(|q| q.until);
        let next = if exhausted {
            // Only a referral that is found can bring it forward.
            lookup.ends.min(now.mono + RETRY * 4)
        } else if lookup.questions.len() < limits::LOOKUP_PARALLEL {
            lookup.next_question
        } else {
            lookup.ends
        };
        lookup.due = answers.chain([next, lookup.ends]).min().unwrap_or(next);
        false
    }

    /// Whether floodfills named by answers are being looked up, and could still be asked.
    fn awaits_referrals(&self, lookup: &Lookup) -> bool {
        lookup.goal == Goal::Caller
            && lookup.steps < lookup.max_steps()
            && !lookup.asked.is_empty()
            && self.lookups.values().any(|l| l.goal == Goal::Referral)
    }

    /// The nearest floodfill not asked yet; silent ones last.
    fn next_floodfill(&self, now: Now, lookup: &Lookup, way: &Way) -> Option<Arc<RouterInfo>> {
        let direct = matches!(way, Way::Direct);
        let may = |r: &&Arc<RouterInfo>| {
            !lookup.asked.contains(&r.hash())
                && *r.hash().as_bytes() != *lookup.target.key()
                && self.usable_floodfill(r, direct)
        };
        if let Some(hint) = lookup.hint.and_then(|h| self.store.router(&h)).filter(may) {
            return Some(Arc::clone(hint));
        }
        let key = RoutingKey::of(lookup.target.key(), now.wall);
        let good = self
            .store
            .floodfills()
            .filter(may)
            .filter(|r| !self.strikes.is_out(now.mono, &r.hash()));
        nearest(good, &key, 1)
            .pop()
            .or_else(|| nearest(self.store.floodfills().filter(may), &key, 1).pop())
    }

    /// Whether a floodfill can be asked or stored to: over a link, or out of a tunnel.
    pub(super) fn usable_floodfill(&self, info: &RouterInfo, direct: bool) -> bool {
        info.hash() != self.config.us
            && info.is_floodfill()
            && info.enc_key().is_some()
            && info
                .version()
                .is_some_and(|v| v >= self.config.min_floodfill_version)
            && if direct {
                self.config.reach.dialable(info).is_some()
            } else {
                self.config.reach.is_published(info)
            }
    }

    fn ask(
        &mut self,
        now: Now,
        rng: &mut Rng,
        lookup: &mut Lookup,
        to: &Arc<RouterInfo>,
        way: &Way,
    ) {
        let hash = to.hash();
        let excluded = lookup.asked.iter().copied().collect();
        let mut question = DatabaseLookup {
            key: *lookup.target.key(),
            kind: lookup.kind(),
            from: self.config.us,
            tunnel: None,
            excluded,
            reply_key: None,
        };
        let mut tag = None;
        if let Way::Tunnel(path) = way {
            let (key, reply_tag) = (Secret::new(rng.array()), rng.array());
            tag = Some(reply_tag);
            question.from = path.gateway;
            question.tunnel = Some(path.tunnel);
            question.reply_key = Some(ReplyKey {
                key: key.clone(),
                tag: reply_tag,
            });
            self.push(NetDbOutput::ExpectTag {
                ctx: lookup.ctx,
                path: *path,
                tag: reply_tag,
                key,
                until: now.mono + TAG_LIFE,
            });
        }
        let message = question.to_message(Self::message_id(rng), now.wall + MESSAGE_LIFE);
        let direct = matches!(way, Way::Direct);
        self.push(NetDbOutput::Send {
            ctx: lookup.ctx,
            to: hash,
            message,
            seal: if direct { None } else { to.enc_key() },
            direct,
        });
        lookup.asked.insert(hash);
        lookup.steps += 1;
        lookup.next_question = now.mono + SECOND + rng.jitter(SECOND_SPREAD);
        lookup.questions.push(Question {
            to: hash,
            tag,
            until: now.mono + ANSWER + rng.jitter(ANSWER_SPREAD),
        });
    }

    /// Takes the question out that an answer belongs to, and scores who answered.
    pub(super) fn score_answer(
        &mut self,
        now: Now,
        ctx: Context,
        source: Source,
        target: &Target,
        good: bool,
    ) {
        let who = self
            .lookups
            .values_mut()
            .filter(|l| l.ctx == ctx && l.target == *target)
            .find_map(|l| {
                let at = l.questions.iter().position(|q| match source {
                    Source::Link(from) => q.to == from && q.tag.is_none(),
                    Source::Reply(tag) => q.tag == Some(tag),
                    Source::Tunnel(_) | Source::RouterGarlic => false,
                })?;
                l.due = now.mono;
                l.next_question = now.mono;
                Some(l.questions.swap_remove(at).to)
            });
        if let Some(who) = who {
            let what = if good {
                Observation::LookupAnswered
            } else {
                Observation::LookupFailed
            };
            self.observed(now.mono, who, what);
        }
    }

    pub(super) fn on_search_reply(
        &mut self,
        now: Now,
        ctx: Context,
        source: Source,
        reply: &DatabaseSearchReply,
    ) {
        let mut answered = None;
        for (id, l) in &mut self.lookups {
            if l.ctx != ctx || *l.target.key() != reply.key {
                continue;
            }
            let at = l.questions.iter().position(|q| match source {
                Source::Link(from) => q.to == from && q.tag.is_none(),
                Source::Reply(tag) => q.tag == Some(tag),
                Source::Tunnel(_) | Source::RouterGarlic => false,
            });
            if let Some(at) = at {
                l.due = now.mono;
                l.next_question = now.mono;
                answered = Some((*id, l.goal, l.questions.swap_remove(at).to));
                break;
            }
        }
        let Some((id, goal, who)) = answered else {
            return;
        };
        self.observed(now.mono, who, Observation::LookupAnswered);
        if goal != Goal::Verify && goal != Goal::Referral {
            self.follow(now, who, &reply.peers);
        }
        if matches!(goal, Goal::Explore | Goal::Meet) {
            self.finish(now, id, true);
        }
    }

    /// Looks up routers that a search reply named and that we do not know.
    fn follow(&mut self, now: Now, referrer: RouterHash, peers: &[RouterHash]) {
        for peer in peers.iter().take(limits::SEARCH_REPLY_FOLLOWED) {
            let target = Target::Router(*peer);
            if *peer == self.config.us
                || self.store.router(peer).is_some()
                || self.is_asked(Context::Router, &target)
            {
                continue;
            }
            let mut lookup = Lookup::new(now, Context::Router, target, Goal::Referral);
            // Who named it has its RouterInfo.
            lookup.hint = Some(referrer);
            self.start(lookup);
        }
    }
}

/// Through tunnels when the context has both; directly only for the router itself.
fn way_for(ctx: Context, rng: &mut Rng, paths: &dyn Paths) -> Option<Way> {
    if paths.has_outbound(ctx)
        && let Some(path) = paths.reply_path(ctx, rng)
    {
        return Some(Way::Tunnel(path));
    }
    (ctx == Context::Router).then_some(Way::Direct)
}
