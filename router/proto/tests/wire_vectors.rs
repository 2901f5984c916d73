//! Recorded RouterInfos, LeaseSets, netDb messages and a reseed file.

// The lint spares test functions, not the functions they share.
#![allow(clippy::unwrap_used)]

use ramson_proto::crypto::sig::SigningKey;
use ramson_proto::garlic::clove::{Block, Delivery, parse_blocks};
use ramson_proto::garlic::{self, one_time, to_router};
use ramson_proto::netdb::reseed::{self, ReseedError};
use ramson_proto::secret::Secret;
use ramson_proto::time::Date;
use ramson_proto::wire::cert::SigType;
use ramson_proto::wire::error::{Cause, WireError};
use ramson_proto::wire::hash::{RouterHash, base64_decode};
use ramson_proto::wire::i2np::lookup::{DatabaseLookup, LookupKind};
use ramson_proto::wire::i2np::search_reply::DatabaseSearchReply;
use ramson_proto::wire::i2np::status::DeliveryStatus;
use ramson_proto::wire::i2np::store::{DatabaseStore, Entry};
use ramson_proto::wire::i2np::{Message, kind};
use ramson_proto::wire::identity::Destination;
use ramson_proto::wire::lease_set2::LeaseSet2;
use ramson_proto::wire::mapping::MappingView;
use ramson_proto::wire::router_info::{RouterInfo, parse_verified};
use serde_json::Value;

fn bytes(name: &str) -> Vec<u8> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/");
    std::fs::read(format!("{dir}{name}")).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&bytes(&format!("i2pd/{name}.json"))).unwrap()
}

fn hex_of(v: &Value) -> Vec<u8> {
    hex::decode(v.as_str().unwrap()).unwrap()
}

fn array<const N: usize>(v: &Value) -> [u8; N] {
    hex_of(v).try_into().unwrap()
}

fn list(v: &Value) -> &[Value] {
    v.as_array().unwrap()
}

#[test]
fn router_files_verify_and_one_is_refused_with_the_reason() {
    for name in ["router1.dat", "router2.dat", "router4.dat"] {
        let raw = bytes(name);
        let info = parse_verified(&raw).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(info.as_bytes(), raw);
        let mut bad = raw.clone();
        let at = bad.len() - 100;
        bad[at] ^= 1;
        assert!(parse_verified(&bad).is_err());
    }
    let mut raw = bytes("router3-bad-signature.dat");
    let e = parse_verified(&raw).unwrap_err();
    assert_eq!(e, WireError::new("RouterInfo", Cause::Trailing));
    raw.pop();
    let e = parse_verified(&raw).unwrap_err();
    assert_eq!(
        e,
        WireError::new("RouterInfo.signature", Cause::BadSignature)
    );
    assert_eq!(e.to_string(), "RouterInfo.signature does not verify");
}

#[test]
fn destination_file() {
    let text = String::from_utf8(bytes("destination.b64")).unwrap();
    let raw = base64_decode(text.trim()).unwrap();
    assert_eq!(raw.len(), 391);
    let dest = Destination::parse(&raw).unwrap();
    assert_eq!(dest.as_bytes(), raw);
    assert_eq!(dest.keys().sig_type(), SigType::Ed25519);
    assert_eq!(dest.keys().x25519_key(), None);
    let b32 = dest.hash().b32();
    assert_eq!((b32.len(), b32.ends_with(".b32.i2p")), (60, true));
    for n in 0..raw.len() {
        assert!(Destination::parse(&raw[..n]).is_err());
    }
}

#[test]
fn recorded_router_infos() {
    let file = json("router-infos");
    for v in list(&file["router_infos"]) {
        let raw = hex_of(&v["router_info"]);
        let info = parse_verified(&raw).unwrap();
        assert_eq!(info.hash().0, array(&v["router_hash"]));
        assert_eq!(info.published().0, v["published_ms"].as_u64().unwrap());
        assert_eq!(
            info.identity().unwrap().as_bytes().len() as u64,
            v["identity_length"].as_u64().unwrap()
        );
        assert_eq!(info.enc_key(), Some(array(&v["encryption_key"])));
        assert_eq!(
            info.identity().unwrap().keys().signing_key(),
            hex_of(&v["signing_key"])
        );
        same_options(info.options(), &v["options"]);
        assert_eq!(info.addresses().iter().count(), list(&v["addresses"]).len());
        for (a, v) in info.addresses().iter().zip(list(&v["addresses"])) {
            assert_eq!(a.style, v["style"].as_str().unwrap());
            assert_eq!(u64::from(a.cost), v["cost"].as_u64().unwrap());
            same_options(a.options, &v["options"]);
        }
        assert_eq!(info.net_id(), Some(77));
        assert!(info.version().is_some());
    }
}

