//! Whole networks of our own routers under virtual time.

use ramson_tests::sim::app::Transfer;
use ramson_tests::sim::world::World;
use ramson_tests::sim::{Conditions, Sim};
use std::time::Duration;

fn run(world: World, bytes: usize) -> Sim {
    let mut sim = world.build();
    let servers = world.routers - world.servers..world.routers;
    for (n, server) in servers.enumerate() {
        for client in 0..2 {
            let tag = vec![b'a' + n as u8];
            let start = Duration::from_secs(20 + 3 * client as u64);
            sim.plan(
                start,
                Transfer {
                    client: world.floodfills + client,
                    server,
                    tag,
                    bytes,
                },
            );
        }
    }
    sim.run(Duration::from_secs(300));
    assert_eq!(sim.unfinished(), Vec::<String>::new());
    sim
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
    let conditions = Conditions {
        loss_per_mille: 10,
        ..Conditions::default()
    };
    let world = World {
        seed: 3,
        routers: 16,
        hops: 3,
        conditions,
        ..World::default()
    };
    run(world, 100_000);
}
