//! Throughput on the LAN beside the router's own proxy, by hand: `cargo test --release -p
//! ramson-tests --test figures_lan -- --ignored --nocapture`.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use ramson_tests::network::Plan;
use ramson_tests::peers::Suite;
use ramson_tests::scene::Scene;
use ramson_tests::{probe, setup};

const ROUNDS: usize = 7;

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// The same 20 MB in turn by the proxy on the box and by the gateway.
#[test]
#[ignore = "a measurement"]
fn the_gateway_beside_the_proxy() {
    setup::ready(&[Suite::Trixie], true).unwrap();
    let plan = Plan {
        routers: 10,
        hops: 1,
        suites: vec![Suite::Trixie],
        ..Plan::default()
    };
    let mut scene = Scene::up(&plan, &mut |_| {}).unwrap();
    scene.first_page(Duration::from_secs(120)).unwrap();
    let limit = Duration::from_secs(120);
    let (mut lan, mut proxy) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let slot = scene.network.slot().unwrap();
        let (space, url) = (slot.namespace.name(), Scene::url("/bytes/20000000"));
        let body = slot.folder().join("by-proxy");
        let through = ["-x", "http://127.0.0.1:4444"];
        let got = probe::curl(space, &url, &body, limit, &through).unwrap();
        proxy.push(if got.is_ok() {
            got.megabytes_per_s()
        } else {
            0.0
        });
        let got = scene.lan.curl(&url, limit, &[]).unwrap();
        lan.push(if got.is_ok() {
            got.megabytes_per_s()
        } else {
            0.0
        });
    }
    println!("20 MB, MB/s: lan {lan:.2?} proxy {proxy:.2?}");
    let (lan, proxy) = (median(lan), median(proxy));
    println!(
        "medians: lan {lan:.2} proxy {proxy:.2} ratio {:.2}",
        lan / proxy
    );
}
