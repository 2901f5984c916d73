//! What becomes of builds when tunnels are in doubt or answers come late.

use super::*;
use std::collections::BTreeSet;

/// The far ends of the client's tunnels that are in none of the router's own.
fn far_ends(net: &Net) -> BTreeSet<RouterHash> {
    let own = net.us.paths().filter(|p| p.0 != CLIENT);
    let own: BTreeSet<_> = own.flat_map(|p| p.2.to_vec()).collect();
    let ends = net.us.paths().filter(|p| p.0 == CLIENT);
    let ends = ends.filter_map(|p| match p.1 {
        Direction::Inbound => p.2.first().copied(),
        Direction::Outbound => p.2.last().copied(),
    });
    ends.filter(|hop| !own.contains(hop)).collect()
}

/// Whether the pool can be reached: an inbound tunnel without any of these.
fn is_reached(net: &Net, pool: PoolId, dead: &BTreeSet<RouterHash>) -> bool {
    let inbound = net
        .us
        .paths()
        .filter(|p| p.0 == pool && p.1 == Direction::Inbound);
    inbound
        .into_iter()
        .any(|p| p.2.iter().all(|h| !dead.contains(h)))
}

#[test]
fn builds_are_not_lost_in_tunnels_that_are_in_doubt() {
    let mut tried = 0;
    for seed in 0..40 {
        let mut net = Net::new(24, seed);
        net.us.add_pool(net.now, PoolId::EXPLORATORY, THREE);
        net.us.add_pool(net.now, CLIENT, THREE);
        net.run(secs(20));
        // All of the client's tunnels die, those of the router go on.
        let dead = far_ends(&net);
        let of_client = net.us.paths().filter(|p| p.0 == CLIENT);
        if !of_client
            .into_iter()
            .all(|p| p.2.iter().any(|h| dead.contains(h)))
        {
            continue;
        }
        tried += 1;
        for hop in &dead {
            net.router(*hop).dead = true;
        }
        net.us.suspect_all(net.now, CLIENT);
        // A test is missed after three seconds.
        net.run(secs(5));
        assert!(is_reached(&net, CLIENT, &dead), "seed {seed}");
    }
    assert!(tried >= 5, "only {tried} networks were fit for it");
}

#[test]
fn late_answers_do_not_crowd_a_pool() {
    let mut most = 0;
    for delay in [3500, 4000, 5000, 6000] {
        let mut net = started(12);
        net.run(secs(2));
        // Builds are answered after they were given up, and others were begun.
        net.each(|r| r.delay = Duration::from_millis(delay));
        net.us.add_pool(net.now, CLIENT, THREE);
        for _ in 0..60 {
            net.run(secs(1));
            for count in net
                .us
                .stats()
                .pools
                .iter()
                .flat_map(|p| [p.inbound, p.outbound])
            {
                assert!(count.up <= 3 * count.wanted, "{count:?}");
                most = most.max(count.up);
            }
        }
    }
    assert!(most >= 6, "never more than {most}");
}

#[test]
fn builds_of_a_pool_that_is_in_doubt_get_no_time_to_be_lost_in() {
    let mut net = started(24);
    net.us.add_pool(net.now, CLIENT, THREE);
    net.run(secs(20));
    // Nothing comes back any more, neither tests nor answers to builds.
    net.each(|r| r.dead = true);
    net.us.suspect_all(net.now, CLIENT);
    let wanted = THREE.inbound_quantity;
    let mut most = 0;
    for _ in 0..80 {
        net.run(Duration::from_millis(100));
        let (inbound, _) = good(&net, CLIENT);
        if inbound == usize::from(wanted) {
            most = most.max(net.us.building(CLIENT, Direction::Inbound));
        }
    }
    assert!(
        most > usize::from(wanted),
        "never more than {most} at a time"
    );
}
