//! What streams hold for readers that do not read, and for SYNs that do not come.

use super::net::{Net, Wire, destination, ms, text};
use crate::limits::{
    STREAM_AHEAD_MAX, STREAM_EARLY_BYTES_MAX, STREAM_PACKET_COST, STREAM_RECEIVE_BUDGET,
};
use crate::rng::Rng;
use crate::stream::packet::Packet;
use crate::stream::recv::{RecvSide, Verdict};
use crate::stream::send::{Kind, SendSide};
use crate::stream::{StreamConfig, StreamId, Streams};
use crate::time::Instant;
use core::time::Duration;

fn config() -> StreamConfig {
    StreamConfig {
        per_peer_max: 128,
        syn_rate: 10_000,
        syn_rate_peer: 10_000,
        ..StreamConfig::default()
    }
}

/// `n` streams to a server that sends `size` bytes on each, of which nobody reads one.
fn unread(n: usize, size: usize) -> (Net, Vec<StreamId>) {
    let wire = Wire {
        rate: 8_000_000,
        queue: ms(1000),
        ..Wire::clean(100)
    };
    let mut net = Net::new(3, wire, &config());
    net.budget = STREAM_RECEIVE_BUDGET;
    net.sides[1].streams.listen(80);
    net.sides[1].answer = (text(size, 7), true);
    let ids: Vec<_> = (0..n).map(|_| net.connect(b"go", false)).collect();
    for id in &ids {
        net.sides[0].apps.get_mut(id).unwrap().slow = true;
    }
    net.run(Duration::from_secs(30), |_| false);
    (net, ids)
}

#[test]
fn a_hundred_readers_that_pause_share_the_budget_and_lose_nothing() {
    const SIZE: usize = 400_000;
    let (mut net, ids) = unread(120, SIZE);
    let held = net.sides[0].streams.held();
    let owed: usize = ids.iter().map(|id| net.sides[0].apps[id].owed).sum();
    assert_eq!(held, owed);
    // Half of it, and what was on its way then: a second of the wire's 8 MB/s.
    let most = STREAM_RECEIVE_BUDGET / 2 + 8_000_000;
    assert!((most / 4..most).contains(&held), "{held}");
    assert_eq!(net.sides[0].streams.stats().overflows, 0);
    // All of them go on when they read again.
    for _ in 0..400 {
        for id in &ids {
            let app = net.sides[0].apps.get_mut(id).unwrap();
            let n = core::mem::take(&mut app.owed);
            let now = net.now;
            net.sides[0].streams.consume(now, *id, n);
        }
        net.run(ms(200), |_| false);
    }
    for id in &ids {
        let got = net.sides[0].apps[id].got.len();
        assert_eq!(got, SIZE, "{id:?}");
    }
    assert_eq!(net.sides[0].streams.stats().overflows, 0);
    assert_eq!(net.sides[0].streams.held(), 0);
}

#[test]
fn who_reads_is_not_slowed_by_who_does_not() {
    let (net, _) = unread(120, 400_000);
    let left = STREAM_RECEIVE_BUDGET - net.sides[0].streams.held();
    let took = [left, usize::MAX].map(|budget| {
        let mut net = Net::new(5, Wire::clean(100), &config());
        net.budget = budget;
        net.sides[1].streams.listen(80);
        net.sides[1].answer = (text(4_000_000, 7), true);
        let start = net.now.mono;
        net.connect(b"go", true);
        assert!(net.run(ms(60_000), |n| n.app(0).got.len() == 4_000_000));
        net.now.mono.since(start)
    });
    assert_eq!(took[0], took[1]);
}

#[test]
fn a_stream_goes_on_when_nothing_is_left() {
    let mut net = Net::new(5, Wire::clean(100), &config());
    net.budget = 0;
    net.sides[1].streams.listen(80);
    net.sides[1].answer = (text(300_000, 7), true);
    net.connect(b"go", true);
    assert!(net.run(ms(60_000), |n| n.app(0).got.len() == 300_000));
}

#[test]
fn packets_out_of_order_cost_more_than_their_bytes() {
    for size in [0, 1, 1000] {
        let mut r = RecvSide::new(64 * 1024);
        let now = Instant(1);
        let mut kept = 0;
        for seq in 1..=STREAM_AHEAD_MAX {
            let verdict = r.accept(now, seq, vec![0; size], false, ms(1));
            kept += usize::from(verdict == Verdict::New);
        }
        assert_eq!(r.held(), kept * (size + STREAM_PACKET_COST));
        assert!(r.held() <= 64 * 1024, "{size}: {}", r.held());
        // They are counted off again when the gap is filled.
        r.accept(now, 0, vec![0; size], false, ms(1));
        assert_eq!(r.held(), (kept + 1) * size);
    }
}

#[test]
fn packets_that_wait_for_an_acknowledgement_cost_more_than_their_bytes() {
    let window = crate::stream::window::Window::new(512, 512);
    let mut s = SendSide::new(64 * 1024, window, crate::stream::rtt::Rtt::default());
    let mut sent = 0;
    while s.write(b"x") == 1 {
        s.fresh(Instant(1), Kind::Data, 1812);
        sent += 1;
    }
    assert!(
        sent * (1 + STREAM_PACKET_COST) <= 64 * 1024 + STREAM_PACKET_COST,
        "{sent}"
    );
}

#[test]
fn nothing_is_kept_for_a_port_where_nobody_listens() {
    let (d, key) = destination(1);
    let mut streams = Streams::new(StreamConfig::default(), d, key);
    let (peer, _) = destination(2);
    let net = Net::new(1, Wire::clean(2), &StreamConfig::default());
    let mut rng = Rng::from_number(1);
    let mut give = |streams: &mut Streams, port, id| {
        let p = Packet {
            recv_id: id,
            seq: 1,
            payload: vec![0; 50_000],
            ..Packet::default()
        };
        let bytes = p.write(None).unwrap();
        streams.handle_packet(net.now, &mut rng, peer.hash(), 0, port, &bytes);
    };
    give(&mut streams, 80, 5);
    assert_eq!((streams.stats().strays, streams.deadline()), (1, None));
    streams.listen(80);
    give(&mut streams, 81, 6);
    assert_eq!((streams.stats().strays, streams.deadline()), (2, None));
    for id in 7..30 {
        give(&mut streams, 80, id);
    }
    let most = (STREAM_EARLY_BYTES_MAX / 50_000) as u64;
    assert!(streams.stats().strays >= 25 - most);
    let end = net.now.mono + Duration::from_secs(10);
    assert_eq!(
        streams.deadline(),
        Some(end),
        "they are thrown away in time"
    );
    let later = net.now.after(Duration::from_secs(10));
    streams.handle_timeout(later, &mut Rng::from_number(1));
    assert_eq!(streams.deadline(), None);
}

#[test]
fn incoming_streams_leave_room_for_our_own() {
    let config = StreamConfig {
        streams_max: 40,
        ..config()
    };
    let mut net = Net::new(1, Wire::clean(10), &config);
    net.sides[1].streams.listen(80);
    for _ in 0..40 {
        net.connect(b"x", false);
    }
    net.run(ms(500), |_| false);
    assert_eq!(net.sides[1].streams.len(), 30);
    let (now, to) = (net.now, net.sides[0].hash);
    let ours = net.sides[1].streams.connect(now, &mut net.rng, to, 80);
    assert!(ours.is_ok());
}
