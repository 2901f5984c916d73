//! The WAN by DHCP, with a real server at its far end, and a LAN that makes way for it.

// Real time is what is measured here, and helpers of a test may panic as it may.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "netns/probe.rs"]
mod probe;
#[allow(dead_code)]
#[path = "netns/world.rs"]
mod world;

use hickory_proto::rr::RecordType::A;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, socket};
use nix::unistd::{Uid, setfsuid};
use probe::{connects, dns_udp, fetch};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, Command};
use std::time::Duration;
use world::{FakeRouter, ROUTER, WAN_DHCP, World, ip, site, wait_for};

/// A server at the far end of the WAN; it ends when dropped.
struct Server(Child);

impl Server {
    /// `address` with its prefix is the server's own; leases last `secs`.
    fn start(world: &World, address: &str, range: &str, secs: u32) -> Self {
        let wan = world.ns("wan");
        ip(&format!("-n {wan} addr flush dev eth0"));
        ip(&format!("-n {wan} addr add {address} dev eth0"));
        let range = format!("--dhcp-range={range},{secs}");
        let child = Command::new("ip")
            .args([
                "netns",
                "exec",
                &wan,
                "dnsmasq",
                "--keep-in-foreground",
                "--port=0",
            ])
            .args([
                "--interface=eth0",
                &range,
                "--leasefile-ro",
                "--dhcp-authoritative",
            ])
            .args(["--conf-file=/dev/null", "--pid-file", "--no-ping"])
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn started(server: impl FnOnce(&World) -> Server) -> Option<(World, FakeRouter, Server)> {
    if let Some(what) = world::missing() {
        assert!(std::env::var_os("CI").is_none(), "{what}");
        eprintln!("skipped: {what}");
        return None;
    }
    let mut world = World::new();
    let gw = world.ns("gw");
    ip(&format!("-n {gw} addr flush dev wan0"));
    ip(&format!("-n {gw} route flush dev wan0"));
    let server = server(&world);
    let router = FakeRouter::start(&world.dir);
    world.wan_mode = "dhcp";
    world.start("wan0", "");
    wait_for("the start", || world.gatewayd());
    Some((world, router, server))
}

fn status(world: &World, line: &str) -> bool {
    world.admin("status\n").lines().any(|l| l == line)
}

/// Every frame of the box on the WAN: the kind of what it carries.
fn kinds(capture: &OwnedFd) -> Vec<String> {
    let (mut found, mut buf) = (Vec::new(), [0; 2048]);
    while let Ok(n) = recv(capture.as_raw_fd(), &mut buf, MsgFlags::empty()) {
        let frame = &buf[..n];
        if frame[6..12] == [2, 0, 0, 0, 2, 2] {
            continue;
        }
        found.push(match &frame[12..14] {
            [8, 6] => "arp".to_owned(),
            [0x86, 0xdd] => "ipv6".to_owned(),
            _ if frame[23] == 17 && frame[36..38] == [0, 67] => "dhcp".to_owned(),
            _ => format!("{:02x?}", &frame[..48.min(n)]),
        });
    }
    found
}

#[test]
fn the_wan_gets_an_address_keeps_it_and_tells_nothing() {
    let lease = |world: &World| Server::start(world, "192.0.2.1/24", "192.0.2.50,192.0.2.60", 120);
    let Some((mut world, _router, server)) = started(lease) else {
        return;
    };
    let capture = world.inside("wan", || {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let all = SockProtocol::EthAll;
        socket(AddressFamily::Packet, SockType::Raw, flags, all).unwrap()
    });
    let address = wait_for("a lease", || {
        let text = world.output("gw", "ip", &["-4", "addr", "show", "dev", "wan0"]);
        let start = text.find("192.0.2.")?;
        text[start..].split('/').next().map(str::to_owned)
    });
    wait_for("the rules of the address", || {
        status(&world, &format!("wan: by dhcp, {address}/24")).then_some(())
    });
    let route = world.output("gw", "ip", &["route", "show", "default"]);
    assert!(route.contains("via 192.0.2.1 dev wan0"), "{route}");
    // The router gets out; the client of DHCP gets nothing but its questions out.
    let listener = world.inside("wan", || TcpListener::bind("192.0.2.1:7").unwrap());
    let to = listener.local_addr().unwrap();
    let connects_as = |uid: u32| {
        world.inside("gw", || {
            setfsuid(Uid::from_raw(uid));
            connects(to)
        })
    };
    wait_for("the router's way out", || connects_as(ROUTER).then_some(()));
    kinds(&capture);
    assert!(!connects_as(WAN_DHCP));
    world.inside("gw", || {
        setfsuid(Uid::from_raw(WAN_DHCP));
        for port in [53, 67, 68, 123] {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            // Refused on the spot, or sent.
            let _ = socket.send_to(b"x", ("192.0.2.1", port));
        }
    });
    std::thread::sleep(Duration::from_millis(200));
    let seen = kinds(&capture);
    assert!(
        seen.iter().all(|kind| kind == "arp" || kind == "ipv6"),
        "{seen:?}"
    );
    // The server goes: the address stays for its time, and is asked for again.
    drop(server);
    let asked = (0..90).any(|_| {
        std::thread::sleep(Duration::from_secs(1));
        kinds(&capture).contains(&"dhcp".to_owned())
    });
    assert!(asked, "never renewed");
    assert!(
        world
            .output("gw", "ip", &["-4", "addr", "show", "dev", "wan0"])
            .contains(&address)
    );
    assert_eq!(world.stop(), Some(0));
}

/// An uplink that has the LAN's own prefix: the LAN moves, and is served where it is then.
#[test]
fn the_lan_makes_way_for_the_wan() {
    let same = |world: &World| {
        Server::start(
            world,
            "192.168.77.254/24",
            "192.168.77.50,192.168.77.59",
            600,
        )
    };
    let Some((mut world, _router, _server)) = started(same) else {
        return;
    };
    wait_for("the move", || {
        status(&world, "lan address: 10.77.77.1/24").then_some(())
    });
    let addresses = world.output("gw", "ip", &["-4", "addr", "show"]);
    assert!(addresses.contains("inet 10.77.77.1/24") && !addresses.contains("192.168.77.1/24"));
    let lan = world.ns("lan");
    ip(&format!("-n {lan} addr flush dev eth0"));
    ip(&format!("-n {lan} addr add 10.77.77.9/24 dev eth0"));
    ip(&format!("-n {lan} route add default via 10.77.77.1"));
    let box_: IpAddr = "10.77.77.1".parse().unwrap();
    let address = wait_for("a name", || {
        world.inside("lan", || dns_udp(box_, "foo.i2p.", A).ok())
    });
    let got = world.inside("lan", || {
        fetch((address.1[0], 80).into(), b"GET /", Duration::ZERO)
    });
    assert!(got.unwrap() == site());
    // A lease that could not be used at once is asked for again after ten seconds and more.
    let there = (0..400).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        let shown = world.output("gw", "ip", &["-4", "addr", "show", "dev", "wan0"]);
        shown.contains("inet 192.168.77.5")
    });
    assert!(there, "{}", world.admin("status\n"));
    // After a restart it is still there.
    assert_eq!(world.stop(), Some(0));
    world.start("wan0", "");
    wait_for("the restart", || world.gatewayd());
    assert!(status(&world, "lan address: 10.77.77.1/24"));
    assert_eq!(world.stop(), Some(0));
}

