//! The clock, with the real programs and time servers at the far end of the WAN: good ones, silent
//! ones, and such that lie. The machine's own clock is left alone: the supervisor keeps a file's.

// Real time is what is measured here, and helpers of a test may panic as it may.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "netns/world.rs"]
mod world;

use nix::unistd::{Uid, setfsuid};
use ramson_gateway::clock::{date, floor};
use std::fs::{self, Permissions};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use world::{CLOCK, FakeRouter, GATEWAY, ROUTER, World, ip, wait_for};

/// What a server does.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Says a time that is so many seconds after the floor.
    Says(i64),
    /// Hears, and says nothing.
    Silent,
    /// Wants to be asked no more.
    Kiss,
    /// Answers from another address.
    Spoofed(i64),
    /// Brings another number back.
    Guessed(i64),
}

/// A server of this address; how often it was asked.
fn server(world: &World, n: u8, kind: Kind) -> Arc<AtomicU32> {
    let wan = world.ns("wan");
    let address = format!("10.1.0.{n}");
    if n > 1 {
        ip(&format!("-n {wan} addr add {address}/8 dev eth0"));
    }
    let forger = matches!(kind, Kind::Spoofed(_));
    if forger {
        ip(&format!("-n {wan} addr add 10.1.0.8/8 dev eth0"));
    }
    let (socket, other) = world.inside("wan", || {
        let socket = UdpSocket::bind((address.as_str(), 123)).unwrap();
        let other = forger.then(|| UdpSocket::bind(("10.1.0.8", 123)).unwrap());
        (socket, other)
    });
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        let begun = std::time::Instant::now();
        let mut buf = [0; 100];
        while let Ok((n, from)) = socket.recv_from(&mut buf) {
            // No more is told than a random number.
            assert!(n == 48 && buf[0] == 0x23 && buf[1..40].iter().all(|b| *b == 0));
            count.fetch_add(1, Ordering::Relaxed);
            let mut answer = [0; 48];
            answer[0] = 0x24;
            answer[1] = 2;
            answer[24..32].copy_from_slice(&buf[40..48]);
            let ahead = match kind {
                Kind::Silent => continue,
                Kind::Kiss => {
                    answer[1] = 0;
                    answer[12..16].copy_from_slice(b"DENY");
                    0
                }
                Kind::Says(ahead) | Kind::Spoofed(ahead) => ahead,
                Kind::Guessed(ahead) => {
                    answer[24] ^= 1;
                    ahead
                }
            };
            let secs = floor() + ahead + i64::try_from(begun.elapsed().as_secs()).unwrap();
            let ntp = u32::try_from((secs + 2_208_988_800) % (1 << 32)).unwrap();
            for at in [32, 40] {
                answer[at..at + 4].copy_from_slice(&ntp.to_be_bytes());
            }
            let by = other.as_ref().unwrap_or(&socket);
            by.send_to(&answer, from).unwrap();
        }
    });
    asked
}

/// A box whose machine says this many seconds after the floor, with servers 1, 2, …
fn start(ahead: i64, kinds: &[Kind]) -> Option<(World, FakeRouter, Vec<Arc<AtomicU32>>)> {
    if let Some(what) = world::missing() {
        assert!(std::env::var_os("CI").is_none(), "{what}");
        eprintln!("skipped: {what}");
        return None;
    }
    let mut world = World::new();
    let router = FakeRouter::start(&world.dir);
    let asked = (1..)
        .zip(kinds)
        .map(|(n, kind)| server(&world, n, *kind))
        .collect();
    let all: Vec<_> = (1..=kinds.len())
        .map(|n| format!("\"10.1.0.{n}\""))
        .collect();
    world.sections = format!("[clock]\nenabled = true\nservers = [{}]", all.join(", "));
    set_machine(&world, ahead);
    let program = world.dir.join("routerd");
    fs::write(&program, "#!/bin/sh\nexec sleep 1000\n").unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    world.arguments = ["--clock-file", "--router"]
        .into_iter()
        .zip(["clock-file", "routerd"])
        .flat_map(|(flag, file)| [flag.to_owned(), world.dir.join(file).display().to_string()])
        .collect();
    world.start("wan0", "");
    wait_for("the start", || world.gatewayd());
    Some((world, router, asked))
}

/// The machine's clock, as it is found when the supervisor starts.
fn set_machine(world: &World, ahead: i64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let offset = i128::from(floor() + ahead) * 1_000_000_000 - now.as_nanos() as i128;
    fs::write(world.dir.join("clock-file"), offset.to_string()).unwrap();
}

