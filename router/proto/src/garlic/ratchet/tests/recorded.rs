//! Recorded conversations with i2pd, byte for byte (`tests/vectors/i2pd/README.md`).

use super::super::new_session::{Ephemeral, Pair};
use super::super::next_key::{Receiving, Sending};
use super::super::peer::{Got, Reply, Sent};
use super::super::session::{open_entry, seal_entry};
use super::super::tagset::TagSet;
use super::super::*;
use crate::crypto::elligator2;
use crate::crypto::hkdf::{hkdf1, hkdf2};
use crate::crypto::noise::Noise;
use crate::garlic::clove::{NextKey, parse_blocks};
use crate::relay::vectors::{array, bytes, list, load};
use crate::secret::Secret;
use crate::time::Date;
use serde_json::Value;

fn key(v: &Value) -> PrivateKey {
    PrivateKey::new(array(v))
}

fn text(v: &Value) -> &str {
    v.as_str().unwrap()
}

fn small(v: &Value) -> u16 {
    v.as_u64().unwrap().try_into().unwrap()
}

/// The time in the DateTime that begins a payload.
fn time_of(payload: &[u8]) -> Now {
    let blocks = parse_blocks(payload).unwrap();
    let Block::DateTime(secs) = blocks[0] else {
        panic!("no time");
    };
    Now {
        mono: Instant(1_000_000_000),
        wall: Date::from_secs(u64::from(secs)),
    }
}

/// The recorded Noise steps, compared one after the other.
struct Steps<'a>(core::slice::Iter<'a, Value>);

impl<'a> Steps<'a> {
    fn of(event: &'a Value) -> Self {
        Self(list(&event["trace"]).iter())
    }

    fn at(&mut self, step: &str, noise: &Noise) -> &'a Value {
        let want = self.0.next().unwrap();
        assert!(text(&want["step"]).starts_with(step), "{want}");
        assert_eq!(*noise.h(), array(&want["h"]), "h after {step}");
        assert!(noise.ck().ct_eq(&array(&want["ck"])), "ck after {step}");
        want
    }

    fn mixed(&mut self, step: &str, noise: &Noise, shared: &Secret<32>, k: Option<&Secret<32>>) {
        let want = self.at(step, noise);
        assert!(shared.ct_eq(&array(&want["shared"])), "shared of {step}");
        assert_eq!(k.is_some(), want.get("k").is_some());
        if let Some(k) = k {
            assert!(k.ct_eq(&array(&want["k"])), "k of {step}");
        }
    }
}

/// Both sides' view of an NS: `bob`'s public key, `dh` answers es, then ss.
fn trace_new_session(event: &Value, bob: &[u8; 32], ephemeral: &[u8; 32], dh: [Secret<32>; 2]) {
    let mut steps = Steps::of(event);
    let body = bytes(&event["body"]);
    let whole = Noise::new(b"Noise_IKelg2+hs2_25519_ChaChaPoly_SHA256");
    steps.0.next();
    steps.at("MixHash(empty prologue)", &whole);
    let mut noise = new_session::initial(bob);
    steps.at("MixHash(Bob's static key)", &noise);
    noise.mix_hash(ephemeral);
    steps.at("MixHash(Alice's ephemeral key", &noise);
    let k = noise.mix_key(&dh[0]);
    steps.mixed("MixKey(es)", &noise, &dh[0], Some(&k));
    noise.mix_hash(&body[32..80]);
    steps.at("MixHash(static key section", &noise);
    let k = noise.mix_key(&dh[1]);
    steps.mixed("MixKey(ss)", &noise, &dh[1], Some(&k));
    noise.mix_hash(&body[80..]);
    steps.at("MixHash(payload section", &noise);
    assert!(steps.0.next().is_none());
}

fn trace_reply(event: &Value, after: &Noise, bob: &[u8; 32], ee: &Secret<32>, se: &Secret<32>) {
    let mut steps = Steps::of(event);
    let body = bytes(&event["body"]);
    let mut noise = after.clone();
    noise.mix_hash(&body[..8]);
    steps.at("MixHash(tag)", &noise);
    noise.mix_hash(bob);
    steps.at("MixHash(Bob's ephemeral key", &noise);
    noise.mix_key(ee);
    steps.mixed("HKDF32(ee)", &noise, ee, None);
    let k = noise.mix_key(se);
    steps.mixed("MixKey(se)", &noise, se, Some(&k));
    noise.mix_hash(&body[40..56]);
    steps.at("MixHash(empty key section", &noise);
    let (want, (k_ab, k_ba)) = (&event["intermediate"], noise.split());
    assert!(k_ab.ct_eq(&array(&want["k_ab"])));
    assert!(k_ba.ct_eq(&array(&want["k_ba"])));
    let payload_key = hkdf1(k_ba.expose(), &[], b"AttachPayloadKDF");
    assert!(payload_key.ct_eq(&array(&want["payload_key"])));
    assert!(noise.ck().ct_eq(&array(&want["ck"])));
    assert_eq!(*noise.h(), array(&want["h"]));
}

