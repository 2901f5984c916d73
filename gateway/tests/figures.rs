//! Figures of the gateway, by hand: `cargo test --release -p ramson-gateway --test figures --
//! --ignored --nocapture --test-threads=1`. Nothing is asserted about time.

// Real time is what is measured here, and helpers of a test may panic as it may.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "netns/probe.rs"]
mod probe;
#[allow(dead_code)]
#[path = "netns/world.rs"]
mod world;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use nix::sys::socket::{setsockopt, sockopt};
use probe::{dns_udp, fetch};
use ramson_gateway::counters::Counters;
use ramson_gateway::dns::Dns;
use ramson_gateway::dns::hosts::Hosts;
use ramson_gateway::neigh::Neighbours;
use ramson_gateway::policy::Clients;
use ramson_gateway::vip::Vip;
use ramson_gateway::web::Facts;
use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::time::{Duration, Instant};
use world::{FakeRouter, World, wait_for};

/// Devices that ask; each may ask 300 times at once and then a hundred times a second.
const ASKERS: usize = 240;

fn question(n: usize) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    let name = Name::from_ascii(format!("site{}.i2p.", n % 20)).unwrap();
    message.add_query(Query::query(name, RecordType::A));
    message.to_vec().unwrap()
}

/// The name service over UDP on loopback, without the rules, which let one device ask 300 times a
/// second.
#[test]
#[ignore = "a measurement"]
fn dns_answers_a_second() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    setsockopt(&server, sockopt::Ipv4PacketInfo, &true).unwrap();
    server.set_nonblocking(true).unwrap();
    let to = server.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let facts = Facts {
            v4: Ipv4Addr::new(192, 168, 77, 1),
            v6: None,
            name: "ramson".into(),
            domain: "internal".into(),
            probes: true,
            console: false,
        };
        let vip = Vip::new([1; 16], "198.18.0.0/15".parse().unwrap(), None);
        let dns = Dns::new(
            Rc::new(RefCell::new(vip)),
            Hosts::new(facts, Rc::default()),
            Rc::new(RefCell::new(Clients::new([2; 16], "lo", None))),
            Rc::new(Counters::default()),
        );
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async move {
            let socket = tokio::net::UdpSocket::from_std(server).unwrap();
            dns.serve_udp(socket).await
        })
    });
    let sockets: Vec<_> = (0..ASKERS)
        .map(|n| {
            let [_, _, high, low] = u32::try_from(n + 256).unwrap().to_be_bytes();
            let socket = UdpSocket::bind((Ipv4Addr::new(127, 1, high, low), 0)).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(1)))
                .unwrap();
            socket.connect(to).unwrap();
            socket
        })
        .collect();
    let (start, mut answers) = (Instant::now(), 0);
    let mut buf = [0; 512];
    // What each may ask at once, not more.
    for _ in 0..250 {
        // So many at once as the socket's buffer takes.
        for group in sockets.chunks(60) {
            for (n, socket) in group.iter().enumerate() {
                socket.send(&question(n)).unwrap();
            }
            answers += group.iter().filter(|s| s.recv(&mut buf).is_ok()).count();
        }
    }
    let each = start.elapsed().as_secs_f64() / answers as f64;
    // Loopback has no neighbours, so the question who asks is timed by itself.
    let table = Neighbours::new("lo").unwrap();
    let (start, times) = (Instant::now(), 20_000u32);
    for _ in 0..times {
        assert_eq!(table.mac([127, 0, 0, 9].into()), None);
    }
    let look = start.elapsed().as_secs_f64() / f64::from(times);
    println!(
        "dns: {:.0} answers/s; {:.1} us more each to ask who asks: {:.0} answers/s",
        1.0 / each,
        look * 1e6,
        1.0 / (each + look)
    );
}