fn line(world: &World, key: &str) -> String {
    let status = world.admin("clock\n");
    let found = status
        .lines()
        .find_map(|l| l.strip_prefix(key)?.strip_prefix(": "));
    found.unwrap_or_default().to_owned()
}

/// Seconds after the floor that the box's clock says, within two.
fn says(world: &World, ahead: i64) -> bool {
    let clock = line(world, "clock");
    let secs = clock.get(..19).and_then(date::parse);
    secs.is_some_and(|secs| (-2..=20).contains(&(secs - floor() - ahead)))
}

fn router(world: &World) -> String {
    let status = world.admin("status\n");
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("router process: "));
    line.unwrap_or_default().to_owned()
}

#[test]
fn servers_that_agree_start_the_router_and_one_that_lies_does_not_count() {
    let kinds = [
        Kind::Says(90_000),
        Kind::Says(147_600),
        Kind::Says(90_000),
        Kind::Silent,
    ];
    let Some((mut world, _router, asked)) = start(-700_000_000, &kinds) else {
        return;
    };
    wait_for("the time", || {
        line(&world, "clock").contains("2 of 4 agree").then_some(())
    });
    assert!(says(&world, 90_000), "{}", world.admin("clock\n"));
    wait_for("the router", || {
        router(&world).starts_with("running").then_some(())
    });
    for count in &asked {
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
    only_the_clocks_user_asks(&world, &asked[0]);
    without_privileges(&world);
    // The time is kept: a machine without a clock of its own goes on from there and waits.
    assert_eq!(world.stop(), Some(0));
    fs::remove_file(world.dir.join("clock-known")).unwrap();
    set_machine(&world, -700_000_000);
    world.sections = "[clock]\nenabled = true".into();
    world.start("wan0", "");
    wait_for("the restart", || world.gatewayd());
    let clock = line(&world, "clock");
    let after = date::show(floor() + 90_000);
    let expected = format!(
        "not set, the router waits; it is later than {}",
        &after[..15]
    );
    assert!(clock.starts_with(&expected), "{clock}");
    assert_eq!(line(&world, "time servers"), "none known");
    assert_eq!(router(&world), "down");
    // Somebody says what time it is.
    let said = world.admin(&format!("clock-set {}\n", floor() + 200_000));
    assert!(
        said.contains("set by hand") && says(&world, 200_000),
        "{said}"
    );
    wait_for("the router", || {
        router(&world).starts_with("running").then_some(())
    });
    let pid = router(&world);
    // A jump, back now: the router begins anew. A small one is no matter to it.
    world.admin(&format!("clock-set {}\n", floor() + 199_990));
    std::thread::sleep(Duration::from_millis(300));
    let small = router(&world);
    world.admin(&format!("clock-set {}\n", floor() + 100_000));
    wait_for("another router", || {
        let now = router(&world);
        (now.starts_with("running") && now != small).then_some(())
    });
    assert!(says(&world, 100_000) && pid.starts_with("running"));
    assert!(
        world
            .admin(&format!("clock-set {}\n", floor() - 1))
            .starts_with("error: ")
    );
    assert_eq!(world.admin("clock-set x\n"), "error: refused\n");
    assert_eq!(world.stop(), Some(0));
}

/// What is no proof of the time: then the router does not run, and the status says why.
#[test]
fn silence_kisses_forgeries_and_absurd_times_set_nothing() {
    let all = [
        (vec![Kind::Silent], "no answer that can be used"),
        (vec![Kind::Kiss], "they do not want to be asked"),
        (vec![Kind::Says(700_000_000)], "no answer that can be used"),
        (
            vec![Kind::Silent, Kind::Spoofed(500)],
            "no answer that can be used",
        ),
        (vec![Kind::Guessed(500)], "no answer that can be used"),
        (vec![Kind::Says(500), Kind::Says(9000)], "they do not agree"),
    ];
    for (kinds, why) in all {
        let Some((mut world, _router, asked)) = start(-1000, &kinds) else {
            return;
        };
        let said = wait_for("a round", || {
            let line = line(&world, "time servers");
            line.contains(": ").then_some(line)
        });
        assert!(said.contains(why), "{said}");
        assert!(line(&world, "clock").starts_with("not set"));
        assert_eq!(router(&world), "down");
        assert!(asked.iter().all(|count| count.load(Ordering::Relaxed) > 0));
        assert_eq!(world.stop(), Some(0));
    }
}

/// A machine with a clock: the router starts at once, and a single server cannot move it by hours.
#[test]
fn a_single_server_does_not_move_a_clock_by_hours() {
    let Some((mut world, _router, _)) = start(500_000, &[Kind::Says(557_600)]) else {
        return;
    };
    wait_for("the router", || {
        router(&world).starts_with("running").then_some(())
    });
    wait_for("a round", || {
        line(&world, "time servers")
            .contains("may lie")
            .then_some(())
    });
    assert!(says(&world, 500_000) && line(&world, "clock").contains("own clock"));
    assert_eq!(world.stop(), Some(0));
}

/// The servers that the WAN's DHCP names are asked, and let out by the rules.
#[test]
fn the_wans_dhcp_names_a_server() {
    let Some((mut world, _router, asked)) = start(-1000, &[Kind::Says(5000)]) else {
        return;
    };
    assert_eq!(world.stop(), Some(0));
    let before = asked[0].load(Ordering::Relaxed);
    // It may have been told in time.
    let _ = fs::remove_file(world.dir.join("state/time"));
    fs::remove_file(world.dir.join("clock-known")).unwrap();
    set_machine(&world, -1000);
    let gw = world.ns("gw");
    ip(&format!("-n {gw} addr flush dev wan0"));
    ip(&format!("-n {gw} route flush dev wan0"));
    let mut dhcp = Dhcp::start(&world);
    world.wan_mode = "dhcp";
    world.sections = "[clock]\nenabled = true".into();
    world.start("wan0", "");
    wait_for("the time", || {
        line(&world, "clock").contains("1 of 1 agree").then_some(())
    });
    assert!(says(&world, 5000) && line(&world, "time servers").starts_with("10.1.0.1: "));
    assert!(asked[0].load(Ordering::Relaxed) > before);
    dhcp.0.kill().unwrap();
    dhcp.0.wait().unwrap();
    assert_eq!(world.stop(), Some(0));
}

struct Dhcp(Child);

impl Dhcp {
    fn start(world: &World) -> Self {
        let mut command = Command::new("ip");
        command.args([
            "netns",
            "exec",
            &world.ns("wan"),
            "dnsmasq",
            "--keep-in-foreground",
        ]);
        command.args([
            "--port=0",
            "--interface=eth0",
            "--dhcp-range=10.1.0.50,10.1.0.60,600",
        ]);
        command.args([
            "--leasefile-ro",
            "--dhcp-authoritative",
            "--conf-file=/dev/null",
        ]);
        command.args(["--pid-file", "--no-ping", "--dhcp-option=42,10.1.0.1"]);
        Self(command.spawn().unwrap())
    }
}

/// To a server that is named, from that user: nothing else of the box asks for the time.
fn only_the_clocks_user_asks(world: &World, asked: &AtomicU32) {
    let before = asked.load(Ordering::Relaxed);
    let strange = server(world, 9, Kind::Silent);
    let ask = |uid: u32, to: &str| {
        world.inside("gw", || {
            setfsuid(Uid::from_raw(uid));
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            let mut packet = [0; 48];
            packet[0] = 0x23;
            // Refused on the spot, or sent.
            let _ = socket.send_to(&packet, (to, 123));
        });
        std::thread::sleep(Duration::from_millis(50));
    };
    ask(GATEWAY, "10.1.0.1");
    ask(0, "10.1.0.1");
    ask(CLOCK, "10.1.0.9");
    assert_eq!(strange.load(Ordering::Relaxed), 0);
    assert_eq!(asked.load(Ordering::Relaxed), before);
    // The router may begin anything; and however often the client asks, few questions leave.
    ask(ROUTER, "10.1.0.9");
    assert_eq!(strange.load(Ordering::Relaxed), 1);
    for _ in 0..40 {
        ask(CLOCK, "10.1.0.1");
    }
    let more = asked.load(Ordering::Relaxed) - before;
    assert!((1..=12).contains(&more), "{more}");
}

/// The client runs as its user, without capabilities.
fn without_privileges(world: &World) {
    let named = world.dir.join("gatewayd");
    let is_clock = |path: std::path::PathBuf| {
        fs::read_link(path.join("exe")).is_ok_and(|exe| exe == named)
            && fs::read(path.join("cmdline")).is_ok_and(|line| line == b"clock\0")
    };
    let mut all = fs::read_dir("/proc").unwrap().flatten();
    let process = all.find(|entry| is_clock(entry.path()));
    let status = fs::read_to_string(process.unwrap().path().join("status")).unwrap();
    assert!(
        status.contains(&format!("Uid:\t{CLOCK}\t{CLOCK}\t{CLOCK}\t{CLOCK}")),
        "{status}"
    );
    for set in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert!(
            status.contains(&format!("{set}:\t0000000000000000")),
            "{set}"
        );
    }
}
