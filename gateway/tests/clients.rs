//! Programs that households and their machines use: resolvers, another DHCP client, tools; and one
//! device that asks for more than its share. Needs root and the programs; where one is missing
//! its test is skipped, except on the build machine.

// Real time is what is measured here, and helpers of a test may panic as it may.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "netns/plugged.rs"]
mod plugged;
#[allow(dead_code)]
#[path = "netns/probe.rs"]
mod probe;
#[allow(dead_code)]
#[path = "netns/world.rs"]
mod world;

use hickory_proto::rr::RecordType::{A, AAAA};
use plugged::{plugged_in, udhcpc};
use probe::{dns_flood, dns_udp, fetch};
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use world::{World, ip, site, wait_for};

const OWN: &str = "192.168.77.1";

fn own() -> IpAddr {
    OWN.parse().unwrap()
}

/// Where a program is, if it is; it has to be on the build machine. What would be a service if it
/// were installed has been unpacked into the build directory.
fn find(program: &str) -> Option<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let target = Path::new(env!("CARGO_BIN_EXE_gatewayd")).ancestors().nth(2);
    let unpacked = target.unwrap().join("peers/bin");
    let folders = path.split(':').chain(["/usr/sbin", "/usr/lib/systemd"]);
    let folders = folders.map(PathBuf::from).chain([unpacked]);
    let mut files = folders.map(|folder| folder.join(program));
    let found = files.find(|file| file.is_file());
    assert!(
        found.is_some() || std::env::var_os("CI").is_none(),
        "{program}"
    );
    if found.is_none() {
        eprintln!("skipped: {program} is not there");
    }
    found.map(|file| file.display().to_string())
}

/// What runs beside the test, ended with it.
struct Beside(Child);

impl Beside {
    fn start(world: &World, words: &[&str]) -> Self {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &world.ns("lan")])
            .args(words);
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        Self(quiet.spawn().unwrap())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `dig` as people use it: both transports, with and without EDNS, all kinds of names.
#[test]
fn dig_finds_what_there_is() {
    if find("dig").is_none() {
        return;
    }
    let Some((mut world, _router)) = plugged_in("address6 = \"fd77:1::1/64\"") else {
        return;
    };
    let told = udhcpc(&world, &["-x", "hostname:Laptop"]).unwrap();
    let dig = |words: &str| {
        let mut all = vec!["+time=2", "+tries=2"];
        all.extend(words.split_whitespace());
        world.output("lan", "dig", &all)
    };
    let to = |words: &str| dig(&format!("@{OWN} {words}"));
    let address = to("+short foo.i2p A").trim().to_owned();
    assert!(
        address.starts_with("198.18.") || address.starts_with("198.19."),
        "{address}"
    );
    let of_box = format!("{}.", "ramson.internal");
    let reverse = format!("-x {address}");
    let device = format!("-x {}", told[0]);
    for (words, says) in [
        ("+tcp foo.i2p A", vec!["status: NOERROR", &address]),
        ("+noedns foo.i2p A", vec!["status: NOERROR", &address]),
        (
            "+edns=0 +bufsize=512 +dnssec foo.i2p A",
            vec!["status: NOERROR", &address, "EDNS: version: 0"],
        ),
        ("+edns=1 +noednsneg foo.i2p A", vec!["status: BADVERS"]),
        ("+short foo.i2p AAAA", vec!["fc"]),
        ("FOO.i2p A", vec!["status: NOERROR", &address]),
        ("foo.i2p.alt A", vec!["status: NOERROR", "198.1"]),
        ("foo.i2p HTTPS", vec!["status: NOERROR", "ANSWER: 0", "SOA"]),
        ("i2p SOA", vec!["status: NOERROR", "SOA"]),
        ("ramson.internal A", vec!["status: NOERROR", OWN]),
        ("laptop.internal A", vec!["status: NOERROR", &told[0]]),
        (&reverse, vec!["status: NOERROR", "foo.i2p."]),
        (&device, vec!["status: NOERROR", "laptop.internal."]),
        ("-x 192.168.77.1", vec!["status: NOERROR", &of_box]),
        (
            "example.org A",
            vec!["status: NXDOMAIN", "SOA", "EDE: 15 (Blocked)"],
        ),
        ("-x 8.8.8.8", vec!["status: NXDOMAIN", "SOA"]),
        (". NS", vec!["status: "]),
        ("use-application-dns.net", vec!["status: NXDOMAIN"]),
        ("mask.icloud.com", vec!["status: NXDOMAIN"]),
    ] {
        let said = to(words);
        assert!(says.iter().all(|s| said.contains(s)), "{words}: {said}");
    }
    // Whoever is asked, the answer is the box's, from the address that was asked.
    for words in [
        "@8.8.8.8 +nocookie foo.i2p A",
        "+tcp @fd77:1::1 foo.i2p.alt A",
        "+tcp @9.9.9.9 foo.i2p A",
        "@2001:4860:4860::8888 foo.i2p A",
    ] {
        wait_for("an IPv6 address", || has_address6(&world).then_some(()));
        let said = dig(words);
        assert!(
            said.contains("status: NOERROR") && said.contains(&address),
            "{words}: {said}"
        );
    }
    assert_eq!(world.stop(), Some(0));
}

