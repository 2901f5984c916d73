//! What is tried on the box itself, from the WAN, and by changing what the rules rest on.

use super::Scene;
use super::frames::{Path, arp, solicitation};
use super::table::Table;
use super::watch::{Owner, Sender};
use super::world::{GATEWAY, ROUTER, ip, wait_for};
use crate::probe::connects;
use nix::unistd::{Uid, setfsuid};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::time::Duration;

/// All of them while the gateway runs.
pub fn all(scene: &Scene, table: &mut Table) {
    table.check(
        "11",
        "programs of the box that are not the router",
        programs(scene),
    );
    table.check("+4", "a raw socket inside the box", raw_sender(scene));
    table.check(
        "17",
        "a new interface, a VLAN, another name",
        interfaces(scene),
    );
    table.check("+5", "both ports on a bridge", bridged(scene));
    table.check(
        "39 +6",
        "forwarding switched on behind our back",
        forwarding(scene),
    );
    table.check(
        "+2 +9",
        "WAN routes that cover LAN and sites",
        covering(scene),
    );
    table.check(
        "19, 20",
        "the WAN asks for services",
        scan_from_the_wan(scene),
    );
    table.check(
        "+3",
        "ARP and ND for LAN addresses on the WAN",
        resolution(scene),
    );
    table.check("+7", "9,000 made-up IPv6 sources", crowd(scene));
    table.check(
        "+10",
        "LAN-side scan: ports besides 53, 67, 80",
        scan_from_the_lan(scene),
    );
    table.check(
        "+1",
        "routes and addresses that clients made the box take",
        taken(scene),
    );
    table.check(
        "28",
        "entries of connection tracking after 500 flows",
        tracked(scene),
    );
    table.check("39", "forwarding on any interface", forwarding_now(scene));
}

/// Connections and datagrams of other users are not seen; those of the router are.
fn programs(scene: &Scene) -> usize {
    let world = &scene.world;
    let listener = world.inside("wan", || TcpListener::bind("10.1.0.1:7").unwrap());
    let to = listener.local_addr().unwrap();
    let try_as = |uid| {
        world.inside("gw", || {
            setfsuid(Uid::from_raw(uid));
            for port in [53, 123, 443, 7] {
                let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
                // Refused on the spot, or sent.
                let _ = socket.send_to(b"x", ("10.1.0.1", port));
            }
            connects(to)
        })
    };
    scene.watch.owners();
    assert!(!try_as(0) && !try_as(GATEWAY) && !try_as(65_534));
    let seen = scene.watch.owners();
    let leaks = seen
        .iter()
        .filter(|o| !matches!(o, Owner::Arp | Owner::Discovery))
        .count();
    assert!(try_as(ROUTER), "the router cannot connect");
    let router = scene.watch.owners();
    assert!(
        router.contains(&Owner::Router),
        "the router's flow is not seen: {router:?}"
    );
    leaks
}

/// A program with a raw socket sends what it wants on the WAN interface.
fn raw_sender(scene: &Scene) -> usize {
    let sender = Sender::new(&scene.world, "gw", "wan0");
    let from = |from: &str, to: &str| Path {
        from_mac: sender.mac(),
        to_mac: [2, 0, 0, 0, 2, 2],
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
    };
    let frames = [
        from("192.168.77.10", "203.0.113.7").udp(53, b"x"),
        from("198.18.0.5", "203.0.113.7").tcp(443, 2),
        from("1.2.3.4", "203.0.113.7").icmp(64, 8, 0, &[0; 8]),
        from("fd77:1::10", "2001:db8::7").udp(53, b"x"),
        from("fc00::5", "2001:db8::7").tcp(443, 2),
    ];
    scene.watch.leaks();
    // The rules drop them silently or with an error, as the kernel likes.
    sender.send(&frames);
    scene.watch.leaks().len()
}

