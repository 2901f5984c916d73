//! The questions of a lookup: how they travel, and what their answers bring.

use super::{Goal, Lookup};
use crate::limits;
use crate::netdb::{Context, MESSAGE_LIFE, NetDb, NetDbOutput, Paths, ReplyPath, Source, Target};
use crate::peer::profile::Observation;
use crate::rng::Rng;
use crate::secret::Secret;
use crate::time::{Instant, Now};
use crate::wire::hash::RouterHash;
use crate::wire::i2np::lookup::{DatabaseLookup, ReplyKey};
use crate::wire::i2np::search_reply::DatabaseSearchReply;
use crate::wire::router_info::RouterInfo;
use core::time::Duration;
use std::sync::Arc;

/// A floodfill has this long to answer, plus jitter.
const ANSWER: Duration = Duration::from_millis(2600);
const ANSWER_SPREAD: Duration = Duration::from_millis(400);
/// The second floodfill is asked this long after the first, plus jitter.
const SECOND: Duration = Duration::from_millis(400);
const SECOND_SPREAD: Duration = Duration::from_millis(300);
/// Tags of replies are expected for this long.
const TAG_LIFE: Duration = Duration::from_secs(15);

/// One floodfill was asked.
pub(super) struct Question {
    pub(super) to: RouterHash,
    tag: Option<[u8; 8]>,
    pub(super) until: Instant,
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

/// How the next question can travel.
pub(super) enum Way {
    Tunnel(ReplyPath),
    Direct,
}

impl Way {
    /// Whether what comes back passes this router first.
    pub(super) fn comes_by(&self, gateway: Option<RouterHash>) -> bool {
        matches!(self, Self::Tunnel(path) if Some(path.gateway) == gateway)
    }
}

impl NetDb {
    pub(super) fn ask(
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
    pub(in crate::netdb) fn who_answers(
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
    pub(in crate::netdb) fn score_answer(
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

    pub(in crate::netdb) fn on_search_reply(
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
        if ctx == Context::Router {
            // What a destination hears stays with it.
            for peer in reply.peers.iter().take(limits::SEARCH_REPLY_FOLLOWED) {
                if self.routers.named(peer, who) {
                    self.note_change(now.mono, *peer);
                }
            }
        }
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
pub(super) fn way_for(
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
