//! The machine against modelled hops under virtual time.

mod cells;
mod doubt;
mod net;
mod ways;

use super::fragment::TunnelDelivery;
use super::*;
use crate::wire::i2np::kind;
use crate::wire::i2np::tunnel::{TunnelData, TunnelGateway};
use net::Net;

const CLIENT: PoolId = PoolId(7);

const THREE: PoolSettings = PoolSettings {
    inbound_hops: 3,
    outbound_hops: 3,
    inbound_quantity: 3,
    outbound_quantity: 2,
};

const DIRECT: PoolSettings = PoolSettings {
    inbound_hops: 0,
    outbound_hops: 0,
    inbound_quantity: 1,
    outbound_quantity: 1,
};

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A network of `n` routers and our exploratory pool of two hops.
fn started(n: u8) -> Net {
    let mut net = Net::new(n, 42);
    let settings = PoolSettings {
        inbound_hops: 2,
        outbound_hops: 2,
        inbound_quantity: 2,
        outbound_quantity: 2,
    };
    net.us.add_pool(net.now, PoolId::EXPLORATORY, settings);
    net
}

fn good(net: &Net, pool: PoolId) -> (usize, usize) {
    (
        net.us.inbound(pool).filter(|t| !t.failing).count(),
        net.us.outbound(pool).filter(|t| !t.failing).count(),
    )
}

#[test]
fn a_fresh_router_has_its_tunnels_within_a_second() {
    let mut net = started(12);
    net.us.add_pool(net.now, CLIENT, THREE);
    net.run(secs(1));
    assert_eq!(good(&net, PoolId::EXPLORATORY), (2, 2));
    assert_eq!(good(&net, CLIENT), (3, 2));
    assert_eq!(net.us.stats().built, 9);
    assert!(net.us.inbound(CLIENT).all(|t| t.proven), "tested at once");
    net.run(secs(10));
    assert!(net.us.stats().tests_passed >= 5);
    assert_eq!(net.us.stats().tests_lost, 0);
    assert!(net.us.outbound(CLIENT).all(|t| t.rtt.is_some()));
    assert!(net.us.inbound(CLIENT).all(|t| t.rtt.is_some()));
}

#[test]
fn clients_wait_for_exploratory_tunnels_and_are_never_answered_directly() {
    let mut net = Net::new(12, 5);
    net.us.add_pool(net.now, CLIENT, THREE);
    net.run(secs(5));
    assert_eq!(good(&net, CLIENT), (0, 0));
    assert!(net.sent_builds == 0, "there is no path to build along");
    net.us.add_pool(net.now, PoolId::EXPLORATORY, THREE);
    net.run(secs(2));
    assert_eq!(good(&net, CLIENT), (3, 2));
    for (pool, direction, hops) in &net.accepted {
        let direct = net.named_us.contains(&hops[hops.len() - 1]);
        if *pool == CLIENT && *direction == Direction::Outbound {
            assert!(
                !direct,
                "the endpoint of a client's tunnel was told our name"
            );
        }
    }
}

#[test]
fn the_closest_hop_is_dialled_before_the_request_leaves() {
    let mut net = started(12);
    net.run(secs(1));
    for (_, direction, hops) in net.accepted.clone() {
        let peer = match direction {
            Direction::Inbound => hops[hops.len() - 1],
            Direction::Outbound => hops[0],
        };
        assert!(net.dialled.contains(&peer));
    }
    assert_eq!(net.sent_without_dial, 0);
    assert_eq!(net.us.closest_hops().count(), 2);
}

#[test]
fn tunnels_are_replaced_before_they_expire() {
    let mut net = started(12);
    net.us.add_pool(net.now, CLIENT, THREE);
    net.run(secs(2));
    for _ in 0..1500 {
        net.run(secs(1));
        for pool in [PoolId::EXPLORATORY, CLIENT] {
            let (inbound, outbound) = good(&net, pool);
            let wanted = net.us.pools[&pool].settings;
            assert!(
                inbound >= wanted.quantity(Direction::Inbound),
                "{:?}",
                net.us.stats()
            );
            assert!(outbound >= wanted.quantity(Direction::Outbound));
            assert!(inbound <= 2 * wanted.quantity(Direction::Inbound));
            assert!(net.us.inbound(pool).all(|t| t.expires > net.now.mono));
            assert!(net.us.outbound(pool).all(|t| t.expires > net.now.mono));
        }
    }
    let stats = net.us.stats();
    assert_eq!(
        (stats.timeouts, stats.bad_replies, stats.tests_lost),
        (0, 0, 0)
    );
    assert!((27..=36).contains(&stats.built), "built {}", stats.built);
    assert_eq!(net.installed.len(), net.us.by_receive.len());
}

