//! Whether the LAN is ours to serve: not when somebody else gives out addresses on it, as when the
//! box is plugged into another router's LAN, or with both ports into the same one.
//!
//! The sign is that a question of our own, asked now and then as a client would, is answered by
//! somebody else. A client that chooses another server says so to all; since anybody can say that,
//! it only makes us ask at once. The box keeps answering names and connections; it gives out
//! nothing more until two questions in a row have found nobody. The supervisor tells when one of
//! our questions has come in by the WAN's port: it is of a client with an address that only this
//! box knows (`Secrets::asker`). What merely looks like a frame of the other port makes us ask.

use crate::dhcp4::serve::Watch;
use crate::dhcp4::wire;
use dhcproto::Encodable;
use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, Opcode, OptionCode};
use std::cell::Cell;
use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::Notify;

/// How long an answer counts: longer than two questions take.
const COUNTS: Duration = Duration::from_secs(150);

/// Time between questions: at first, while all is well, and while somebody else is there.
const EARLY: Duration = Duration::from_secs(10);
const CALM: Duration = Duration::from_secs(300);
const AFTER: Duration = Duration::from_secs(60);

/// What clients say makes us ask at most this often.
const HINTED: Duration = Duration::from_secs(10);

/// Questions at the shorter distance after a start.
const EARLY_COUNT: u32 = 3;

/// Why the LAN is not ours to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Other {
    /// Somebody else gives out addresses.
    Server(Ipv4Addr),
    /// What the box says at one port comes in by the other.
    BothPorts,
}

impl std::fmt::Display for Other {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server(server) => write!(f, "{server} gives out addresses there"),
            Self::BothPorts => f.write_str("both ports of the box are in it"),
        }
    }
}

impl Other {
    /// From a line of the status.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let server = text.split(' ').next().and_then(|ip| ip.parse().ok());
        let both = Some(Self::BothPorts).filter(|both| both.to_string() == text);
        server.map(Self::Server).or(both)
    }
}

/// What is known of other servers.
#[derive(Default)]
pub struct Rogue {
    seen: Cell<Option<(Instant, Other)>>,
    hint: Notify,
}

impl Rogue {
    /// The LAN is not ours to serve.
    pub fn saw(&self, other: Other, now: Instant) {
        // The WAN's server is there then, too.
        let both = self.other(now).filter(|known| *known == Other::BothPorts);
        let other = both.unwrap_or(other);
        if self.other(now) != Some(other) {
            eprintln!("gatewayd: nothing more is given out on the LAN: {other}");
        }
        self.seen.set(Some((now, other)));
    }

    /// Why it is not.
    #[must_use]
    pub fn other(&self, now: Instant) -> Option<Other> {
        let (at, other) = self.seen.get()?;
        (now.saturating_duration_since(at) < COUNTS).then_some(other)
    }

    /// A line for the status.
    #[must_use]
    pub fn status(&self) -> String {
        match self.other(now()) {
            None => "lan: served\n".into(),
            Some(other) => format!("lan: not served, {other}\n"),
        }
    }
}

impl Watch for Rogue {
    fn elsewhere(&self) {
        self.hint.notify_one();
    }

