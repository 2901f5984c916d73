//! A LAN behind the whole box: a browser by its own network stack, and what a household sees when
//! parts of the box die while it looks.
//!
//! `cargo test -p ramson-tests --test interop_lan -- --ignored --nocapture`; `cargo ci` runs it.

// Helpers too unwrap: by a panic a network learns to keep its files.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ramson_tests::network::{Plan, SITE_NAME};
use ramson_tests::peers::Suite;
use ramson_tests::process::{self, Process};
use ramson_tests::scene::Scene;
use ramson_tests::services::{Services, use_lines};
use ramson_tests::{places, probe, setup, site, wall};

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

/// Chromium with a profile of its own, in the LAN client's namespace, at a URL.
fn browser(scene: &Scene, profile: &str, url: &str, more: &[&str]) -> Process {
    let folder = scene.network.folder().join(format!("browser-{profile}"));
    let log = folder.with_extension("log");
    let mut command = scene.lan.client.command("chromium");
    command.args([
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
    ]);
    command.args(["--disable-dev-shm-usage", "--disable-background-networking"]);
    command.arg(format!("--user-data-dir={}", folder.display()));
    command.args(more).arg(url);
    Process::start("chromium", command, &log).unwrap()
}

/// A page of the site tries what sites do: login, upload, WebSocket, many requests at once.
fn browser_uses_the_site(scene: &mut Scene) {
    scene.lan.client.ip(&["link", "set", "lo", "up"]).unwrap();
    let start = wall::now();
    // By way of a link that it follows.
    let page = browser(scene, "test", &Scene::url("/link"), &[]);
    let report = wall::until(
        "report of the browser",
        Duration::from_secs(150),
        Duration::from_millis(200),
        || {
            scene.check()?;
            Ok(scene.network.site.reports().pop())
        },
    );
    drop(page);
    let report = report.unwrap_or_else(|fault| panic!("{}", scene.with_logs(&fault.to_string())));
    println!(
        "{report}\nthe browser's test took {:.1} s",
        wall::since(start)
    );
    assert_eq!(report.lines().count(), 6);
    assert!(
        report.lines().all(|line| line.starts_with("ok ")),
        "{report}"
    );
}

/// Thirty pages in thirty tabs, each by itself.
fn thirty_tabs(scene: &mut Scene) {
    let start = wall::now();
    let tabs = browser(
        scene,
        "tabs",
        &Scene::url("/tabs"),
        &["--disable-popup-blocking"],
    );
    let mut said = std::collections::BTreeSet::new();
    let limit = Duration::from_secs(90);
    let all = wall::until("thirty tabs", limit, Duration::from_millis(200), || {
        scene.check()?;
        said.extend(scene.network.site.reports());
        Ok((said.len() >= 30).then_some(()))
    });
    drop(tabs);
    all.unwrap_or_else(|fault| panic!("{}", scene.with_logs(&format!("{fault}: {said:?}"))));
    println!("thirty tabs in {:.1} s", wall::since(start));
}

/// With "always use secure connections" the browser stops at a warning of its own, which has a way
/// on; the site hears nothing before that is taken.
fn https_first(scene: &Scene) {
    let folder = scene.network.folder().join("browser-https-first");
    let profile = places::folder(folder.join("Default")).unwrap();
    let on = "{\"https_only_mode_enabled\": true}";
    places::write(&profile.join("Preferences"), on).unwrap();
    let before = scene.network.site.pages();
    let more = ["--dump-dom", "--timeout=20000"];
    let mut process = browser(scene, "https-first", &Scene::url("/"), &more);
    process.wait(Duration::from_secs(60)).unwrap();
    let said = places::tail(process.log(), 400);
    assert!(said.contains("ERR_BLOCKED_BY_CLIENT"), "{said}");
    assert_eq!(scene.network.site.pages(), before);
    println!("HTTPS-first: the browser's own warning, and the site was not asked");
}