fn resident(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Fifty devices, each with a name and a stream behind it.
#[test]
#[ignore = "a measurement"]
fn resident_size_with_fifty_devices() {
    if let Some(what) = world::missing() {
        eprintln!("skipped: {what}");
        return;
    }
    let mut world = World::new();
    let _router = FakeRouter::start(&world.dir);
    world.start("wan0", "address6 = \"fd77:1::1/64\"");
    let pid = wait_for("the start", || world.gatewayd()).to_string();
    let supervisor = world.supervisor.as_ref().unwrap().id().to_string();
    let (before, before_root) = (resident(&pid), resident(&supervisor));
    let resolver: IpAddr = "192.168.77.1".parse().unwrap();
    for n in 0..50 {
        let side = world.ns("lan");
        world.new_device(&format!("02:00:00:00:05:{n:02x}"));
        for line in [
            "addr flush dev eth0 scope global".to_owned(),
            format!("addr add 192.168.77.{}/24 dev eth0", 20 + n),
            "route replace default via 192.168.77.1".to_owned(),
        ] {
            world::ip(&format!("-n {side} -4 {line}"));
        }
        world.inside("lan", || {
            for site in 0..10 {
                dns_udp(resolver, &format!("site{site}.i2p."), RecordType::A).unwrap();
            }
            let found = dns_udp(resolver, "foo.i2p.", RecordType::A).unwrap();
            fetch((found.1[0], 80).into(), b"GET /", Duration::ZERO).unwrap();
        });
    }
    assert_eq!(world.admin("devices\n").lines().count(), 50);
    println!(
        "resident: gatewayd {} KiB ({before} at the start), supervisor {} KiB ({before_root})",
        resident(&pid),
        resident(&supervisor)
    );
}

/// Devices that open connections, each with a MAC of its own: one may open 300 a second.
const OPENERS: usize = 16;
const EACH: usize = 300;

/// One connection of a device: opened, a byte there and back, closed.
fn echo_once(device: usize, to: SocketAddr) {
    use socket2::{Domain, SockAddr, Socket, Type};
    use std::io::{Read, Write};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let name = format!("m{device}");
    socket.bind_device(Some(name.as_bytes())).unwrap();
    let own = SocketAddr::from((opener(device), 0));
    socket.bind(&SockAddr::from(own)).unwrap();
    socket.connect(&SockAddr::from(to)).unwrap();
    let mut stream = std::net::TcpStream::from(socket);
    stream.write_all(b"x").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut got = Vec::new();
    stream.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"x");
}

fn opener(device: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 77, u8::try_from(100 + device).unwrap())
}

/// Connections a second of all devices together.
fn rate(world: &World, to: SocketAddr) -> f64 {
    let start = Instant::now();
    world.inside("lan", || {
        std::thread::scope(|scope| {
            for device in 0..OPENERS {
                scope.spawn(move || (0..EACH).for_each(|_| echo_once(device, to)));
            }
        });
    });
    (OPENERS * EACH) as f64 / start.elapsed().as_secs_f64()
}

/// Accepts and says again what it hears, one thread a connection, as the fake router does.
fn plain_echo(listener: &std::net::TcpListener) {
    use std::io::{Read, Write};
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        std::thread::spawn(move || {
            let mut got = Vec::new();
            stream.read_to_end(&mut got).unwrap();
            stream.write_all(&got).unwrap();
        });
    }
}

/// Through the box to the (fake) router beside a program that just accepts on the same link.
#[test]
#[ignore = "a measurement"]
fn connections_a_second_beside_plain_accept() {
    if let Some(what) = world::missing() {
        eprintln!("skipped: {what}");
        return;
    }
    let mut world = World::new();
    let (lan, gw) = (world.ns("lan"), world.ns("gw"));
    world.inside("lan", || {
        for (key, value) in [
            ("arp_ignore", "1"),
            ("arp_announce", "2"),
            ("rp_filter", "0"),
        ] {
            std::fs::write(format!("/proc/sys/net/ipv4/conf/all/{key}"), value).unwrap();
        }
    });
    for device in 0..OPENERS {
        let (name, own) = (format!("m{device}"), opener(device));
        for line in [
            format!("link add {name} link eth0 type macvlan mode bridge"),
            format!("addr add {own}/24 dev {name}"),
            format!("link set {name} up"),
            format!(
                "route add default via 192.168.77.1 dev {name} metric {}",
                1000 + device
            ),
        ] {
            world::ip(&format!("-n {lan} {line}"));
        }
    }
    world::ip(&format!("-n {gw} addr add 192.168.77.1/24 dev lan0"));
    world::ip(&format!("-n {gw} link set lan0 up"));
    let at = SocketAddr::from(([192, 168, 77, 1], 7000));
    let listener = world.inside("gw", || std::net::TcpListener::bind(at).unwrap());
    std::thread::spawn(move || plain_echo(&listener));
    let plain: Vec<_> = (0..3).map(|_| rate(&world, at)).collect();
    let router = FakeRouter::start(&world.dir);
    world.start("wan0", "ipv6 = false\n[virtual]\nviews = \"shared\"");
    wait_for("the start", || world.gatewayd());
    let resolver: IpAddr = "192.168.77.1".parse().unwrap();
    let found = wait_for("an answer", || {
        world.inside("lan", || dns_udp(resolver, "echo.i2p.", RecordType::A).ok())
    });
    let mut through = Vec::new();
    for _ in 0..3 {
        // Each device's allowance is full again.
        std::thread::sleep(Duration::from_secs(3));
        through.push(rate(&world, (found.1[0], 7000).into()));
    }
    let median = |all: &mut Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all[1]
    };
    let (mut plain, mut through) = (plain, through);
    let (a, b) = (median(&mut plain), median(&mut through));
    println!(
        "connections/s: plain accept {a:.0} ({plain:.0?}), through the box {b:.0} \
         ({through:.0?}), ratio {:.2}",
        b / a
    );
    drop(router);
}
