//! Iterative lookups (i2p docs/how/network-database, RouterInfo and LeaseSet Lookup): the
//! nearest floodfills are asked one after the other, two at a time, through tunnels of the
//! context with sealed replies. Directly only by the router itself before it has tunnels.
//!
//! What a destination's lookup leads to stays with it: routers that an answer names are looked up
//! through the same tunnels and are known in that context alone, so that a floodfill which names
//! one that only it knows does not see it asked by our other destinations or by us.

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
/// Floodfills asked for others, for a router named by an answer, and to verify.
const FEW_STEPS: usize = 3;

/// What a lookup is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// A caller waits for it.
    Caller,
    /// A message of somebody else waits for it.
    Errand,
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
    /// Routers named by answers that were followed.
    followed: usize,
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
            followed: 0,
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
            Goal::Verify | Goal::Referral | Goal::Errand => FEW_STEPS,
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

impl Question {
    fn is_answered_by(&self, source: Source) -> bool {
        match source {
            Source::Link(from) => self.to == from && self.tag.is_none(),
            Source::Reply(tag) => self.tag == Some(tag),
            Source::Tunnel(_) | Source::RouterGarlic(_) => false,
        }
    }
}

/// Whose business a lookup is; each has room of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Callers,
    Ours,
    Others,
}

impl Kind {
    const fn of(goal: Goal) -> Self {
        match goal {
            Goal::Caller => Self::Callers,
            Goal::Errand => Self::Others,
            Goal::Referral | Goal::Explore | Goal::Meet | Goal::Verify => Self::Ours,
        }
    }

