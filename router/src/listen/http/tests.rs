use super::*;
use crate::listen::chunked::Chunked;
use ramson_proto::router::input::{ClientCmd, ClientId};
use ramson_proto::router::output::{Missing, Readiness};
use std::io;
use tokio::io::duplex;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

/// A core that the test plays, and the registry of its streams.
fn core() -> (Receiver<ClientCmd>, Registry) {
    let (tx, cmds) = channel(64);
    (cmds, Registry::new(tx, [0; 32]))
}

fn local(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let test = async { timeout(Duration::from_secs(20), test).await.unwrap() };
    LocalSet::new().block_on(&runtime, test);
}

fn dest() -> DestHash {
    DestHash([7; 32])
}

/// Waits for the next stream, resolves it and grants credit.
async fn resolve(cmds: &mut Receiver<ClientCmd>, registry: &Registry) -> (ClientId, String) {
    let Some(ClientCmd::Open { id, host, .. }) = cmds.recv().await else {
        panic!("no stream is opened");
    };
    assert!(registry.dispatch(ClientEvent::Resolved { id, dest: dest() }));
    assert!(registry.dispatch(ClientEvent::Credit { id, n: 65_536 }));
    (id, host)
}

/// The answer to a request of the explicit proxy (`fixed` none) or a transparent one. The core
/// refuses the stream if there is one.
fn page(request: &str, fixed: Option<(&str, u16)>, why: Refusal, resolved: bool) -> String {
    let mut got = Vec::new();
    local(async {
        let (mut cmds, registry) = core();
        let (mut client, ours) = duplex(65_536);
        client.write_all(request.as_bytes()).await.unwrap();
        let read = async {
            client.read_to_end(&mut got).await.unwrap();
            drop(client);
        };
        let refuse = async {
            while let Some(cmd) = cmds.recv().await {
                if let ClientCmd::Open { id, .. } = cmd {
                    if resolved {
                        assert!(registry.dispatch(ClientEvent::Resolved { id, dest: dest() }));
                    }
                    assert!(registry.dispatch(ClientEvent::Refused { id, why }));
                }
            }
        };
        let serve = exchange(Plain(ours), &registry, b"t", fixed);
        tokio::select! {
            _ = async { tokio::join!(serve, read) } => {}
            () = refuse => {}
        }
    });
    String::from_utf8(got).unwrap()
}

/// A socket of the test.
struct Plain(tokio::io::DuplexStream);

