//! Whole networks of our own routers under virtual time. Every run is held to the checkers of
//! `ramson_tests::sim::check`.

use ramson_tests::sim::app::Transfer;
use ramson_tests::sim::world::World;
use ramson_tests::sim::{Conditions, Sim, seeds};
use std::collections::BTreeSet;
use std::time::Duration;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Every server is asked by two clients, a tag for each server, from second 20 on.
fn plan(world: &World, bytes: usize) -> Sim {
    let mut sim = world.build();
    let servers = world.routers - world.servers..world.routers;
    for (n, server) in servers.enumerate() {
        for client in 0..2 {
            let transfer = Transfer {
                client: world.floodfills + client,
                server,
                tag: vec![b'a' + n as u8],
                bytes,
            };
            sim.plan(secs(20 + 3 * client as u64), transfer);
        }
    }
    sim
}

/// Runs on until all is done or `end` is reached; nothing may be missing or wrong.
fn finish(sim: &mut Sim, end: u64) {
    sim.run(secs(end));
    assert_eq!(sim.faults(), Vec::<String>::new());
    // The checkers had something to look at.
    assert!(sim.checks().paths_max > 0 && sim.checks().floods > 0);
}

fn run(world: World, bytes: usize) -> Sim {
    let mut sim = plan(&world, bytes);
    finish(&mut sim, 300);
    sim
}

fn lossy(loss_per_mille: u32) -> Conditions {
    Conditions {
        loss_per_mille,
        ..Conditions::default()
    }
}

/// Hops of the tunnels of a node, but for servers and the node's own transfers' ends.
fn hops_of(sim: &Sim, node: usize) -> BTreeSet<usize> {
    let hops: BTreeSet<_> = sim.nodes()[node]
        .router
        .paths()
        .flat_map(|p| p.hops)
        .collect();
    let of = |n: &usize| hops.contains(&sim.nodes()[*n].router.hash());
    (0..sim.nodes().len()).filter(of).collect()
}

#[test]
fn streams_deliver_every_byte_once_and_in_order() {
    run(World::default(), 200_000);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let world = World {
        seed: 7,
        ..World::default()
    };
    let (a, b) = (run(world, 20_000), run(world, 20_000));
    assert_eq!(a.trace_hash(), b.trace_hash());
    let other = run(World { seed: 8, ..world }, 20_000);
    assert_ne!(a.trace_hash(), other.trace_hash());
}

#[test]
fn three_hops_with_loss_still_deliver() {
    let world = World {
        seed: 3,
        routers: 16,
        hops: 3,
        conditions: lossy(10),
        ..World::default()
    };
    run(world, 100_000);
}

#[test]
fn ten_routers_are_a_network() {
    for seed in 0..5 {
        let world = World {
            seed,
            routers: 10,
            floodfills: 3,
            hops: 3,
            ..World::default()
        };
        run(world, 100_000);
    }
}

#[test]
fn thirty_routers_with_eight_floodfills() {
    let world = World {
        seed: 30,
        routers: 30,
        floodfills: 8,
        hops: 3,
        servers: 4,
        ..World::default()
    };
    run(world, 100_000);
}

#[test]
fn neighbours_never_share_a_tunnel() {
    let world = World {
        seed: 5,
        routers: 24,
        floodfills: 6,
        per_net: 3,
        hops: 3,
        ..World::default()
    };
    run(world, 50_000);
}

#[test]
fn every_tag_is_somebody_else() {
    let world = World {
        seed: 11,
        routers: 14,
        ..World::default()
    };
    let mut sim = world.build();
    for n in 0..12 {
        let transfer = Transfer {
            client: 4,
            server: 12 + n % 2,
            tag: vec![n as u8 / 3],
            bytes: 10_000,
        };
        sim.plan(secs(20 + 5 * n as u64), transfer);
    }
    finish(&mut sim, 300);
    let seen: Vec<_> = sim.apps().transfers().map(|(_, p)| p.seen_as).collect();
    for tag in seen.chunks(3) {
        assert!(tag[0].is_some() && tag.iter().all(|s| *s == tag[0]));
    }
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 4);
}

