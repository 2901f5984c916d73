use super::*;
use crate::relay::vectors::{array, bytes, list, load, number};
use crate::rng::Rng;
use crate::tunnel::fragment::fragment;
use crate::wire::i2np::Message;
use core::time::Duration;

fn now() -> Now {
    Now::default()
}

fn all(r: &mut Reassembler, cells: &[[u8; CELL]]) -> Vec<(TunnelDelivery, Vec<u8>)> {
    cells
        .iter()
        .flat_map(|c| r.accept(now(), c).unwrap())
        .collect()
}

/// The cells of one message of this many bytes.
fn cells_of(n: usize, rng: &mut Rng) -> (Vec<u8>, Vec<[u8; CELL]>) {
    let message = rng.bytes(n);
    let to = TunnelDelivery::Router(RouterHash([3; 32]));
    let cells = fragment(&[(to, &message)], rng);
    (message, cells)
}

#[test]
fn recorded_cells_of_an_inbound_tunnel() {
    for name in ["tunnel-data-1", "tunnel-data-2", "tunnel-data-3"] {
        let v = load(name);
        let cells: Vec<[u8; CELL]> = list(&v["received_cells"])
            .iter()
            .map(|c| array(&c["plain"]))
            .collect();
        for (cell, recorded) in cells.iter().zip(list(&v["received_cells"])) {
            let pieces = parse_cell(cell).unwrap();
            assert_eq!(pieces.len(), list(&recorded["pieces"]).len());
        }
        let mut r = Reassembler::new();
        for m in list(&v["messages"]) {
            let span = list(&m["answer_cells"]);
            let (from, to) = (number(&span[0]) as usize, number(&span[1]) as usize);
            let got = all(&mut r, &cells[from..to]);
            if from < to {
                assert_eq!(got.len(), 1);
                assert_eq!(got[0].0, TunnelDelivery::Local);
                let message = Message::parse_long(&got[0].1).unwrap();
                let answer = Message::parse_short(&bytes(&m["answer"])).unwrap();
                assert_eq!(message.body, answer.body);
                assert_eq!((message.kind, message.id), (answer.kind, answer.id));
            }
        }
        assert_eq!((r.bytes(), r.lost()), (0, 0));
    }
}

#[test]
fn recorded_cells_that_were_sent() {
    let v = load("tunnel-data-2");
    for m in list(&v["messages"]) {
        let mut r = Reassembler::new();
        let mut got = Vec::new();
        for c in list(&m["cells"]) {
            let (iv, sum) = (bytes(&c["iv"]), bytes(&c["checksum"]));
            let (pad, content) = (bytes(&c["padding"]), bytes(&c["instructions"]));
            let cell = [iv, sum, pad, vec![0], content].concat();
            got.extend(r.accept(now(), &cell.try_into().unwrap()).unwrap());
        }
        assert_eq!(got.len(), 1, "{}", m["label"]);
        assert_eq!(got[0].1, bytes(&m["message_long_form"]));
    }
}

#[test]
fn any_order_and_duplicates() {
    let mut rng = Rng::from_number(1);
    for n in [1, 900, 2000, limits::I2NP_BODY_MAX + 16] {
        let (message, mut cells) = cells_of(n, &mut rng);
        if cells.len() > 1 {
            cells.push(cells[0]);
            cells[1..].rotate_right(1);
        }
        // The duplicate stays ahead: behind the whole message it would begin another one.
        rng.shuffle(&mut cells[2.min(n / 1000)..]);
        let mut r = Reassembler::new();
        let got = all(&mut r, &cells);
        assert_eq!(got.len(), 1);
        assert_eq!(got[0].1, message);
        assert_eq!(r.bytes(), 0);
    }
}

#[test]
fn what_lacks_a_fragment_is_given_up_in_time() {
    let mut rng = Rng::from_number(1);
    let (_, cells) = cells_of(2000, &mut rng);
    let mut r = Reassembler::new();
    assert!(r.accept(now(), &cells[1]).unwrap().is_empty());
    assert!(r.bytes() > 0);
    r.expire(now().after(limits::REASSEMBLY_TIMEOUT - Duration::from_millis(1)));
    assert_eq!(r.lost(), 0);
    r.expire(now().after(limits::REASSEMBLY_TIMEOUT));
    assert_eq!((r.bytes(), r.lost()), (0, 1));
    assert!(all(&mut r, &[cells[0], cells[2]]).is_empty());
    r.clear();
    assert_eq!((r.bytes(), r.lost()), (0, 2));
}

#[test]
fn bounds_hold() {
    let mut rng = Rng::from_number(1);
    let mut r = Reassembler::new();
    for n in 0..2000 {
        let (_, cells) = cells_of(4000, &mut rng);
        for cell in &cells[..3] {
            assert!(r.accept(now(), cell).unwrap().is_empty());
        }
        assert!(r.partial.len() <= limits::REASSEMBLY_MESSAGES_MAX);
        assert!(r.bytes() <= limits::REASSEMBLY_BYTES_MAX);
        assert_eq!(r.partial.len() as u64 + r.lost(), n + 1);
        let held: usize = r.partial.values().map(Partial::cost).sum();
        assert_eq!(held, r.bytes());
    }
}

