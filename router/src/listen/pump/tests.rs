use super::*;
use crate::listen::chunked::Chunked;
use crate::listen::conn::Registry;
use ramson_proto::client::http_head::{HeadReader, Side as HeadSide};
use ramson_proto::client::http_request::Request;
use ramson_proto::router::input::ClientId;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{sleep, timeout};

mod http;

const ID: ClientId = ClientId(1);
/// The core's receive window.
const WINDOW: usize = 1 << 20;
/// Bytes of one packet.
const PACKET: usize = 1730;
/// What a socket's buffers hold.
const SOCKET: usize = 64 * 1024;

/// A core that the test plays.
struct Core {
    cmds: Receiver<ClientCmd>,
    registry: Registry,
}

/// An exchange of this request.
fn exchange(head: &str) -> Filter {
    let text = format!("{head}\r\n\r\n");
    let read = HeadReader::new(HeadSide::Request).push(text.as_bytes());
    let request = Request::filter(read.unwrap().unwrap().0, None).unwrap();
    let (_, asked) = request.to_send("b.b32.i2p");
    Filter::Http(Box::new(Exchange::new(request.kind, asked)))
}

/// The far end of the pump's socket, and the pump.
type Side = (Chunked<DuplexStream>, JoinHandle<End>);

impl Core {
    fn new() -> Self {
        let (tx, cmds) = channel(16);
        let registry = Registry::new(tx, [0; 32]);
        Self { cmds, registry }
    }

    fn start(&self, filter: Filter, set: impl FnOnce(&mut Pump<Chunked<DuplexStream>>)) -> Side {
        let (ours, theirs) = duplex(SOCKET);
        let conn = self.registry.register().unwrap();
        assert_eq!(conn.id, ID);
        let mut pump = Pump::new(Chunked::new(ours, Vec::new()), conn, filter);
        set(&mut pump);
        let run = spawn_local(async move { pump.run().await });
        (Chunked::new(theirs, Vec::new()), run)
    }

    fn raw(&self) -> Side {
        self.start(Filter::Raw(Vec::new()), |_| {})
    }

    fn http(&self, request: &[u8]) -> Side {
        self.asking("GET http://site.i2p/ HTTP/1.1", request)
    }

    /// An exchange of such a request, of which other bytes are sent.
    fn asking(&self, head: &str, request: &[u8]) -> Side {
        self.start(exchange(head), |pump| pump.pending = request.to_vec())
    }

    fn tell(&self, event: ClientEvent) {
        assert!(self.registry.dispatch(event));
    }

    fn data(&self, bytes: &[u8]) {
        let bytes = bytes.to_vec();
        self.tell(ClientEvent::Data { id: ID, bytes });
    }

    fn credit(&self, n: usize) {
        self.tell(ClientEvent::Credit { id: ID, n });
    }

    fn finished(&self) {
        self.tell(ClientEvent::Finished { id: ID });
    }

    async fn cmd(&mut self) -> ClientCmd {
        let cmd = timeout(Duration::from_secs(60), self.cmds.recv()).await;
        cmd.unwrap().unwrap()
    }

    async fn expect_data(&mut self, expected: &[u8]) {
        let mut got = Vec::new();
        while got.len() < expected.len() {
            match self.cmd().await {
                ClientCmd::Data { bytes, .. } => got.extend(bytes),
                other => panic!("{other:?}"),
            }
        }
        assert!(got == expected, "{} of {}", got.len(), expected.len());
    }

    async fn expect_finish(&mut self) {
        let cmd = self.cmd().await;
        assert!(matches!(cmd, ClientCmd::Finish { .. }), "{cmd:?}");
    }

    async fn expect_consumed(&mut self, mut n: usize) {
        while n > 0 {
            match self.cmd().await {
                ClientCmd::Consumed { n: some, .. } => n = n.checked_sub(some).unwrap(),
                other => panic!("{other:?}"),
            }
        }
    }

    async fn expect_reset(&mut self) {
        let cmd = self.cmd().await;
        assert!(matches!(cmd, ClientCmd::Reset { .. }), "{cmd:?}");
    }

    async fn expect_nothing(&mut self) {
        let cmd = timeout(Duration::from_secs(300), self.cmds.recv()).await;
        assert!(cmd.is_err(), "{cmd:?}");
    }

    /// Sends a body as a remote would: within the window, packet by packet, then the end.
    async fn serve(&mut self, body: &[u8]) {
        let mut room = WINDOW;
        for packet in body.chunks(PACKET) {
            while room < packet.len() {
                match self.cmd().await {
                    ClientCmd::Consumed { n, .. } => room += n,
                    other => panic!("{other:?}"),
                }
            }
            room -= packet.len();
            self.data(packet);
        }
        self.finished();
        self.expect_consumed(WINDOW - room).await;
    }
}

