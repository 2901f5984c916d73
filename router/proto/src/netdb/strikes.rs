//! Floodfills that did not answer: asked last for a while. Each context finds out for itself:
//! otherwise a floodfill that ignores one destination would see which others stop asking it.

use super::Context;
use crate::limits;
use crate::time::Instant;
use crate::wire::hash::RouterHash;
use core::time::Duration;
use std::collections::BTreeMap;

/// Failures in a row after which a floodfill is passed over.
const OUT: u32 = 2;
/// It is passed over for this long.
const REST: Duration = Duration::from_secs(5 * 60);

/// Failures in a row, and when they are forgiven.
#[derive(Clone, Debug, Default)]
pub(super) struct Strikes(BTreeMap<(Context, RouterHash), (u32, Instant)>);

impl Strikes {
    /// It did not answer.
    pub(super) fn failed(&mut self, now: Instant, ctx: Context, router: RouterHash) {
        let key = (ctx, router);
        if self.0.len() >= limits::STRIKES_MAX && !self.0.contains_key(&key) {
            let first = self.0.iter().min_by_key(|(_, (_, until))| *until);
            if let Some(hash) = first.map(|(h, _)| *h) {
                self.0.remove(&hash);
            }
        }
        let strike = self.0.entry(key).or_insert((0, now));
        if strike.1 < now {
            strike.0 = 0;
        }
        *strike = (strike.0.saturating_add(1), now + REST);
    }

    /// It answered.
    pub(super) fn answered(&mut self, ctx: Context, router: RouterHash) {
        self.0.remove(&(ctx, router));
    }

    /// Whether it is to be asked last.
    pub(super) fn is_out(&self, now: Instant, ctx: Context, router: &RouterHash) -> bool {
        self.0
            .get(&(ctx, *router))
            .is_some_and(|(n, until)| *n >= OUT && *until > now)
    }

    /// Forgets what a context found out.
    pub(super) fn drop_context(&mut self, ctx: Context) {
        self.0.retain(|(c, _), _| *c != ctx);
    }
}
