//! What a RouterInfo costs in memory: by the resident size of this process, which has no other
//! test in it.

// The lint spares test functions, not the functions they share.
#![allow(clippy::unwrap_used)]

use ramson_proto::wire::router_info::parse_verified;
use std::sync::Arc;

const COUNT: usize = 10_000;

/// Resident bytes of this process.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn a_router_info_costs_little_more_than_its_bytes() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/");
    let raw = std::fs::read(format!("{dir}router1.dat")).unwrap();
    let before = resident();
    let held: Vec<_> = (0..COUNT)
        .map(|_| Arc::new(parse_verified(&raw).unwrap()))
        .collect();
    let each = (resident() - before) / COUNT;
    println!("{each} bytes for a RouterInfo of {} bytes", raw.len());
    assert!(held.iter().all(|i| i.as_bytes() == raw));
    assert!(each >= raw.len());
    assert!(each <= raw.len() + 256, "{each} for {}", raw.len());
}