fn bytes(n: usize) -> Vec<u8> {
    let byte = |n: usize| (n.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0];
    (0..n).map(byte).collect()
}

/// Runs a test on virtual time.
fn local(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

async fn read_all(client: &mut Chunked<DuplexStream>) -> Vec<u8> {
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    got
}

async fn send(client: &mut Chunked<DuplexStream>, bytes: &[u8]) {
    client.write_all(bytes).await.unwrap();
    client.flush().await.unwrap();
}

async fn is_cut(client: &mut Chunked<DuplexStream>) -> bool {
    client.read_to_end(&mut Vec::new()).await.is_err()
}

/// Two megabytes to a reader that pauses before each read, as the function says.
fn slow(pause: impl Fn(usize) -> Duration) {
    local(async {
        let mut core = Core::new();
        let (mut client, pump) = core.raw();
        let body = bytes(2_000_000);
        let reader = async {
            let (mut got, mut buf) = (Vec::new(), vec![0; 25_000]);
            loop {
                sleep(pause(got.len())).await;
                match client.read(&mut buf).await.unwrap() {
                    0 => break,
                    n => got.extend_from_slice(&buf[..n]),
                }
            }
            client.shutdown().await.unwrap();
            got
        };
        let (got, ()) = tokio::join!(reader, core.serve(&body));
        assert!(got == body, "{} of {} bytes", got.len(), body.len());
        core.expect_finish().await;
        assert_eq!(pump.await.unwrap(), End::Finished);
        core.expect_nothing().await;
    });
}

#[test]
fn a_reader_of_half_a_megabyte_a_second_gets_every_byte() {
    slow(|_| Duration::from_millis(50));
}

#[test]
fn a_reader_that_stops_for_twenty_seconds_gets_every_byte() {
    slow(|got| {
        let stop = (1_000_000..1_025_000).contains(&got);
        Duration::from_millis(if stop { 20_000 } else { 1 })
    });
}

#[test]
fn nothing_is_told_as_consumed_that_the_socket_has_not_taken() {
    local(async {
        let mut core = Core::new();
        let (_client, _pump) = core.raw();
        for packet in bytes(WINDOW).chunks(PACKET) {
            core.data(packet);
        }
        let mut consumed = 0;
        while let Ok(Some(cmd)) = timeout(Duration::from_secs(60), core.cmds.recv()).await {
            match cmd {
                ClientCmd::Consumed { n, .. } => consumed += n,
                other => panic!("{other:?}"),
            }
        }
        assert!(consumed > 0 && consumed <= SOCKET, "{consumed}");
    });
}

#[test]
fn a_client_that_takes_nothing_for_long_is_given_up() {
    local(async {
        let mut core = Core::new();
        let (mut client, pump) = core.raw();
        for packet in bytes(WINDOW).chunks(PACKET) {
            core.data(packet);
        }
        // As long as a little moves, it may take its time. (The core has room for 16 commands.)
        for _ in 0..8 {
            sleep(STALL - Duration::from_secs(1)).await;
            client.read_exact(&mut [0; 20_000]).await.unwrap();
        }
        sleep(2 * STALL).await;
        while let ClientCmd::Consumed { .. } = core.cmd().await {}
        assert_eq!(pump.await.unwrap(), End::Reset);
        assert!(is_cut(&mut client).await);
    });
}

#[test]
fn bytes_that_come_when_the_watch_looks_are_no_stall() {
    let mut out = out::Out::default();
    assert!(!out.is_stalled());
    out.put(b"just come");
    assert!(!out.is_stalled(), "it has not waited yet");
    assert!(out.is_stalled());
}

#[test]
fn two_sides_that_write_first_do_not_wait_for_each_other() {
    local(async {
        let mut core = Core::new();
        let (mut client, pump) = core.raw();
        let up = bytes(500_000);
        for packet in bytes(WINDOW).chunks(PACKET) {
            core.data(packet);
        }
        core.credit(up.len());
        let talker = async {
            client.write_all(&up).await.unwrap();
            client.shutdown().await.unwrap();
            read_all(&mut client).await
        };
        let listener = async {
            let (mut sent, mut consumed, mut finish) = (0, 0, false);
            while sent < up.len() || consumed < WINDOW || !finish {
                match core.cmd().await {
                    ClientCmd::Data { bytes, .. } => sent += bytes.len(),
                    ClientCmd::Consumed { n, .. } => consumed += n,
                    ClientCmd::Finish { .. } => {
                        finish = true;
                        core.finished();
                    }
                    other => panic!("{other:?}"),
                }
            }
        };
        let (got, ()) = tokio::join!(talker, listener);
        assert_eq!(got.len(), WINDOW);
        assert_eq!(pump.await.unwrap(), End::Finished);
    });
}

#[test]
fn credit_bounds_what_is_sent_and_its_refill_goes_on() {
    local(async {
        let mut core = Core::new();
        let (mut client, _pump) = core.raw();
        let up = bytes(30_000);
        send(&mut client, &up).await;
        core.expect_nothing().await;
        for part in up.chunks(10_000) {
            core.credit(6_000);
            core.credit(part.len() - 6_000);
            core.expect_data(part).await;
            core.expect_nothing().await;
        }
        client.shutdown().await.unwrap();
        core.credit(1);
        core.expect_finish().await;
    });
}

#[test]
fn early_bytes_go_first_and_within_the_credit() {
    local(async {
        let mut core = Core::new();
        let early = |pump: &mut Pump<_>| {
            pump.pending = b"early bytes ".to_vec();
            pump.grant(5);
        };
        let (mut client, _pump) = core.start(Filter::Raw(Vec::new()), early);
        send(&mut client, b"and later ones").await;
        core.expect_data(b"early").await;
        core.expect_nothing().await;
        core.credit(100);
        core.expect_data(b" bytes and later ones").await;
    });
}

#[test]
fn a_greeting_comes_with_the_opening_and_before_all_data() {
    local(async {
        let core = Core::new();
        for opened in [true, false] {
            let (ours, mut theirs) = duplex(SOCKET);
            let conn = core.registry.register().unwrap();
            let id = conn.id;
            let filter = Filter::Raw(b"hello".to_vec());
            let mut pump = Pump::new(Chunked::new(ours, Vec::new()), conn, filter);
            let run = spawn_local(async move { pump.run().await });
            if opened {
                core.tell(ClientEvent::Opened { id });
            }
            let bytes = b"ab".to_vec();
            core.tell(ClientEvent::Data { id, bytes });
            core.tell(ClientEvent::Reset { id });
            assert_eq!(run.await.unwrap(), End::Reset, "it has begun");
            let mut got = Vec::new();
            theirs.read_to_end(&mut got).await.unwrap();
            assert_eq!(got, b"hello\0\x02ab");
        }
    });
}

#[test]
fn a_refusal_after_the_name_is_resolved_is_a_refusal() {
    local(async {
        let mut core = Core::new();
        let (_client, pump) = core.http(b"GET");
        core.credit(100);
        core.expect_data(b"GET").await;
        let why = Refusal::NoLeaseSet;
        core.tell(ClientEvent::Refused { id: ID, why });
        assert_eq!(pump.await.unwrap(), End::Refused(why));
        core.expect_nothing().await;
    });
}

#[test]
fn a_client_that_goes_away_resets_the_stream() {
    // At rest, with bytes on their way to it, and after it has said its end.
    for (data, end) in [(0, false), (WINDOW, false), (0, true), (WINDOW, true)] {
        local(async {
            let mut core = Core::new();
            let (mut client, pump) = core.raw();
            core.credit(10);
            if end {
                client.shutdown().await.unwrap();
                core.expect_finish().await;
            }
            if data > 0 {
                core.data(&bytes(data));
            }
            drop(client);
            assert_eq!(pump.await.unwrap(), End::Reset);
            core.expect_reset().await;
        });
    }
}

#[test]
fn a_client_that_has_said_its_end_still_gets_its_answer() {
    local(async {
        let mut core = Core::new();
        let (mut client, pump) = core.raw();
        core.credit(100);
        send(&mut client, b"question").await;
        client.shutdown().await.unwrap();
        core.expect_data(b"question").await;
        core.expect_finish().await;
        let body = bytes(300_000);
        let (got, ()) = tokio::join!(read_all(&mut client), core.serve(&body));
        assert!(got == body);
        assert_eq!(pump.await.unwrap(), End::Finished);
        core.expect_nothing().await;
    });
}

#[test]
fn a_core_that_is_gone_ends_all_after_what_is_there() {
    local(async {
        let core = Core::new();
        let (mut client, pump) = core.raw();
        core.data(b"last words");
        core.registry.close();
        let mut got = [0; 10];
        client.read_exact(&mut got).await.unwrap();
        assert_eq!(pump.await.unwrap(), End::Reset);
        assert!(is_cut(&mut client).await);
    });
}
