//! What flows hold while nobody reads them, and how soon a refusal is there, in namespaces of
//! their own: needs root, ip, nft and ss. By hand the readers stand still for as many seconds as
//! `RAMSON_HOLD` says:
//! `RAMSON_HOLD=600 cargo test -p ramson-gateway --test flows -- --nocapture`.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used)]

#[path = "netns/probe.rs"]
#[allow(dead_code)]
mod probe;
#[path = "netns/world.rs"]
#[allow(dead_code)]
mod world;

use hickory_proto::rr::RecordType;
use nix::unistd::{Uid, setfsuid};
use probe::{dns_udp, fetch, tcp_refused};
use ramson_gateway::flow::buffers::{TCP_RECEIVE, UNIX_SEND};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use world::{FakeRouter, ROUTER, World, ip, missing, site, wait_for};

const STREAMS: usize = 200;

/// After this what was under way has arrived.
const SETTLED: Duration = Duration::from_secs(3);

/// Where the kernel of a machine with 128 MiB begins to save TCP memory, and where it ends:
/// 1,320 and 2,640 pages.
const PRESSURE: usize = 1_320 * 4096;
const END: usize = 2_640 * 4096;

/// What one upload may hold: its window as the kernel counts it, and what is allocated ahead.
const STILL: usize = 2 * TCP_RECEIVE + 4096;

/// What one flow may add to gatewayd's resident memory: its two buffers and its task.
const RESIDENT: usize = 32 * 1024;

fn started() -> Option<(World, FakeRouter)> {
    if let Some(why) = missing() {
        assert!(std::env::var_os("CI").is_none(), "{why}");
        eprintln!("skipped: {why}");
        return None;
    }
    let mut world = World::new();
    let router = FakeRouter::start(&world.dir);
    let v6 = "address6 = \"fd77:1::1/64\"";
    let limits = "[limits]\nflows = 2048\nflows_per_client = 1000";
    world.start("wan0", &format!("{v6}\n{limits}"));
    wait_for("the first answer", || {
        world.inside("lan", || dns_udp(server(), "foo.i2p.", RecordType::A).ok())
    });
    Some((world, router))
}

fn server() -> IpAddr {
    IpAddr::from([192, 168, 77, 1])
}

fn resolve(name: &str, kind: RecordType) -> IpAddr {
    dns_udp(server(), name, kind).unwrap().1[0]
}

/// Connections of both families to a site, each with its first bytes sent.
fn connect(name: &str) -> Vec<TcpStream> {
    let to = [RecordType::A, RecordType::AAAA].map(|kind| resolve(name, kind));
    let open = |n: usize| {
        let to = SocketAddr::from((to[n % 2], 80));
        let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(5)).unwrap();
        stream.write_all(b"GET /").unwrap();
        stream
    };
    (0..STREAMS).map(open).collect()
}

/// Bytes that the kernel holds for the gateway's sockets of a kind, by its own count.
fn held(world: &World, kind: &str) -> usize {
    let text = world.output("gw", "ss", &["-Hnma", kind]);
    let memory = text.split("skmem:(").skip(1);
    let number = |socket: &str, field: &str| {
        let fields = socket.split(')').next().unwrap().split(',');
        let mut values = fields.filter_map(|f| f.strip_prefix(field)?.parse::<usize>().ok());
        values.next().unwrap_or(0)
    };
    // Of TCP: received, allocated ahead, queued for sending; of Unix sockets, sent and not read.
    let fields: &[&str] = if kind == "-t" {
        &["r", "f", "w"]
    } else {
        &["t"]
    };
    let sum = |socket: &str| fields.iter().map(|f| number(socket, f)).sum::<usize>();
    memory.map(sum).sum()
}

fn resident(world: &World) -> usize {
    let file = format!("/proc/{}/status", world.gatewayd().unwrap());
    let status = std::fs::read_to_string(file).unwrap();
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .unwrap();
    let kib: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib * 1024
}

/// How long 3 MB take that somebody reads.
fn flowing(world: &World) -> Duration {
    let start = Instant::now();
    let got = world.inside("lan", || {
        let to = (resolve("foo.i2p.", RecordType::A), 80).into();
        fetch(to, b"GET /", Duration::ZERO).unwrap()
    });
    assert!(got == site(), "{} bytes", got.len());
    start.elapsed()
}

fn hold() -> Duration {
    let seconds = std::env::var("RAMSON_HOLD").ok();
    Duration::from_secs(seconds.and_then(|s| s.parse().ok()).unwrap_or(10))
}

