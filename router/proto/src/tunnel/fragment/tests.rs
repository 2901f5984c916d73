use super::*;
use crate::relay::vectors::{array, bytes, list, load, number};
use serde_json::Value;

fn delivery(m: &Value) -> TunnelDelivery {
    match m["delivery"].as_str().unwrap() {
        "local" => TunnelDelivery::Local,
        "router" => TunnelDelivery::Router(RouterHash(array(&m["target"]))),
        _ => TunnelDelivery::Tunnel(
            RouterHash(array(&m["target"])),
            TunnelId(number(&m["to_tunnel"])),
        ),
    }
}

#[test]
fn recorded_messages_are_cut_the_same_way() {
    for name in ["tunnel-data-1", "tunnel-data-2", "tunnel-data-3"] {
        for m in list(&load(name)["messages"]) {
            let cells = list(&m["cells"]);
            let label = m["label"].as_str().unwrap();
            if label.starts_with("three small") {
                continue;
            }
            let message = bytes(&m["message_long_form"]);
            let id = number(&m["fragment_message_id"]);
            let packed = pack(&[(delivery(m), message)], || id);
            let recorded: Vec<_> = cells.iter().map(|c| bytes(&c["instructions"])).collect();
            assert!(packed == recorded, "{label}");
            for c in cells {
                let content = bytes(&c["instructions"]);
                let made = cell(&content, &array(&c["iv"]), &bytes(&c["padding"]));
                assert_eq!(made[16..20], bytes(&c["checksum"]));
                assert_eq!(made[CELL - content.len()..], content);
            }
        }
    }
}

#[test]
fn small_messages_share_a_cell() {
    let messages: Vec<_> = (0..10)
        .map(|_| (TunnelDelivery::Local, vec![7; 97]))
        .collect();
    assert_eq!(pack(&messages, || 1).len(), 1);
    let (a, b) = (vec![7; 600], vec![7; 600]);
    let both = [(TunnelDelivery::Local, a), (TunnelDelivery::Local, b)];
    assert_eq!(pack(&both, || 1).len(), 2, "what fits whole is not cut");
}

#[test]
fn a_long_message_begins_in_the_room_that_is_left() {
    let messages = [
        (TunnelDelivery::Local, vec![7; 500]),
        (TunnelDelivery::Local, vec![8; 1400]),
    ];
    let packed = pack(&messages, || 1);
    assert_eq!(packed.len(), 2);
    assert_eq!(packed[0].len(), CELL_ROOM);
}

#[test]
fn padding_has_no_zero_and_limits_hold() {
    let mut rng = Rng::from_number(1);
    let longest = vec![9; limits::I2NP_BODY_MAX + 16];
    let cells = fragment(&[(TunnelDelivery::Local, &longest)], &mut rng);
    assert!(cells.len() <= 64);
    for n in [0, limits::I2NP_BODY_MAX + 17] {
        assert!(fragment(&[(TunnelDelivery::Local, vec![9; n])], &mut rng).is_empty());
    }
    let cells = fragment(&[(TunnelDelivery::Local, [1, 2])], &mut rng);
    let zero = cells[0][20..].iter().position(|b| *b == 0);
    assert_eq!(zero, Some(CELL - 20 - 6));
}

#[test]
fn the_cells_of_a_message_are_known_before_it_is_cut() {
    let mut rng = crate::rng::Rng::from_number(1);
    let sizes = (1..6000).chain([limits::I2NP_BODY_MAX, limits::I2NP_BODY_MAX + 16]);
    for n in sizes {
        let cells = pack(&[(TunnelDelivery::Local, vec![0; n])], || rng.u32());
        assert_eq!(cells.len(), cells_of(n), "{n} bytes");
    }
}
