//! DHCPv6 without addresses (RFC 8415, section 18.3.6): tells who asks where the resolver is, and
//! who wants an address that there is none, for addresses are made of the advertised prefix.

use crate::counters::{Count, Counters};
use crate::dhcp4::serve::Watch;
use crate::policy::Rate;
use dhcproto::v6::{
    DhcpOption, DhcpOptions, IANA, Message, MessageType, OptionCode, Status, StatusCode,
};
use dhcproto::{Decodable, Decoder, Encodable};
use std::io;
use std::net::Ipv6Addr;
use std::rc::Rc;
use tokio::net::UdpSocket;

/// Port of servers.
pub const SERVER_PORT: u16 = 547;

/// Messages answered, of all clients together.
const RATE: Rate = Rate::new(50, 100);

/// Longest message that is read, bytes.
const MESSAGE_MAX: usize = 1500;

/// Identity associations of one message that are answered.
const ASSOCIATIONS_MAX: usize = 8;

/// What clients are told.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The resolver.
    pub own: Ipv6Addr,
    /// This server, as clients tell servers apart: a DUID-UUID (RFC 6355).
    pub duid: [u8; 18],
}

impl Facts {
    /// `uuid` stays the same over restarts.
    #[must_use]
    pub fn new(own: Ipv6Addr, uuid: [u8; 16]) -> Self {
        let mut duid = [0; 18];
        duid[1] = 4;
        duid[2..].copy_from_slice(&uuid);
        Self { own, duid }
    }
}

/// The answer to a message; `None` for what deserves none.
#[must_use]
pub fn answer(message: &Message, facts: &Facts) -> Option<Message> {
    let options = message.opts();
    if let Some(DhcpOption::ServerId(server)) = options.get(OptionCode::ServerId)
        && server != &facts.duid
    {
        return None;
    }
    let client = options.get(OptionCode::ClientId).cloned();
    let kind = match message.msg_type() {
        MessageType::InformationRequest => MessageType::Reply,
        MessageType::Solicit if client.is_some() => MessageType::Advertise,
        MessageType::Request | MessageType::Renew | MessageType::Rebind if client.is_some() => {
            MessageType::Reply
        }
        _ => return None,
    };
    let mut reply = Message::new_with_id(kind, message.xid());
    let out = reply.opts_mut();
    out.insert(DhcpOption::ServerId(facts.duid.to_vec()));
    client.into_iter().for_each(|client| out.insert(client));
    out.insert(DhcpOption::DomainNameServers(vec![facts.own]));
    if message.msg_type() != MessageType::InformationRequest {
        let wanted = options.iter().filter_map(|option| match option {
            DhcpOption::IANA(association) => Some(association.id),
            _ => None,
        });
        for id in wanted.take(ASSOCIATIONS_MAX) {
            out.insert(no_address(id));
        }
    }
    Some(reply)
}

fn no_address(id: u32) -> DhcpOption {
    let mut opts = DhcpOptions::new();
    opts.insert(DhcpOption::StatusCode(StatusCode {
        status: Status::NoAddrsAvail,
        msg: "addresses are made of the advertised prefix".into(),
    }));
    DhcpOption::IANA(IANA {
        id,
        t1: 0,
        t2: 0,
        opts,
    })
}