/// Other protocols by raw ports, in which the site speaks first, and git over HTTP.
fn other_clients(scene: &Scene) {
    let folder = scene.network.folder().join("services");
    let publisher = &scene.network.publisher().namespace;
    let services = Services::start(publisher, &folder).unwrap();
    scene.network.site.serve_files(Services::files(&folder));
    let address = probe::dns_query(&scene.lan.client, ramson_tests::lan::BOX, SITE_NAME);
    let to = (address.unwrap().unwrap(), 6667).into();
    // The first stream to a port may wait for its tunnels; the greeting itself is not held back.
    let times: Vec<_> = (0..5)
        .map(|_| use_lines(&scene.lan.client, to).unwrap())
        .collect();
    println!("greeting and answer of the line service, s: {times:.2?}");
    let best = times
        .iter()
        .map(|(greeted, _)| *greeted)
        .fold(f64::MAX, f64::min);
    assert!(best < 1.0, "{times:?}");
    let mut ssh = scene.lan.client.command("ssh");
    ssh.arg("-i").arg(&services.key).args([
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=30",
    ]);
    let start = wall::now();
    ssh.args(["root@garden.i2p", "seq 1 20000 | sha256sum; echo $HOME"]);
    let said = process::output(&mut ssh).unwrap();
    println!("a shell by SSH in {:.1} s", wall::since(start));
    let sum = process::run(&["sh", "-c", "seq 1 20000 | sha256sum"]).unwrap();
    let home = folder.join("home");
    assert_eq!(said.trim(), format!("{}\n{}", sum.trim(), home.display()));
    let clone = folder.join("clone");
    let mut git = scene.lan.client.command("git");
    git.args(["clone", "-q", "http://garden.i2p/files/garden.git"])
        .arg(&clone);
    let start = wall::now();
    process::output(&mut git).unwrap();
    println!("git clone over HTTP in {:.1} s", wall::since(start));
    let readme = std::fs::read_to_string(clone.join("readme")).unwrap();
    assert!(readme == services.readme);
}

/// What a household sees, kept as pictures.
fn pictures(scene: &Scene) {
    for (name, url) in [
        ("box", "http://ramson.internal/"),
        ("site", "http://garden.i2p/"),
        ("unknown", "http://nobody.i2p/"),
        ("bad-b32", "http://abcdef.b32.i2p/"),
    ] {
        picture(scene, name, url);
    }
}

fn picture(scene: &Scene, name: &str, url: &str) {
    let folder = places::folder(places::target().join("screenshots/lan")).unwrap();
    let file = folder.join(format!("{name}.png"));
    let _ = std::fs::remove_file(&file);
    let shot = format!("--screenshot={}", file.display());
    let more = [&shot, "--window-size=412,800", "--timeout=20000"];
    let mut process = browser(scene, name, url, &more);
    process.wait(Duration::from_secs(60)).unwrap();
    assert!(file.exists(), "no picture of {url}");
    println!("{}", file.display());
}

/// How long until the site opens again, asked as a browser asks: by the address from before.
fn until_open(scene: &Scene, what: &str, limit: Duration) -> f64 {
    let start = wall::now();
    let opened = wall::until(what, limit, Duration::from_millis(100), || {
        let got = scene
            .lan
            .curl(&Scene::url("/"), Duration::from_secs(10), &[])?;
        Ok(got.is_ok().then_some(()))
    });
    opened.unwrap_or_else(|fault| panic!("{}", scene.with_logs(&fault.to_string())));
    let took = wall::since(start);
    println!("{what}: pages again after {took:.1} s");
    took
}

/// Each process of the box is killed in turn; the client's addresses stay good.
fn killed_in_turn(scene: &mut Scene) {
    let address = |scene: &Scene| {
        probe::dns_query(&scene.lan.client, ramson_tests::lan::BOX, SITE_NAME).unwrap()
    };
    let before = address(scene);
    let pid = scene.lan.gatewayd().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    // From the first answer on: the process needs to be there, nothing else.
    assert!(until_open(scene, "gatewayd killed", Duration::from_secs(20)) < 5.0);
    assert_eq!(address(scene), before);
    scene.lan.kill_supervisor().unwrap();
    let slot = scene.network.slot().unwrap();
    scene.lan.start_gateway(slot).unwrap();
    assert!(
        until_open(
            scene,
            "supervisor killed and started",
            Duration::from_secs(20)
        ) < 5.0
    );
    assert_eq!(address(scene), before);
    kill(
        Pid::from_raw(i32::try_from(scene.router.id()).unwrap()),
        Signal::SIGKILL,
    )
    .unwrap();
    let slot = scene.network.slot().unwrap();
    scene.router = ramson_tests::router::Router::start(slot, 1).unwrap();
    let limit = Duration::from_secs(30);
    scene
        .router
        .wait_for("destinations.ready", 1, limit)
        .unwrap();
    let took = until_open(scene, "routerd killed; from when it is ready", limit);
    assert!(took < 10.0, "{took}");
    assert_eq!(address(scene), before);
    let got = scene
        .lan
        .curl(&Scene::url("/bytes/500000"), FIRST_PAGE, &[])
        .unwrap();
    assert!(got.is_ok(), "{got:?}");
    site::check_bytes(&scene.lan.fetched(), 500_000).unwrap();
}

#[test]
#[ignore = "needs root, namespaces and Chromium"]
fn a_browser_on_the_lan_and_processes_that_die() {
    let mut scene = scene();
    browser_uses_the_site(&mut scene);
    thirty_tabs(&mut scene);
    https_first(&scene);
    pictures(&scene);
    other_clients(&scene);
    killed_in_turn(&mut scene);
    scene.check().unwrap();
}
