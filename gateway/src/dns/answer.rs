//! From one query to one answer, without sockets or clock. The codec is hickory's.
//!
//! Names below `i2p.` have addresses whether anybody knows them or not: port 80 of an unknown one
//! explains itself; below `i2p.alt.` (RFC 9476) are the same ones. Then there are the gateway's own
//! name, those of devices, and those by which systems find out whether they are online. Everything
//! else does not exist. Negative answers carry a SOA. What lies above a name that exists does so
//! too, without data, for caches cut the whole tree below a name that does not (RFC 8020).

use crate::vip::{Full, Lease, TTL};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::{A, AAAA, PTR, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest datagram sent.
const UDP_MAX: usize = 1232;

/// Longest datagram for a client that did not say what it takes.
const UDP_PLAIN_MAX: usize = 512;

/// Option code of an extended error, and the error "blocked" (RFC 8914).
const EDE: u16 = 15;
const EDE_BLOCKED: [u8; 2] = [0, 15];

/// What is known about names and addresses.
pub trait Names {
    /// The addresses of a name below `i2p.` (lower case, no final dot).
    ///
    /// # Errors
    /// None is free for now.
    fn lease(&mut self, name: &str) -> Result<Lease, Full>;

    /// The addresses of any other name that exists (lower case, no final dot).
    fn host(&mut self, name: &str) -> Option<Host>;

    /// The domain of the LAN's names.
    fn domain(&self) -> &str;

    /// The name an address stands for.
    fn name_of(&mut self, address: IpAddr) -> Option<String>;
}

/// The addresses of a name that is not a site's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// Always there.
    pub v4: Ipv4Addr,
    /// Where there is one.
    pub v6: Option<Ipv6Addr>,
}

/// How the query came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// The answer may have to be cut.
    Udp,
    /// It fits.
    Tcp,
}

/// What a name is to us.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    /// May be looked up by the router: lower case, no final dot.
    Site(String),
    /// Exists without data: what lies above others.
    Empty,
    /// Neither a site nor an address: lower case, no final dot.
    Other(String),
    /// Cannot exist below `i2p.`
    Malformed,
    /// The reverse name of an address.
    Reverse(IpAddr),
    /// Everything else.
    Blocked,
}

/// The answer's bytes; `None` for what deserves none (answers, fragments of a header).
pub fn answer(query: &[u8], names: &mut dyn Names, transport: Transport) -> Option<Vec<u8>> {
    let header: &[u8; 12] = query.first_chunk()?;
    if header[2] & 0x80 != 0 {
        return None;
    }
    let Ok(query) = Message::from_vec(query) else {
        return Some(form_err(header));
    };
    let response = respond(&query, names);
    let bytes = response.to_vec().ok()?;
    let max = match (transport, &query.edns) {
        (Transport::Tcp, _) => usize::from(u16::MAX),
        (Transport::Udp, None) => UDP_PLAIN_MAX,
        (Transport::Udp, Some(edns)) => usize::from(edns.max_payload()).clamp(512, UDP_MAX),
    };
    if bytes.len() <= max {
        Some(bytes)
    } else {
        response.truncate().to_vec().ok()
    }
}

/// Asks for the same question over TCP: no answer, but the flag that says that there is more.
/// `None` for what is no question.
#[must_use]
pub fn over_tcp(query: &[u8]) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok()?;
    let asks = query.metadata.message_type == MessageType::Query;
    if !asks || query.metadata.op_code != OpCode::Query || query.queries.len() != 1 {
        return None;
    }
    let mut response = Message::response(query.metadata.id, query.metadata.op_code);
    response.metadata.recursion_desired = query.metadata.recursion_desired;
    response.metadata.truncation = true;
    response.add_queries(query.queries);
    response.to_vec().ok()
}

/// A header with the query's id, nothing else: the question could not be read.
fn form_err(header: &[u8; 12]) -> Vec<u8> {
    let flags = 0x80 | (header[2] & 0x79);
    vec![header[0], header[1], flags, 1, 0, 0, 0, 0, 0, 0, 0, 0]
}

fn respond(query: &Message, names: &mut dyn Names) -> Message {
    let mut response = Message::response(query.metadata.id, query.metadata.op_code);
    response.metadata.message_type = MessageType::Response;
    response.metadata.recursion_desired = query.metadata.recursion_desired;
    response.metadata.recursion_available = true;
    response.metadata.checking_disabled = query.metadata.checking_disabled;
    if let Some(edns) = &query.edns {
        let mut ours = Edns::new();
        ours.set_max_payload(u16::try_from(UDP_MAX).unwrap_or(u16::MAX));
        ours.set_version(0);
        ours.set_dnssec_ok(edns.flags().dnssec_ok);
        response.set_edns(ours);
    }
    if query.metadata.op_code != OpCode::Query {
        response.metadata.response_code = ResponseCode::NotImp;
        return response;
    }
    let [question] = query.queries.as_slice() else {
        response.metadata.response_code = ResponseCode::FormErr;
        return response;
    };
    response.add_query(question.clone());
    if query.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
        set_code(&mut response, ResponseCode::BADVERS);
    } else if !matches!(question.query_class, DNSClass::IN | DNSClass::ANY) {
        response.metadata.response_code = ResponseCode::Refused;
    } else {
        resolve(question, names, &mut response);
    }
    response
}

