use super::*;
use ramson_ipc::{CHUNK_END, Chunks, chunk_head};
use ramson_proto::router::input::{ClientCmd, ClientId};
use ramson_proto::router::output::{ClientEvent, Missing, Readiness};
use ramson_proto::wire::hash::DestHash;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(10);

/// A played core and the gateway's side of one connection.
struct World {
    cmds: Receiver<ClientCmd>,
    registry: Registry,
    gateway: UnixStream,
    tag: Vec<u8>,
    id: ClientId,
}

impl World {
    /// A stream of this kind to port 8080 of a site.
    async fn new(kind: Kind) -> Self {
        let (tx, cmds) = channel(64);
        Self::with(Registry::new(tx, [0; 32]), cmds, b"t", kind).await
    }

    async fn with(registry: Registry, cmds: Receiver<ClientCmd>, tag: &[u8], kind: Kind) -> Self {
        let (mut gateway, ours) = UnixStream::pair().unwrap();
        tokio::task::spawn_local(stream(ours, registry.clone()));
        let open = Open {
            tag: tag.to_vec(),
            name: "site.i2p".to_owned(),
            port: 8080,
            kind,
        };
        gateway.write_all(&open.encode().unwrap()).await.unwrap();
        let id = ClientId(0);
        Self {
            cmds,
            registry,
            gateway,
            tag: tag.to_vec(),
            id,
        }
    }

    /// The next connection of the same client.
    async fn again(self, kind: Kind) -> Self {
        Self::with(self.registry, self.cmds, &self.tag, kind).await
    }

    async fn cmd(&mut self) -> ClientCmd {
        let cmd = timeout(PATIENCE, self.cmds.recv()).await;
        cmd.expect("no command comes").unwrap()
    }

