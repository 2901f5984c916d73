//! What others make a floodfill do: no more for one link than its share, and cheap checks first.

use super::*;
use crate::wire::any_lease_set::{AnyLeaseSet, ENCRYPTED, META};
use crate::wire::cursor::Writer;
use crate::wire::hash::sha256;
use crate::wire::i2np::lookup::LookupKind;
use crate::wire::i2np::store::StoreReply;

/// Gives a message to a node as if a link had brought it; what it does then.
fn give(net: &mut Net, who: RouterHash, link: RouterHash, m: &Message) -> Vec<NetDbOutput> {
    let now = net.now;
    let mut rng = Rng::from_number(net.seq);
    net.seq += 1;
    let db = &mut net.node(who).db;
    let _ = db.handle_message(now, &mut rng, Context::Router, Source::Link(link), m);
    core::iter::from_fn(|| db.poll_output()).collect()
}

fn store(entry: DatabaseStore) -> Message {
    entry.to_message(MessageId(1), START_WALL).unwrap()
}

const fn reply(gateway: RouterHash) -> Option<StoreReply> {
    Some(StoreReply {
        token: 7,
        tunnel: TunnelId(9),
        gateway,
    })
}

const STRANGER: RouterHash = RouterHash([0xab; 32]);

/// One link, a thousand stores that are to be confirmed to a thousand strangers.
#[test]
fn a_link_makes_us_dial_few_routers() {
    let (mut net, ffs, _, _) = network();
    let ls = lease_set(9, net.now.wall, false);
    let (mut known, mut unknown) = (0, 0);
    for n in 0..1000u64 {
        let info = Draft::new(2000 + n % 100, "XR", net.now.wall).build();
        let now = net.now;
        net.node(ffs[0]).db.load(now, Arc::clone(&info), true);
        let m = store(DatabaseStore::lease_set2(&ls, reply(info.hash())));
        known += give(&mut net, ffs[0], STRANGER, &m).len();
        let mut h = [3; 32];
        h[..8].copy_from_slice(&n.to_be_bytes());
        let m = store(DatabaseStore::lease_set2(&ls, reply(RouterHash(h))));
        unknown += give(&mut net, ffs[0], STRANGER, &m).len();
    }
    // The first store is flooded to three others.
    assert!((20..=40).contains(&(known + unknown)), "{known} {unknown}");
    assert_eq!(net.nodes[&ffs[0]].db.lookups.len(), 0);
    // Another link still is served.
    let info = Draft::new(2000, "XR", net.now.wall).build();
    let m = store(DatabaseStore::lease_set2(&ls, reply(info.hash())));
    assert_eq!(give(&mut net, ffs[0], RouterHash([0xac; 32]), &m).len(), 1);
    // And who has a link is no burden.
    net.node(ffs[0]).db.set_linked(info.hash(), true);
    assert_eq!(give(&mut net, ffs[0], STRANGER, &m).len(), 1);
}

#[test]
fn a_router_that_is_no_floodfill_confirms_to_nobody_else() {
    let (mut net, _, site, client) = network();
    let info = Draft::new(2000, "XR", net.now.wall).build();
    let m = store(DatabaseStore::router(&info, reply(RouterHash([1; 32]))));
    assert_eq!(give(&mut net, site, client, &m).len(), 0);
    let newer = Draft::new(2000, "XR", net.now.wall + Duration::from_secs(1)).build();
    let back = Some(StoreReply {
        token: 7,
        tunnel: TunnelId(0),
        gateway: client,
    });
    let m = store(DatabaseStore::router(&newer, back));
    assert_eq!(give(&mut net, site, client, &m).len(), 1);
}

/// Questions with answers of many times their size, to a tunnel of somebody else.
#[test]
fn answers_are_metered_in_bytes() {
    let (mut net, ffs, _, _) = network();
    net.node(ffs[0]).db.set_linked(RouterHash([1; 32]), true);
    let question = DatabaseLookup {
        key: ffs[1].0,
        kind: LookupKind::Router,
        from: RouterHash([1; 32]),
        tunnel: Some(TunnelId(5)),
        excluded: Vec::new(),
        reply_key: None,
    };
    let m = question.to_message(MessageId(1), net.now.wall);
    let mut bytes = 0;
    for _ in 0..2000 {
        for o in give(&mut net, ffs[0], STRANGER, &m) {
            if let NetDbOutput::SendTunnel { message, .. } = o {
                bytes += message.body.len();
            }
        }
    }
    assert!((200_000..=262_144).contains(&bytes), "{bytes}");
}

