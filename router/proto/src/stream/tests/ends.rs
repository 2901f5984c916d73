//! How streams end, and what they do when they cannot begin.

use super::net::{App, Net, Wire, ms, text};
use crate::stream::packet::{CLOSE, Packet};
use crate::stream::{ResetWhy, StreamConfig, StreamError, StreamEvent};
use core::time::Duration;

fn net(rtt: u64) -> Net {
    let mut net = Net::new(1, Wire::clean(rtt), &StreamConfig::default());
    net.sides[1].streams.listen(80);
    net
}

fn has_finished(app: &App) -> bool {
    app.events
        .iter()
        .any(|e| matches!(e, StreamEvent::Finished { .. }))
}

#[test]
fn the_caller_says_close_only_after_the_server() {
    let mut net = net(100);
    let id = net.connect(b"request", true);
    assert!(net.run(ms(10_000), |n| {
        n.sides[1].apps.values().any(|a| a.got == b"request")
    }));
    net.run(ms(20_000), |_| false);
    assert!(
        !has_finished(net.app(1)),
        "our end of input is kept to ourselves"
    );
    let (server, _) = net.sides[1].apps.iter().next_back().unwrap();
    let (server, now) = (*server, net.now);
    assert_eq!(net.sides[1].streams.write(now, server, b"answer"), 6);
    net.sides[1].streams.finish(now, server);
    assert!(net.run(ms(1000), |n| n.ended(0).is_some() && n.ended(1).is_some()));
    assert_eq!(net.app(0).got, b"answer");
    let want = [
        StreamEvent::Opened { id },
        StreamEvent::Finished { id },
        StreamEvent::Closed { id },
    ];
    assert_eq!(net.app(0).events, want);
    assert_eq!(net.sides[0].streams.stats().resent, 0);
    assert_eq!(net.sides[1].streams.stats().resent, 0);
}

#[test]
fn an_idle_stream_is_closed_after_a_minute() {
    let mut net = net(100);
    net.connect(b"request", true);
    assert!(net.run(ms(59_000), |n| {
        n.sides[1].apps.values().any(|a| a.got == b"request")
    }));
    assert!(net.run(ms(62_000), |n| has_finished(n.app(1))));
    let wait = net.now.mono.0 / 1_000_000;
    assert!((60..63).contains(&wait), "{wait}");
}

#[test]
fn a_server_may_finish_and_go_on_reading() {
    let mut net = net(100);
    net.sides[1].answer = (b"hello".to_vec(), true);
    let data = text(500_000, 3);
    let id = net.connect(b"x", false);
    assert!(net.run(ms(1000), |n| has_finished(n.app(0))));
    assert_eq!(net.app(0).got, b"hello");
    let app = net.sides[0].apps.get_mut(&id).unwrap();
    app.to_write.extend_from_slice(&data);
    app.finish = true;
    net.drain();
    assert!(net.run(ms(20_000), |n| n.ended(0).is_some() && n.ended(1).is_some()));
    assert_eq!(net.app(1).got[1..], data);
    assert!(matches!(net.ended(0), Some(StreamEvent::Closed { .. })));
    assert!(matches!(net.ended(1), Some(StreamEvent::Closed { .. })));
}

#[test]
fn close_ends_a_complete_exchange() {
    let mut net = net(100);
    let id = net.connect(b"request", false);
    assert!(net.run(ms(1000), |n| n.sides[0].apps[&id].events.len() == 1));
    let now = net.now;
    net.sides[0].streams.close(now, id);
    assert!(net.run(ms(300), |n| has_finished(n.app(1))));
    // The server goes on for a while; the stream is gone all the same.
    assert!(net.run(ms(11_000), |n| n.ended(0)
        == Some(&StreamEvent::Closed { id })));
}

#[test]
fn both_sides_close_at_once_under_loss() {
    for seed in 0..50 {
        let wire = Wire {
            loss: 200,
            ..Wire::clean(100)
        };
        let mut net = Net::new(seed, wire, &StreamConfig::default());
        net.sides[1].streams.listen(80);
        net.sides[1].answer = (b"bye".to_vec(), true);
        let id = net.connect(b"bye", false);
        let now = net.now;
        net.sides[0].streams.finish(now, id);
        let closed = |n: &Net, i: usize| matches!(n.ended(i), Some(StreamEvent::Closed { .. }));
        assert!(
            net.run(Duration::from_secs(300), |n| closed(n, 0) && closed(n, 1)),
            "seed {seed}: {:?} {:?}",
            net.app(0).events,
            net.sides[1].apps.values().next_back().map(|a| &a.events)
        );
        assert_eq!(
            (&net.app(0).got[..], &net.app(1).got[..]),
            (&b"bye"[..], &b"bye"[..])
        );
    }
}

#[test]
fn a_peer_that_is_gone_after_its_close_costs_little() {
    // i2pd forgets a stream with the CLOSE it sends.
    let mut net = net(100);
    net.sides[1].answer = (b"answer".to_vec(), true);
    net.filter = |to, bytes, _| !(to == 1 && Packet::parse(bytes).unwrap().has(CLOSE));
    net.connect(b"request", true);
    assert!(net.run(ms(1000), |n| has_finished(n.app(0))));
    net.filter = |_, _, _| false;
    assert!(net.run(ms(6000), |n| matches!(
        n.ended(0),
        Some(StreamEvent::Closed { .. })
    )));
    let to = net.sides[1].hash;
    assert!(!net.sides[0].paths.contains(&StreamEvent::Stalled { to }));
}