#[test]
fn tunnels_through_a_dead_router_are_replaced_within_a_minute() {
    let mut net = started(12);
    net.us.add_pool(net.now, CLIENT, THREE);
    net.run(secs(20));
    let victim = net.us.outbound(CLIENT).next().unwrap().endpoint;
    net.router(victim).dead = true;
    net.run(secs(60));
    for pool in [PoolId::EXPLORATORY, CLIENT] {
        let (inbound, outbound) = good(&net, pool);
        let wanted = net.us.pools[&pool].settings;
        assert!(inbound >= wanted.quantity(Direction::Inbound));
        assert!(outbound >= wanted.quantity(Direction::Outbound));
    }
    let through = |hops: &[RouterHash]| hops.contains(&victim);
    assert!(
        net.us
            .outbound
            .values()
            .all(|t| t.health.failing || !through(&t.hops))
    );
    let listed = net.us.inbound.values().filter(|t| t.listed());
    assert!(
        listed
            .clone()
            .all(|t| t.health.failing || !through(&t.hops))
    );
    assert!(net.us.stats().timeouts > 0 || net.us.stats().tests_lost > 0);
}

#[test]
fn a_new_tunnel_that_carries_nothing_is_found_within_seconds() {
    let mut net = started(12);
    net.run(secs(20));
    net.us.add_pool(net.now, CLIENT, THREE);
    while net.us.inbound(CLIENT).count() < 3 {
        net.run(Duration::from_millis(5));
    }
    let exploratory = |net: &Net, hop: RouterHash| {
        let own = net.us.inbound.values().filter(|t| t.pool != CLIENT);
        let all = own.map(|t| &t.hops);
        let out = net.us.outbound.values().map(|t| &t.hops);
        all.chain(out).any(|hops| hops.contains(&hop))
    };
    let tunnels = net.us.inbound.values().filter(|t| t.pool == CLIENT);
    let victim = tunnels
        .filter(|t| !t.health.is_proven())
        .flat_map(|t| t.hops.clone())
        .find(|hop| !exploratory(&net, *hop))
        .unwrap();
    net.router(victim).dead = true;
    net.run(secs(5));
    let mut through = net.us.inbound.values();
    assert!(through.all(|t| t.health.failing || !t.hops.contains(&victim)));
}

#[test]
fn without_routers_it_asks_now_and_then_and_starts_when_there_are_some() {
    let mut net = started(0);
    net.run(secs(60));
    let asked = net.us.stats().no_hops;
    assert!((60..=130).contains(&asked), "asked {asked} times");
    net.add_routers(8);
    net.run(secs(2));
    assert_eq!(good(&net, PoolId::EXPLORATORY), (2, 2));
}

#[test]
fn two_routers_are_enough_for_two_hops() {
    let mut net = started(2);
    net.run(secs(700));
    let (inbound, outbound) = good(&net, PoolId::EXPLORATORY);
    assert!(inbound >= 2 && outbound >= 2);
}

#[test]
fn refusals_are_counted_and_slow_the_builds_down() {
    let mut net = started(8);
    net.each(|r| r.accept(false));
    net.run(secs(600));
    let stats = net.us.stats();
    assert_eq!(stats.built, 0);
    assert!(stats.refused[&30] > 10);
    assert!(net.sent_builds < 130, "{} builds", net.sent_builds);
    net.each(|r| r.accept(true));
    net.run(secs(60));
    assert_eq!(good(&net, PoolId::EXPLORATORY), (2, 2));
}

#[test]
fn silence_is_a_timeout_and_a_late_answer_still_counts() {
    let mut net = started(8);
    net.each(|r| r.delay = secs(7));
    net.run(Duration::from_millis(13_500));
    assert_eq!(net.us.stats().timeouts, 4);
    assert_eq!(net.us.stats().built, 0);
    net.run(secs(1));
    assert_eq!(net.us.stats().built, 4);
    net.each(|r| r.dead = true);
    net.run(secs(60));
    assert!(net.us.builds.len() <= 20, "late ones and hedges included");
    assert_eq!(net.us.by_reply.len(), net.us.builds.len());
}

