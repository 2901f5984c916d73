use super::*;
use dhcproto::v4::Flags;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
const OWN: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn server() -> Server {
    let own: Ipv4Net = "192.168.77.1/24".parse().unwrap();
    let pool = (u32::from(own.network()) + 1, u32::from(own.broadcast()) - 1);
    let fixed = Static {
        mac: crate::config::Mac([2, 0, 0, 0, 0, 0x20]),
        address: Ipv4Addr::new(192, 168, 77, 20),
        name: Some("printer".into()),
    };
    let time = Duration::from_secs(43_200);
    let leases = Leases::new([1; 16], own, pool, time, vec![fixed]);
    let facts = Facts {
        own,
        domain: "internal".into(),
        name: "ramson".into(),
        mtu: Some(1500),
    };
    Server::new(facts, Rc::new(RefCell::new(leases)), Rc::default(), now())
}

fn message(kind: MessageType, mac: [u8; 6]) -> Message {
    let mut message = Message::default();
    message
        .set_opcode(Opcode::BootRequest)
        .set_xid(0x0102_0304)
        .set_flags(Flags::default().set_broadcast())
        .set_chaddr(&mac);
    message.opts_mut().insert(DhcpOption::MessageType(kind));
    message
}

fn with(mut message: Message, options: &[DhcpOption]) -> Message {
    for option in options {
        message.opts_mut().insert(option.clone());
    }
    message
}

fn request(mac: [u8; 6], address: Ipv4Addr) -> Message {
    let wanted = DhcpOption::RequestedIpAddress(address);
    with(message(MessageType::Request, mac), &[wanted])
}

fn nobody(_: Ipv4Addr) -> Option<[u8; 6]> {
    None
}

fn reply(outcome: Outcome) -> Reply {
    match outcome {
        Outcome::Reply(reply) => *reply,
        other => panic!("{other:?}"),
    }
}

fn kind(reply: &Reply) -> MessageType {
    reply.message.opts().msg_type().unwrap()
}

fn lease_secs(reply: &Reply) -> u32 {
    match reply.message.opts().get(OptionCode::AddressLeaseTime) {
        Some(DhcpOption::AddressLeaseTime(secs)) => *secs,
        other => panic!("{other:?}"),
    }
}

/// Asks as a device does; the address it gets.
fn join(server: &mut Server, mac: [u8; 6], now: Instant) -> Ipv4Addr {
    let discover = message(MessageType::Discover, mac);
    let offer = reply(server.handle(&discover, now, &nobody));
    assert_eq!(kind(&offer), MessageType::Offer);
    let chosen = DhcpOption::ServerIdentifier(OWN);
    let request = with(request(mac, offer.message.yiaddr()), &[chosen]);
    let ack = reply(server.handle(&request, now, &nobody));
    assert_eq!(kind(&ack), MessageType::Ack);
    assert_eq!(ack.message.yiaddr(), offer.message.yiaddr());
    ack.message.yiaddr()
}

#[test]
fn a_device_gets_its_address_and_what_it_asks_for() {
    let (mut server, now) = (server(), now());
    let address = join(&mut server, MAC, now);
    assert!(OWN != address && server.facts.own.contains(&address));
    assert_eq!(join(&mut server, MAC, now), address, "again the same");
    let list = DhcpOption::ParameterRequestList(vec![
        OptionCode::SubnetMask,
        OptionCode::DomainName,
        OptionCode::InterfaceMtu,
        OptionCode::BroadcastAddr,
    ]);
    let id = DhcpOption::ClientIdentifier(vec![1, 2, 0, 0, 0, 0, 9]);
    let asked = with(message(MessageType::Discover, MAC), &[list, id.clone()]);
    let offer = reply(server.handle(&asked, now, &nobody));
    let options = offer.message.opts();
    for option in [
        DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)),
        DhcpOption::Router(vec![OWN]),
        DhcpOption::DomainNameServer(vec![OWN]),
        DhcpOption::BroadcastAddr(Ipv4Addr::new(192, 168, 77, 255)),
        DhcpOption::DomainName("internal".into()),
        DhcpOption::InterfaceMtu(1500),
        DhcpOption::ServerIdentifier(OWN),
        id,
    ] {
        assert!(options.iter().any(|(_, o)| *o == option), "{option:?}");
    }
    assert_eq!(offer.to, everybody());
    assert!(!options.contains(OptionCode::CaptivePortal));
    assert_eq!(
        (offer.message.xid(), offer.message.chaddr()),
        (0x0102_0304, &MAC[..])
    );
}

