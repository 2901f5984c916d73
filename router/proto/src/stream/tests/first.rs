//! The first packet of a stream, one way and the other: without it nothing else is of use.

use super::net::{Net, Wire, ms, text};
use crate::stream::packet::{Packet, SYN};
use crate::stream::{ResetWhy, StreamConfig, StreamEvent};

fn net() -> Net {
    let mut net = Net::new(1, Wire::clean(100), &StreamConfig::default());
    net.sides[1].streams.listen(80);
    net.sides[1].answer = (text(6000, 4), false);
    net
}

fn has_syn(bytes: &[u8]) -> bool {
    Packet::parse(bytes).unwrap().has(SYN)
}

fn has_all(net: &Net) -> bool {
    net.app(0).got.len() == 6000
}

#[test]
fn data_without_the_answer_says_that_the_answer_was_lost() {
    let mut net = net();
    // The first answer is lost, what follows it is not.
    net.filter = |to, bytes, n| !(to == 0 && has_syn(bytes) && n < 4);
    net.connect(b"request", false);
    assert!(net.run(ms(1500), has_all), "{:?}", net.app(0).events);
}

#[test]
fn an_answer_that_nobody_confirms_is_sent_again_alone() {
    let mut net = net();
    net.filter = |to, _, _| to == 1;
    net.connect(b"request", false);
    net.run(ms(300), |_| false);
    // The client's own repeats do not arrive: the server is on its own.
    net.filter = |to, bytes, _| !(to == 1 && has_syn(bytes));
    assert!(net.run(ms(4000), has_all));
}

#[test]
fn who_opens_a_stream_and_says_nothing_is_not_answered_for_ever() {
    let mut net = net();
    net.connect(b"request", false);
    net.run(ms(60), |n| !n.sides[1].apps.is_empty());
    net.filter = |_, _, _| false;
    net.run(ms(28_000), |_| false);
    let copies = net.sides[1].copies.len();
    assert!((4..=12).contains(&copies), "{copies}");
}

#[test]
fn a_peer_that_says_something_is_waited_for() {
    let mut net = net();
    net.filter = |to, bytes, _| !(to == 0 && has_syn(bytes));
    net.connect(b"request", false);
    net.run(ms(40_000), |_| false);
    assert_eq!(net.ended(0), None);
    net.filter = |_, _, _| true;
    assert!(net.run(ms(10_000), has_all));
}

#[test]
fn but_not_for_ever_and_not_one_that_says_nothing() {
    let mut net = net();
    net.filter = |to, bytes, _| !(to == 0 && has_syn(bytes));
    let id = net.connect(b"request", false);
    let why = ResetWhy::NoAnswer;
    assert!(net.run(ms(181_000), |n| n.ended(0).is_some()));
    assert_eq!(net.ended(0), Some(&StreamEvent::Reset { id, why }));
    let mut net = self::net();
    net.filter = |to, _, _| to == 1;
    net.connect(b"request", false);
    assert!(net.run(ms(28_100), |n| n.ended(0).is_some()));
}
