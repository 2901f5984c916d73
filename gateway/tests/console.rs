//! The page that configures the box, from the LAN, with the real programs: the first password, a
//! session, devices, a reseed file, crashes, and visitors who never finish what they ask.

// Real time is what is measured here, and helpers of a test may panic as it may.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "netns/world.rs"]
mod world;

#[allow(dead_code)]
#[path = "update/bundle.rs"]
mod bundle;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use world::{CONSOLE, FakeRouter, GATEWAY, ROUTER, World, wait_for};

const V4: &str = "192.168.77.1:80";
const V6: &str = "[fd77:1::1]:80";

/// An answer: its code, its head, its body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

/// One request of a browser; `None` while nobody answers.
fn ask(to: &str, request: &str, headers: &str, body: &[u8]) -> Option<Answer> {
    let address: SocketAddr = to.parse().unwrap();
    let host = to.trim_end_matches(":80");
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(15)))
        .unwrap();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some(Answer {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

fn get(to: &str, path: &str, cookie: &str) -> Answer {
    ask(
        to,
        &format!("GET {path}"),
        &format!("Cookie: {cookie}\r\n"),
        b"",
    )
    .unwrap()
}

fn post(to: &str, path: &str, cookie: &str, body: &str) -> Answer {
    let host = to.trim_end_matches(":80");
    let headers = format!(
        "Origin: http://{host}\r\nCookie: {cookie}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n"
    );
    ask(to, &format!("POST {path}"), &headers, body.as_bytes()).unwrap()
}

/// What the router was given.
type Files = Arc<Mutex<Vec<Vec<u8>>>>;

/// The router's control socket: its status, and what it was given.
fn control(world: &World) -> Files {
    let path = world.dir.join("control.sock");
    let listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let given = Files::default();
    let files = Arc::clone(&given);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut got) = (stream.unwrap(), Vec::new());
            let mut chunk = [0; 65_536];
            loop {
                let n = stream.read(&mut chunk).unwrap();
                got.extend_from_slice(&chunk[..n]);
                let line = String::from_utf8_lossy(&got).into_owned();
                let line = line.split('\n').next().unwrap();
                let len = line
                    .strip_prefix("reseed ")
                    .map(|n| n.parse::<usize>().unwrap());
                if n == 0 || len.is_none_or(|len| got.len() >= line.len() + 1 + len) {
                    if line.starts_with("forget ") {
                        files.lock().unwrap().push(line.as_bytes().to_vec());
                    }
                    let said = match len {
                        None => "clock: ok\npeers: 7\nnetdb.routers: 120\n",
                        Some(_) => {
                            files.lock().unwrap().push(got.split_off(line.len() + 1));
                            "77 RouterInfos\n"
                        }
                    };
                    let _ = stream.write_all(said.as_bytes());
                    break;
                }
            }
        }
    });
    given
}

fn started() -> Option<(World, FakeRouter, Files)> {
    started_with(|_| {})
}

fn started_with(change: impl Fn(&mut World)) -> Option<(World, FakeRouter, Files)> {
    if let Some(what) = world::missing() {
        assert!(std::env::var_os("CI").is_none(), "{what}");
        eprintln!("skipped: {what}");
        return None;
    }
    let mut world = World::new();
    world.console = true;
    own_machine(&mut world);
    change(&mut world);
    let router = FakeRouter::start(&world.dir);
    let given = control(&world);
    world.start("wan0", "address6 = \"fd77:1::1/64\"");
    wait_for("the start", || world.gatewayd());
    wait_for("the console", || page(&world, "/"));
    Some((world, router, given))
}