fn same_options(have: MappingView<'_>, want: &Value) {
    let want = want.as_object().unwrap();
    assert_eq!(have.iter().count(), want.len());
    for (k, v) in have.iter() {
        assert_eq!(want[k].as_str(), Some(v), "{k}");
    }
}

/// Out of the recorded private key the recorded bytes come again.
#[test]
fn our_router_info_is_built_byte_for_byte() {
    for name in ["i2np-direct", "lookup-encrypted"] {
        let file = json(name);
        let raw = hex_of(&file["our_keys"]["router_info"]);
        let info = parse_verified(&raw).unwrap();
        let key = SigningKey::new(array(&file["our_keys"]["sign_priv"]));
        let again = RouterInfo::build(
            &info.identity().unwrap(),
            info.published(),
            &info.addresses().iter().map(Into::into).collect::<Vec<_>>(),
            &info.options().into(),
            &key,
        )
        .unwrap();
        assert_eq!(again.as_bytes(), raw);
    }
}

#[test]
fn reseed_file_verifies() {
    let raw = bytes("i2pseeds.su3");
    assert_eq!(reseed::SIGNERS.len(), 14);
    let files = reseed::read_su3(&raw, reseed::SIGNERS, None).unwrap();
    assert_eq!(files.len(), 77);
    // One of those with ElGamal is signed with DSA.
    let (mut x25519, mut elgamal) = (0, 0);
    for f in &files {
        match parse_verified(f).unwrap().enc_key() {
            Some(_) => x25519 += 1,
            None => elgamal += 1,
        }
    }
    assert_eq!((x25519, elgamal), (22, 55));
}

#[test]
fn reseed_errors_name_what_is_wrong() {
    let raw = bytes("i2pseeds.su3");
    let read = |raw: &[u8]| reseed::read_su3(raw, reseed::SIGNERS, None).unwrap_err();
    let signature = WireError::new("SU3.signature", Cause::BadSignature);
    for at in [50, 100, 5000, raw.len() - 1, raw.len() - 512] {
        let mut bad = raw.clone();
        bad[at] ^= 1;
        let e = read(&bad);
        let named = match &e {
            ReseedError::Wire(w) => *w == signature,
            ReseedError::UnknownSigner(_) => at < 100,
            _ => false,
        };
        assert!(named, "{at}: {e}");
    }
    let mut bad = raw.clone();
    bad[27] = 1;
    assert_eq!(read(&bad), ReseedError::Kind(0, 1));
    bad = raw.clone();
    bad[0] = b'i';
    assert_eq!(
        read(&bad),
        ReseedError::Wire(WireError::invalid("SU3.magic"))
    );
    bad = raw.clone();
    bad[9] = 7;
    assert_eq!(
        read(&bad),
        ReseedError::Wire(WireError::invalid("SU3.signature_length"))
    );
    for n in (0..raw.len()).step_by(997).chain(0..200) {
        assert!(reseed::read_su3(&raw[..n], reseed::SIGNERS, None).is_err());
    }
    let none = reseed::read_su3(&raw, &[], None).unwrap_err();
    assert!(matches!(none, ReseedError::UnknownSigner(_)));
    let late = Some(Date::from_secs(4_000_000_000));
    let e = reseed::read_su3(&raw, reseed::SIGNERS, late).unwrap_err();
    assert!(matches!(e, ReseedError::OutOfDate(_)), "{e}");
    let in_time = Some(Date::from_secs(1_624_000_000));
    assert!(reseed::read_su3(&raw, reseed::SIGNERS, in_time).is_ok());
}

#[test]
fn every_certificate_of_ours_is_read() {
    for (name, pem) in reseed::SIGNERS {
        let key = ramson_proto::wire::su3::RsaKey::from_certificate(pem)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(key.not_before < key.not_after);
    }
}

