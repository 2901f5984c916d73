//! Small clients of the bench: plain HTTP by hand and `curl` inside a namespace.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::fault::{About, Fault, Outcome};
use crate::netns;
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