#[test]
fn a_reset_in_answer_to_the_last_close_is_an_orderly_end() {
    let mut net = net(100);
    net.sides[1].answer = (b"answer".to_vec(), true);
    net.filter = |to, bytes, _| !(to == 1 && Packet::parse(bytes).unwrap().has(CLOSE));
    net.connect(b"request", true);
    assert!(net.run(ms(1000), |n| has_finished(n.app(0))));
    let (server, _) = net.sides[1].apps.iter().next_back().unwrap();
    let (server, now) = (*server, net.now);
    net.sides[1].streams.reset(now, &mut net.rng, server);
    assert!(net.run(ms(200), |n| n.ended(0).is_some()));
    assert!(matches!(net.ended(0), Some(StreamEvent::Closed { .. })));
}

#[test]
fn reset_reaches_the_other_side() {
    let mut net = net(100);
    net.sides[1].answer = (text(100_000, 1), false);
    let id = net.connect(b"x", false);
    assert!(net.run(ms(1000), |n| n.app(0).got.len() == 100_000));
    let now = net.now;
    net.sides[0].streams.reset(now, &mut net.rng, id);
    assert!(net.run(ms(200), |n| n.ended(1).is_some()));
    let why = ResetWhy::Local;
    assert_eq!(net.ended(0), Some(&StreamEvent::Reset { id, why }));
    assert!(matches!(
        net.ended(1),
        Some(StreamEvent::Reset {
            why: ResetWhy::Peer,
            ..
        })
    ));
    assert!(net.sides.iter().all(|s| s.streams.is_empty()));
    assert!(!net.step(), "nothing is left to do");
}

#[test]
fn a_lost_reset_is_said_again() {
    let mut net = net(100);
    let id = net.connect(b"x", false);
    assert!(net.run(ms(1000), |n| n.sides[0].apps[&id].events.len() == 1));
    let now = net.now;
    net.dead = net.now.mono + ms(50);
    net.sides[0].streams.reset(now, &mut net.rng, id);
    net.drain();
    assert!(net.sides[0].streams.is_empty());
    net.run(ms(1000), |_| false);
    let (server, _) = net.sides[1].apps.iter().next_back().unwrap();
    let (server, now) = (*server, net.now);
    net.sides[1].streams.write(now, server, b"more");
    net.run(ms(200), |n| n.ended(1).is_some());
    assert!(matches!(
        net.ended(1),
        Some(StreamEvent::Reset {
            why: ResetWhy::Peer,
            ..
        })
    ));
}

#[test]
fn nobody_answers() {
    let mut net = net(100);
    net.sides[1].streams.unlisten(80);
    let id = net.connect(b"request", true);
    net.run(ms(70_000), |n| n.ended(0).is_some());
    let why = ResetWhy::NoAnswer;
    assert_eq!(net.ended(0), Some(&StreamEvent::Reset { id, why }));
    let sent = net.sides[0].sent;
    assert!((5..20).contains(&sent), "{sent} SYNs");
    assert_eq!(net.sides[1].streams.stats().refused, sent);
}

#[test]
fn a_lost_syn_is_sent_again_soon() {
    for (lost_to, limit) in [(1, 3300), (0, 3300)] {
        let mut net = net(100);
        net.sides[1].answer = (b"answer".to_vec(), true);
        net.filter = if lost_to == 1 {
            |to, _, n| !(to == 1 && n == 1)
        } else {
            |to, bytes, n| !(to == 0 && n < 5 && Packet::parse(bytes).unwrap().has(1))
        };
        net.connect(b"request", true);
        assert!(
            net.run(ms(limit), |n| n.app(0).got == b"answer"),
            "to {lost_to}"
        );
        assert!(net.lost > 0);
        assert_eq!(net.sides[1].apps.len(), 1);
    }
}

#[test]
fn a_peer_that_dies_is_noticed() {
    let mut net = net(100);
    let id = net.connect(b"request", false);
    assert!(net.run(ms(1000), |n| n.sides[0].apps[&id].events.len() == 1));
    // Idle streams stay, as long as the peer shows that it is there.
    assert!(!net.run(Duration::from_secs(1000), |n| n.ended(0).is_some()));
    net.filter = |_, _, _| false;
    assert!(net.run(Duration::from_secs(400), |n| n.ended(0).is_some()));
    let why = ResetWhy::Timeout;
    assert_eq!(net.ended(0), Some(&StreamEvent::Reset { id, why }));
}

#[test]
fn streams_are_bounded() {
    let config = StreamConfig {
        streams_max: 1000,
        per_peer_max: 40,
        syn_rate: 10_000,
        syn_rate_peer: 10_000,
        ..StreamConfig::default()
    };
    let mut net = Net::new(1, Wire::clean(100), &config);
    net.sides[1].streams.listen(0);
    for _ in 0..1000 {
        net.connect(b"x", false);
    }
    let (now, to) = (net.now, net.sides[1].hash);
    let more = net.sides[0].streams.connect(now, &mut net.rng, to, 80);
    assert_eq!(more, Err(StreamError::TooMany));
    net.run(ms(1000), |_| false);
    assert_eq!(net.sides[1].streams.len(), 40);
    assert!(net.run(Duration::from_secs(100), |n| n.sides[0].streams.len() == 40));
    assert!(net.run(
        Duration::from_secs(100),
        |n| n.sides[0].streams.stats().sent > 1000
    ));
}

#[test]
fn the_rate_of_syns_is_bounded() {
    let mut net = net(100);
    for _ in 0..200 {
        net.connect(b"x", false);
    }
    net.run(ms(150), |_| false);
    assert!(net.sides[1].streams.len() <= 64);
    assert!(net.sides[1].streams.stats().refused >= 136);
}
