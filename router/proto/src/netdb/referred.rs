//! Floodfills that the answers to one destination's lookups named: known in its context alone.

use super::Context;
use crate::limits;
use crate::wire::hash::RouterHash;
use crate::wire::router_info::RouterInfo;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// RouterInfos by context, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Referred(BTreeMap<Context, VecDeque<Arc<RouterInfo>>>);

impl Referred {
    /// Takes one in; the oldest of the context gives way.
    pub(super) fn put(&mut self, ctx: Context, info: Arc<RouterInfo>) {
        let all = self.0.entry(ctx).or_default();
        all.retain(|r| r.hash() != info.hash());
        if all.len() >= limits::REFERRED_MAX {
            all.pop_front();
        }
        all.push_back(info);
    }

    /// Those of a context.
    pub(super) fn of(&self, ctx: Context) -> impl Iterator<Item = &Arc<RouterInfo>> {
        self.0.get(&ctx).into_iter().flatten()
    }

    /// One of a context.
    pub(super) fn get(&self, ctx: Context, hash: &RouterHash) -> Option<&Arc<RouterInfo>> {
        self.of(ctx).find(|r| r.hash() == *hash)
    }

    /// Forgets those of a context.
    pub(super) fn drop_context(&mut self, ctx: Context) {
        self.0.remove(&ctx);
    }
}
