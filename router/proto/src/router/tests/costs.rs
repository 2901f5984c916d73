//! What an event costs: destinations that it does not touch are not looked at.

use super::router;
use crate::config::{Config, PoolConfig};
use crate::dest::local::LocalDest;
use crate::router::Router;
use crate::router::input::{ClientCmd, ClientId, LinkEvent};
use crate::time::{Date, Instant, Now};
use crate::tunnel::PoolId;
use crate::wire::hash::DestHash;

fn at(ms: u64) -> Now {
    Now {
        mono: Instant(ms * 1000),
        wall: Date::from_secs(1_700_000_000 + ms / 1000),
    }
}

fn open(router: &mut Router, now: Now, id: u64) {
    let cmd = ClientCmd::Open {
        id: ClientId(id),
        tag: vec![id as u8],
        host: DestHash([1; 32]).b32(),
        port: 80,
    };
    router.handle_client(now, cmd);
}

/// A router with four clients, each of another destination, whose tunnels have no hops; at rest.
fn with_clients() -> Router {
    let pool = PoolConfig {
        hops: 0,
        quantity: 2,
    };
    let mut router = router(Config {
        client: pool,
        exploratory: pool,
        ..Config::default()
    });
    for id in 0..4 {
        open(&mut router, at(1), id);
    }
    for ms in (100..5000).step_by(100) {
        router.handle_timeout(at(ms));
    }
    while router.poll_output().is_some() {}
    router
}

/// The destinations that were driven while `what` happened.
fn touched(router: &mut Router, what: impl FnOnce(&mut Router)) -> Vec<PoolId> {
    let before = router.dests.driven();
    what(router);
    let deadlines = router.dests.iter().filter_map(|(_, d)| d.deadline());
    assert_eq!(
        router.dests.deadline(),
        deadlines.min(),
        "none is forgotten"
    );
    let after = router.dests.driven().into_iter();
    let driven = after.filter(|(pool, n)| before.get(pool) != Some(n));
    driven.map(|(pool, _)| pool).collect()
}

#[test]
fn an_event_drives_only_the_destination_that_it_touches() {
    let mut router = with_clients();
    assert!(router.dests.len() >= 4);
    assert!(router.dests.iter().all(|(_, d)| d.lease_set().is_some()));
    let load = LinkEvent::Load {
        transit_bytes_per_sec: 1,
        limited: false,
    };
    let by_load = touched(&mut router, |r| r.handle_link(at(5001), load));
    assert_eq!(by_load, [], "of no destination");
    let mut seen = Vec::new();
    for id in 0..4 {
        let one = touched(&mut router, |r| open(r, at(5002), id));
        assert_eq!(one.len(), 1, "client {id}: {one:?}");
        seen.extend(one);
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 4, "each its own");
}

#[test]
fn a_deadline_drives_only_those_that_have_it() {
    let mut router = with_clients();
    let due = router.dests.deadline().expect("a deadline");
    let whose = |router: &Router, d: &dyn Fn(&LocalDest) -> bool| {
        let dests = router.dests.iter().filter(|(_, dest)| d(dest));
        dests.map(|(pool, _)| pool).collect::<Vec<_>>()
    };
    let expected = whose(&router, &|d| d.deadline().is_some_and(|at| at <= due));
    let all = whose(&router, &|_| true);
    assert!(expected.len() < all.len(), "not all at once");
    router.next_tick = due + core::time::Duration::from_secs(1);
    let now = Now {
        mono: due,
        wall: at(5000).wall,
    };
    let seen = touched(&mut router, |r| r.handle_timeout(now));
    assert!(!expected.is_empty());
    for pool in all {
        let (is_due, was_driven) = (expected.contains(&pool), seen.contains(&pool));
        assert_eq!(was_driven, is_due, "{pool:?}");
    }
}
