//! Replays recorded cells: the same clear text has to leave with the same bytes, and what
//! arrived has to give the recorded messages.

use crate::crypto::tunnel_aes::{CELL, LayerKeys};
use crate::time::Now;
use crate::tunnel::fragment::TunnelDelivery;
use crate::tunnel::outbound::peel;
use crate::tunnel::reassemble::Reassembler;
use crate::wire::i2np::Message;
use crate::wire::i2np::tunnel::TunnelData;
use serde_json::Value;

fn bytes(v: &Value) -> Vec<u8> {
    hex::decode(v.as_str().unwrap()).unwrap()
}

fn keys(tunnel: &Value) -> Vec<LayerKeys> {
    let hops = tunnel["hops"].as_array().unwrap().iter();
    hops.map(|h| LayerKeys {
        layer: <[u8; 32]>::try_from(bytes(&h["layer_key"])).unwrap().into(),
        iv: <[u8; 32]>::try_from(bytes(&h["iv_key"])).unwrap().into(),
    })
    .collect()
}

fn vectors() -> impl Iterator<Item = Value> {
    ["tunnel-data-1", "tunnel-data-2", "tunnel-data-3"]
        .into_iter()
        .map(|name| {
            let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/i2pd");
            let text = std::fs::read(format!("{root}/{name}.json")).unwrap();
            serde_json::from_slice(&text).unwrap()
        })
}

#[test]
fn sent_cells() {
    for v in vectors() {
        let keys = keys(&v["outbound_tunnel"]);
        let messages = v["messages"].as_array().unwrap().iter();
        for c in messages.flat_map(|m| m["cells"].as_array().unwrap()) {
            let mut clear = bytes(&c["iv"]);
            clear.extend(bytes(&c["checksum"]));
            clear.extend(bytes(&c["padding"]));
            clear.push(0);
            clear.extend(bytes(&c["instructions"]));
            let mut cell: [u8; CELL] = clear.try_into().unwrap();
            peel(&keys, &mut cell);
            assert_eq!(hex::encode(cell), c["sent"].as_str().unwrap()[8..]);
        }
    }
}

#[test]
fn received_cells() {
    for v in vectors() {
        let keys = keys(&v["inbound_tunnel"]);
        let received = v["received_cells"].as_array().unwrap();
        let mut open = Reassembler::new();
        let mut messages = Vec::new();
        for c in received {
            let mut data = TunnelData::parse(&bytes(&c["received"])).unwrap();
            peel(&keys, &mut data.cell);
            assert_eq!(data.cell.to_vec(), bytes(&c["plain"]));
            for (delivery, long) in open.accept(Now::default(), &data.cell).unwrap() {
                assert_eq!(delivery, TunnelDelivery::Local);
                messages.push(Message::parse_long(&long).unwrap().to_short());
            }
        }
        let by_tunnel = |m: &&Value| m["answer_cells"][0] != m["answer_cells"][1];
        let answers = v["messages"].as_array().unwrap().iter().filter(by_tunnel);
        let answers: Vec<Vec<u8>> = answers.map(|m| bytes(&m["answer"])).collect();
        assert_eq!(messages, answers);
    }
}
