use super::*;
use crate::garlic::clove::{Block, parse_blocks};
use crate::garlic::{content, one_time};
use crate::relay::vectors::{array, bytes, list, load, number};
use crate::time::Date;
use crate::tunnel::record::long::LONG;
use crate::tunnel::record::{
    ACCEPT, LIFE_SECS, REJECT, RecordKeys, RequestRecord, SHORT, SHORT_PLAIN,
};
use crate::wire::hash::MessageId;
use crate::wire::i2np::kind;
use crate::wire::i2np::tunnel::TunnelGateway;
use crate::wire::mapping::Mapping;
use core::time::Duration;
use serde_json::Value;

const US: RouterHash = RouterHash([9; 32]);
const BEFORE: RouterHash = RouterHash([1; 32]);
const AFTER: RouterHash = RouterHash([2; 32]);

fn at_minute(minutes: u32) -> Now {
    Now {
        mono: Instant(1_000_000),
        wall: Date::from_secs(u64::from(minutes) * 60 + 30),
    }
}

fn now() -> Now {
    at_minute(29_924_124)
}

/// An admission of the recorded router, with the hop's role and message of one of its tunnels.
fn recorded(v: &Value) -> Admission {
    let keys = &v["our_keys"];
    let us = RouterHash(array(&keys["router_hash"]));
    let key = PrivateKey::new(array(&keys["enc_priv"]));
    Admission::new(us, key, AdmissionLimits::default())
}

fn recorded_tunnels() -> Vec<(Value, Value)> {
    let mut out = Vec::new();
    for name in ["transit", "transit-variable"] {
        let v = load(name);
        for t in list(&v["tunnels"]) {
            out.push((v.clone(), t.clone()));
        }
    }
    out
}

#[test]
fn recorded_answers_byte_for_byte() {
    for (v, t) in recorded_tunnels() {
        let admission = recorded(&v);
        let request = Message::parse_short(&bytes(&t["request"])).unwrap();
        let index = number(&t["index"]) as usize;
        assert!(admission.is_request_for_us(&request));
        let ours = OurRecord::open(&admission.key, &admission.us, &request, index).unwrap();
        let code = number(&t["reply_code"]) as u8;
        let plain = [vec![0; 2], bytes(&t["reply_padding"]), vec![code]].concat();
        let recorded = Message::parse_short(&bytes(&t["sent_on"])).unwrap();
        let mut rng = Rng::from_number(1);
        let (to, ours) = ours
            .answer(&admission.us, &request, &plain, recorded.expires, &mut rng)
            .unwrap();
        assert_eq!(to.0, array(&t["next_hash"]));
        assert_eq!((ours.kind, ours.expires), (recorded.kind, recorded.expires));
        if t["role"] != "endpoint" {
            assert_eq!(ours.id, recorded.id);
            assert!(ours.body == recorded.body && ours.body == bytes(&t["reply_body"]));
            continue;
        }
        let (a, b) = (inner(&ours), inner(&recorded));
        assert_eq!(a.kind, b.kind);
        if t["kind"] == "long" {
            assert!(a.id == b.id && a.body == b.body && a.body == bytes(&t["reply_body"]));
        } else {
            let open = |m: &Message| {
                let (key, tag) = (array::<32>(&t["garlic_key"]), array(&t["garlic_tag"]));
                one_time::open(&key.into(), &tag, content(&m.body).unwrap()).unwrap()
            };
            assert!(open(&a) == open(&b) && a.body == b.body);
            assert!(open(&a) == bytes(&t["reply_garlic_payload"]));
        }
    }
}

fn inner(message: &Message) -> Message {
    let gateway = TunnelGateway::parse(&message.body).unwrap();
    Message::parse_long(&gateway.inner).unwrap()
}

