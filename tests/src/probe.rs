//! Small clients of the bench: plain HTTP by hand and `curl` inside a namespace.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, connect, setsockopt, socket, sockopt,
};

use crate::fault::{About, Fault, Outcome};
use crate::netns::{self, Netns};
use crate::process::Process;
use crate::wall;

/// GET `path` from `address`, from inside the namespace; the whole answer as text.
pub fn http_get(namespace: &str, address: SocketAddr, path: &str) -> Outcome<String> {
    netns::inside(namespace, || {
        let limit = Duration::from_secs(5);
        let mut stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_read_timeout(Some(limit))?;
        let head = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).about(path)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    })
}

/// What `curl` reports of one transfer.
#[derive(Debug, Clone)]
pub struct Transfer {
    pub code: u16,
    pub first_byte_s: f64,
    pub total_s: f64,
    pub bytes: u64,
    /// Whether curl itself was content (exit code 0).
    pub complete: bool,
    /// curl's complaint, if any.
    pub complaint: String,
}

impl Transfer {
    pub fn is_ok(&self) -> bool {
        self.complete && self.code == 200
    }

    pub fn megabytes_per_s(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.total_s.max(1e-6)
    }
}

const REPORT: &str = "%{http_code} %{time_starttransfer} %{time_total} %{size_download}";

/// Runs curl inside a namespace. `body` receives what was fetched; its report and complaints go
/// to files beside it.
pub fn curl(
    namespace: &str,
    url: &str,
    body: &Path,
    limit: Duration,
    extra: &[&str],
) -> Outcome<Transfer> {
    let report = body.with_extension("report");
    let complaint = body.with_extension("complaint");
    for old in [body, &report, &complaint] {
        let _ = std::fs::remove_file(old);
    }
    let mut command: Command = netns::command_in(namespace, "curl");
    command.args(["-s", "-S", "--max-time", &limit.as_secs().to_string()]);
    command.arg("-o").arg(body).arg("--stderr").arg(&complaint);
    command.args(["-w", REPORT]).args(extra).arg(url);
    let mut process = Process::start("curl", command, &report)?;
    let ended = process.wait(limit + Duration::from_secs(5))?;
    let text = std::fs::read_to_string(&report).unwrap_or_default();
    let mut fields = text.split_whitespace();
    let mut next = || fields.next().and_then(|f| f.parse::<f64>().ok());
    let (Some(code), Some(first), Some(total), Some(bytes)) = (next(), next(), next(), next())
    else {
        return Err(Fault::new(format!("curl {url} reported nothing: {text}")));
    };
    Ok(Transfer {
        code: code as u16,
        first_byte_s: first,
        total_s: total,
        bytes: bytes as u64,
        complete: ended == Some(true),
        complaint: std::fs::read_to_string(&complaint)
            .unwrap_or_default()
            .trim()
            .to_string(),
    })
}

/// Asks a resolver for the A record of a name over UDP; the first address of the answer, `None`
/// for an answer without one, a fault for none at all within two seconds.
pub fn dns_query(client: &Netns, resolver: Ipv4Addr, name: &str) -> Outcome<Option<Ipv4Addr>> {
    client.inside(|| {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        socket.connect((resolver, 53))?;
        socket.send(&dns_question(name))?;
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer)?;
        Ok(first_address(&answer[..length]))
    })
}

/// An A question with a fixed id (RFC 1035, section 4.1).
pub fn dns_question(name: &str) -> Vec<u8> {
    let mut question = vec![0x52, 0x6d, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(label.len() as u8);
        question.extend_from_slice(label.as_bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    question
}

/// The last four bytes of an answer with an A record: our gateway's answers have one record.
fn first_address(answer: &[u8]) -> Option<Ipv4Addr> {
    let records = u16::from_be_bytes(answer.get(6..8)?.try_into().ok()?);
    let marker = [0, 1, 0, 1];
    let body = answer.get(12..)?;
    let question_end = body.windows(4).position(|w| w == marker)? + 4;
    let rest = body.get(question_end..)?;
    let record = rest.windows(4).position(|w| w == marker)? + 4;
    let data: [u8; 4] = rest.get(record + 6..record + 10)?.try_into().ok()?;
    (records > 0).then(|| Ipv4Addr::from(data))
}

/// Fetches a page at `rate` bytes a second with a small receive buffer, so that most of it waits
/// in the box. (curl reads ahead of its own limit.) The body is in `body`; returns the seconds.
pub fn slow_get(
    client: &Netns,
    (host, path): (&str, &str),
    body: &Path,
    rate: usize,
) -> Outcome<f64> {
    let address = dns_query(client, crate::lan::BOX, host)?
        .ok_or_else(|| Fault::new(format!("{host} has no address")))?;
    let start = wall::now();
    let mut whole = Vec::new();
    client.inside(|| {
        let flags = SockFlag::SOCK_CLOEXEC;
        let made = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
        setsockopt(&made, sockopt::RcvBuf, &32_768)?;
        connect(
            made.as_raw_fd(),
            &SockaddrIn::from(SocketAddrV4::new(address, 80)),
        )?;
        let mut stream = TcpStream::from(made);
        stream.set_read_timeout(Some(Duration::from_secs(90)))?;
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        let mut piece = vec![0; rate / 20];
        loop {
            let count = stream.read(&mut piece).about("slow reader")?;
            if count == 0 {
                return Ok(());
            }
            whole.extend_from_slice(&piece[..count]);
            let due = Duration::from_secs_f64(whole.len() as f64 / rate as f64);
            wall::pause(due.saturating_sub(wall::now() - start))?;
        }
    })?;
    let end = whole.windows(4).position(|w| w == b"\r\n\r\n");
    let end = end.ok_or_else(|| Fault::new("no HTTP answer"))? + 4;
    crate::places::write(body, &whole[end..])?;
    Ok(wall::since(start))
}
