use super::*;
use crate::config_file::ConfigFile;
use crate::servers::Running;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::LocalSet;

const SITE: DestHash = DestHash([1; 32]);
const VISITOR: DestHash = DestHash([2; 32]);

/// What stands around: the core's side of the channel, and one server.
struct Bench {
    visitors: Visitors,
    registry: Registry,
    cmds: Receiver<ClientCmd>,
    visits: Arc<Visits>,
    _table: watch::Sender<Table>,
}

impl Bench {
    fn new(kind: &str, target: SocketAddr, more: &str) -> Self {
        let text =
            format!("[[servers]]\nname = \"a\"\nkind = \"{kind}\"\ntarget = \"{target}\"\n{more}");
        let file = ConfigFile::parse(&text, "c").unwrap();
        let visits = Arc::<Visits>::default();
        let running = Running {
            server: file.servers[0].clone(),
            visits: Arc::clone(&visits),
        };
        let (sender, table) = watch::channel(Table::new(BTreeMap::from([(SITE, running)])));
        let (tx, cmds) = channel(64);
        let registry = Registry::new(tx, [0; 32]);
        Self {
            visitors: Visitors::new(table, registry.clone(), [3; 32]),
            registry,
            cmds,
            visits,
            _table: sender,
        }
    }

    fn come(&self, id: u64, from: DestHash) -> bool {
        self.visitors.take(Incoming {
            id: ClientId(id),
            dest: SITE,
            from,
            destination: vec![9; 391],
        })
    }

    fn say(&self, id: u64, text: &str) {
        let (id, bytes) = (ClientId(id), text.as_bytes().to_vec());
        assert!(self.registry.dispatch(ClientEvent::Credit { id, n: 65536 }));
        assert!(self.registry.dispatch(ClientEvent::Data { id, bytes }));
    }

    /// What the visitor gets, until its stream ends.
    async fn heard(&mut self) -> (String, bool) {
        let mut all = Vec::new();
        loop {
            let cmd = timeout(Duration::from_secs(20), self.cmds.recv()).await;
            match cmd.unwrap().unwrap() {
                ClientCmd::Data { bytes, .. } => all.extend(bytes),
                ClientCmd::Finish { .. } => return (String::from_utf8(all).unwrap(), true),
                ClientCmd::Reset { .. } => return (String::from_utf8(all).unwrap(), false),
                _ => {}
            }
        }
    }
}

fn run(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

/// An address that nobody listens at.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn a_service_that_is_down_is_told() {
    run(async {
        let target = nobody().await;
        let mut http = Bench::new("http", target, "");
        assert!(http.come(1, VISITOR));
        http.say(1, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let (page, in_order) = http.heard().await;
        assert!(page.starts_with("HTTP/1.1 503 ") && in_order, "{page}");
        let mut tcp = Bench::new("tcp", target, "");
        assert!(tcp.come(1, VISITOR));
        assert_eq!(tcp.heard().await, (String::new(), false));
        assert_eq!(tcp.visits.unanswered.load(Relaxed), 1);
    });
}

#[test]
fn a_request_names_its_visitor_and_comes_from_its_address() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        let mut bench = Bench::new("http", target, "distinct_addresses = true");
        assert!(bench.come(1, VISITOR));
        bench.say(1, "GET / HTTP/1.1\r\nHost: x\r\nX-I2P-DestB32: me\r\n\r\n");
        let (mut socket, from) = listener.accept().await.unwrap();
        assert!(from.ip().is_loopback() && from.ip() != Ipv4Addr::LOCALHOST);
        let mut head = vec![0; 4096];
        let n = socket.read(&mut head).await.unwrap();
        let head = String::from_utf8_lossy(&head[..n]).into_owned();
        let line = format!("X-I2P-DestB32: {}\r\n", VISITOR.b32());
        assert!(head.contains(&line) && !head.contains(" me\r\n"), "{head}");
        assert!(head.contains(&format!("Host: {target}\r\n")), "{head}");
        socket
            .write_all(b"HTTP/1.1 200 OK\r\n\r\nhi")
            .await
            .unwrap();
        drop(socket);
        let (answer, in_order) = bench.heard().await;
        assert!(answer.ends_with("\r\n\r\nhi") && in_order, "{answer}");
    });
}

#[test]
fn what_is_no_request_never_reaches_the_service() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut bench = Bench::new("http", listener.local_addr().unwrap(), "");
        assert!(bench.come(1, VISITOR));
        bench.say(1, "SSH-2.0-x\r\n\r\n");
        assert_eq!(bench.heard().await, (String::new(), false));
        assert_eq!(bench.visits.refused.load(Relaxed), 1);
        let came = timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(came.is_err());
    });
}

#[test]
fn lists_and_limits_hold() {
    run(async {
        let more = format!(
            "streams = 3\nstreams_per_visitor = 2\ndeny = [\"{}\"]",
            DestHash([5; 32]).b32()
        );
        let mut bench = Bench::new("http", nobody().await, &more);
        assert!(!bench.come(1, DestHash([5; 32])), "denied");
        assert!(bench.come(2, VISITOR) && bench.come(3, VISITOR));
        assert!(!bench.come(4, VISITOR), "has its share");
        assert!(bench.come(5, DestHash([3; 32])));
        assert!(!bench.come(6, DestHash([4; 32])), "full");
        assert_eq!(bench.visits.streams.load(Relaxed), 3);
        assert_eq!(bench.visits.refused.load(Relaxed), 3);
        let id = ClientId(2);
        assert!(bench.registry.dispatch(ClientEvent::Reset { id }));
        while bench.visits.streams.load(Relaxed) > 2 {
            tokio::task::yield_now().await;
        }
        assert!(bench.come(7, DestHash([4; 32])), "room again");
        bench.cmds.close();
    });
}

#[test]
fn visitors_leave_room_to_clients() {
    run(async {
        let more = "streams = 512\nstreams_per_visitor = 512";
        let bench = Bench::new("http", nobody().await, more);
        let own = bench.registry.register();
        let came = (2..600).filter(|id| bench.come(*id, VISITOR)).count();
        assert_eq!(came, 511);
        assert!(own.is_some() && bench.registry.register().is_some());
    });
}
