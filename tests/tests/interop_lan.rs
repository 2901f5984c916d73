//! A LAN behind the whole box: a browser by its own network stack, and what a household sees when
//! parts of the box die while it looks.
//!
//! `cargo test -p ramson-tests --test interop_lan -- --ignored --nocapture`; `cargo ci` runs it.

// Helpers too unwrap: by a panic a network learns to keep its files.
#![allow(clippy::unwrap_used)]

#[path = "interop_lan/chromium.rs"]
mod chromium;
#[path = "interop_lan/programs.rs"]
mod programs;

use std::time::Duration;

use chromium::Watch;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ramson_tests::devtools::Browser;
use ramson_tests::network::{Plan, SITE_NAME};
use ramson_tests::peers::Suite;
use ramson_tests::scene::Scene;
use ramson_tests::{probe, setup, site, wall};

const FIRST_PAGE: Duration = Duration::from_secs(120);

fn scene() -> Scene {
    setup::ready(&[Suite::Trixie], true).unwrap();
    let plan = Plan {
        routers: 10,
        hops: 1,
        suites: vec![Suite::Trixie],
        ..Plan::default()
    };
    let start = wall::now();
    let mut scene = Scene::up(&plan, &mut |what| {
        println!("{:6.1} s {what}", wall::since(start));
    })
    .unwrap();
    scene.first_page(FIRST_PAGE).unwrap();
    scene
}

/// Each process of the box is killed in turn, with a page open and a download under way: the
/// client's addresses stay good, the download ends as one that was cut, pages work again.
fn killed_in_turn(scene: &mut Scene, browser: &mut Browser) {
    let address = |scene: &Scene| {
        probe::dns_query(&scene.lan.client, ramson_tests::lan::BOX, SITE_NAME).unwrap()
    };
    let before = address(scene);
    let watch = Watch::start(browser);
    watch.load(browser);
    end(scene.lan.gatewayd().unwrap());
    // From here on the process needs to be there, nothing else.
    assert!(watch.until_answered(browser, "gatewayd killed") < 2.0);
    watch.was_cut(browser);
    watch.opens_anew(browser);
    assert_eq!(address(scene), before);
    watch.load(browser);
    scene.lan.kill_supervisor().unwrap();
    let slot = scene.network.slot().unwrap();
    scene.lan.start_gateway(slot).unwrap();
    assert!(watch.until_answered(browser, "supervisor killed and started") < 2.0);
    watch.was_cut(browser);
    watch.opens_anew(browser);
    assert_eq!(address(scene), before);
    watch.load(browser);
    end(i32::try_from(scene.router.id()).unwrap());
    watch.was_cut(browser);
    let slot = scene.network.slot().unwrap();
    scene.router = ramson_tests::router::Router::start(slot, 1).unwrap();
    let limit = Duration::from_secs(30);
    scene
        .router
        .wait_for("destinations.ready", 1, limit)
        .unwrap();
    assert!(watch.until_answered(browser, "routerd killed; from when it is ready") < 2.0);
    watch.opens_anew(browser);
    assert_eq!(address(scene), before);
    let got = scene
        .lan
        .curl(&Scene::url("/bytes/500000"), FIRST_PAGE, &[]);
    let got = got.unwrap();
    assert!(got.is_ok(), "{got:?}");
    site::check_bytes(&scene.lan.fetched(), 500_000).unwrap();
}

fn end(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

#[test]
#[ignore = "needs root, namespaces and Chromium"]
fn a_browser_on_the_lan_and_processes_that_die() {
    let mut scene = scene();
    let mut browser = chromium::household(&scene);
    chromium::typed_addresses(&scene, &mut browser);
    chromium::uses_the_site(&mut scene, &mut browser);
    chromium::thirty_tabs(&mut scene, &mut browser);
    chromium::pictures(&mut browser);
    chromium::https_first(&scene);
    programs::other_clients(&scene);
    programs::a_large_file(&scene);
    // Without the thirty tabs.
    drop(browser);
    let mut browser = chromium::start(&scene, "watch", &[], &[]);
    killed_in_turn(&mut scene, &mut browser);
    scene.check().unwrap();
}
