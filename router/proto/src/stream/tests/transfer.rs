//! Every byte once and in order, and how fast.

use super::net::{Net, Wire, ms, text};
use crate::stream::{StreamConfig, StreamEvent, StreamId};
use core::time::Duration;

/// A request of `up` bytes, an answer of `down`; seconds until the answer was there.
fn exchange(seed: u64, wire: Wire, up: usize, down: usize) -> (f64, Net) {
    let mut net = Net::new(seed, wire, &StreamConfig::default());
    net.sides[1].streams.listen(80);
    net.sides[1].answer = (text(down, 7), true);
    let start = net.now.mono;
    net.connect(&text(up, 9), true);
    let ok = net.run(Duration::from_secs(3000), |n| {
        n.app(0).got.len() == down && n.sides[1].apps.values().any(|a| a.got.len() == up)
    });
    let took = net.now.mono.since(start).as_secs_f64();
    let got = net.app(0).got.len();
    assert!(ok, "seed {seed}: {got} of {down} bytes after {took} s");
    assert!(net.app(0).got == text(down, 7));
    assert!(net.app(1).got == text(up, 9));
    assert!(net.run(Duration::from_secs(600), |n| {
        n.sides.iter().all(|s| s.streams.is_empty())
    }));
    for i in 0..2 {
        assert!(
            matches!(net.ended(i), Some(StreamEvent::Closed { .. })),
            "seed {seed} side {i}: {:?}",
            net.app(i).events
        );
    }
    (took, net)
}

#[test]
fn request_and_answer_take_one_round_trip() {
    let (took, net) = exchange(1, Wire::clean(200), 300, 1000);
    // SYN with the request; the answer rides in the SYN back.
    assert!(took < 0.23, "{took}");
    assert_eq!(net.sides[0].streams.stats().resent, 0);
    assert!(net.sides[0].sent <= 4, "{}", net.sides[0].sent);
}

#[test]
fn every_byte_once_and_in_order_whatever_the_wire_does() {
    for seed in 0..60 {
        let mut rng = crate::rng::Rng::from_number(seed);
        let wire = Wire {
            one_way: ms(10 + rng.below(190) as u64),
            jitter: ms(rng.below(60) as u64),
            loss: rng.below(101),
            twice: rng.below(100),
            rate: 0,
            queue: ms(100),
        };
        exchange(seed, wire, rng.below(200_000), rng.below(400_000));
    }
}

#[test]
fn throughput_over_round_trip_times() {
    const SIZE: usize = 20_000_000;
    let mut table = String::new();
    for (rtt, least) in [(20, 10.0), (50, 8.0), (100, 6.0), (200, 3.5), (400, 1.7)] {
        let (took, net) = exchange(3, Wire::clean(rtt), 300, SIZE);
        let rate = SIZE as f64 / took / 1e6;
        let acks = net.sides[0].sent as f64 / net.sides[1].sent as f64;
        table += &format!("rtt {rtt}: {rate:.2} MB/s, {acks:.3} acks a packet\n");
        assert!(rate > least, "{table}");
        assert!(acks < 0.3, "{table}");
        assert_eq!(net.sides[1].streams.stats().resent, 0);
    }
    println!("{table}");
}

#[test]
fn throughput_with_loss_and_a_narrow_link() {
    const SIZE: usize = 4_000_000;
    let mut table = String::new();
    for (rtt, loss, rate, least) in [
        (100, 10, 0, 2.0),
        (100, 50, 0, 0.5),
        (200, 20, 0, 0.6),
        (200, 100, 0, 0.1),
        (200, 0, 1_000_000, 0.7),
        (100, 0, 4_000_000, 2.0),
        (200, 20, 1_000_000, 0.5),
    ] {
        let wire = Wire {
            loss,
            rate,
            ..Wire::clean(rtt)
        };
        let (took, net) = exchange(5, wire, 300, SIZE);
        let got = SIZE as f64 / took / 1e6;
        let wasted = net.sides[1].streams.stats().resent as f64 / net.sides[1].sent as f64;
        table += &format!("rtt {rtt} loss {loss} rate {rate}: {got:.2} MB/s, {wasted:.3} resent\n");
        println!("{table}");
        assert!(got > least, "{table}");
        assert!(wasted < 0.25, "{table}");
    }
}