/// Probes through interfaces that nobody has named to the rules.
fn interfaces(scene: &Scene) -> usize {
    let (world, gw) = (&scene.world, scene.world.ns("gw"));
    let lan = world.ns("lan");
    scene.watch.leaks();
    for line in [
        format!("-n {gw} link add usb0 type veth peer name usb1 netns {lan}"),
        format!("-n {gw} addr add 192.168.90.1/24 dev usb0"),
        format!("-n {gw} link set usb0 up"),
        format!("-n {lan} addr add 192.168.90.2/24 dev usb1"),
        format!("-n {lan} link set usb1 up"),
    ] {
        ip(&line);
    }
    // Not every kernel has VLANs.
    for line in [
        "link add link lan0 name lan0.5 type vlan id 5",
        "link set lan0.5 up",
    ] {
        let words: Vec<_> = line.split(' ').collect();
        world.output("gw", "ip", &words);
    }
    let usb = Sender::new(world, "lan", "usb1");
    let far = Sender::new(world, "gw", "usb0").mac();
    let path = |to: &str| Path {
        from_mac: usb.mac(),
        to_mac: far,
        from: Ipv4Addr::new(192, 168, 90, 2).into(),
        to: to.parse().unwrap(),
    };
    for to in ["203.0.113.7", "10.1.0.1"] {
        usb.send(&[path(to).udp(53, b"x"), path(to).tcp(443, 2)]);
    }
    // Tagged frames on the LAN.
    let mut tagged = scene.probes[0].frames.clone();
    for frame in &mut tagged {
        frame.splice(12..12, [0x81, 0, 0, 5]);
    }
    scene.client.send(&tagged);
    let leaks = scene.watch.leaks().len();
    ip(&format!("-n {gw} link del usb0"));
    world.output("gw", "ip", &["link", "del", "lan0.5"]);
    leaks
}

/// Both ports become ports of a bridge, where the rules of the IP families do not look.
fn bridged(scene: &Scene) -> usize {
    let gw = scene.world.ns("gw");
    scene.watch.leaks();
    ip(&format!("-n {gw} link add br9 type bridge"));
    for port in ["lan0", "wan0"] {
        ip(&format!("-n {gw} link set {port} master br9"));
    }
    ip(&format!("-n {gw} link set br9 up"));
    std::thread::sleep(Duration::from_millis(200));
    let mut frames = scene.probes[0].frames.clone();
    // To the next hop itself, as on one link.
    for frame in &mut frames {
        frame[..6].copy_from_slice(&[2, 0, 0, 0, 2, 2]);
    }
    scene.client.send(&frames);
    let leaks = scene.watch.leaks().len();
    for port in ["lan0", "wan0"] {
        ip(&format!("-n {gw} link set {port} nomaster"));
    }
    ip(&format!("-n {gw} link del br9"));
    leaks
}

/// The switches of each interface are thrown while `ip_forward` reads 0.
fn forwarding(scene: &Scene) -> usize {
    scene.world.inside("gw", || {
        for file in [
            "ipv4/conf/lan0/forwarding",
            "ipv4/conf/wan0/forwarding",
            "ipv6/conf/lan0/forwarding",
            "ipv6/conf/wan0/force_forwarding",
            "ipv6/conf/all/forwarding",
        ] {
            // Not every kernel has every switch.
            let _ = fs::write(format!("/proc/sys/net/{file}"), "1");
        }
    });
    let leaks = scene.try_all().iter().sum();
    assert_eq!(scene.world.admin("reload\n"), "reload: ok\n");
    leaks
}

/// The advertisement and the redirects among the probes have left nothing behind.
fn taken(scene: &Scene) -> usize {
    let routes = scene
        .world
        .output("gw", "ip", &["-6", "route", "show", "dev", "lan0"]);
    let addresses = scene
        .world
        .output("gw", "ip", &["-6", "addr", "show", "dev", "lan0"]);
    let cached = scene
        .world
        .output("gw", "ip", &["route", "get", "203.0.113.7"]);
    let taken = |text: &str, what: &str| usize::from(text.contains(what));
    taken(&routes, "default") + taken(&addresses, "2001:db8") + taken(&cached, "192.168.77.10")
}

fn forwarding_now(scene: &Scene) -> usize {
    let gw = &scene.world;
    gw.inside("gw", || {
        let on = |file: &str| {
            let value = fs::read_to_string(format!("/proc/sys/net/{file}")).unwrap();
            usize::from(value.trim() != "0")
        };
        let per_interface: usize = ["ipv4", "ipv6"]
            .iter()
            .flat_map(|f| {
                ["all", "default", "lan0", "wan0"].map(|i| on(&format!("{f}/conf/{i}/forwarding")))
            })
            .sum();
        on("ipv4/ip_forward") + per_interface
    })
}

/// As an upstream DHCP server could give them.
fn covering(scene: &Scene) -> usize {
    let gw = scene.world.ns("gw");
    let routes = [
        "192.168.77.0/28",
        "198.18.0.0/15",
        "192.168.0.0/16",
        "0.0.0.0/1",
    ];
    scene.watch.leaks();
    for route in routes {
        ip(&format!("-n {gw} route add {route} via 10.1.0.1"));
    }
    let leaks = scene.try_all().iter().sum();
    for route in routes {
        ip(&format!("-n {gw} route del {route}"));
    }
    leaks
}

