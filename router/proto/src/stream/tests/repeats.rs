//! Packets that come again although they were acknowledged.

use super::net::{App, Net, Wire, ms, text};
use crate::stream::{StreamConfig, StreamEvent};
use core::time::Duration;

/// A download of `size` bytes under way.
fn download(wire: Wire, size: usize) -> Net {
    let mut net = Net::new(1, wire, &StreamConfig::default());
    net.sides[1].streams.listen(80);
    net.sides[1].answer = (text(size, 7), false);
    net.connect(b"go", false);
    assert!(net.run(ms(20_000), |n| n.app(0).got.len() > 100_000));
    net
}

fn doubts(net: &Net) -> usize {
    let to = net.sides[1].hash;
    let tried = StreamEvent::Unanswered { to };
    net.sides[0].paths.iter().filter(|e| **e == tried).count()
}

#[test]
fn acknowledgements_that_do_not_arrive_ask_for_another_path() {
    let mut net = download(Wire::clean(100), 5_000_000);
    net.filter = |to, _, _| to != 1;
    net.sides[0].paths.clear();
    assert!(net.run(ms(5000), |n| doubts(n) > 0), "within five seconds");
    let duplicates = net.sides[0].streams.stats().duplicates;
    net.run(Duration::from_secs(60), |_| false);
    assert!(net.sides[0].streams.stats().duplicates > duplicates);
    assert!((2..=21).contains(&doubts(&net)), "{}", doubts(&net));
    let to = net.sides[1].hash;
    let blame = StreamEvent::Stalled { to };
    assert!(!net.sides[0].paths.contains(&blame), "nobody is blamed");
}

#[test]
fn many_repeats_at_once_ask_seldom() {
    let mut wire = Wire::clean(100);
    wire.twice = 1000;
    let mut net = download(wire, 5_000_000);
    assert_eq!(doubts(&net), 0, "every packet comes twice");
    assert!(net.sides[0].streams.stats().duplicates > 20);
    // Many streams whose acknowledgements are lost speak with one voice.
    for _ in 0..10 {
        net.connect(b"go", false);
    }
    net.run(ms(500), |_| false);
    net.filter = |to, _, _| to != 1;
    net.run(Duration::from_secs(10), |_| false);
    assert!((1..=4).contains(&doubts(&net)), "{}", doubts(&net));
}

#[test]
fn losses_and_readers_that_pause_raise_no_doubt() {
    for loss in [0, 20] {
        let mut wire = Wire::clean(100);
        (wire.loss, wire.jitter, wire.twice) = (loss, ms(30), 10);
        let mut net = download(wire, 3_000_000);
        let id = *net.sides[0].apps.keys().next().unwrap();
        let slow = App {
            slow: true,
            got: core::mem::take(&mut net.sides[0].apps.get_mut(&id).unwrap().got),
            ..App::default()
        };
        net.sides[0].apps.insert(id, slow);
        for pause in [0, 0, 100, 0, 0] {
            net.run(Duration::from_secs(pause), |_| false);
            for _ in 0..40 {
                let owed = core::mem::take(&mut net.sides[0].apps.get_mut(&id).unwrap().owed);
                let now = net.now;
                net.sides[0].streams.consume(now, id, owed);
                net.run(ms(100), |_| false);
            }
        }
        assert_eq!(doubts(&net), 0, "{loss}");
    }
}