#[test]
fn what_cannot_be_dialled_is_replaced_at_once() {
    let mut net = started(12);
    net.run(secs(1));
    let first = net.us.outbound(PoolId::EXPLORATORY).next().unwrap().first;
    let built = net.us.stats().built;
    net.us.unreachable(net.now, first);
    net.run(secs(1));
    assert_eq!(good(&net, PoolId::EXPLORATORY).1, 2);
    assert!(net.us.stats().built > built);
    let mut net = started(12);
    net.turn();
    let peer = net.us.outputs.iter().find_map(|o| match o {
        TunnelOutput::Dial(peer) => Some(*peer),
        _ => None,
    });
    net.us.unreachable(net.now, peer.unwrap());
    net.turn();
    assert!(net.us.builds.len() > 4);
    assert!(net.us.stats().unreachable > 0);
}

#[test]
fn the_closest_hop_is_dialled_again_when_its_link_ends() {
    let mut net = started(12);
    net.run(secs(1));
    let last = net.us.inbound(PoolId::EXPLORATORY).next().unwrap().last;
    net.us.link_lost(RouterHash([3; 32]));
    assert!(net.us.poll_output().is_none());
    net.us.link_lost(last);
    assert!(matches!(net.us.poll_output(), Some(TunnelOutput::Dial(peer)) if peer == last));
}

#[test]
fn messages_go_out_and_come_in() {
    let mut net = started(12);
    net.us.add_pool(net.now, CLIENT, THREE);
    net.run(secs(1));
    let target = net.hashes()[0];
    let out = net.us.outbound(CLIENT).next().unwrap();
    let back = net.us.inbound(CLIENT).next().unwrap();
    for size in [0, 100, 900, 964, 965, 20_000] {
        let message = net.message(size);
        let (now, rng) = (net.now, &mut net.rng);
        let to = TunnelDelivery::Router(target);
        assert!(net.us.send(now, rng, out.id, to, vec![message.clone()]));
        let to = TunnelDelivery::Tunnel(back.gateway, back.gateway_tunnel);
        assert!(net.us.send(now, rng, out.id, to, vec![message.clone()]));
        net.run(secs(1));
        assert_eq!(net.router(target).got.pop(), Some(message.clone()));
        assert_eq!(net.received.pop(), Some((CLIENT, back.id, message)));
    }
    let (now, rng) = (net.now, &mut net.rng);
    assert!(
        !net.us
            .send(now, rng, OutboundId(999), TunnelDelivery::Local, Vec::new())
    );
}

#[test]
fn tunnels_without_hops_deliver_and_receive_by_themselves() {
    let mut net = Net::new(3, 9);
    net.us.add_pool(net.now, PoolId::EXPLORATORY, DIRECT);
    net.us.add_pool(net.now, CLIENT, THREE);
    net.run(secs(1));
    assert_eq!(good(&net, PoolId::EXPLORATORY), (1, 1));
    assert_eq!(good(&net, CLIENT), (3, 2), "borrowing tunnels without hops");
    let (out, back) = (
        net.us.outbound(PoolId::EXPLORATORY).next().unwrap(),
        net.us.inbound(PoolId::EXPLORATORY).next().unwrap(),
    );
    let us = net.us.us;
    assert_eq!((out.endpoint, back.gateway, back.last), (us, us, us));
    let (message, target) = (net.message(500), net.hashes()[1]);
    for to in [
        TunnelDelivery::Router(target),
        TunnelDelivery::Tunnel(us, back.receive),
    ] {
        let (now, rng) = (net.now, &mut net.rng);
        net.us.send(now, rng, out.id, to, vec![message.clone()]);
    }
    net.run(secs(1));
    assert_eq!(net.router(target).got.pop(), Some(message.clone()));
    assert_eq!(
        net.received.pop(),
        Some((PoolId::EXPLORATORY, back.id, message))
    );
    net.run(secs(590));
    assert_eq!(
        good(&net, PoolId::EXPLORATORY).0,
        2,
        "the next one is ready"
    );
}

