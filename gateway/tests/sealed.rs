//! What happens when the box cannot be sealed any more: the LAN goes down, the watchdog gets
//! nothing, and both come back with the rules. `nft` fails here when it is told to.

// Real time is what is measured here, and helpers of a test may panic as it may.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "netns/world.rs"]
mod world;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use world::{FakeRouter, World, wait_for};

/// Whether the LAN's cable shows a link.
fn lan_is_up(world: &World) -> bool {
    let shown = world.output("gw", "ip", &["link", "show", "dev", "lan0"]);
    shown.contains("state UP")
}

#[test]
fn the_lan_and_the_watchdog_go_with_the_rules_and_come_back_with_them() {
    if let Some(what) = world::missing() {
        assert!(std::env::var_os("CI").is_none(), "{what}");
        eprintln!("skipped: {what}");
        return;
    }
    let mut world = World::new();
    let _router = FakeRouter::start(&world.dir);
    let (dog, broken) = (world.dir.join("dog"), world.dir.join("broken"));
    let programs = world.dir.join("programs");
    fs::create_dir(&programs).unwrap();
    let script = format!(
        "#!/bin/sh\n[ ! -e {} ] || {{ echo broken >&2; exit 1; }}\n\
         PATH=${{PATH#*:}} exec nft \"$@\"\n",
        broken.display()
    );
    fs::write(programs.join("nft"), script).unwrap();
    fs::set_permissions(programs.join("nft"), Permissions::from_mode(0o755)).unwrap();
    world.programs = Some(programs);
    world.sections = format!("[watchdog]\nenabled = true\ndevice = \"{}\"", dog.display());
    fs::write(&dog, "").unwrap();
    let fed = || fs::read(&dog).unwrap().len();

    world.start("wan0", "");
    wait_for("the start", || world.gatewayd());
    assert!(lan_is_up(&world));
    let first = wait_for("food", || Some(fed()).filter(|n| *n > 0));
    wait_for("more food", || Some(fed()).filter(|n| *n > first));
    let status = world.admin("status\n");
    assert!(
        status.contains(&format!("watchdog: fed, {}", dog.display())),
        "{status}"
    );

    // The rules do not read back, and cannot be set.
    fs::write(&broken, "").unwrap();
    let ended = world.supervisor.take().unwrap().wait().unwrap();
    assert_eq!(ended.code(), Some(1));
    assert!(!lan_is_up(&world));
    let hungry = fed();
    // A new start does not help, and feeds nobody: not even by opening the device.
    world.start("wan0", "");
    let ended = world.supervisor.take().unwrap().wait().unwrap();
    assert_eq!(ended.code(), Some(1));
    assert!(!lan_is_up(&world));
    assert_eq!(fed(), hungry);
    assert!(!fs::read(&dog).unwrap().contains(&b'V'));

    fs::remove_file(&broken).unwrap();
    world.start("wan0", "");
    wait_for("the start", || world.gatewayd());
    assert!(lan_is_up(&world));
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(world.stop(), Some(0));
    // An end in order ends the watchdog.
    assert!(fs::read(&dog).unwrap().ends_with(b"V"));
}