/// The machine is nothing but this box, as far as it may be in a test: what would end it notes that
/// it was asked to.
fn own_machine(world: &mut World) {
    let (programs, data) = (world.dir.join("programs"), world.dir.join("data"));
    fs::create_dir(&programs).unwrap();
    for (name, does) in [
        ("reboot", "echo $0 >>"),
        ("poweroff", "echo $0 >>"),
        ("logread", "echo Nov 26 gw: a line of the log; :"),
    ] {
        let noted = world.dir.join("ended");
        let path = programs.join(name);
        fs::write(&path, format!("#!/bin/sh\n{does} {}\n", noted.display())).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }
    world.programs = Some(programs);
    let i2p = data.join("i2p");
    fs::create_dir_all(&i2p).unwrap();
    fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&i2p, Permissions::from_mode(0o700)).unwrap();
    fs::write(i2p.join("router.keys"), b"the identity").unwrap();
    chown(&i2p, Some(ROUTER), Some(ROUTER)).unwrap();
    let data = data.display();
    world.sections = format!("[machine]\nenabled = true\ndata = \"{data}\"");
}

/// A page of the console's, while it is there: it has forms, and the gateway's own has none.
fn page(world: &World, path: &str) -> Option<Answer> {
    let answer = world.inside("lan", || ask(V4, &format!("GET {path}"), "", b""))?;
    let policy = answer.header("Content-Security-Policy");
    policy.contains("form-action 'self'").then_some(answer)
}

fn console_pid(world: &World) -> Option<i32> {
    let status = world.admin("status\n");
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("console: running, pid "));
    line.and_then(|pid| pid.parse().ok())
}

/// A code from who is at the box, for the visitor; his cookie.
fn set_password(world: &World, password: &str) -> String {
    let said = world.admin("password-code\n");
    let code = said.lines().find_map(|l| l.strip_prefix("code: ")).unwrap();
    assert!(said.contains("http://192.168.77.1/setup"), "{said}");
    wait_for("the new console", || {
        page(world, "/setup").filter(|a| a.body.contains("Code that the box shows"))
    });
    world.inside("lan", || {
        let wrong = format!("code=00000000&new={password}&again={password}");
        assert_eq!(post(V4, "/setup", "", &wrong).status, 403);
        let right = format!("code={code}&new={password}&again={password}");
        let done = post(V4, "/setup", "", &right);
        assert_eq!(done.status, 303, "{}", done.body);
        done.header("Set-Cookie")
            .split(';')
            .next()
            .unwrap()
            .to_owned()
    })
}

fn token(page: &Answer) -> String {
    let rest = page.body.split("name=\"token\" value=\"").nth(1);
    rest.unwrap().split('"').next().unwrap().to_owned()
}

#[test]
fn a_visitor_sets_a_password_and_uses_the_page() {
    let Some((mut world, _router, given)) = started() else {
        return;
    };
    let cookie = set_password(&world, "correct+horse");
    world.inside("lan", || {
        for to in [V4, V6] {
            let home = get(to, "/", &cookie);
            assert!(
                home.body.contains("<dt>Connected</dt><dd>7</dd>"),
                "{}",
                home.body
            );
            assert_eq!(get(to, "/devices", "").header("Location"), "/login");
        }
        let devices = get(V4, "/devices", &cookie);
        assert!(devices.body.contains("this device"), "{}", devices.body);
        let token = token(&devices);
        let renewed = post(
            V4,
            "/devices/new-identity",
            &cookie,
            &format!("token={token}&device=all"),
        );
        assert_eq!(renewed.header("Location"), "/devices?done");
        assert!(get(V4, "/devices", &cookie).body.contains("identity 2"));
        // The router hears that the old one is not used any more.
        let told = wait_for("the router's word", || given.lock().unwrap().pop());
        let tag = String::from_utf8(told).unwrap();
        let hex = tag.strip_prefix("forget ").unwrap();
        assert!(
            hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()),
            "{tag}"
        );
        assert!(get(V4, "/router", &cookie).body.contains("<svg"));
        let file = vec![7; 1_500_000];
        let done = send_up("/reseed", &file, &token, &cookie);
        assert!(done.body.contains("77 RouterInfos"), "{}", done.body);
        assert_eq!(given.lock().unwrap().pop(), Some(file));
        assert_eq!(
            post(V4, "/reload", &cookie, &format!("token={token}")).header("Location"),
            "/?done"
        );
    });
    without_privileges(&world);
    crash(&world);
    assert_eq!(world.stop(), Some(0));
    world.start("wan0", "address6 = \"fd77:1::1/64\"");
    wait_for("the console after a restart", || page(&world, "/login"));
    log_in(&world);
}