/// A copy costs no signature check, and neither does what is expired, early or misnamed.
#[test]
fn copies_are_not_verified_again() {
    let (mut net, ffs, _, _) = network();
    let now = net.now.wall;
    let ls = lease_set(9, now, false);
    let copy = store(DatabaseStore::lease_set2(&ls, None));
    let over = lease_set(10, now - Duration::from_secs(700), false);
    let over = store(DatabaseStore::lease_set2(&over, None));
    let mut renamed = DatabaseStore::lease_set2(&lease_set(11, now, false), None);
    renamed.key = [1; 32];
    let renamed = store(renamed);
    let hidden = lease_set(12, now, true);
    let hidden = store(DatabaseStore::lease_set2(&hidden, None));
    for m in [&copy, &over, &renamed, &hidden] {
        for _ in 0..500 {
            give(&mut net, ffs[0], STRANGER, m);
        }
    }
    let db = &net.nodes[&ffs[0]].db;
    assert_eq!((db.lease_set_count(), db.refused()), (1, 0));
    // Forgeries do cost, until the link has had its share.
    let mut forged = DatabaseStore::lease_set2(&lease_set(13, now, false), None);
    if let Entry::LeaseSet2(bytes) = &mut forged.entry {
        *bytes.last_mut().unwrap() ^= 1;
    }
    let forged = store(forged);
    for _ in 0..500 {
        give(&mut net, ffs[0], STRANGER, &forged);
    }
    assert_eq!(net.nodes[&ffs[0]].db.refused(), 500 - 63);
}

/// Two signatures of the dearest kind for each store.
#[test]
fn dear_signatures_cost_more() {
    let (mut net, ffs, _, _) = network();
    let now = net.now.wall;
    let good = lease_set(9, now, false);
    // An offline key of P-521, vouched for by nobody.
    let mut w = Writer::with_capacity(1024);
    w.put(good.destination().as_bytes()).u32(now.secs() as u32);
    w.u16(600).u16(1);
    w.u32(now.secs() as u32 + 5000)
        .u16(3)
        .put(&[2; 132])
        .put(&[3; 64]);
    w.u16(0).u8(1).u16(4).u16(32).put(&[8; 32]).u8(1);
    w.put(&[1; 32]).u32(7).u32(now.secs() as u32 + 600);
    w.put(&[4; 132]);
    let unverified = LeaseSet2::parse(w.as_slice()).unwrap();
    assert_eq!(unverified.cost(), 9);
    assert_eq!(unverified.peek().expires(), now + Duration::from_secs(600));
    assert_eq!(
        unverified.verify().unwrap_err().field,
        "OfflineSignature.signature"
    );
    let m = store(DatabaseStore {
        key: good.hash().0,
        reply: None,
        entry: Entry::LeaseSet2(w.into_vec()),
    });
    for _ in 0..100 {
        give(&mut net, ffs[0], STRANGER, &m);
    }
    assert_eq!(net.nodes[&ffs[0]].db.refused(), 100 - 64 / 9);
}

/// A lookup that excludes as many as it may is as cheap as another: all routers are looked at
/// once, not once for each exclusion.
#[test]
fn exclusions_are_heeded() {
    let (mut net, ffs, _, _) = network();
    let mut excluded: Vec<_> = (0..510u32)
        .map(|n| {
            let mut h = [9; 32];
            h[..4].copy_from_slice(&n.to_be_bytes());
            RouterHash(h)
        })
        .collect();
    excluded.extend([ffs[2], ffs[1]]);
    let question = DatabaseLookup {
        key: [1; 32],
        kind: LookupKind::LeaseSet,
        from: STRANGER,
        tunnel: None,
        excluded,
        reply_key: None,
    };
    let m = question.to_message(MessageId(1), net.now.wall);
    let outputs = give(&mut net, ffs[0], STRANGER, &m);
    let [NetDbOutput::Send { message, .. }] = outputs.as_slice() else {
        panic!("one answer")
    };
    let named = DatabaseSearchReply::parse(&message.body).unwrap().peers;
    assert_eq!(named.len(), 3);
    assert!(!named.contains(&ffs[1]) && !named.contains(&ffs[2]));
}

