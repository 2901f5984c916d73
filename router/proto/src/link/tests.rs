//! Whole nodes against each other in memory under virtual time.

mod shares;
mod world;

use super::ntcp2::reason;
use super::*;
use crate::crypto::tunnel_aes::{CELL, LayerKeys};
use crate::limits;
use crate::relay::hop::{Hop, Role};
use crate::router::input::Direction;
use crate::router::output::Class;
use crate::time::Date;
use crate::wire::hash::MessageId;
use crate::wire::i2np::tunnel::TunnelData;
use core::time::Duration;
use world::{World, message};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn dial_and_messages_both_ways() {
    let mut w = World::new(2);
    w.dial(0, 1);
    assert!(w.up(0, 1, Direction::Outbound));
    assert!(w.up(1, 0, Direction::Inbound));
    let mut infos = w.events[1].iter().filter_map(|e| match e {
        LinkEvent::Up { info, .. } => info.clone(),
        _ => None,
    });
    assert_eq!(infos.next_back().unwrap().hash(), w.hash(0));
    w.send(0, 1, Class::Own, message(1, 1028));
    w.send(1, 0, Class::Control, message(2, 60_000));
    assert_eq!(w.received(1), [(0, 1, 1028)]);
    assert_eq!(w.received(0), [(1, 2, 60_000)]);
    let stats = w.nodes[0].stats();
    assert_eq!((stats.outbound, stats.inbound, stats.pending), (1, 0, 0));
    assert!(stats.bytes_in > 60_000);
}

#[test]
fn one_byte_at_a_time() {
    let mut w = World::new(2);
    w.chunk = 1;
    w.dial(0, 1);
    w.send(0, 1, Class::Own, message(1, 500));
    assert_eq!(w.received(1), [(0, 1, 500)]);
}

#[test]
fn a_send_without_a_link_asks_for_the_router_and_waits_for_the_dial() {
    let mut w = World::new(2);
    w.send(0, 1, Class::Control, message(1, 100));
    w.send(0, 1, Class::Transit, message(2, 100));
    let wanted = |e: &&LinkEvent| matches!(e, LinkEvent::WantRouter { .. });
    assert_eq!(w.events[0].iter().filter(wanted).count(), 1);
    w.dial(0, 1);
    assert_eq!(w.received(1), [(0, 1, 100), (0, 2, 100)]);
}

#[test]
fn what_waits_is_bounded_in_bytes_time_and_targets() {
    let mut w = World::new(2);
    for n in 0..20 {
        w.send(0, 1, Class::Own, message(n, 1024));
    }
    assert_eq!(w.nodes[0].stats().dropped, [0, 0, 6, 0]);
    w.run(SECOND * 6);
    assert_eq!(w.nodes[0].stats().dropped, [0, 0, 20, 0]);
    for n in 0..limits::LINK_WAIT_TARGETS as u32 + 5 {
        let mut hash = RouterHash::default();
        hash.0[..4].copy_from_slice(&n.to_be_bytes());
        w.cmd(
            0,
            LinkCmd::Send {
                to: hash,
                class: Class::Own,
                message: message(n, 10),
            },
        );
    }
    assert_eq!(w.nodes[0].stats().dropped, [0, 0, 25, 0]);
    w.cmd(0, LinkCmd::NoRouter(RouterHash::default()));
    assert_eq!(w.nodes[0].stats().dropped, [0, 0, 26, 0]);
}

#[test]
fn messages_without_a_body_fill_what_waits_too() {
    let mut w = World::new(2);
    for n in 0..1000 {
        w.send(0, 1, Class::Own, message(n, (n % 2) as usize));
    }
    let kept = 1000 - w.nodes[0].stats().dropped[2];
    assert!(
        (100..=limits::LINK_WAIT_BYTES as u64 / 96).contains(&kept),
        "{kept}"
    );
}

/// A tunnel that ends at us can deliver messages without a body to any router, as many as its
/// owner likes.
#[test]
fn messages_without_a_body_join_a_full_frame_and_nothing_ends() {
    let mut w = World::new(2);
    w.dial(0, 1);
    let s = w.nodes[0].peers.values().next().unwrap().current;
    // Its socket takes nothing for a moment, so that the queue fills.
    w.nodes[0].conns.get_mut(&s).unwrap().unsent = limits::LINK_UNSENT_HIGH;
    w.nodes[0].unsent = limits::LINK_UNSENT_HIGH;
    for n in 0..50 {
        w.send(0, 1, Class::Transit, message(n, 1500));
    }
    for n in 0..2000 {
        w.send(0, 1, Class::Transit, message(n, 0));
    }
    let now = w.now;
    w.nodes[0].handle_written(now, &mut crate::rng::Rng::from_number(1), s, 0);
    w.run(SECOND);
    assert!(w.up(0, 1, Direction::Outbound));
    assert_eq!(
        w.received(1).len() as u64 + w.nodes[0].stats().dropped[0] + w.nodes[1].stats().flooded,
        2050
    );
    assert!(w.received(1).iter().filter(|m| m.2 == 0).count() > 500);
}

