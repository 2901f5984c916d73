//! The whole gateway in three namespaces, seen from a client and from the Internet.

// Real time is what is measured here, and helpers of a test may panic as it may.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "netns/identity.rs"]
mod identity;
#[path = "netns/probe.rs"]
mod probe;
#[path = "netns/world.rs"]
mod world;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType::{A, AAAA, HTTPS};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, setfsuid};
use probe::{
    ask, connects, crowd_of_sources, dns_flood, dns_of_made_up_sources, dns_tcp, dns_udp, fetch,
    half_close, leave, odd_packets, ping, tcp_refused, udp_refused,
};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::Ordering;
use std::time::Duration;
use world::{Capture, FakeRouter, GATEWAY, ROUTER, World, site, wait_for};

const RESOLVERS: [&str; 4] = ["203.0.113.53", "192.168.77.1", "2001:db8::53", "fd77:1::1"];

/// Whether to run; where it must run it fails instead.
fn able() -> bool {
    let Some(what) = world::missing() else {
        return true;
    };
    assert!(std::env::var_os("CI").is_none(), "{what}");
    eprintln!("skipped: {what}");
    false
}

fn resolver() -> IpAddr {
    RESOLVERS[0].parse().unwrap()
}

/// One address of a name, asked as a client that knows only an outside resolver.
fn resolve(name: &str, kind: hickory_proto::rr::RecordType) -> IpAddr {
    dns_udp(resolver(), name, kind).unwrap().1[0]
}

const ADDRESS_6: &str = "address6 = \"fd77:1::1/64\"";

fn started(address6: &str) -> (World, FakeRouter) {
    let mut world = World::new();
    let router = FakeRouter::start(&world.dir);
    world.start("wan0", address6);
    wait_for("the start", || world.gatewayd());
    wait_for("an answer", || {
        world.inside("lan", || dns_udp(resolver(), "foo.i2p.", A).ok())
    });
    (world, router)
}

#[test]
fn clients_reach_sites_and_nothing_else() {
    if !able() {
        return;
    }
    let (mut world, router) = started(ADDRESS_6);
    let capture = Capture::new(&world);
    world.inside("lan", names);
    world.inside("lan", streams);
    isolation(&router);
    identity::identities(&world, &router);
    world.inside("lan", || cut_streams(&router));
    world.inside("lan", refusals);
    without_privileges(&world);
    // From the client, and from a privileged program on the box itself.
    for side in ["lan", "gw"] {
        let sent = world.inside(side, odd_packets);
        assert!(
            sent > 100 || side == "gw",
            "{side}: only {sent} could be sent"
        );
    }
    covering_routes(&world);
    crowd(&world);
    made_up_sources(&world);
    flood(&world);
    assert_eq!(
        capture.frames(),
        Vec::<Vec<u8>>::new(),
        "nothing of all this is seen outside"
    );
    outside(&world);
    only_the_router_goes_out(&world, &capture);
    settings_are_restored(&world);
    identity::restart(&world);
    replaced_links(&world, &capture);
    router.stop();
    world.inside("lan", || tcp_refused((resolve("foo.i2p.", A), 80).into()));
    assert_eq!(world.stop(), Some(0));
    assert_eq!(world.output("gw", "nft", &["list", "ruleset"]), "");
    positive_control(&world, &capture);
}

fn names() {
    for (kind, v4) in [(A, true), (AAAA, false)] {
        let expected = dns_udp(resolver(), "foo.i2p.", kind).unwrap();
        assert_eq!(expected.0, ResponseCode::NoError);
        assert!(
            expected.1.len() == 1 && expected.1[0].is_ipv4() == v4,
            "{expected:?}"
        );
        for server in RESOLVERS {
            let server = server.parse().unwrap();
            assert_eq!(
                dns_udp(server, "foo.i2p.", kind).unwrap(),
                expected,
                "udp {server}"
            );
            assert_eq!(
                dns_tcp(server, "FOO.i2p.", kind).unwrap(),
                expected,
                "tcp {server}"
            );
        }
    }
    let empty = |code| (code, vec![]);
    for ask in [dns_udp, dns_tcp] {
        let ask = |name, kind| ask(resolver(), name, kind).unwrap();
        assert_eq!(ask("foo.i2p.", HTTPS), empty(ResponseCode::NoError));
        assert_eq!(ask("i2p.", A), empty(ResponseCode::NoError));
        assert_eq!(ask("example.com.", A), empty(ResponseCode::NXDomain));
        assert_eq!(ask("x.b32.i2p.", A).1.len(), 1);
    }
}

