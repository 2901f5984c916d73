//! The name service as resolvers and tools of others see it, and who tries addresses out.

// Real time is what is measured here, and helpers of a test may panic as it may.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "netns/probe.rs"]
mod probe;
#[allow(dead_code)]
#[path = "netns/world.rs"]
mod world;

use hickory_proto::rr::RecordType::A;
use probe::dns_udp;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;
use world::{FakeRouter, World, wait_for};

fn started() -> Option<(World, FakeRouter)> {
    if let Some(what) = world::missing() {
        assert!(std::env::var_os("CI").is_none(), "{what}");
        eprintln!("skipped: {what}");
        return None;
    }
    let mut world = World::new();
    let router = FakeRouter::start(&world.dir);
    world.start("wan0", "address6 = \"fd77:1::1/64\"");
    wait_for("an answer", || {
        let box_ = IpAddr::V4(Ipv4Addr::new(192, 168, 77, 1));
        world.inside("lan", || dns_udp(box_, "foo.i2p.", A).ok())
    });
    Some((world, router))
}

fn has(program: &str) -> bool {
    let found = std::process::Command::new(program)
        .arg("-h")
        .output()
        .is_ok();
    assert!(
        found || std::env::var_os("CI").is_none(),
        "{program} is missing"
    );
    found
}

/// `dig` with its usual extras: EDNS, DNSSEC, TCP, other types, and names that are none of I2P's.
#[test]
fn dig_gets_what_it_asks_for() {
    let Some((world, _router)) = started().filter(|_| has("dig")) else {
        return;
    };
    let dig = |words: &str| {
        let args: Vec<_> = ["+tries=1", "+time=3"]
            .into_iter()
            .chain(words.split(' '))
            .collect();
        world.output("lan", "dig", &args)
    };
    let short = |words: &str| dig(&format!("+short {words}")).trim().to_owned();
    let v4 = short("@192.168.77.1 foo.i2p");
    assert!(
        v4.parse::<Ipv4Addr>().unwrap().octets()[..2] == [198, 18] || v4.starts_with("198.19.")
    );
    for same in [
        "@192.168.77.1 +tcp foo.i2p",
        "@192.168.77.1 +dnssec +bufsize=4096 FoO.I2p",
        "@fd77:1::1 foo.i2p",
        "@fd77:1::1 +tcp foo.i2p.alt",
        // Whatever resolver a device has been set to.
        "@9.9.9.9 +nocookie foo.i2p",
    ] {
        assert_eq!(short(same), v4, "{same}");
    }
    let v6 = short("@192.168.77.1 foo.i2p AAAA");
    assert!(v6.starts_with("fc"), "{v6}");
    assert_eq!(short(&format!("@192.168.77.1 -x {v4}")), "foo.i2p.");
    assert_eq!(short("@192.168.77.1 -x 192.168.77.1"), "ramson.internal.");
    for (words, parts) in [
        (
            "@192.168.77.1 foo.i2p HTTPS",
            &["status: NOERROR", "SOA"][..],
        ),
        ("@192.168.77.1 i2p SOA", &["status: NOERROR", "SOA"]),
        (
            "@192.168.77.1 example.org",
            &["status: NXDOMAIN", "SOA", "EDE: 15 (Blocked)"],
        ),
        (
            "@192.168.77.1 use-application-dns.net",
            &["status: NXDOMAIN"],
        ),
        ("@192.168.77.1 mask.icloud.com", &["status: NXDOMAIN"]),
    ] {
        let said = dig(words);
        for part in parts {
            assert!(said.contains(part), "{words}: {part}: {said}");
        }
    }
}

/// A resolver that validates: it takes the box for a forger until it is told that the zone is not
/// signed; with that, names work.
#[test]
fn a_validating_resolver_needs_one_line() {
    let Some((world, _router)) = started().filter(|_| has("unbound-host")) else {
        return;
    };
    let ask = |line: &str| {
        let file = world.dir.join("unbound.conf");
        // The root's key of 2017, without which nothing is validated.
        let text = format!(
            "server:\n do-ip6: no\n trust-anchor: \". IN DS 20326 8 2 \
             E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\"\n {line}\n\
             forward-zone:\n name: \".\"\n forward-addr: 192.168.77.1\n"
        );
        std::fs::write(&file, text).unwrap();
        let file = file.display().to_string();
        let args = ["-v", "-t", "A", "-C", &file, "foo.i2p"];
        world.output("lan", "unbound-host", &args)
    };
    let without = ask("");
    assert!(
        !without.contains("has address") || without.contains("BOGUS"),
        "{without}"
    );
    let with = ask("domain-insecure: \"i2p\"");
    assert!(
        with.contains("foo.i2p has address 198.1") && with.contains("(insecure)"),
        "{with}"
    );
}

/// Who tries virtual addresses out is told of twenty a second that they are none; of the rest he
/// hears nothing, and the box counts them.
#[test]
fn refusals_are_kept_back_from_who_tries_addresses_out() {
    let Some((world, _router)) = started() else {
        return;
    };
    let refused = world.inside("lan", || {
        let tries = (0..150u8).map(|n| {
            std::thread::spawn(move || {
                let to = SocketAddr::from(([198, 19, 200, n], 80));
                let mut stream = match TcpStream::connect_timeout(&to, Duration::from_secs(2)) {
                    Ok(stream) => stream,
                    Err(e) => return e.kind() == ErrorKind::ConnectionRefused,
                };
                stream
                    .set_read_timeout(Some(Duration::from_secs(2)))
                    .unwrap();
                let got = std::io::Read::read(&mut stream, &mut [0]);
                got.is_err_and(|e| e.kind() == ErrorKind::ConnectionReset)
            })
        });
        let tries: Vec<_> = tries.collect();
        tries
            .into_iter()
            .map(|t| t.join().unwrap())
            .filter(|r| *r)
            .count()
    });
    assert!((1..=100).contains(&refused), "{refused} of 150");
    let kept = world.count("lan refusals kept back, too many tries of one device");
    assert!(kept > 20, "{kept}");
}