    /// How many there may be, and how many of one context.
    const fn limits(self) -> (usize, usize) {
        match self {
            Self::Callers => (limits::LOOKUPS_MAX, limits::LOOKUPS_PER_CONTEXT),
            Self::Ours => (limits::OWN_LOOKUPS_MAX, limits::OWN_LOOKUPS_PER_CONTEXT),
            Self::Others => (limits::OTHERS_LOOKUPS_MAX, limits::OTHERS_LOOKUPS_MAX),
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
            l.ctx == ctx
                && l.target == target
                && !matches!(l.goal, Goal::Explore | Goal::Meet | Goal::Verify)
        }) {
            running.goal = Goal::Caller;
            running.due = now.mono;
            return *id;
        }
        self.start(Lookup::new(now, ctx, target, Goal::Caller))
    }

    /// Looks up a router that a message of somebody else has to go to, at a metered rate and with
    /// few questions. It ends as [`NetDb::lookup`] does, which may be at once.
    pub fn lookup_for_others(&mut self, now: Now, target: Target) {
        if self.is_asked(Context::Router, &target) {
            return;
        }
        if self.duties.errands.take(now.mono, 1) {
            self.start(Lookup::new(now, Context::Router, target, Goal::Errand));
        } else {
            self.refused += 1;
            let (id, ctx) = (self.next_id(), Context::Router);
            self.push(NetDbOutput::NotFound { id, ctx, target });
        }
    }

    /// Whether others may make us look up something now.
    pub(super) fn has_errand(&self, now: Now) -> bool {
        self.duties.errands.has(now.mono, 1)
    }

    fn next_id(&mut self) -> LookupId {
        let id = LookupId(self.next_id);
        self.next_id += 1;
        id
    }

    /// Registers a lookup; when there are too many of its kind it fails at once.
    pub(super) fn start(&mut self, lookup: Lookup) -> LookupId {
        let id = self.next_id();
        let (ctx, target, goal) = (lookup.ctx, lookup.target, lookup.goal);
        let kind = Kind::of(goal);
        let of_kind = || self.lookups.values().filter(|l| Kind::of(l.goal) == kind);
        let of_context = of_kind().filter(|l| l.ctx == ctx).count();
        let (most, in_context) = kind.limits();
        if of_kind().count() < most && of_context < in_context {
            self.lookups.insert(id, lookup);
        } else if matches!(goal, Goal::Caller | Goal::Errand) {
            self.push(NetDbOutput::NotFound { id, ctx, target });
        }
        id
    }

    /// Those of a context that could not go on may now.
    pub(super) fn wake_lookups(&mut self, now: Instant, ctx: Context) {
        for l in self.lookups.values_mut().filter(|l| l.ctx == ctx) {
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

    /// Ends the lookups of a context for the target with success.
    pub(super) fn succeed(&mut self, now: Now, ctx: Context, target: Target) {
        let done: Vec<LookupId> = self
            .lookups
            .iter()
            .filter(|(_, l)| l.target == target && l.ctx == ctx)
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
            (Goal::Caller | Goal::Errand, true) => {
                self.push(NetDbOutput::Found { id, ctx, target });
            }
            (Goal::Caller | Goal::Errand, false) => {
                self.push(NetDbOutput::NotFound { id, ctx, target });
            }
            (Goal::Verify, _) => self.on_verified(now, ctx, target, found),
            (Goal::Referral, true) => self.wake_lookups(now.mono, ctx),
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
            self.observed(now.mono, lookup.ctx, q.to, Observation::LookupFailed);
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
            let Some(mut way) = way_for(lookup.ctx, None, rng, paths) else {
                lookup.next_question = now.mono + RETRY;
                break;
            };
            let Some(to) = self.next_floodfill(now, lookup, &way) else {
                exhausted = true;
                break;
            };
            if matches!(&way, Way::Tunnel(path) if path.gateway == to.hash()) {
                way = way_for(lookup.ctx, Some(to.hash()), rng, paths).unwrap_or(way);
            }
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
            && self
                .lookups
                .values()
                .any(|l| l.goal == Goal::Referral && l.ctx == lookup.ctx)
    }

    /// The nearest floodfill not asked yet; silent ones last.
    fn next_floodfill(&self, now: Now, lookup: &Lookup, way: &Way) -> Option<Arc<RouterInfo>> {
        let direct = matches!(way, Way::Direct);
        let may = |r: &&Arc<RouterInfo>| {
            !lookup.asked.contains(&r.hash())
                && *r.hash().as_bytes() != *lookup.target.key()
                && self.usable_floodfill(r, direct)
        };
        let hint = lookup.hint.and_then(|h| self.floodfill_of(lookup.ctx, &h));
        if let Some(hint) = hint.filter(may) {
            return Some(Arc::clone(hint));
        }
        let key = RoutingKey::of(lookup.target.key(), now.wall);
        self.nearest_floodfill(now, lookup.ctx, &key, |r| may(&r))
    }

    /// The nearest floodfill that a context may ask or store to. Those that were silent lately, or
    /// were heard of only now, come last.
    pub(super) fn nearest_floodfill(
        &self,
        now: Now,
        ctx: Context,
        key: &RoutingKey,
        may: impl Fn(&Arc<RouterInfo>) -> bool,
    ) -> Option<Arc<RouterInfo>> {
        let usable = || self.floodfills_of(ctx).filter(|r| may(r));
        let good = usable().filter(|r| {
            let hash = r.hash();
            let settled = ctx == Context::Router
                || self.routers.is_settled(&hash, now.mono)
                || self.referred.get(ctx, &hash).is_some();
            settled && !self.strikes.is_out(now.mono, ctx, &hash)
        });
        nearest(good, key, 1)
            .pop()
            .or_else(|| nearest(usable(), key, 1).pop())
    }

    /// The floodfills that a context may know: a destination not those that somebody planted.
    pub(super) fn floodfills_of(&self, ctx: Context) -> impl Iterator<Item = &Arc<RouterInfo>> {
        let known = self
            .routers
            .floodfills()
            .filter(move |r| ctx == Context::Router || self.routers.may_serve_clients(&r.hash()));
        known.chain(self.referred.of(ctx))
    }

    /// A router that a context may know.
    pub(super) fn floodfill_of(&self, ctx: Context, hash: &RouterHash) -> Option<&Arc<RouterInfo>> {
        let known = self.routers.get(hash);
        known
            .filter(|_| ctx == Context::Router || self.routers.may_serve_clients(hash))
            .or_else(|| self.referred.get(ctx, hash))
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

    /// Who answers a question for the target, as far as the way of the answer proves it: the tag
    /// that only they know, or their link when they were asked over it.
    pub(super) fn who_answers(
        &self,
        ctx: Context,
        source: Source,
        target: &Target,
    ) -> Option<RouterHash> {
        let asked = self.lookups.values();
        let questions = asked
            .filter(|l| l.ctx == ctx && l.target == *target)
            .flat_map(|l| &l.questions);
        let mut answered = questions.filter(|q| q.is_answered_by(source));
        answered.next().map(|q| q.to)
    }

    /// Takes the question out that an answer belongs to, and scores who answered; `good` is `None`
    /// when the answer says nothing of them.
    pub(super) fn score_answer(
        &mut self,
        now: Now,
        ctx: Context,
        source: Source,
        target: &Target,
        good: Option<bool>,
    ) {
        let who = self
            .lookups
            .values_mut()
            .filter(|l| l.ctx == ctx && l.target == *target)
            .find_map(|l| {
                let at = l.questions.iter().position(|q| q.is_answered_by(source))?;
                l.due = now.mono;
                l.next_question = now.mono;
                Some(l.questions.swap_remove(at).to)
            });
        let what = match good {
            Some(true) => Observation::LookupAnswered,
            Some(false) => Observation::LookupFailed,
            None => return,
        };
        if let Some(who) = who {
            self.observed(now.mono, ctx, who, what);
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
            let at = l.questions.iter().position(|q| q.is_answered_by(source));
            if let Some(at) = at {
                l.due = now.mono;
                l.next_question = now.mono;
                let room = limits::LOOKUP_FOLLOWED.saturating_sub(l.followed);
                let n = reply
                    .peers
                    .len()
                    .min(limits::SEARCH_REPLY_FOLLOWED)
                    .min(room);
                l.followed += n;
                answered = Some((*id, l.goal, l.questions.swap_remove(at).to, n));
                break;
            }
        }
        let Some((id, goal, who, n)) = answered else {
            return;
        };
        self.observed(now.mono, ctx, who, Observation::LookupAnswered);
        if !matches!(goal, Goal::Verify | Goal::Referral | Goal::Errand) {
            let peers = reply.peers.iter().take(n).copied().collect::<Vec<_>>();
            self.follow(now, ctx, who, &peers);
        }
        if matches!(goal, Goal::Explore | Goal::Meet) {
            self.finish(now, id, true);
        }
    }

    /// Looks up routers that a search reply named and that the context does not know.
    fn follow(&mut self, now: Now, ctx: Context, referrer: RouterHash, peers: &[RouterHash]) {
        for peer in peers {
            let target = Target::Router(*peer);
            // A destination must not show by leaving out ourselves whose it is.
            let us = ctx == Context::Router && *peer == self.config.us;
            if us || self.floodfill_of(ctx, peer).is_some() || self.is_asked(ctx, &target) {
                continue;
            }
            let mut lookup = Lookup::new(now, ctx, target, Goal::Referral);
            // Who named it has its RouterInfo.
            lookup.hint = Some(referrer);
            self.start(lookup);
        }
    }
}

/// Through tunnels when the context has both; directly only for the router itself.
fn way_for(
    ctx: Context,
    asked: Option<RouterHash>,
    rng: &mut Rng,
    paths: &dyn Paths,
) -> Option<Way> {
    if paths.has_outbound(ctx)
        && let Some(path) = paths.reply_path(ctx, asked, rng)
    {
        return Some(Way::Tunnel(path));
    }
    (ctx == Context::Router).then_some(Way::Direct)
}