#[test]
fn the_first_lease_is_short_until_the_address_is_in_use() {
    let (mut server, now) = (server(), now());
    let address = join(&mut server, MAC, now);
    let mut renewal = message(MessageType::Request, MAC);
    renewal.set_ciaddr(address);
    let unseen = reply(server.handle(&renewal, now, &nobody));
    assert_eq!(u64::from(lease_secs(&unseen)), FIRST.as_secs());
    assert_eq!(unseen.to, SocketAddrV4::new(address, CLIENT_PORT));
    let seen = reply(server.handle(&renewal, now, &|_| Some(MAC)));
    assert_eq!(lease_secs(&seen), 43_200);
    assert!(
        seen.message
            .opts()
            .iter()
            .any(|(_, o)| *o == DhcpOption::Renewal(21_600))
    );
}

#[test]
fn requests_that_do_not_fit_are_told_so() {
    let (mut server, now) = (server(), now());
    let mine = join(&mut server, MAC, now);
    let mut other = MAC;
    other[5] = 10;
    for wrong in [
        Ipv4Addr::new(10, 0, 0, 5),
        OWN,
        mine,
        Ipv4Addr::new(192, 168, 77, 20),
    ] {
        let nak = reply(server.handle(&request(other, wrong), now, &nobody));
        assert_eq!(
            (kind(&nak), nak.to),
            (MessageType::Nak, everybody()),
            "{wrong}"
        );
        assert!(nak.message.yiaddr().is_unspecified());
    }
    // An address that is free, remembered from before the box forgot.
    let free = Ipv4Addr::new(192, 168, 77, 200);
    let ack = reply(server.handle(&request(other, free), now, &nobody));
    assert_eq!((kind(&ack), ack.message.yiaddr()), (MessageType::Ack, free));
    // One that somebody else is seen to use is not given.
    let taken = Ipv4Addr::new(192, 168, 77, 201);
    let third = [2, 0, 0, 0, 0, 11];
    let nak = reply(server.handle(&request(third, taken), now, &|_| Some(MAC)));
    assert_eq!(kind(&nak), MessageType::Nak);
}

#[test]
fn fixed_addresses_names_and_the_end_of_a_lease() {
    let (mut server, now) = (server(), now());
    let printer = [2, 0, 0, 0, 0, 0x20];
    let fixed = join(&mut server, printer, now);
    assert_eq!(fixed, Ipv4Addr::new(192, 168, 77, 20));
    let names = Rc::clone(&server.names);
    assert_eq!(names.borrow().address("printer"), Some(fixed));
    let address = join(&mut server, MAC, now);
    for (said, called) in [("Laptop", Some("laptop")), ("wpad", None), ("ramson", None)] {
        let named = with(request(MAC, address), &[DhcpOption::Hostname(said.into())]);
        assert_eq!(
            kind(&reply(server.handle(&named, now, &nobody))),
            MessageType::Ack
        );
        assert_eq!(names.borrow().label(address), called, "{said}");
    }
    let named = with(request(MAC, address), &[DhcpOption::Hostname("a".into())]);
    server.handle(&named, now, &nobody);
    let release = message(MessageType::Release, MAC);
    assert!(matches!(
        server.handle(&release, now, &nobody),
        Outcome::Silence
    ));
    assert_eq!(names.borrow().label(address), None);
    assert_eq!(join(&mut server, MAC, now), address, "its own still");
    let decline = DhcpOption::RequestedIpAddress(address);
    server.handle(
        &with(message(MessageType::Decline, MAC), &[decline]),
        now,
        &nobody,
    );
    assert_ne!(join(&mut server, MAC, now), address, "somebody else's");
}

