//! Nothing but the router's own traffic leaves the box: what clients and programs can try, in every
//! state of the gateway, against what is seen at the far end of the WAN.
//!
//! `cargo test -p ramson-gateway --test leaks -- --nocapture` prints the table.

// Real time is what is measured here, and helpers of a test may panic as it may.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "leaks/box_checks.rs"]
mod box_checks;
#[path = "leaks/frames.rs"]
mod frames;
#[allow(dead_code)]
#[path = "netns/probe.rs"]
mod probe;
#[path = "leaks/probes.rs"]
mod probes;
#[path = "leaks/table.rs"]
mod table;
#[path = "leaks/watch.rs"]
mod watch;
#[allow(dead_code)]
#[path = "netns/world.rs"]
mod world;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use probes::{Link, Probe};
use std::time::{Duration, Instant};
use table::Table;
use watch::{Sender, Watch};
use world::{FakeRouter, World, ip, wait_for};

const LAN: &str = "address6 = \"fd77:1::1/64\"";

/// A box, its client and who watches.
pub struct Scene {
    world: World,
    router: FakeRouter,
    watch: Watch,
    client: Sender,
    probes: Vec<Probe>,
}

impl Scene {
    /// Everything but the supervisor.
    fn new() -> Self {
        let world = World::new();
        let router = FakeRouter::start(&world.dir);
        let watch = Watch::new(&world);
        let client = Sender::new(&world, "lan", "eth0");
        let link = Link {
            client: client.mac(),
            gateway: Sender::new(&world, "gw", "lan0").mac(),
        };
        Self {
            world,
            router,
            watch,
            client,
            probes: probes::all(link),
        }
    }

    /// Sends everything; what came out for each threat.
    fn try_all(&self) -> Vec<usize> {
        let one = |probe: &Probe| {
            // The WAN's own business before does not count for the probe.
            self.watch.leaks();
            self.client.send(&probe.frames);
            let leaks = self.watch.leaks();
            if let Some(first) = leaks.first() {
                eprintln!("{}: {} left, as {first}", probe.what, leaks.len());
            }
            leaks.len()
        };
        self.probes.iter().map(one).collect()
    }

    fn start(&mut self) {
        self.world.start("wan0", LAN);
        wait_for("the start", || self.world.gatewayd());
    }
}

/// Whether to run; where it must run it fails instead.
fn able() -> bool {
    let Some(what) = world::missing() else {
        return true;
    };
    assert!(std::env::var_os("CI").is_none(), "{what}");
    eprintln!("skipped: {what}");
    false
}

#[test]
fn nothing_but_the_routers_own_leaves_the_box() {
    if !able() {
        return;
    }
    let start = Instant::now();
    let control = control();
    let mut scene = Scene::new();
    scene.world.remove_rules = false;
    let mut table = Table::new(&scene.probes, &control);
    before_and_at_the_start(&mut scene, &mut table);
    table.add("running", &scene.try_all());
    box_checks::all(&scene, &mut table);
    scene.router.stop();
    table.add("router gone", &scene.try_all());
    gatewayd_killed(&scene, &mut table);
    reloads(&scene, &mut table);
    supervisor_killed(&mut scene, &mut table);
    table.print(start.elapsed());
    assert_eq!(table.leaks(), 0);
    assert!(
        control.iter().filter(|n| **n > 0).count() >= 8,
        "the probes prove nothing: {control:?}"
    );
}

/// The same without rules, on a box that forwards: what can leak is seen.
fn control() -> Vec<usize> {
    let scene = Scene::new();
    let gw = scene.world.ns("gw");
    for line in [
        "addr add 192.168.77.1/24 dev lan0",
        "-6 addr add fd77:1::1/64 dev lan0 nodad",
        "link set lan0 up",
        "-6 addr add 2001:db8:1::2/64 dev wan0 nodad",
        "-6 route add default via 2001:db8:1::1 dev wan0",
        "-6 neigh replace 2001:db8:1::1 lladdr 02:00:00:00:02:02 dev wan0",
        "neigh replace 10.1.0.1 lladdr 02:00:00:00:02:02 dev wan0",
    ] {
        ip(&format!("-n {gw} {line}"));
    }
    scene.world.inside("gw", || {
        for file in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            std::fs::write(format!("/proc/sys/net/{file}"), "1").unwrap();
        }
    });
    scene.try_all()
}

/// The LAN link is down until all is sealed, as on a box that boots.
fn before_and_at_the_start(scene: &mut Scene, table: &mut Table) {
    let gw = scene.world.ns("gw");
    ip(&format!("-n {gw} link set lan0 down"));
    table.add("before start", &scene.try_all());
    scene.world.start("wan0", LAN);
    let mut seen = vec![0; scene.probes.len()];
    while scene.world.gatewayd().is_none() {
        for (sum, n) in seen.iter_mut().zip(scene.try_all()) {
            *sum += n;
        }
    }
    table.add("starting", &seen);
}

fn gatewayd_killed(scene: &Scene, table: &mut Table) {
    let pid = wait_for("gatewayd", || scene.world.gatewayd());
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    table.add("gatewayd killed", &scene.try_all());
    let again = wait_for("the restart", || {
        scene.world.gatewayd().filter(|new| *new != pid)
    });
    kill(Pid::from_raw(again), Signal::SIGSTOP).unwrap();
    table.add("gatewayd hangs", &scene.try_all());
    kill(Pid::from_raw(again), Signal::SIGCONT).unwrap();
}

/// A hundred loads of the rules while everything is sent again and again.
fn reloads(scene: &Scene, table: &mut Table) {
    let frames: Vec<_> = scene.probes.iter().flat_map(|p| p.frames.clone()).collect();
    scene.watch.leaks();
    let sent = std::thread::scope(|scope| {
        let loading = scope.spawn(|| {
            for _ in 0..100 {
                assert_eq!(scene.world.admin("reload\n"), "reload: ok\n");
            }
        });
        let mut sent = 0;
        while !loading.is_finished() {
            sent += scene.client.send(&frames);
        }
        loading.join().unwrap();
        sent
    });
    assert!(sent > 10_000, "only {sent} frames during the loads");
    table.add_sum("100 reloads", scene.watch.leaks().len());
}

/// Root's part is gone, and with it `gatewayd`; the rules stay.
fn supervisor_killed(scene: &mut Scene, table: &mut Table) {
    let mut supervisor = scene.world.supervisor.take().unwrap();
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    table.add("supervisor killed", &scene.try_all());
    scene.start();
    assert_eq!(scene.world.stop(), Some(0));
    std::thread::sleep(Duration::from_millis(100));
    table.add("stopped", &scene.try_all());
}
