//! Packets that nobody well-behaved sends.

use super::net::{Net, Wire, destination, ms, text};
use crate::rng::Rng;
use crate::stream::packet::{CLOSE, ECHO, NO_ACK, Packet, RESET, SYN};
use crate::stream::{StreamConfig, StreamEvent};
use crate::wire::hash::DestHash;

fn open() -> Net {
    let mut net = Net::new(2, Wire::clean(100), &StreamConfig::default());
    net.sides[1].streams.listen(80);
    net.connect(b"request", false);
    assert!(net.run(ms(1000), |n| n.app(0).events.len() == 1));
    net.run(ms(500), |_| false);
    net
}

/// A packet that side 0 would send on its stream.
fn packet(net: &mut Net) -> Packet {
    let (now, mut rng) = (net.now, Rng::from_number(1));
    let id = *net.sides[0].apps.keys().next().unwrap();
    net.sides[0].streams.write(now, id, b"?");
    let t = net.sides[0].streams.poll_transmit(now, &mut rng).unwrap();
    Packet::parse(&t.payload).unwrap()
}

fn give(net: &mut Net, from: DestHash, bytes: &[u8]) {
    let now = net.now;
    let s = &mut net.sides[1].streams;
    s.handle_packet(now, &mut net.rng, from, 0, 80, bytes);
}

#[test]
fn random_and_broken_bytes_do_no_harm() {
    let mut net = open();
    let good = packet(&mut net);
    let me = net.sides[0].hash;
    let mut rng = Rng::from_number(77);
    for i in 0..30_000 {
        let mut bytes = good.write(None).unwrap();
        match i % 4 {
            0 => bytes = rng.bytes(i / 4 % 700),
            1 => bytes.truncate(rng.below(bytes.len())),
            _ => {
                // Keep the ids, so that the stream itself has to cope.
                for _ in 0..=rng.below(6) {
                    let at = 8 + rng.below(bytes.len() - 8);
                    bytes[at] = rng.u32() as u8;
                }
            }
        }
        give(&mut net, me, &bytes);
        if i % 100 == 0 {
            net.step();
        }
    }
    net.run(ms(1000), |_| false);
    let stats = net.sides[1].streams.stats();
    assert!(stats.bad > 1000, "{stats:?}");
}

#[test]
fn syns_are_checked() {
    let mut net = Net::new(2, Wire::clean(100), &StreamConfig::default());
    net.sides[1].streams.listen(80);
    let (dest, key) = destination(1);
    let (me, to) = (dest.hash(), net.sides[1].hash);
    let mut syn = Packet {
        recv_id: 7,
        flags: SYN | NO_ACK,
        from: Some(dest),
        payload: b"hi".to_vec(),
        ..Packet::default()
    };
    syn.set_replay_hash(&me);
    give(&mut net, me, &syn.write(Some(&key)).unwrap());
    syn.set_replay_hash(&to);
    give(&mut net, me, &syn.write(None).unwrap());
    let (_, other) = destination(9);
    give(&mut net, me, &syn.write(Some(&other)).unwrap());
    give(&mut net, DestHash([9; 32]), &syn.write(Some(&key)).unwrap());
    let whole = syn.write(Some(&key)).unwrap();
    for n in 0..whole.len() {
        give(&mut net, me, &whole[..n]);
        assert!(net.sides[1].streams.is_empty(), "{n}");
        net.now = net.now.after(ms(100));
    }
    give(&mut net, me, &whole);
    give(&mut net, me, &whole);
    assert_eq!(net.sides[1].streams.len(), 1);
    // A plain one without the receiver's hash, of another stream.
    syn.nacks.clear();
    syn.recv_id = 8;
    give(&mut net, me, &syn.write(Some(&key)).unwrap());
    assert_eq!(net.sides[1].streams.len(), 2);
}

