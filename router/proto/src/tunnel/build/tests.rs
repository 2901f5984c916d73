//! Replays recorded builds against i2pd hops: the same draws have to give the same bytes.

use super::*;
use crate::garlic::clove::{self, Block};
use crate::garlic::{one_time, to_router};
use crate::wire::i2np::tunnel::TunnelGateway;
use crate::wire::i2np::{Message, kind};
use serde_json::Value;

fn vector(name: &str) -> Value {
    let path = format!(
        "{}/../../tests/vectors/i2pd/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn bytes(v: &Value) -> Vec<u8> {
    hex::decode(v.as_str().unwrap()).unwrap()
}

fn array<const N: usize>(v: &Value) -> [u8; N] {
    bytes(v).try_into().unwrap()
}

fn number(v: &Value) -> u32 {
    u32::try_from(v.as_u64().unwrap()).unwrap()
}

/// The draft that the recording was made from.
fn draft(v: &Value) -> Draft {
    let hops = v["hops"].as_array().unwrap();
    let parts = hops.iter().map(|h| Part {
        hop: Hop {
            hash: RouterHash(array(&h["hash"])),
            enc_key: array(&h["enc_pub"]),
        },
        role: match number(&h["flags"]) {
            0x80 => Role::InboundGateway,
            0x40 => Role::OutboundEndpoint,
            _ => Role::Participant,
        },
        plain: array(&h["plain"]),
        ephemeral: PrivateKey::new(array(&h["e_priv"])),
    });
    let index = |s: &str| s.parse::<usize>().unwrap();
    let fillers = v["fillers"].as_object().unwrap().iter();
    Draft {
        parts: parts.collect(),
        first_id: TunnelId(number(&hops[0]["receive_tunnel"])),
        reply_id: MessageId(number(&hops[hops.len() - 1]["next_id"])),
        slots: (0..hops.len())
            .map(|i| number(v["slots"].get(i).unwrap_or(&v["slots"][i.to_string()])) as usize)
            .collect(),
        fillers: fillers.map(|(i, r)| (index(i), array(r))).collect(),
    }
}

fn check(v: &Value) {
    let made = assemble(draft(v)).unwrap();
    assert_eq!(
        hex::encode(&made.body),
        v["request"].as_str().unwrap()[18..]
    );
    for (h, keys) in v["hops"].as_array().unwrap().iter().zip(made.layer_keys()) {
        assert_eq!(keys.layer.expose(), &array::<32>(&h["layer_key"]));
        assert_eq!(keys.iv.expose(), &array::<32>(&h["iv_key"]));
    }
    let reply = bytes(&v["reply_body"]);
    assert_eq!(made.judge(&reply), Verdict::Accepted);
    for n in 0..reply.len() {
        assert_eq!(made.judge(&reply[..n]), Verdict::Malformed);
    }
    for at in (0..reply.len()).step_by(31) {
        let mut bad = reply.clone();
        bad[at] ^= 1;
        assert_eq!(made.judge(&bad), Verdict::Malformed, "byte {at}");
    }
    if let Some(wrapped) = v["reply_garlic_payload"].as_str() {
        let garlic = Message::parse_long(&bytes(&v["reply_i2np"])).unwrap();
        let GarlicReply { key, tag } = made.garlic.as_ref().unwrap();
        let content = crate::garlic::content(&garlic.body).unwrap();
        let payload = one_time::open(key, tag, content).unwrap();
        assert_eq!(hex::encode(&payload), wrapped);
        let blocks = clove::parse_blocks(&payload).unwrap();
        let Some(Block::Clove(clove)) = blocks.first() else {
            panic!("the clove comes first");
        };
        assert_eq!(clove.message.kind, kind::OUTBOUND_TUNNEL_BUILD_REPLY);
        assert_eq!(clove.message.body, reply);
        assert_eq!(clove.message.id, draft(v).reply_id);
    }
}

#[test]
fn outbound_builds() {
    for name in ["build-outbound-1", "build-outbound-2", "build-outbound-3"] {
        let v = vector(name);
        check(&v);
        let gateway = Message::parse_short(&bytes(&v["reply_message"])).unwrap();
        let gateway = TunnelGateway::parse(&gateway.body).unwrap();
        assert_eq!(gateway.id.0, number(&v["reply_tunnel"]));
        assert_eq!(gateway.inner, bytes(&v["reply_i2np"]));
    }
}

#[test]
fn inbound_builds() {
    for name in ["build-inbound-1", "build-inbound-2", "build-inbound-3"] {
        let v = vector(name);
        check(&v);
        let reply = Message::parse_short(&bytes(&v["reply_message"])).unwrap();
        assert_eq!(reply.kind, kind::SHORT_TUNNEL_BUILD);
        assert_eq!(reply.id, draft(&v).reply_id);
    }
}

#[test]
fn replies_through_tunnels() {
    for name in [
        "build-outbound-2-reply-by-inbound",
        "build-outbound-2-bare-reply",
    ] {
        let v = vector(name);
        check(&v);
        check(&v["inbound_tunnel"]);
    }
    let v = vector("build-outbound-2-bare-reply");
    let reply = Message::parse_long(&bytes(&v["reply_i2np"])).unwrap();
    assert_eq!(reply.kind, kind::OUTBOUND_TUNNEL_BUILD_REPLY);
    assert_eq!(reply.id, draft(&v).reply_id);
}

#[test]
fn an_inbound_request_through_an_outbound_tunnel() {
    let v = vector("build-inbound-2-by-outbound");
    check(&v);
    check(&v["outbound_tunnel"]);
    let g = &v["request_garlic"];
    let ephemeral = PrivateKey::new(array(&g["e_priv"]));
    let payload = bytes(&g["payload"]);
    let content = to_router::seal_with(&array(&g["hop_enc_pub"]), &ephemeral, &payload).unwrap();
    let message = Message::parse_short(&bytes(&g["message"])).unwrap();
    assert_eq!(crate::garlic::content(&message.body).unwrap(), content);
    let blocks = clove::parse_blocks(&payload).unwrap();
    assert!(
        matches!(&blocks[..], [Block::DateTime(_), Block::Clove(c), ..]
        if c.message.to_short() == bytes(&v["request"]))
    );
}

#[test]
fn a_drawn_build_has_four_records_and_one_of_our_own_when_inbound() {
    let mut rng = Rng::from_number(1);
    let us = RouterHash([9; 32]);
    let end = End {
        router: us,
        tunnel: TunnelId(7),
    };
    for n in 1..=limits::TUNNEL_HOPS_MAX {
        let hops: Vec<Hop> = (0..n)
            .map(|i| Hop {
                hash: RouterHash([i; 32]),
                enc_key: *PrivateKey::random(&mut rng).public(),
            })
            .collect();
        for direction in [Direction::Inbound, Direction::Outbound] {
            let draft =
                Draft::draw(direction, &hops, end, &us, Date::from_secs(125), &mut rng).unwrap();
            let ours = draft.fillers.values().filter(|r| r[..16] == us.0[..16]);
            assert_eq!(ours.count(), usize::from(direction == Direction::Inbound));
            let roles: Vec<Role> = draft.parts.iter().map(|p| p.role).collect();
            match direction {
                Direction::Inbound => assert_eq!(roles[0], Role::InboundGateway),
                Direction::Outbound => assert_eq!(roles[hops.len() - 1], Role::OutboundEndpoint),
            }
            assert_eq!(draft.parts[0].plain[44..52], [0, 0, 0, 2, 0, 0, 2, 88]);
            let few = hops.len() + usize::from(direction == Direction::Inbound) <= RECORDS_MIN;
            let body = assemble(draft).unwrap().body;
            assert_eq!(usize::from(body[0]), if few { 4 } else { 8 });
        }
    }
}
