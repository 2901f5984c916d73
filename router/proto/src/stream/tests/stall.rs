//! Streams that stand still: they go on or end in time, and both is said and counted.

use super::net::{App, Net, Wire, ms, text};
use crate::stream::packet::Packet;
use crate::stream::{Ends, ResetWhy, StreamConfig, StreamEvent, StreamId};
use core::time::Duration;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A stream from side 0 to side 1, open and quiet.
fn net(rtt: u64) -> (Net, StreamId) {
    let mut net = Net::new(1, Wire::clean(rtt), &StreamConfig::default());
    net.sides[1].streams.listen(80);
    let id = net.connect(b"request", false);
    assert!(net.run(ms(5000), |n| n.sides[0].apps[&id].events.len() == 1));
    net.run(ms(2000), |_| false);
    (net, id)
}

/// Side 0 writes, and only its acknowledgements arrive: much is heard, and nothing is an answer.
fn one_way(net: &mut Net, id: StreamId) {
    net.filter = |to, bytes, _| to == 0 || Packet::parse(bytes).unwrap().seq == 0;
    let now = net.now;
    net.sides[0].streams.write(now, id, &text(5000, 3));
}

/// Side 1 writes a little every five seconds for `n` seconds, or until side 0 has an end.
fn talk(net: &mut Net, n: u64) {
    let server = *net.sides[1].apps.keys().next().unwrap();
    for _ in 0..n / 5 {
        let now = net.now;
        net.sides[1].streams.write(now, server, b"more");
        if net.run(secs(5), |n| n.ended(0).is_some()) {
            return;
        }
    }
}

#[test]
fn bytes_that_are_not_acknowledged_end_a_stream_although_the_peer_talks() {
    let (mut net, id) = net(100);
    let start = net.now.mono;
    one_way(&mut net, id);
    talk(&mut net, 400);
    let why = ResetWhy::Timeout;
    assert_eq!(net.ended(0), Some(&StreamEvent::Reset { id, why }));
    let took = net.now.mono.since(start);
    assert!((secs(175)..secs(185)).contains(&took), "{took:?}");
    assert!(net.sides[0].apps[&id].got.len() > 100, "it was heard of");
    let stats = net.sides[0].streams.stats();
    assert_eq!((stats.stalled, stats.recovered), (1, 0));
    let ended = Ends {
        timeout: 1,
        ..Ends::default()
    };
    assert_eq!(stats.ended, ended);
}

#[test]
fn a_silent_peer_is_given_up_in_three_minutes_however_slow_it_was() {
    for rtt in [2, 1000, 4000] {
        let (mut net, id) = net(rtt);
        let (start, now) = (net.now.mono, net.now);
        net.filter = |_, _, _| false;
        net.sides[0].streams.write(now, id, b"more");
        assert!(net.run(secs(400), |n| n.ended(0).is_some()));
        let took = net.now.mono.since(start);
        assert!(took <= secs(181), "{rtt}: {took:?}");
    }
}

#[test]
fn a_stream_that_stood_still_goes_on_and_says_so() {
    let (mut net, id) = net(100);
    let to = net.sides[1].hash;
    one_way(&mut net, id);
    talk(&mut net, 20);
    assert!(
        net.sides[0].apps[&id]
            .events
            .contains(&StreamEvent::StandsStill { id, to })
    );
    net.filter = |_, _, _| true;
    talk(&mut net, 30);
    assert_eq!(
        net.sides[0].apps[&id].events.last(),
        Some(&StreamEvent::GoesOn { id, to })
    );
    let stats = net.sides[0].streams.stats();
    assert_eq!((stats.stalled, stats.recovered), (1, 1));
    // Another stall is told and counted again.
    one_way(&mut net, id);
    talk(&mut net, 20);
    assert_eq!(net.sides[0].streams.stats().stalled, 2);
}

#[test]
fn a_reader_that_pauses_is_no_stall() {
    let (mut net, id) = net(100);
    let slow = App {
        slow: true,
        ..App::default()
    };
    let server = *net.sides[1].apps.keys().next().unwrap();
    net.sides[1].apps.insert(server, slow);
    let data = text(900_000, 5);
    let now = net.now;
    assert_eq!(net.sides[0].streams.write(now, id, &data), data.len());
    net.run(secs(600), |_| false);
    let stats = net.sides[0].streams.stats();
    assert_eq!((stats.ended, net.ended(0)), (Ends::default(), None));
    assert_eq!(stats.stalled, 0);
    let to = net.sides[1].hash;
    let blame = StreamEvent::Stalled { to };
    assert!(!net.sides[0].paths.contains(&blame));
    for _ in 0..100 {
        let owed = core::mem::take(&mut net.sides[1].apps.get_mut(&server).unwrap().owed);
        let now = net.now;
        net.sides[1].streams.consume(now, server, owed);
        net.run(ms(500), |_| false);
    }
    assert_eq!(net.sides[1].apps[&server].got, data);
}

#[test]
fn every_end_is_counted_once() {
    let (mut net, id) = net(100);
    let now = net.now;
    net.sides[0].streams.reset(now, &mut net.rng, id);
    net.run(secs(5), |_| false);
    net.connect(b"two", true);
    let server = |n: &Net| n.sides[1].apps.keys().next_back().copied();
    net.run(secs(2), |_| false);
    let (last, now) = (server(&net).unwrap(), net.now);
    net.sides[1].streams.close(now, last);
    net.run(secs(20), |_| false);
    let (to, now) = (net.sides[1].hash, net.now);
    net.sides[1].streams.unlisten(80);
    let lost = net.sides[0].streams.connect(now, &mut net.rng, to, 80);
    net.sides[0].apps.insert(lost.unwrap(), App::default());
    net.run(secs(60), |_| false);
    let ends = |n: &Net, i: usize| n.sides[i].streams.stats().ended;
    let ours = Ends {
        local: 1,
        closed: 1,
        no_answer: 1,
        ..Ends::default()
    };
    let theirs = Ends {
        peer: 1,
        closed: 1,
        ..Ends::default()
    };
    assert_eq!((ends(&net, 0), ends(&net, 1)), (ours, theirs));
}