/// An uplink where the sites' addresses are: not taken, and the LAN is served all the same.
#[test]
fn an_uplink_over_the_sites_addresses_is_not_taken() {
    let sites =
        |world: &World| Server::start(world, "198.18.0.1/16", "198.18.0.50,198.18.0.60", 600);
    let Some((mut world, _router, _server)) = started(sites) else {
        return;
    };
    std::thread::sleep(Duration::from_secs(4));
    assert!(status(&world, "wan: by dhcp, no answer yet"));
    assert!(
        !world
            .output("gw", "ip", &["-4", "addr", "show", "dev", "wan0"])
            .contains("198.18.")
    );
    let name = world.inside("lan", || {
        dns_udp("192.168.77.1".parse().unwrap(), "foo.i2p.", A)
    });
    assert_eq!(name.unwrap().1.len(), 1);
    assert_eq!(world.stop(), Some(0));
}

/// Frames with the MAC of the box's other port, as of somebody who has guessed it, on both sides.
fn forge(world: &World) {
    let mac = |port: &str| {
        let shown = world.output("gw", "cat", &[&format!("/sys/class/net/{port}/address")]);
        shown.trim().to_owned()
    };
    for (side, other, to) in [
        ("lan", "wan0", "192.168.77.1"),
        ("wan", "lan0", "10.1.0.77"),
    ] {
        let ns = world.ns(side);
        let own = world.output(side, "cat", &["/sys/class/net/eth0/address"]);
        ip(&format!("-n {ns} link set eth0 address {}", mac(other)));
        world.inside(side, || {
            let socket = UdpSocket::bind("0.0.0.0:68").unwrap();
            socket.set_broadcast(true).unwrap();
            for _ in 0..20 {
                let _ = socket.send_to(&[1; 300], (to, 9));
                let _ = socket.send_to(&[1; 300], ("255.255.255.255", 67));
            }
        });
        // The supervisor looks every five seconds.
        std::thread::sleep(Duration::from_secs(6));
        ip(&format!("-n {ns} link set eth0 address {}", own.trim()));
    }
    let counted = world.count("packets dropped, as of one port of this box at the other");
    assert!(counted >= 20, "{counted}");
    assert_eq!(
        world.count("questions of this box at one port that came in by the other"),
        0
    );
}

/// With both ports in one network nothing is given out, and the box says why.
#[test]
fn both_ports_in_one_network_end_the_service() {
    let Some((mut world, _router, _server)) =
        started(|world| Server::start(world, "10.1.0.1/24", "10.1.0.50,10.1.0.60", 600))
    else {
        return;
    };
    let said = |world: &World| {
        let status = world.admin("status\n");
        let line = status.lines().find_map(|l| l.strip_prefix("lan: "));
        line.unwrap_or_default().to_owned()
    };
    assert_eq!(said(&world), "served");
    forge(&world);
    assert_eq!(said(&world), "served");
    let (lan, wan) = (world.ns("lan"), world.ns("wan"));
    ip(&format!(
        "-n {lan} link add x0 type veth peer name x0 netns {wan}"
    ));
    for side in [&lan, &wan] {
        ip(&format!("-n {side} link add br0 type bridge"));
        for link in ["eth0", "x0"] {
            ip(&format!("-n {side} link set {link} master br0"));
            ip(&format!("-n {side} link set {link} up"));
        }
        ip(&format!("-n {side} link set br0 up"));
    }
    let begun = std::time::Instant::now();
    let both = "not served, both ports of the box are in it";
    let seen = (0..400).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        said(&world) == both
    });
    assert!(seen, "{}", world.admin("status\n"));
    println!(
        "both ports in one network: seen after {:?}",
        begun.elapsed()
    );
    assert_eq!(world.stop(), Some(0));
}