#[test]
fn failed_dials_are_told() {
    let mut w = World::new(3);
    w.deaf[1] = true;
    w.dial(0, 1);
    w.run(SECOND * 6);
    assert_eq!(w.downs(0), [(1, LinkDown::Unreachable)]);
    w.deaf[1] = false;
    w.mute[1] = true;
    w.dial(0, 1);
    w.run(SECOND * 11);
    assert_eq!(w.downs(0)[1..], [(1, LinkDown::Handshake)]);
    w.nodes[0].allow_private = false;
    w.dial(0, 2);
    assert_eq!(w.downs(0)[2..], [(2, LinkDown::NoAddress)]);
    assert_eq!(w.nodes[0].stats().pending, 0);
}

#[test]
fn messages_alone_do_not_dial_again_at_once() {
    let mut w = World::new(2);
    w.deaf[1] = true;
    w.dial(0, 1);
    w.run(SECOND * 6);
    let wanted = |w: &World| {
        let events = w.events[0].iter();
        events
            .filter(|e| matches!(e, LinkEvent::WantRouter { .. }))
            .count()
    };
    for n in 0..50 {
        w.send(0, 1, Class::Transit, message(n, 10));
    }
    assert_eq!(wanted(&w), 0);
    assert_eq!(w.nodes[0].stats().dropped, [50, 0, 0, 0]);
    w.run(SECOND * 5);
    w.send(0, 1, Class::Transit, message(1, 10));
    assert_eq!(wanted(&w), 1);
}

#[test]
fn a_new_inbound_link_replaces_and_the_old_one_goes_quietly() {
    let mut w = World::new(2);
    w.dial(0, 1);
    // Node 0 restarts without closing and dials again.
    w.restart(0);
    w.dial(0, 1);
    assert_eq!(w.downs(1), [(0, LinkDown::Replaced)]);
    w.send(1, 0, Class::Own, message(1, 10));
    assert_eq!(w.received(0), [(1, 1, 10)]);
    w.run(SECOND * 15);
    assert_eq!(w.downs(1), [(0, LinkDown::Replaced)]);
    assert_eq!(w.nodes[1].stats().inbound, 1);
}

#[test]
fn both_dial_at_once_and_one_link_is_left() {
    for latency in [0, 20, 500] {
        let mut w = World::new(2);
        w.latency = Duration::from_millis(latency);
        w.dial_only(0, 1);
        w.dial_only(1, 0);
        w.run(SECOND * 30);
        for node in 0..2 {
            let stats = w.nodes[node].stats();
            assert_eq!(stats.inbound + stats.outbound, 1, "latency {latency}");
            assert_eq!(stats.pending, 0);
        }
        w.send(0, 1, Class::Own, message(1, 10));
        w.send(1, 0, Class::Own, message(2, 10));
        w.run(SECOND * 2);
        assert_eq!(w.received(1), [(0, 1, 10)]);
        assert_eq!(w.received(0), [(1, 2, 10)]);
    }
}

#[test]
fn the_replaced_link_takes_over_when_the_peer_keeps_that_one() {
    let mut w = World::new(2);
    w.dial(0, 1);
    w.nodes[1].peers.clear();
    w.dial(1, 0);
    assert_eq!(w.downs(0), [(1, LinkDown::Replaced)]);
    // The peer drops the link it opened, as i2pd does.
    let newest = w.nodes[0].peers.values().next().unwrap().current;
    w.close_from_outside(0, newest);
    assert_eq!(w.downs(0).last(), Some(&(1, LinkDown::Closed)));
    assert!(w.up(0, 1, Direction::Outbound));
    assert_eq!(w.nodes[0].peers.len(), 1);
    w.run(SECOND * 30);
    assert_eq!(w.nodes[0].peers.len(), 1);
}

