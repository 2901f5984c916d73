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
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
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