/// Only the router's port answers, at the box's own address; nothing else does at any.
fn scan_from_the_wan(scene: &Scene) -> usize {
    let world = &scene.world;
    let _router = world.inside("gw", || TcpListener::bind("10.9.0.1:9999").unwrap());
    world.inside("wan", || {
        assert!(connects("10.9.0.1:9999".parse().unwrap()));
        let addresses = ["10.9.0.1", "192.168.77.1", "192.168.77.10", "198.18.0.5"];
        let ports = [22, 53, 67, 80, 443, 4444, 7002, 7070];
        let open = addresses
            .iter()
            .flat_map(|a| ports.map(|p| format!("{a}:{p}")));
        open.filter(|to| connects(to.parse().unwrap())).count()
            + usize::from(connects("192.168.77.1:9999".parse().unwrap()))
    })
}

/// The WAN side learns nothing of addresses that are not the WAN's.
fn resolution(scene: &Scene) -> usize {
    let outside = Sender::new(&scene.world, "wan", "eth0");
    let far: Ipv6Addr = "fe80::2:2".parse().unwrap();
    let mut frames = Vec::new();
    for to in ["192.168.77.1", "192.168.77.10", "198.18.0.5"] {
        frames.push(arp(
            outside.mac(),
            Ipv4Addr::new(10, 1, 0, 1),
            to.parse().unwrap(),
        ));
        frames.push(arp(
            outside.mac(),
            Ipv4Addr::new(192, 168, 77, 99),
            to.parse().unwrap(),
        ));
    }
    for to in ["fd77:1::1", "fd77:1::10", "fc00::5"] {
        frames.push(solicitation(outside.mac(), far, to.parse().unwrap()));
    }
    scene.watch.owners();
    outside.send(&frames);
    let seen = scene.watch.owners();
    // No answer at all: what the box says of its own besides is not about these.
    let answers = |owner: &&Owner| !matches!(owner, Owner::Discovery);
    seen.iter().filter(answers).count()
}

/// Made-up neighbours do not push the WAN's next hop out of the kernel's table.
fn crowd(scene: &Scene) -> usize {
    let world = &scene.world;
    let gateway = Sender::new(world, "gw", "lan0").mac();
    let frames: Vec<_> = (0..9000_u16)
        .map(|n| {
            let path = Path {
                from_mac: scene.client.mac(),
                to_mac: gateway,
                from: IpAddr::V6(Ipv6Addr::new(0xfd77, 1, 0, 0, 0, 0, 9, n)),
                to: "2001:db8::7".parse().unwrap(),
            };
            path.tcp(443, 2)
        })
        .collect();
    scene.watch.leaks();
    scene.client.send(&frames);
    let leaks = scene.watch.leaks().len();
    let listener = world.inside("wan", || TcpListener::bind("10.1.0.1:7").unwrap());
    let to = listener.local_addr().unwrap();
    wait_for("the next hop", || {
        let there = world.inside("gw", || {
            setfsuid(Uid::from_raw(ROUTER));
            connects(to)
        });
        there.then_some(())
    });
    let table = world.output("gw", "ip", &["-6", "neigh", "show", "nud", "all"]);
    assert!(table.lines().count() < 700, "{}", table.lines().count());
    leaks
}

fn scan_from_the_lan(scene: &Scene) -> usize {
    scene.world.inside("lan", || {
        let open = |to: String| usize::from(connects(to.parse().unwrap()));
        let mut count = 0;
        for port in (1..1100).chain([4444, 7002, 7070, 8080, 9999]) {
            let expected = [53, 80].contains(&port);
            if open(format!("192.168.77.1:{port}")) != usize::from(expected) {
                count += 1;
            }
        }
        count
    })
}

/// LAN flows are not tracked: a client cannot fill the table that the router's flows need.
fn tracked(scene: &Scene) -> usize {
    scene.world.inside("lan", || {
        for n in 0..500_u16 {
            let [high, low] = n.to_be_bytes();
            let to = Ipv4Addr::new(198, 18, high + 3, low);
            let _ = connects((to, 80).into());
        }
    });
    let text = scene.world.inside("gw", || {
        fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count").unwrap()
    });
    let entries: usize = text.trim().parse().unwrap();
    // The few that remain are the router's own, and those of the scan from the WAN.
    entries.saturating_sub(60)
}