#[test]
fn stopped_readers_stay_inside_the_budget_while_others_flow() {
    let Some((world, _router)) = started() else {
        return;
    };
    let (alone, before) = (flowing(&world), resident(&world));
    let stopped = world.inside("lan", || connect("long.i2p."));
    let (start, mut slowest) = (Instant::now(), Duration::ZERO);
    // Under way at first, standing still afterwards.
    let (mut peak, mut most) = (0, 0);
    while start.elapsed() < hold() {
        slowest = slowest.max(flowing(&world));
        let now = held(&world, "-t");
        peak = peak.max(now);
        if start.elapsed() > SETTLED {
            most = most.max(now);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    let (unix, grown) = (held(&world, "-x"), resident(&world).saturating_sub(before));
    eprintln!(
        "{STREAMS} stopped readers: TCP {} KiB, {} at first, Unix {} KiB, resident {} KiB; \
         3 MB in {alone:?} alone, {slowest:?} beside them",
        most / 1024,
        peak / 1024,
        unix / 1024,
        grown / 1024
    );
    assert!(most > STREAMS * 4096, "nothing stands still: {most}");
    assert!(most < PRESSURE, "{most} of {PRESSURE}");
    assert!(peak < END, "{peak} of {END}");
    assert!(grown < STREAMS * RESIDENT, "{grown}");
    assert!(
        slowest < alone * 20 + Duration::from_secs(1),
        "{alone:?} {slowest:?}"
    );
    // They are there still: the first goes on when it is read again.
    let mut first = stopped.into_iter().next().unwrap();
    first
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let (mut got, mut buf) = (0, vec![0; 65_536]);
    while got < 5_000_000 {
        let n = first.read(&mut buf).unwrap();
        assert!(n > 0);
        got += n;
    }
}

#[test]
fn sites_that_stand_still_stay_inside_it_too() {
    let Some((world, _router)) = started() else {
        return;
    };
    // The site takes nothing behind the first five bytes.
    let still = world.inside("lan", || {
        let mut streams = connect("still.i2p.");
        for stream in &mut streams {
            stream.set_nonblocking(true).unwrap();
            while stream.write(&[7; 4096]).is_ok() {}
        }
        std::thread::sleep(Duration::from_secs(1));
        streams
    });
    let (tcp, unix) = (held(&world, "-t"), held(&world, "-x"));
    eprintln!(
        "{STREAMS} uploads that stand still: TCP {} KiB, Unix {} KiB",
        tcp / 1024,
        unix / 1024
    );
    assert!(tcp < STREAMS * STILL, "{tcp}");
    assert!(unix < STREAMS * (4 * UNIX_SEND), "{unix}");
    flowing(&world);
    drop(still);
}

#[test]
fn readers_that_vanish_stay_inside_it_too() {
    let Some((world, _router)) = started() else {
        return;
    };
    let streams = world.inside("lan", || connect("long.i2p."));
    let reader = |mut stream: TcpStream| {
        std::thread::spawn(move || {
            stream
                .set_read_timeout(Some(Duration::from_secs(2)))
                .unwrap();
            let mut buf = vec![0; 65_536];
            while stream.read(&mut buf).is_ok_and(|n| n > 0) {}
            stream
        })
    };
    let readers: Vec<_> = streams.into_iter().map(reader).collect();
    std::thread::sleep(Duration::from_secs(1));
    ip(&format!("-n {} link set eth0 down", world.ns("lan")));
    let _streams: Vec<_> = readers.into_iter().map(|r| r.join().unwrap()).collect();
    let tcp = held(&world, "-t");
    eprintln!("{STREAMS} readers that vanished: TCP {} KiB", tcp / 1024);
    assert!(tcp < END, "{tcp}");
}

#[test]
fn a_refusal_is_there_at_once() {
    let Some((world, _router)) = started() else {
        return;
    };
    let took = |to: SocketAddr| {
        let mut times: Vec<_> = (0..9)
            .map(|_| {
                let start = Instant::now();
                tcp_refused(to);
                let took = start.elapsed();
                // More than 20 a second would be dropped.
                std::thread::sleep(Duration::from_millis(60));
                took
            })
            .collect();
        times.sort();
        times[4]
    };
    let all = world.inside("lan", || {
        let mut tos = vec![
            "198.18.0.0:80".parse().unwrap(),
            "203.0.113.5:443".parse().unwrap(),
        ];
        for kind in [RecordType::A, RecordType::AAAA] {
            tos.extend(
                [80, 443, 7000].map(|port| SocketAddr::from((resolve("bad.i2p.", kind), port))),
            );
        }
        tos.into_iter()
            .map(|to: SocketAddr| (to, took(to)))
            .collect::<Vec<_>>()
    });
    for (to, time) in all {
        eprintln!("refused in {time:?}: {to}");
        assert!(time < Duration::from_millis(100), "{to}: {time:?}");
    }
}

/// What the router's process has sent and closed arrives on the WAN at the reader's own pace.
#[test]
fn three_megabytes_leave_on_the_wan_after_their_socket_is_closed() {
    let Some((world, _router)) = started() else {
        return;
    };
    let listener = world.inside("wan", || TcpListener::bind("10.1.0.1:7").unwrap());
    let sent = site();
    let got = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            let (mut got, mut buf) = (Vec::new(), vec![0; 20_000]);
            while let n @ 1.. = stream.read(&mut buf).unwrap() {
                got.extend_from_slice(&buf[..n]);
                std::thread::sleep(Duration::from_millis(20));
            }
            got
        });
        world.inside("gw", || {
            setfsuid(Uid::from_raw(ROUTER));
            let mut stream = TcpStream::connect("10.1.0.1:7").unwrap();
            let size = 4 << 20;
            nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::SndBuf, &size)
                .unwrap();
            stream.write_all(&sent).unwrap();
        });
        reader.join().unwrap()
    });
    assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
}
