//! A clock that is wrong, and one that is set while the router runs.

use super::router_at;
use crate::config::{Config, PoolConfig};
use crate::router::Router;
use crate::router::input::{LinkDown, LinkEvent};
use crate::router::output::{LinkCmd, Output};
use crate::time::{Date, Instant, Now};
use crate::trace::{Event, Level};
use crate::wire::hash::RouterHash;
use core::time::Duration;

/// 2026-03-01.
const TODAY: u64 = 1_772_323_200;
const DAY: u64 = 86_400;

/// `secs` after the start, by a wall clock that started at `start`.
fn at(start: u64, secs: u64) -> Now {
    Now {
        mono: Instant(1 + secs * 1_000_000),
        wall: Date::from_secs(start + secs),
    }
}

/// A router whose tunnels have no hops, so that it has LeaseSets at once.
fn direct(now: Now) -> Router {
    let pool = PoolConfig {
        hops: 0,
        quantity: 2,
    };
    let config = Config {
        client: pool,
        exploratory: pool,
        ..Config::default()
    };
    router_at(config, now)
}

/// Takes all outputs, up to `now`; the dates of the RouterInfos that the links were given.
fn run(router: &mut Router, now: Now) -> Vec<Date> {
    router.handle_timeout(now);
    let mut given = Vec::new();
    while let Some(output) = router.poll_output() {
        if let Output::Link(LinkCmd::OwnInfo(info)) = output {
            given.push(info.published());
        }
    }
    given
}

/// Published date and end of the last lease of the spare destination.
fn lease_set(router: &Router) -> (Date, Date) {
    let dest = router.destinations().next().unwrap();
    let ls = dest.lease_set.unwrap();
    (ls.published(), ls.expires())
}

#[test]
fn a_clock_that_is_set_either_way_renews_everything_at_once() {
    for (wrong, right) in [(TODAY + 3 * DAY, TODAY), (0, TODAY), (TODAY, TODAY + DAY)] {
        let mut router = direct(at(wrong, 0));
        for secs in 1..5 {
            assert!(run(&mut router, at(wrong, secs)).is_empty());
        }
        assert!(lease_set(&router).0 < Date::from_secs(wrong + 10));
        let given = run(&mut router, at(right, 6));
        assert_eq!(given, [at(right, 6).wall]);
        assert_eq!(router.info().published(), at(right, 6).wall);
        let (published, expires) = lease_set(&router);
        assert_eq!(published, at(right, 6).wall);
        let left = expires.since(at(right, 6).wall);
        let life = Duration::from_secs(580)..Duration::from_secs(600);
        assert!(life.contains(&left), "{left:?}");
        // Once is enough.
        assert!(run(&mut router, at(right, 7)).is_empty());
        assert_eq!(router.snapshot(at(right, 7)).clock.jumps, 1);
    }
}

#[test]
fn a_clock_of_1970_is_told_and_then_said_to_be_right() {
    let mut router = direct(at(0, 0));
    let mut warned = Vec::new();
    for now in [at(0, 1), at(0, 2), at(TODAY, 3), at(TODAY, 4)] {
        router.handle_timeout(now);
        while let Some(output) = router.poll_output() {
            if let Output::Trace(Event::Note(level @ (Level::Warn | Level::Info), text)) = output {
                warned.push((level, text));
            }
        }
    }
    let levels: Vec<Level> = warned.iter().map(|(l, _)| *l).collect();
    assert_eq!(levels, [Level::Warn, Level::Warn, Level::Info]);
    assert!(warned[0].1.contains("set the date"), "{warned:?}");
}

/// Failed dials of six routers whose clocks are `secs` ahead of ours; how many are blamed.
fn blamed(secs: [i64; 6]) -> usize {
    let mut router = direct(at(TODAY, 0));
    for (n, secs) in (1..).zip(secs) {
        let from = RouterHash([n; 32]);
        let skew = LinkEvent::Skew {
            from,
            secs,
            dialled: true,
        };
        router.handle_link(at(TODAY, 1), skew);
        let down = LinkDown::Clock;
        if secs.abs() > 60 {
            router.handle_link(
                at(TODAY, 1),
                LinkEvent::Down {
                    peer: from,
                    why: down,
                },
            );
        }
    }
    router.peers.len()
}

#[test]
fn peers_are_not_blamed_for_our_clock_and_are_for_their_own() {
    assert_eq!(blamed([7200; 6]), 0);
    assert_eq!(blamed([0, 1, -1, 2, 7200, 7200]), 2);
}

#[test]
fn the_median_of_those_we_dialled_is_in_the_snapshot() {
    let mut router = direct(at(TODAY, 0));
    for n in 0..8 {
        let skew = LinkEvent::Skew {
            from: RouterHash([n; 32]),
            secs: if n < 3 { -5400 } else { 90 },
            dialled: n < 3,
        };
        router.handle_link(at(TODAY, 1), skew);
    }
    let clock = router.snapshot(at(TODAY, 2)).clock;
    assert_eq!((clock.skew_secs, clock.peers), (Some(-5400), 3));
    assert!(clock.advice().unwrap().contains("90 minutes ahead"));
}
