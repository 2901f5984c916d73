//! Recorded conversations replayed byte for byte, and what is refused.

use super::initiator::{self, Initiator, Target};
use super::responder::{self, Accepted, Around, Responder};
use super::*;
use crate::crypto::sig::SigningKey;
use crate::link::ntcp2::frame::Session;
use crate::link::ntcp2::reason;
use crate::link::ntcp2::replay::ReplayCache;
use crate::relay::limit::{Meter, Rate};
use crate::time::{Date, Instant};
use crate::wire::hash::base64;
use crate::wire::identity::{KeysAndCert, RouterIdentity};
use crate::wire::mapping::Mapping;
use crate::wire::router_address::RouterAddress;
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
    handshakes: Meter,
    now: Now,
}

/// Where the recorded caller says that he lives.
fn home(v: &Value) -> std::net::IpAddr {
    let info = parse_verified(&bytes(&v["peer_router_info"])).unwrap();
    let mut addresses = info.ntcp2_addresses();
    addresses.next().unwrap().socket.ip()
}

fn meter() -> Meter {
    Meter::new(Rate {
        per_sec: 1,
        burst: 10,
    })
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
            handshakes: meter(),
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
            handshakes: &mut self.handshakes,
            remote: home(&self.v),
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
        done.info.unwrap().hash().as_bytes(),
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
fn key_agreements_are_metered() {
    let mut bob = Bob::new("ntcp2-responder");
    bob.handshakes = Meter::new(Rate {
        per_sec: 1,
        burst: 2,
    });
    let mut message1 = bytes(&bob.v["message1"]);
    for (n, refused) in [
        HandshakeError::Aead(1),
        HandshakeError::Aead(1),
        HandshakeError::Busy,
    ]
    .into_iter()
    .enumerate()
    {
        message1[40] ^= 1 + n as u8;
        assert_eq!(bob.error(&message1), refused);
    }
}

/// What becomes of a RouterInfo that its owner brings: the error, or the reason of a termination.
fn verdict(
    around: &Around<'_>,
    key: &[u8; 32],
    skew: i64,
    raw: &[u8],
) -> Result<u8, HandshakeError> {
    let info = responder::caller(around, key, skew, raw)?;
    Ok(info.err().unwrap_or_default())
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
        handshakes: &mut meter(),
        remote: home(&bob.v),
        now: bob.now,
    };
    assert_eq!(verdict(&around, &key, 0, &raw), Ok(0));
    let other = verdict(&around, &[9; 32], 0, &raw);
    assert_eq!(other, Err(HandshakeError::StaticKey));
    let minutes = |n: u64| core::time::Duration::from_secs(n * 60);
    let published = parse_verified(&raw).unwrap().published();
    for (wall, reason) in [
        (published + minutes(89), 0),
        (published + minutes(91), reason::MESSAGE_3),
        (published - minutes(1), 0),
        (published - minutes(3), reason::MESSAGE_3),
    ] {
        around.now.wall = wall;
        assert_eq!(verdict(&around, &key, 0, &raw), Ok(reason));
        assert_eq!(
            verdict(&around, &key, 61, &raw),
            Ok(0),
            "for the clocks, not for the age"
        );
    }
    around.now = bob.now;
    let mut forged = raw.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert!(matches!(
        responder::caller(&around, &key, 0, &forged),
        Err(HandshakeError::Wire(_))
    ));
}

/// A RouterInfo with these options and those of its NTCP2 addresses, and the key of the latter.
fn info_with(
    encryption: u16,
    options: &[(&str, &str)],
    addresses: &[&[(&str, &str)]],
) -> (Vec<u8>, [u8; 32]) {
    let mut rng = crate::rng::Rng::from_number(3);
    let signing = SigningKey::random(&mut rng);
    let key = *PrivateKey::random(&mut rng).public();
    let filler = rng.bytes(320);
    let identity = match encryption {
        4 => KeysAndCert::ed25519(4, &key, &filler, &signing.public()).unwrap(),
        _ => KeysAndCert::ed25519(0, &[7; 256], &filler[..96], &signing.public()).unwrap(),
    };
    let mapping = |pairs: &[(&str, &str)]| {
        let mut m = Mapping::new();
        for (name, value) in pairs {
            m.set(name, *value);
        }
        m
    };
    let s = base64(&key);
    let addresses: Vec<RouterAddress> = addresses
        .iter()
        .map(|a| {
            let mut options = mapping(a);
            options.set("s", s.clone()).set("v", "2");
            RouterAddress {
                cost: 3,
                expiration: 0,
                style: "NTCP2".to_owned(),
                options,
            }
        })
        .collect();
    let at = Date::from_secs(1_800_000_000);
    let (identity, options) = (RouterIdentity(identity), mapping(options));
    let info = RouterInfo::build(&identity, at, &addresses, &options, &signing).unwrap();
    (info.as_bytes().to_vec(), key)
}

#[test]
fn the_caller_calls_from_where_he_publishes_and_says_what_a_router_says() {
    let bob = Bob::new("ntcp2-responder");
    let reason = |remote: &str, (raw, key): (Vec<u8>, [u8; 32])| {
        let around = Around {
            local: &bob.local,
            replay: &mut ReplayCache::default(),
            handshakes: &mut meter(),
            remote: remote.parse().unwrap(),
            now: Now {
                mono: Instant(1),
                wall: Date::from_secs(1_800_000_000),
            },
        };
        verdict(&around, &key, 0, &raw).unwrap()
    };
    const ALL: [(&str, &str); 3] = [
        ("netId", "77"),
        ("router.version", "0.9.65"),
        ("caps", "LR"),
    ];
    let i = base64(&[5; 16]);
    let v4 = [("host", "192.0.2.7"), ("port", "5"), ("i", i.as_str())];
    let v6 = [
        ("host", "2001:db8:1:2::7"),
        ("port", "5"),
        ("i", i.as_str()),
    ];
    let with = |addresses: &[&[(&str, &str)]]| info_with(4, &ALL, addresses);
    assert_eq!(reason("192.0.2.7", with(&[&v4])), 0);
    assert_eq!(reason("::ffff:192.0.2.7", with(&[&v4])), 0);
    assert_eq!(reason("192.0.2.8", with(&[&v4])), reason::BANNED);
    assert_eq!(reason("192.0.2.8", with(&[&[]])), 0, "nothing is published");
    assert_eq!(reason("192.0.2.8", with(&[&v6])), 0, "of the other family");
    assert_eq!(reason("192.0.2.7", with(&[&v6, &v4])), 0);
    assert_eq!(reason("2001:db8:1:2:ffff::1", with(&[&v6])), 0);
    assert_eq!(reason("2001:db8:1:3::7", with(&[&v6])), reason::BANNED);
    let no_iv = [("host", "192.0.2.7"), ("port", "5")];
    assert_eq!(reason("192.0.2.7", with(&[&no_iv])), reason::ADDRESS);
    for missing in 1..3 {
        let mut options = ALL.to_vec();
        options.remove(missing);
        let info = info_with(4, &options, &[&v4]);
        assert_eq!(reason("192.0.2.7", info), reason::MESSAGE_3);
    }
    assert_eq!(
        reason("192.0.2.7", info_with(0, &ALL, &[&v4])),
        reason::MESSAGE_3
    );
}