/// Every value of a recorded tag set; `set` has not been used.
fn check_set(set: &TagSet, want: &Value) {
    let (root, k) = (array(&want["root"]), array(&want["k"]));
    let (_, ck) = hkdf2(&root, &k, b"KDFDHRatchetStep");
    assert!(ck.ct_eq(&array(&want["ck"])));
    let (tag_ck, _) = hkdf2(ck.expose(), &[], b"TagAndKeyGenKeys");
    assert!(tag_ck.ct_eq(&array(&want["session_tag_ck"])));
    assert_eq!(set.id(), small(&want["ident"]));
    let names = [
        "next_root",
        "symmetric_key_ck",
        "tag_chain_key",
        "tag_constant",
    ];
    for (have, name) in set.chains().into_iter().zip(names) {
        assert_eq!(*have, array(&want[name]), "{name}");
    }
    let mut copy = TagSet::new(set.id(), &Secret::new(root), &Secret::new(k));
    for first in list(&want["first"]) {
        let entry = copy.next_entry().unwrap();
        assert_eq!(entry.n, small(&first["n"]));
        assert_eq!(entry.tag, array(&first["tag"]));
        assert!(entry.key.ct_eq(&array(&first["key"])));
    }
}

/// A second copy of an unused set as recorded.
fn set_of(want: &Value) -> TagSet {
    let (root, k) = (array(&want["root"]), array(&want["k"]));
    TagSet::new(small(&want["ident"]), &Secret::new(root), &Secret::new(k))
}

/// One ES, with the set stepped forward to its number.
fn check_existing(event: &Value, set: &mut TagSet) {
    let n = small(&event["n"]);
    let entry = loop {
        let entry = set.next_entry().unwrap();
        if entry.n == n {
            break entry;
        }
    };
    assert_eq!(entry.tag, array(&event["tag"]), "tag {n}");
    assert!(entry.key.ct_eq(&array(&event["key"])), "key {n}");
    let (body, payload) = (bytes(&event["body"]), bytes(&event["payload"]));
    assert_eq!(seal_entry(&entry, &payload), body);
    assert_eq!(open_entry(&entry.key, n, &body).unwrap(), payload);
}

/// Reads our ephemeral key of an event, and that its representative is made of the tweak.
fn ephemeral(event: &Value) -> Ephemeral {
    let key = key(&event["our_ephemeral_priv"]);
    let tweak = event["elligator_tweak"].as_u64().unwrap() as u8;
    let representative = elligator2::encode(key.public(), tweak).unwrap();
    assert_eq!(representative, array(&event["our_representative"]));
    Ephemeral {
        key,
        representative,
    }
}

/// Destinations of a recorded conversation: `us`, in whose sets messages go.
struct Talk {
    us: Ratchets,
    peer: PeerKey,
    rng: Rng,
    now: Now,
    out: Vec<TagSet>,
    into: Vec<TagSet>,
}

impl Talk {
    /// We call: the NS and the NSR.
    fn client(events: &[Value]) -> Self {
        let (ns, nsr) = (&events[0], &events[1]);
        let payload = bytes(&ns["payload"]);
        let (own, e) = (key(&ns["our_static_priv"]), ephemeral(ns));
        let bob = array(&ns["bob_static_pub"]);
        let dh = [e.key.agree(&bob).unwrap(), own.agree(&bob).unwrap()];
        trace_new_session(ns, &bob, e.key.public(), dh);
        let (body, noise) = new_session::seal(&own, &bob, &e, &payload).unwrap();
        assert_eq!(body, bytes(&ns["body"]));
        let tags = new_session::reply_tags(&noise);
        check_set(&tags, &ns["reply_tag_set"]);

        let reply = bytes(&nsr["body"]);
        let bob_e = elligator2::decode(reply[8..40].try_into().unwrap());
        assert_eq!(bob_e, array(&nsr["intermediate"]["bob_ephemeral"]));
        let (ee, se) = (e.key.agree(&bob_e).unwrap(), own.agree(&bob_e).unwrap());
        trace_reply(nsr, &noise, &bob_e, &ee, &se);
        let (have, pair) = new_session::open_reply(&noise, &own, &e.key, &reply).unwrap();
        assert_eq!(have, bytes(&nsr["payload"]));
        check_set(&pair.ab, &nsr["tag_set_ab"]);
        check_set(&pair.ba, &nsr["tag_set_ba"]);

        let mut talk = Self::new(own, PeerKey(bob), time_of(&payload));
        talk.expect(noise, e.key, tags);
        talk.opens(nsr, SentKind::NewSessionReply);
        (talk.out, talk.into) = (vec![pair.ab], vec![pair.ba]);
        talk
    }

