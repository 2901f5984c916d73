//! Every parser against cut, stretched and oversized input: refused with a named field, never a
//! panic, never more memory than a bound allows.

// The lint spares test functions, not the functions they share.
#![allow(clippy::unwrap_used)]

use ramson_proto::limits;
use ramson_proto::rng::Rng;
use ramson_proto::secret::Secret;
use ramson_proto::time::Date;
use ramson_proto::wire::cursor::{Reader, Writer};
use ramson_proto::wire::error::{Cause, WireError};
use ramson_proto::wire::hash::{MessageId, RouterHash, TunnelId};
use ramson_proto::wire::i2np::lookup::{DatabaseLookup, LookupKind, ReplyKey};
use ramson_proto::wire::i2np::search_reply::DatabaseSearchReply;
use ramson_proto::wire::i2np::status::DeliveryStatus;
use ramson_proto::wire::i2np::store::{DatabaseStore, Entry, StoreReply};
use ramson_proto::wire::i2np::tunnel::{TunnelData, TunnelGateway};
use ramson_proto::wire::i2np::{Message, kind};
use ramson_proto::wire::identity::Destination;
use ramson_proto::wire::inflate::{GzipHeader, gunzip, gzip};
use ramson_proto::wire::lease_set::LeaseSet;
use ramson_proto::wire::lease_set2::LeaseSet2;
use ramson_proto::wire::mapping::Mapping;
use ramson_proto::wire::router_info::{RouterInfo, parse_verified};
use ramson_proto::wire::zip;

const ID: MessageId = MessageId(1);
const T: Date = Date::from_secs(1_800_000_000);

fn vector(name: &str) -> Vec<u8> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/");
    std::fs::read(format!("{dir}{name}")).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn i2pd(name: &str) -> serde_json::Value {
    serde_json::from_slice(&vector(&format!("i2pd/{name}.json"))).unwrap()
}

fn lease_set2() -> Vec<u8> {
    hex::decode(
        i2pd("lease-sets")["lease_sets"][0]["lease_set2"]
            .as_str()
            .unwrap(),
    )
    .unwrap()
}

fn hash(n: u8) -> RouterHash {
    RouterHash([n; 32])
}

/// Each prefix and one surplus byte are refused; flipped bytes may parse, but do not panic.
fn cut(whole: &[u8], parse: impl Fn(&[u8]) -> Result<(), WireError>) {
    parse(whole).unwrap();
    for n in 0..whole.len() {
        assert!(parse(&whole[..n]).is_err(), "{n} of {}", whole.len());
    }
    let mut more = whole.to_vec();
    more.push(0);
    assert!(parse(&more).is_err());
    let mut rng = Rng::from_number(whole.len() as u64);
    for _ in 0..2000 {
        let mut bad = whole.to_vec();
        let at = rng.below(bad.len());
        bad[at] = rng.u32() as u8;
        let _ = parse(&bad);
    }
}

fn lookup(excluded: usize, tunnel: bool) -> DatabaseLookup {
    DatabaseLookup {
        key: [1; 32],
        kind: LookupKind::LeaseSet,
        from: hash(2),
        tunnel: tunnel.then_some(TunnelId(3)),
        excluded: vec![hash(4); excluded],
        reply_key: tunnel.then(|| ReplyKey {
            key: Secret::new([5; 32]),
            tag: [6; 8],
        }),
    }
}

#[test]
fn router_infos() {
    for name in ["router1.dat", "router2.dat", "router4.dat"] {
        let raw = vector(name);
        cut(&raw, |b| RouterInfo::parse(b).map(|_| ()));
        // Nothing but the very bytes verifies.
        let mut rng = Rng::from_number(1);
        for _ in 0..200 {
            let mut bad = raw.clone();
            let at = rng.below(bad.len());
            bad[at] ^= 1 << rng.below(8);
            assert!(parse_verified(&bad).is_err(), "{name} {at}");
        }
    }
    let long = vec![0; limits::ROUTER_INFO_MAX + 1];
    let e = RouterInfo::parse(&long).unwrap_err();
    assert_eq!(e, WireError::too_large("RouterInfo"));
    // 391 bytes of identity, 8 of date, then the number of addresses.
    let mut many = vector("router1.dat");
    many[399] = limits::ROUTER_ADDRESSES_MAX as u8 + 1;
    let e = RouterInfo::parse(&many).unwrap_err();
    assert_eq!(e, WireError::too_large("RouterInfo.size"));
}