/// The log, an end, a backup, its return, and that all is forgotten.
#[test]
fn the_machine_is_saved_restored_ended_and_forgotten() {
    let Some((mut world, _router, _given)) = started() else {
        return;
    };
    let cookie = set_password(&world, "correct+horse");
    let keys = world.dir.join("data/i2p/router.keys");
    let ended = || {
        let text = fs::read_to_string(world.dir.join("ended")).unwrap_or_default();
        let _ = fs::remove_file(world.dir.join("ended"));
        text.lines()
            .map(|l| l.rsplit('/').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    world.inside("lan", || {
        let log = get(V4, "/log", &cookie);
        assert!(log.body.contains("a line of the log"), "{}", log.body);
        let token = token(&log);
        let press =
            |path: &str, more: &str| post(V4, path, &cookie, &format!("token={token}&{more}"));
        assert_eq!(press("/machine/reboot", "").status, 200);
        assert_eq!(press("/machine/power-off", "").status, 200);
        assert_eq!(ended(), ["reboot", "poweroff"]);
        let saved = press("/machine/backup", "password=correct+horse");
        assert!(
            saved
                .header("Content-Disposition")
                .contains("ramson-backup.txt")
        );
        assert!(
            !press("/machine/backup", "password=x")
                .body
                .contains("i2p/router.keys")
        );
        fs::write(&keys, b"another").unwrap();
        let done = send_up("/machine/restore", saved.body.as_bytes(), &token, &cookie);
        assert!(done.body.contains("It is restored"), "{}", done.body);
        assert_eq!(fs::read(&keys).unwrap(), b"the identity");
        let stat = fs::metadata(&keys).unwrap();
        assert_eq!((stat.uid(), stat.mode() & 0o777), (ROUTER, 0o600));
        assert_eq!(ended(), ["reboot"]);
        let cut = &saved.body.as_bytes()[..saved.body.len() / 2];
        assert_eq!(
            send_up("/machine/restore", cut, &token, &cookie).status,
            422
        );
        let forgotten = press("/machine/forget", "password=correct+horse&sure=yes");
        assert_eq!(forgotten.status, 200, "{}", forgotten.body);
        assert_eq!(ended(), ["reboot"]);
        assert!(world.dir.join("data/factory-reset").exists());
    });
    by_hand(&world, &keys);
    assert_eq!(world.stop(), Some(0));
}

/// Files in the place of a disk's partitions, and what the system says of itself.
fn with_slots(world: &mut World, key: &ed25519_dalek::SigningKey) {
    let path = |name: &str| world.dir.join(name);
    let mut list = String::from("slot=a\n");
    for name in ["state", "boot_a", "root_a", "boot_b", "root_b"] {
        let file = path(&format!("part-{name}"));
        fs::write(&file, vec![0; bundle::ROOT]).unwrap();
        list += &format!("{name}={}\n", file.display());
    }
    fs::write(path("list"), list).unwrap();
    let public = ramson_layout::key::public_text(&key.verifying_key());
    fs::write(path("key"), public).unwrap();
    fs::write(path("version"), "0.1.0+100\n").unwrap();
    let mut arguments = Vec::new();
    for (flag, name) in [
        ("--boot-file", "list"),
        ("--update-key", "key"),
        ("--version-file", "version"),
    ] {
        arguments.extend([flag.to_owned(), path(name).display().to_string()]);
    }
    world.arguments = arguments;
}

/// The most memory that the console has taken, KiB.
fn peak(world: &World) -> u64 {
    let status = format!("/proc/{}/status", console_pid(world).unwrap());
    let status = fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let number = line.unwrap().split_whitespace().next();
    number.unwrap().parse().unwrap()
}

/// Sends an update in pieces, `pause` apart.
fn send_update(file: &[u8], token: &str, cookie: &str, pause: Duration) -> Answer {
    let head = "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
    let body = [head.as_bytes(), file, b"\r\n--XX--\r\n"].concat();
    let mut stream = TcpStream::connect(V4).unwrap();
    let time = Some(Duration::from_secs(60));
    stream.set_read_timeout(time).unwrap();
    let request = format!(
        "POST /update?{token} HTTP/1.1\r\nHost: 192.168.77.1\r\nOrigin: http://192.168.77.1\r\n\
         Cookie: {cookie}\r\nContent-Type: multipart/form-data; boundary=XX\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    for piece in body.chunks(1 << 20) {
        if stream.write_all(piece).is_err() {
            break;
        }
        std::thread::sleep(pause);
    }
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// An update through the page, which answers others meanwhile and does not keep it in memory.
#[test]
fn an_update_is_sent_up_while_others_are_answered() {
    let key = ed25519_dalek::SigningKey::from_bytes(&[4; 32]);
    let stranger = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    let Some((mut world, _router, _given)) = started_with(|world| with_slots(world, &key)) else {
        return;
    };
    let cookie = set_password(&world, "correct+horse");
    let (good, bad) = (
        bundle::bundle(&key, |_| {}),
        bundle::bundle(&stranger, |_| {}),
    );
    let now = Duration::ZERO;
    let before = peak(&world);
    world.inside("lan", || {
        let page = get(V4, "/update", &cookie);
        assert!(page.body.contains("0.1.0+100") && page.body.contains("a, good"));
        let token = token(&page);
        assert_eq!(
            send_update(&good, &token, "", now).header("Location"),
            "/login"
        );
        assert_eq!(send_update(&good, "0", &cookie, now).status, 403);
        assert!(get(V4, "/update", &cookie).body.contains("none yet"));
        let refused = send_update(&bad, &token, &cookie, now);
        assert_eq!(refused.status, 422);
        assert!(refused.body.contains("is not signed"), "{}", refused.body);
        let slow = Duration::from_millis(150);
        let mut slowest = Duration::ZERO;
        let sent = std::thread::scope(|threads| {
            let upload =
                threads.spawn(|| world.inside("lan", || send_update(&good, &token, &cookie, slow)));
            let mut under_way = false;
            while !upload.is_finished() {
                let begun = Instant::now();
                under_way |= get(V4, "/update", &cookie).body.contains("Under way");
                slowest = slowest.max(begun.elapsed());
                std::thread::sleep(Duration::from_millis(50));
            }
            assert!(under_way);
            upload.join().unwrap()
        });
        assert_eq!(sent.header("Location"), "/update", "{}", sent.body);
        println!("the page took {slowest:?} at most beside an update");
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
        let page = get(V4, "/update", &cookie);
        assert!(
            page.body.contains("0.1.0+200 is in slot b"),
            "{}",
            page.body
        );
        assert!(page.body.contains("Restart now"));
    });
    let after = peak(&world);
    println!("the console took {before} KiB at most before an update, {after} with it");
    assert!(after < before + 2048, "{before} {after}");
    let version = world.admin("version\n");
    assert!(version.contains("update: 0.1.0+200 is in slot b and starts next"));
    let written = fs::read(world.dir.join("part-boot_b")).unwrap();
    assert!(written.starts_with(&bundle::image(bundle::BOOT, 1)));
    assert_eq!(world.stop(), Some(0));
}

/// The same with `ramson ctl`.
fn by_hand(world: &World, keys: &std::path::Path) {
    let ctl = |words: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ramson"));
        command
            .args(["ctl", "--config"])
            .arg(world.dir.join("gateway.toml"))
            .args(words);
        let output = command.output().unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let file = world.dir.join("saved.txt");
    let path = file.to_str().unwrap();
    assert!(ctl(&["backup", path]).0);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    assert!(!ctl(&["backup", path]).0, "it is not overwritten");
    fs::write(keys, b"another").unwrap();
    assert_eq!(ctl(&["restore", path]), (true, "restore: ok\n".into()));
    assert_eq!(fs::read(keys).unwrap(), b"the identity");
    assert!(!ctl(&["restore", keys.to_str().unwrap()]).0);
    assert!(ctl(&["log"]).1.contains("a line of the log"));
    assert!(!ctl(&["factory-reset"]).0);
    assert!(ctl(&["factory-reset", "yes"]).0 && ctl(&["clock"]).1.contains("something else"));
}

/// A file as browsers send it, larger than any one buffer.
fn send_up(to: &str, file: &[u8], token: &str, cookie: &str) -> Answer {
    let part = |head: &str| format!("--X\r\nContent-Disposition: form-data; name={head}\r\n\r\n");
    let (first, second) = (part("\"token\""), part("\"password\""));
    let third = part("\"file\"; filename=\"f\"");
    let head = format!("{first}{token}\r\n{second}correct horse\r\n{third}");
    let body = [head.as_bytes(), file, b"\r\n--X--\r\n"].concat();
    let headers = format!(
        "Origin: http://192.168.77.1\r\nCookie: {cookie}\r\n\
         Content-Type: multipart/form-data; boundary=X\r\n"
    );
    ask(V4, &format!("POST {to}"), &headers, &body).unwrap()
}

fn crash(world: &World) {
    // The process dies: sessions are gone, the password is not, and the first page stays.
    kill(Pid::from_raw(console_pid(world).unwrap()), Signal::SIGKILL).unwrap();
    let since = Instant::now();
    world.inside("lan", || {
        let meanwhile = get(V4, "/", "");
        assert!(meanwhile.status == 200 && meanwhile.body.contains("Protected"));
    });
    wait_for("the console again", || page(world, "/login"));
    world.inside("lan", || {
        let setup = get(V4, "/setup", "");
        assert!(!setup.body.contains("name=\"new\""), "the code is used up");
    });
    println!("the page is there again {:?} after a kill", since.elapsed());
    log_in(world);
}

fn log_in(world: &World) {
    world.inside("lan", || {
        assert_eq!(post(V4, "/login", "", "password=wrong").status, 403);
        let done = post(V4, "/login", "", "password=correct+horse");
        assert_eq!(done.status, 303, "{}", done.body);
    });
}

fn without_privileges(world: &World) {
    let pid = console_pid(world).unwrap();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = |key: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(key));
        line.unwrap().trim().to_owned()
    };
    assert_eq!(
        value("Uid:").split_whitespace().next(),
        Some(CONSOLE.to_string().as_str())
    );
    for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
        assert_eq!(value(set), "0000000000000000", "{set}");
    }
    assert_eq!(value("NoNewPrivs:"), "1");
    println!("resident size of the console: {}", value("VmRSS:"));
    let socket = fs::metadata(world.dir.join("page/console.sock")).unwrap();
    assert_eq!((socket.uid(), socket.mode() & 0o777), (GATEWAY, 0o600));
    let password = fs::metadata(world.dir.join("state/console/password")).unwrap();
    assert_eq!((password.uid(), password.mode() & 0o777), (CONSOLE, 0o600));
}