#[test]
fn transit_cells_pass_without_the_router() {
    let mut w = World::new(3);
    w.dial(0, 1);
    let hop = Hop {
        id: TunnelId(5),
        role: Role::Participant,
        from: Some(w.hash(0)),
        next: w.hash(2),
        next_id: TunnelId(6),
        keys: LayerKeys {
            layer: [1; 32].into(),
            iv: [2; 32].into(),
        },
        expires: w.now.mono + SECOND * 600,
    };
    w.cmd(1, LinkCmd::InstallHop(hop));
    let from = w.hash(1);
    let id = TunnelId(6);
    w.cmd(2, LinkCmd::InstallOwn { id, from });
    let cell = TunnelData {
        id: TunnelId(5),
        cell: Box::new([3; CELL]),
    };
    let expires = w.now.wall + SECOND * 10;
    w.send(0, 1, Class::Own, cell.to_message(MessageId(1), expires));
    // There is no link with the next hop yet: the router is asked, then the cell goes on.
    let target = w.hash(2);
    let wanted = |e: &LinkEvent| matches!(e, LinkEvent::WantRouter { peer, .. } if *peer == target);
    assert!(w.events[1].iter().any(wanted));
    w.dial(1, 2);
    assert_eq!(w.received(1), []);
    let received = w.received(2);
    assert_eq!(received.len(), 1);
    assert_eq!((received[0].0, received[0].2), (1, 4 + CELL));
}

#[test]
fn idle_links_end_and_needed_ones_are_kept() {
    let mut w = World::new(3);
    w.dial(0, 1);
    w.dial(0, 2);
    let from = w.hash(2);
    w.cmd(
        0,
        LinkCmd::InstallOwn {
            id: TunnelId(7),
            from,
        },
    );
    w.run(SECOND * 130);
    assert_eq!(w.downs(0), [(1, LinkDown::Idle)]);
    assert_eq!(w.downs(1), [(0, LinkDown::Idle)]);
    assert_eq!(w.downs(2), []);
    w.cmd(0, LinkCmd::RemoveOwn(TunnelId(7)));
    w.run(SECOND * 180);
    assert_eq!(w.nodes[0].peers.len(), 0);
}

#[test]
fn termination_with_a_reason() {
    let mut w = World::new(2);
    w.dial(0, 1);
    let peer = w.hash(1);
    w.cmd(
        0,
        LinkCmd::Close {
            peer,
            reason: reason::SHUTDOWN,
        },
    );
    assert_eq!(w.downs(0), [(1, LinkDown::Terminated(reason::SHUTDOWN))]);
    let theirs = LinkDown::PeerTerminated(reason::SHUTDOWN);
    assert_eq!(w.downs(1), [(0, theirs)]);
    assert!(w.nodes[0].conns.is_empty() && w.nodes[1].conns.is_empty());
}

#[test]
fn probes_get_no_answer_and_a_random_end() {
    let mut w = World::new(2);
    let s = w.probe(1);
    w.push(1, s, &[0x55; 64]);
    w.push(1, s, &[0x55; 1]);
    assert_eq!(w.written(1, s), 0);
    w.run(SECOND * 20);
    assert!(w.nodes[1].conns.is_empty());
    assert_eq!(w.nodes[1].stats().failed_in, 1);
    let s = w.probe(1);
    w.push(1, s, &[0x55; 63]);
    w.run(SECOND * 20);
    assert!(w.nodes[1].conns.is_empty());
    assert_eq!(w.written(1, s), 0);
}

#[test]
fn a_replayed_conversation_gets_no_answer() {
    let mut w = World::new(2);
    w.dial(0, 1);
    let first = w.recorded(0);
    let s = w.probe(1);
    w.push(1, s, &first[0]);
    assert_eq!(w.written(1, s), 0);
}

#[test]
fn clocks_and_networks_must_agree() {
    let mut w = World::new(2);
    w.ahead[1] = SECOND * 90;
    w.dial(0, 1);
    assert_eq!(w.downs(0), [(1, LinkDown::Clock)]);
    let skew = |e: &LinkEvent| {
        matches!(
            e,
            LinkEvent::Skew {
                secs: 89..=91,
                dialled: true,
                ..
            }
        )
    };
    assert!(w.events[0].iter().any(skew));
    // One that agrees with us is told too, to who dialled: the median needs it.
    let mut w = World::new(2);
    w.dial(0, 1);
    let skew = |e: &LinkEvent| {
        matches!(
            e,
            LinkEvent::Skew {
                secs: -1..=1,
                dialled: true,
                ..
            }
        )
    };
    assert!(w.events[0].iter().any(skew));
    assert!(
        !w.events[1]
            .iter()
            .any(|e| matches!(e, LinkEvent::Skew { .. }))
    );
    let mut w = World::new(2);
    w.ahead[1] = SECOND * 30;
    w.dial(0, 1);
    assert!(w.up(0, 1, Direction::Outbound));
    let skew = |e: &LinkEvent| {
        matches!(
            e,
            LinkEvent::Skew {
                secs: -31..=-29,
                dialled: false,
                ..
            }
        )
    };
    assert!(w.events[1].iter().any(skew));
    let mut w = World::new(2);
    w.nodes[1].local.net_id = 3;
    w.dial(0, 1);
    w.run(SECOND * 15);
    assert_eq!(w.downs(0), [(1, LinkDown::Handshake)]);
    assert_eq!(w.nodes[1].stats().failed_in, 1);
}