fn streams() {
    let site = site();
    for kind in [A, AAAA] {
        let to = SocketAddr::from((resolve("foo.i2p.", kind), 80));
        for pause in [Duration::ZERO, Duration::from_millis(20)] {
            let got = fetch(to, b"GET /", pause).unwrap();
            assert!(got == site, "{to}: {} of {} bytes", got.len(), site.len());
        }
        let echo = SocketAddr::from((resolve("echo.i2p.", kind), 7000));
        let sent = &site[..700_000];
        assert!(half_close(echo, sent).unwrap() == sent, "{echo}");
    }
}

/// What the router cuts never looks complete; what the client cuts does not go on.
fn cut_streams(router: &FakeRouter) {
    for kind in [A, AAAA] {
        let cut = SocketAddr::from((resolve("cut.i2p.", kind), 80));
        for end in [true, false] {
            let kind = ask(cut, b"GET /", end).map_err(|e| e.kind());
            assert_eq!(kind, Err(ErrorKind::ConnectionReset), "{cut} {end}");
        }
        let long = SocketAddr::from((resolve("long.i2p.", kind), 80));
        for hard in [true, false] {
            let before = router.cuts.load(Ordering::Relaxed);
            leave(long, b"GET /", hard).unwrap();
            wait_for("the cut", || {
                (router.cuts.load(Ordering::Relaxed) > before).then_some(())
            });
        }
    }
}

/// Both families of one client are the same client to the router; on other ports than 80 it looks
/// itself whether HTTP is spoken.
fn isolation(router: &FakeRouter) {
    let opens = router.opens.lock().unwrap();
    assert!(
        opens
            .iter()
            .all(|open| open.tag == opens[0].tag && open.tag.len() == 16)
    );
    for open in opens.iter() {
        let http = open.kind == ramson_ipc::Kind::Http;
        assert!(http || open.kind == ramson_ipc::Kind::Detect);
        assert_eq!(http, open.port == 80);
        assert_eq!(open.name == "foo.i2p", http);
    }
}

fn refusals() {
    for kind in [A, AAAA] {
        tcp_refused((resolve("bad.i2p.", kind), 80).into());
        tcp_refused((resolve("bad.i2p.", kind), 443).into());
    }
    // The second cannot be in use: an edge of a block of 256.
    for to in [
        "203.0.113.5:443",
        "198.18.0.0:80",
        "10.1.0.1:80",
        "10.9.0.1:9999",
    ] {
        tcp_refused(to.parse().unwrap());
    }
    for to in [
        "[2001:db8::5]:443",
        "192.168.77.1:22",
        "192.168.77.1:7002",
        "[fd77:1::1]:22",
    ] {
        tcp_refused(to.parse().unwrap());
    }
    for to in [
        "203.0.113.5:443",
        "10.1.0.1:123",
        "[2001:db8::5]:443",
        "192.168.77.1:161",
    ] {
        udp_refused(to.parse().unwrap());
    }
    assert_eq!(ping(Ipv4Addr::new(203, 0, 113, 5)), [3], "unreachable");
    assert_eq!(ping(Ipv4Addr::new(10, 1, 0, 1)), [3], "unreachable");
    assert_eq!(
        ping(Ipv4Addr::new(192, 168, 77, 1)),
        [0],
        "the gateway itself answers"
    );
}

/// Routes of the WAN that are nearer than the LAN's do not draw answers away.
fn covering_routes(world: &World) {
    let route = |verb: &str| {
        for route in ["192.168.77.0/28 via 10.1.0.1", "198.18.0.0/15 via 10.1.0.1"] {
            let words = format!("route {verb} {route}");
            let words: Vec<_> = words.split_whitespace().collect();
            world.output("gw", "ip", &words);
        }
    };
    route("add");
    world.inside("lan", refusals);
    world.inside("lan", || {
        let to = (resolve("foo.i2p.", A), 80).into();
        assert!(fetch(to, b"GET /", Duration::ZERO).unwrap() == site());
    });
    route("del");
}

/// A client with thousands of addresses does not fill the neighbour tables.
fn crowd(world: &World) {
    world.inside("lan", crowd_of_sources);
    for (family, known) in [("-6", "fd77:1::10"), ("-4", "192.168.77.10")] {
        let table = world.output("gw", "ip", &[family, "neigh", "show", "nud", "all"]);
        let there = table.lines().count();
        assert!(table.contains(known) && there < 600, "{family}: {there}");
    }
    world.inside("lan", || {
        dns_udp(resolver(), "foo.i2p.", A).unwrap();
        tcp_refused("[2001:db8::5]:443".parse().unwrap());
    });
}

