//! What silence says: peers that have forgotten a stream, ports where nobody listens, packets that
//! come too late.

use super::net::{Net, Wire, ms, text};
use crate::stream::packet::{CLOSE, Packet, SYN};
use crate::stream::{ResetWhy, StreamConfig, StreamEvent};
use core::time::Duration;

fn net(rtt: u64) -> Net {
    let mut net = Net::new(1, Wire::clean(rtt), &StreamConfig::default());
    net.sides[1].streams.listen(80);
    net
}

fn close_to_server(to: usize, bytes: &[u8]) -> bool {
    to == 1 && Packet::parse(bytes).unwrap().has(CLOSE)
}

/// The stream of side 0 ended in order within `limit`, and the path was neither blamed nor left.
fn ended_quietly(net: &mut Net, limit: u64) {
    net.sides[0].paths.clear();
    net.sides[0].copies.clear();
    assert!(net.run(ms(limit), |n| n.ended(0).is_some()));
    assert!(matches!(net.ended(0), Some(StreamEvent::Closed { .. })));
    let to = net.sides[1].hash;
    let works = StreamEvent::Progress { to };
    assert!(net.sides[0].paths.iter().all(|e| *e == works));
    assert!(net.sides[0].copies.iter().all(|(_, doubt)| *doubt == 0));
    assert!(net.sides[0].copies.len() <= 3, "{:?}", net.sides[0].copies);
}

#[test]
fn repeats_of_a_close_after_the_peers_blame_no_path() {
    let mut net = net(100);
    net.sides[1].answer = (b"answer".to_vec(), true);
    net.filter = |to, bytes, _| !close_to_server(to, bytes);
    net.connect(b"request", true);
    let finished = |e: &StreamEvent| matches!(e, StreamEvent::Finished { .. });
    assert!(net.run(ms(1000), |n| n.app(0).events.iter().any(finished)));
    net.filter = |_, _, _| false;
    ended_quietly(&mut net, 6000);
    assert_eq!(
        net.sides[0].copies.len(),
        2,
        "they are repeated all the same"
    );
}

#[test]
fn bytes_for_a_server_that_has_left_blame_no_path() {
    let mut net = net(100);
    net.sides[1].answer = (b"no more".to_vec(), true);
    let id = net.connect(&text(1000, 1), false);
    assert!(net.run(ms(5000), |n| {
        let finished = |e: &StreamEvent| matches!(e, StreamEvent::Finished { .. });
        n.app(0).events.iter().any(finished)
    }));
    net.run(ms(500), |_| false);
    net.filter = |to, _, _| to != 1;
    net.sides[0].paths.clear();
    net.sides[0].copies.clear();
    let now = net.now;
    net.sides[0].streams.write(now, id, b"more");
    assert!(net.run(ms(20_000), |n| n.ended(0).is_some()));
    let why = ResetWhy::Peer;
    assert_eq!(net.ended(0), Some(&StreamEvent::Reset { id, why }));
    assert!(net.sides[0].copies.iter().all(|(_, doubt)| *doubt == 0));
    assert_eq!(net.sides[0].paths, []);
}

#[test]
fn who_goes_on_reading_after_its_close_still_proves_the_path() {
    let mut net = net(100);
    net.sides[1].answer = (b"hello".to_vec(), true);
    let id = net.connect(b"x", false);
    net.run(ms(500), |_| false);
    let (data, now) = (text(30_000, 3), net.now);
    assert_eq!(net.sides[0].streams.write(now, id, &data), data.len());
    net.run(ms(1000), |_| false);
    assert_eq!(net.app(1).got.len(), 30_001);
    net.filter = |to, _, _| to != 1;
    let now = net.now;
    net.sides[0].streams.write(now, id, b"more");
    net.run(ms(3000), |_| false);
    let to = net.sides[1].hash;
    assert!(net.sides[0].paths.contains(&StreamEvent::Stalled { to }));
}