#[test]
fn recorded_lease_sets() {
    let file = json("lease-sets");
    for v in list(&file["lease_sets"]) {
        let raw = hex_of(&v["lease_set2"]);
        let ls = LeaseSet2::parse(&raw).unwrap().verify().unwrap();
        let p = &v["parsed"];
        assert_eq!(ls.as_bytes(), raw);
        assert_eq!(ls.hash().0, array(&p["destination_hash"]));
        let keys = ls.destination().keys();
        assert_eq!(
            u64::from(keys.sig_type() as u16),
            p["sig_type"].as_u64().unwrap()
        );
        assert_eq!(ls.published().secs(), p["published"].as_u64().unwrap());
        let life = ls.expires().secs() - ls.published().secs();
        assert_eq!(life, p["expires"].as_u64().unwrap());
        assert_eq!(ls.keys().len(), list(&p["keys"]).len());
        for (k, v) in ls.keys().iter().zip(list(&p["keys"])) {
            assert_eq!(u64::from(k.kind), v[0].as_u64().unwrap());
        }
        assert_eq!(ls.leases().len(), list(&p["leases"]).len());
        for (l, v) in ls.leases().iter().zip(list(&p["leases"])) {
            assert_eq!(l.gateway.0, array(&v[0]));
            assert_eq!(u64::from(l.tunnel.0), v[1].as_u64().unwrap());
            assert_eq!(l.expires.secs(), v[2].as_u64().unwrap());
        }
        for n in 0..raw.len() {
            assert!(LeaseSet2::parse(&raw[..n]).is_err());
        }
        // The offsets of the destination's padding are covered by the signature too.
        for at in [0, 300, 400, raw.len() - 70] {
            let mut bad = raw.clone();
            bad[at] ^= 1;
            assert!(
                LeaseSet2::parse(&bad).and_then(|u| u.verify()).is_err(),
                "{at}"
            );
        }
    }
}

#[test]
fn direct_messages() {
    let file = json("i2np-direct");
    let us = RouterHash(array(&file["our_keys"]["router_hash"]));
    for v in list(&file["messages"]) {
        let sent = Message::parse_short(&hex_of(&v["sent"])).unwrap();
        let got = v["received"]
            .as_str()
            .map(|_| Message::parse_short(&hex_of(&v["received"])).unwrap());
        if sent.kind == kind::DATABASE_STORE {
            direct_store(v, &sent, &got.unwrap(), us);
        } else {
            assert_eq!(sent.kind, kind::DATABASE_LOOKUP);
            direct_lookup(v, &sent, got.as_ref(), us);
        }
    }
}

fn direct_store(v: &Value, sent: &Message, got: &Message, us: RouterHash) {
    let store = DatabaseStore::parse(&sent.body).unwrap();
    let reply = store.reply.unwrap();
    assert_eq!(u64::from(reply.token), v["reply_token"].as_u64().unwrap());
    assert_eq!((reply.tunnel.0, reply.gateway), (0, us));
    assert_eq!(store.entry, Entry::Router(hex_of(&v["router_info"])));
    assert_eq!(store.key, us.0);
    // The gzip is one of many: what it holds has to be the same.
    let again = store.to_message(sent.id, sent.expires).unwrap();
    assert_eq!(again.body[..71], sent.body[..71]);
    assert_eq!(DatabaseStore::parse(&again.body).unwrap(), store);
    assert_eq!(
        again.body[75..85],
        [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 0xff][..]
    );
    let status = DeliveryStatus::parse(&got.body).unwrap();
    assert_eq!(status.id.0, reply.token);
}

fn direct_lookup(v: &Value, sent: &Message, got: Option<&Message>, us: RouterHash) {
    let lookup = DatabaseLookup::parse(&sent.body).unwrap();
    assert_eq!(lookup.key, array(&v["key"]));
    assert_eq!((lookup.from, lookup.tunnel), (us, None));
    assert!(lookup.reply_key.is_none());
    assert_eq!(lookup.to_message(sent.id, sent.expires), *sent);
    let Some(got) = got else {
        return;
    };
    if got.kind == kind::DATABASE_STORE {
        let store = DatabaseStore::parse(&got.body).unwrap();
        assert_eq!((store.key, store.reply), (lookup.key, None));
        let Entry::Router(raw) = &store.entry else {
            panic!("a RouterInfo was asked for");
        };
        assert_eq!(*raw, hex_of(&v["answer"]["data"]));
        assert_eq!(parse_verified(raw).unwrap().hash().0, store.key);
    } else {
        let reply = DatabaseSearchReply::parse(&got.body).unwrap();
        let peers: Vec<[u8; 32]> = list(&v["answer"]["hashes"]).iter().map(array).collect();
        assert_eq!(reply.peers.iter().map(|h| h.0).collect::<Vec<_>>(), peers);
        assert_eq!(reply.from.0, array(&v["answer"]["from"]));
        assert_eq!(reply.to_message(got.id, got.expires), *got);
    }
}

