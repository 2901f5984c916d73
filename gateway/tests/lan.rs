//! Machines that were just plugged in: real clients of DHCP and router advertisements.

// Real time is what is measured here, and helpers of a test may panic as it may.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "netns/probe.rs"]
mod probe;
#[allow(dead_code)]
#[path = "netns/world.rs"]
mod world;

#[path = "netns/plugged.rs"]
mod plugged;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType::{A, AAAA};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use plugged::{plugged_in, udhcpc};
use probe::{dns_udp, fetch};
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::Duration;
use world::{Capture, World, ip, site, wait_for};

const OWN: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);

/// Whether the kernel has made an address of the advertised prefix, and may use it.
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

fn opens_the_site(world: &World, address: IpAddr) {
    let got = world.inside("lan", || {
        fetch((address, 80).into(), b"GET /", Duration::ZERO)
    });
    assert!(got.unwrap() == site(), "{address}");
}

/// The product in one test: nothing is set on the machine but that it asks for an address.
#[test]
fn a_machine_with_nothing_but_dhcp_opens_a_site_over_both_families() {
    let Some((mut world, router)) = plugged_in("") else {
        return;
    };
    let capture = Capture::new(&world);
    let told = udhcpc(&world, &["-x", "hostname:Laptop"]).unwrap();
    let address: Ipv4Addr = told[0].parse().unwrap();
    assert_eq!(
        told[1..5],
        ["24", "192.168.77.1", "192.168.77.1", "internal"]
    );
    assert_eq!(
        told[5..],
        ["600", "192.168.77.1"],
        "the first lease is short"
    );
    let asked = |kind| {
        let got = world.inside("lan", || dns_udp(OWN.into(), "foo.i2p.", kind));
        let (code, addresses) = got.unwrap();
        assert_eq!((code, addresses.len()), (ResponseCode::NoError, 1));
        addresses[0]
    };
    opens_the_site(&world, asked(A));
    // The kernel makes itself an address and takes the route, both from the advertisement.
    let virtual6 = asked(AAAA);
    let has = |args: &[&str], what: &str| world.output("lan", "ip", args).contains(what);
    wait_for("an IPv6 address", || has_address6(&world).then_some(()));
    assert!(has(&["-6", "route", "show", "default"], "via fe80:"));
    opens_the_site(&world, virtual6);
    // Both are one device, known by its name.
    let opens = router.opens.lock().unwrap();
    assert!(opens.len() >= 2 && opens.iter().all(|open| open.tag == opens[0].tag));
    drop(opens);
    let devices = world.admin("devices\n");
    assert!(
        devices.contains("laptop") && devices.contains(&address.to_string()),
        "{devices}"
    );
    // The address is in use now: the next lease is a long one.
    let again = udhcpc(&world, &["-x", "hostname:Laptop"]).unwrap();
    assert_eq!((&again[0], &again[5]), (&told[0], &"43200".to_owned()));
    default_route_stays(&world);
    lease_stays(&world, &told[0]);
    assert_eq!(capture.frames(), Vec::<Vec<u8>>::new());
    assert_eq!(world.stop(), Some(0));
}

/// A client that makes sure that its router is still there does not take it for a mere host.
fn default_route_stays(world: &World) {
    let side = world.ns("lan");
    let router = world.output("lan", "ip", &["-6", "route", "show", "default"]);
    let via = router.split_whitespace().nth(2).unwrap().to_owned();
    ip(&format!(
        "-n {side} -6 neigh change {via} dev eth0 nud probe"
    ));
    wait_for("the router's answer", || {
        let neighbours = world.output("lan", "ip", &["-6", "neigh", "show", &via, "dev", "eth0"]);
        neighbours.contains("REACHABLE").then_some(())
    });
    let after = world.output("lan", "ip", &["-6", "route", "show", "default"]);
    assert!(after.contains(&via), "the default route is gone");
    assert!(
        world
            .output("lan", "ip", &["-6", "neigh", "show", &via])
            .contains("router")
    );
}

/// `gatewayd` dies and everything in memory with it, but not its directory: the same address.
fn lease_stays(world: &World, address: &str) {
    std::thread::sleep(Duration::from_millis(400));
    let old = world.gatewayd().unwrap();
    kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
    wait_for("the restart", || world.gatewayd().filter(|new| *new != old));
    assert_eq!(world.count("leases"), 1);
    assert_eq!(udhcpc(world, &[]).unwrap()[0], address);
    let kept = fs::read(world.dir.join("state/kept/leases")).unwrap();
    let shows = |what: &[u8]| kept.windows(what.len()).any(|w| w == what);
    assert!(!shows(b"laptop") && !shows(&OWN.octets()[..3]));
}