#[test]
fn identities() {
    let raw = vector("router1.dat")[..391].to_vec();
    cut(&raw, |b| Destination::parse(b).map(|_| ()));
    let with = |at: usize, v: u8| {
        let mut bad = raw.clone();
        bad[at] = v;
        Destination::parse(&bad).unwrap_err().field
    };
    assert_eq!(with(384, 1), "Certificate.type");
    assert_eq!(with(388, 99), "KeyCertificate.signing_type");
    assert_eq!(with(386, 3), "KeyCertificate.crypto_type");
    // P-521 keys have four bytes more than the field: these have to be there.
    assert_eq!(with(388, 3), "KeyCertificate.excess");
    let mut null = raw[..384].to_vec();
    null.extend_from_slice(&[0, 0, 0]);
    let dest = Destination::parse(&null).unwrap();
    assert_eq!(dest.keys().signing_key().len(), 128);
}

#[test]
fn lease_sets_of_both_kinds() {
    let raw = lease_set2();
    cut(&raw, |b| LeaseSet2::parse(b).map(|_| ()));
    let long = vec![0; limits::LEASE_SET_MAX + 1];
    assert_eq!(
        LeaseSet2::parse(&long).unwrap_err(),
        WireError::too_large("LeaseSet2")
    );
    assert_eq!(
        LeaseSet::parse(&long).unwrap_err(),
        WireError::too_large("LeaseSet")
    );
    // Type 3 is signed with its type byte: the same bytes are no other type.
    let mut keys = raw.clone();
    keys[391 + 10] = 9;
    assert_eq!(LeaseSet2::parse(&keys).unwrap_err().field, "LeaseSet2.numk");

    let old = old_lease_set(2);
    cut(&old, |b| LeaseSet::parse(b).map(|_| ()));
    let ls = LeaseSet::parse(&old).unwrap().verify().unwrap();
    assert_eq!(
        (ls.leases().len(), ls.expires()),
        (2, Date(1_800_000_000_123))
    );
    assert_eq!(ls.elgamal_key(), [7; 256]);
    let mut bad = old.clone();
    bad[400] ^= 1;
    let e = LeaseSet::parse(&bad).unwrap().verify().unwrap_err();
    assert_eq!(e, WireError::new("LeaseSet.signature", Cause::BadSignature));
    let e = LeaseSet::parse(&old_lease_set(17)).unwrap_err();
    assert_eq!(e, WireError::too_large("LeaseSet.num"));
}

fn old_lease_set(leases: u8) -> Vec<u8> {
    let key = ramson_proto::crypto::sig::SigningKey::new([3; 32]);
    let public = key.public();
    let keys = ramson_proto::wire::identity::KeysAndCert::ed25519(0, &[7; 256], &[6; 96], &public);
    let mut w = Writer::new();
    w.put(keys.unwrap().as_bytes())
        .put(&[7; 256])
        .put(&public)
        .u8(leases);
    for n in 0..leases {
        w.put(&[n; 32]).u32(5).u64(1_800_000_000_123);
    }
    let signature = key.sign(&[w.as_slice()]);
    w.put(&signature);
    w.into_vec()
}

