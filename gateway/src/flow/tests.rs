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

    /// Takes a request, gives this answer with `first` in the same write.
    async fn accept(&self, answer: Answer, first: &[u8]) -> (Open, UnixStream) {
        let (mut stream, _) = self.listener.as_ref().unwrap().accept().await.unwrap();
        let mut buf = Vec::new();
        let open = loop {
            stream.read_buf(&mut buf).await.unwrap();
            if let Some((open, n)) = Open::decode(&buf).unwrap() {
                assert_eq!(n, buf.len());
                break open;
            }
        };
        stream
            .write_all(&[&answer.encode().unwrap(), first].concat())
            .await
            .unwrap();
        (open, stream)
    }
}

/// A client whose connection runs as a flow to the fake router.
async fn client(fake: &Fake, port: u16) -> (TcpStream, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (lan, _) = listener.accept().await.unwrap();
    let router = RouterClient::new(fake.path.clone());
    let flow = async move { run(lan, &router, ClientId([3; 16]), "foo.i2p".into(), port).await };
    (client, tokio::spawn(flow))
}

fn is_reset(result: io::Result<usize>) -> bool {
    result.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionReset)
}

#[tokio::test]
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
        stream.write_all(&sent[5..]).await.unwrap();
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

#[tokio::test]
async fn a_half_closed_client_still_gets_its_answer() {
    let fake = Fake::new();
    let (mut client, flow) = client(&fake, 7).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let (open, mut stream) = fake.accept(Answer::Opened, b"").await;
    assert_eq!(open.kind, Kind::Raw);
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await.unwrap();
    stream.write_all(&got).await.unwrap();
    drop(stream);
    let mut echoed = Vec::new();
    client.read_to_end(&mut echoed).await.unwrap();
    assert_eq!(echoed, b"question");
    flow.await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_a_reset() {
    let fake = Fake::new();
    let (mut client, flow) = client(&fake, 80).await;
    drop(fake.accept(Answer::Refused(Reason::UnknownName), b"").await);
    assert!(is_reset(client.read(&mut [0]).await));
    flow.await.unwrap();
}

#[tokio::test]
async fn no_router_is_a_reset() {
    let mut fake = Fake::new();
    fake.listener = None;
    let (mut client, flow) = client(&fake, 80).await;
    assert!(is_reset(client.read(&mut [0]).await));
    flow.await.unwrap();
}

#[tokio::test]
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

#[tokio::test]
async fn a_router_that_dies_in_the_middle_is_a_reset_not_an_end() {
    let mut fake = Fake::new();
    let (mut client, flow) = client(&fake, 80).await;
    let (_, stream) = fake.accept(Answer::Opened, b"half of it").await;
    let mut buf = [0; 10];
    client.read_exact(&mut buf).await.unwrap();
    fake.listener = None;
    drop(stream);
    assert!(is_reset(client.read(&mut [0]).await));
    flow.await.unwrap();
}

#[tokio::test]
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

#[tokio::test]
async fn a_client_that_resets_ends_an_open_stream() {
    let fake = Fake::new();
    let (client, flow) = client(&fake, 80).await;
    let (_, mut stream) = fake.accept(Answer::Opened, b"").await;
    client.set_zero_linger().unwrap();
    drop(client);
    // An end or a reset, depending on whether the answer had been read.
    let ended = stream.read(&mut [0]).await;
    assert!(matches!(ended, Ok(0)) || is_reset(ended));
    flow.await.unwrap();
}
