//! Dials one router by its RouterInfo file, asks it for that RouterInfo and hangs up, so that the
//! answer has to call back; prints what happens. A look at a real peer, without the rest of the
//! router.
//!
//! `ntcp2_probe NET_ID OUR_ADDRESS ROUTER_INFO [SECONDS]`

use ramson_proto::crypto::sig::SigningKey;
use ramson_proto::crypto::x25519::PrivateKey;
use ramson_proto::link::LinksConfig;
use ramson_proto::relay::shard::ShardLimits;
use ramson_proto::rng::Rng;
use ramson_proto::router::input::{Direction, LinkEvent};
use ramson_proto::router::output::{Class, LinkCmd};
use ramson_proto::wire::cursor::Writer;
use ramson_proto::wire::hash::{MessageId, RouterHash, base64};
use ramson_proto::wire::i2np::{Message, kind};
use ramson_proto::wire::identity::{KeysAndCert, RouterIdentity};
use ramson_proto::wire::mapping::Mapping;
use ramson_proto::wire::router_address::RouterAddress;
use ramson_proto::wire::router_info::{RouterInfo, parse_verified};
use ramson_router::link_loop::{LinkLoopChannels, LinkLoopConfig, spawn};
use ramson_router::{clock, entropy};
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

fn ourselves(rng: &mut Rng, net_id: u8, listen: SocketAddr) -> Result<LinksConfig, Box<dyn Error>> {
    let (signing, enc) = (SigningKey::random(rng), PrivateKey::random(rng));
    let (static_key, iv) = (PrivateKey::random(rng), rng.array::<16>());
    let filler = rng.bytes(320);
    let keys = KeysAndCert::ed25519(4, enc.public(), &filler, &signing.public())?;
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
    options.set("netId", net_id.to_string()).set("caps", "XR");
    options.set("router.version", "0.9.67");
    let identity = RouterIdentity(keys);
    let wall = clock::now().wall;
    let info = RouterInfo::build(&identity, wall, &[address], &options, &signing)?;
    Ok(LinksConfig {
        hash: info.hash(),
        static_key,
        iv,
        net_id,
        info: Arc::new(info),
        links_max: 100,
        allow_private: true,
        ipv4: true,
        ipv6: true,
    })
}

/// A direct lookup of a RouterInfo (i2p spec/i2np, DatabaseLookup).
fn lookup(rng: &mut Rng, key: RouterHash, from: RouterHash) -> Message {
    let mut w = Writer::new();
    w.put(key.as_bytes()).put(from.as_bytes()).u8(0b1000).u16(0);
    Message {
        kind: kind::DATABASE_LOOKUP,
        id: MessageId(rng.nonzero_u32()),
        expires: clock::now().wall + Duration::from_secs(8),
        body: w.into_vec(),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, net_id, listen, file, rest @ ..] = args.as_slice() else {
        return Err("ntcp2_probe NET_ID OUR_ADDRESS ROUTER_INFO [SECONDS]".into());
    };
    let seconds = rest.first().map_or(Ok(10), |s| s.parse::<u64>())?;
    let listen: SocketAddr = listen.parse()?;
    let peer = Arc::new(parse_verified(&std::fs::read(file)?)?);
    let mut rng = entropy::rng()?;
    let links = ourselves(&mut rng, net_id.parse()?, listen)?;
    let us = links.hash;
    let (cmds, cmd_rx) = mpsc::channel(1024);
    let (event_tx, mut events) = mpsc::channel(1024);
    let (status_tx, status) = watch::channel(Default::default());
    let config = LinkLoopConfig {
        listeners: vec![ramson_router::tcp::bind_listener(listen)?],
        links,
        shard: ShardLimits::default(),
    };
    let channels = LinkLoopChannels {
        cmds: cmd_rx,
        events: event_tx,
        status: status_tx,
    };
    let thread = spawn(config, channels)?;
    cmds.blocking_send(LinkCmd::Dial(peer.clone()))?;
    let end = clock::now().mono + Duration::from_secs(seconds);
    while clock::now().mono < end {
        let Ok(event) = events.try_recv() else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        println!("{:>8} ms {event:?}", clock::now().mono.0 / 1000);
        if let LinkEvent::Up {
            peer: to,
            direction: Direction::Outbound,
            ..
        } = event
        {
            let message = lookup(&mut rng, to, us);
            let class = Class::Control;
            cmds.blocking_send(LinkCmd::Send { to, class, message })?;
            cmds.blocking_send(LinkCmd::Close {
                peer: to,
                reason: 0,
            })?;
        }
    }
    println!("{:?}", *status.borrow());
    drop(cmds);
    drop(thread.join());
    Ok(())
}
