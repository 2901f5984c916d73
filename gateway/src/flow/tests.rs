use super::*;
use ramson_ipc::{Answer, Reason};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::net::{TcpListener, UnixListener, UnixStream};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A listening fake router; its socket file goes away with it.
struct Fake {
    path: PathBuf,
    listener: Option<UnixListener>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Fake {
    fn new() -> Self {
        let n = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ramson-flow-{}-{n}", std::process::id()));
        let listener = Some(UnixListener::bind(&path).unwrap());
        Self { path, listener }
    }

    /// Takes a request, gives this answer with the chunk `first` in the same write.
    async fn accept(&self, answer: Answer, first: &[u8]) -> (Open, UnixStream) {
        let (mut stream, _) = self.listener.as_ref().unwrap().accept().await.unwrap();
        let mut buf = Vec::new();
        let open = loop {
            // The client's bytes follow at once.
            buf.push(stream.read_u8().await.unwrap());
            if let Some((open, n)) = Open::decode(&buf).unwrap() {
                assert_eq!(n, buf.len());
                break open;
            }
        };
        let both = [answer.encode().unwrap(), chunk(first)].concat();
        stream.write_all(&both).await.unwrap();
        (open, stream)
    }
}

/// One chunk, or nothing.
fn chunk(bytes: &[u8]) -> Vec<u8> {
    let head = chunk_head(bytes.len()).map_or(Vec::new(), Vec::from);
    [head.as_slice(), bytes].concat()
}

/// What the flow sends, and whether it said its end.
async fn read_chunks(stream: &mut UnixStream) -> (Vec<u8>, bool) {
    let (mut chunks, mut got) = (Chunks::default(), Vec::new());
    let mut buf = vec![0; 1000];
    while !chunks.is_ended() {
        match stream.read(&mut buf).await {
            Ok(n @ 1..) => {
                let n = chunks.strip(&mut buf[..n]).unwrap();
                got.extend_from_slice(&buf[..n]);
            }
            _ => return (got, false),
        }
    }
    (got, true)
}

/// A client whose connection runs as a flow to the fake router.
async fn client(fake: &Fake, port: u16) -> (TcpStream, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (lan, _) = listener.accept().await.unwrap();
    let router = RouterClient::new(fake.path.clone(), fake.path.clone());
    let open = request([3; 16], "foo.i2p".into(), port);
    let flow = async move { run(lan, &router, open, &Counters::default(), &|| ()).await };
    (client, tokio::task::spawn_local(flow))
}

/// Runs a flow to the fake router for a client that is refused; what was counted.
async fn refused(fake: &Fake, answer: impl Future<Output = ()>) -> Counters {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let mut client = TcpStream::connect(to).await.unwrap();
    let (lan, _) = listener.accept().await.unwrap();
    let (router, counters) = (
        RouterClient::new(fake.path.clone(), fake.path.clone()),
        Counters::default(),
    );
    let open = request([3; 16], "foo.i2p".into(), 80);
    tokio::join!(run(lan, &router, open, &counters, &|| ()), answer);
    assert!(is_reset(client.read(&mut [0]).await));
    counters
}

fn is_reset(result: io::Result<usize>) -> bool {
    result.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionReset)
}

