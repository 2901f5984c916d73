//! Small clients of the bench: plain HTTP by hand and `curl` inside a namespace.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::fault::{About, Fault, Outcome};
use crate::netns::{self, Netns};
use crate::process::Process;

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