#[test]
fn database_stores() {
    let info = parse_verified(&vector("router1.dat")).unwrap();
    let ls = LeaseSet2::parse(&lease_set2()).unwrap().verify().unwrap();
    let reply = StoreReply {
        token: 9,
        tunnel: TunnelId(8),
        gateway: hash(7),
    };
    for reply in [None, Some(reply)] {
        let store = DatabaseStore::router(&info, reply);
        let body = store.to_message(ID, T).unwrap().body;
        assert_eq!(DatabaseStore::parse(&body).unwrap(), store);
        cut(&body, |b| DatabaseStore::parse(b).map(|_| ()));
        let store = DatabaseStore::lease_set2(&ls, reply);
        let body = store.to_message(ID, T).unwrap().body;
        assert_eq!(DatabaseStore::parse(&body).unwrap(), store);
    }
    for (n, field) in [(2, "type"), (4, "type"), (8, "type"), (15, "type")] {
        let mut body = DatabaseStore::lease_set2(&ls, None)
            .to_message(ID, T)
            .unwrap()
            .body;
        body[32] = n;
        let e = DatabaseStore::parse(&body).unwrap_err();
        assert_eq!(e, WireError::invalid("DatabaseStore.type"), "{field}");
    }
    for n in [5, 7] {
        let store = DatabaseStore {
            key: [1; 32],
            reply: None,
            entry: Entry::Other(n, vec![1, 2, 3]),
        };
        let body = store.to_message(ID, T).unwrap().body;
        assert_eq!(DatabaseStore::parse(&body).unwrap(), store);
    }
    let zero = StoreReply { token: 0, ..reply };
    assert!(
        DatabaseStore::router(&info, Some(zero))
            .to_message(ID, T)
            .is_err()
    );
}

#[test]
fn stores_do_not_unpack_beyond_their_bounds() {
    let bomb = DatabaseStore {
        key: [1; 32],
        reply: None,
        entry: Entry::Router(vec![0; 1_000_000]),
    };
    let body = bomb.to_message(ID, T).unwrap().body;
    assert!(body.len() < 2000);
    let e = DatabaseStore::parse(&body).unwrap_err();
    assert_eq!(e, WireError::too_large("gzip.data"));
    let large = DatabaseStore {
        entry: Entry::LeaseSet2(vec![0; limits::LEASE_SET_MAX + 1]),
        ..bomb
    };
    let body = large.to_message(ID, T).unwrap().body;
    let e = DatabaseStore::parse(&body).unwrap_err();
    assert_eq!(e, WireError::too_large("DatabaseStore.data"));
}

#[test]
fn database_lookups() {
    for (n, tunnel) in [(0, false), (3, true), (limits::LOOKUP_EXCLUDED_MAX, true)] {
        let body = lookup(n, tunnel).to_message(ID, T).body;
        let back = DatabaseLookup::parse(&body).unwrap();
        assert_eq!(back.excluded.len(), n);
        assert_eq!(back.to_message(ID, T).body, body);
        cut(&body[..], |b| DatabaseLookup::parse(b).map(|_| ()));
    }
    // More are never sent, and never read.
    let most = lookup(600, false).to_message(ID, T).body;
    assert_eq!(DatabaseLookup::parse(&most).unwrap().excluded.len(), 512);
    let mut body = lookup(0, false).to_message(ID, T).body;
    body[65..67].copy_from_slice(&513u16.to_be_bytes());
    body.resize(67 + 513 * 32, 0);
    let e = DatabaseLookup::parse(&body).err().unwrap();
    assert_eq!(e, WireError::too_large("DatabaseLookup.size"));
    let mut aes = lookup(0, false).to_message(ID, T).body;
    aes[64] |= 2;
    let e = DatabaseLookup::parse(&aes).err().unwrap();
    assert_eq!(
        e,
        WireError::new("DatabaseLookup.flags", Cause::Unsupported)
    );
    let mut tags = lookup(0, true).to_message(ID, T).body;
    let at = tags.len() - 9;
    tags[at] = 2;
    let e = DatabaseLookup::parse(&tags).err().unwrap();
    assert_eq!(e, WireError::invalid("DatabaseLookup.tags"));
}

