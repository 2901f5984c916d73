//! A system on trial, with the real programs and files in the place of partitions: after a minute
//! in which all is well it is good, and without peers it is not.

// Real time is what is measured here, and helpers of a test may panic as it may.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "netns/world.rs"]
mod world;

use ramson_gateway::update::slots::Places;
use ramson_layout::state::{Health, Slot, State};
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};
use world::{FakeRouter, World, wait_for};

/// The router's control socket, which says how many peers it has.
fn control(world: &World, peers: u32) {
    let path = world.dir.join("control.sock");
    let listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 64]);
            let _ = stream.write_all(format!("clock: ok\npeers: {peers}\n").as_bytes());
        }
    });
}

/// A box whose second system has been started for the first time; where its slots are.
fn on_trial(peers: u32, change: fn(&World)) -> Option<(World, FakeRouter, Places)> {
    if let Some(what) = world::missing() {
        assert!(std::env::var_os("CI").is_none(), "{what}");
        eprintln!("skipped: {what}");
        return None;
    }
    let mut world = World::new();
    world.console = true;
    let path = |name: &str| world.dir.join(name).display().to_string();
    let mut list = String::from("slot=b\n");
    for name in ["state", "boot_a", "root_a", "boot_b", "root_b"] {
        let file = path(&format!("part-{name}"));
        fs::write(&file, vec![0; 65_536]).unwrap();
        list += &format!("{name}={file}\n");
    }
    fs::write(path("list"), list).unwrap();
    fs::write(path("version"), "0.1.0+200\n").unwrap();
    let places = Places::read(&world.dir.join("list")).unwrap().unwrap();
    // As the boot loader has counted.
    let counted = |state: &State| State {
        tries: 1,
        ..state.trying(Slot::B)
    };
    places.change(counted).unwrap();
    // What would begin the machine anew notes that it was asked to.
    let programs = world.dir.join("programs");
    fs::create_dir(&programs).unwrap();
    let reboot = programs.join("reboot");
    fs::write(
        &reboot,
        format!("#!/bin/sh\necho once >>{}\n", path("ended")),
    )
    .unwrap();
    fs::set_permissions(&reboot, Permissions::from_mode(0o755)).unwrap();
    world.programs = Some(programs);
    fs::create_dir(path("data")).unwrap();
    world.sections = format!("[machine]\nenabled = true\ndata = \"{}\"", path("data"));
    world.arguments = ["--boot-file", "list", "--version-file", "version"]
        .map(|word| match word.strip_prefix("--") {
            Some(_) => word.to_owned(),
            None => path(word),
        })
        .into();
    let router = FakeRouter::start(&world.dir);
    control(&world, peers);
    change(&world);
    world.start("wan0", "address6 = \"fd77:1::1/64\"");
    Some((world, router, places))
}

#[test]
fn what_is_well_for_a_minute_is_good() {
    let Some((mut world, _router, places)) = on_trial(7, |_| {}) else {
        return;
    };
    wait_for("the start", || world.gatewayd());
    let begun = Instant::now();
    let version = world.admin("version\n");
    let said = "version: 0.1.0+200\nslot: b, on trial, start 1 of 2\n";
    assert!(version.starts_with(said), "{version}");
    while places.state().unwrap().b != Health::Good {
        let taken = begun.elapsed();
        assert!(
            taken < Duration::from_secs(150),
            "{}",
            world.admin("status\n")
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    let taken = begun.elapsed();
    println!("good after {taken:?}");
    assert!(taken >= Duration::from_secs(59), "{taken:?}");
    let version = world.admin("version\n");
    assert!(version.contains("slot: b, good\n"), "{version}");
    assert_eq!(places.state().unwrap().wanted, Slot::B);
    assert_eq!(world.stop(), Some(0));
}

#[test]
fn without_peers_it_is_not() {
    let Some((mut world, _router, places)) = on_trial(0, |_| {}) else {
        return;
    };
    // The machine has been on for longer than a trial takes: it is given up after a minute.
    let ended = world.dir.join("ended");
    for _ in 0..100 {
        if fs::read_to_string(&ended).is_ok_and(|text| !text.is_empty()) {
            break;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    std::thread::sleep(Duration::from_secs(6));
    let state = places.state().unwrap();
    assert_eq!((state.b, state.tries), (Health::Trial, 1));
    assert_eq!(fs::read_to_string(&ended).unwrap(), "once\n");
    assert_eq!(world.stop(), Some(0));
}

#[test]
fn what_cannot_be_sealed_is_given_up() {
    let nothing = |world: &World| fs::write(world.dir.join("state"), "no directory").unwrap();
    let Some((mut world, _router, places)) = on_trial(7, nothing) else {
        return;
    };
    let ended = world.dir.join("ended");
    wait_for("the end", || {
        let text = fs::read_to_string(&ended).ok();
        text.filter(|text| text == "once\n")
    });
    assert_eq!(places.state().unwrap().b, Health::Trial);
    assert_ne!(world.stop(), Some(0));
}
