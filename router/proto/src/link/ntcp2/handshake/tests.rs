//! Recorded conversations replayed byte for byte, and what is refused.

use super::initiator::{self, Initiator, Target};
use super::responder::{self, Accepted, Around, Responder};
use super::*;
use crate::link::ntcp2::frame::Session;
use crate::link::ntcp2::replay::ReplayCache;
use crate::time::{Date, Instant};
use crate::wire::router_info::parse_verified;
use serde_json::Value;

fn vector(name: &str) -> Value {
    let path = format!(
        "{}/../../tests/vectors/i2pd/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn bytes(v: &Value) -> Vec<u8> {
    hex::decode(v.as_str().unwrap()).unwrap()
}

fn array<const N: usize>(v: &Value) -> [u8; N] {
    bytes(v).try_into().unwrap()
}

/// The moment whose seconds stand in an options block.
fn moment(options: &Value) -> Now {
    let o = bytes(options);
    let secs = u32::from_be_bytes(o[8..12].try_into().unwrap());
    Now {
        mono: Instant(1),
        wall: Date::from_secs(u64::from(secs)),
    }
}

fn replay_frames(v: &Value, mut session: Session) {
    for f in v["frames"].as_array().unwrap() {
        let (wire, plain) = (bytes(&f["wire"]), bytes(&f["plain"]));
        if f["dir"] == "to_peer" {
            assert_eq!(session.sealer.seal(plain).unwrap(), wire);
        } else {
            let (a, b) = wire.split_at(wire.len() / 2);
            session.opener.feed(a);
            assert_eq!(session.opener.next_frame(), Ok(None));
            session.opener.feed(b);
            assert_eq!(session.opener.next_frame(), Ok(Some(plain)));
        }
    }
}

fn replay_initiator(name: &str) {
    let v = vector(name);
    let local = Local {
        hash: RouterHash::default(),
        static_key: PrivateKey::new(array(&v["our_static_priv"])),
        iv: [0; 16],
        net_id: 77,
        info: Arc::new(parse_verified(&bytes(&v["our_keys"]["router_info"])).unwrap()),
    };
    let peer = parse_verified(&bytes(&v["peer_router_info"])).unwrap();
    let target = Target {
        hash: peer.hash(),
        static_key: array(&v["peer_static_key"]),
        iv: array(&v["peer_iv"]),
    };
    let draw = initiator::Draw {
        ephemeral: PrivateKey::new(array(&v["our_ephemeral_priv"])),
        padding: bytes(&v["message1_padding"]),
        payload: bytes(&v["message3_payload"]),
    };
    let now = moment(&v["message1_options"]);
    let (mut state, message1) = Initiator::new(&local, &target, now, draw).unwrap();
    assert_eq!(message1, bytes(&v["message1"]));
    let message2 = bytes(&v["message2"]);
    for (i, byte) in message2.iter().enumerate() {
        match state.read(now, &[*byte]).unwrap() {
            Step::Wait(next) => state = next,
            Step::Reply(..) => panic!("Alice has one reply"),
            Step::Done(done) => {
                assert_eq!(i + 1, message2.len());
                assert_eq!(done.message3, bytes(&v["message3"]));
                replay_frames(&v, done.session);
                return;
            }
        }
    }
    panic!("not done after message 2");
}

#[test]
fn recorded_initiators() {
    replay_initiator("ntcp2-initiator");
    replay_initiator("ntcp2-initiator-no-padding");
    replay_initiator("ntcp2-initiator-2.45.1");
}

struct Bob {
    v: Value,
    local: Local,
    replay: ReplayCache,
    now: Now,
}

impl Bob {
    fn new(name: &str) -> Self {
        let v = vector(name);
        let info = parse_verified(&bytes(&v["our_keys"]["router_info"])).unwrap();
        Self {
            local: Local {
                hash: info.hash(),
                static_key: PrivateKey::new(array(&v["our_static_priv"])),
                iv: array(&v["our_iv"]),
                net_id: 77,
                info: Arc::new(info),
            },
            replay: ReplayCache::default(),
            now: moment(&v["message2_options"]),
            v,
        }
    }

    fn read(
        &mut self,
        state: Responder,
        bytes_in: &[u8],
    ) -> Result<Step<Responder, Accepted>, HandshakeError> {
        let mut around = Around {
            local: &self.local,
            replay: &mut self.replay,
            now: self.now,
        };
        let v = &self.v;
        let draw = || responder::Draw {
            ephemeral: PrivateKey::new(array(&v["our_ephemeral_priv"])),
            padding: bytes(&v["message2_padding"]),
        };
        state.read(&mut around, draw, bytes_in)
    }

    fn error(&mut self, bytes_in: &[u8]) -> HandshakeError {
        match self.read(Responder::default(), bytes_in) {
            Err(e) => e,
            Ok(_) => panic!("accepted"),
        }
    }

    fn reply(&mut self, bytes_in: &[u8]) -> (Responder, Vec<u8>) {
        match self.read(Responder::default(), bytes_in).unwrap() {
            Step::Reply(state, out) => (state, out),
            _ => panic!("no message 2"),
        }
    }
}

fn replay_responder(name: &str) {
    let mut bob = Bob::new(name);
    let v = bob.v.clone();
    let (message1, message3) = (bytes(&v["message1"]), bytes(&v["message3"]));
    let Step::Wait(state) = bob.read(Responder::default(), &message1[..70]).unwrap() else {
        panic!("too early");
    };
    let Step::Reply(state, message2) = bob.read(state, &message1[70..]).unwrap() else {
        panic!("no message 2");
    };
    assert_eq!(message2, bytes(&v["message2"]));
    let Step::Wait(state) = bob.read(state, &message3[..100]).unwrap() else {
        panic!("too early");
    };
    let Step::Done(done) = bob.read(state, &message3[100..]).unwrap() else {
        panic!("not done");
    };
    assert_eq!(
        done.info.hash().as_bytes(),
        &array::<32>(&v["peer_router_hash"])
    );
    assert!(done.skew.abs() <= 1);
    replay_frames(&v, done.session);
}

#[test]
fn recorded_responders() {
    replay_responder("ntcp2-responder");
    replay_responder("ntcp2-responder-2.45.1");
}

#[test]
fn replayed_altered_and_surplus_requests_are_refused() {
    let mut bob = Bob::new("ntcp2-responder");
    let message1 = bytes(&bob.v["message1"]);
    let mut altered = message1.clone();
    altered[40] ^= 1;
    assert_eq!(bob.error(&altered), HandshakeError::Aead(1));
    let mut surplus = message1.clone();
    surplus.push(0);
    assert_eq!(bob.error(&surplus), HandshakeError::Surplus);
    assert_eq!(bob.error(&message1), HandshakeError::Replay);
}

#[test]
fn other_networks_are_refused() {
    let mut bob = Bob::new("ntcp2-responder");
    bob.local.net_id = 2;
    let message1 = bytes(&bob.v["message1"]);
    assert_eq!(bob.error(&message1), HandshakeError::NetId(77));
}

#[test]
fn altered_padding_shows_in_message_3() {
    let mut bob = Bob::new("ntcp2-responder");
    let mut message1 = bytes(&bob.v["message1"]);
    *message1.last_mut().unwrap() ^= 1;
    let (state, _) = bob.reply(&message1);
    let message3 = bytes(&bob.v["message3"]);
    let refused = bob.read(state, &message3).err();
    assert_eq!(refused, Some(HandshakeError::Aead(3)));
}

#[test]
fn a_skewed_caller_gets_message_2_and_the_skew_is_told() {
    let mut bob = Bob::new("ntcp2-responder");
    let message1 = bytes(&bob.v["message1"]);
    bob.now.wall = bob.now.wall - core::time::Duration::from_secs(100);
    let (_, message2) = bob.reply(&message1);
    assert!(message2.len() >= HEAD);
}

#[test]
fn the_caller_must_own_the_key_and_be_timely() {
    let bob = Bob::new("ntcp2-responder");
    let raw = bytes(&bob.v["peer_router_info"]);
    let mut replay = ReplayCache::default();
    let key = array(&bob.v["peer_static_key"]);
    let mut around = Around {
        local: &bob.local,
        replay: &mut replay,
        now: bob.now,
    };
    let check = |around: &Around<'_>, key| responder::caller(around, key, &raw).err();
    assert_eq!(check(&around, &key), None);
    let other = Some(HandshakeError::StaticKey);
    assert_eq!(check(&around, &[9; 32]), other);
    around.now.wall = bob.now.wall + core::time::Duration::from_secs(28 * 3600);
    assert_eq!(check(&around, &key), Some(HandshakeError::InfoAge));
    around.now.wall = bob.now.wall - core::time::Duration::from_secs(4 * 3600);
    assert_eq!(check(&around, &key), Some(HandshakeError::InfoAge));
    around.now = bob.now;
    let mut forged = raw.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert!(matches!(
        responder::caller(&around, &key, &forged),
        Err(HandshakeError::Wire(_))
    ));
}
