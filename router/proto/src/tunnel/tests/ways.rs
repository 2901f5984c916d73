//! Answers that come another way than they have to.

use super::*;
use crate::garlic::clove::{self, Block, Clove, Delivery};
use crate::garlic::one_time;
use crate::wire::i2np::status::DeliveryStatus;

/// A link or tunnel brings a message; whether the machine took it for its own.
fn bring(net: &mut Net, from: RouterHash, message: &Message) -> bool {
    let ours = net.us.claims(from, message);
    if ours {
        let now = net.now;
        net.us
            .handle_message(now, &mut net.rng, from, message.clone());
    }
    ours
}

#[test]
fn a_build_reply_counts_only_from_the_last_hop() {
    let mut net = started(12);
    net.hold = true;
    net.run(secs(1));
    let held = core::mem::take(&mut net.held);
    assert_eq!(
        held.len(),
        4,
        "two builds each way, the outbound ones answered directly"
    );
    let others = net.hashes();
    for (from, message) in &held {
        for other in others.iter().filter(|o| *o != from) {
            let ours = bring(&mut net, *other, message);
            // A gateway of ours takes messages of anyone, what comes out is another matter.
            assert_eq!(ours, message.kind == kind::TUNNEL_GATEWAY);
        }
    }
    assert_eq!(net.us.stats().built, 0);
    let tries = held.len() * (others.len() - 1);
    assert!(net.us.stats().wrong_way as usize >= tries);
    assert_eq!(net.us.builds.len(), 4, "all are still waited for");
    for (from, message) in &held {
        assert!(bring(&mut net, *from, message));
    }
    assert_eq!(net.us.stats().built, 4);
}

#[test]
fn a_build_reply_counts_only_out_of_its_reply_tunnel() {
    let mut net = started(12);
    net.run(secs(2));
    net.hold = true;
    net.us.add_pool(net.now, CLIENT, THREE);
    net.run(Duration::from_millis(300));
    // Cells of replies to the client's first builds; their tunnel is that of their first bytes.
    let held = core::mem::take(&mut net.held);
    let cells = held.iter().filter(|(_, m)| m.kind == kind::TUNNEL_DATA);
    assert!(cells.count() > 0);
    let waiting: Vec<_> = net.us.tags.iter().map(|(t, o)| (*t, o.clone())).collect();
    let tunnels: Vec<_> = net.us.inbound(PoolId::EXPLORATORY).collect();
    for (tag, once) in waiting {
        for tunnel in &tunnels {
            let right = once.way == Way::Tunnel(tunnel.id);
            let content = one_time::seal(&once.key, &tag, b"");
            let message = crate::garlic::to_message(&content, MessageId(1), net.now.wall + secs(9));
            let before = (net.us.stats().wrong_way, net.us.stats().malformed);
            deliver_into(&mut net, tunnel, &message);
            let after = (net.us.stats().wrong_way, net.us.stats().malformed);
            // Where it is awaited the empty reply is opened and found malformed.
            let news = (after.0 - before.0, after.1 - before.1);
            assert_eq!(news, if right { (0, 1) } else { (1, 0) });
        }
    }
}

#[test]
fn a_build_whose_id_was_taken_meanwhile_has_failed() {
    let mut net = started(12);
    net.hold = true;
    net.run(secs(1));
    let held = core::mem::take(&mut net.held);
    let mut inbound = held.iter().filter(|(_, m)| net.us.receive_of(m).is_some());
    let (from, message) = inbound.next_back().unwrap();
    assert!(net.us.claims(*from, message));
    let (installed, builds) = (net.installed.len(), net.us.builds.len());
    net.us.give_up_build(net.now, message);
    assert!(!net.us.claims(*from, message) && net.us.receive_of(message).is_none());
    assert_eq!(
        (net.installed.len(), net.us.builds.len()),
        (installed, builds - 1)
    );
}

/// Through an outbound tunnel of ours into an inbound one.
fn deliver_into(net: &mut Net, tunnel: &InboundInfo, message: &Message) {
    net.hold = false;
    let out = net.us.outbound(PoolId::EXPLORATORY).next().unwrap().id;
    let to = TunnelDelivery::Tunnel(tunnel.gateway, tunnel.gateway_tunnel);
    let now = net.now;
    net.us
        .send(now, &mut net.rng, out, to, vec![message.clone()]);
    net.run(Duration::from_millis(150));
}

/// The message of a test that is under way.
fn test_message(net: &Net) -> (Message, InboundId, [u8; 8]) {
    let test = net.us.tests.values().next().expect("a test under way");
    let expires = net.now.wall + secs(20);
    let status = DeliveryStatus {
        id: test.id(),
        at: net.now.wall,
    };
    let payload = clove::write_blocks(&[Block::Clove(Clove {
        delivery: Delivery::Local,
        message: status.to_message(MessageId(8), expires),
    })]);
    let once = &net.us.tags[&test.tag()];
    let content = one_time::seal(&once.key, &test.tag(), &payload.unwrap());
    let message = crate::garlic::to_message(&content, MessageId(9), expires);
    (message, test.inbound(), test.tag())
}

#[test]
fn a_test_counts_only_out_of_its_own_tunnel() {
    let mut net = started(12);
    net.us.add_pool(net.now, CLIENT, THREE);
    net.run(secs(2));
    // Wait for a test, and keep what comes for us from then on.
    while net.us.tests.is_empty() {
        net.run(Duration::from_millis(5));
    }
    net.hold = true;
    net.run(Duration::from_millis(200));
    let (message, inbound, tag) = test_message(&net);
    let passed = net.us.stats().tests_passed;
    for peer in net.hashes() {
        assert!(!bring(&mut net, peer, &message));
    }
    let all: Vec<_> = [PoolId::EXPLORATORY, CLIENT]
        .iter()
        .flat_map(|pool| net.us.inbound(*pool).collect::<Vec<_>>())
        .collect();
    assert!(all.len() > 3);
    for other in all.iter().filter(|t| t.id != inbound) {
        deliver_into(&mut net, other, &message);
        assert!(net.us.tags.contains_key(&tag), "the tag is not used up");
        // It is handed up like any garlic out of that tunnel.
        assert_eq!(net.received.pop().unwrap().2, message);
    }
    assert_eq!(net.us.stats().tests_passed, passed);
    let own = all.iter().find(|t| t.id == inbound).unwrap();
    deliver_into(&mut net, own, &message);
    assert!(!net.us.tags.contains_key(&tag));
    assert_eq!(net.us.stats().tests_passed, passed + 1);
}

#[test]
fn what_is_for_another_tunnel_does_not_come_out_of_one() {
    let mut net = Net::new(12, 9);
    net.us.add_pool(net.now, PoolId::EXPLORATORY, DIRECT);
    net.us.add_pool(net.now, CLIENT, THREE);
    net.run(secs(1));
    let gateway = net.us.inbound(PoolId::EXPLORATORY).next().unwrap();
    let inner = TunnelGateway {
        id: gateway.receive,
        inner: net.message(10).to_long(),
    };
    let nested = inner
        .to_message(MessageId(2), net.now.wall + secs(10))
        .unwrap();
    let tunnel = net.us.inbound(CLIENT).next().unwrap();
    net.received.clear();
    let unknown = net.us.stats().unknown;
    deliver_into(&mut net, &tunnel, &nested);
    assert!(net.received.is_empty());
    assert_eq!(net.us.stats().unknown, unknown + 1);
}