#[test]
fn recorded_requests_are_accepted_once() {
    for (v, t) in recorded_tunnels() {
        let mut admission = recorded(&v);
        let mut rng = Rng::from_number(1);
        let request = Message::parse_short(&bytes(&t["request"])).unwrap();
        let now = at_minute(number(&t["time_min"]));
        let from = RouterHash(array(&t["from_router"]));
        let out = admission.handle(now, &mut rng, from, &request).unwrap();
        let [AdmissionOutput::Install(hop), AdmissionOutput::Send { .. }] = out.as_slice() else {
            panic!("accepted");
        };
        assert_eq!(hop.id.0, number(&t["receive_tunnel"]));
        assert_eq!(hop.next_id.0, number(&t["next_tunnel"]));
        assert_eq!(hop.next.0, array(&t["next_hash"]));
        assert!(hop.keys.layer.ct_eq(&array(&t["layer_key"])));
        assert!(hop.keys.iv.ct_eq(&array(&t["iv_key"])));
        assert_eq!(hop.from.is_none(), t["role"] == "gateway");
        assert_eq!(hop.expires, now.mono + limits::HOP_LIFE);
        let again = admission.handle(now, &mut rng, from, &request);
        assert_eq!(again.unwrap_err(), Refused::Replay);
    }
}

struct Bench {
    admission: Admission,
    key: PrivateKey,
    rng: Rng,
}

impl Bench {
    fn new(limits: AdmissionLimits) -> Self {
        let mut rng = Rng::from_number(1);
        let key = PrivateKey::random(&mut rng);
        Self {
            admission: Admission::new(US, key.clone(), limits),
            key,
            rng,
        }
    }

    fn ask(&mut self, request: &RequestRecord) -> (Message, RecordKeys) {
        let plain = request.to_plain(&mut self.rng).unwrap();
        self.ask_plain(&plain, request.role)
    }

    /// A message of four records, the third of which is for us.
    fn ask_plain(&mut self, plain: &[u8; SHORT_PLAIN], role: Role) -> (Message, RecordKeys) {
        let ephemeral = PrivateKey::random(&mut self.rng);
        let sealed = record::seal_plain(plain, role, self.key.public(), &US, &ephemeral).unwrap();
        let mut body = vec![4];
        for i in 0..4 {
            let filler = self.rng.array::<SHORT>();
            body.extend_from_slice(if i == 2 { &sealed.record } else { &filler });
        }
        let message = Message {
            kind: kind::SHORT_TUNNEL_BUILD,
            id: MessageId(5),
            expires: now().wall + Duration::from_secs(10),
            body,
        };
        (message, sealed.keys)
    }

    fn handle(&mut self, message: &Message) -> Result<Vec<AdmissionOutput>, Refused> {
        self.admission.handle(now(), &mut self.rng, BEFORE, message)
    }

    /// The code of the answer to this request, and whether a hop came with it.
    fn code(&mut self, request: &RequestRecord) -> (u8, bool) {
        let (message, keys) = self.ask(request);
        let out = self.handle(&message).unwrap();
        let installed = matches!(out.first(), Some(AdmissionOutput::Install(_)));
        assert_eq!(out.len(), 1 + usize::from(installed));
        let Some(AdmissionOutput::Send { to, message }) = out.last() else {
            panic!("an answer");
        };
        assert_eq!(*to, AFTER);
        assert_eq!(message.id, request.next_message);
        let record = message.body[1 + 2 * SHORT..][..SHORT].try_into().unwrap();
        (keys.open_reply(2, record).unwrap(), installed)
    }
}

fn request(id: u32) -> RequestRecord {
    RequestRecord {
        receive: TunnelId(id),
        next: AFTER,
        next_id: TunnelId(77),
        role: Role::Participant,
        layer_type: 0,
        minutes: RequestRecord::minutes_of(now().wall),
        life_secs: LIFE_SECS,
        next_message: MessageId(99),
        options: Mapping::new(),
    }
}

#[test]
fn refusals_are_honest() {
    let mut b = Bench::new(AdmissionLimits {
        hops: 2,
        ..AdmissionLimits::default()
    });
    assert_eq!(b.code(&request(1)), (ACCEPT, true));
    assert_eq!(b.code(&request(1)), (REJECT, false), "the id is in use");
    b.admission.set_busy(true);
    assert_eq!(b.code(&request(2)), (REJECT, false));
    b.admission.set_busy(false);
    let mut wishes = request(2);
    wishes.options.set("m", "16").set("r", "x").set("l", "");
    assert_eq!(b.code(&wishes), (ACCEPT, true));
    assert_eq!(b.code(&request(3)), (REJECT, false), "no more hops");
    let limits = AdmissionLimits {
        accept_transit: false,
        ..AdmissionLimits::default()
    };
    b.admission.set_limits(limits);
    assert_eq!(b.code(&request(3)), (REJECT, false));
    let stats = b.admission.stats();
    assert_eq!((stats.accepted, stats.rejected, stats.dropped), (2, 4, 0));
}

