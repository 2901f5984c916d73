//! The gateway's own web: one page at its address and name, and the answers to the questions by
//! which devices find out whether they are online. From a request's head to a response; `serve` has
//! the connections.
//!
//! Nothing is changed here by any request. The page is for who typed the address: a site that
//! makes a browser ask gets it too, but may not read it (it sends no CORS headers), and a name of
//! others that was made to lead here is refused.

pub mod forward;
pub mod probes;
pub mod router_state;
pub mod serve;

use crate::rogue::Other;
use forward::{Forward, Unfit};
use ramson_ipc::page::{Acts, Sheet, escape, response};
use router_state::RouterState;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest head of a request, bytes, and most lines.
pub const HEAD_MAX: usize = 8192;
const LINES_MAX: usize = 64;

/// What the page knows of the box.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The gateway's own addresses.
    pub v4: Ipv4Addr,
    /// See `v4`.
    pub v6: Option<Ipv6Addr>,
    /// Its name, one label, and the domain.
    pub name: String,
    /// See `name`.
    pub domain: String,
    /// Whether the questions of systems are answered.
    pub probes: bool,
    /// Whether there is a console that requests for the box itself go to.
    pub console: bool,
}

/// How things are.
#[derive(Debug, Clone)]
pub struct State {
    /// Why the LAN is not served.
    pub rogue: Option<Other>,
    /// What the router says of itself; `None` when it says nothing.
    pub router: Option<RouterState>,
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// The page.
    Page,
    /// Something of the console's.
    Console(Forward),
    /// Something for the console that is not passed on.
    Unfit(Unfit),
    /// One of the questions of systems.
    Probe(&'static probes::Probe),
    /// Something that is not here.
    Nothing,
    /// A name that is not the gateway's.
    Misdirected,
    /// Another method than GET and HEAD.
    Method,
    /// No request of HTTP/1.
    Malformed,
}

impl Facts {
    /// Whether a name (lower case, no final dot) is the gateway's own.
    #[must_use]
    pub fn is_own_name(&self, name: &str) -> bool {
        let full = name.strip_suffix(self.domain.as_str());
        name == self.name || full.and_then(|n| n.strip_suffix('.')) == Some(&self.name)
    }

    fn is_own_host(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(IpAddr::V4(v4)) => v4 == self.v4,
            Ok(IpAddr::V6(v6)) => Some(v6) == self.v6 || v6.is_unicast_link_local(),
            Err(_) => self.is_own_name(host),
        }
    }
}

/// Judges a whole head; `None` needs more. The second value: only the head is wanted.
#[must_use]
pub fn asked(head: &[u8], facts: &Facts) -> Option<(Asked, bool)> {
    let mut lines = [httparse::EMPTY_HEADER; LINES_MAX];
    let mut request = httparse::Request::new(&mut lines);
    let taken = match request.parse(head) {
        Ok(httparse::Status::Complete(taken)) => taken,
        Ok(httparse::Status::Partial) => return None,
        Err(_) => return Some((Asked::Malformed, false)),
    };
    let head_only = request.method == Some("HEAD");
    let is = |what| Some((what, head_only));
    match request.method {
        Some("GET" | "HEAD") => {}
        Some("POST") if facts.console => {}
        _ => return is(Asked::Method),
    }
    let path = request.path.unwrap_or("/");
    // Some send the whole address, as to a proxy.
    let (absolute, path) = match path.strip_prefix("http://") {
        Some(rest) => {
            let at = rest.find('/').unwrap_or(rest.len());
            let (host, path) = rest.split_at(at);
            (Some(host), if path.is_empty() { "/" } else { path })
        }
        None => (None, path),
    };
    let mut hosts = request
        .headers
        .iter()
        .filter(|h| h.name.eq_ignore_ascii_case("host"));
    let said = hosts.next().and_then(|h| std::str::from_utf8(h.value).ok());
    if hosts.next().is_some() {
        return is(Asked::Malformed);
    }
    let Some(host) = absolute.or(said) else {
        // HTTP/1.0 without a name, by address.
        return is(Asked::Page);
    };
    let host = host_name(host);
    if facts.console && facts.is_own_host(&host) {
        return is(match Forward::new(&request, path, taken) {
            Ok(forward) => Asked::Console(forward),
            Err(why) => Asked::Unfit(why),
        });
    }
    is(judge(&host, path, facts))
}