#[test]
fn a_first_close_that_nobody_answers_ends_soon_and_is_said_again_to_who_asks() {
    let mut net = net(100);
    let id = net.connect(b"request", false);
    assert!(net.run(ms(1000), |n| n.sides[0].apps[&id].events.len() == 1));
    net.run(ms(500), |_| false);
    net.filter = |to, bytes, _| !close_to_server(to, bytes);
    net.sides[0].paths.clear();
    let now = net.now;
    net.sides[0].streams.close(now, id);
    assert!(net.run(ms(20_000), |n| n.ended(0).is_some()));
    assert_eq!(net.ended(0), Some(&StreamEvent::Closed { id }));
    let to = net.sides[1].hash;
    assert!(!net.sides[0].paths.contains(&StreamEvent::Stalled { to }));
    // The server has not heard of the end: its next packet is answered with one.
    let (server, _) = net.sides[1].apps.iter().next_back().unwrap();
    let (server, now) = (*server, net.now);
    net.sides[1].streams.write(now, server, b"more");
    assert!(net.run(ms(1000), |n| n.ended(1).is_some()));
}

#[test]
fn a_stream_that_the_peer_has_lost_is_ended_without_blame() {
    let mut net = net(100);
    let id = net.connect(b"request", false);
    assert!(net.run(ms(1000), |n| n.sides[0].apps[&id].events.len() == 1));
    net.run(ms(1000), |_| false);
    net.sides[0].paths.clear();
    net.filter = |_, _, _| false;
    assert!(net.run(Duration::from_secs(400), |n| n.ended(0).is_some()));
    let to = net.sides[1].hash;
    assert!(!net.sides[0].paths.contains(&StreamEvent::Stalled { to }));
    assert!(net.sides[0].paths.contains(&StreamEvent::Unanswered { to }));
}

#[test]
fn copies_of_a_packet_that_gaps_ask_for_raise_no_doubt() {
    let mut net = net(100);
    // Packet 5 is lost five times, everything around it arrives.
    net.filter = |to, bytes, n| {
        let p = Packet::parse(bytes).unwrap();
        !(to == 1 && p.seq == 5 && !p.payload.is_empty() && n < 250)
    };
    net.connect(&text(600_000, 1), false);
    assert!(net.run(ms(20_000), |n| {
        n.sides[1].apps.values().any(|a| a.got.len() == 600_000)
    }));
    let copies = &net.sides[0].copies;
    assert!(copies.len() >= 3, "{copies:?}");
    assert!(copies.iter().all(|(_, doubt)| *doubt == 0), "{copies:?}");
}

#[test]
fn timeouts_in_a_row_do_raise_doubt() {
    let mut net = net(100);
    net.connect(&text(200_000, 1), false);
    net.run(ms(250), |_| false);
    net.filter = |_, _, _| false;
    net.run(ms(20_000), |_| false);
    let most = net.sides[0].copies.iter().map(|(_, doubt)| *doubt).max();
    assert!(most >= Some(3), "{most:?}");
    let to = net.sides[1].hash;
    assert!(net.sides[0].paths.contains(&StreamEvent::Stalled { to }));
}

#[test]
fn what_comes_after_the_end_is_a_stray_and_no_overflow() {
    let mut net = net(100);
    net.sides[1].answer = (b"answer".to_vec(), true);
    net.filter = |to, bytes, _| !close_to_server(to, bytes);
    let id = net.connect(b"request", true);
    net.run(ms(400), |_| false);
    assert_eq!(net.ended(0), None);
    let (server, _) = net.sides[1].apps.iter().next_back().unwrap();
    let (server, now, from) = (*server, net.now, net.sides[1].hash);
    // A packet of the server's stream behind its CLOSE.
    net.sides[1].streams.reset(now, &mut net.rng, server);
    let t = net.sides[1].streams.poll_transmit(now, &mut net.rng);
    let reset = Packet::parse(&t.unwrap().payload).unwrap();
    let p = Packet {
        send_id: reset.send_id,
        recv_id: reset.recv_id,
        seq: 9,
        payload: b"late".to_vec(),
        ..Packet::default()
    };
    let bytes = p.write(None).unwrap();
    let s = &mut net.sides[0].streams;
    s.handle_packet(now, &mut net.rng, from, 80, 0, &bytes);
    let stats = net.sides[0].streams.stats();
    assert_eq!((stats.overflows, stats.strays), (0, 1));
    assert_eq!(net.sides[0].apps[&id].got, b"answer");
}