#[test]
fn places_become_free() {
    let mut b = Bench::new(AdmissionLimits {
        hops: 1,
        ..AdmissionLimits::default()
    });
    assert_eq!(b.code(&request(1)), (ACCEPT, true));
    let later = now().after(limits::HOP_LIFE);
    let mut again = request(1);
    again.minutes = RequestRecord::minutes_of(later.wall);
    let (mut message, _) = b.ask(&again);
    message.expires = later.wall;
    let out = b.admission.handle(later, &mut b.rng, BEFORE, &message);
    assert_eq!(out.unwrap().len(), 2);
    assert_eq!(b.admission.hops(), 1);
}

#[test]
fn silence_where_silence_is_due() {
    let mut b = Bench::new(AdmissionLimits::default());
    b.admission.since = Some(0);
    let mut why = |change: &dyn Fn(&mut RequestRecord)| {
        let mut request = request(1);
        change(&mut request);
        let (message, _) = b.ask(&request);
        b.handle(&message).err()
    };
    assert_eq!(why(&|r| r.minutes -= 9), Some(Refused::Stale));
    assert_eq!(why(&|r| r.minutes += 6), Some(Refused::Stale));
    assert_eq!(why(&|r| r.next = US), Some(Refused::Loop));
    assert_eq!(why(&|r| r.layer_type = 1), Some(Refused::LayerType));
    assert_eq!(why(&|r| r.minutes -= 8), None);
    let (mut message, _) = b.ask(&request(2));
    message.expires = now().wall - Duration::from_secs(61);
    assert_eq!(b.handle(&message).unwrap_err(), Refused::Stale);
}

#[test]
fn hostile_messages() {
    let mut b = Bench::new(AdmissionLimits::default());
    let (good, _) = b.ask(&request(1));
    for n in 0..good.body.len() {
        let mut short = good.clone();
        short.body.truncate(n);
        assert!(!b.admission.is_request_for_us(&short));
        assert_eq!(b.handle(&short).unwrap_err(), Refused::Malformed);
    }
    let with_count = |count: u8, n: usize| Message {
        body: [vec![count], vec![0; n * SHORT]].concat(),
        ..good.clone()
    };
    for (count, n) in [(0, 0), (9, 9), (3, 4), (5, 4)] {
        let message = with_count(count, n);
        assert_eq!(b.handle(&message).unwrap_err(), Refused::Malformed);
    }
    assert_eq!(b.handle(&with_count(4, 4)).unwrap_err(), Refused::NotForUs);
    let mut other = good.clone();
    other.kind = kind::OUTBOUND_TUNNEL_BUILD_REPLY;
    assert_eq!(b.handle(&other).unwrap_err(), Refused::Malformed);
    for at in [1 + 2 * SHORT + 16, 1 + 2 * SHORT + 60, 3 * SHORT] {
        let mut bad = good.clone();
        bad.body[at] ^= 1;
        assert!(b.admission.is_request_for_us(&bad));
        assert_eq!(b.handle(&bad).unwrap_err(), Refused::NotForUs);
    }
    let mut long = good.clone();
    long.kind = kind::VARIABLE_TUNNEL_BUILD;
    long.body = [vec![1], US.0[..16].to_vec(), vec![7; LONG - 16]].concat();
    assert_eq!(b.handle(&long).unwrap_err(), Refused::NotForUs);
    assert!(b.handle(&good).is_ok());
}

#[test]
fn peers_are_rate_limited_one_by_one() {
    let mut b = Bench::new(AdmissionLimits {
        per_peer_per_minute: 10,
        ..AdmissionLimits::default()
    });
    for id in 1..=10 {
        assert_eq!(b.code(&request(id)), (ACCEPT, true));
    }
    let (message, _) = b.ask(&request(11));
    assert_eq!(b.handle(&message).unwrap_err(), Refused::TooMany);
    let other = b.admission.handle(now(), &mut b.rng, AFTER, &message);
    assert!(other.is_ok());
    let later = now().after(Duration::from_secs(6));
    let (message, _) = b.ask(&request(12));
    let out = b.admission.handle(later, &mut b.rng, BEFORE, &message);
    assert!(out.is_ok(), "one more after a tenth of a minute");
}