/// Without port and final dot, in lower case.
fn host_name(host: &str) -> String {
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn judge(host: &str, path: &str, facts: &Facts) -> Asked {
    if facts.probes && probes::is_host(host) {
        return probes::find(host, path).map_or(Asked::Nothing, Asked::Probe);
    }
    if !facts.is_own_host(host) {
        return Asked::Misdirected;
    }
    match path.split('?').next() {
        Some("/" | "/index.html") => Asked::Page,
        _ => Asked::Nothing,
    }
}

/// The whole response.
#[must_use]
pub fn answer(asked: &Asked, head_only: bool, facts: &Facts, state: &State) -> Vec<u8> {
    let page = |status, title, text: &str| plain(status, title, text, facts, head_only);
    match asked {
        Asked::Page => own_page(facts, state, head_only),
        Asked::Console(forward) if forward.is_home => own_page(facts, state, head_only),
        Asked::Console(_) => page(
            "503 Service Unavailable",
            "This page is away",
            "The program that configures this box does not answer; it is started again by itself.",
        ),
        Asked::Unfit(why) => unfit(*why, page),
        Asked::Probe(probe) => probe_answer(probe, head_only),
        Asked::Nothing => page(
            "404 Not Found",
            "There is no such page here",
            "This box has one page of its own.",
        ),
        Asked::Misdirected => page(
            "421 Misdirected Request",
            "This name does not lead here",
            "Somebody has made a name lead to this box that is not its own.",
        ),
        Asked::Method => page(
            "405 Method Not Allowed",
            "Nothing can be sent to this page",
            "It can be read, and nothing else.",
        ),
        Asked::Malformed => page(
            "400 Bad Request",
            "The request is malformed",
            "What came from this device is not a request of HTTP/1.0 or HTTP/1.1.",
        ),
    }
}

fn unfit(why: Unfit, page: impl Fn(&'static str, &'static str, &str) -> Vec<u8>) -> Vec<u8> {
    match why {
        Unfit::Malformed => page(
            "400 Bad Request",
            "The request is malformed",
            "A line of its head is there twice, or is no text.",
        ),
        Unfit::Length => page(
            "411 Length Required",
            "The request does not say how long it is",
            "What is sent to this page needs a length.",
        ),
        Unfit::Large => page(
            "413 Content Too Large",
            "The file is too long",
            "At most 4 MiB can be sent to this page.",
        ),
        Unfit::Busy => page(
            "503 Service Unavailable",
            "Another file is on its way",
            "Others are sending files to this box. Try again in a minute.",
        ),
    }
}

fn probe_answer(probe: &probes::Probe, head_only: bool) -> Vec<u8> {
    let (status, kind, body) = (probe.status, probe.kind, probe.body);
    let typed = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len())
    };
    let body = if head_only { "" } else { body };
    let head = format!("HTTP/1.1 {status}\r\n{typed}Cache-Control: no-store\r\nConnection: close");
    format!("{head}\r\n\r\n{body}").into_bytes()
}

/// Who speaks.
pub const FOOTER: &str = "Written by Ramson, the box that this network is connected to.";

fn plain(status: &str, title: &str, text: &str, facts: &Facts, head_only: bool) -> Vec<u8> {
    let home = facts.v4;
    let body =
        format!("<p>{text}</p><p><a href=\"http://{home}/\">Open the page of this box</a></p>");
    let sheet = Sheet {
        title,
        about: None,
        body: &body,
        footer: FOOTER,
    };
    let more: &[_] = if status.starts_with("405") {
        &[("Allow", "GET, HEAD")]
    } else {
        &[]
    };
    response(status, more, &sheet.html(), Acts::Reads, head_only)
}

fn own_page(facts: &Facts, state: &State, head_only: bool) -> Vec<u8> {
    let body = home(facts, state);
    let sheet = Sheet {
        title: "Ramson",
        about: Some(&facts.name),
        body: &body,
        footer: FOOTER,
    };
    let more = [("Refresh", "15")];
    response("200 OK", &more, &sheet.html(), Acts::Reads, head_only)
}

/// What everybody may know: whether all is well, and how to open a site. HTML.
#[must_use]
pub fn home(facts: &Facts, state: &State) -> String {
    let mut body = String::from(
        "<p><span class=\"badge good\">Protected</span> Devices on this network reach I2P sites \
         and nothing else; no other packet of theirs leaves this box.</p>",
    );
    match state.rogue {
        None => {}
        Some(Other::Server(other)) => body.push_str(&format!(
            "<p><span class=\"badge bad\">Another router</span> {other} gives out addresses on \
             this network, too. Devices that follow it are not protected. This box gives out none \
             until the other one is gone: is it plugged into the wrong port?</p>"
        )),
        Some(Other::BothPorts) => body.push_str(
            "<p><span class=\"badge bad\">Both ports</span> of this box are in one network. \
             Devices there can reach the Internet past it and are not protected. This box gives \
             out no addresses until its ports are apart.</p>",
        ),
    }
    body.push_str(&router_part(state.router.as_ref()));
    body.push_str(&format!(
        "<h2>Open a site</h2><p>Type the whole address, with <b>http://</b> in front and a slash \
         at the end:</p><p class=\"address\">http://name.i2p/</p><p class=\"quiet\">Without them \
         a browser takes the name for something to search for. This page is at \
         http://{}.{}/ and at http://{}/.</p>",
        escape(&facts.name),
        escape(&facts.domain),
        facts.v4
    ));
    body
}

fn router_part(router: Option<&RouterState>) -> String {
    let Some(router) = router else {
        return "<h2>Router</h2><p><span class=\"badge bad\">Not running</span> The I2P router does \
                not answer; it is started again by itself. Until then sites cannot be opened.</p>"
            .into();
    };
    let (class, word, text) = if router.clock != "ok" {
        ("bad", "Clock", router.clock.as_str())
    } else if router.ready {
        ("good", "Connected", "Sites can be opened.")
    } else {
        (
            "wait",
            "Starting",
            "It looks for other routers; this takes a minute or two.",
        )
    };
    format!(
        "<h2>Router</h2><p><span class=\"badge {class}\">{word}</span> {}</p><dl class=\"facts\">\
         <dt>Known routers</dt><dd>{}</dd><dt>Connected</dt><dd>{}</dd><dt>Tunnels</dt><dd>{}</dd>\
         </dl>",
        escape(text),
        router.known,
        router.peers,
        router.tunnels
    )
}

#[cfg(test)]
mod tests;
