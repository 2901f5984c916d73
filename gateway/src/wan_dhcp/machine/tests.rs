use super::*;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 50);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn sent(action: Option<Action>) -> (Message, Ipv4Addr) {
    match action {
        Some(Action::Send(message, to)) => (*message, to),
        other => panic!("{other:?}"),
    }
}

fn kind(message: &Message) -> MessageType {
    message.opts().msg_type().unwrap()
}

fn answer(asked: &Message, kind: MessageType, options: &[DhcpOption]) -> Message {
    let mut message = Message::default();
    message
        .set_opcode(Opcode::BootReply)
        .set_xid(asked.xid())
        .set_chaddr(&MAC)
        .set_yiaddr(ADDRESS);
    let all = message.opts_mut();
    all.insert(DhcpOption::MessageType(kind));
    all.insert(DhcpOption::ServerIdentifier(SERVER));
    all.insert(DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)));
    all.insert(DhcpOption::Router(vec![SERVER]));
    all.insert(DhcpOption::AddressLeaseTime(3600));
    for option in options {
        all.insert(option.clone());
    }
    message
}

/// A client with an address, and when it got it.
fn bound() -> (Machine, Instant) {
    let start = now();
    let mut m = Machine::new(MAC, start);
    let (discover, to) = sent(m.handle_timeout(start, 77));
    assert_eq!(
        (kind(&discover), to),
        (MessageType::Discover, Ipv4Addr::BROADCAST)
    );
    assert!(
        m.handle_message(&answer(&discover, MessageType::Offer, &[]), start)
            .is_none()
    );
    let (request, _) = sent(m.handle_timeout(start, 78));
    assert_eq!((kind(&request), request.xid()), (MessageType::Request, 77));
    let got = m.handle_message(&answer(&request, MessageType::Ack, &[]), start);
    let Some(Action::Configure(lease)) = got else {
        panic!("{got:?}");
    };
    assert_eq!(lease.address, "192.0.2.50/24".parse().unwrap());
    assert_eq!((lease.router, lease.secs, lease.mtu), (SERVER, 3600, None));
    (m, start)
}

