//! The sockets of the DHCP server.

use super::{Outcome, Server, wire};
use crate::counters::{Count, Counters};
use crate::neigh::Neighbours;
use dhcproto::Encodable;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::UdpSocket;

/// Longest message that is read, bytes.
const MESSAGE_MAX: usize = 1500;

/// Shortest message that is sent, bytes: clients of BOOTP's time take no shorter ones.
const MESSAGE_MIN: usize = 300;

/// How often names of ended leases are looked for.
const LOOK: Duration = Duration::from_secs(60);

/// Answers until the socket fails. `elsewhere` hears of clients that chose another server, and
/// says whether we are to serve at all.
pub async fn serve(
    socket: UdpSocket,
    mut server: Server,
    table: Option<Neighbours>,
    counters: Rc<Counters>,
    watch: Rc<dyn Watch>,
) -> io::Result<()> {
    let mut buf = vec![0; MESSAGE_MAX];
    let mut look = tokio::time::interval(LOOK);
    loop {
        let got = tokio::select! {
            got = socket.recv_from(&mut buf) => got,
            at = look.tick() => {
                server.forget_ended(at.into_std());
                continue;
            }
        };
        let (n, _) = match got {
            Ok(got) => got,
            // ICMP errors about earlier answers surface here.
            Err(e) if crate::dns::is_transient(&e) => continue,
            Err(e) => return Err(e),
        };
        let bytes = buf.get(..n).unwrap_or_default();
        let Some(message) = wire::decode(bytes) else {
            counters.add(Count::DhcpMalformed);
            continue;
        };
        let now = tokio::time::Instant::now().into_std();
        let neighbour = |address: Ipv4Addr| table.as_ref()?.mac(IpAddr::V4(address));
        let outcome = server.handle(&message, now, &neighbour);
        if matches!(outcome, Outcome::Elsewhere(_)) {
            watch.elsewhere();
        }
        match outcome {
            Outcome::Reply(reply) if watch.may_serve() => {
                counters.add(Count::DhcpAnswers);
                let mut bytes = reply.message.to_vec().unwrap_or_default();
                bytes.resize(bytes.len().max(MESSAGE_MIN), 0);
                // What is lost is asked for again.
                let _ = socket.send_to(&bytes, reply.to).await;
            }
            Outcome::TooOften => counters.add(Count::DhcpTooOften),
            _ => {}
        }
    }
}

/// Who decides whether the LAN is ours to serve.
pub trait Watch {
    /// A client of the LAN has chosen another server.
    fn elsewhere(&self);

    /// Whether nobody else serves it.
    fn may_serve(&self) -> bool;
}