#[test]
fn only_the_peer_ends_its_stream() {
    let mut net = open();
    let good = packet(&mut net);
    let me = net.sides[0].hash;
    let (_, other) = destination(9);
    for flag in [RESET, CLOSE] {
        let mut p = good.clone();
        p.flags = flag;
        give(&mut net, DestHash([9; 32]), &p.write(None).unwrap());
        give(&mut net, me, &p.write(Some(&other)).unwrap());
    }
    assert_eq!(net.sides[1].streams.stats().bad_signatures, 4);
    net.drain();
    assert!(net.ended(1).is_none());
    let mut p = good;
    p.flags = RESET;
    give(&mut net, me, &p.write(None).unwrap());
    net.drain();
    assert!(matches!(net.ended(1), Some(StreamEvent::Reset { .. })));
}

#[test]
fn data_ahead_of_a_gap_is_bounded() {
    let mut net = open();
    let good = packet(&mut net);
    let me = net.sides[0].hash;
    for i in 0..100_000_u32 {
        let mut p = good.clone();
        p.seq = 2 + i * 7 % 60_000;
        p.payload = vec![0; 1800];
        give(&mut net, me, &p.write(None).unwrap());
    }
    let stats = net.sides[1].streams.stats();
    assert!(stats.overflows > 50_000, "{stats:?}");
    let now = net.now;
    let t = net.sides[1]
        .streams
        .poll_transmit(now, &mut net.rng)
        .unwrap();
    let p = Packet::parse(&t.payload).unwrap();
    assert!(p.nacks.len() <= 255, "{p:?}");
}

#[test]
fn data_before_its_syn_waits_for_it() {
    let mut net = Net::new(2, Wire::clean(100), &StreamConfig::default());
    net.sides[1].streams.listen(80);
    let (dest, key) = destination(1);
    let me = dest.hash();
    for seq in [2, 1] {
        let p = Packet {
            recv_id: 7,
            seq,
            payload: vec![b'0' + seq as u8],
            ..Packet::default()
        };
        give(&mut net, me, &p.write(None).unwrap());
    }
    let syn = Packet {
        recv_id: 7,
        flags: SYN | NO_ACK,
        from: Some(dest),
        payload: b"0".to_vec(),
        ..Packet::default()
    };
    give(&mut net, me, &syn.write(Some(&key)).unwrap());
    net.drain();
    assert_eq!(net.app(1).got, b"012");
}

#[test]
fn pings_are_answered_with_measure() {
    let mut net = Net::new(2, Wire::clean(100), &StreamConfig::default());
    let (dest, key) = destination(1);
    let me = dest.hash();
    let ping = Packet {
        send_id: 5,
        flags: ECHO,
        from: Some(dest),
        payload: text(50, 1),
        ..Packet::default()
    };
    give(&mut net, me, &ping.write(None).unwrap());
    for _ in 0..1000 {
        give(&mut net, me, &ping.write(Some(&key)).unwrap());
    }
    let now = net.now;
    let mut pongs = 0;
    while let Some(t) = net.sides[1].streams.poll_transmit(now, &mut net.rng) {
        let p = Packet::parse(&t.payload).unwrap();
        assert_eq!((p.send_id, p.recv_id, p.flags), (0, 5, ECHO | NO_ACK));
        assert_eq!(p.payload, ping.payload[..32]);
        assert_eq!((t.from_port, t.to_port), (80, 0));
        pongs += 1;
    }
    assert!((20..=64).contains(&pongs), "{pongs}");
}

#[test]
fn strays_hear_of_it() {
    let mut net = Net::new(2, Wire::clean(100), &StreamConfig::default());
    let me = net.sides[0].hash;
    let p = Packet {
        send_id: 5,
        recv_id: 6,
        seq: 9,
        payload: b"data".to_vec(),
        ..Packet::default()
    };
    give(&mut net, me, &p.write(None).unwrap());
    let now = net.now;
    let t = net.sides[1]
        .streams
        .poll_transmit(now, &mut net.rng)
        .unwrap();
    let answer = Packet::parse(&t.payload).unwrap();
    assert!(answer.has(RESET) && answer.send_id == 6 && answer.recv_id == 5);
    give(&mut net, me, &t.payload);
    assert!(
        net.sides[1]
            .streams
            .poll_transmit(now, &mut net.rng)
            .is_none()
    );
}
