//! A start that cannot succeed touches nothing, and what can be done without ends no router.

// Helpers of a test may panic, and real processes need real time.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "place/place.rs"]
mod place;

use place::{PATIENCE, Place, vector, words};
use ramson_proto::crypto::sig::SigningKey;
use ramson_proto::rng::Rng;
use ramson_proto::wire::hash::base64;
use ramson_proto::wire::identity::{KeysAndCert, RouterIdentity};
use ramson_proto::wire::mapping::Mapping;
use ramson_proto::wire::router_address::RouterAddress;
use ramson_proto::wire::router_info::RouterInfo;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([name, &pid]).status().unwrap();
    assert!(sent.success());
}

/// Waits until the status has the line.
fn wait_for(place: &Place, line: &str) {
    let start = Instant::now();
    while !place.status().lines().any(|l| l == line) {
        let status = place.status();
        assert!(start.elapsed() < PATIENCE, "no {line} in\n{status}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn files(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut out = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(files(&path));
        } else {
            out.push((path.clone(), fs::read(path).unwrap()));
        }
    }
    out.sort();
    out
}

#[test]
fn a_second_router_on_the_same_data_touches_nothing() {
    let place = Place::new("second", "");
    let child = place.start();
    let before = files(&place.file("data"));
    for words_of in [&[][..], &["--config"][..]] {
        let output = match words_of {
            [] => place.run(&[]),
            // The same data under another configuration, with ports and sockets of its own.
            _ => {
                let text = fs::read_to_string(place.file("routerd.toml")).unwrap();
                let other = text.replace(".sock\"", "2.sock\"");
                let other = other.replace("net_id = 99", "net_id = 99\nport = 29177");
                fs::write(place.file("other.toml"), other).unwrap();
                let mut command = Command::new(env!("CARGO_BIN_EXE_routerd"));
                command.arg(place.file("other.toml")).output().unwrap()
            }
        };
        assert!(!output.status.success());
        let text = words(&output);
        let whose = format!("already running (pid {})", child.id());
        assert!(text.contains(&whose), "{text}");
        assert_eq!(files(&place.file("data")), before);
    }
    assert!(place.status().contains("netdb.store: open"));
    assert!(place.stop(child).status.success());
    assert!(!place.file("data/netdb.damaged").exists());
    assert!(place.start_and_stop().status.success());
}

#[test]
fn a_port_that_is_taken_leaves_the_database_alone() {
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let place = Place::new("port", "");
    assert!(place.start_and_stop().status.success());
    let config = fs::read_to_string(place.file("routerd.toml")).unwrap();
    let other = config.replace("net_id = 99", &format!("net_id = 99\nport = {port}"));
    fs::write(place.file("routerd.toml"), other).unwrap();
    let before = files(&place.file("data/netdb"));
    let output = place.run(&[]);
    assert!(!output.status.success());
    let text = words(&output);
    assert!(
        text.contains(&format!("NTCP2 at 0.0.0.0:{port}: ")),
        "{text}"
    );
    assert_eq!(files(&place.file("data/netdb")), before);
}

#[test]
fn a_database_of_another_format_is_left_alone_and_said() {
    let place = Place::new("format", "");
    assert!(place.start_and_stop().status.success());
    let conf = place.file("data/netdb/conf");
    let mut bytes = fs::read(&conf).unwrap();
    let at = bytes.windows(4).position(|w| w == b"0.34").unwrap();
    bytes[at..at + 4].copy_from_slice(b"9.99");
    fs::write(&conf, bytes).unwrap();
    let before = files(&place.file("data/netdb"));
    let child = place.start();
    let status = place.status();
    assert!(status.contains("netdb.store: none: "), "{status}");
    assert!(status.contains("version is 0.34"), "{status}");
    assert!(place.stop(child).status.success());
    assert_eq!(files(&place.file("data/netdb")), before);
    assert!(!place.file("data/netdb.damaged").exists());
}

#[test]
fn an_address_book_with_bad_lines_is_used_and_checked() {
    let place = Place::new("hosts", "");
    fs::create_dir_all(place.file("data")).unwrap();
    let dest = fs::read_to_string(vector("destination.b64")).unwrap();
    let dest = dest.trim();
    let mut book = b"\xef\xbb\xbf".to_vec();
    book.extend(format!("first.i2p={dest}\r\n").bytes());
    book.extend(b"caf\xe9.i2p=x\r\n");
    book.extend(format!("last.i2p={dest}\r").bytes());
    fs::write(place.file("data/hosts.txt"), book).unwrap();
    let named = "hosts.txt:2: the line has a name that is not ASCII";
    let output = place.run(&["--check-config"]);
    assert!(output.status.success(), "{}", words(&output));
    assert!(words(&output).contains(named), "{}", words(&output));
    let child = place.start();
    assert!(
        place.status().contains("\nnames: 2\n"),
        "{}",
        place.status()
    );
    let output = place.stop(child);
    assert!(words(&output).contains(named), "{}", words(&output));
}