/// An old, an encrypted and a meta LeaseSet, each with its key.
fn other_kinds(now: Date) -> Vec<(u8, [u8; 32], Vec<u8>)> {
    let mut rng = Rng::from_number(77);
    let key = SigningKey::random(&mut rng);
    let keys = KeysAndCert::ed25519(0, &[5; 256], &[6; 96], &key.public()).unwrap();
    let destination = Destination(keys);
    let mut old = Writer::with_capacity(1024);
    old.put(destination.as_bytes())
        .put(&[1; 256])
        .put(&[2; 32])
        .u8(1);
    old.put(&[1; 32])
        .u32(7)
        .u64((now + Duration::from_secs(600)).0);
    let signature = key.sign(&[old.as_slice()]);
    old.put(&signature);
    let mut blind = Writer::with_capacity(512);
    blind.u16(11).put(&key.public());
    let blinded = sha256(&[blind.as_slice()]);
    blind
        .u32(now.secs() as u32)
        .u16(600)
        .u16(0)
        .u16(100)
        .put(&[9; 100]);
    let signature = key.sign(&[&[5], blind.as_slice()]);
    blind.put(&signature);
    let mut meta = Writer::with_capacity(1024);
    meta.put(destination.as_bytes())
        .u32(now.secs() as u32)
        .u16(40_000)
        .u16(0);
    meta.u16(0).u8(1).put(&[1; 32]).u32(0x0000_0301);
    meta.u32(now.secs() as u32 + 40_000).u8(0);
    let signature = key.sign(&[&[7], meta.as_slice()]);
    meta.put(&signature);
    let hash = destination.hash().0;
    vec![
        (1, hash, old.into_vec()),
        (ENCRYPTED, blinded, blind.into_vec()),
        (META, hash, meta.into_vec()),
    ]
}

#[test]
fn lease_sets_of_every_kind_are_kept_confirmed_flooded_and_answered() {
    for (kind, key, raw) in other_kinds(START_WALL) {
        let (mut net, ffs, _, client) = network();
        let value = DatabaseStore {
            key,
            reply: reply(client),
            entry: Entry::Other(kind, raw.clone()),
        };
        let outputs = give(&mut net, ffs[0], STRANGER, &store(value.clone()));
        let confirms = |o: &&NetDbOutput| {
            matches!(o, NetDbOutput::SendTunnel { message, .. }
                if message.kind == kind::DELIVERY_STATUS)
        };
        assert_eq!(outputs.iter().filter(confirms).count(), 1, "type {kind}");
        let floods = outputs.iter().filter(|o| {
            matches!(o, NetDbOutput::Send { message, direct: true, .. }
                if message.kind == kind::DATABASE_STORE)
        });
        assert_eq!(floods.count(), 3, "type {kind}");
        let question = DatabaseLookup {
            key,
            kind: LookupKind::LeaseSet,
            from: STRANGER,
            tunnel: None,
            excluded: Vec::new(),
            reply_key: None,
        };
        let m = question.to_message(MessageId(1), net.now.wall);
        let outputs = give(&mut net, ffs[0], STRANGER, &m);
        let [NetDbOutput::Send { message, .. }] = outputs.as_slice() else {
            panic!("one answer")
        };
        let answer = DatabaseStore::parse(&message.body).unwrap();
        assert_eq!(answer.entry, value.entry);
        // Truncated, forged and misnamed ones are not kept.
        for n in 0..raw.len() {
            assert!(AnyLeaseSet::parse(kind, &raw[..n]).is_err());
        }
        let mut forged = raw.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert!(AnyLeaseSet::parse(kind, &forged).unwrap().verify().is_err());
        let (mut net, ffs, _, _) = network();
        let mut renamed = value.clone();
        renamed.key = [1; 32];
        give(&mut net, ffs[0], STRANGER, &store(renamed));
        net.now = net.now.after(Duration::from_secs(50_000));
        give(&mut net, ffs[0], STRANGER, &store(value));
        assert_eq!(net.nodes[&ffs[0]].db.lease_set_count(), 0, "type {kind}");
    }
}