#[test]
fn other_netdb_and_tunnel_messages() {
    for n in [0, 3, 255] {
        let reply = DatabaseSearchReply {
            key: [1; 32],
            peers: vec![hash(2); n],
            from: hash(3),
        };
        let body = reply.to_message(ID, T).body;
        assert_eq!(DatabaseSearchReply::parse(&body).unwrap(), reply);
        cut(&body, |b| DatabaseSearchReply::parse(b).map(|_| ()));
    }
    let status = DeliveryStatus { id: ID, at: T };
    let body = status.to_message(ID, T).body;
    cut(&body, |b| DeliveryStatus::parse(b).map(|_| ()));
    let gateway = TunnelGateway {
        id: TunnelId(1),
        inner: vec![2; 50],
    };
    let body = gateway.to_message(ID, T).unwrap().body;
    cut(&body, |b| TunnelGateway::parse(b).map(|_| ()));
    cut(&[7; 1028], |b| TunnelData::parse(b).map(|_| ()));
    let message = Message {
        kind: kind::DATA,
        id: ID,
        expires: T,
        body: vec![3; 40],
    };
    cut(&message.to_long(), |b| Message::parse_long(b).map(|_| ()));
    let long = vec![0; 9 + limits::I2NP_BODY_MAX + 1];
    let e = Message::parse_short(&long).unwrap_err();
    assert_eq!(e, WireError::too_large("I2NP.payload"));
}

#[test]
fn mappings() {
    let mut m = Mapping::new();
    for n in 0..limits::MAPPING_ENTRIES_MAX {
        m.set(&format!("k{n}"), "v");
    }
    let mut w = Writer::new();
    m.write(&mut w).unwrap();
    assert!(Mapping::read(&mut Reader::new(w.as_slice())).is_ok());
    m.set("one more", "v");
    let mut w = Writer::new();
    m.write(&mut w).unwrap();
    let e = Mapping::read(&mut Reader::new(w.as_slice())).unwrap_err();
    assert_eq!(e, WireError::too_large("Mapping.entries"));
    m.set("long", "x".repeat(256));
    assert!(m.write(&mut Writer::new()).is_err());
}

#[test]
fn gzip_and_zip_bombs() {
    let packed = gzip(GzipHeader::default(), &vec![0; 10_000_000]);
    let e = gunzip(&packed, 4096).unwrap_err();
    assert_eq!(e, WireError::too_large("gzip.data"));

    let one = archive(&[("a", b"hello"), ("b", b"")]);
    let files = zip::unpack(&one, 2, 5).unwrap();
    assert_eq!((files.len(), &files[0].bytes[..]), (2, &b"hello"[..]));
    let e = zip::unpack(&one, 1, 5).unwrap_err();
    assert_eq!(e, WireError::too_large("zip.entries"));
    let e = zip::unpack(&one, 2, 4).unwrap_err();
    assert_eq!(e, WireError::too_large("zip.size"));
    for n in 0..one.len() {
        assert!(zip::unpack(&one[..n], 2, 5).is_err(), "{n}");
    }
    let mut rng = Rng::from_number(1);
    for _ in 0..5000 {
        let mut bad = one.clone();
        let at = rng.below(bad.len());
        bad[at] = rng.u32() as u8;
        let _ = zip::unpack(&bad, 2, 5);
    }
    let mut bad = one;
    bad[31] ^= 1;
    let e = zip::unpack(&bad, 2, 5).unwrap_err();
    assert_eq!(e, WireError::new("zip.crc", Cause::BadSignature));
}

/// An archive of stored files.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut dir) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let offset = out.len() as u32;
        let crc = ramson_proto::wire::inflate::crc32(bytes);
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend_from_slice(&crc.to_le_bytes());
        common.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        common.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        common.extend_from_slice(&(name.len() as u16).to_le_bytes());
        common.extend_from_slice(&[0, 0]);
        out.extend_from_slice(b"PK\x03\x04");
        out.extend_from_slice(&common);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(bytes);
        dir.extend_from_slice(b"PK\x01\x02\x14\x00");
        dir.extend_from_slice(&common);
        dir.extend_from_slice(&[0; 10]);
        dir.extend_from_slice(&offset.to_le_bytes());
        dir.extend_from_slice(name.as_bytes());
    }
    let at = out.len() as u32;
    let count = (files.len() as u16).to_le_bytes();
    out.extend_from_slice(&dir);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend_from_slice(&count);
    out.extend_from_slice(&count);
    out.extend_from_slice(&(dir.len() as u32).to_le_bytes());
    out.extend_from_slice(&at.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out
}
