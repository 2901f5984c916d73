//! The appliance's image in QEMU: a LAN client plugged in to it, the world behind it watched from
//! the moment it is switched on.
//!
//! `cargo test -p ramson-tests --test image -- --ignored --nocapture`, by hand: the first
//! run builds a kernel.

// Helpers too unwrap: by a panic a network learns to keep its files.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use ramson_image::arch::Arch;
use ramson_image::build::Image;
use ramson_tests::appliance::{self, Appliance, Plugged, Shape};
use ramson_tests::capture::{Capture, Rules};
use ramson_tests::network::Plan;
use ramson_tests::{leaks, probe, process, scene, site, wall};

/// Emulated, on a machine that has other things to do.
const SLOW: Duration = Duration::from_secs(180);

const SHAPE: Shape = Shape {
    memory: 128,
    hops: 1,
    kvm: false,
    disk: false,
};

fn told(start: Instant) -> impl FnMut(&str) {
    move |what: &str| println!("{:6.1} s {what}", wall::since(start))
}

/// The image; what is handed out has its bound.
fn image(arch: Arch) -> Image {
    let image = appliance::image(arch).unwrap();
    let (kernel, root) = image.sizes().unwrap();
    let packed = fs::metadata(&image.disk.packed).unwrap().len();
    println!("kernel {kernel} bytes, root file system {root} bytes, packed disk {packed} bytes");
    assert!(packed < 16 << 20, "16 MiB are the bound of the image");
    image
}

/// What each process holds, in kilobytes.
fn memory(appliance: &mut Appliance) {
    let line = "for p in routerd gatewayd supervisor console syslogd logger acpid; do \
                for i in $(pidof $p); do \
                echo $p $(grep VmRSS /proc/$i/status); done; done; \
                grep -E 'MemTotal|MemAvailable|Shmem:' /proc/meminfo";
    let text = appliance.shell(line, Duration::from_secs(30)).unwrap();
    println!("{text}");
    for name in [
        "routerd",
        "gatewayd",
        "supervisor",
        "console",
        "syslogd",
        "logger",
    ] {
        assert!(text.lines().any(|l| l.starts_with(name)), "no {name}");
    }
}

/// What only the LAN's own client is told, and nothing outside.
fn nothing_leaks(plugged: &Plugged) {
    let (client, forged) = (&plugged.lan.client, plugged.network.slot().unwrap().address);
    leaks::dns_attempts(client).unwrap();
    leaks::other_attempts(client, forged).unwrap();
    let attempts = leaks::tcp_attempts(client).unwrap();
    assert!(attempts.iter().all(|a| !a.connected), "{attempts:?}");
    let slow: Vec<_> = attempts.iter().filter(|a| !a.refused).collect();
    assert!(slow.is_empty(), "not refused at once: {slow:?}");
    let foreign = probe::dns_query(client, leaks::RESOLVER, "www.example.org");
    assert!(!matches!(foreign, Ok(Some(_))), "{foreign:?}");
}

/// The box's own page comes from the console, which reaches the router and the supervisor.
fn own_page(plugged: &Plugged) {
    let url = format!("http://{}/", ramson_tests::lan::BOX);
    let page = wall::until("the box's page", SLOW, Duration::from_secs(1), || {
        let got = plugged.lan.curl(&url, Duration::from_secs(20), &[])?;
        let text = std::fs::read_to_string(plugged.lan.fetched()).unwrap_or_default();
        Ok((got.is_ok() && text.contains("Sites can be opened.")).then_some(text))
    });
    let page = page.unwrap();
    assert!(
        page.contains("Protected") && page.contains("href=\"/setup\""),
        "{page}"
    );
}

/// The machine's clock is set, both ways, and its ports and log are shown.
fn machine(appliance: &mut Appliance) {
    let mut shell = |line: &str| appliance.shell(line, Duration::from_secs(60)).unwrap();
    let clock = shell("ramson ctl clock");
    assert!(clock.contains("from this machine's own clock"), "{clock}");
    let ahead = shell("ramson ctl clock set 2030-01-02 03:04:05; date -u +%Y-%m-%d");
    assert!(
        ahead.contains("set by hand") && ahead.ends_with("2030-01-02"),
        "{ahead}"
    );
    let now = process::run(&["date", "-u", "+%Y-%m-%d %H:%M:%S"]).unwrap();
    let back = shell(&format!("ramson ctl clock set {}; date -u +%Y", now.trim()));
    assert!(back.ends_with(&now[..4]), "{back}");
    let early = shell("ramson ctl clock set 1999-01-01 00:00:00 2>&1");
    assert!(early.contains("no time in which this can run"), "{early}");
    let ports = shell("ramson ctl ports");
    assert!(
        ports.contains("lan0; 52:54:00:12:34:01; lan; link"),
        "{ports}"
    );
    assert!(
        ports.contains("wan0; 52:54:00:12:34:02; wan; link"),
        "{ports}"
    );
    let log = shell("ramson ctl log");
    assert!(log.contains("supervisor: clock: set by"), "{log}");
}

