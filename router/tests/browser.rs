//! The web filter against a real browser: `cargo test -p ramson-router --test browser -- --ignored`
//! with Chromium installed. The core is played; everything stays on loopback.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used)]

use ramson_ipc::{CHUNK_END, Chunks, Kind, Open, chunk_head};
use ramson_proto::router::input::{ClientCmd, ClientId};
use ramson_proto::router::output::ClientEvent;
use ramson_proto::wire::hash::DestHash;
use ramson_router::listen::conn::Registry;
use ramson_router::listen::{http, stream_sock};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::{LocalSet, spawn_local};

/// First lines of requests, as they come.
type Seen = Arc<Mutex<Vec<String>>>;

/// A device of the LAN: answers everybody, remembers who asked.
fn device(page: String) -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (at, seen) = (listener.local_addr().unwrap(), Seen::default());
    let asked = Arc::clone(&seen);
    thread::spawn(move || {
        for socket in listener.incoming() {
            let (page, asked) = (page.clone(), Arc::clone(&asked));
            thread::spawn(move || serve(socket.unwrap(), &page, &asked));
        }
    });
    (at, seen)
}

fn serve(mut socket: TcpStream, page: &str, seen: &Seen) {
    let (mut got, mut piece) = (Vec::new(), [0; 4096]);
    while !got.windows(4).any(|w| w == b"\r\n\r\n") {
        match socket.read(&mut piece) {
            Ok(n @ 1..) => got.extend_from_slice(&piece[..n]),
            _ => return,
        }
    }
    note(seen, &got);
    let answer = ok("text/html", "", page);
    // The browser may have given up.
    let _ = socket.write_all(answer.as_bytes());
}

fn note(seen: &Seen, request: &[u8]) {
    let text = String::from_utf8_lossy(request);
    let line = text.lines().next().unwrap_or_default().to_owned();
    seen.lock().unwrap().push(line);
}

fn ok(kind: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

/// A proxy in front of one site, whose answers are this function of the request line.
fn proxy(site: impl Fn(&str) -> String + Send + 'static) -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let (at, seen) = (listener.local_addr().unwrap(), Seen::default());
    let asked = Arc::clone(&seen);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        LocalSet::new().block_on(&runtime.unwrap(), async move {
            let (tx, cmds) = channel(64);
            let registry = Registry::new(tx, [0; 32]);
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            spawn_local(http::serve(listener, registry.clone()));
            core(cmds, registry, site, asked).await;
        });
    });
    (at, seen)
}

/// A gateway's door to one site: every TCP connection becomes a stream to its port 8080.
fn door(site: impl Fn(&str) -> String + Send + 'static) -> (SocketAddr, Seen) {
    let n = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("ramson-door-{}-{n}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let streams = std::os::unix::net::UnixListener::bind(&path).unwrap();
    streams.set_nonblocking(true).unwrap();
    let seen = Seen::default();
    let asked = Arc::clone(&seen);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        LocalSet::new().block_on(&runtime.unwrap(), async move {
            let (tx, cmds) = channel(64);
            let registry = Registry::new(tx, [0; 32]);
            let streams = tokio::net::UnixListener::from_std(streams).unwrap();
            spawn_local(stream_sock::serve(streams, registry.clone(), Vec::new()));
            core(cmds, registry, site, asked).await;
        });
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let stream = UnixStream::connect(&path).unwrap();
            carry(client.unwrap(), stream);
        }
    });
    (at, seen)
}

/// What the gateway does with a connection.
fn carry(client: TcpStream, mut stream: UnixStream) {
    let open = Open {
        tag: b"device".to_vec(),
        name: "site.i2p".to_owned(),
        port: 8080,
        kind: Kind::Detect,
    };
    stream.write_all(&open.encode().unwrap()).unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), stream.try_clone().unwrap());
    thread::spawn(move || {
        let mut buf = [0; 4096];
        while let Ok(n @ 1..) = from.read(&mut buf) {
            let chunk = [&chunk_head(n).unwrap(), &buf[..n]].concat();
            if to.write_all(&chunk).is_err() {
                return;
            }
        }
        let _ = to.write_all(&CHUNK_END);
    });
    thread::spawn(move || deliver(&mut stream, client));
}

/// The answer's frame, then chunks until the end.
fn deliver(stream: &mut UnixStream, mut client: TcpStream) {
    if stream.read_exact(&mut [0; 5]).is_err() {
        return;
    }
    let (mut chunks, mut buf) = (Chunks::default(), [0; 4096]);
    while !chunks.is_ended() {
        let Ok(n @ 1..) = stream.read(&mut buf) else {
            return;
        };
        let n = chunks.strip(&mut buf[..n]).unwrap();
        if client.write_all(&buf[..n]).is_err() {
            return;
        }
    }
    let _ = client.shutdown(std::net::Shutdown::Write);
}