    fn new(own: PrivateKey, peer: PeerKey, now: Now) -> Self {
        Self {
            us: Ratchets::new(own),
            peer,
            rng: Rng::from_number(1),
            now,
            out: Vec::new(),
            into: Vec::new(),
        }
    }

    fn expect(&mut self, noise: Noise, ephemeral: PrivateKey, tags: TagSet) {
        let owner = Owner::Sent(self.peer, 1);
        let (id, at) = (self.us.number(), self.now.mono);
        let set = self.us.inbound.insert(tags, owner, 12, false);
        self.us.admit(self.peer, at);
        self.us.peers.get_mut(&self.peer).unwrap().sent.push(Sent {
            id,
            at,
            answered: false,
            noise,
            ephemeral,
            set,
        });
    }

    /// We are called: the NS and our NSRs.
    fn server(events: &[Value], taken: usize) -> Self {
        let ns = &events[0];
        let (body, payload) = (bytes(&ns["body"]), bytes(&ns["payload"]));
        let own = key(&ns["our_static_priv"]);
        let (e, alice): ([u8; 32], _) = (array(&ns["alice_ephemeral"]), array(&ns["alice_static"]));
        assert_eq!(new_session::ephemeral_of(&body), Some(e));
        let dh = [own.agree(&e).unwrap(), own.agree(&alice).unwrap()];
        trace_new_session(ns, own.public(), &e, dh);
        let received = new_session::open(&own, e, &body).unwrap();
        assert_eq!(received.payload, payload);
        check_set(
            &new_session::reply_tags(&received.noise),
            &ns["reply_tag_set"],
        );
        let mut talk = Self::new(own, PeerKey(alice), time_of(&payload));
        talk.opens(ns, SentKind::NewSession);
        assert_eq!(talk.us.state(talk.now, &talk.peer), SessionState::Owes);
        let replies: Vec<&Value> = events.iter().filter(|e| e["kind"] == "NSR").collect();
        for (i, nsr) in replies.into_iter().enumerate() {
            let pair = talk.replies(nsr);
            if i == taken {
                (talk.out, talk.into) = (vec![pair.ba], vec![pair.ab]);
            }
        }
        talk
    }

    /// Our NSR under the recorded ephemeral key, as `Ratchets` would send it.
    fn replies(&mut self, event: &Value) -> Pair {
        let e = ephemeral(event);
        let p = self.us.peers.get_mut(&self.peer).unwrap();
        let got: &mut Got = p.reply_due(self.now.mono).unwrap();
        let (n, tag) = got.tags.next_tag().unwrap();
        assert_eq!((n, tag), (small(&event["n"]), array(&event["tag"])));
        let alice = (&got.ephemeral, &self.peer.0);
        let ee = e.key.agree(alice.0).unwrap();
        let se = e.key.agree(alice.1).unwrap();
        trace_reply(event, &got.noise, e.key.public(), &ee, &se);
        let payload = bytes(&event["payload"]);
        let sealed = new_session::seal_reply(&got.noise, alice, &tag, &e, &payload);
        let (content, pair) = sealed.unwrap();
        assert_eq!(content, bytes(&event["body"]));
        check_set(&pair.ab, &event["tag_set_ab"]);
        check_set(&pair.ba, &event["tag_set_ba"]);
        let owner = Owner::Reply(self.peer, got.id);
        let set = self.us.inbound.insert(pair.ab, owner, 24, true);
        got.replies.push(Reply { set, out: pair.ba });
        Pair {
            ab: set_of(&event["tag_set_ab"]),
            ba: set_of(&event["tag_set_ba"]),
        }
    }

    /// `Ratchets` opens a recorded message to the recorded blocks.
    fn opens(&mut self, event: &Value, kind: SentKind) {
        let (body, payload) = (bytes(&event["body"]), bytes(&event["payload"]));
        let opened = self.us.open(self.now, &mut self.rng, &body).unwrap();
        assert_eq!(opened.kind, kind);
        assert_eq!(opened.peer, Some(self.peer));
        assert_eq!(opened.blocks, parse_blocks(&payload).unwrap());
        assert_ne!(self.us.open(self.now, &mut self.rng, &body), Ok(opened));
    }

    fn existing(&mut self, event: &Value) {
        let sets = if event["dir"] == "sent" {
            &mut self.out
        } else {
            &mut self.into
        };
        let id = event["tag_set"].as_u64().unwrap() as usize;
        check_existing(event, &mut sets[id]);
    }