/// Sources that nobody is behind take nothing from a device that comes after them.
fn made_up_sources(world: &World) {
    let unknown = "dns refused, source unknown";
    let (before, answered) = (world.count(unknown), world.count("dns questions"));
    world.new_device("02:00:00:00:01:02");
    world.inside("lan", dns_of_made_up_sources);
    wait_for("the made-up sources", || {
        (world.count(unknown) >= before + 50).then_some(())
    });
    assert_eq!(world.count("dns questions"), answered);
    world.new_device("02:00:00:00:01:03");
    world.inside("lan", || {
        let to = (resolve("foo.i2p.", A), 80).into();
        assert!(fetch(to, b"GET /", Duration::ZERO).unwrap() == site());
    });
    assert_eq!(world.count("dns refused, no address free"), 0);
    assert!(world.count("streams opened") > 0 && world.count("streams refused, no name") > 0);
}

/// One device's flood is cut before it becomes work, and has no effect afterwards.
fn flood(world: &World) {
    let answered = world.count("dns questions");
    world.inside("lan", || dns_flood(resolver(), 5000));
    // On a busy machine the socket's buffer may have lost all that gatewayd would have refused.
    let refused = wait_for("the flood", || {
        world.inside("lan", || dns_flood(resolver(), 50));
        Some(world.count("dns refused, too often")).filter(|n| *n > 0)
    });
    let answered = world.count("dns questions") - answered;
    assert!(
        answered < 900 && refused < 1500,
        "{answered} answered, {refused} refused"
    );
    let rules = world.output("gw", "nft", &["list", "counters"]);
    let dropped = rules.split("lan_flood").nth(1).unwrap();
    let dropped = dropped
        .split_whitespace()
        .skip_while(|w| *w != "packets")
        .nth(1);
    assert!(dropped.unwrap().parse::<u32>().unwrap() > 2000, "{rules}");
    wait_for("the next answer", || {
        world.inside("lan", || dns_udp(resolver(), "foo.i2p.", A).ok())
    });
}

fn without_privileges(world: &World) {
    let pid = world.gatewayd().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = |key: &str| {
        status
            .lines()
            .find_map(|l| l.strip_prefix(key))
            .unwrap()
            .trim()
    };
    assert!(
        value("Uid:")
            .split_whitespace()
            .all(|uid| uid == GATEWAY.to_string())
    );
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(u64::from_str_radix(value(set), 16), Ok(0), "{set}");
    }
    // What no set-user-id program could bring back: more than the supervisor's own eight.
    let bounding = u64::from_str_radix(value("CapBnd:"), 16).unwrap();
    let kept = [0, 1, 5, 6, 7, 10, 12, 13]
        .map(|n| 1 << n)
        .iter()
        .sum::<u64>();
    assert_eq!(bounding & !kept, 0, "{bounding:x}");
    assert_eq!((value("NoNewPrivs:"), value("Groups:")), ("1", ""));
}

/// Only the router's port answers the Internet, whatever address it asks for.
fn outside(world: &World) {
    let _router = world.inside("gw", || TcpListener::bind("10.9.0.1:9999").unwrap());
    world.inside("wan", || {
        assert!(connects("10.9.0.1:9999".parse().unwrap()));
        for to in [
            "10.9.0.1:53",
            "10.9.0.1:7002",
            "192.168.77.1:53",
            "192.168.77.10:1",
        ] {
            assert!(!connects(to.parse().unwrap()), "{to}");
        }
        let dns = dns_udp(IpAddr::from([10, 9, 0, 1]), "foo.i2p.", A);
        assert!(dns.is_err());
    });
}

fn only_the_router_goes_out(world: &World, capture: &Capture) {
    let listener = world.inside("wan", || TcpListener::bind("10.1.0.1:7").unwrap());
    let to = listener.local_addr().unwrap();
    capture.frames();
    let connect_as = |uid| {
        world.inside("gw", || {
            setfsuid(Uid::from_raw(uid));
            let udp = UdpSocket::bind("0.0.0.0:0").unwrap();
            // Refused with an error on the spot, or sent.
            let _ = udp.send_to(b"x", to);
            connects(to)
        })
    };
    assert!(!connect_as(GATEWAY) && !connect_as(0));
    assert_eq!(capture.frames(), Vec::<Vec<u8>>::new());
    assert!(connect_as(ROUTER));
    assert!(!capture.frames().is_empty(), "what does go out is seen");
}