/// The router's keys on the disk of a machine that is off, whose file system has to be clean.
fn keys(disk: &Path) -> String {
    let path = disk.to_string_lossy();
    process::run(&["e2fsck", "-f", "-n", &path]).unwrap();
    let keys = process::run(&["debugfs", "-R", "cat /i2p/router.keys", &path]).unwrap();
    assert!(!keys.is_empty(), "no keys");
    keys
}

#[test]
#[ignore = "needs root, namespaces and QEMU, and builds a kernel"]
fn a_client_plugged_in_to_the_image() {
    let image = image(Arch::X86_64);
    let plan = Plan {
        routers: 8,
        hops: 1,
        ..Plan::default()
    };
    let network = Plugged::network(&plan, &mut told(wall::now())).unwrap();
    let rules = Rules {
        discovery: true,
        ..scene::rules(&network).unwrap()
    };
    let capture = Capture::start(network.slot().unwrap(), rules).unwrap();
    let on = wall::now();
    let mut plugged = Plugged::up(network, &image, SHAPE, &mut told(on)).unwrap();
    plugged.page("/", SLOW).unwrap();
    println!("{:6.1} s the first page has come", wall::since(on));
    let text = std::fs::read_to_string(plugged.lan.fetched()).unwrap();
    assert_eq!(text, site::PAGE);
    let got = plugged.page("/bytes/500000", SLOW).unwrap();
    site::check_bytes(&plugged.lan.fetched(), 500_000).unwrap();
    println!("500 kB at {:.2} MB/s", got.megabytes_per_s());
    own_page(&plugged);
    nothing_leaks(&plugged);
    memory(&mut plugged.appliance);
    machine(&mut plugged.appliance);

    plugged
        .appliance
        .power_off(Duration::from_secs(60))
        .unwrap();
    let slot = plugged.network.slot().unwrap();
    let disk = slot.folder().join("data.img");
    let before = keys(&disk);
    plugged.appliance = Appliance::power_on(&image, slot, SHAPE, &disk).unwrap();
    let on = wall::now();
    plugged.page("/", SLOW).unwrap();
    println!("{:6.1} s the page comes after a restart", wall::since(on));
    plugged
        .appliance
        .power_off(Duration::from_secs(60))
        .unwrap();
    assert!(before == keys(&disk), "another identity after a restart");

    let seen = capture.end().unwrap();
    println!("left the machine: {seen:?}");
    assert!(seen.tcp > 100, "hardly any I2P was seen: {seen:?}");
    assert_eq!(seen.violations, 0, "{:#?}", seen.examples);
}

/// What differs between the two is the machine: the kernel, and whether our programs and the
/// distribution's run on it. The rules are the same text.
#[test]
#[ignore = "needs root, namespaces and QEMU, and builds a kernel"]
fn the_image_of_aarch64() {
    let image = image(Arch::Aarch64);
    let plan = Plan {
        routers: 8,
        hops: 1,
        ..Plan::default()
    };
    let network = Plugged::network(&plan, &mut told(wall::now())).unwrap();
    let on = wall::now();
    let mut plugged = Plugged::up(network, &image, SHAPE, &mut told(on)).unwrap();
    plugged.page("/", SLOW).unwrap();
    println!("{:6.1} s the first page has come", wall::since(on));
    let got = plugged.page("/bytes/500000", SLOW).unwrap();
    site::check_bytes(&plugged.lan.fetched(), 500_000).unwrap();
    println!("500 kB at {:.2} MB/s", got.megabytes_per_s());
    own_page(&plugged);
    nothing_leaks(&plugged);
    memory(&mut plugged.appliance);
    plugged
        .appliance
        .power_off(Duration::from_secs(60))
        .unwrap();
}