#[test]
fn the_check_reads_every_file_and_makes_none() {
    let place = Place::new(
        "check",
        "[seeds]\ndir = \"../no-seeds\"\nsu3 = \"../no.su3\"\n",
    );
    let output = place.run(&["--check-config"]);
    assert!(!output.status.success());
    let text = words(&output);
    assert!(
        text.contains("no-seeds: ") && text.contains("no.su3: "),
        "{text}"
    );
    assert!(!place.file("data").exists());
    let place = Place::new("check2", "[seeds]\ncertificates = \"../certs\"\n");
    fs::create_dir_all(place.file("certs")).unwrap();
    fs::write(place.file("certs/me_at_home.crt"), "nonsense").unwrap();
    fs::create_dir_all(place.file("data/hosts.txt")).unwrap();
    fs::write(place.file("data/router.keys"), "nonsense").unwrap();
    let output = place.run(&["--check-config"]);
    assert!(!output.status.success());
    let text = words(&output);
    for what in ["certificate of me@home: ", "hosts.txt: ", "router.keys: "] {
        assert!(text.contains(what), "{text}");
    }
}

#[test]
fn a_hang_up_reads_files_again_and_loses_nothing() {
    let place = Place::new("hup", "");
    let child = place.start();
    wait_for(&place, "names: 0");
    let dest = fs::read_to_string(vector("destination.b64")).unwrap();
    fs::write(
        place.file("data/hosts.txt"),
        format!("a.i2p={}\n", dest.trim()),
    )
    .unwrap();
    let config = fs::read_to_string(place.file("routerd.toml")).unwrap();
    let other = config.replace("net_id = 99", "net_id = 98") + "[transit]\nkbytes_per_second = 9\n";
    fs::write(place.file("routerd.toml"), other).unwrap();
    signal(&child, "-HUP");
    wait_for(&place, "names: 1");
    // A configuration that is refused changes nothing.
    fs::write(place.file("routerd.toml"), "[tunnels]\nhops = 9\n").unwrap();
    signal(&child, "-HUP");
    fs::write(place.file("data/hosts.txt"), "").unwrap();
    std::thread::sleep(Duration::from_secs(1));
    fs::write(place.file("routerd.toml"), config).unwrap();
    assert!(
        place.status().contains("\nnames: 1\n"),
        "{}",
        place.status()
    );
    let output = place.stop(child);
    assert!(output.status.success());
    let text = words(&output);
    assert!(
        text.contains("network.net_id changed: it needs a restart"),
        "{text}"
    );
    assert!(
        text.contains("hops must be 0 to 3; everything stays as it was"),
        "{text}"
    );
    assert!(
        !text.contains("transit.kbytes_per_second changed"),
        "{text}"
    );
    assert!(text.trim_end().ends_with("stopped"), "{text}");
}

#[test]
fn seeds_that_cannot_be_used_are_counted() {
    let place = Place::new("counted", "[seeds]\ndir = \"../netDb\"\n");
    for (folder, file) in [("r0", "router1.dat"), ("rz", "router2.dat")] {
        fs::create_dir_all(place.file("netDb").join(folder)).unwrap();
        let to = place
            .file("netDb")
            .join(folder)
            .join(format!("routerInfo-{file}"));
        fs::copy(vector(file), to).unwrap();
    }
    let output = place.start_and_stop();
    assert!(output.status.success());
    let text = words(&output);
    let warning = "netDb: no usable RouterInfo; left out: 2 of network 2, not 99";
    assert!(
        text.contains(&format!("warn  {}", place.0.display())),
        "{text}"
    );
    assert!(text.contains(warning), "{text}");
}

/// A RouterInfo of the test's network that cannot be dialled.
fn router(rng: &mut Rng, n: u8) -> RouterInfo {
    let signing = SigningKey::random(rng);
    let filler = rng.bytes(320);
    let keys = KeysAndCert::ed25519(4, &rng.array::<32>(), &filler, &signing.public()).unwrap();
    let mut address = RouterAddress {
        cost: 10,
        expiration: 0,
        style: "NTCP2".to_owned(),
        options: Mapping::new(),
    };
    let options = &mut address.options;
    options.set("v", "2").set("host", format!("10.{n}.0.7"));
    options.set("s", base64(&rng.array::<32>()));
    options
        .set("i", base64(&rng.array::<16>()))
        .set("port", "20000");
    let mut options = Mapping::new();
    options.set("netId", "99").set("router.version", "0.9.67");
    options.set("caps", "LR");
    let wall = ramson_router::clock::now().wall;
    RouterInfo::build(&RouterIdentity(keys), wall, &[address], &options, &signing).unwrap()
}

#[test]
fn seeds_are_known_at_the_next_start_without_them() {
    let place = Place::new("stored", "[seeds]\ndir = \"../netDb\"\n");
    fs::create_dir_all(place.file("netDb/r1")).unwrap();
    let mut rng = Rng::from_number(1);
    for n in 0..20 {
        let info = router(&mut rng, n);
        fs::write(place.file(&format!("netDb/r1/{n}.dat")), info.as_bytes()).unwrap();
    }
    let child = place.start();
    wait_for(&place, "netdb.routers: 20");
    // They are written a few at a time.
    wait_for(&place, "uptime_seconds: 4");
    assert!(place.stop(child).status.success());
    fs::remove_dir_all(place.file("netDb")).unwrap();
    let child = place.start();
    wait_for(&place, "netdb.routers: 20");
    assert!(place.stop(child).status.success());
}
