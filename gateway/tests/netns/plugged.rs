//! A machine without any settings on the LAN of a started gateway.

use crate::world::{self, FakeRouter, World, ip, wait_for};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// A started gateway whose LAN has one machine without any settings; `None` where it cannot be.
pub fn plugged_in(lan: &str) -> Option<(World, FakeRouter)> {
    if let Some(what) = world::missing() {
        assert!(std::env::var_os("CI").is_none(), "{what}");
        eprintln!("skipped: {what}");
        return None;
    }
    let mut world = World::new();
    let side = world.ns("lan");
    for line in [
        format!("-n {side} addr flush dev eth0"),
        format!("-n {side} link set eth0 down"),
    ] {
        ip(&line);
    }
    let router = FakeRouter::start(&world.dir);
    world.start("wan0", lan);
    wait_for("the start", || world.gatewayd());
    ip(&format!("-n {side} link set eth0 up"));
    Some((world, router))
}

/// A script for `udhcpc` that sets what it is told and writes it down.
fn script(world: &World) -> PathBuf {
    let (path, told) = (world.dir.join("leased"), world.dir.join("told"));
    let text = format!(
        "#!/bin/sh\ncase $1 in bound|renew)\n\
         ip addr replace $ip/$mask dev $interface\nip route replace default via $router\n\
         echo $ip $mask $router $dns $domain $lease $serverid > {}\n;; esac\n",
        told.display()
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Asks for an address as `udhcpc` does; what it was told, or nothing.
pub fn udhcpc(world: &World, more: &[&str]) -> Option<Vec<String>> {
    let (script, told) = (script(world), world.dir.join("told"));
    let _ = fs::remove_file(&told);
    let script = script.display().to_string();
    let mut args = vec![
        "-i", "eth0", "-n", "-q", "-f", "-t", "5", "-T", "1", "-s", &script,
    ];
    args.extend(more);
    world.output("lan", "udhcpc", &args);
    let text = fs::read_to_string(told).ok()?;
    Some(text.split_whitespace().map(str::to_owned).collect())
}