/// Answers until the socket fails.
pub async fn serve(
    socket: UdpSocket,
    facts: Facts,
    counters: Rc<Counters>,
    watch: Rc<dyn Watch>,
) -> io::Result<()> {
    let mut buf = vec![0; MESSAGE_MAX];
    let mut bucket = RATE.bucket(tokio::time::Instant::now().into_std());
    loop {
        let (n, from) = match socket.recv_from(&mut buf).await {
            Ok(got) => got,
            Err(e) if crate::dns::is_transient(&e) => continue,
            Err(e) => return Err(e),
        };
        if !RATE.take(&mut bucket, tokio::time::Instant::now().into_std()) {
            counters.add(Count::DhcpTooOften);
            continue;
        }
        let bytes = buf.get(..n).unwrap_or_default();
        let Ok(message) = Message::decode(&mut Decoder::new(bytes)) else {
            counters.add(Count::DhcpMalformed);
            continue;
        };
        let reply = answer(&message, &facts).filter(|_| watch.may_serve());
        if let Some(bytes) = reply.and_then(|reply| reply.to_vec().ok()) {
            counters.add(Count::DhcpAnswers);
            // What is lost is asked for again.
            let _ = socket.send_to(&bytes, from).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts::new("fd77:1::1".parse().unwrap(), [7; 16])
    }

    fn asked(kind: MessageType, more: Vec<DhcpOption>) -> Option<Message> {
        let mut message = Message::new_with_id(kind, [1, 2, 3]);
        message
            .opts_mut()
            .insert(DhcpOption::ClientId(vec![0, 3, 0, 1, 9]));
        more.into_iter()
            .for_each(|option| message.opts_mut().insert(option));
        // Over the wire, as it comes.
        let bytes = message.to_vec().unwrap();
        answer(
            &Message::decode(&mut Decoder::new(&bytes)).unwrap(),
            &facts(),
        )
    }

    #[test]
    fn who_asks_learns_the_resolver() {
        let reply = asked(MessageType::InformationRequest, vec![]).unwrap();
        assert_eq!(
            (reply.msg_type(), reply.xid()),
            (MessageType::Reply, [1, 2, 3])
        );
        let options = reply.opts();
        assert_eq!(
            options.get(OptionCode::DomainNameServers),
            Some(&DhcpOption::DomainNameServers(vec![facts().own]))
        );
        assert_eq!(
            options.get(OptionCode::ClientId),
            Some(&DhcpOption::ClientId(vec![0, 3, 0, 1, 9]))
        );
        let server = DhcpOption::ServerId(facts().duid.to_vec());
        assert_eq!(options.get(OptionCode::ServerId), Some(&server));
        assert_eq!(facts().duid[..2], [0, 4]);
    }

    #[test]
    fn who_wants_an_address_is_told_that_there_is_none() {
        let wants = |kind| {
            let association = IANA {
                id: 77,
                t1: 0,
                t2: 0,
                opts: DhcpOptions::new(),
            };
            asked(kind, vec![DhcpOption::IANA(association)])
        };
        let reply = wants(MessageType::Solicit).unwrap();
        assert_eq!(reply.msg_type(), MessageType::Advertise);
        assert_eq!(
            wants(MessageType::Request).unwrap().msg_type(),
            MessageType::Reply
        );
        let Some(DhcpOption::IANA(none)) = reply.opts().get(OptionCode::IANA) else {
            panic!("no association");
        };
        assert_eq!(none.id, 77);
        assert!(matches!(
            none.opts.get(OptionCode::StatusCode),
            Some(DhcpOption::StatusCode(StatusCode {
                status: Status::NoAddrsAvail,
                ..
            }))
        ));
    }

    #[test]
    fn another_servers_messages_and_answers_are_left_alone() {
        let other = vec![DhcpOption::ServerId(vec![0, 1, 2])];
        assert!(asked(MessageType::InformationRequest, other).is_none());
        for kind in [
            MessageType::Reply,
            MessageType::Advertise,
            MessageType::Release,
        ] {
            assert!(asked(kind, vec![]).is_none());
        }
        let nameless = Message::new(MessageType::Solicit);
        assert!(answer(&nameless, &facts()).is_none());
    }

    #[test]
    fn messages_with_anything_in_them_do_no_harm() {
        let mut message = Message::new_with_id(MessageType::InformationRequest, [1, 2, 3]);
        let client = DhcpOption::ClientId(vec![0, 3, 0, 1, 9]);
        message.opts_mut().insert(client);
        let (bytes, mut answered) = (message.to_vec().unwrap(), 0);
        crate::mutate::each(&bytes, |bytes| {
            if let Ok(message) = Message::decode(&mut Decoder::new(bytes)) {
                answered += usize::from(answer(&message, &facts()).is_some());
            }
        });
        assert!(answered > 20, "{answered}");
    }
}
