//! Which headers of a request travel: those of this list and no others, in this order and
//! spelling, whatever browser they come from.

use super::RequestKind;
use crate::client::http_body::Framing;
use crate::client::http_head::{Head, trim};
use crate::client::site::Site;
use crate::client::url::{self, Target};

/// The user agent that everyone behind an I2P proxy shows.
const USER_AGENT: &str = "MYOB/6.66 (AN/ON)";
/// Compressed answers would be as good, but sizes of few codings tell browsers apart.
const ENCODINGS: &str = "identity;q=1, *;q=0";

/// What a header's value becomes.
#[derive(Clone, Copy)]
enum Rule {
    /// It travels as it is: the site's own pages or programs have set it, or it is the same in
    /// all browsers.
    Same,
    /// One of few values, or nothing.
    Of(&'static [&'static str]),
    /// See the function of the name.
    Accept,
    Authorization,
    Origin,
    /// An address of the site under the name that the site hears; of other sites, nothing.
    Address,
    /// Conditions that may name addresses of the site.
    If,
    /// Travels with a request for another protocol only.
    Socket,
    SocketExtensions,
}

const ALLOWED: &[(&str, Rule)] = &[
    ("Accept", Rule::Accept),
    ("Content-Type", Rule::Same),
    ("Content-Encoding", Rule::Same),
    ("Content-Language", Rule::Same),
    ("Content-Disposition", Rule::Same),
    ("Content-Location", Rule::Address),
    ("Content-Range", Rule::Same),
    ("Content-MD5", Rule::Same),
    ("Digest", Rule::Same),
    ("Content-Digest", Rule::Same),
    ("Repr-Digest", Rule::Same),
    ("Cookie", Rule::Same),
    ("Authorization", Rule::Authorization),
    ("Origin", Rule::Origin),
    ("Referer", Rule::Address),
    ("X-Requested-With", Rule::Of(&["XMLHttpRequest", "fetch"])),
    ("Expect", Rule::Of(&["100-continue"])),
    (
        "Cache-Control",
        Rule::Of(&["no-cache", "no-store", "max-age=0"]),
    ),
    ("Pragma", Rule::Of(&["no-cache"])),
    ("Range", Rule::Same),
    ("If-Match", Rule::Same),
    ("If-None-Match", Rule::Same),
    ("If-Modified-Since", Rule::Same),
    ("If-Unmodified-Since", Rule::Same),
    ("If-Range", Rule::Same),
    ("Last-Event-ID", Rule::Same),
    ("Access-Control-Request-Method", Rule::Same),
    ("Access-Control-Request-Headers", Rule::Same),
    ("Max-Forwards", Rule::Same),
    ("Prefer", Rule::Same),
    ("Idempotency-Key", Rule::Same),
    ("Slug", Rule::Same),
    ("SOAPAction", Rule::Same),
    ("Git-Protocol", Rule::Same),
    ("Upgrade", Rule::Socket),
    ("Sec-WebSocket-Key", Rule::Socket),
    ("Sec-WebSocket-Version", Rule::Socket),
    ("Sec-WebSocket-Protocol", Rule::Socket),
    ("Sec-WebSocket-Extensions", Rule::SocketExtensions),
    // WebDAV and CalDAV (RFC 4918, RFC 6638).
    ("Depth", Rule::Same),
    ("Destination", Rule::Address),
    ("If", Rule::If),
    ("If-Schedule-Tag-Match", Rule::Same),
    ("Lock-Token", Rule::Same),
    ("Overwrite", Rule::Same),
    ("Schedule-Reply", Rule::Same),
    ("Timeout", Rule::Same),
    ("OCS-APIRequest", Rule::Same),
    // Uploads that can be resumed (tus).
    ("Tus-Resumable", Rule::Same),
    ("Upload-Checksum", Rule::Same),
    ("Upload-Concat", Rule::Same),
    ("Upload-Defer-Length", Rule::Same),
    ("Upload-Length", Rule::Same),
    ("Upload-Metadata", Rule::Same),
    ("Upload-Offset", Rule::Same),
    ("X-HTTP-Method", Rule::Same),
    ("X-HTTP-Method-Override", Rule::Same),
    ("X-Method-Override", Rule::Same),
];

/// Beginnings and ends of names that the scripts of pages give to their requests: tokens against
/// forged requests, sessions, keys of interfaces.
const SCRIPTED: (&[&str], &[&str]) = (
    &[
        "hx-",
        "turbo-",
        "x-turbo-",
        "x-inertia",
        "x-livewire",
        "x-pjax",
    ],
    &[
        "token",
        "-csrf",
        "-xsrf",
        "-nonce",
        "-session-id",
        "-api-key",
        "apikey",
    ],
);