/// Bytes of the first transfer so far.
fn received(sim: &Sim) -> usize {
    sim.apps().transfers().map(|(_, p)| p.received).sum()
}

/// A hop of the client dies while bytes are under way; `notice`: how long its links look alive.
fn survive(seed: u64, notice: Duration) {
    let world = World {
        seed,
        routers: 16,
        ..World::default()
    };
    let mut sim = world.build();
    let (client, server) = (5, 15);
    let transfer = Transfer {
        client,
        server,
        tag: b"a".to_vec(),
        bytes: 3_000_000,
    };
    sim.plan(secs(20), transfer);
    let mut now = secs(20);
    while received(&sim) < 300_000 {
        now += Duration::from_millis(100);
        sim.run(now);
    }
    assert!(received(&sim) < 2_000_000 && now < secs(60));
    let mut victims = hops_of(&sim, client).into_iter();
    let victim = victims
        .find(|v| *v != server)
        .unwrap_or_else(|| panic!("no hop to kill"));
    sim.kill(victim, notice);
    finish(&mut sim, 400);
}

#[test]
fn a_hop_that_ends_does_not_end_a_transfer() {
    for seed in 0..6 {
        survive(seed, Duration::ZERO);
    }
}

#[test]
fn a_hop_that_falls_silent_does_not_end_a_transfer() {
    for seed in 0..6 {
        survive(seed, secs(60));
    }
}

/// Four transfers that begin as a minute of 8 % loss on every link does: rules that were broken,
/// and transfers that were given up.
fn bad_minute(seed: u64) -> (Vec<String>, usize) {
    let world = World {
        seed,
        routers: 14,
        ..World::default()
    };
    let mut sim = plan(&world, 500_000);
    sim.run(secs(22));
    sim.set_conditions(lossy(80));
    sim.run(secs(82));
    sim.set_conditions(Conditions::default());
    sim.run(secs(400));
    let given_up = sim.apps().transfers().filter(|(_, p)| p.failed).count();
    let mut faults = sim.faults();
    let whole = sim.apps().transfers().filter(|(_, p)| p.finished.is_some());
    if whole.count() + given_up == sim.apps().transfers().count() {
        faults = sim.checks().faults().to_vec();
    }
    (faults, given_up)
}

/// Of ten messages six get through and of a stream's first exchange one in eight, so that now and
/// then a site that is there cannot be told from one that is not: one transfer in a hundred.
#[test]
fn after_a_bad_minute_all_but_few_arrive() {
    let (mut given_up, mut all) = (0, 0);
    for seed in seeds(0..20) {
        let (faults, failed) = bad_minute(seed);
        assert_eq!(faults, Vec::<String>::new(), "seed {seed}");
        (given_up, all) = (given_up + failed, all + 4);
    }
    println!("bad minute: {given_up} of {all} given up");
    assert!(given_up <= 2 + all / 50, "{given_up} of {all}");
}

#[test]
fn tunnels_are_replaced_in_time() {
    // Longer than two lives of a tunnel, with a request every minute.
    let world = World {
        seed: 12,
        ..World::default()
    };
    let mut sim = world.build();
    for minute in 0..25 {
        let transfer = Transfer {
            client: 4 + minute % 3,
            server: 10 + minute % 2,
            tag: b"a".to_vec(),
            bytes: 20_000,
        };
        sim.plan(secs(20 + 60 * minute as u64), transfer);
    }
    finish(&mut sim, 25 * 60 + 120);
    for (t, p) in sim.apps().transfers() {
        let took = p.finished.unwrap().since(p.started.unwrap());
        assert!(took < secs(10), "{t:?} took {took:?}");
    }
}

#[test]
fn any_seed_any_conditions() {
    for seed in 100..120u64 {
        let conditions = Conditions {
            latency: Duration::from_millis(5 + seed * 37 % 100),
            jitter: Duration::from_millis(seed % 20),
            loss_per_mille: (seed * 7 % 15) as u32,
        };
        let world = World {
            seed,
            routers: 10 + (seed % 11) as usize,
            floodfills: 3 + (seed % 3) as usize,
            hops: 1 + (seed % 3) as u8,
            conditions,
            ..World::default()
        };
        run(world, 40_000);
    }
}