fn has_address6(world: &World) -> bool {
    let args = [
        "-6",
        "addr",
        "show",
        "dev",
        "eth0",
        "scope",
        "global",
        "-tentative",
    ];
    world.output("lan", "ip", &args).contains("inet6 fd")
}

/// The public key of the root zone, as resolvers carry it.
const ROOT: &str = ". IN DS 20326 8 2 \
                    E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D";

/// What a resolver that validates makes of a name: its status, and the addresses.
fn unbound(world: &World, program: &str, settings: &str) -> String {
    let dir = world.dir.display();
    let text = format!(
        "server:\n interface: 127.0.0.1\n port: 5354\n do-daemonize: no\n username: \"\"\n \
         chroot: \"\"\n directory: \"{dir}\"\n pidfile: \"\"\n use-syslog: no\n \
         module-config: \"validator iterator\"\n trust-anchor: \"{ROOT}\"\n{settings}\
         remote-control:\n control-enable: no\n\
         forward-zone:\n name: \".\"\n forward-addr: {OWN}\n"
    );
    let file = world.dir.join("unbound.conf");
    fs::write(&file, text).unwrap();
    let _resolver = Beside::start(world, &[program, "-c", &file.display().to_string()]);
    let args = [
        "-p",
        "5354",
        "@127.0.0.1",
        "+tries=1",
        "+time=5",
        "foo.i2p",
        "A",
    ];
    wait_for("unbound's answer", || {
        let said = world.output("lan", "dig", &args);
        said.contains("status: ").then_some(said)
    })
}

/// A resolver behind the box that validates: what it has to be told, and no more.
#[test]
fn a_validating_resolver_downstream_needs_one_line() {
    let Some(program) = find("unbound").filter(|_| find("dig").is_some()) else {
        return;
    };
    let unbound = |world: &World, settings: &str| unbound(world, &program, settings);
    let Some((mut world, router)) = plugged_in("ipv6 = false\n[virtual]\nviews = \"shared\"")
    else {
        return;
    };
    udhcpc(&world, &[]).unwrap();
    // The root's signatures are not to be had here, so that nothing can be proven.
    let said = unbound(&world, "");
    assert!(said.contains("status: SERVFAIL"), "{said}");
    let insecure = " domain-insecure: \"i2p\"\n";
    let said = unbound(&world, insecure);
    assert!(
        said.contains("status: NOERROR") && said.contains("198.1"),
        "{said}"
    );
    // Protection against rebinding as its manual shows it: 198.18.0.0/15 is not among those.
    let private = " private-address: 10.0.0.0/8\n private-address: 172.16.0.0/12\n \
                   private-address: 192.168.0.0/16\n private-address: 169.254.0.0/16\n \
                   private-address: fd00::/8\n private-address: fe80::/10\n";
    let said = unbound(&world, &format!("{insecure}{private}"));
    assert!(
        said.contains("status: NOERROR") && said.contains("198.1"),
        "{said}"
    );
    // Where somebody has added it, the zone has to be named.
    let more = format!("{insecure} private-address: 198.18.0.0/15\n");
    let said = unbound(&world, &more);
    assert!(!said.contains("198.1"), "{said}");
    let said = unbound(&world, &format!("{more} private-domain: \"i2p\"\n"));
    assert!(said.contains("status: NOERROR"), "{said}");
    let address: IpAddr = line_address(&said);
    let got = world.inside("lan", || {
        fetch((address, 80).into(), b"GET /", Duration::ZERO)
    });
    assert!(got.unwrap() == site());
    assert_eq!(router.opens.lock().unwrap().len(), 1);
    assert_eq!(world.stop(), Some(0));
}