#[test]
fn an_endpoint_answers_the_creator_in_three_ways() {
    let mut b = Bench::new(AdmissionLimits::default());
    let mut answer = |id, next, next_id| {
        let mut r = request(id);
        r.role = Role::OutboundEndpoint;
        (r.next, r.next_id) = (next, TunnelId(next_id));
        let (message, keys) = b.ask(&r);
        match b.handle(&message).unwrap().pop() {
            Some(AdmissionOutput::Send { to, message }) => (to, message, keys),
            _ => panic!("an answer"),
        }
    };
    let open = |message: &Message, keys: &RecordKeys| {
        let garlic = keys.garlic.as_ref().unwrap();
        let payload = one_time::open(&garlic.key, &garlic.tag, content(&message.body).unwrap());
        match parse_blocks(&payload.unwrap()).unwrap().as_slice() {
            [Block::Clove(clove)] => clove.message.clone(),
            _ => panic!("one clove"),
        }
    };
    let (to, message, keys) = answer(1, AFTER, 5);
    assert_eq!((to, message.kind), (AFTER, kind::TUNNEL_GATEWAY));
    let reply = open(&inner(&message), &keys);
    assert_eq!(reply.kind, kind::OUTBOUND_TUNNEL_BUILD_REPLY);
    assert_eq!(reply.id, MessageId(99));

    let (to, message, _) = answer(2, US, 5);
    assert_eq!((to, message.kind), (US, kind::TUNNEL_GATEWAY));
    assert_eq!(inner(&message).kind, kind::OUTBOUND_TUNNEL_BUILD_REPLY);

    let (to, message, keys) = answer(3, AFTER, 0);
    assert_eq!((to, message.kind), (AFTER, kind::GARLIC));
    assert_eq!(open(&message, &keys).id, MessageId(99));
}

/// As many requests as are opened at all, as fast as they are; the first one again at the end of
/// the time in which it would be accepted.
#[test]
fn a_flood_of_requests_lets_no_old_one_in_again() {
    let mut b = Bench::new(AdmissionLimits {
        per_peer_per_minute: 1_000_000,
        hops: 1,
        ..AdmissionLimits::default()
    });
    // Its time is as far ahead as is accepted, so that it stays acceptable for longest.
    let mut first = request(1);
    first.minutes += AHEAD_MAX_MINUTES;
    let (first, _) = b.ask(&first);
    assert!(b.handle(&first).is_ok());
    let life = u64::from(AGE_MAX_MINUTES + AHEAD_MAX_MINUTES) * 60 + 29;
    let mut rng = Rng::from_number(2);
    for n in 0..life * OPENED.per_sec {
        let at = now().after(Duration::from_millis(n * 1000 / OPENED.per_sec));
        assert!(b.admission.opened.admit(at, 1));
        b.admission.seen.insert(at, &mut rng, &n.to_be_bytes());
    }
    let end = now().after(Duration::from_secs(life + 2));
    let mut again = first.clone();
    again.expires = end.wall;
    let refused = b.admission.handle(end, &mut b.rng, BEFORE, &again);
    assert_eq!(refused.unwrap_err(), Refused::Replay);
    let after = now().after(Duration::from_secs(life + 31));
    b.admission.seen = IvFilter::new(FILTER_BYTES, REMEMBERED);
    again.expires = after.wall;
    let refused = b.admission.handle(after, &mut b.rng, BEFORE, &again);
    assert_eq!(refused.unwrap_err(), Refused::Stale, "just past its time");
}

#[test]
fn requests_of_all_peers_together_are_metered_before_they_are_opened() {
    let mut b = Bench::new(AdmissionLimits::default());
    let (message, _) = b.ask(&request(1));
    let mut opened = 0;
    for n in 0..2500u32 {
        let mut from = RouterHash([3; 32]);
        from.0[..4].copy_from_slice(&n.to_be_bytes());
        let refused = b.admission.handle(now(), &mut b.rng, from, &message);
        opened += u64::from(refused.err() != Some(Refused::TooMany));
    }
    assert_eq!(opened, OPENED.burst);
}