#[test]
fn uploads_and_both_directions_at_once() {
    let (took, _) = exchange(8, Wire::clean(100), 3_000_000, 3_000_000);
    assert!(took < 4.0, "{took}");
}

#[test]
fn a_slow_reader_stops_the_sender_and_loses_nothing() {
    for loss in [0, 30] {
        let wire = Wire {
            loss,
            ..Wire::clean(80)
        };
        let config = StreamConfig {
            receive_buffer: 256 * 1024,
            ..StreamConfig::default()
        };
        let mut net = Net::new(11, wire, &config);
        net.sides[1].streams.listen(0);
        net.sides[1].answer = (text(2_000_000, 7), true);
        let id = net.connect(b"go", true);
        net.sides[0].apps.get_mut(&id).unwrap().slow = true;
        net.run(Duration::from_secs(30), |_| false);
        let held = net.app(0).owed;
        assert!((60_000..=256_000).contains(&held), "{held}");
        // Nor is the stream taken for idle.
        net.run(Duration::from_secs(120), |_| false);
        assert_eq!(net.ended(0), None);
        while net.app(0).got.len() < 2_000_000 {
            let app = net.sides[0].apps.get_mut(&id).unwrap();
            let n = app.owed.min(100_000);
            app.owed -= n;
            let now = net.now;
            net.sides[0].streams.consume(now, id, n);
            let before = net.app(0).got.len();
            net.run(Duration::from_secs(20), |n| n.app(0).got.len() > before);
            assert!(
                net.app(0).got.len() > before || net.app(0).owed > 0,
                "stuck at {before}"
            );
        }
        assert!(net.app(0).got == text(2_000_000, 7));
    }
}

#[test]
fn a_dead_path_is_reported_and_survived() {
    let mut net = Net::new(4, Wire::clean(100), &StreamConfig::default());
    net.sides[1].streams.listen(80);
    net.sides[1].answer = (text(5_000_000, 7), true);
    net.connect(b"go", true);
    assert!(net.run(ms(2000), |n| {
        n.sides[0].apps.values().any(|a| a.got.len() > 200_000)
    }));
    net.dead = net.now.mono + ms(3000);
    let start = net.now.mono;
    assert!(net.run(ms(60_000), |n| n.app(0).got.len() == 5_000_000));
    assert!(net.now.mono.since(start) < ms(8000));
    let to = net.sides[0].hash;
    assert!(net.sides[1].paths.contains(&StreamEvent::Stalled { to }));
    assert!(net.sides[1].paths.contains(&StreamEvent::Progress { to }));
}

#[test]
fn writes_are_bounded_and_credit_comes_back() {
    let config = StreamConfig::default();
    let mut net = Net::new(4, Wire::clean(100), &config);
    net.sides[1].streams.listen(80);
    let data = text(3_000_000, 1);
    let id = net.connect(&[], false);
    let now = net.now;
    let n = net.sides[0].streams.write(now, id, &data);
    assert_eq!(n, config.send_buffer);
    assert_eq!(net.sides[0].streams.write(now, id, &data), 0);
    assert_eq!(net.sides[0].streams.write(now, StreamId(99), &data), 0);
    assert!(net.run(ms(20_000), |n| n.app(0).credit == config.send_buffer));
    assert_eq!(net.app(1).got, data[..n]);
}

#[test]
fn a_second_stream_starts_from_what_the_first_learnt() {
    let mut net = Net::new(4, Wire::clean(100), &StreamConfig::default());
    net.sides[1].streams.listen(80);
    net.sides[1].answer = (text(2_000_000, 7), true);
    let mut took = Vec::new();
    for _ in 0..2 {
        let start = net.now.mono;
        net.connect(b"go", true);
        assert!(net.run(ms(60_000), |n| n.app(0).got.len() == 2_000_000));
        took.push(net.now.mono.since(start));
        assert!(net.run(ms(60_000), |n| n.sides[0].streams.is_empty()));
    }
    assert!(took[1] < took[0], "{took:?}");
    let peer = net.sides[1].hash;
    let rtt = net.sides[0].streams.rtt(&peer).unwrap();
    assert!((ms(99)..ms(130)).contains(&rtt), "{rtt:?}");
}