#[test]
fn others_messages_relays_and_floods() {
    let (mut server, now) = (server(), now());
    let other = Ipv4Addr::new(192, 168, 1, 1);
    let chosen = DhcpOption::ServerIdentifier(other);
    let elsewhere = with(request(MAC, Ipv4Addr::new(192, 168, 1, 7)), &[chosen]);
    assert!(matches!(server.handle(&elsewhere, now, &nobody), Outcome::Elsewhere(o) if o == other));
    let mut relayed = message(MessageType::Discover, MAC);
    relayed.set_giaddr(OWN);
    let mut answer = message(MessageType::Offer, MAC);
    answer.set_opcode(Opcode::BootReply);
    let mut odd = message(MessageType::Discover, MAC);
    odd.set_chaddr(&[1, 2, 3]);
    for message in [relayed, answer, odd, message(MessageType::Ack, MAC)] {
        assert!(matches!(
            server.handle(&message, now, &nobody),
            Outcome::Silence
        ));
    }
    let mut inform = message(MessageType::Inform, MAC);
    inform.set_ciaddr([192, 168, 77, 50]);
    let ack = reply(server.handle(&inform, now, &nobody));
    assert!(ack.message.yiaddr().is_unspecified() && kind(&ack) == MessageType::Ack);
    assert!(!ack.message.opts().contains(OptionCode::AddressLeaseTime));
    let mut flood = || server.handle(&message(MessageType::Discover, MAC), now, &nobody);
    assert!((0..30).any(|_| matches!(flood(), Outcome::TooOften)));
}

/// Whatever a message is made of, it is answered or not, and nothing more.
#[test]
fn messages_with_anything_in_them_do_no_harm() {
    use dhcproto::Encodable;
    let own = Ipv4Addr::new(192, 168, 77, 30);
    let more = [
        DhcpOption::Hostname("laptop".into()),
        DhcpOption::ClientIdentifier(vec![1, 2, 0, 0, 0, 0, 9]),
        DhcpOption::ParameterRequestList(vec![OptionCode::InterfaceMtu, OptionCode::DomainName]),
        DhcpOption::ServerIdentifier(OWN),
    ];
    let (mut server, mut now, mut answered) = (server(), now(), 0);
    for kind in [
        MessageType::Discover,
        MessageType::Request,
        MessageType::Decline,
    ] {
        let good = with(
            with(message(kind, MAC), &more),
            &[DhcpOption::RequestedIpAddress(own)],
        );
        let bytes = good.to_vec().unwrap();
        crate::mutate::each(&bytes, |bytes| {
            let Some(message) = wire::decode(bytes) else {
                return;
            };
            now += Duration::from_millis(300);
            if let Outcome::Reply(reply) = server.handle(&message, now, &nobody) {
                answered += 1;
                assert!(reply.message.to_vec().unwrap().len() < 1500);
            }
        });
    }
    assert!(answered > 1000, "{answered}");
}

#[test]
fn a_name_ends_with_its_lease() {
    let (mut server, now) = (server(), now());
    let address = join(&mut server, MAC, now);
    let named = with(
        request(MAC, address),
        &[DhcpOption::Hostname("laptop".into())],
    );
    let secs = lease_secs(&reply(server.handle(&named, now, &nobody)));
    let at = |secs: u32| now + Duration::from_secs(secs.into());
    server.forget_ended(at(secs - 1));
    assert_eq!(server.names.borrow().address("laptop"), Some(address));
    server.forget_ended(at(secs + 1));
    assert_eq!(server.names.borrow().address("laptop"), None);
}
