//! Two link threads over the loopback interface.

use super::*;
use ramson_proto::crypto::sig::SigningKey;
use ramson_proto::crypto::x25519::PrivateKey;
use ramson_proto::router::input::{Direction, LinkDown};
use ramson_proto::router::output::Class;
use ramson_proto::wire::hash::{MessageId, RouterHash, TunnelId, base64};
use ramson_proto::wire::i2np::tunnel::TunnelGateway;
use ramson_proto::wire::identity::{KeysAndCert, RouterIdentity};
use ramson_proto::wire::mapping::Mapping;
use ramson_proto::wire::router_address::RouterAddress;
use ramson_proto::wire::router_info::RouterInfo;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc;

const OWN: TunnelId = TunnelId(1);

struct Node {
    info: Arc<RouterInfo>,
    cmds: mpsc::Sender<LinkCmd>,
    events: mpsc::Receiver<LinkEvent>,
    status: watch::Receiver<LinkStatus>,
    thread: JoinHandle<()>,
}

fn config(listen: SocketAddr) -> LinksConfig {
    let mut rng = entropy::rng().unwrap();
    let (signing, enc) = (SigningKey::random(&mut rng), PrivateKey::random(&mut rng));
    let (static_key, iv) = (PrivateKey::random(&mut rng), rng.array::<16>());
    let filler = rng.bytes(320);
    let keys = KeysAndCert::ed25519(4, enc.public(), &filler, &signing.public()).unwrap();
    let mut options = Mapping::new();
    options.set("host", listen.ip().to_string());
    options.set("port", listen.port().to_string());
    options.set("s", base64(static_key.public()));
    options.set("i", base64(&iv)).set("v", "2");
    let address = RouterAddress {
        cost: 3,
        expiration: 0,
        style: "NTCP2".to_owned(),
        options,
    };
    let mut options = Mapping::new();
    options
        .set("netId", "77")
        .set("router.version", "0.9.67")
        .set("caps", "LR");
    let identity = RouterIdentity(keys);
    let wall = clock::now().wall;
    let info = RouterInfo::build(&identity, wall, &[address], &options, &signing).unwrap();
    LinksConfig {
        hash: info.hash(),
        static_key,
        iv,
        net_id: 77,
        info: Arc::new(info),
        links_max: 10,
        allow_private: true,
        ipv4: true,
        ipv6: true,
    }
}

fn node(ip: &str, room: usize) -> Node {
    let ip: std::net::IpAddr = ip.parse().unwrap();
    let free = std::net::TcpListener::bind((ip, 0)).unwrap();
    let listen = free.local_addr().unwrap();
    drop(free);
    let links = config(listen);
    let info = links.info.clone();
    let (cmds, cmd_rx) = mpsc::channel(1024);
    let (event_tx, events) = mpsc::channel(room);
    let (status_tx, status) = watch::channel(LinkStatus::default());
    let config = LinkLoopConfig {
        listeners: vec![crate::tcp::bind_listener(listen).unwrap()],
        links,
        shard: ShardLimits::default(),
    };
    let channels = LinkLoopChannels {
        cmds: cmd_rx,
        events: event_tx,
        status: status_tx,
    };
    Node {
        info,
        cmds,
        events,
        status,
        thread: spawn(config, channels).unwrap(),
    }
}

impl Node {
    /// Sends what comes to a tunnel of the receiver's own, which alone is not metered.
    fn send(&self, to: RouterHash, id: u32, n: usize) {
        let inner = vec![id as u8; n - 6];
        let expires = clock::now().wall + Duration::from_secs(60);
        let gateway = TunnelGateway { id: OWN, inner };
        let message = gateway.to_message(MessageId(id), expires).unwrap();
        let class = Class::Own;
        let cmd = LinkCmd::Send { to, class, message };
        self.cmds.blocking_send(cmd).unwrap();
    }

    fn event(&mut self) -> LinkEvent {
        loop {
            match self.events.blocking_recv().unwrap() {
                LinkEvent::Skew { .. } => {}
                event => return event,
            }
        }
    }

    /// Makes the tunnel, and waits until it is there.
    fn install(&mut self, from: RouterHash) {
        let own = LinkCmd::InstallOwn { id: OWN, from };
        self.cmds.blocking_send(own).unwrap();
        self.send(self.info.hash(), 0, 6);
        assert_eq!(self.message(), (0, 6));
    }

    fn message(&mut self) -> (u32, usize) {
        match self.event() {
            LinkEvent::I2np { message, .. } => (message.id.0, message.body.len()),
            other => panic!("{other:?}"),
        }
    }
}

fn linked(ip: &str, room: usize) -> (Node, Node) {
    let (mut a, mut b) = (node(ip, 1024), node(ip, room));
    a.install(b.info.hash());
    b.install(a.info.hash());
    let dial = LinkCmd::Dial(b.info.clone());
    a.cmds.blocking_send(dial).unwrap();
    let up = |event: LinkEvent, expected: Direction| match event {
        LinkEvent::Up { direction, .. } => direction == expected,
        _ => false,
    };
    assert!(up(a.event(), Direction::Outbound));
    assert!(up(b.event(), Direction::Inbound));
    (a, b)
}

#[test]
fn megabytes_both_ways_and_an_orderly_end() {
    for ip in ["127.0.0.1", "::1"] {
        if std::net::TcpListener::bind((ip.parse::<std::net::IpAddr>().unwrap(), 0)).is_err() {
            continue;
        }
        let (mut a, mut b) = linked(ip, 1024);
        let (to_a, to_b) = (a.info.hash(), b.info.hash());
        for id in 0..100 {
            a.send(to_b, id, 60_000);
            b.send(to_a, id, 30_000);
            assert_eq!(b.message(), (id, 60_000));
            assert_eq!(a.message(), (id, 30_000));
        }
        drop(a.cmds);
        a.thread.join().unwrap();
        let LinkEvent::Down { why, .. } = b.event() else {
            panic!("no end");
        };
        assert_eq!(why, LinkDown::PeerTerminated(3));
        drop(b.cmds);
        b.thread.join().unwrap();
    }
}

#[test]
fn a_core_that_does_not_listen_costs_messages_not_links() {
    let (mut a, mut b) = linked("127.0.0.1", 4);
    let to_b = b.info.hash();
    for round in 0..40 {
        for id in 0..50 {
            a.send(to_b, round * 50 + id, 1000);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let dropped = |s: &LinkStatus| s.events_dropped;
    for _ in 0..50 {
        if dropped(&b.status.borrow()) > 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(dropped(&b.status.borrow()) > 0);
    drop(a.cmds);
    // What the channel held, then the end: never lost.
    while !matches!(b.event(), LinkEvent::Down { .. }) {}
    drop(b.cmds);
    a.thread.join().unwrap();
    b.thread.join().unwrap();
    while a.events.try_recv().is_ok() {}
}