#[test]
fn a_wrong_clock_in_the_data_phase_is_told_once_a_minute() {
    let mut w = World::new(2);
    w.dial(0, 1);
    w.ahead[0] = SECOND * 30;
    let s = w.nodes[0].peers.values().next().unwrap().current;
    for _ in 0..100 {
        let now = Now {
            mono: w.now.mono,
            wall: w.now.wall + SECOND * 30,
        };
        let link = w.nodes[0].conns.get_mut(&s).unwrap().link().unwrap();
        let frame = link
            .established
            .keep_alive(now, &mut crate::rng::Rng::from_number(1));
        w.nodes[0].write(s, frame.unwrap());
        w.run(SECOND);
    }
    let told = w.events[1]
        .iter()
        .filter(|e| matches!(e, LinkEvent::Skew { .. }));
    assert_eq!(told.count(), 2);
}

#[test]
fn a_frame_that_is_never_finished_ends_the_link() {
    let mut w = World::new(2);
    w.dial(0, 1);
    let s = *w.nodes[1].conns.keys().next().unwrap();
    w.push(1, s, &[0x55; 10]);
    w.run(SECOND * 25);
    assert_eq!(w.downs(1), []);
    w.run(SECOND * 20);
    assert_eq!(
        w.downs(1),
        [(0, LinkDown::Terminated(reason::FRAME_TIMEOUT))]
    );
}

#[test]
fn a_caller_whose_router_info_is_old_is_told_so() {
    let mut w = World::new(2);
    w.now = w.now.after(SECOND * 91 * 60);
    w.dial(0, 1);
    let why = LinkDown::PeerTerminated(reason::MESSAGE_3);
    assert_eq!(w.downs(0), [(1, why)]);
    assert_eq!(w.nodes[1].stats().failed_in, 1);
    assert!(w.nodes[1].conns.is_empty() && w.events[1].is_empty());
}

#[test]
fn garbage_in_the_data_phase_ends_the_link_late() {
    let mut w = World::new(2);
    w.dial(0, 1);
    let s = *w.nodes[1].conns.keys().next().unwrap();
    let before = w.written(1, s);
    w.push(1, s, &[0x55; 70_000]);
    let why = w.downs(1)[0].1;
    assert!(
        why == LinkDown::Terminated(reason::AEAD) || why == LinkDown::Terminated(reason::FRAMING)
    );
    assert_eq!(w.written(1, s), before);
    w.run(SECOND * 20);
    assert!(w.written(1, s) > before);
    assert!(w.nodes[1].conns.is_empty());
}

#[test]
fn a_stuck_socket_holds_little_and_is_given_up() {
    let mut w = World::new(2);
    w.dial(0, 1);
    w.stuck = true;
    for n in 0..1000 {
        w.send(0, 1, Class::Transit, message(n, 1028));
    }
    let conn = w.nodes[0].conns.values().next().unwrap();
    assert!(conn.unsent < limits::LINK_UNSENT_HIGH + 2 * limits::NTCP2_FRAME_TARGET);
    assert!(w.nodes[0].stats().dropped[0] > 600);
    w.run(SECOND * 45);
    assert_eq!(w.downs(0), [(1, LinkDown::Closed)]);
}

#[test]
fn connections_of_one_address_are_limited() {
    let mut w = World::new(2);
    let accepted = (0..100).filter(|_| w.try_probe(1).is_some()).count();
    assert_eq!(accepted, limits::LINK_PENDING_PER_IP);
    w.run(SECOND * 60);
    assert!(w.nodes[1].conns.is_empty());
    assert!(w.try_probe(1).is_some());
}

#[test]
fn expired_messages_stop_here() {
    let mut w = World::new(2);
    w.dial(0, 1);
    let mut old = message(1, 10);
    old.expires = Date(w.now.wall.0 - 62_000);
    w.send(0, 1, Class::Own, old);
    assert_eq!(w.received(1), []);
    assert_eq!(w.nodes[1].stats().expired_in, 1);
}

#[test]
fn same_seed_same_bytes() {
    let run = || {
        let mut w = World::new(2);
        w.dial(0, 1);
        w.send(0, 1, Class::Own, message(1, 700));
        (w.recorded(0), w.recorded(1))
    };
    assert_eq!(run(), run());
}