/// The address of an answer that dig has printed.
fn line_address(said: &str) -> IpAddr {
    let line = said.lines().find(|l| l.starts_with("foo.i2p."));
    line.unwrap()
        .split_whitespace()
        .next_back()
        .unwrap()
        .parse()
        .unwrap()
}

/// Runs networkd as in a container: no udev, so that links are ready as they are, and nothing of
/// the machine's own.
const NETWORKD: &str = "mount -o remount,ro,bind /sys || mount -o remount,ro /sys || exit 1
mount -t tmpfs none /run && mkdir -p /run/systemd/network || exit 1
printf '[Match]\\nName=eth0\\n[Network]\\nDHCP=yes\\nIPv6AcceptRA=yes\\n\
        LinkLocalAddressing=ipv6\\n' >/run/systemd/network/10.network
exec /usr/lib/systemd/systemd-networkd";

/// systemd-networkd takes addresses of both families, both routes and the virtual one, and asks
/// DHCPv6 because the advertisement says so.
#[test]
fn systemd_networkd_gets_everything() {
    if find("systemd-networkd").is_none() {
        return;
    }
    let Some((mut world, _router)) = plugged_in("address6 = \"fd77:1::1/64\"") else {
        return;
    };
    let networkd = Beside::start(&world, &["sh", "-c", NETWORKD]);
    let ip_says = |words: &str| {
        let words: Vec<_> = words.split_whitespace().collect();
        world.output("lan", "ip", &words)
    };
    let v4 = wait_for("an IPv4 address", || {
        let text = ip_says("-4 -o addr show dev eth0");
        let at = text.find("inet 192.168.77.")?;
        text[at..].split_whitespace().nth(1).map(str::to_owned)
    });
    wait_for("an IPv6 address", || has_address6(&world).then_some(()));
    wait_for("routes", || {
        let v4 = ip_says("route show default").contains("via 192.168.77.1");
        let v6 = ip_says("-6 route show");
        (v4 && v6.contains("default") && v6.contains("fc")).then_some(())
    });
    for kind in [A, AAAA] {
        let found = world
            .inside("lan", || dns_udp(own(), "foo.i2p.", kind))
            .unwrap();
        let got = world.inside("lan", || {
            fetch((found.1[0], 80).into(), b"GET /", Duration::ZERO)
        });
        assert!(got.unwrap() == site(), "{kind}");
    }
    let devices = world.admin("devices\n");
    assert!(devices.contains(v4.trim_end_matches("/24")), "{devices}");
    drop(networkd);
    assert_eq!(world.stop(), Some(0));
}

/// Attempts at unknown virtual addresses, all at once; how many were refused within a second.
fn tries(count: u16) -> usize {
    let ask = |n: u16| {
        let [high, low] = (n * 7 + 300).to_be_bytes();
        let to = SocketAddr::from(([198, 19, high, low], 7000));
        let limit = Duration::from_secs(1);
        let said = TcpStream::connect_timeout(&to, limit).and_then(|mut stream| {
            stream.set_read_timeout(Some(limit))?;
            stream.read(&mut [0])
        });
        let late = [std::io::ErrorKind::WouldBlock, std::io::ErrorKind::TimedOut];
        !said.is_err_and(|e| late.contains(&e.kind()))
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..count).map(|n| scope.spawn(move || ask(n))).collect();
        let all = all.into_iter().map(|one| one.join().unwrap());
        all.filter(|refused| *refused).count()
    })
}