impl AsyncRead for Plain {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl tokio::io::AsyncWrite for Plain {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        std::pin::Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Local for Plain {
    async fn write_plain(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }
}

const READINESS: Readiness = Readiness {
    missing: Missing::Tunnels,
    routers: 1,
    peers: 1,
    outbound: 0,
    inbound: 0,
};

const GET: &str = "GET http://site.i2p/ HTTP/1.1\r\nHost: site.i2p\r\n\r\n";

#[test]
fn each_refusal_has_its_page() {
    let cases = [
        (Refusal::BadName, false, "400"),
        (Refusal::UnknownName, false, "404"),
        (Refusal::NotReady(READINESS), true, "503"),
        (Refusal::NoLeaseSet, true, "504"),
        (Refusal::NoAnswer, true, "504"),
        (Refusal::Rejected, true, "502"),
        (Refusal::Empty, true, "502"),
        (Refusal::Limit, false, "503"),
    ];
    for (why, resolved, code) in cases {
        let explicit = page(GET, None, why, resolved);
        assert!(
            explicit.starts_with(&format!("HTTP/1.1 {code} ")),
            "{why:?}"
        );
        assert!(explicit.contains("Content-Security-Policy: default-src 'none'"));
        let refresh = explicit.contains("\r\nRefresh: ");
        let again = [
            Refusal::NotReady(READINESS),
            Refusal::NoLeaseSet,
            Refusal::Empty,
            Refusal::Limit,
        ];
        assert_eq!(refresh, again.contains(&why), "{why:?}");
        let fixed = Some(("site.i2p", 80));
        let transparent = GET.replace("http://site.i2p/", "/");
        assert_eq!(page(&transparent, fixed, why, resolved), explicit);
    }
}

#[test]
fn nothing_outside_of_i2p_is_opened() {
    for request in [
        "GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n",
        "GET http://192.0.2.1/ HTTP/1.1\r\n\r\n",
        "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
        "CONNECT 192.0.2.1:443 HTTP/1.1\r\n\r\n",
        "CONNECT [2001:db8::1]:443 HTTP/1.1\r\n\r\n",
    ] {
        let got = page(request, None, Refusal::Closing, false);
        let code = got.get(..12).unwrap();
        let refused = ["HTTP/1.1 403", "HTTP/1.1 400"].contains(&code);
        assert!(refused, "{request}{got}");
    }
}

#[test]
fn a_tunnel_that_cannot_open_says_so_in_a_page() {
    let connect = "CONNECT site.i2p:22 HTTP/1.1\r\n\r\n";
    let got = page(connect, None, Refusal::NoAnswer, true);
    assert!(got.starts_with("HTTP/1.1 504 "), "{got}");
}

/// What a site sees of a request.
fn seen(request: &str, fixed: Option<(&str, u16)>) -> Vec<u8> {
    let mut seen = Vec::new();
    local(async {
        let (mut cmds, registry) = core();
        let (client, ours) = duplex(65_536);
        let mut client = Chunked::new(client, Vec::new());
        client.write_all(request.as_bytes()).await.unwrap();
        client.flush().await.unwrap();
        let socket = Chunked::new(ours, Vec::new());
        let serve = exchange(socket, &registry, b"t", fixed);
        let core = async {
            resolve(&mut cmds, &registry).await;
            let Some(ClientCmd::Data { bytes, .. }) = cmds.recv().await else {
                panic!("nothing is sent");
            };
            seen = bytes;
        };
        tokio::select! {
            () = serve => panic!("ended early"),
            () = core => {}
        }
    });
    seen
}

#[test]
fn explicit_and_transparent_requests_look_the_same_to_a_site() {
    let head = "Host: site.i2p\r\nUser-Agent: x\r\nReferer: http://a.i2p/\r\n\
        Content-Length: 4\r\nProxy-Connection: keep-alive\r\n\r\nbody and what is too much";
    let explicit = seen(
        &format!("POST http://site.i2p/a?b HTTP/1.1\r\n{head}"),
        None,
    );
    let fixed = Some(("site.i2p", 80));
    assert_eq!(
        seen(&format!("POST /a?b HTTP/1.1\r\n{head}"), fixed),
        explicit
    );
    let text = String::from_utf8(explicit).unwrap();
    assert!(text.starts_with("POST /a?b HTTP/1.1\r\nHost: "), "{text}");
    assert!(text.ends_with("\r\n\r\nbody") && !text.contains("Referer"));
}

/// A browser's connection to the explicit proxy, whose stream is resolved.
async fn browser(
    cmds: &mut Receiver<ClientCmd>,
    registry: &Registry,
) -> (TcpStream, ClientId, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let server = registry.clone();
    let serving = spawn_local(async move { serve(listener, server).await });
    let mut browser = TcpStream::connect(at).await.unwrap();
    browser.write_all(GET.as_bytes()).await.unwrap();
    let (id, host) = resolve(cmds, registry).await;
    assert_eq!(host, "site.i2p");
    assert!(matches!(cmds.recv().await, Some(ClientCmd::Data { .. })));
    (browser, id, serving)
}

fn tell(registry: &Registry, id: ClientId, bytes: &[u8]) {
    let bytes = bytes.to_vec();
    assert!(registry.dispatch(ClientEvent::Data { id, bytes }));
}

const HEAD: &[u8] = b"HTTP/1.0 200 OK\r\n\r\nsome bytes";

#[test]
fn a_reset_in_the_middle_is_a_reset_to_the_browser() {
    local(async {
        let (mut cmds, registry) = core();
        let (mut browser, id, _serving) = browser(&mut cmds, &registry).await;
        tell(&registry, id, HEAD);
        assert!(matches!(
            cmds.recv().await,
            Some(ClientCmd::Consumed { .. })
        ));
        assert!(registry.dispatch(ClientEvent::Reset { id }));
        let error = browser.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn an_end_is_an_end_to_the_browser_that_asked_for_more() {
    local(async {
        let (mut cmds, registry) = core();
        let (mut browser, id, _serving) = browser(&mut cmds, &registry).await;
        browser.write_all(GET.as_bytes()).await.unwrap();
        tell(&registry, id, HEAD);
        assert!(registry.dispatch(ClientEvent::Finished { id }));
        let mut got = Vec::new();
        browser.read_to_end(&mut got).await.unwrap();
        assert!(got.ends_with(b"some bytes"));
    });
}

#[test]
fn a_browser_that_closes_resets_the_stream_when_more_comes() {
    local(async {
        let (mut cmds, registry) = core();
        let (browser, id, _serving) = browser(&mut cmds, &registry).await;
        drop(browser);
        assert!(matches!(cmds.recv().await, Some(ClientCmd::Finish { .. })));
        loop {
            tell(&registry, id, HEAD);
            match cmds.recv().await {
                Some(ClientCmd::Consumed { .. }) => {}
                Some(ClientCmd::Reset { .. }) => break,
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn a_browser_that_half_closes_gets_its_answer() {
    local(async {
        let (mut cmds, registry) = core();
        let (mut browser, id, _serving) = browser(&mut cmds, &registry).await;
        browser.shutdown().await.unwrap();
        assert!(matches!(cmds.recv().await, Some(ClientCmd::Finish { .. })));
        tell(&registry, id, HEAD);
        assert!(registry.dispatch(ClientEvent::Finished { id }));
        let mut got = Vec::new();
        browser.read_to_end(&mut got).await.unwrap();
        assert!(got.ends_with(b"some bytes"));
    });
}

/// What the site sees and the browser gets when the browser sends these bytes and the site answers.
fn exchanged(request: &str, fixed: Option<(&str, u16)>, answer: &[u8]) -> (String, String) {
    let (mut seen, mut got) = (Vec::new(), Vec::new());
    local(async {
        let (mut cmds, registry) = core();
        let (client, ours) = duplex(262_144);
        let mut client = Chunked::new(client, Vec::new());
        client.write_all(request.as_bytes()).await.unwrap();
        client.flush().await.unwrap();
        let serve = exchange(Chunked::new(ours, Vec::new()), &registry, b"t", fixed);
        let core = async {
            let (id, _) = resolve(&mut cmds, &registry).await;
            let Some(ClientCmd::Data { bytes, .. }) = cmds.recv().await else {
                panic!("nothing is sent");
            };
            seen = bytes;
            tell(&registry, id, answer);
            assert!(registry.dispatch(ClientEvent::Finished { id }));
            while cmds.recv().await.is_some() {}
        };
        let read = async {
            client.read_to_end(&mut got).await.unwrap();
            client.shutdown().await.unwrap();
        };
        tokio::select! {
            _ = async { tokio::join!(serve, read) } => {}
            () = core => {}
        }
    });
    (
        String::from_utf8(seen).unwrap(),
        String::from_utf8(got).unwrap(),
    )
}

const ORIGIN: &str = "Origin: http://site.i2p\r\nSec-CH-UA: \"x\"\r\n";

#[test]
fn both_ways_to_a_site_filter_both_directions_alike() {
    let b32 = dest().b32();
    let answer = format!("HTTP/1.1 302 F\r\nLocation: http://{b32}/y\r\nContent-Length: 0\r\n\r\n");
    let explicit = format!("GET http://site.i2p/x HTTP/1.1\r\nHost: site.i2p\r\n{ORIGIN}\r\n");
    let direct = format!("GET /x HTTP/1.1\r\nHost: site.i2p\r\n{ORIGIN}\r\n");
    let inside = format!("CONNECT site.i2p:80 HTTP/1.1\r\nHost: site.i2p:80\r\n\r\n{direct}");
    let first = exchanged(&explicit, None, answer.as_bytes());
    assert!(first.0.contains(&format!("\r\nHost: {b32}\r\n")));
    assert!(first.0.contains(&format!("\r\nOrigin: http://{b32}\r\n")));
    assert!(!first.0.contains("Sec-CH") && !first.0.contains("site.i2p"));
    assert!(first.1.contains("\r\nLocation: http://site.i2p/y\r\n"));
    let fixed = Some(("site.i2p", 80));
    assert_eq!(exchanged(&direct, fixed, answer.as_bytes()), first);
    // A browser's way to open a WebSocket through a proxy.
    let tunnelled = exchanged(&inside, None, answer.as_bytes());
    let greeted = format!("HTTP/1.1 200 Connection established\r\n\r\n{}", first.1);
    assert_eq!(tunnelled, (first.0, greeted));
}

/// What the site sees and the browser gets of bytes on a socket of the explicit proxy.
fn proxied(request: &str, answer: &[u8]) -> (String, String) {
    let (mut seen, mut got) = (Vec::new(), Vec::new());
    local(async {
        let (mut cmds, registry) = core();
        let (mut client, ours) = duplex(65_536);
        client.write_all(request.as_bytes()).await.unwrap();
        let serve = exchange(Plain(ours), &registry, b"t", None);
        let core = async {
            let (id, _) = resolve(&mut cmds, &registry).await;
            assert!(registry.dispatch(ClientEvent::Opened { id }));
            let Some(ClientCmd::Data { bytes, .. }) = cmds.recv().await else {
                panic!("nothing is sent");
            };
            seen = bytes;
            tell(&registry, id, answer);
            assert!(registry.dispatch(ClientEvent::Finished { id }));
            while cmds.recv().await.is_some() {}
        };
        let read = async {
            client.read_to_end(&mut got).await.unwrap();
            client.shutdown().await.unwrap();
        };
        tokio::select! {
            _ = async { tokio::join!(serve, read) } => {}
            () = core => {}
        }
    });
    (
        String::from_utf8(seen).unwrap(),
        String::from_utf8(got).unwrap(),
    )
}

#[test]
fn what_is_http_inside_a_connect_is_filtered_on_every_port() {
    let answer = b"HTTP/1.1 200 OK\r\nAlt-Svc: x\r\nContent-Length: 2\r\n\r\nok";
    let inner = "GET /x HTTP/1.1\r\nHost: site.i2p:8080\r\nUser-Agent: Mine\r\n\r\n";
    let direct = exchanged(inner, Some(("site.i2p", 8080)), answer);
    assert!(!direct.0.contains("Mine") && !direct.1.contains("Alt-Svc"));
    let greeting = "HTTP/1.1 200 Connection established\r\n\r\n";
    let connect = format!("CONNECT site.i2p:8080 HTTP/1.1\r\n\r\n{inner}");
    let greeted = format!("{greeting}{}", direct.1);
    assert_eq!(proxied(&connect, answer), (direct.0, greeted));
    let other = "CONNECT site.i2p:22 HTTP/1.1\r\n\r\nSSH-2\r\n";
    let passed = ("SSH-2\r\n".to_owned(), format!("{greeting}hi"));
    assert_eq!(proxied(other, b"hi"), passed);
}

#[test]
fn a_web_server_that_is_down_has_its_own_page() {
    let (_, got) = exchanged(GET, None, b"");
    assert!(got.starts_with("HTTP/1.1 502 "), "{got}");
    assert!(got.contains("web server is down") && got.contains("<p class=\"about\">site.i2p</p>"));
}

#[test]
fn a_redirect_out_of_i2p_is_a_page_that_says_where() {
    let answer = b"HTTP/1.1 301 M\r\nLocation: http://192.168.1.1/admin?<x>\r\n\r\n";
    for fixed in [None, Some(("site.i2p", 80))] {
        let (_, got) = exchanged(GET, fixed, answer);
        assert!(got.starts_with("HTTP/1.1 403 "), "{got}");
        assert!(got.contains("http://192.168.1.1/admin?&lt;x&gt;") && !got.contains("Location"));
    }
}

#[test]
fn an_answer_above_our_limit_blames_the_limit() {
    let answer = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(2000));
    let (_, got) = exchanged(GET, None, answer.as_bytes());
    assert!(got.starts_with("HTTP/1.1 502 "), "{got}");
    assert!(got.contains("this router&#39;s limit") || got.contains("this router's limit"));
    let answer = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(500));
    let (_, got) = exchanged(GET, None, answer.as_bytes());
    assert!(got.starts_with("HTTP/1.1 200 OK\r\nA: b\r\n"), "{got}");
}

#[test]
fn a_continue_reaches_who_waits_for_it() {
    let put = "PUT http://site.i2p/ HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n";
    let (seen, got) = exchanged(put, None, answer);
    assert!(seen.contains("\r\nExpect: 100-continue\r\n"), "{seen}");
    assert!(
        got.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n"),
        "{got}"
    );
    // A page may follow it, too.
    let (_, got) = exchanged(put, None, b"HTTP/1.1 100 Continue\r\n\r\nnonsense");
    assert!(
        got.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 502 "),
        "{got}"
    );
}

#[test]
fn names_that_cannot_be_are_bad_names_and_not_foreign_ones() {
    for name in ["my_site.i2p", "x-.i2p"] {
        for (request, fixed) in [
            (format!("GET http://{name}/ HTTP/1.1\r\n\r\n"), None),
            (
                format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n"),
                Some((name, 80)),
            ),
        ] {
            let got = page(&request, fixed, Refusal::Closing, false);
            assert!(got.starts_with("HTTP/1.1 400 "), "{got}");
            assert!(got.contains("not an I2P name") && !got.contains("not a name under"));
        }
    }
}

#[test]
fn a_head_request_is_answered_without_a_body() {
    for why in [Refusal::NoAnswer, Refusal::Limit] {
        let got = page(&GET.replace("GET", "HEAD"), None, why, true);
        assert!(got.ends_with("\r\n\r\n") && !got.contains("<html"), "{got}");
    }
    let got = page(
        "HEAD http://x-.i2p/ HTTP/1.1\r\n\r\n",
        None,
        Refusal::Limit,
        true,
    );
    assert!(got.ends_with("\r\n\r\n") && !got.contains("<html"), "{got}");
}
