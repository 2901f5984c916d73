//! Links that closest hops of our inbound tunnels need.

use super::router;
use crate::config::Config;
use crate::peer::testing::Draft;
use crate::router::EXPLORATORY;
use crate::router::input::{Direction, LinkDown, LinkEvent};
use crate::router::output::{LinkCmd, Output};
use crate::time::{Date, Instant, Now};

fn at(secs: u64) -> Now {
    Now {
        mono: Instant(secs * 1_000_000),
        wall: Date::from_secs(1_700_000_000 + secs),
    }
}

/// Dials in each of the first `minutes` of a closest hop that takes each link and lets it go when
/// it has held it for `hold` seconds.
fn dials(minutes: u64, hold: u64) -> Vec<usize> {
    let config = Config {
        spare_destination: false,
        ..Config::default()
    };
    let mut draft = Draft::new(2, "LR", at(0).wall);
    draft.net_id = config.net_id;
    let mut router = router(config);
    let (info, mut rng) = (draft.build(), crate::rng::Rng::from_number(7));
    let peer = info.hash();
    router.learn(at(0), vec![info]);
    router
        .tunnels
        .pretend_inbound(at(0), &mut rng, EXPLORATORY, peer);
    let up = || LinkEvent::Up {
        peer,
        direction: Direction::Outbound,
        info: None,
    };
    let down = || LinkEvent::Down {
        peer,
        why: LinkDown::Closed,
    };
    router.handle_link(at(0), up());
    let mut dials = vec![0; minutes as usize];
    let mut lets_go = Some(hold);
    for s in 0..minutes * 60 {
        router.handle_timeout(at(s));
        // A shell that is asked without end would never rest.
        for _ in 0..100 {
            if lets_go.is_some_and(|then| then <= s) {
                lets_go = None;
                router.handle_link(at(s), down());
            }
            while let Some(output) = router.poll_output() {
                if matches!(output, Output::Link(LinkCmd::Dial(ref i)) if i.hash() == peer) {
                    dials[s as usize / 60] += 1;
                    router.handle_link(at(s), up());
                    lets_go = Some(s + hold);
                }
            }
        }
    }
    dials
}

#[test]
fn a_closest_hop_that_lets_go_at_once_is_dialled_after_growing_pauses() {
    let seen = dials(8, 0);
    assert!((5..=8).contains(&seen[0]), "{seen:?}");
    assert!(seen[1..].iter().all(|n| (3..=5).contains(n)), "{seen:?}");
}

#[test]
fn a_link_that_held_for_long_is_had_back_at_once() {
    let seen = dials(8, 119);
    assert_eq!(seen, [0, 1, 0, 1, 0, 1, 0, 1]);
}