    /// The forward key of ours that was recorded goes out with the session's next message.
    fn asks(&mut self, event: &Value) {
        let p = self.us.peers.get_mut(&self.peer).unwrap();
        let sending = &mut Sending::default();
        sending.start(&self.out[0], || key(&event["our_priv"]));
        let session = p.sessions.last_mut().unwrap();
        session.expect_next(|| key(&event["our_priv"]));
        assert!(sending.block().unwrap().request_reverse);
    }
}

fn events_of(file: &Value) -> &[Value] {
    list(&file["events"])
}

/// Client conversations, ES by ES both as raw sets and through `Ratchets`.
#[test]
fn client() {
    for name in ["ratchet-client", "ratchet-client-2.45.1"] {
        let file = load(name);
        let events = events_of(&file);
        let mut talk = Talk::client(events);
        assert_eq!(
            talk.us.state(talk.now, &talk.peer),
            SessionState::Established
        );
        let next = events.iter().find(|e| e["kind"] == "next key").unwrap();
        talk.asks(next);
        for event in &events[2..] {
            match text(&event["kind"]) {
                "ES" => {
                    talk.existing(event);
                    if event["dir"] == "received" {
                        talk.opens(event, SentKind::Existing);
                    }
                }
                "next key" => {
                    let set = set_of(&event["tag_set"]);
                    check_set(&set, &event["tag_set"]);
                    let p = &talk.us.peers[&talk.peer];
                    check_set(p.sessions[0].outbound(), &event["tag_set"]);
                    talk.out.push(set);
                }
                other => panic!("{other}"),
            }
        }
    }
}

/// Server conversations: the NS, two NSRs, then ES in the sets of the one that was taken.
#[test]
fn server() {
    for name in ["ratchet-server", "ratchet-server-2.45.1"] {
        let file = load(name);
        let events = events_of(&file);
        let taken = list(&file["alice_took_nsr"])[0].as_u64().unwrap() as usize;
        let mut talk = Talk::server(events, taken);
        for event in events.iter().filter(|e| e["kind"] == "ES") {
            talk.existing(event);
            if event["dir"] == "received" {
                talk.opens(event, SentKind::Existing);
                assert_eq!(
                    talk.us.state(talk.now, &talk.peer),
                    SessionState::Established
                );
            }
        }
        assert!(talk.us.peers[&talk.peer].got.is_empty());
    }
}

/// The key blocks of a message of ours or theirs.
fn keys_of(event: &Value, reverse: bool) -> Option<NextKey> {
    let blocks = parse_blocks(&bytes(&event["payload"])).unwrap();
    blocks.into_iter().find_map(|b| match b {
        Block::NextKey(k) if k.reverse == reverse => Some(k),
        _ => None,
    })
}

/// Three exchanges of our direction, two of the peer's, with the recorded keys.
#[test]
fn next_keys() {
    let file = load("ratchet-next-key");
    let events = events_of(&file);
    let mut talk = Talk::client(events);
    let (mut sending, mut receiving) = (Sending::default(), Receiving::default());
    let (mut forward, mut reverse) = (None, None);
    for event in &events[2..] {
        if event["kind"] == "ES" {
            talk.existing(event);
            let ours = event["dir"] == "sent";
            if ours && let Some(k) = keys_of(event, false) {
                let next = |e: &&Value| e["kind"] == "next key" && e["our_key_id"] == k.id;
                let made = events.iter().find(next).unwrap();
                sending.start(talk.out.last().unwrap(), || key(&made["our_priv"]));
                assert_eq!(sending.block(), Some(k));
            }
            if ours && let Some(k) = keys_of(event, true) {
                assert_eq!(receiving.block(), Some(k));
            }
            if !ours {
                forward = keys_of(event, false).or(forward);
                reverse = keys_of(event, true).or(reverse);
            }
            continue;
        }
        let want = &event["tag_set"];
        if event["direction"] == "sending" {
            let current = talk.out.last().unwrap();
            let set = sending.answered(current, &reverse.unwrap()).unwrap();
            check_set(&set, want);
            assert!(sending.answered(&set, &reverse.unwrap()).is_none());
            talk.out.push(set);
        } else {
            let (newest, asked) = (talk.into.last().unwrap(), forward.unwrap());
            let fresh = || key(&event["our_priv"]);
            let set = receiving.asked(newest, &asked, fresh).unwrap();
            check_set(&set, want);
            assert!(receiving.asked(&set, &asked, fresh).is_none());
            talk.into.push(set);
        }
    }
    assert_eq!((talk.out.len(), talk.into.len()), (4, 3));
}
