//! What a browser's own test of the site needs: a login with a cookie, a WebSocket that says again
//! what it hears, and a place for the report.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};

use sha1::{Digest, Sha1};

use crate::fault::{About, Outcome};

/// The page with the test.
const PAGE: &str = include_str!("selftest.html");

/// A page with a link.
const LINK: &str = "<!DOCTYPE html><title>link</title>\
    <a href=\"http://garden.i2p/selftest\">on</a>";

/// A page that says that it is there.
const TAB: &str = "<!DOCTYPE html><title>tab</title><script>\
    fetch(\"/report\", {method: \"POST\", body: \"tab \" + location.search})</script>";

/// A page that opens thirty others, each in a tab of its own.
const TABS: &str = "<!DOCTYPE html><title>tabs</title><script>\
    for (let n = 0; n < 30; n++) window.open(\"/tab?\" + n, \"_blank\")</script>";

/// Longest report, bytes.
const REPORT_MAX: u64 = 64 * 1024;

/// What pages said of themselves, the latest last.
#[derive(Default)]
pub struct Reports(Mutex<Vec<String>>);

impl Reports {
    /// Takes all of them.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, report: String) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(report);
    }
}

/// The head of a request, as far as it matters here.
pub struct Head<'a> {
    pub method: &'a str,
    pub path: &'a str,
    /// Lines, names in lower case.
    pub headers: &'a [(String, String)],
    pub length: u64,
}

impl Head<'_> {
    fn header(&self, name: &str) -> &str {
        let mut all = self.headers.iter();
        all.find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }
}

/// Answers a request of the test; whether it was one.
pub fn serve(
    head: &Head<'_>,
    reader: &mut BufReader<impl Read>,
    out: &mut TcpStream,
    reports: &Reports,
) -> Outcome<bool> {
    let mut body = || -> Outcome<String> {
        let mut text = String::new();
        reader
            .take(head.length.min(REPORT_MAX))
            .read_to_string(&mut text)?;
        Ok(text)
    };
    let path = head.path.split('?').next().unwrap_or_default();
    match (head.method, path) {
        ("GET", "/link") => super::answer(out, "text/html", LINK.as_bytes())?,
        ("GET", "/tabs") => super::answer(out, "text/html", TABS.as_bytes())?,
        ("GET", "/tab") => super::answer(out, "text/html", TAB.as_bytes())?,
        ("GET", "/selftest") => super::answer(out, "text/html", PAGE.as_bytes())?,
        ("POST", "/login") => {
            let user = body()?.replace("user=", "");
            write!(
                out,
                "HTTP/1.1 303 See Other\r\nLocation: /me\r\nSet-Cookie: user={user}; Path=/; \
                 HttpOnly\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )?;
        }
        ("GET", "/me") => {
            let user = head
                .header("cookie")
                .strip_prefix("user=")
                .unwrap_or("nobody");
            super::answer(out, "text/plain", format!("hello {user}").as_bytes())?;
        }
        ("POST", "/origin") => {
            body()?;
            super::answer(out, "text/plain", head.header("origin").as_bytes())?;
        }
        ("POST", "/report") => {
            reports.add(body()?);
            super::answer(out, "text/plain", b"heard")?;
        }
        ("GET", "/echo") => echo(head, reader, out)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// One message of a WebSocket, and back (RFC 6455): masked on the way here, not on the way back.
fn echo(head: &Head<'_>, reader: &mut BufReader<impl Read>, out: &mut TcpStream) -> Outcome<()> {
    const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let hash = Sha1::digest(format!("{}{GUID}", head.header("sec-websocket-key")));
    let accept = data_encoding::BASE64.encode(&hash);
    write!(
        out,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )?;
    let mut start = [0; 6];
    reader.read_exact(&mut start).about("WebSocket")?;
    let [_, length, mask @ ..] = start;
    let mut text = vec![0; usize::from(length & 0x7f)];
    reader.read_exact(&mut text)?;
    for (byte, mask) in text.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    let reply = [&[0x81, length & 0x7f][..], &text].concat();
    out.write_all(&reply)?;
    // The browser's closing frame.
    let _ = reader.read(&mut [0; 16]);
    Ok(())
}