/// Sets a code whose upper bits live in the EDNS record.
fn set_code(response: &mut Message, code: ResponseCode) {
    response.metadata.response_code = code;
    if let Some(edns) = response.edns.as_mut() {
        edns.set_rcode_high(code.high());
    }
}

fn resolve(question: &Query, names: &mut dyn Names, response: &mut Message) {
    response.metadata.authoritative = true;
    let meaning = meaning(&question.name);
    if let Meaning::Other(name) = &meaning {
        return other(question, name, names, response);
    }
    match meaning {
        Meaning::Site(name) => match names.lease(&name) {
            Ok(lease) => addresses(question, lease.v4, lease.v6, response),
            Err(Full) => {
                response.metadata.authoritative = false;
                response.metadata.response_code = ResponseCode::ServFail;
            }
        },
        Meaning::Empty | Meaning::Other(_) => {
            negative(ResponseCode::NoError, &question.name, response);
        }
        Meaning::Malformed => negative(ResponseCode::NXDomain, &question.name, response),
        Meaning::Reverse(address) => {
            let name = names
                .name_of(address)
                .and_then(|n| Name::from_ascii(n + ".").ok());
            match name {
                None => negative(ResponseCode::NXDomain, &question.name, response),
                Some(name) if matches!(question.query_type, RecordType::PTR | RecordType::ANY) => {
                    add(question, RData::PTR(PTR(name)), response);
                }
                Some(_) => negative(ResponseCode::NoError, &question.name, response),
            }
        }
        Meaning::Blocked => blocked(question, response),
    }
}

/// A name of the LAN or of a system's question, or none of our business.
fn other(question: &Query, name: &str, names: &mut dyn Names, response: &mut Message) {
    let domain = names.domain().to_owned();
    if let Some(Host { v4, v6 }) = names.host(name) {
        addresses(question, v4, v6, response);
        return;
    }
    let below = |top: &str| name == top || top.ends_with(&format!(".{name}"));
    if below(&domain) {
        negative_in(&domain, ResponseCode::NoError, response);
    } else if name.strip_suffix(&domain).is_some_and(|n| n.ends_with('.')) {
        negative_in(&domain, ResponseCode::NXDomain, response);
    } else {
        blocked(question, response);
    }
}

fn blocked(question: &Query, response: &mut Message) {
    negative(ResponseCode::NXDomain, &question.name, response);
    if let Some(edns) = response.edns.as_mut() {
        edns.options_mut()
            .insert(EdnsOption::Unknown(EDE, EDE_BLOCKED.to_vec()));
    }
}

fn addresses(question: &Query, v4: Ipv4Addr, v6: Option<Ipv6Addr>, response: &mut Message) {
    match (question.query_type, v6) {
        // One record is enough for ANY (RFC 8482).
        (RecordType::A | RecordType::ANY, _) => add(question, RData::A(A(v4)), response),
        (RecordType::AAAA, Some(v6)) => add(question, RData::AAAA(AAAA(v6)), response),
        _ => negative(ResponseCode::NoError, &question.name, response),
    }
}

fn ttl() -> u32 {
    u32::try_from(TTL.as_secs()).unwrap_or(60)
}

fn add(question: &Query, data: RData, response: &mut Message) {
    response.add_answer(Record::from_rdata(question.name.clone(), ttl(), data));
}

/// A negative answer with the SOA of the zone the name falls in: `i2p.`, `alt.` or the root.
fn negative(code: ResponseCode, name: &Name, response: &mut Message) {
    let last = name.iter().next_back().unwrap_or_default();
    let mut zones = ["i2p", "alt"].into_iter();
    let zone = zones.find(|zone| last.eq_ignore_ascii_case(zone.as_bytes()));
    negative_in(zone.unwrap_or_default(), code, response);
}

fn negative_in(zone: &str, code: ResponseCode, response: &mut Message) {
    response.metadata.response_code = code;
    let zone = Name::from_ascii(format!("{zone}.")).unwrap_or_else(|_| Name::root());
    let soa = SOA::new(zone.clone(), zone.clone(), 1, 3600, 600, 86_400, ttl());
    response.add_authority(Record::from_rdata(zone, ttl(), RData::SOA(soa)));
}

fn meaning(name: &Name) -> Meaning {
    let labels: Vec<String> = name
        .iter()
        .map(|label| String::from_utf8_lossy(label).to_ascii_lowercase())
        .collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    match labels.as_slice() {
        [] | ["i2p" | "alt"] | ["i2p", "alt"] => Meaning::Empty,
        [.., "arpa"] => {
            let net = name
                .parse_arpa_name()
                .ok()
                .filter(|net| net.prefix_len() == net.max_prefix_len());
            net.map_or(Meaning::Blocked, |net| Meaning::Reverse(net.addr()))
        }
        [rest @ .., "i2p"] | [rest @ .., "i2p", "alt"] => below_i2p(rest),
        [.., "alt"] => Meaning::Blocked,
        labels => Meaning::Other(labels.join(".")),
    }
}

/// A name that cannot be a site's, such as a base32 one of the wrong length, has an address too:
/// port 80 of it says what is wrong.
fn below_i2p(labels: &[&str]) -> Meaning {
    if labels == ["b32"] {
        return Meaning::Empty;
    }
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if labels.iter().any(|label| !label.bytes().all(good)) {
        return Meaning::Malformed;
    }
    Meaning::Site(format!("{}.i2p", labels.join(".")))
}

#[cfg(test)]
mod tests;
