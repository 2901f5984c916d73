//! The ports change roles, with the real programs: undone when nobody confirms it from where the
//! LAN is then, kept when somebody does.

// Real time is what is measured here, and helpers of a test may panic as it may.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "netns/world.rs"]
mod world;

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use world::{FakeRouter, World, ip, wait_for};

/// Whether the box's page answers there.
fn is_served(world: &World, side: &str) -> bool {
    let address: SocketAddr = "192.168.77.1:80".parse().unwrap();
    world.inside(side, || {
        TcpStream::connect_timeout(&address, Duration::from_millis(300)).is_ok()
    })
}

fn mac(world: &World, name: &str) -> String {
    let ports = world.admin("ports\n");
    let mut all = ports
        .lines()
        .filter_map(|l| l.strip_prefix("port: ")?.split_once("; "));
    let (_, rest) = all.find(|(port, _)| *port == name).unwrap();
    rest.split("; ").next().unwrap().to_owned()
}

fn loads(world: &World) -> u64 {
    world.count("rule loads")
}

#[test]
fn ports_change_roles_and_back_unless_it_is_confirmed() {
    if let Some(what) = world::missing() {
        assert!(std::env::var_os("CI").is_none(), "{what}");
        eprintln!("skipped: {what}");
        return;
    }
    let mut world = World::new();
    let _router = FakeRouter::start(&world.dir);
    let data = world.dir.join("data");
    fs::create_dir_all(data.join("config")).unwrap();
    fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
    world.sections = format!(
        "[machine]\nenabled = true\nconfirm_seconds = 8\ndata = \"{}\"",
        data.display()
    );
    world.wan_mode = "none";
    // Who is at the WAN's port is a client of the LAN as soon as that is the LAN's.
    let wan = world.ns("wan");
    ip(&format!("-n {wan} route del 192.168.77.0/24"));
    ip(&format!("-n {wan} addr add 192.168.77.20/24 dev eth0"));
    world.start("wan0", "");
    wait_for("the start", || world.gatewayd());
    let (lan, wan) = (mac(&world, "lan0"), mac(&world, "wan0"));
    assert!(is_served(&world, "lan") && !is_served(&world, "wan"));
    what_cannot_be_is_refused(&world);
    let swap = |world: &World| {
        let said = world.admin("ports-set wan0 lan0\n");
        assert!(said.starts_with("ports-set: ok"), "{said}");
        assert!(
            world
                .admin("ports-set wan0 lan0\n")
                .contains("not confirmed yet")
        );
        wait_for("the change", || is_served(world, "wan").then_some(()));
        assert_eq!(
            (mac(world, "lan0"), mac(world, "wan0")),
            (wan.clone(), lan.clone())
        );
        assert!(!is_served(world, "lan"));
    };
    // Nobody confirms it.
    swap(&world);
    let since = Instant::now();
    assert!(world.admin("ports\n").contains("to be confirmed within: "));
    let before = loads(&world);
    let back = (0..400).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        loads(&world) > before && is_served(&world, "lan")
    });
    assert!(
        back && since.elapsed() > Duration::from_secs(5),
        "{:?}",
        since.elapsed()
    );
    assert_eq!(
        (mac(&world, "lan0"), mac(&world, "wan0")),
        (lan.clone(), wan.clone())
    );
    assert!(!is_served(&world, "wan") && !data.join("config/ports").exists());
    // Somebody does.
    swap(&world);
    assert_eq!(world.admin("ports-confirm\n"), "ports-confirm: ok\n");
    std::thread::sleep(Duration::from_secs(9));
    assert!(is_served(&world, "wan") && !is_served(&world, "lan"));
    let kept = fs::read_to_string(data.join("config/ports")).unwrap();
    assert_eq!(kept, format!("lan {wan}\nwan {lan}\n"));
    assert_eq!(world.stop(), Some(0));
}

fn what_cannot_be_is_refused(world: &World) {
    for (line, why) in [
        ("ports-set lan0 wan0\n", "that is how"),
        ("ports-set lan0 lan0\n", "two ports"),
        ("ports-set eth7 lan0\n", "no port eth7"),
        ("ports-confirm\n", "no change"),
        ("ports-set lan0\n", "refused"),
        ("ports-set a/b lan0\n", "refused"),
    ] {
        let said = world.admin(line);
        assert!(
            said.starts_with("error: ") && said.contains(why),
            "{line}: {said}"
        );
    }
}