/// Who else gives out addresses on the LAN ends our service, and is named.
#[test]
fn another_dhcp_server_on_the_lan_ends_the_service() {
    let Some((mut world, _router)) = plugged_in("") else {
        return;
    };
    assert!(udhcpc(&world, &[]).is_some());
    let side = world.ns("lan");
    ip(&format!("-n {side} addr add 192.168.1.1/24 dev eth0"));
    let mut other = Command::new("ip")
        .args([
            "netns",
            "exec",
            &side,
            "dnsmasq",
            "--keep-in-foreground",
            "--port=0",
        ])
        .args([
            "--interface=eth0",
            "--dhcp-range=192.168.1.50,192.168.1.60",
            "--leasefile-ro",
        ])
        .args([
            "--dhcp-authoritative",
            "--conf-file=/dev/null",
            "--pid-file",
        ])
        .spawn()
        .unwrap();
    let status = || world.admin("status\n");
    let seen = (0..150).any(|_| {
        std::thread::sleep(Duration::from_millis(200));
        status().contains("lan: not served, 192.168.1.1 gives out addresses there\n")
    });
    let said = status();
    let _ = other.kill();
    let _ = other.wait();
    assert!(seen, "{said}");
    assert!(udhcpc(&world, &[]).is_none(), "still served");
    assert_eq!(world.stop(), Some(0));
}

/// What curl makes of a URL whose name leads to the gateway's own address: code and body.
fn curl(world: &World, to: &str, url: &str, more: &[&str]) -> (String, String) {
    let to = format!("::{to}:80");
    let mut args = vec!["-s", "-m", "5", "-w", "\n%{http_code}", "--connect-to", &to];
    args.extend(more);
    args.push(url);
    let text = world.output("lan", "curl", &args);
    let (body, code) = text.rsplit_once('\n').unwrap();
    (code.to_owned(), body.to_owned())
}

/// Systems that ask whether they are online hear what they want, and the box has its page.
#[test]
fn devices_stay_on_the_network_and_the_box_has_a_page() {
    let Some((mut world, _router)) = plugged_in("address6 = \"fd77:1::1/64\"") else {
        return;
    };
    udhcpc(&world, &["-x", "hostname:Laptop"]).unwrap();
    names_lead_here(&world);
    for (url, code, body) in [
        (
            "http://captive.apple.com/hotspot-detect.html",
            "200",
            "<BODY>Success</BODY>",
        ),
        (
            "http://www.msftconnecttest.com/connecttest.txt",
            "200",
            "Microsoft Connect Test",
        ),
        (
            "http://connectivitycheck.gstatic.com/generate_204",
            "204",
            "",
        ),
        (
            "http://detectportal.firefox.com/success.txt?ipv4",
            "200",
            "success\n",
        ),
        (
            "http://nmcheck.gnome.org/check_network_status.txt",
            "200",
            "NetworkManager is online",
        ),
        ("http://www.google.com/search", "404", "no such page"),
        ("http://ramson.internal/", "200", "Protected"),
        ("http://192.168.77.1/", "200", "Not running"),
        ("http://evil.example/", "421", "does not lead here"),
        ("http://ramson/other", "404", "one page"),
    ] {
        let (got, text) = curl(&world, "192.168.77.1", url, &[]);
        assert!(got == code && text.contains(body), "{url}: {got} {text}");
    }
    wait_for("an IPv6 address", || has_address6(&world).then_some(()));
    let (code, text) = curl(&world, "[fd77:1::1]", "http://[fd77:1::1]/", &[]);
    assert!(code == "200" && text.contains("http://name.i2p/"));
    assert_eq!(
        curl(&world, "192.168.77.1", "http://ramson/", &["-d", "x=1"]).0,
        "405"
    );
    only_the_page_is_open(&world);
    assert_eq!(world.stop(), Some(0));
}

fn names_lead_here(world: &World) {
    let v4 = |name: &str| {
        let got = world.inside("lan", || dns_udp(OWN.into(), name, A));
        got.unwrap().1
    };
    for name in [
        "captive.apple.com.",
        "ramson.internal.",
        "ramson.",
        "www.msftconnecttest.com.",
    ] {
        assert_eq!(v4(name), [IpAddr::V4(OWN)], "{name}");
    }
    assert_eq!(v4("laptop.internal.").len(), 1);
    assert_eq!(
        v4("dns.msftncsi.com."),
        [IpAddr::V4(Ipv4Addr::new(131, 107, 255, 255))]
    );
    assert_eq!(v4("example.org."), Vec::<IpAddr>::new());
}