#[test]
fn hostile_messages_are_counted_and_dropped() {
    let mut net = started(8);
    net.run(secs(1));
    let back = net.us.inbound(PoolId::EXPLORATORY).next().unwrap();
    let (now, stranger) = (net.now, RouterHash([0xee; 32]));
    let expires = now.wall + secs(10);
    let cell = TunnelData {
        id: back.receive,
        cell: Box::new([5; 1024]),
    }
    .to_message(MessageId(1), expires);
    assert!(net.us.claims(stranger, &cell));
    net.us
        .handle_message(now, &mut net.rng, stranger, cell.clone());
    assert_eq!(net.us.stats().unknown, 1, "not from the closest hop");
    net.us
        .handle_message(now, &mut net.rng, back.last, cell.clone());
    assert_eq!(net.us.stats().malformed, 1, "bad checksum");
    let gateway = TunnelGateway {
        id: back.receive,
        inner: net.message(10).to_long(),
    };
    let gateway = gateway.to_message(MessageId(2), expires).unwrap();
    net.us.handle_message(now, &mut net.rng, stranger, gateway);
    assert_eq!(
        net.us.stats().unknown,
        2,
        "we are no gateway of that tunnel"
    );
    for kind in [
        kind::SHORT_TUNNEL_BUILD,
        kind::OUTBOUND_TUNNEL_BUILD_REPLY,
        kind::GARLIC,
        kind::TUNNEL_DATA,
        kind::TUNNEL_GATEWAY,
    ] {
        for n in [0, 3, 4, 11, 12, 873, 1028] {
            let message = Message {
                kind,
                id: MessageId(77),
                expires,
                body: vec![4; n],
            };
            assert!(!net.us.claims(stranger, &message));
            net.us.handle_message(now, &mut net.rng, stranger, message);
        }
    }
    for n in 0..cell.body.len() {
        let mut short = cell.clone();
        short.body.truncate(n);
        net.us.handle_message(now, &mut net.rng, back.last, short);
    }
    assert!(net.received.is_empty());
}

#[test]
fn a_removed_pool_leaves_nothing_behind() {
    let mut net = started(12);
    net.us.add_pool(net.now, CLIENT, THREE);
    net.run(secs(1));
    net.us.remove_pool(net.now, CLIENT);
    net.us.remove_pool(net.now, PoolId::EXPLORATORY);
    net.run(secs(30));
    assert!(net.installed.is_empty());
    assert!(net.us.builds.is_empty() && net.us.by_reply.is_empty());
    assert!(net.us.tests.is_empty() && net.us.tags.is_empty());
    assert_eq!(net.us.deadline(), None);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut net = Net::new(10, seed);
        net.us.add_pool(net.now, PoolId::EXPLORATORY, THREE);
        net.run(secs(900));
        (net.trace, net.us.stats())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).0, run(4).0);
}

#[test]
fn limits_hold() {
    let mut tunnels = Tunnels::new(RouterHash([1; 32]));
    for n in 0..limits::POOLS_MAX as u32 {
        assert!(tunnels.add_pool(Now::default(), PoolId(n), THREE));
    }
    assert!(!tunnels.add_pool(Now::default(), PoolId(9999), THREE));
    assert!(tunnels.add_pool(Now::default(), PoolId(1), THREE));
    let greedy = PoolSettings {
        inbound_hops: 200,
        outbound_hops: 200,
        inbound_quantity: 200,
        outbound_quantity: 0,
    };
    let settings = greedy.clamped();
    assert_eq!(settings.inbound_hops, limits::TUNNEL_HOPS_MAX);
    assert_eq!(settings.inbound_quantity, limits::POOL_QUANTITY_MAX);
    assert_eq!(settings.outbound_quantity, 1);
    let mut net = Net::new(12, 1);
    for n in 0..20 {
        let many = PoolSettings {
            inbound_quantity: 16,
            outbound_quantity: 16,
            ..THREE
        };
        net.us.add_pool(net.now, PoolId(n), many);
    }
    net.each(|r| r.dead = true);
    for _ in 0..20 {
        net.run(secs(1));
        assert!(net.us.builds.len() <= limits::TUNNEL_BUILDS_MAX);
    }
}