#[test]
fn a_lease_is_renewed_with_its_server_then_with_anybody_and_given_up() {
    let (mut m, start) = bound();
    assert_eq!(m.deadline(), start + secs(1800));
    assert!(m.handle_timeout(start + secs(1799), 1).is_none());
    let (renewal, to) = sent(m.handle_timeout(m.deadline(), 1));
    assert_eq!((renewal.ciaddr(), to), (ADDRESS, SERVER));
    assert!(!renewal.opts().contains(OptionCode::ServerIdentifier));
    // Renewed: it begins anew.
    let at = start + secs(1801);
    let got = m.handle_message(&answer(&renewal, MessageType::Ack, &[]), at);
    assert!(matches!(got, Some(Action::Configure(_))));
    assert_eq!(m.deadline(), at + secs(1800));
    // Nobody answers: a bounded number of questions, first to the server, then to all.
    let (mut to_server, mut to_all) = (0, 0);
    for _ in 0..100 {
        match m.handle_timeout(m.deadline(), 2) {
            Some(Action::Send(_, to)) if to == SERVER => to_server += 1,
            Some(Action::Send(_, to)) if to.is_broadcast() => to_all += 1,
            Some(Action::Deconfigure) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(
        (3..15).contains(&to_server) && (2..15).contains(&to_all),
        "{to_server} {to_all}"
    );
    assert!(m.deadline() <= at + secs(3600));
    assert_eq!(
        kind(&sent(m.handle_timeout(m.deadline(), 3)).0),
        MessageType::Discover
    );
}

#[test]
fn without_a_server_it_asks_ever_more_rarely() {
    let start = now();
    let mut m = Machine::new(MAC, start);
    let mut last = start;
    let mut pauses = Vec::new();
    for n in 0..10 {
        let at = m.deadline();
        sent(m.handle_timeout(at, 1000 + n));
        pauses.push((m.deadline() - at).as_secs());
        last = at;
    }
    assert!(
        (3..=5).contains(&pauses[0]) && (62..=66).contains(&pauses[9]),
        "{pauses:?}"
    );
    assert!(last > start + secs(300));
}

#[test]
fn what_tells_the_product_is_not_sent() {
    let start = now();
    let mut m = Machine::new(MAC, start);
    let (discover, _) = sent(m.handle_timeout(start, 5));
    let codes: Vec<u8> = discover
        .opts()
        .iter()
        .map(|(code, _)| u8::from(*code))
        .collect();
    assert_eq!(codes, [53, 55, 57, 61]);
    assert!(discover.sname().is_none() && discover.fname().is_none());
}

#[test]
fn strange_answers_change_nothing() {
    let start = now();
    let mut m = Machine::new(MAC, start);
    let (discover, _) = sent(m.handle_timeout(start, 5));
    let offer = |options: &[DhcpOption]| answer(&discover, MessageType::Offer, options);
    let mut other_xid = offer(&[]);
    other_xid.set_xid(6);
    let mut other_mac = offer(&[]);
    other_mac.set_chaddr(&[9; 6]);
    let mut question = offer(&[]);
    question.set_opcode(Opcode::BootRequest);
    let far = DhcpOption::Router(vec![Ipv4Addr::new(198, 51, 100, 1)]);
    let mask = DhcpOption::SubnetMask(Ipv4Addr::new(255, 0, 255, 0));
    let none = DhcpOption::Router(vec![]);
    let short = DhcpOption::AddressLeaseTime(1);
    for odd in [
        other_xid,
        other_mac,
        question,
        offer(&[far]),
        offer(&[mask]),
        offer(&[none]),
        offer(&[short]),
        answer(&discover, MessageType::Ack, &[]),
        answer(&discover, MessageType::Nak, &[]),
    ] {
        assert!(m.handle_message(&odd, start).is_none());
        assert!(m.handle_timeout(start, 6).is_none(), "{odd:?}");
    }
    // An address that is refused, and one that is withdrawn.
    m.handle_message(&offer(&[]), start);
    let (request, _) = sent(m.handle_timeout(start, 7));
    m.handle_message(&answer(&request, MessageType::Nak, &[]), start);
    assert_eq!(m.deadline(), start + REFUSED);
    let (mut m, start) = bound();
    let nak = |m: &Machine| {
        let mut asked = Message::default();
        asked.set_xid(m.xid);
        answer(&asked, MessageType::Nak, &[])
    };
    assert!(m.handle_message(&nak(&m), start).is_none(), "nobody asked");
    sent(m.handle_timeout(m.deadline(), 9));
    let got = m.handle_message(&nak(&m), start + secs(1801));
    assert!(matches!(got, Some(Action::Deconfigure)));
}

/// Times that do not fit each other are put in order.
#[test]
fn times_of_a_server_are_kept_in_order() {
    let start = now();
    for (t1, t2, lease) in [(9999, 1, 3600), (0, 0, 60), (u32::MAX, u32::MAX, u32::MAX)] {
        let mut m = Machine::new(MAC, start);
        let (discover, _) = sent(m.handle_timeout(start, 77));
        let options = [
            DhcpOption::Renewal(t1),
            DhcpOption::Rebinding(t2),
            DhcpOption::AddressLeaseTime(lease),
        ];
        m.handle_message(&answer(&discover, MessageType::Offer, &options), start);
        let (request, _) = sent(m.handle_timeout(start, 78));
        m.handle_message(&answer(&request, MessageType::Ack, &options), start);
        let State::Bound(held) = m.state else {
            panic!("not bound");
        };
        let renew = (m.deadline() - start).as_secs();
        assert!(renew > 0 && renew <= u64::from(held.rebind) && held.rebind < held.secs);
        assert!(held.secs <= SECS_MAX);
    }
}

/// Whatever a server answers, what comes of it is a lease that can be used, or none.
#[test]
fn answers_with_anything_in_them_do_no_harm() {
    use dhcproto::Encodable;
    let (mut taken, start) = (0, now());
    let mut m = Machine::new(MAC, start);
    let (discover, _) = sent(m.handle_timeout(start, 77));
    let good = answer(&discover, MessageType::Offer, &[]).to_vec().unwrap();
    crate::mutate::each(&good, |bytes| {
        let Some(message) = crate::dhcp4::wire::decode(bytes) else {
            return;
        };
        let mut m = Machine::new(MAC, start);
        let (_, _) = sent(m.handle_timeout(start, 77));
        m.handle_message(&message, start);
        let Some(Action::Send(request, _)) = m.handle_timeout(start, 78) else {
            return;
        };
        if kind(&request) != MessageType::Request {
            return;
        }
        let mut ack = message.clone();
        ack.opts_mut()
            .insert(DhcpOption::MessageType(MessageType::Ack));
        if let Some(Action::Configure(lease)) = m.handle_message(&ack, start) {
            taken += 1;
            assert!(lease.secs > 0 && !lease.address.addr().is_unspecified());
            assert!(!lease.address.addr().is_multicast() && !lease.router.is_unspecified());
        }
    });
    assert!(taken > 100, "{taken}");
}