async fn core(
    mut cmds: Receiver<ClientCmd>,
    registry: Registry,
    site: impl Fn(&str) -> String,
    seen: Seen,
) {
    let mut requests: BTreeMap<ClientId, Vec<u8>> = BTreeMap::new();
    let tell = |event| assert!(registry.dispatch(event));
    while let Some(cmd) = cmds.recv().await {
        match cmd {
            ClientCmd::Open { id, .. } => {
                let dest = DestHash([7; 32]);
                tell(ClientEvent::Resolved { id, dest });
                tell(ClientEvent::Credit { id, n: 65_536 });
                tell(ClientEvent::Opened { id });
                requests.insert(id, Vec::new());
            }
            ClientCmd::Data { id, bytes } => {
                let Some(request) = requests.get_mut(&id) else {
                    continue;
                };
                request.extend(bytes);
                if request.windows(4).any(|w| w == b"\r\n\r\n") {
                    note(&seen, request);
                    let text = String::from_utf8_lossy(request).into_owned();
                    requests.remove(&id);
                    let bytes = site(&text).into_bytes();
                    tell(ClientEvent::Data { id, bytes });
                    tell(ClientEvent::Finished { id });
                }
            }
            _ => {}
        }
    }
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// What Chromium shows of a page after its scripts have had some seconds.
fn browse(proxy: SocketAddr, url: &str) -> String {
    browse_with(&format!("--proxy-server=http://{proxy}"), url)
}

fn browse_with(way: &str, url: &str) -> String {
    let n = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("ramson-browser-{}-{n}", std::process::id());
    let profile = std::env::temp_dir().join(name);
    let _ = std::fs::remove_dir_all(&profile);
    let mut browser = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .args([
            "--disable-features=LocalNetworkAccessChecks",
            "--disable-dev-shm-usage",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(way)
        .args([
            "--timeout=15000",
            "--virtual-time-budget=10000",
            "--dump-dom",
            url,
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromium is installed");
    let started = Instant::now();
    while browser.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(100));
    }
    let _ = browser.kill();
    let shown = browser.wait_with_output().unwrap().stdout;
    let _ = std::fs::remove_dir_all(&profile);
    String::from_utf8_lossy(&shown).into_owned()
}

/// Everything by which a page reaches a device without a click.
fn attack(device: SocketAddr) -> String {
    format!(
        "<body><iframe name=f></iframe><form id=a method=post target=f \
         action='http://{device}/form'>\
         <input name=x></form><img src='http://{device}/img'>\
         <script src='http://{device}/script'></script>\
         <link rel=stylesheet href='http://{device}/style'>\
         <iframe src='http://{device}/frame'></iframe>\
         <script>document.getElementById('a').submit();\
         fetch('http://{device}/fetch',{{method:'POST',mode:'no-cors',body:'x'}}).catch(e=>0);\
         navigator.sendBeacon('http://{device}/beacon','x');\
         try{{new WebSocket('ws://{device}/socket')}}catch(e){{}}\
         </script></body>"
    )
}

#[test]
#[ignore = "needs Chromium"]
fn a_site_with_a_policy_of_its_own_reaches_no_device_of_the_lan() {
    let (device_at, seen) = device(String::new());
    let page = attack(device_at);
    let own = "Content-Security-Policy: default-src * 'unsafe-inline'; form-action *\r\n";
    let (proxy_at, asked) = proxy({
        let page = page.clone();
        move |_| ok("text/html", own, &page)
    });
    browse(proxy_at, "http://evil.i2p/");
    assert!(
        !asked.lock().unwrap().is_empty(),
        "the page was never asked for"
    );
    let through = std::mem::take(&mut *seen.lock().unwrap());
    // Without our filter the same page reaches it, so that the browser is able to.
    let (plain, _) = device(page);
    browse(proxy_at, &format!("http://{plain}/"));
    let direct = seen.lock().unwrap().clone();
    assert!(
        direct.iter().any(|l| l.starts_with("POST /form")),
        "{direct:?}"
    );
    assert!(
        direct.iter().any(|l| l.starts_with("GET /img")),
        "{direct:?}"
    );
    assert_eq!(through, Vec::<String>::new());
}

const PICTURE: &str = "<svg xmlns='http://www.w3.org/2000/svg' width='7' height='7'></svg>";

#[test]
#[ignore = "needs Chromium"]
fn pictures_of_a_site_that_wants_https_load_from_every_port_of_i2p() {
    let page = "<body><script>let n=0;function up(){n++;document.title='loaded '+n}</script>\
        <img onload=up() src='http://site.i2p/a.svg'><img onload=up() src='b.svg'>\
        <img onload=up() src='http://other.i2p:8080/c.svg'>\
        <script>for(let p of ['','8080'])new WebSocket('ws://site.i2p:'+p+'/ws'+p)</script></body>";
    let sockets = Arc::new(Mutex::new(String::new()));
    let heard = Arc::clone(&sockets);
    let (proxy_at, asked) = proxy(move |request| {
        if request.starts_with("GET / ") {
            ok(
                "text/html",
                "Content-Security-Policy: upgrade-insecure-requests\r\n",
                page,
            )
        } else if request.starts_with("GET /ws") {
            heard.lock().unwrap().push_str(request);
            let key = request
                .lines()
                .find_map(|l| l.strip_prefix("Sec-WebSocket-Key: "));
            format!("HTTP/1.1 403 No\r\nContent-Length: 0\r\nX-Key: {key:?}\r\n\r\n")
        } else {
            ok("image/svg+xml", "", PICTURE)
        }
    });
    let shown = browse(proxy_at, "http://site.i2p/");
    let asked = asked.lock().unwrap().clone();
    assert!(
        shown.contains("<title>loaded 3</title>"),
        "{shown}\n{asked:?}"
    );
    // The handshakes of the sockets came through the filter, out of the browser's CONNECT.
    let sockets = sockets.lock().unwrap();
    for part in [
        "GET /ws HTTP/1.1",
        "GET /ws8080 HTTP/1.1",
        "User-Agent: MYOB",
    ] {
        assert!(sockets.contains(part), "{sockets}\n{asked:?}");
    }
    assert!(!sockets.contains("Chrome"), "{sockets}");
}

#[test]
#[ignore = "needs Chromium"]
fn a_login_is_one_of_the_same_site() {
    let page = "<body><form id=a method=post action='/login'><input name=x></form>\
        <script>document.getElementById('a').submit()</script></body>";
    let (proxy_at, _) = proxy(move |request| {
        if request.starts_with("GET / ") {
            return ok("text/html", "", page);
        }
        let line = |name: &str| {
            request
                .lines()
                .find_map(|l| l.strip_prefix(name))
                .unwrap_or("")
        };
        let (host, origin) = (line("Host: "), line("Origin: "));
        let same = request.starts_with("POST /login ") && origin == format!("http://{host}");
        ok("text/html", "", &format!("<title>same {same}</title>"))
    });
    let shown = browse(proxy_at, "http://site.i2p/");
    assert!(shown.contains("<title>same true</title>"), "{shown}");
}

#[test]
#[ignore = "needs Chromium"]
fn on_another_port_a_site_works_and_does_not_see_the_browser() {
    let page = "<head><link rel=preconnect href='http://site.i2p:8080'></head><body>\
        <script>let n=0;function up(){n++;document.title='loaded '+n}</script>\
        <img onload=up() src='/a.svg'><img onload=up() src='/b.svg'>\
        <script>fetch('/f',{method:'PUT',body:'x'}).then(up);\
        new WebSocket('ws://site.i2p:8080/ws')</script></body>";
    let requests = Arc::new(Mutex::new(String::new()));
    let heard = Arc::clone(&requests);
    let (at, _) = door(move |request| {
        heard.lock().unwrap().push_str(request);
        if request.starts_with("GET / ") {
            ok("text/html", "", page)
        } else if request.starts_with("GET /ws ") {
            "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n".to_owned()
        } else {
            ok("image/svg+xml", "", PICTURE)
        }
    });
    let way = format!("--host-resolver-rules=MAP site.i2p {at}");
    let shown = browse_with(&way, "http://site.i2p:8080/");
    let requests = requests.lock().unwrap();
    assert!(
        shown.contains("<title>loaded 3</title>"),
        "{shown}\n{requests}"
    );
    for part in [
        "PUT /f ",
        "GET /ws ",
        "User-Agent: MYOB",
        ".b32.i2p:8080\r\n",
    ] {
        assert!(requests.contains(part), "{part}: {requests}");
    }
    for part in ["Chrome", "Accept-Language", "site.i2p:8080"] {
        assert!(!requests.contains(part), "{part}: {requests}");
    }
}
