//! An attacker at the ends of others' tunnels and among the floodfills learns nothing from the
//! answers that it keeps back and hands to others.

use ramson_proto::wire::i2np::kind;
use ramson_tests::sim::Sim;
use ramson_tests::sim::app::Transfer;
use ramson_tests::sim::attack::{Attack, Bait};
use ramson_tests::sim::world::World;
use std::time::Duration;

/// Two of the floodfills and three other routers.
const HOSTILE: [usize; 5] = [0, 1, 5, 6, 7];

/// Three minutes of a network in which honest clients use honest servers.
fn run(seed: u64, bait: Bait) -> Sim {
    let world = World {
        seed,
        routers: 14,
        ..World::default()
    };
    let mut sim = world.build();
    sim.set_attack(Attack::new(&HOSTILE, bait));
    for n in 0..6 {
        let transfer = Transfer {
            client: 8 + n % 3,
            server: 12 + n % 2,
            tag: vec![n as u8 / 2],
            bytes: 10_000,
        };
        sim.plan(Duration::from_secs(20 + 10 * n as u64), transfer);
    }
    // The last one keeps the network running.
    let last = Transfer {
        client: 11,
        server: 12,
        tag: vec![9],
        bytes: 1000,
    };
    sim.plan(Duration::from_secs(170), last);
    sim.run(Duration::from_secs(180));
    sim
}

/// Answers of honest routers that came another way than they have to: to builds and tests, and in
/// all.
fn wrong_way(sim: &Sim) -> (u64, u64) {
    let honest = sim.nodes().iter().enumerate();
    let honest = honest.filter(|(n, _)| !HOSTILE.contains(n));
    honest.fold((0, 0), |(tunnels, all), (_, node)| {
        let s = node.router.snapshot(sim.now());
        (tunnels + s.tunnels.wrong_way, all + s.wrong_way)
    })
}

#[test]
fn handing_out_answers_tells_no_more_than_handing_out_noise() {
    for seed in 0..3 {
        let (real, noise) = (run(seed, Bait::Answers), run(seed, Bait::Nothing));
        let [a, b] = [&real, &noise].map(|s| s.attack().unwrap());
        for kind in [
            kind::GARLIC,
            kind::SHORT_TUNNEL_BUILD,
            kind::DELIVERY_STATUS,
        ] {
            assert!(
                a.handed.get(&kind).is_some_and(|n| *n >= 2),
                "{:?}",
                a.handed
            );
        }
        assert!(a.misled > 50, "{} answers in others' tunnels", a.misled);
        // The attacker held answers that honest routers waited for, of lookups too.
        let (tunnels, all) = wrong_way(&real);
        assert!(tunnels > 20 && all > tunnels, "{tunnels} of {all}");
        assert_eq!(wrong_way(&noise), (0, 0));
        assert_eq!(a.handed, b.handed);
        assert_eq!(a.shape(), b.shape(), "seed {seed}: the traffic differs");
    }
}