#[test]
fn lookups_through_tunnels() {
    let file = json("lookup-encrypted");
    for v in list(&file["lookups"]) {
        let message = Message::parse_short(&hex_of(&v["lookup"])).unwrap();
        let lookup = DatabaseLookup::parse(&message.body).unwrap();
        assert_eq!(lookup.to_message(message.id, message.expires), message);
        assert_eq!(lookup.key, array(&v["key"]));
        let path = &file["inbound_tunnel"]["hops"][0];
        assert_eq!(lookup.from.0, array(&path["hash"]));
        let tunnel = u64::from(lookup.tunnel.unwrap().0);
        assert_eq!(tunnel, path["receive_tunnel"].as_u64().unwrap());
        let reply_key = lookup.reply_key.clone().unwrap();
        assert!(reply_key.key.ct_eq(&array(&v["reply_key"])));
        assert_eq!(reply_key.tag, array(&v["reply_tag"]));
        sealed_question(v, &message);
        sealed_answer(v, &lookup);
    }
}

fn sealed_question(v: &Value, message: &Message) {
    let payload = hex_of(&v["garlic_payload"]);
    let blocks = parse_blocks(&payload).unwrap();
    assert!(blocks.iter().any(|b| matches!(b, Block::Clove(c)
        if c.message == *message && c.delivery == Delivery::Local)));
    let ephemeral = ramson_proto::crypto::x25519::PrivateKey::new(array(&v["garlic_e_priv"]));
    let to = array(&v["floodfill_enc_pub"]);
    let sealed = to_router::seal_with(&to, &ephemeral, &payload).unwrap();
    let garlic = Message::parse_short(&hex_of(&v["garlic_message"])).unwrap();
    assert_eq!(garlic::content(&garlic.body).unwrap(), sealed);
}

fn sealed_answer(v: &Value, lookup: &DatabaseLookup) {
    let garlic = Message::parse_long(&hex_of(&v["answer_garlic"])).unwrap();
    let content = garlic::content(&garlic.body).unwrap();
    let key = Secret::new(array(&v["reply_key"]));
    let payload = one_time::open(&key, &array(&v["reply_tag"]), content).unwrap();
    assert_eq!(payload, hex_of(&v["answer_payload"]));
    assert_eq!(
        one_time::seal(&key, &array(&v["reply_tag"]), &payload),
        content
    );
    let blocks = parse_blocks(&payload).unwrap();
    // The clove comes first, padding may follow.
    let Some((Block::Clove(clove), [] | [Block::Padding(_)])) = blocks.split_first() else {
        panic!("one clove");
    };
    assert_eq!(clove.message.to_short(), hex_of(&v["answer"]));
    if clove.message.kind == kind::DATABASE_SEARCH_REPLY {
        let reply = DatabaseSearchReply::parse(&clove.message.body).unwrap();
        assert_eq!(reply.key, lookup.key);
        return;
    }
    let store = DatabaseStore::parse(&clove.message.body).unwrap();
    assert_eq!(store.key, lookup.key);
    match &store.entry {
        Entry::LeaseSet2(raw) => {
            assert_eq!(lookup.kind, LookupKind::LeaseSet);
            let ls = LeaseSet2::parse(raw).unwrap().verify().unwrap();
            let want = &v["lease_set2"];
            assert_eq!(ls.published().secs(), want["published"].as_u64().unwrap());
            assert_eq!(ls.leases().len(), list(&want["leases"]).len());
        }
        Entry::Router(raw) => {
            assert_eq!(lookup.kind, LookupKind::Router);
            assert_eq!(parse_verified(raw).unwrap().hash().0, lookup.key);
        }
        other => panic!("{other:?}"),
    }
}

/// Encrypted LeaseSets of i2pd, one of ours that i2pd took, and what they are stored under.
#[test]
fn recorded_encrypted_lease_sets() {
    use ramson_proto::wire::any_lease_set::{AnyLeaseSet, ENCRYPTED};
    let file = json("encrypted-lease-sets");
    let made = core::iter::once(&file["made"]);
    for v in list(&file["read"]).iter().chain(made) {
        let raw = hex_of(&v["encrypted_lease_set"]);
        let ls = AnyLeaseSet::parse(ENCRYPTED, &raw)
            .unwrap()
            .verify()
            .unwrap();
        assert_eq!(ls.hash().0, array(&v["store_key"]));
        assert_eq!(ls.as_bytes(), raw);
        let left = ls.ends().since(ls.published()).as_secs();
        assert!((500..=660).contains(&left), "{left}");
        let mut forged = raw.clone();
        forged[60] ^= 1;
        let forged = AnyLeaseSet::parse(ENCRYPTED, &forged).unwrap();
        assert!(forged.verify().is_err());
    }
}
