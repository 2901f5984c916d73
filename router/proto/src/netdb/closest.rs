//! The nearest routers to a key.

use super::routing_key::RoutingKey;
use crate::wire::router_info::RouterInfo;
use std::sync::Arc;

/// The `n` routers nearest to the key, nearest first.
pub fn nearest<'a>(
    routers: impl Iterator<Item = &'a Arc<RouterInfo>>,
    key: &RoutingKey,
    n: usize,
) -> Vec<Arc<RouterInfo>> {
    let mut best: Vec<([u8; 32], &Arc<RouterInfo>)> = Vec::with_capacity(n + 1);
    for info in routers {
        let distance = key.distance(&info.hash());
        let at = best.partition_point(|(d, _)| *d <= distance);
        if at < n {
            best.insert(at, (distance, info));
            best.truncate(n);
        }
    }
    best.into_iter().map(|(_, info)| Arc::clone(info)).collect()
}