fn only_the_page_is_open(world: &World) {
    // A device that opens many connections and says nothing has its share, others have theirs.
    let silent = world.inside("lan", || {
        let to = (OWN, 80).into();
        let open = (0..40)
            .filter_map(|_| std::net::TcpStream::connect_timeout(&to, Duration::from_secs(1)).ok());
        open.collect::<Vec<_>>()
    });
    wait_for("the share", || {
        (world.count("own page ended, connections") >= 30).then_some(())
    });
    drop(silent);
    // Nothing else of the box is open.
    for port in [22, 443, 7002, 8080] {
        let got = world.inside("lan", || {
            std::net::TcpStream::connect_timeout(&(OWN, port).into(), Duration::from_secs(1))
        });
        assert_eq!(
            got.unwrap_err().kind(),
            std::io::ErrorKind::ConnectionRefused,
            "{port}"
        );
    }
}

/// A resolver behind the box that forwards to it and lets no private addresses through, as home
/// routers do; and a thousand connections at once of one device.
#[test]
fn a_resolver_downstream_and_a_thousand_connections() {
    let lan = "ipv6 = false\n[limits]\nflows = 4096\nflows_per_client = 2000\n\
               [virtual]\nviews = \"shared\"";
    let Some((mut world, router)) = plugged_in(lan) else {
        return;
    };
    let told = udhcpc(&world, &[]).unwrap();
    let client: Ipv4Addr = told[0].parse().unwrap();
    let mut resolver = Command::new("ip")
        .args([
            "netns",
            "exec",
            &world.ns("lan"),
            "dnsmasq",
            "--keep-in-foreground",
        ])
        .args([
            "--stop-dns-rebind",
            "--no-resolv",
            "--server=192.168.77.1",
            "--bind-interfaces",
        ])
        .args(["--conf-file=/dev/null", "--pid-file", "--interface=eth0"])
        .spawn()
        .unwrap();
    let name = wait_for("an answer of the resolver", || {
        let got = world.inside("lan", || dns_udp(client.into(), "echo.i2p.", A));
        got.ok().filter(|(_, addresses)| !addresses.is_empty())
    });
    let _ = resolver.kill();
    let _ = resolver.wait();
    let to = std::net::SocketAddr::from((name.1[0], 7000));
    let answers = world.inside("lan", || {
        let mut open: Vec<_> = (0..1000_u32)
            .map(|n| {
                let mut stream = std::net::TcpStream::connect(to).unwrap();
                stream
                    .set_read_timeout(Some(Duration::from_secs(20)))
                    .unwrap();
                stream.write_all(format!("stream {n}").as_bytes()).unwrap();
                stream
            })
            .collect();
        let mut right = 0;
        for (n, stream) in open.iter_mut().enumerate() {
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut said = String::new();
            stream.read_to_string(&mut said).unwrap();
            right += usize::from(said == format!("stream {n}"));
        }
        right
    });
    assert_eq!(answers, 1000);
    assert_eq!(router.opens.lock().unwrap().len(), 1000);
    assert_eq!(world.stop(), Some(0));
}

/// Another client's habits: a DUID as its identity, no broadcast flag, addresses probed by ARP.
#[test]
fn dhcpcd_gets_an_address_and_keeps_it() {
    let Some((mut world, _router)) = plugged_in("ipv6 = false") else {
        return;
    };
    let ask = || {
        let args = [
            "-f",
            "/dev/null",
            "-4",
            "-1",
            "-B",
            "-t",
            "15",
            "-C",
            "resolv.conf",
            "eth0",
        ];
        world.output("lan", "dhcpcd", &args);
        let text = world.output("lan", "ip", &["-4", "-o", "addr", "show", "dev", "eth0"]);
        let at = text
            .find("inet ")
            .unwrap_or_else(|| panic!("no address: {text}"));
        text[at..].split_whitespace().nth(1).unwrap().to_owned()
    };
    let first = ask();
    assert!(
        first.starts_with("192.168.77.") && first.ends_with("/24"),
        "{first}"
    );
    let routes = world.output("lan", "ip", &["route", "show", "default"]);
    assert!(routes.contains("via 192.168.77.1"), "{routes}");
    ip(&format!("-n {} addr flush dev eth0", world.ns("lan")));
    assert_eq!(ask(), first);
    assert_eq!(world.stop(), Some(0));
}