#[test]
fn what_was_made_before_our_start_is_stale() {
    let mut b = Bench::new(AdmissionLimits::default());
    assert_eq!(b.code(&request(1)), (ACCEPT, true));
    let mut old = request(2);
    old.minutes -= 1;
    assert_eq!(b.code(&old), (ACCEPT, true));
    old.minutes -= 1;
    let (message, _) = b.ask(&old);
    assert_eq!(b.handle(&message).unwrap_err(), Refused::Stale);
}

#[test]
fn one_router_has_a_share_of_the_places_before_and_after_us() {
    let mut b = Bench::new(AdmissionLimits {
        per_peer_per_minute: 10_000,
        hops: 200,
        ..AdmissionLimits::default()
    });
    let ask = |b: &mut Bench, id: u32, from: u8, next: u8| {
        let mut r = request(id);
        r.next = RouterHash([next; 32]);
        let (message, _) = b.ask(&r);
        let from = RouterHash([from; 32]);
        let out = b.admission.handle(now(), &mut b.rng, from, &message);
        out.unwrap().len() == 2
    };
    let from_one = (1..=100).filter(|id| ask(&mut b, *id, 10, 100 + *id as u8));
    assert_eq!(from_one.count(), 24);
    let to_one = (101..=200).filter(|id| ask(&mut b, *id, *id as u8, 10));
    assert_eq!(to_one.count(), 24);
    assert!(ask(&mut b, 201, 11, 11));
    // An endpoint sends to nobody in particular.
    let mut r = request(202);
    (r.role, r.next) = (Role::OutboundEndpoint, RouterHash([10; 32]));
    let (message, _) = b.ask(&r);
    assert_eq!(b.handle(&message).unwrap().len(), 2);
    // Places come back when tunnels end.
    let later = now().after(limits::HOP_LIFE);
    b.admission.forget_expired(later);
    assert!(b.admission.before.is_empty() && b.admission.after.is_empty());
}

#[test]
fn the_id_of_our_own_tunnel_is_refused_to_others_as_a_participants_would_be() {
    // What a neighbour is told of an id: once we are a participant, once the tunnel is ours.
    let codes = |own: bool| {
        let mut b = Bench::new(AdmissionLimits {
            per_peer_per_minute: 10_000,
            hops: 150,
            ..AdmissionLimits::default()
        });
        if own {
            assert!(b.admission.reserve(now(), BEFORE, TunnelId(1)));
        } else {
            assert_eq!(b.code(&request(1)), (ACCEPT, true));
        }
        let mut codes: Vec<u8> = (1..30).map(|id| b.code(&request(id)).0).collect();
        // The place is free again at the same time.
        for after in [limits::HOP_LIFE - Duration::from_secs(1), limits::HOP_LIFE] {
            let later = now().after(after);
            b.admission.forget_expired(later);
            codes.push(u8::from(b.admission.hops.contains_key(&TunnelId(1))));
        }
        codes
    };
    let codes = [codes(true), codes(false)];
    assert_eq!(codes[0], codes[1]);
    assert!(codes[0].contains(&ACCEPT) && codes[0].contains(&REJECT));
}

#[test]
fn an_id_that_another_tunnel_took_is_not_ours() {
    let mut b = Bench::new(AdmissionLimits::default());
    assert_eq!(b.code(&request(1)), (ACCEPT, true));
    assert!(!b.admission.reserve(now(), BEFORE, TunnelId(1)));
    assert!(b.admission.reserve(now(), BEFORE, TunnelId(2)));
    assert_eq!(b.code(&request(2)).0, REJECT);
}

#[test]
fn our_own_tunnels_take_no_place_of_others() {
    let mut b = Bench::new(AdmissionLimits {
        hops: 1,
        ..AdmissionLimits::default()
    });
    for id in 1..9 {
        assert!(b.admission.reserve(now(), BEFORE, TunnelId(id)));
    }
    assert_eq!(b.code(&request(20)), (ACCEPT, true));
    assert_eq!(b.admission.hops(), 1);
    assert_eq!(b.code(&request(21)).0, REJECT);
    b.admission.forget_expired(now().after(limits::HOP_LIFE));
    assert_eq!((b.admission.hops(), b.admission.reserved), (0, 0));
}