#[tokio::test(flavor = "local")]
async fn three_megabytes_arrive_though_the_router_closed_long_ago() {
    let fake = Fake::new();
    let (mut client, flow) = client(&fake, 80).await;
    let data: Vec<u8> = (0..3_000_000u32)
        .map(|n| n.to_be_bytes()[3] ^ 0x5a)
        .collect();
    let sent = data.clone();
    client.write_all(b"GET /").await.unwrap();
    let router = async {
        let (open, mut stream) = fake.accept(Answer::Opened, &sent[..5]).await;
        assert_eq!((open.kind, open.port, open.tag.len()), (Kind::Http, 80, 16));
        assert_eq!(open.name, "foo.i2p");
        for piece in sent[5..].chunks(40_000) {
            stream.write_all(&chunk(piece)).await.unwrap();
        }
        stream.write_all(&CHUNK_END).await.unwrap();
    };
    let reader = async {
        let mut got: Vec<u8> = Vec::new();
        let mut buf = vec![0; 100_000];
        while let n @ 1.. = client.read(&mut buf).await.unwrap() {
            got.extend_from_slice(&buf[..n]);
            client.write_all(b"still talking").await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        client.shutdown().await.unwrap();
        got
    };
    let ((), got) = tokio::join!(router, reader);
    assert!(got == data, "{} of {} bytes", got.len(), data.len());
    flow.await.unwrap();
}

#[tokio::test(flavor = "local")]
async fn a_half_closed_client_still_gets_its_answer() {
    let fake = Fake::new();
    let (mut client, flow) = client(&fake, 7).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let (open, mut stream) = fake.accept(Answer::Opened, b"").await;
    assert_eq!(open.kind, Kind::Detect);
    let (got, true) = read_chunks(&mut stream).await else {
        panic!("cut")
    };
    stream.write_all(&chunk(&got)).await.unwrap();
    stream.write_all(&CHUNK_END).await.unwrap();
    drop(stream);
    let mut echoed = Vec::new();
    client.read_to_end(&mut echoed).await.unwrap();
    assert_eq!(echoed, b"question");
    flow.await.unwrap();
}

#[tokio::test(flavor = "local")]
async fn a_refusal_is_a_reset() {
    let fake = Fake::new();
    let (mut client, flow) = client(&fake, 80).await;
    drop(fake.accept(Answer::Refused(Reason::UnknownName), b"").await);
    assert!(is_reset(client.read(&mut [0]).await));
    flow.await.unwrap();
}

#[tokio::test(flavor = "local")]
async fn no_router_is_a_reset() {
    let mut fake = Fake::new();
    fake.listener = None;
    let (mut client, flow) = client(&fake, 80).await;
    assert!(is_reset(client.read(&mut [0]).await));
    flow.await.unwrap();
}

#[tokio::test(flavor = "local")]
async fn nonsense_or_an_end_instead_of_an_answer_is_a_reset() {
    for bytes in [b"HTTP/1.1 200 OK\r\n".as_slice(), b""] {
        let fake = Fake::new();
        let (mut client, flow) = client(&fake, 80).await;
        let (mut stream, _) = fake.listener.as_ref().unwrap().accept().await.unwrap();
        stream.write_all(bytes).await.unwrap();
        drop(stream);
        assert!(is_reset(client.read(&mut [0]).await));
        flow.await.unwrap();
    }
}

#[tokio::test(flavor = "local")]
async fn a_router_that_closes_without_an_end_is_a_reset() {
    // Also when the client has half-closed, and in the middle of a chunk.
    for (half, partial) in [(false, false), (true, false), (false, true), (true, true)] {
        let fake = Fake::new();
        let (mut client, flow) = client(&fake, 80).await;
        if half {
            client.shutdown().await.unwrap();
        }
        let (_, mut stream) = fake.accept(Answer::Opened, b"half of it").await;
        if half {
            assert_eq!(read_chunks(&mut stream).await, (vec![], true));
        }
        if partial {
            stream.write_all(&[0, 9, 1]).await.unwrap();
        }
        let mut buf = [0; 10];
        client.read_exact(&mut buf).await.unwrap();
        drop(stream);
        let last = client.read(&mut [0; 2]).await;
        let last = match last {
            Ok(1) if partial => client.read(&mut [0]).await,
            last => last,
        };
        assert!(is_reset(last), "{half} {partial}");
        flow.await.unwrap();
    }
}

#[tokio::test(flavor = "local")]
async fn bytes_after_the_end_are_a_reset() {
    let fake = Fake::new();
    let (mut client, flow) = client(&fake, 80).await;
    let (_, mut stream) = fake.accept(Answer::Opened, b"").await;
    stream.write_all(&[0, 0, 0]).await.unwrap();
    assert!(is_reset(client.read(&mut [0]).await));
    flow.await.unwrap();
}

#[tokio::test(flavor = "local")]
async fn a_client_that_resets_while_waiting_frees_the_router() {
    let fake = Fake::new();
    let (client, flow) = client(&fake, 80).await;
    let (mut stream, _) = fake.listener.as_ref().unwrap().accept().await.unwrap();
    client.set_zero_linger().unwrap();
    drop(client);
    flow.await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test(flavor = "local")]
async fn a_client_that_resets_ends_an_open_stream() {
    let fake = Fake::new();
    let (client, flow) = client(&fake, 80).await;
    let (_, mut stream) = fake.accept(Answer::Opened, b"").await;
    client.set_zero_linger().unwrap();
    drop(client);
    assert_eq!(read_chunks(&mut stream).await, (vec![], false));
    flow.await.unwrap();
}

#[tokio::test(flavor = "local")]
async fn a_client_that_goes_away_under_a_transfer_cuts_it() {
    let fake = Fake::new();
    let (client, flow) = client(&fake, 80).await;
    let (_, mut stream) = fake.accept(Answer::Opened, b"").await;
    // Closed, not reset: the first bytes that come make the client's system answer with a reset.
    drop(client);
    assert_eq!(read_chunks(&mut stream).await, (vec![], true));
    while stream.write_all(&chunk(&[7; 1000])).await.is_ok() {
        tokio::task::yield_now().await;
    }
    flow.await.unwrap();
}

#[tokio::test(flavor = "local")]
async fn each_way_of_the_router_to_refuse_is_counted_apart() {
    let say = async |fake: &Fake, bytes: &[u8]| {
        let (mut stream, _) = fake.listener.as_ref().unwrap().accept().await.unwrap();
        stream.read_u8().await.unwrap();
        stream.write_all(bytes).await.unwrap();
    };
    let refusal = Answer::Refused(Reason::Limit).encode().unwrap();
    for (bytes, count) in [
        (refusal.as_slice(), Count::Refused),
        (b"HTTP/1.1 200 OK\r\n", Count::RouterNonsense),
        (b"", Count::RouterGone),
    ] {
        let fake = Fake::new();
        let counters = refused(&fake, say(&fake, bytes)).await;
        assert_eq!((counters.get(count), counters.sum()), (1, 1), "{count:?}");
    }
}

#[tokio::test(flavor = "local")]
async fn what_the_client_says_does_not_wait_for_the_answer() {
    let fake = Fake::new();
    let (mut client, flow) = client(&fake, 8080).await;
    client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let (mut stream, _) = fake.listener.as_ref().unwrap().accept().await.unwrap();
    let mut buf = Vec::new();
    while !buf.ends_with(b"HTTP/1.1\r\n") {
        stream.read_buf(&mut buf).await.unwrap();
    }
    let (open, n) = Open::decode(&buf).unwrap().unwrap();
    assert_eq!((open.kind, buf.len() - n), (Kind::Detect, 18));
    let answer = Answer::Opened.encode().unwrap();
    stream.write_all(&answer).await.unwrap();
    stream.write_all(&chunk(b"page")).await.unwrap();
    stream.write_all(&CHUNK_END).await.unwrap();
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"page");
    drop(client);
    flow.await.unwrap();
}

#[tokio::test(flavor = "local")]
async fn a_client_that_resets_frees_a_router_that_takes_nothing() {
    let fake = Fake::new();
    let (mut client, flow) = client(&fake, 7).await;
    let (stream, _) = fake.listener.as_ref().unwrap().accept().await.unwrap();
    let fill = async { while client.write_all(&[7; 4096]).await.is_ok() {} };
    let _ = tokio::time::timeout(Duration::from_millis(300), fill).await;
    client.set_zero_linger().unwrap();
    drop(client);
    let ended = tokio::time::timeout(Duration::from_secs(5), flow).await;
    ended.unwrap().unwrap();
    drop(stream);
}