/// A cell with this content and a right checksum.
fn cell_with(content: &[u8]) -> [u8; CELL] {
    let mut cell = [1; CELL];
    let at = CELL - content.len();
    cell[at..].copy_from_slice(content);
    cell[at - 1] = 0;
    let sum = sha256(&[content, &[1; 16]]);
    cell[16..20].copy_from_slice(&sum[..4]);
    cell
}

#[test]
fn malformed_cells_are_refused_whole() {
    let field = |content: &[u8]| {
        Reassembler::new()
            .accept(now(), &cell_with(content))
            .map_err(|e| e.field)
    };
    assert_eq!(field(&[]), Ok(vec![]), "a cell of padding only");
    assert_eq!(
        field(&[0, 0, 1, 5]),
        Ok(vec![(TunnelDelivery::Local, vec![5])])
    );
    assert_eq!(field(&[0, 0, 1]), Err("TunnelMessage.fragment"));
    assert_eq!(field(&[0, 0, 0]), Err("TunnelMessage.size"));
    assert_eq!(field(&[0x60]), Err("TunnelMessage.delivery_type"));
    assert_eq!(field(&[0x80]), Err("TunnelMessage.fragment_number"));
    assert_eq!(field(&[0x40, 1]), Err("TunnelMessage.to_hash"));
    assert_eq!(field(&[0, 0, 1, 5, 0x82]), Err("TunnelMessage.message_id"));
    assert_eq!(
        field(&[0x14, 9, 2, 0, 0, 0, 1, 5]),
        Ok(vec![(TunnelDelivery::Local, vec![5])]),
        "delay and options are skipped"
    );
    let mut r = Reassembler::new();
    let mut bad = cell_with(&[0, 0, 1, 5]);
    bad[16] ^= 1;
    assert_eq!(
        r.accept(now(), &bad).unwrap_err().field,
        "TunnelMessage.checksum"
    );
    assert_eq!(
        r.accept(now(), &[1; CELL]).unwrap_err().field,
        "TunnelMessage.zero"
    );
}

#[test]
fn contradicting_fragments_are_given_up() {
    let follow =
        |number: u8, last: u8| cell_with(&[0x80 | number << 1 | last, 0, 0, 0, 9, 0, 1, 7]);
    let mut r = Reassembler::new();
    assert!(all(&mut r, &[follow(3, 0), follow(2, 1)]).is_empty());
    assert_eq!((r.lost(), r.bytes()), (1, 0));
}

#[test]
fn fragments_of_one_byte_count_for_what_they_cost() {
    let mut r = Reassembler::new();
    let mut most = 0;
    for id in 0..200u32 {
        for number in 1..63u8 {
            let id = id.to_be_bytes();
            let content = [&[0x80 | number << 1], &id[..], &[0, 1, 7]].concat();
            assert!(r.accept(now(), &cell_with(&content)).unwrap().is_empty());
        }
        assert!(r.bytes() <= limits::REASSEMBLY_BYTES_MAX);
        let fragments: usize = r.partial.values().map(|p| p.follow.len()).sum();
        most = most.max(fragments);
    }
    let each = FRAGMENT_OVERHEAD + 1;
    assert!(
        (2000..=limits::REASSEMBLY_BYTES_MAX / each).contains(&most),
        "{most}"
    );
}

#[test]
fn random_instructions_never_break_the_count() {
    let mut rng = Rng::from_number(4);
    let mut r = Reassembler::new();
    for n in 0..20_000 {
        let len = rng.below(60);
        let mut content = rng.bytes(len);
        // Few ids and numbers, so that fragments meet.
        if let [flag, id @ .., _, _] = content.as_mut_slice() {
            *flag &= 0x8f;
            id.fill(0);
        }
        let at = now().after(Duration::from_millis(n));
        let _ = r.accept(at, &cell_with(&content));
        let held: usize = r.partial.values().map(Partial::cost).sum();
        assert_eq!(held, r.bytes());
    }
}

#[test]
fn what_was_packed_comes_out_in_order() {
    let mut rng = Rng::from_number(5);
    for _ in 0..200 {
        let messages: Vec<(TunnelDelivery, Vec<u8>)> = (0..1 + rng.below(8))
            .map(|_| {
                let len = 1 + rng.below(2500);
                let to = TunnelDelivery::Tunnel(RouterHash(rng.array()), TunnelId(rng.u32()));
                (to, rng.bytes(len))
            })
            .collect();
        let cells = fragment(&messages, &mut rng);
        assert!(all(&mut Reassembler::new(), &cells) == messages);
    }
}