fn settings_are_restored(world: &World) {
    let file = "/proc/sys/net/ipv6/conf/default/forwarding";
    world.inside("gw", || std::fs::write(file, "1").unwrap());
    assert_eq!(world.admin("reload\n"), "reload: ok\n");
    assert_eq!(
        world.inside("gw", || std::fs::read_to_string(file).unwrap()),
        "0\n"
    );
    assert_eq!(world.admin("nonsense\n"), "error: refused\n");
}

/// Interfaces that go and come back are sealed and served again; so are flushed rules.
fn replaced_links(world: &World, capture: &Capture) {
    let loads = || {
        world
            .admin("status\n")
            .lines()
            .find_map(|l| l.strip_prefix("rule loads: ")?.parse::<u32>().ok())
    };
    let before = loads().unwrap();
    world.output("gw", "nft", &["flush", "ruleset"]);
    wait_for("loading flushed rules", || {
        loads().filter(|now| *now > before)
    });
    world.replace_links();
    let answer = || world.inside("lan", || dns_udp(resolver(), "foo.i2p.", A).ok());
    wait_for("an answer over the new links", answer);
    wait_for("a stream over the new links", || {
        let to = (answer()?.1[0], 80).into();
        world.inside("lan", || fetch(to, b"GET /", Duration::ZERO).ok())
    });
    capture.frames();
    world.inside("lan", refusals);
    assert_eq!(capture.frames(), Vec::<Vec<u8>>::new());
}

/// Without rules and with forwarding the same capture does see the same client.
fn positive_control(world: &World, capture: &Capture) {
    world.inside("gw", || {
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap()
    });
    capture.frames();
    world.inside("lan", || {
        let udp = UdpSocket::bind("0.0.0.0:0").unwrap();
        udp.send_to(b"leak", "203.0.113.5:443").unwrap();
    });
    let frames = capture.frames();
    assert!(
        frames.iter().any(|frame| frame.ends_with(b"leak")),
        "{} frames",
        frames.len()
    );
}

#[test]
fn a_lan_without_ipv6_works_and_gets_no_ipv6() {
    if !able() {
        return;
    }
    let (world, _router) = started("ipv6 = false");
    world.inside("lan", || {
        let none = dns_udp(resolver(), "foo.i2p.", AAAA).unwrap();
        assert_eq!(none, (ResponseCode::NoError, vec![]));
        let to = (resolve("foo.i2p.", A), 80).into();
        assert!(fetch(to, b"GET /", Duration::ZERO).unwrap() == site());
    });
    assert!(
        !world
            .output("gw", "nft", &["list", "ruleset"])
            .contains("tproxy ip6")
    );
}

#[test]
fn configurations_are_checked_without_privileges() {
    use std::process::Command;
    let file = std::env::temp_dir().join(format!("rgw-check-{}.toml", std::process::id()));
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_supervisor"));
        let output = command
            .arg("--check-config")
            .arg("--config")
            .arg(&file)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(
        check(include_str!("../gateway.toml")),
        (Some(0), String::new())
    );
    let (code, text) = check("[wan]\nrouter_port = 0\n");
    assert!(
        code == Some(1) && text.contains("line 2: wan.router_port"),
        "{text}"
    );
    std::fs::remove_file(&file).unwrap();
}

/// For want of an interface, and because somebody else has put a directory in the way of its own.
#[test]
fn a_supervisor_that_cannot_start_locks_everything() {
    if !able() {
        return;
    }
    for (wan, planted) in [("wan7", false), ("wan0", true)] {
        let mut world = World::new();
        if planted {
            let elsewhere = world.dir.join("elsewhere");
            std::fs::create_dir(&elsewhere).unwrap();
            std::os::unix::fs::symlink(&elsewhere, world.dir.join("state")).unwrap();
        }
        world.start(wan, "");
        let status = world.supervisor.take().unwrap().wait().unwrap();
        assert_eq!(status.code(), Some(1));
        let rules = world.output("gw", "nft", &["list", "ruleset"]);
        for hook in [
            "prerouting priority raw",
            "forward priority filter",
            "output priority filter",
        ] {
            assert!(
                rules.contains(&format!("hook {hook}; policy drop;")),
                "{rules}"
            );
        }
        assert!(!world.inside("wan", || connects("10.9.0.1:9999".parse().unwrap())));
        assert!(!world.dir.join("elsewhere/secrets").exists());
    }
}