/// Who tries addresses out learns nothing any more above twenty a second, and others are refused
/// as before.
#[test]
fn refusals_to_one_device_stop() {
    let Some((mut world, _router)) = plugged_in("ipv6 = false") else {
        return;
    };
    udhcpc(&world, &[]).unwrap();
    let few = world.inside("lan", || tries(10));
    assert_eq!(few, 10, "a few are refused at once");
    let (start, silent) = (
        Instant::now(),
        "lan refusals kept back, too many tries of one device",
    );
    let refused = world.inside("lan", || tries(200));
    let may = 40 + 20 * (usize::try_from(start.elapsed().as_secs()).unwrap() + 1);
    assert!(
        (20..=may).contains(&refused),
        "{refused} refused of 200, {may} may be"
    );
    let kept_back = world.count(silent);
    assert!(
        kept_back >= 200 - u64::try_from(may).unwrap(),
        "{kept_back}"
    );
    // Another device beside it.
    let side = world.ns("lan");
    world.new_device("02:00:00:00:07:01");
    for line in [
        "addr flush dev eth0",
        "addr add 192.168.77.90/24 dev eth0",
        "route add default via 192.168.77.1",
    ] {
        ip(&format!("-n {side} -4 {line}"));
    }
    assert_eq!(world.inside("lan", || tries(10)), 10);
    // ICMP refusals are bounded too: 400 at once, then 200 a second.
    let start = Instant::now();
    let answered = world.inside("lan", || (0..1000).filter(|_| datagram_refused()).count());
    let may = 450 + 200 * usize::try_from(start.elapsed().as_millis()).unwrap() / 1000;
    assert!(
        (100..=may).contains(&answered) && answered < 900,
        "{answered}, {may} may be"
    );
    assert_eq!(world.stop(), Some(0));
}

/// Sends a datagram to nobody; whether an ICMP error is there two milliseconds later.
fn datagram_refused() -> bool {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("203.0.113.9:4000").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(2)))
        .unwrap();
    let _ = socket.send(b"quic?");
    let refused = std::io::ErrorKind::ConnectionRefused;
    let host = std::io::ErrorKind::HostUnreachable;
    socket.recv(&mut [0; 16]).is_err_and(|e| {
        e.kind() == refused || e.kind() == host || e.kind() == std::io::ErrorKind::PermissionDenied
    })
}

fn resident(world: &World) -> u64 {
    let file = format!("/proc/{}/status", world.gatewayd().unwrap());
    let status = fs::read_to_string(file).unwrap();
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// One device asks for 200,000 names in one go: what it gets is bounded, memory too, and another
/// device keeps its address and gets new ones. (How names of one device age is a test of `vip`.)
#[test]
fn two_hundred_thousand_names_of_one_device() {
    let Some((mut world, _router)) = plugged_in("ipv6 = false") else {
        return;
    };
    let side = world.ns("lan");
    let become_device = |mac: &str, last: u8| {
        world.new_device(mac);
        for line in [
            "addr flush dev eth0".to_owned(),
            format!("addr add 192.168.77.{last}/24 dev eth0"),
            "route replace default via 192.168.77.1".to_owned(),
        ] {
            ip(&format!("-n {side} -4 {line}"));
        }
    };
    let asks = |name: &str| {
        world
            .inside("lan", || dns_udp(own(), name, A))
            .unwrap()
            .1
            .first()
            .copied()
    };
    become_device("02:00:00:00:08:01", 91);
    let before = asks("foo.i2p.").unwrap();
    become_device("02:00:00:00:08:02", 92);
    asks("foo.i2p.");
    let small = resident(&world);
    world.inside("lan", || dns_flood(own(), 200_000));
    let large = resident(&world);
    eprintln!("gatewayd resident: {small} KiB before 200,000 names, {large} KiB behind them");
    assert!(large < small + 2048, "{small} {large}");
    become_device("02:00:00:00:08:01", 91);
    assert_eq!(asks("foo.i2p."), Some(before));
    assert!(asks("bar.i2p.").is_some());
    assert_eq!(world.stop(), Some(0));
}

/// 100 MB to a site and back: the same bytes.
#[test]
fn a_hundred_megabytes_there_and_back() {
    let Some((mut world, _router)) = plugged_in("ipv6 = false") else {
        return;
    };
    udhcpc(&world, &[]).unwrap();
    let byte = |n: u64| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
    let sent: Vec<u8> = (0..100_000_000).map(byte).collect();
    let address = world
        .inside("lan", || dns_udp(own(), "echo.i2p.", A))
        .unwrap()
        .1[0];
    let got = world.inside("lan", || {
        let mut stream = TcpStream::connect((address, 7000)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream.write_all(&sent).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut got = Vec::with_capacity(sent.len());
        stream.read_to_end(&mut got).unwrap();
        got
    });
    assert!(got == sent, "{} bytes", got.len());
    assert_eq!(world.stop(), Some(0));
}
