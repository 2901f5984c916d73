//! What strangers may cost, and what they may not push out.

use super::*;
use crate::garlic::clove::{Block, Clove, Delivery};
use crate::garlic::ratchet::PeerKey;
use crate::limits;
use crate::wire::hash::MessageId;
use crate::wire::i2np::kind;
use crate::wire::i2np::store::DatabaseStore;
use crate::wire::inflate::{GzipHeader, gzip};

fn clove(now: Now, kind: u8, body: Vec<u8>) -> Block {
    Block::Clove(Clove {
        delivery: Delivery::Local,
        message: Message {
            kind,
            id: MessageId(1),
            expires: now.wall + MESSAGE_LIFE,
            body,
        },
    })
}

fn lease_set(now: Now, ls: &LeaseSet2) -> Block {
    let store = DatabaseStore::lease_set2(ls, None);
    let message = store.to_message(MessageId(1), now.wall + MESSAGE_LIFE);
    clove(now, kind::DATABASE_STORE, message.unwrap().body)
}

/// A stranger's New Session with these blocks behind its LeaseSet.
fn intrude(pair: &mut Pair, blocks: &mut Vec<Block>) {
    let keys = client_keys(&mut pair.rng).unwrap();
    let mut stranger = side(keys, 9, pair.now).dest;
    blocks.insert(0, lease_set(pair.now, stranger.lease_set().unwrap()));
    let key = PeerKey(*pair.sides[1].dest.ratchets.public());
    let sealed = stranger
        .ratchets
        .seal(pair.now, &mut pair.rng, &key, blocks, false);
    let content = sealed.unwrap().content;
    pair.sides[1]
        .dest
        .handle_garlic(pair.now, &mut pair.rng, &content);
}

#[test]
fn strangers_do_not_push_out_who_is_talked_to() {
    let mut pair = Pair::new(server_keys());
    pair.introduce();
    pair.call(b"one");
    pair.run(Duration::from_secs(3));
    let client = pair.sides[0].dest.hash();
    for n in 0..600 {
        intrude(&mut pair, &mut Vec::new());
        if n % 3 == 0 {
            pair.run(Duration::from_millis(200));
        }
    }
    let dest = &pair.sides[1].dest;
    assert!(dest.remotes.contains_key(&client));
    let strangers = dest.remotes.values().filter(|r| !r.wanted).count();
    assert_eq!(strangers, limits::REMOTES_STRANGERS_MAX);
    assert!(dest.by_key.len() <= dest.remotes.len());
    // Who is looked up has a place, too.
    let other = DestHash([3; 32]);
    let now = pair.now;
    pair.sides[1].dest.prepare(now, other);
    assert!(pair.sides[1].dest.remotes.contains_key(&other));
}

#[test]
fn one_message_unpacks_to_so_much_and_no_more() {
    let mut pair = Pair::new(server_keys());
    let bomb = |protocol: u8| {
        let header = GzipHeader {
            os: protocol,
            ..GzipHeader::default()
        };
        let packed = gzip(header, &vec![0; limits::ENVELOPE_MAX]);
        [&(packed.len() as u32).to_be_bytes()[..], &packed].concat()
    };
    let now = pair.now;
    let mut blocks: Vec<Block> = (0..60)
        .map(|_| clove(now, kind::DATA, bomb(STREAMING)))
        .collect();
    intrude(&mut pair, &mut blocks);
    let dest = &pair.sides[1].dest;
    assert_eq!(dest.streams.stats().received, 1, "packets were unpacked");
    assert!(dest.counts.metered >= 58, "{:?}", dest.counts);
    // What is not for streams is not unpacked at all.
    let mut blocks = vec![clove(now, kind::DATA, bomb(17)); 60];
    blocks.push(clove(now, kind::DATA, bomb(STREAMING)));
    intrude(&mut pair, &mut blocks);
    assert_eq!(pair.sides[1].dest.streams.stats().received, 2);
}

#[test]
fn few_bundled_lease_sets_are_verified() {
    let mut pair = Pair::new(server_keys());
    let now = pair.now;
    let foreign = pair.sides[0].dest.lease_set().unwrap().clone();
    let mut blocks = vec![lease_set(now, &foreign); 60];
    intrude(&mut pair, &mut blocks);
    let dest = &pair.sides[1].dest;
    assert_eq!(dest.counts.metered, 59);
    assert_eq!(dest.remotes.len(), 1, "another key than the sender's");
    // New ones at once are few, and more of them come with time.
    let mut flood = |n: usize| {
        let before = pair.sides[1].dest.remotes.len();
        for _ in 0..n {
            intrude(&mut pair, &mut Vec::new());
        }
        pair.sides[1].dest.remotes.len() - before
    };
    assert_eq!(flood(150), limits::BUNDLED_CHECKS_BURST as usize - 1);
    pair.now = pair.now.after(Duration::from_secs(1));
    let mut flood = |n: usize| {
        let before = pair.sides[1].dest.remotes.len();
        for _ in 0..n {
            intrude(&mut pair, &mut Vec::new());
        }
        pair.sides[1].dest.remotes.len() - before
    };
    assert_eq!(flood(50), limits::BUNDLED_CHECKS_PER_SECOND as usize);
}

/// Another destination whose LeaseSet names the server's key as its own.
fn claim_the_servers_key(pair: &mut Pair) -> DestHash {
    let keys = client_keys(&mut pair.rng).unwrap();
    let keys = DestinationKeys {
        encryption: server_keys().encryption,
        ..keys
    };
    let claimer = side(keys, 8, pair.now).dest;
    let ls = claimer.lease_set().unwrap().clone();
    pair.sides[0].dest.found(pair.now, ls);
    claimer.hash()
}

#[test]
fn who_claims_the_key_of_another_does_not_silence_it() {
    let mut pair = Pair::new(server_keys());
    claim_the_servers_key(&mut pair);
    pair.introduce();
    claim_the_servers_key(&mut pair);
    for n in 0..2 {
        pair.call(b"hello");
        pair.run(Duration::from_millis(500));
        let incoming = |e: &StreamEvent| match e {
            StreamEvent::Incoming { id, .. } => Some(*id),
            _ => None,
        };
        let id = pair.sides[1]
            .events
            .iter()
            .rev()
            .find_map(incoming)
            .unwrap();
        let (now, server) = (pair.now, &mut pair.sides[1].dest.streams);
        assert_eq!(server.write(now, id, b"answer"), 6);
        pair.run(Duration::from_millis(500));
        assert_eq!(pair.received(0), b"answer".repeat(n + 1));
    }
    let dest = &pair.sides[0].dest;
    let key = PeerKey(*pair.sides[1].dest.ratchets.public());
    assert_eq!(dest.by_key.of(&key).first(), Some(&pair.server()));
    assert_eq!(dest.counts.unopened, 0);
}
