//! Recorded lookups and publications under router garlic, and their one-time replies
//! (`tests/vectors/i2pd/README.md`).

use super::clove::{Block, Delivery, parse_blocks, write_blocks};
use super::{content, one_time, to_router};
use crate::crypto::noise::Noise;
use crate::crypto::x25519::PrivateKey;
use crate::relay::vectors::{array, bytes, list, load};
use crate::secret::Secret;
use crate::wire::i2np::{Message, kind};
use serde_json::Value;

/// The only clove of a payload that begins with a DateTime or is the clove alone.
fn clove_of(payload: &[u8]) -> (Delivery, Message) {
    let blocks = parse_blocks(payload).unwrap();
    assert_eq!(write_blocks(&blocks).unwrap().len(), payload.len());
    let mut cloves = blocks.into_iter().filter_map(|b| match b {
        Block::Clove(c) => Some(c),
        _ => None,
    });
    let clove = cloves.next().unwrap();
    assert!(cloves.next().is_none());
    (clove.delivery, clove.message)
}

/// Router garlic as recorded, step by step and whole.
fn check_router_garlic(event: &Value, inner: &str) {
    let (to, e) = (
        array(&event["floodfill_enc_pub"]),
        PrivateKey::new(array(&event["garlic_e_priv"])),
    );
    let payload = bytes(&event["garlic_payload"]);
    let message = Message::parse_short(&bytes(&event["garlic_message"])).unwrap();
    assert_eq!(message.kind, kind::GARLIC);
    let sealed = content(&message.body).unwrap();
    assert_eq!(to_router::seal_with(&to, &e, &payload).unwrap(), sealed);
    assert_eq!(
        super::to_message(sealed, message.id, message.expires),
        message
    );
    let (delivery, clove) = clove_of(&payload);
    assert_eq!(delivery, Delivery::Local);
    assert_eq!(clove.to_short(), bytes(&event[inner]));

    let mut noise: Noise = to_router::initial(&to);
    let trace = list(&event["garlic_trace"]);
    let same = |noise: &Noise, i: usize| {
        assert_eq!(*noise.h(), array(&trace[i]["h"]), "{}", trace[i]["step"]);
        assert!(noise.ck().ct_eq(&array(&trace[i]["ck"])));
    };
    same(&noise, 2);
    noise.mix_hash(e.public());
    same(&noise, 3);
    let shared = e.agree(&to).unwrap();
    assert!(shared.ct_eq(&array(&trace[4]["shared"])));
    let k = noise.mix_key(&shared);
    assert!(k.ct_eq(&array(&trace[4]["k"])));
    same(&noise, 4);
    noise.mix_hash(&sealed[32..]);
    same(&noise, 5);
}

#[test]
fn lookups_and_their_answers() {
    let file = load("lookup-encrypted");
    for lookup in list(&file["lookups"]) {
        check_router_garlic(lookup, "lookup");
        let key = Secret::new(array(&lookup["reply_key"]));
        let tag = array(&lookup["reply_tag"]);
        let garlic = Message::parse_long(&bytes(&lookup["answer_garlic"])).unwrap();
        assert_eq!(garlic.kind, kind::GARLIC);
        let sealed = content(&garlic.body).unwrap();
        let payload = one_time::open(&key, &tag, sealed).unwrap();
        assert_eq!(payload, bytes(&lookup["answer_payload"]));
        assert_eq!(one_time::seal(&key, &tag, &payload), sealed);
        let (delivery, answer) = clove_of(&payload);
        assert_eq!(delivery, Delivery::Local);
        assert_eq!(answer.to_short(), bytes(&lookup["answer"]));
        for n in 0..sealed.len() {
            assert!(one_time::open(&key, &tag, &sealed[..n]).is_none());
        }
    }
}

#[test]
fn publications() {
    let file = load("ratchet-server");
    for publication in list(&file["publications"]) {
        check_router_garlic(publication, "store");
    }
}

/// Every payload of the recorded conversations parses and is written again byte for byte, but
/// for what padding is filled with.
#[test]
fn payloads_round_trip() {
    for name in ["ratchet-client", "ratchet-server", "ratchet-next-key"] {
        let file = load(name);
        for event in list(&file["events"]) {
            if event["payload"].is_null() {
                continue;
            }
            let payload = bytes(&event["payload"]);
            let blocks = parse_blocks(&payload).unwrap();
            let padding = match blocks.last() {
                Some(Block::Padding(n)) => *n,
                _ => 0,
            };
            let plain = payload.len() - padding;
            let again = write_blocks(&blocks).unwrap();
            assert_eq!(again.len(), payload.len());
            assert_eq!(again[..plain], payload[..plain]);
            for n in 0..payload.len() {
                if let Ok(fewer) = parse_blocks(&payload[..n]) {
                    assert!(fewer.len() <= blocks.len());
                }
            }
        }
    }
}