/// Seconds after the first SYN of a stream at which copies of it went, until nobody answered.
fn syns(net: &mut Net, port: u16) -> Vec<f64> {
    let (now, to) = (net.now, net.sides[1].hash);
    let s = &mut net.sides[0].streams;
    let id = s.connect(now, &mut net.rng, to, port).unwrap();
    s.write(now, id, b"hello");
    net.sides[0].apps.insert(id, super::net::App::default());
    net.sides[0].copies.clear();
    net.sides[0].paths.clear();
    assert!(net.run(ms(30_000), |n| n.ended(0).is_some()));
    let why = ResetWhy::NoAnswer;
    assert_eq!(net.ended(0), Some(&StreamEvent::Reset { id, why }));
    let copies = net.sides[0].copies.iter();
    copies
        .map(|(at, _)| at.since(now.mono).as_secs_f64())
        .collect()
}

#[test]
fn a_port_where_nobody_listens_is_given_up_within_half_a_minute() {
    for (rtt, first) in [(0, 3.1), (100, 1.6), (2000, 4.6), (9000, 4.6)] {
        let mut net = net(rtt.max(2));
        if rtt > 0 {
            // An earlier stream has taught the round-trip time.
            net.sides[1].answer = (b"answer".to_vec(), true);
            net.connect(b"x", true);
            net.run(ms(5 * rtt + 20_000), |n| n.sides[0].streams.is_empty());
        }
        let syns = syns(&mut net, 443);
        assert!((4..16).contains(&syns.len()), "{rtt}: {syns:?}");
        assert!(syns[0] < first, "{rtt}: {syns:?}");
        let gaps = syns.windows(2).map(|w| w[1] - w[0]);
        assert!(gaps.fold(0.0, f64::max) < 9.6, "{rtt}: {syns:?}");
        let to = net.sides[1].hash;
        let tried = StreamEvent::Unanswered { to };
        assert!(
            net.sides[0].paths.iter().all(|e| *e == tried),
            "nobody is to blame"
        );
        assert!(!net.sides[0].paths.is_empty());
    }
}

#[test]
fn a_lost_syn_of_a_known_peer_is_repeated_within_two_seconds() {
    let mut net = net(300);
    net.sides[1].answer = (b"answer".to_vec(), true);
    net.connect(b"x", true);
    assert!(net.run(ms(20_000), |n| n.sides[0].streams.is_empty()));
    net.dead = net.now.mono + ms(100);
    let start = net.now.mono;
    net.connect(b"request", true);
    assert!(net.run(ms(10_000), |n| n.app(0).got == b"answer"));
    let took = net.now.mono.since(start);
    assert!(took < ms(2000), "{took:?}");
}

#[test]
fn other_streams_of_the_peer_prove_the_path() {
    let mut net = net(100);
    net.sides[1].answer = (text(3_000_000, 7), false);
    net.connect(b"go", false);
    net.run(ms(300), |_| false);
    net.filter = |to, bytes, _| !(to == 1 && Packet::parse(bytes).unwrap().has(SYN));
    net.wire.rate = 200_000;
    net.sides[0].paths.clear();
    let id = net.connect(b"too", false);
    let now = net.now;
    net.sides[0].streams.write(now, id, b"?");
    // Our bytes on the first stream are acknowledged all the time.
    for _ in 0..20 {
        net.run(ms(500), |_| false);
        let first = *net.sides[0].apps.keys().next().unwrap();
        let now = net.now;
        net.sides[0].streams.write(now, first, b"more");
    }
    let to = net.sides[1].hash;
    assert!(net.sides[0].copies.len() >= 2, "the SYN is repeated");
    let works = StreamEvent::Progress { to };
    assert!(net.sides[0].paths.iter().all(|e| *e == works));
}
