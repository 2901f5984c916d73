use super::*;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

const V4: Ipv4Addr = Ipv4Addr::new(198, 18, 7, 9);
const V6: Ipv6Addr = Ipv6Addr::new(0xfc01, 2, 3, 0, 4, 5, 6, 7);

const OWN: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);

#[derive(Default)]
struct Fake {
    leased: BTreeMap<String, u32>,
    full: bool,
    v6: bool,
}

impl Names for Fake {
    fn lease(&mut self, name: &str) -> Result<Lease, Full> {
        if self.full {
            return Err(Full);
        }
        *self.leased.entry(name.into()).or_default() += 1;
        Ok(Lease {
            v4: V4,
            v6: self.v6.then_some(V6),
        })
    }

    fn host(&mut self, name: &str) -> Option<Host> {
        let known = ["ramson.internal", "captive.apple.com"].contains(&name);
        known.then_some(Host {
            v4: OWN,
            v6: self.v6.then_some(V6),
        })
    }

    fn domain(&self) -> &str {
        "internal"
    }

    fn name_of(&mut self, address: IpAddr) -> Option<String> {
        (address == V4 || address == V6).then(|| "foo.i2p".into())
    }
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut query = Message::new(0x1234, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    query
}

fn ask_message(names: &mut Fake, query: &Message) -> Message {
    let bytes = answer(&query.to_vec().unwrap(), names, Transport::Udp).unwrap();
    let response = Message::from_vec(&bytes).unwrap();
    assert_eq!(response.metadata.id, 0x1234);
    assert_eq!(response.metadata.message_type, MessageType::Response);
    response
}

fn ask(
    names: &mut Fake,
    name: &str,
    kind: RecordType,
) -> (ResponseCode, Vec<RData>, Option<String>) {
    let mut query = query(name, kind);
    let response = ask_message(names, &query);
    assert_eq!(response.queries, query.queries);
    query.set_edns(Edns::new());
    let with_edns = ask_message(names, &query);
    assert_eq!(with_edns.answers, response.answers);
    assert!(with_edns.edns.is_some() && response.edns.is_none());
    let soa = response.authorities.first().map(|record| {
        assert!(matches!(record.data, RData::SOA(_)));
        record.name.to_ascii()
    });
    let data = response
        .answers
        .into_iter()
        .map(|record| record.data)
        .collect();
    (response.metadata.response_code, data, soa)
}

fn nodata(zone: &str) -> (ResponseCode, Vec<RData>, Option<String>) {
    (ResponseCode::NoError, vec![], Some(zone.into()))
}

fn nxdomain(zone: &str) -> (ResponseCode, Vec<RData>, Option<String>) {
    (ResponseCode::NXDomain, vec![], Some(zone.into()))
}

#[test]
fn sites_have_both_addresses_for_60_seconds() {
    let mut names = Fake {
        v6: true,
        ..Fake::default()
    };
    let a = (ResponseCode::NoError, vec![RData::A(A(V4))], None);
    assert_eq!(ask(&mut names, "Foo.I2P.", RecordType::A), a);
    assert_eq!(ask(&mut names, "foo.i2p.", RecordType::ANY), a);
    let aaaa = (ResponseCode::NoError, vec![RData::AAAA(AAAA(V6))], None);
    assert_eq!(ask(&mut names, "foo.i2p.", RecordType::AAAA), aaaa);
    assert_eq!(names.leased.keys().collect::<Vec<_>>(), ["foo.i2p"]);
    let response = ask_message(&mut names, &query("foo.i2p.", RecordType::A));
    assert_eq!(response.answers[0].ttl, 60);
    let mut names = Fake::default();
    assert_eq!(ask(&mut names, "a.b_c.foo.i2p.", RecordType::A).1.len(), 1);
    assert_eq!(
        ask(&mut names, "foo.i2p.", RecordType::AAAA),
        nodata("i2p.")
    );
}

#[test]
fn other_types_of_sites_have_no_data() {
    use RecordType::*;
    for kind in [
        HTTPS,
        SVCB,
        MX,
        TXT,
        SRV,
        NS,
        SOA,
        CNAME,
        DS,
        DNSKEY,
        Unknown(4711),
    ] {
        assert_eq!(
            ask(&mut Fake::default(), "foo.i2p.", kind),
            nodata("i2p."),
            "{kind}"
        );
    }
}

#[test]
fn the_zone_and_the_root_exist_without_data() {
    for kind in [RecordType::A, RecordType::NS, RecordType::DS] {
        assert_eq!(ask(&mut Fake::default(), "i2p.", kind), nodata("i2p."));
        assert_eq!(ask(&mut Fake::default(), "b32.i2p.", kind), nodata("i2p."));
        assert_eq!(ask(&mut Fake::default(), ".", kind), nodata("."));
    }
}

/// Wrong ones too: the page of their port 80 says what is wrong.
#[test]
fn base32_names_have_addresses() {
    let hash = "a".repeat(52);
    let labels = [52, 56, 60, 63].map(|n| "a".repeat(n)).into_iter();
    let wrong = [6, 51, 53, 55].map(|n| "a".repeat(n)).into_iter();
    let alphabet = ["1".repeat(52), "8".repeat(56), format!("www.{hash}")];
    for label in labels.chain(wrong).chain(alphabet) {
        let name = format!("{label}.b32.i2p.");
        let mut names = Fake::default();
        assert_eq!(ask(&mut names, &name, RecordType::A).1.len(), 1, "{name}");
        assert!(names.leased.contains_key(name.trim_end_matches('.')));
    }
}

#[test]
fn a_question_can_be_sent_to_tcp() {
    let query = query("foo.i2p.", RecordType::A);
    let answer = Message::from_vec(&over_tcp(&query.to_vec().unwrap()).unwrap()).unwrap();
    assert_eq!(answer.metadata.id, 0x1234);
    assert_eq!(answer.metadata.message_type, MessageType::Response);
    assert!(answer.metadata.truncation && answer.answers.is_empty());
    assert_eq!(answer.queries, query.queries);
    let bytes = query.to_vec().unwrap();
    for n in 0..bytes.len() {
        assert_eq!(over_tcp(&bytes[..n]), None, "{n} bytes");
    }
    assert_eq!(over_tcp(&answer.to_vec().unwrap()), None, "an answer");
}

#[test]
fn everything_else_does_not_exist_and_leases_nothing() {
    let mut names = Fake::default();
    for name in [
        "example.com.",
        "com.",
        "use-application-dns.net.",
        "mask.icloud.com.",
        "foo.i2p.net.",
        "_dns.resolver.arpa.",
        "localhost.",
        "xi2p.",
        "ipv4only.arpa.",
    ] {
        for kind in [
            RecordType::A,
            RecordType::AAAA,
            RecordType::HTTPS,
            RecordType::TXT,
        ] {
            assert_eq!(ask(&mut names, name, kind), nxdomain("."), "{name}");
        }
    }
    assert!(names.leased.is_empty());
}

#[test]
fn labels_with_odd_bytes_are_malformed() {
    let good = query("a-b.i2p.", RecordType::A).to_vec().unwrap();
    for odd in [b' ', b'.', b'/', b'\n', 0, 0x80, 0xff] {
        let mut bytes = good.clone();
        bytes[14] = odd;
        let mut names = Fake::default();
        let got = answer(&bytes, &mut names, Transport::Udp).unwrap();
        assert!(matches!(got[3] & 15, 1 | 3), "{odd}");
        assert!(names.leased.is_empty());
    }
}

#[test]
fn blocked_names_say_so_to_those_who_understand() {
    let mut query = query("example.com.", RecordType::A);
    query.set_edns(Edns::new());
    let response = ask_message(&mut Fake::default(), &query);
    let options: Vec<_> = response.edns.unwrap().options().as_ref().to_vec();
    assert_eq!(
        options,
        [(EDE.into(), EdnsOption::Unknown(EDE, EDE_BLOCKED.to_vec()))]
    );
}

#[test]
fn virtual_addresses_have_names() {
    let mut names = Fake::default();
    let ptr = (
        ResponseCode::NoError,
        vec![RData::PTR(PTR(Name::from_ascii("foo.i2p.").unwrap()))],
        None,
    );
    let v6 = "7.0.0.0.6.0.0.0.5.0.0.0.4.0.0.0.0.0.0.0.3.0.0.0.2.0.0.0.1.0.c.f.ip6.arpa.";
    assert_eq!(
        ask(&mut names, "9.7.18.198.in-addr.arpa.", RecordType::PTR),
        ptr
    );
    assert_eq!(ask(&mut names, v6, RecordType::PTR), ptr);
    assert_eq!(ask(&mut names, v6, RecordType::A), nodata("."));
    for name in [
        "8.7.18.198.in-addr.arpa.",
        "18.198.in-addr.arpa.",
        "x.in-addr.arpa.",
        "arpa.",
    ] {
        assert_eq!(
            ask(&mut names, name, RecordType::PTR),
            nxdomain("."),
            "{name}"
        );
    }
}

#[test]
fn no_free_address_is_a_failure_for_now() {
    let mut names = Fake {
        full: true,
        ..Fake::default()
    };
    assert_eq!(
        ask(&mut names, "foo.i2p.", RecordType::A),
        (ResponseCode::ServFail, vec![], None)
    );
}

#[test]
fn odd_queries_get_the_matching_error() {
    let mut names = Fake::default();
    let code = |names: &mut Fake, query: &Message| ask_message(names, query).metadata.response_code;
    let good = query("foo.i2p.", RecordType::A);
    let mut odd = good.clone();
    odd.queries.clear();
    assert_eq!(code(&mut names, &odd), ResponseCode::FormErr);
    odd.queries = vec![good.queries[0].clone(); 2];
    assert_eq!(code(&mut names, &odd), ResponseCode::FormErr);
    let mut odd = good.clone();
    odd.metadata.op_code = OpCode::Update;
    assert_eq!(code(&mut names, &odd), ResponseCode::NotImp);
    let mut odd = good.clone();
    odd.queries[0].query_class = DNSClass::CH;
    assert_eq!(code(&mut names, &odd), ResponseCode::Refused);
    let mut odd = good.clone();
    let mut edns = Edns::new();
    edns.set_version(1);
    odd.set_edns(edns);
    assert_eq!(
        u16::from(code(&mut names, &odd)),
        u16::from(ResponseCode::BADVERS)
    );
    assert!(names.leased.is_empty());
}

#[test]
fn malformed_queries_are_answered_with_a_header_or_not_at_all() {
    let mut names = Fake {
        v6: true,
        ..Fake::default()
    };
    let good = query("foo.i2p.", RecordType::A).to_vec().unwrap();
    for n in 0..good.len() {
        let got = answer(&good[..n], &mut names, Transport::Udp);
        assert_eq!(got.is_some(), n >= 12, "{n}");
        if let Some(got) = got {
            assert_eq!(got, [0x12, 0x34, 0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
    }
    let mut response = good.clone();
    response[2] |= 0x80;
    assert_eq!(answer(&response, &mut names, Transport::Udp), None);
    let mut looping = good.clone();
    looping[12..14].copy_from_slice(&[0xc0, 12]);
    assert_eq!(
        answer(&looping, &mut names, Transport::Udp).unwrap().len(),
        12
    );
}

#[test]
fn any_flipped_byte_gives_a_bounded_answer_and_no_panic() {
    let mut names = Fake {
        v6: true,
        ..Fake::default()
    };
    let mut message = query("foo.i2p.", RecordType::AAAA);
    message.set_edns(Edns::new());
    let good = message.to_vec().unwrap();
    for at in 0..good.len() {
        for value in 0..=255 {
            let mut bytes = good.clone();
            bytes[at] = value;
            for transport in [Transport::Udp, Transport::Tcp] {
                let got = answer(&bytes, &mut names, transport);
                assert!(got.is_none_or(|got| got.len() <= UDP_PLAIN_MAX));
            }
        }
    }
}

#[test]
fn the_longest_names_stay_within_a_plain_datagram() {
    let label = "a".repeat(63);
    let name = format!("{label}.{label}.{label}.{}.i2p.", "b".repeat(55));
    let mut names = Fake::default();
    for kind in [RecordType::A, RecordType::AAAA] {
        let bytes = query(&name, kind).to_vec().unwrap();
        assert!(answer(&bytes, &mut names, Transport::Udp).unwrap().len() <= UDP_PLAIN_MAX);
    }
    assert_eq!(names.leased.keys().next().unwrap().len(), name.len() - 1);
}

#[test]
fn names_below_i2p_alt_are_the_same_sites() {
    let mut names = Fake::default();
    let found = ask(&mut names, "Foo.I2P.alt.", RecordType::A);
    assert_eq!(found.1, [RData::A(A(V4))]);
    assert_eq!(names.leased.keys().collect::<Vec<_>>(), ["foo.i2p"]);
    for top in ["i2p.alt.", "alt.", "b32.i2p.alt."] {
        assert_eq!(ask(&mut names, top, RecordType::A), nodata("alt."), "{top}");
    }
    assert_eq!(
        ask(&mut names, "foo.onion.alt.", RecordType::A),
        nxdomain("alt.")
    );
}

#[test]
fn the_lan_has_names_of_its_own() {
    let mut names = Fake::default();
    for name in ["Ramson.internal.", "captive.apple.com."] {
        assert_eq!(
            ask(&mut names, name, RecordType::A).1,
            [RData::A(A(OWN))],
            "{name}"
        );
        // Exists, but has no such address: a device must not give up the name for that.
        assert_eq!(
            ask(&mut names, name, RecordType::AAAA).0,
            ResponseCode::NoError
        );
    }
    names.v6 = true;
    let v6 = ask(&mut names, "ramson.internal.", RecordType::AAAA);
    assert_eq!(v6.1, [RData::AAAA(AAAA(V6))]);
    assert_eq!(
        ask(&mut names, "internal.", RecordType::A),
        nodata("internal.")
    );
    assert_eq!(
        ask(&mut names, "wpad.internal.", RecordType::A),
        nxdomain("internal.")
    );
    assert!(names.leased.is_empty());
}

/// What tells a program to use a resolver or a relay of its own does not exist.
#[test]
fn names_that_lead_past_us_do_not_exist() {
    let mut names = Fake::default();
    for name in [
        "use-application-dns.net.",
        "mask.icloud.com.",
        "mask-h2.icloud.com.",
        "_dns.resolver.arpa.",
        "resolver.arpa.",
        "dns.google.",
    ] {
        for kind in [
            RecordType::A,
            RecordType::AAAA,
            RecordType::SVCB,
            RecordType::HTTPS,
        ] {
            assert_eq!(ask(&mut names, name, kind), nxdomain("."), "{name}");
        }
    }
}