    /// The stream is asked for; what for.
    async fn asked(&mut self) -> String {
        loop {
            match self.cmd().await {
                ClientCmd::Open { id, host, .. } => {
                    self.id = id;
                    return host;
                }
                // Of the connection before.
                ClientCmd::Reset { .. } | ClientCmd::Finish { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The stream is asked for, resolved and open.
    async fn opened(&mut self) {
        self.asked().await;
        let (id, dest) = (self.id, DestHash([7; 32]));
        self.tell(ClientEvent::Resolved { id, dest });
        self.tell(ClientEvent::Credit { id, n: 65_536 });
        self.tell(ClientEvent::Opened { id });
    }

    fn tell(&self, event: ClientEvent) {
        assert!(self.registry.dispatch(event));
    }

    fn says(&self, bytes: &[u8]) {
        let (id, bytes) = (self.id, bytes.to_vec());
        self.tell(ClientEvent::Data { id, bytes });
    }

    /// The client says this.
    async fn send(&mut self, bytes: &[u8]) {
        let head = chunk_head(bytes.len()).unwrap();
        let chunk = [&head, bytes].concat();
        self.gateway.write_all(&chunk).await.unwrap();
    }

    /// The site hears this next.
    async fn heard(&mut self) -> String {
        loop {
            match self.cmd().await {
                ClientCmd::Data { bytes, .. } => return String::from_utf8(bytes).unwrap(),
                ClientCmd::Consumed { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The site is told that it is over, and hears nothing before.
    async fn reset(&mut self) {
        loop {
            match self.cmd().await {
                ClientCmd::Reset { .. } => return,
                ClientCmd::Consumed { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn answer(&mut self) -> Answer {
        let frame = self.exactly(4).await;
        let body = self.exactly(usize::from(frame[3])).await;
        let bytes = [&frame[..], &body].concat();
        Answer::decode(&bytes).unwrap().unwrap().0
    }

    /// What the client gets until the end or the cut; whether it was an end.
    async fn rest(&mut self) -> (String, bool) {
        let (mut chunks, mut got) = (Chunks::default(), Vec::new());
        let mut buf = [0; 4096];
        while !chunks.is_ended() {
            let read = timeout(PATIENCE, self.gateway.read(&mut buf)).await;
            match read.expect("no end comes") {
                Ok(n @ 1..) => {
                    let n = chunks.strip(&mut buf[..n]).unwrap();
                    got.extend_from_slice(&buf[..n]);
                }
                _ => return (String::from_utf8(got).unwrap(), false),
            }
        }
        (String::from_utf8(got).unwrap(), true)
    }

    /// Exactly so many bytes of one chunk.
    async fn gets(&mut self, n: usize) -> Vec<u8> {
        self.exactly(n + 2).await.split_off(2)
    }

    async fn exactly(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        let read = timeout(PATIENCE, self.gateway.read_exact(&mut bytes)).await;
        read.expect("nothing comes").unwrap();
        bytes
    }
}

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: site.i2p:8080\r\nUser-Agent: Mine\r\n\
    Accept-Language: xx\r\n\r\n";

async fn filtered(pieces: &[&[u8]], kind: Kind) -> String {
    let mut world = World::new(kind).await;
    if kind == Kind::Detect {
        world.opened().await;
    }
    for piece in pieces {
        world.send(piece).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if kind == Kind::Http {
        world.opened().await;
    }
    let heard = world.heard().await;
    assert_eq!(world.answer().await, Answer::Opened);
    world.says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nAlt-Svc: x\r\n\r\nok");
    let (got, ended) = world.rest().await;
    assert!(got.ends_with("\r\n\r\nok") && ended, "{got}");
    assert!(!got.contains("Alt-Svc"));
    heard
}

#[tokio::test(flavor = "local")]
async fn a_request_is_filtered_like_on_port_80_however_it_comes() {
    let known = filtered(&[GET], Kind::Http).await;
    let b32 = DestHash([7; 32]).b32();
    assert!(
        known.contains(&format!("\r\nHost: {b32}:8080\r\n")),
        "{known}"
    );
    assert!(!known.contains("Mine") && !known.contains("xx"), "{known}");
    assert_eq!(filtered(&[GET], Kind::Detect).await, known);
    let trickled: Vec<&[u8]> = GET.chunks(1).collect();
    assert_eq!(filtered(&trickled, Kind::Detect).await, known);
    let (method, rest) = GET.split_at(4);
    assert_eq!(filtered(&[method, rest], Kind::Detect).await, known);
}

/// What the site hears and the client gets when it says `request`, hears nothing and is answered.
async fn exchanged(kind: Kind, request: &str, answer: &str) -> (String, String) {
    let mut world = World::new(kind).await;
    if kind == Kind::Detect {
        world.opened().await;
    }
    world.send(request.as_bytes()).await;
    if kind == Kind::Http {
        world.opened().await;
    }
    assert_eq!(world.answer().await, Answer::Opened);
    let heard = world.heard().await;
    world.says(answer.as_bytes());
    world.tell(ClientEvent::Finished { id: world.id });
    (heard, world.rest().await.0)
}

#[tokio::test(flavor = "local")]
async fn what_works_on_port_80_works_on_every_port() {
    for (request, answer, got) in [
        (
            "PUT /a HTTP/1.1\r\nHost: site.i2p:8080\r\nExpect: 100-continue\r\n\
             Content-Length: 3\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n",
        ),
        (
            "POST /a HTTP/1.1\r\nHost: site.i2p:8080\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\nabc\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            "HTTP/1.1 200 OK\r\n",
        ),
        (
            "GET /chat HTTP/1.1\r\nHost: site.i2p:8080\r\nConnection: Upgrade\r\n\
             Origin: http://site.i2p:8080\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\
             Sec-WebSocket-Version: 13\r\n\r\n",
            "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: a\r\n\r\n\u{1}frame",
            "HTTP/1.1 101 Switching Protocols\r\n",
        ),
    ] {
        let known = exchanged(Kind::Http, request, answer).await;
        assert!(known.1.starts_with(got), "{}", known.1);
        assert_eq!(exchanged(Kind::Detect, request, answer).await, known);
    }
}

#[tokio::test(flavor = "local")]
async fn a_socket_that_was_upgraded_passes_both_ways() {
    let mut world = World::new(Kind::Detect).await;
    world.opened().await;
    let ask = "GET / HTTP/1.1\r\nHost: site.i2p:8080\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n\r\n";
    world.send(ask.as_bytes()).await;
    assert!(world.heard().await.contains("\r\nUpgrade: websocket\r\n"));
    world.says(b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    assert_eq!(world.answer().await, Answer::Opened);
    for frame in ["one", "GET / HTTP/1.1\r\n\r\n"] {
        world.send(frame.as_bytes()).await;
        assert_eq!(world.heard().await, frame);
    }
}

#[tokio::test(flavor = "local")]
async fn a_request_for_another_name_than_the_connections_reaches_nobody() {
    for kind in [Kind::Http, Kind::Detect] {
        let mut world = World::new(kind).await;
        world
            .send(b"GET / HTTP/1.1\r\nHost: other.i2p:8080\r\n\r\n")
            .await;
        assert_eq!(world.answer().await, Answer::Opened);
        let (got, _) = world.rest().await;
        assert!(got.starts_with("HTTP/1.1 421 "), "{got}");
        while let Ok(cmd) = world.cmds.try_recv() {
            assert!(!matches!(cmd, ClientCmd::Data { .. }));
        }
    }
}

#[tokio::test(flavor = "local")]
async fn a_site_that_speaks_first_is_heard_at_once() {
    let mut world = World::new(Kind::Detect).await;
    world.opened().await;
    let start = Instant::now();
    world.says(b"SSH-2.0-x\r\n");
    assert_eq!(world.answer().await, Answer::Opened);
    assert_eq!(world.gets(11).await, b"SSH-2.0-x\r\n");
    assert!(start.elapsed() < Duration::from_millis(100));
    // What is not HTTP passes, and everything behind it.
    for line in ["EHLO me\r\n", "GET / HTTP/1.1\r\nUser-Agent: Mine\r\n\r\n"] {
        world.send(line.as_bytes()).await;
        assert_eq!(world.heard().await, line);
    }
}

#[tokio::test(flavor = "local")]
async fn a_word_of_the_site_does_not_open_the_filter() {
    for word in [&b"\r\n"[..], b"HTTP/1.1 100 Continue\r\n\r\n"] {
        let mut world = World::new(Kind::Detect).await;
        world.opened().await;
        world.says(word);
        assert_eq!(world.answer().await, Answer::Opened);
        assert_eq!(world.gets(word.len()).await, word);
        world.send(GET).await;
        world.reset().await;
        assert_eq!(world.rest().await, (String::new(), false));
    }
    // An end is a word.
    let mut world = World::new(Kind::Detect).await;
    world.opened().await;
    world.tell(ClientEvent::Finished { id: world.id });
    assert_eq!(world.answer().await, Answer::Opened);
    assert_eq!(world.rest().await, (String::new(), true));
    world.send(GET).await;
    world.reset().await;
}

#[tokio::test(flavor = "local")]
async fn other_protocols_pass_before_the_stream_is_open() {
    for hello in [
        &b"\x16\x03\x01\0\x05hello"[..],
        b"NICK me\r\n",
        b"\r\n",
        b"GET /old\r\n",
    ] {
        let mut world = World::new(Kind::Detect).await;
        world.send(hello).await;
        world.asked().await;
        world.tell(ClientEvent::Credit {
            id: world.id,
            n: 65_536,
        });
        assert_eq!(world.heard().await.as_bytes(), hello);
        world.tell(ClientEvent::Opened { id: world.id });
        assert_eq!(world.answer().await, Answer::Opened);
        world.says(b"hi");
        assert_eq!(world.gets(2).await, b"hi");
    }
}

#[tokio::test(flavor = "local")]
async fn half_a_request_line_and_an_end_pass_as_they_are() {
    let mut world = World::new(Kind::Detect).await;
    world.opened().await;
    world.send(b"GET /").await;
    world.gateway.write_all(&CHUNK_END).await.unwrap();
    assert_eq!(world.heard().await, "GET /");
    assert!(matches!(world.cmd().await, ClientCmd::Finish { .. }));
}

#[tokio::test(flavor = "local")]
async fn the_preface_of_http2_gets_no_further() {
    let mut world = World::new(Kind::Detect).await;
    world.opened().await;
    world
        .send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04")
        .await;
    assert_eq!(world.answer().await, Answer::Opened);
    let (got, _) = world.rest().await;
    assert!(got.starts_with("HTTP/1.1 400 "), "{got}");
    world.reset().await;
}

#[tokio::test(flavor = "local")]
async fn a_line_that_does_not_end_is_a_request_that_is_too_large() {
    for spoken in [false, true] {
        let mut world = World::new(Kind::Detect).await;
        world.opened().await;
        assert_eq!(world.answer().await, Answer::Opened);
        if spoken {
            world.says(b"hi");
            world.gets(2).await;
        }
        for _ in 0..9 {
            world.send(&[b'A'; 4000]).await;
        }
        let (got, _) = world.rest().await;
        assert_eq!(got.starts_with("HTTP/1.1 431 "), !spoken, "{got}");
        world.reset().await;
    }
}

const UNKNOWN: Refusal = Refusal::UnknownName;

impl World {
    async fn refuse(&mut self, why: Refusal) {
        self.asked().await;
        self.tell(ClientEvent::Refused { id: self.id, why });
    }
}

#[tokio::test(flavor = "local")]
async fn a_refusal_is_a_page_for_browsers_and_a_reason_for_others() {
    for late in [false, true] {
        let mut world = World::new(Kind::Detect).await;
        if !late {
            world.send(GET).await;
        }
        world.refuse(UNKNOWN).await;
        if late {
            tokio::time::sleep(Duration::from_millis(20)).await;
            world.send(GET).await;
        }
        assert_eq!(world.answer().await, Answer::Opened);
        let (got, ended) = world.rest().await;
        assert!(got.starts_with("HTTP/1.1 404 ") && ended, "{got}");
    }
    for said in [&b""[..], b"\x16\x03\x01"] {
        let mut world = World::new(Kind::Detect).await;
        if !said.is_empty() {
            world.send(said).await;
        }
        let start = Instant::now();
        world.refuse(UNKNOWN).await;
        assert_eq!(world.answer().await, Answer::Refused(Reason::UnknownName));
        assert!(start.elapsed() < Duration::from_millis(500));
    }
}

#[tokio::test(flavor = "local")]
async fn only_browsers_are_told_that_the_router_starts() {
    let readiness = Readiness {
        missing: Missing::Tunnels,
        routers: 1,
        peers: 1,
        outbound: 0,
        inbound: 0,
    };
    for first in [true, false] {
        let mut world = World::new(Kind::Detect).await;
        world.asked().await;
        let (id, dest) = (world.id, DestHash([7; 32]));
        world.tell(ClientEvent::Resolved { id, dest });
        if first {
            world.tell(ClientEvent::NotReady { id, readiness });
            tokio::time::sleep(Duration::from_millis(10)).await;
            world.send(GET).await;
        } else {
            world.send(GET).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
            world.tell(ClientEvent::NotReady { id, readiness });
        }
        assert_eq!(world.answer().await, Answer::Opened);
        let (got, _) = world.rest().await;
        assert!(got.starts_with("HTTP/1.1 503 "), "{got}");
    }
}

/// The page that a request gets for a name that nobody knows.
async fn page(world: World, kind: Kind, request: &str) -> (World, String) {
    let mut world = world.again(kind).await;
    world.send(request.as_bytes()).await;
    world.refuse(UNKNOWN).await;
    assert_eq!(world.answer().await, Answer::Opened);
    let (got, ended) = world.rest().await;
    assert!(ended);
    (world, got)
}

#[tokio::test(flavor = "local")]
async fn a_name_from_a_link_is_taken_by_hand_and_by_its_client_alone() {
    let b32 = DestHash([9; 32]).b32();
    let link = format!("/a?i2paddresshelper={b32}&x=y");
    let get = format!("GET {link} HTTP/1.1\r\nHost: site.i2p\r\n\r\n");
    let post = |token: &str| {
        let form = format!("ramson-token={token}");
        format!(
            "POST {link} HTTP/1.1\r\nHost: site.i2p\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
            form.len()
        )
    };
    for kind in [Kind::Http, Kind::Detect] {
        let mut world = World::new(Kind::Raw).await;
        assert_eq!(world.asked().await, "site.i2p");
        let (world, asked) = page(world, kind, &get).await;
        assert!(
            asked.starts_with("HTTP/1.1 200 ") && asked.contains(&b32),
            "{asked}"
        );
        let token = asked.split("value=\"").nth(1);
        let token = token.unwrap().split('"').next().unwrap();
        let (world, again) = page(world, kind, &post(&"0".repeat(64))).await;
        assert!(again.starts_with("HTTP/1.1 200 "), "{again}");
        let (world, taken) = page(world, kind, &post(token)).await;
        assert!(taken.starts_with("HTTP/1.1 303 "), "{taken}");
        assert!(taken.contains("\r\nLocation: /a?x=y\r\n"), "{taken}");
        // From now on the name means that, whatever is spoken.
        let mut raw = world.again(Kind::Raw).await;
        assert_eq!(raw.asked().await, b32);
        raw.tag = b"other".to_vec();
        let mut other = raw.again(Kind::Raw).await;
        assert_eq!(other.asked().await, "site.i2p");
    }
}

#[tokio::test(flavor = "local")]
async fn a_known_name_is_not_replaced() {
    let (known, other) = (DestHash([7; 32]), DestHash([9; 32]));
    for (dest, code) in [(known, "303"), (other, "409")] {
        let mut world = World::new(Kind::Detect).await;
        let get = format!(
            "GET /?i2paddresshelper={} HTTP/1.1\r\nHost: site.i2p\r\n\r\n",
            dest.b32()
        );
        world.send(get.as_bytes()).await;
        world.opened().await;
        assert_eq!(world.answer().await, Answer::Opened);
        let (got, _) = world.rest().await;
        assert!(got.starts_with(&format!("HTTP/1.1 {code} ")), "{got}");
        assert_eq!(got.contains(&known.b32()), code == "409");
        world.reset().await;
    }
}

#[tokio::test(flavor = "local")]
async fn connections_are_bounded_and_come_back() {
    let name = format!("ramson-stream-{}.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    let listener = UnixListener::bind(&path).unwrap();
    let (cmds, _core) = channel(1);
    let own = nix::unistd::geteuid().as_raw();
    let registry = Registry::new(cmds, [0; 32]);
    tokio::task::spawn_local(serve_at_most(2, listener, registry, vec![own]));
    let connect = async || UnixStream::connect(&path).await.unwrap();
    // One that says nothing waits for its frame; the third is closed at once.
    let mut held = vec![connect().await, connect().await];
    let closed = async |mut s: UnixStream| {
        let read = timeout(Duration::from_secs(2), s.read_u8()).await;
        read.is_ok_and(|byte| byte.is_err())
    };
    assert!(closed(connect().await).await);
    drop(held.pop());
    let mut again = false;
    for _ in 0..100 {
        let mut s = connect().await;
        let read = timeout(Duration::from_millis(100), s.read_u8()).await;
        again = read.is_err();
        if again {
            break;
        }
    }
    assert!(again, "a place that was given back is not used");
    std::fs::remove_file(&path).unwrap();
}