    fn may_serve(&self) -> bool {
        self.other(now()).is_none()
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// A question of a client that does not exist.
fn question(xid: u32, mac: [u8; 6]) -> Message {
    let mut message = Message::default();
    message
        .set_opcode(Opcode::BootRequest)
        .set_xid(xid)
        .set_flags(Flags::default().set_broadcast())
        .set_chaddr(&mac);
    let options = message.opts_mut();
    options.insert(DhcpOption::MessageType(MessageType::Discover));
    message
}

/// The server of an offer that answers our question.
fn offered(bytes: &[u8], xid: u32) -> Option<Ipv4Addr> {
    let message = wire::decode(bytes)?;
    let offer = message.opts().has_msg_type(MessageType::Offer);
    if message.opcode() != Opcode::BootReply || message.xid() != xid || !offer {
        return None;
    }
    match message.opts().get(OptionCode::ServerIdentifier) {
        Some(DhcpOption::ServerIdentifier(server)) => Some(*server),
        _ => Some(message.siaddr()),
    }
}

/// Asks and listens until the socket, a client's on the LAN, fails. `own` is ourselves.
///
/// # Errors
/// Those of the socket.
pub async fn probe(
    socket: UdpSocket,
    rogue: Rc<Rogue>,
    own: Ipv4Addr,
    asker: [u8; 6],
) -> io::Result<()> {
    probe_with(socket, rogue, own, asker, || {}).await
}

/// `asking` is called with each question.
async fn probe_with(
    socket: UdpSocket,
    rogue: Rc<Rogue>,
    own: Ipv4Addr,
    asker: [u8; 6],
    asking: impl Fn(),
) -> io::Result<()> {
    let mut buf = vec![0; 1500];
    let (mut xid, mut asked) = (0, 0);
    let mut last = tokio::time::Instant::now();
    let mut next = last;
    loop {
        tokio::select! {
            () = rogue.hint.notified() => {
                // Not while there is no first question yet.
                if asked > 0 {
                    next = next.min(last + HINTED);
                }
            }
            () = tokio::time::sleep_until(next) => {
                last = tokio::time::Instant::now();
                let mut random = [0; 4];
                getrandom::fill(&mut random).map_err(io::Error::other)?;
                xid = u32::from_be_bytes(random);
                let mut bytes = question(xid, asker).to_vec().unwrap_or_default();
                bytes.resize(bytes.len().max(300), 0);
                // A link that is down is asked again.
                let _ = socket.send_to(&bytes, (Ipv4Addr::BROADCAST, 67)).await;
                asking();
                asked += 1;
                next = last + match (rogue.may_serve(), asked < EARLY_COUNT) {
                    (_, true) => EARLY,
                    (true, false) => CALM,
                    (false, false) => AFTER,
                };
            }
            got = socket.recv_from(&mut buf) => {
                let n = match got {
                    Ok((n, _)) => n,
                    Err(e) if crate::dns::is_transient(&e) => continue,
                    Err(e) => return Err(e),
                };
                let server = offered(buf.get(..n).unwrap_or_default(), xid);
                if let Some(server) = server.filter(|server| *server != own) {
                    rogue.saw(Other::Server(server), now());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

    #[test]
    fn another_server_ends_the_service_for_a_while() {
        let (rogue, now) = (Rogue::default(), now());
        assert!(rogue.may_serve() && rogue.status() == "lan: served\n");
        let server = Other::Server(OTHER);
        rogue.saw(server, now);
        assert_eq!(rogue.other(now), Some(server));
        assert!(!rogue.may_serve() && rogue.status().contains("192.168.1.1"));
        for other in [server, Other::BothPorts] {
            assert_eq!(Other::parse(&other.to_string()), Some(other));
        }
        assert_eq!(Other::parse("somebody"), None);
        assert_eq!(rogue.other(now + COUNTS), None);
        // With both ports in one network the WAN's server answers, too: that is not the reason.
        rogue.saw(Other::BothPorts, now);
        rogue.saw(server, now);
        assert_eq!(rogue.other(now), Some(Other::BothPorts));
    }

    /// What a device says of servers makes us ask, and nothing else: only an answer counts.
    #[tokio::test(start_paused = true)]
    async fn what_a_device_says_is_asked_about_and_not_believed() {
        let ours = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let rogue = Rc::new(Rogue::default());
        let begun = tokio::time::Instant::now();
        let asked = Rc::new(Cell::new(0));
        let say = async {
            for _ in 0..2000 {
                rogue.elsewhere();
                assert!(rogue.may_serve());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let count = Rc::clone(&asked);
        let probing = probe_with(ours, Rc::clone(&rogue), OTHER, [2; 6], move || {
            count.set(count.get() + 1);
        });
        tokio::select! {
            () = say => {}
            ended = probing => panic!("{ended:?}"),
        }
        let most = begun.elapsed().as_secs() / HINTED.as_secs() + 1;
        assert!(
            (5..=most).contains(&asked.get()),
            "{} of {most}",
            asked.get()
        );
    }

    #[test]
    fn only_an_offer_to_our_question_counts() {
        let asked = question(77, [2, 0, 0, 0, 0, 1]);
        let mut offer = asked.clone();
        offer.set_opcode(Opcode::BootReply);
        let options = offer.opts_mut();
        options.insert(DhcpOption::MessageType(MessageType::Offer));
        options.insert(DhcpOption::ServerIdentifier(OTHER));
        let bytes = offer.to_vec().unwrap();
        assert_eq!(offered(&bytes, 77), Some(OTHER));
        assert_eq!(offered(&bytes, 78), None);
        assert_eq!(offered(&asked.to_vec().unwrap(), 77), None);
        assert_eq!(offered(&bytes[..bytes.len() / 2], 77), None);
        crate::mutate::each(&bytes, |bytes| {
            let _ = offered(bytes, 77);
        });
    }
}