/// A thousand requests that never end, from one device: whoever asks meanwhile, that device
/// included, has his page within a second.
#[test]
fn requests_that_never_end_keep_nobody_out() {
    let Some((world, _router, _given)) = started() else {
        return;
    };
    let cookie = set_password(&world, "correct+horse");
    world.inside("lan", || {
        let address: SocketAddr = V4.parse().unwrap();
        let mut held = Vec::new();
        for n in 0..1000 {
            let connected = TcpStream::connect_timeout(&address, Duration::from_secs(2));
            let Ok(mut stream) = connected else {
                continue;
            };
            let piece = if n % 2 == 0 {
                "GET / HTTP/1.1\r\nHost: 192"
            } else {
                "POST /login HTTP/1.1\r\nHost: 192.168.77.1\r\nOrigin: http://192.168.77.1\r\n\
                 Content-Length: 4000000\r\n\r\npassword="
            };
            let _ = stream.write_all(piece.as_bytes());
            held.push(stream);
            if n % 100 == 99 {
                let since = Instant::now();
                let answer = get(V4, "/devices", &cookie);
                let took = since.elapsed();
                assert!(answer.status == 200, "{n}: {}", answer.body);
                assert!(took < Duration::from_secs(1), "{n}: {took:?}");
            }
        }
        assert!(held.len() > 900, "{}", held.len());
    });
    let threads = fs::read_dir(format!("/proc/{}/task", console_pid(&world).unwrap()));
    let threads = threads.unwrap().count();
    assert!(threads < 20, "{threads} threads");
}