/// Copies what may travel.
pub fn copy(from: &Head, site: &Site, kind: RequestKind, to: &mut Head) {
    to.add("User-Agent", USER_AGENT);
    to.add("Accept-Encoding", ENCODINGS);
    let socket = kind == RequestKind::Upgrade;
    // What is between browser and proxy only (RFC 9110 section 7.6.1).
    let hop = |name: &str| from.has_member("connection", name);
    for (name, rule) in ALLOWED {
        if hop(name) && *name != "Upgrade" {
            continue;
        }
        for value in from.all(name) {
            if let Some(value) = judge(*rule, name, value, site, socket) {
                to.add(name, value);
            }
        }
    }
    for (name, value) in &from.headers {
        let lower = name.to_ascii_lowercase();
        let known = ALLOWED.iter().any(|(n, _)| n.eq_ignore_ascii_case(&lower));
        let (begins, ends) = SCRIPTED;
        let scripted =
            begins.iter().any(|b| lower.starts_with(b)) || ends.iter().any(|e| lower.ends_with(e));
        if !scripted || known || hop(name) || is_of_the_way(&lower) {
            continue;
        }
        if let Some(value) = scripted_value(value, site) {
            to.add(name, value);
        }
    }
    match kind {
        RequestKind::Message(Framing::Chunked) => to.add("Transfer-Encoding", "chunked"),
        RequestKind::Message(Framing::Length(n)) if from.count("content-length") > 0 => {
            to.add("Content-Length", n.to_string());
        }
        _ => {}
    }
    to.add("Connection", if socket { "Upgrade" } else { "close" });
}

/// Headers of browsers, devices and other proxies never pass by an ending.
fn is_of_the_way(name: &str) -> bool {
    let begins = [
        "sec-",
        "proxy-",
        "x-forwarded",
        "x-real",
        "x-device",
        "x-client",
        "cf-",
    ];
    begins.iter().any(|b| name.starts_with(b))
}

/// An address is the site's own, or does not travel.
fn scripted_value(value: &str, site: &Site) -> Option<String> {
    if !value.contains("://") {
        return Some(value.to_owned());
    }
    site.to_site(value).filter(|_| value.starts_with("http"))
}

fn judge(rule: Rule, name: &str, value: &str, site: &Site, socket: bool) -> Option<String> {
    match rule {
        Rule::Same => Some(value.to_owned()),
        Rule::Of(values) => {
            let same = values.iter().find(|v| v.eq_ignore_ascii_case(value));
            same.map(|v| (*v).to_owned())
        }
        Rule::Accept => Some(accept(value)),
        Rule::Authorization => authorization(value).then(|| value.to_owned()),
        Rule::Origin => Some(own_origin(value, site).unwrap_or_else(|| "null".to_owned())),
        Rule::Address => site.to_site(value),
        Rule::If => conditions(value, site),
        Rule::Socket if !socket => None,
        Rule::Socket if name == "Upgrade" => {
            let protocols: Vec<&str> = protocols(value).collect();
            (!protocols.is_empty()).then(|| protocols.join(", "))
        }
        Rule::Socket => Some(value.to_owned()),
        Rule::SocketExtensions => {
            let offered = socket && value.contains("permessage-deflate");
            // What else browsers offer tells them apart; the site may do without.
            offered.then(|| "permessage-deflate".to_owned())
        }
    }
}

/// What browsers ask for by themselves differs between them; what scripts ask for does not.
fn accept(value: &str) -> String {
    let types = || {
        value
            .split(',')
            .map(|t| trim(t.split(';').next().unwrap_or_default()))
    };
    let has = |kind: &str| types().any(|t| t.to_ascii_lowercase().starts_with(kind));
    let several = types().nth(1).is_some();
    if has("text/html") && several {
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8".to_owned()
    } else if has("image/") && several {
        "image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5".to_owned()
    } else if (has("video/") || has("audio/")) && several {
        "*/*".to_owned()
    } else {
        value.to_owned()
    }
}

/// These name the user and the machine to whoever asks.
fn authorization(value: &str) -> bool {
    let scheme = value.split(' ').next().unwrap_or_default();
    !["ntlm", "negotiate", "kerberos"].contains(&scheme.to_ascii_lowercase().as_str())
}

fn own_origin(value: &str, site: &Site) -> Option<String> {
    match url::parse(value) {
        Target::Relative(_) => None,
        Target::I2p(_) | Target::Elsewhere => site.to_site(value),
    }
}

/// The origin of another site, which is told as `null`: the answer is about that one.
pub fn foreign_origin(head: &Head, site: &Site) -> Option<String> {
    let origin = head.get("origin")?;
    let foreign = own_origin(origin, site).is_none() && origin != "null";
    foreign.then(|| origin.to_owned())
}

/// `If` of WebDAV: each `<address>` is the site's own, or the condition does not travel.
fn conditions(value: &str, site: &Site) -> Option<String> {
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('<') {
        let (address, after) = after.split_once('>')?;
        let lock = !address.contains("://") && address.contains(':');
        let address = if lock {
            address.to_owned()
        } else {
            site.to_site(address)?
        };
        out.push_str(&format!("{before}<{address}>"));
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// Protocols that may follow an `Upgrade`. HTTP/2 is not among them: its requests would pass
/// unfiltered.
fn protocols(value: &str) -> impl Iterator<Item = &str> {
    let named = value.split(',').map(trim).filter(|p| !p.is_empty());
    named.filter(|p| {
        let p = p.to_ascii_lowercase();
        !p.starts_with("h2") && !p.starts_with("http")
    })
}

/// Whether the request asks for another protocol that may follow.
pub fn upgrades(head: &Head) -> bool {
    let any = head.all("upgrade").any(|v| protocols(v).next().is_some());
    any && head.has_member("connection", "upgrade")
}

/// Whether the browser waits for an interim answer before it sends a body.
pub fn expects(head: &Head) -> bool {
    head.has_member("expect", "100-continue")
}
