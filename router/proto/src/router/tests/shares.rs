//! What clients and peers get: destinations, streams, and our return after an absence.

use super::{router, start};
use crate::config::Config;
use crate::peer::testing::Draft;
use crate::router::Router;
use crate::router::boot::Saved;
use crate::router::input::{ClientCmd, ClientId, Direction, LinkEvent};
use crate::router::output::{ClientEvent, LinkCmd, Output, Persist};
use crate::time::{Date, Instant, Now};
use std::collections::BTreeSet;

/// Lets a router run until `now`; what it put out.
fn run(router: &mut Router, now: Now) -> Vec<Output> {
    router.handle_timeout(now);
    std::iter::from_fn(|| router.poll_output()).collect()
}

#[test]
fn a_return_dials_at_once_who_had_a_link_before() {
    let at = |s: u64| Now {
        mono: Instant(s * 1_000_000),
        wall: Date::from_secs(1_700_000_000 + s),
    };
    let config = Config::default;
    let others: Vec<_> = (2..5)
        .map(|n| {
            let mut draft = Draft::new(n, "LR", at(0).wall);
            draft.net_id = config().net_id;
            draft.build()
        })
        .collect();
    let saved = |profiles| Saved {
        routers: others.clone(),
        profiles,
        ..Saved::default()
    };
    let mut before = start(config(), 1, saved(Vec::new()), at(0));
    for (info, direction) in [
        (&others[0], Direction::Inbound),
        (&others[1], Direction::Outbound),
    ] {
        before.handle_link(
            at(1),
            LinkEvent::Up {
                peer: info.hash(),
                direction,
                info: None,
            },
        );
    }
    let kept = run(&mut before, at(2)).into_iter().filter_map(|o| match o {
        Output::Persist(Persist::Profile { hash, bytes }) => Some((hash, bytes?)),
        _ => None,
    });
    let kept: Vec<_> = kept.collect();
    let dialled = |saved, start_at, then| {
        let mut after = start(config(), 1, saved, start_at);
        let outputs = run(&mut after, then).into_iter().filter_map(|o| match o {
            Output::Link(LinkCmd::Dial(info)) => Some(info.hash()),
            _ => None,
        });
        outputs.collect::<BTreeSet<_>>()
    };
    let linked = BTreeSet::from([others[0].hash(), others[1].hash()]);
    assert_eq!(dialled(saved(kept.clone()), at(60), at(61)), linked);
    // A day later nobody holds it against us any more.
    let day = 24 * 3600;
    assert!(dialled(saved(kept), at(day), at(day + 1)).is_empty());
}

/// Opens a stream for a client; whether it was refused at once.
fn is_refused(router: &mut Router, now: Now, id: u64, tag: &[u8]) -> bool {
    let cmd = ClientCmd::Open {
        id: ClientId(id),
        tag: tag.to_vec(),
        host: format!("{}.b32.i2p", "a".repeat(52)),
        port: 80,
    };
    router.handle_client(now, cmd);
    let outputs = std::iter::from_fn(|| router.poll_output());
    let refused = |o: &Output| matches!(o, Output::Client(ClientEvent::Refused { .. }));
    outputs.filter(refused).count() > 0
}

#[test]
fn a_new_client_gets_the_destination_of_one_that_is_gone() {
    let at = |s: u64| Now {
        mono: Instant(s * 1_000_000),
        wall: Date::from_secs(1_700_000_000 + s),
    };
    let mut router = start(Config::default(), 1, Saved::default(), at(0));
    let most = Config::default().destinations as u64;
    for n in 0..most {
        assert!(!is_refused(&mut router, at(1), n, &[n as u8]), "client {n}");
    }
    assert!(
        is_refused(&mut router, at(1), most, b"late"),
        "all are in use"
    );
    for n in 1..most {
        router.handle_client(at(1), ClientCmd::Reset { id: ClientId(n) });
    }
    run(&mut router, at(2));
    assert!(is_refused(&mut router, at(30), most, b"late"), "just used");
    run(&mut router, at(20));
    let destinations = router.snapshot(at(70)).destinations;
    assert!(!is_refused(&mut router, at(70), most, b"late"));
    assert_eq!(router.snapshot(at(70)).destinations, destinations);
    // The one whose stream still waits has lost nothing.
    assert!(!is_refused(&mut router, at(70), 0, &[0]));
}

#[test]
fn one_clients_streams_leave_room_for_others() {
    let mut router = router(Config::default());
    let now = Now::default();
    let mut next = 0;
    let mut greedy = |tag: &[u8]| {
        let first = next;
        while !is_refused(&mut router, now, next, tag) {
            next += 1;
        }
        next += 1;
        next - first - 1
    };
    for tag in [b"a", b"b", b"c", b"d"] {
        assert!(greedy(tag) >= 64);
    }
    assert!(greedy(b"late") >= 32);
}
