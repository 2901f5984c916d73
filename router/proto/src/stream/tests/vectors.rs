//! Packets of recorded conversations with i2pd.

use crate::crypto::sig::SigningKey;
use crate::dest::demux::{Envelope, STREAMING};
use crate::rng::Rng;
use crate::stream::packet::{CLOSE, ECHO, FROM, Packet, PeerKey, SIGNED, SYN};
use crate::stream::{StreamConfig, StreamEvent, Streams};
use crate::time::{Date, Instant, Now};
use crate::wire::cursor::Reader;
use crate::wire::hash::DestHash;
use crate::wire::identity::Destination;
use serde_json::Value;

fn file(name: &str) -> Value {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/i2pd/");
    let text = std::fs::read_to_string(format!("{dir}{name}.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn bytes(v: &Value) -> Vec<u8> {
    hex::decode(v.as_str().unwrap()).unwrap()
}

/// The Data messages of a ratchet payload, without their length.
fn data_messages(payload: &[u8]) -> Vec<Vec<u8>> {
    let mut r = Reader::new(payload);
    let mut out = Vec::new();
    while !r.is_empty() {
        let kind = r.u8("kind").unwrap();
        let n = r.u16("length").unwrap();
        let mut b = r.sub(usize::from(n), "block").unwrap();
        if kind != 11 {
            continue;
        }
        let delivery = b.u8("delivery").unwrap();
        if delivery >> 5 & 3 == 1 {
            b.take(32, "to").unwrap();
        }
        let message = b.u8("type").unwrap();
        b.take(8, "header").unwrap();
        if message == 20 {
            let n = b.u32("length").unwrap() as usize;
            out.push(b.take(n, "data").unwrap().to_vec());
        }
    }
    out
}

/// (sent by us, the envelope) of all Data messages of a recording.
fn envelopes(v: &Value) -> Vec<(bool, Envelope)> {
    let mut out = Vec::new();
    for e in v["events"].as_array().unwrap() {
        if e["payload"].is_null() {
            continue;
        }
        for m in data_messages(&bytes(&e["payload"])) {
            out.push((e["dir"] == "sent", Envelope::parse(&m).unwrap()));
        }
    }
    out
}

const FILES: [&str; 5] = [
    "ratchet-client",
    "ratchet-client-2.45.1",
    "ratchet-server",
    "ratchet-server-2.45.1",
    "ratchet-next-key",
];

fn date(v: &Value) -> Date {
    Date::from_secs(
        v["our_destination"]["lease_set2_published"]
            .as_u64()
            .unwrap(),
    )
}

#[test]
fn recorded_packets_parse_verify_and_are_made_again() {
    let (mut signed, mut packets) = (0, 0);
    for name in FILES {
        let v = file(name);
        let own = &v["our_destination"];
        let seed: [u8; 32] = bytes(&own["sign_priv"]).try_into().unwrap();
        let key = SigningKey::new(seed);
        let mut peers = std::collections::BTreeMap::new();
        for (ours, e) in envelopes(&v) {
            assert_eq!(e.protocol, STREAMING);
            let p = Packet::parse(&e.payload).unwrap();
            packets += 1;
            assert_eq!(p.write(None).unwrap(), e.payload, "{name}");
            let head = Packet::peek(&e.payload).unwrap();
            assert_eq!(
                (head.recv_id, head.seq, head.flags),
                (p.recv_id, p.seq, p.flags)
            );
            if let Some(from) = &p.from {
                let known = PeerKey::new(from, None, date(&v)).unwrap();
                peers.insert(p.recv_id, known);
            }
            if p.has(SYN) {
                assert!(p.has(SIGNED | FROM) && !p.has(ECHO));
            }
            if p.has(SIGNED) {
                signed += 1;
                assert!(p.verify(&e.payload, &peers[&p.recv_id]), "{name}");
                let mut worse = e.payload.clone();
                worse[17] ^= 1;
                assert!(!p.verify(&worse, &peers[&p.recv_id]));
                if ours {
                    let mut again = p.clone();
                    again.signature = None;
                    assert_eq!(again.write(Some(&key)).unwrap(), e.payload, "{name}");
                }
            }
        }
    }
    assert!(signed > 20 && packets > 100, "{signed} {packets}");
}

#[test]
fn the_client_of_a_recording_is_served() {
    for name in ["ratchet-server", "ratchet-server-2.45.1"] {
        let v = file(name);
        let own = &v["our_destination"];
        let destination = Destination::parse(&bytes(&own["destination"])).unwrap();
        let key = SigningKey::new(bytes(&own["sign_priv"]).try_into().unwrap());
        let mut s = Streams::new(StreamConfig::default(), destination, key);
        s.listen(80);
        let mut rng = Rng::from_number(1);
        let now = Now {
            mono: Instant(1),
            wall: date(&v),
        };
        let from = DestHash(bytes(&v["client_hash"]).try_into().unwrap());
        let (_, syn) = envelopes(&v).into_iter().find(|(ours, _)| !ours).unwrap();
        for wrong in [DestHash([1; 32]), from] {
            s.handle_packet(
                now,
                &mut rng,
                wrong,
                syn.from_port,
                syn.to_port,
                &syn.payload,
            );
        }
        assert_eq!(s.stats().bad, 1);
        let Some(StreamEvent::Progress { .. } | StreamEvent::Incoming { port: 80, .. }) =
            s.poll_event()
        else {
            panic!("{name}: {:?}", s.stats());
        };
        let later = now.after(StreamConfig::default().syn_hold);
        s.handle_timeout(later, &mut rng);
        let t = s.poll_transmit(later, &mut rng).unwrap();
        assert!(t.syn && t.to == from && t.from_port == 80);
        let p = Packet::parse(&t.payload).unwrap();
        assert_eq!(p.send_id, Packet::parse(&syn.payload).unwrap().recv_id);
        assert!(p.has(SYN | SIGNED | FROM) && !p.has(CLOSE) && p.nacks.is_empty());
    }
}
