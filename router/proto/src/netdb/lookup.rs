//! Iterative lookups (i2p docs/how/network-database, RouterInfo and LeaseSet Lookup): the
//! nearest floodfills are asked one after the other, two at a time, through tunnels of the
//! context with sealed replies. Directly only by the router itself before it has tunnels.
//!
//! What a destination's lookup leads to stays with it: routers that an answer names are looked up
//! through the same tunnels and are known in that context alone, so that a floodfill which names
//! one that only it knows does not see it asked by our other destinations or by us.

mod question;
mod whom;

use super::{Context, LookupId, NetDb, NetDbOutput, Paths, Target};
use crate::limits;
use crate::peer::profile::Observation;
use crate::rng::Rng;
use crate::time::{Instant, Now};
use crate::wire::hash::RouterHash;
use crate::wire::i2np::lookup::LookupKind;
use crate::wire::router_info::RouterInfo;
use core::time::Duration;
use question::{Question, Way, way_for};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A lookup ends after this time.
const TOTAL: Duration = Duration::from_secs(20);
/// Without tunnels or floodfills it is tried again after this time.
const RETRY: Duration = Duration::from_millis(250);
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
    /// Of those asked, who said nothing yet, and who ever did: they are asked once more.
    silent: BTreeSet<RouterHash>,
    were_silent: BTreeSet<RouterHash>,
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
            silent: BTreeSet::new(),
            were_silent: BTreeSet::new(),
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
            if lookup.were_silent.insert(q.to) {
                lookup.silent.insert(q.to);
            }
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
            let Some(way) = way_for(lookup.ctx, None, rng, paths) else {
                lookup.next_question = now.mono + RETRY;
                break;
            };
            let Some(to) = self.whom(now, lookup, &way) else {
                exhausted = true;
                break;
            };
            let (to, way) = self.apart(now, rng, paths, lookup, (to, way));
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

    /// Who is asked next. Who said nothing is asked once more when there is nobody else: question
    /// or answer may have been lost.
    fn whom(&self, now: Now, lookup: &mut Lookup, way: &Way) -> Option<Arc<RouterInfo>> {
        let fresh = self.next_floodfill(now, lookup, way, None);
        if fresh.is_some() || lookup.goal != Goal::Caller {
            return fresh;
        }
        for silent in core::mem::take(&mut lookup.silent) {
            lookup.asked.remove(&silent);
        }
        self.next_floodfill(now, lookup, way, None)
    }

    /// The answer should not come by a gateway that is asked itself: Java's floodfills do not seal
    /// what they hand to themselves. By another tunnel, else somebody else is asked first.
    fn apart(
        &self,
        now: Now,
        rng: &mut Rng,
        paths: &dyn Paths,
        lookup: &Lookup,
        (to, way): (Arc<RouterInfo>, Way),
    ) -> (Arc<RouterInfo>, Way) {
        let asked = Some(to.hash());
        if !way.comes_by(asked) {
            return (to, way);
        }
        let way = way_for(lookup.ctx, asked, rng, paths).unwrap_or(way);
        let other = way.comes_by(asked);
        let other = other.then(|| self.next_floodfill(now, lookup, &way, asked));
        (other.flatten().unwrap_or(to), way)
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
}
