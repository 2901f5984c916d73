//! From one query to one answer, without sockets or clock. The codec is hickory's.
//!
//! Names below `i2p.` have addresses whether anybody knows them or not: port 80 of an unknown one
//! explains itself. Everything else does not exist. Negative answers carry a SOA. `i2p.` itself
//! exists without data, for caches cut the whole tree below a name that does not (RFC 8020).

use crate::vip::{Full, Lease, TTL};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::{A, AAAA, PTR, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use std::net::IpAddr;

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

    /// The name an address stands for.
    fn name_of(&mut self, address: IpAddr) -> Option<String>;
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
    /// Exists without data: `i2p.`, `b32.i2p.` and the root.
    Empty,
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
    match meaning(&question.name) {
        Meaning::Site(name) => match names.lease(&name) {
            Ok(lease) => site(question, lease, response),
            Err(Full) => {
                response.metadata.authoritative = false;
                response.metadata.response_code = ResponseCode::ServFail;
            }
        },
        Meaning::Empty => negative(ResponseCode::NoError, &question.name, response),
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
        Meaning::Blocked => {
            negative(ResponseCode::NXDomain, &question.name, response);
            if let Some(edns) = response.edns.as_mut() {
                edns.options_mut()
                    .insert(EdnsOption::Unknown(EDE, EDE_BLOCKED.to_vec()));
            }
        }
    }
}

fn site(question: &Query, lease: Lease, response: &mut Message) {
    match (question.query_type, lease.v6) {
        // One record is enough for ANY (RFC 8482).
        (RecordType::A | RecordType::ANY, _) => add(question, RData::A(A(lease.v4)), response),
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

/// A negative answer with the SOA of the zone the name falls in: `i2p.` or the root.
fn negative(code: ResponseCode, name: &Name, response: &mut Message) {
    response.metadata.response_code = code;
    let below = |label: &[u8]| label.eq_ignore_ascii_case(b"i2p");
    let zone = if name.iter().next_back().is_some_and(below) {
        Name::root().append_label("i2p").unwrap_or_default()
    } else {
        Name::root()
    };
    let soa = SOA::new(zone.clone(), zone.clone(), 1, 3600, 600, 86_400, ttl());
    response.add_authority(Record::from_rdata(zone, ttl(), RData::SOA(soa)));
}

fn meaning(name: &Name) -> Meaning {
    let labels: Vec<&[u8]> = name.iter().collect();
    match labels.as_slice() {
        [] => Meaning::Empty,
        [.., last] if last.eq_ignore_ascii_case(b"arpa") => {
            let net = name
                .parse_arpa_name()
                .ok()
                .filter(|net| net.prefix_len() == net.max_prefix_len());
            net.map_or(Meaning::Blocked, |net| Meaning::Reverse(net.addr()))
        }
        [last] if last.eq_ignore_ascii_case(b"i2p") => Meaning::Empty,
        [rest @ .., last] if last.eq_ignore_ascii_case(b"i2p") => below_i2p(rest),
        _ => Meaning::Blocked,
    }
}

/// A name that cannot be a site's, such as a base32 one of the wrong length, has an address too:
/// port 80 of it says what is wrong.
fn below_i2p(labels: &[&[u8]]) -> Meaning {
    if let [label] = labels
        && label.eq_ignore_ascii_case(b"b32")
    {
        return Meaning::Empty;
    }
    let mut name = String::new();
    for label in labels {
        let good = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if !label.iter().all(good) {
            return Meaning::Malformed;
        }
        name.push_str(&String::from_utf8_lossy(label).to_ascii_lowercase());
        name.push('.');
    }
    name.push_str("i2p");
    Meaning::Site(name)
}

#[cfg(test)]
mod tests;
