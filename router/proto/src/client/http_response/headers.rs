//! Which headers of an answer reach the browser: all but those that would send it elsewhere, have
//! it tell others, or speak for the connection.

use super::{AnswerError, Asked, is_token, policy};
use crate::client::http_head::{Head, trim};
use crate::client::site::{Led, Site};

/// Told by the framing and by us, or of no business on this way: other ways to the site, promises
/// about TLS, reports to others, what tells the browser apart. `Clear-Site-Data` and
/// `Service-Worker-Allowed` concern the site alone, and pass.
const DROPPED: &[&str] = &[
    "accept-ch",
    "activate-storage-access",
    "alt-svc",
    "connection",
    "content-length",
    "content-security-policy-report-only",
    "critical-ch",
    "expect-ct",
    "keep-alive",
    "nel",
    "observe-browsing-topics",
    // Switches on what this list does not know.
    "origin-trial",
    "proxy-authenticate",
    "public-key-pins",
    "public-key-pins-report-only",
    "referrer-policy",
    "report-to",
    "reporting-endpoints",
    "service-worker-navigation-preload",
    "set-login",
    "sourcemap",
    "speculation-rules",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "use-as-dictionary",
    "via",
    "x-dns-prefetch-control",
    "x-sourcemap",
];

const DROPPED_BEGINNINGS: &[&str] = &[
    "proxy-",
    "x-i2p",
    "sec-",
    "attribution-reporting",
    "ad-auction",
];

/// Codes with which a browser follows `Location` by itself.
const REDIRECTS: &[u16] = &[301, 302, 303, 307, 308];

/// Copies what may pass, and confines the page to I2P.
///
/// # Errors
/// The answer is a redirect out of I2P.
pub fn copy(from: &Head, code: u16, asked: &Asked, to: &mut Head) -> Result<(), AnswerError> {
    let site = &asked.site;
    for (name, value) in &from.headers {
        let lower = name.to_ascii_lowercase();
        if is_dropped(&lower) || from.has_member("connection", &lower) {
            continue;
        }
        let value = match lower.as_str() {
            "location" => location(value, code, site)?,
            "content-location" => within(site, value),
            "refresh" => refresh(value, site),
            "link" => link(value, site),
            "content-security-policy" => policy::tamed(value, site),
            "access-control-allow-origin" => Some(allowed_origin(value, asked)),
            "set-cookie" => Some(cookie(value, site)),
            "www-authenticate" => authenticate(value).then(|| value.clone()),
            _ => Some(value.clone()),
        };
        // Of several locations browsers take none or the first.
        let again = lower == "location" && to.count(&lower) > 0;
        if let Some(value) = value.filter(|_| !again) {
            to.add(name, value);
        }
    }
    to.add("Content-Security-Policy", policy::OURS);
    to.add("Referrer-Policy", "same-origin");
    to.add("X-DNS-Prefetch-Control", "off");
    Ok(())
}

/// The head of a `101 Switching Protocols`; `None` if it names no protocol.
pub fn switched(from: &Head) -> Option<Head> {
    let protocol = from
        .get("upgrade")
        .filter(|p| is_token(&p.replace('/', "")))?;
    let mut to = Head {
        start: "HTTP/1.1 101 Switching Protocols".to_owned(),
        headers: Vec::new(),
    };
    for (name, value) in &from.headers {
        let lower = name.to_ascii_lowercase();
        let wanted = lower.starts_with("sec-websocket-") || lower == "set-cookie";
        if wanted {
            to.add(name, value.as_str());
        }
    }
    to.add("Upgrade", protocol);
    to.add("Connection", "Upgrade");
    Some(to)
}

fn is_dropped(name: &str) -> bool {
    DROPPED.contains(&name) || DROPPED_BEGINNINGS.iter().any(|b| name.starts_with(b))
}

fn within(site: &Site, address: &str) -> Option<String> {
    match site.to_browser(address) {
        Led::Within(address) => Some(address),
        Led::Out => None,
    }
}

fn location(value: &str, code: u16, site: &Site) -> Result<Option<String>, AnswerError> {
    let address = within(site, value);
    if address.is_none() && REDIRECTS.contains(&code) {
        return Err(AnswerError::Elsewhere(value.to_owned()));
    }
    Ok(address)
}

/// `5`, `5; url=address`, with or without quotes and the `url=` (WHATWG HTML, shared declarative
/// refresh steps).
fn refresh(value: &str, site: &Site) -> Option<String> {
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    let rest = trim(value.trim_start_matches(digits));
    let seconds = value.get(..value.find(|c| !digits(c)).unwrap_or(value.len()))?;
    if seconds.is_empty() {
        return None;
    }
    let address = trim(rest.trim_start_matches([';', ',', ' ', '\t']));
    if address.is_empty() {
        return Some(seconds.to_owned());
    }
    let named = address.get(..3).filter(|n| n.eq_ignore_ascii_case("url"));
    let after = named.and_then(|_| trim(address.get(3..)?).strip_prefix('='));
    let address = trim(after.unwrap_or(address));
    let address = match address.chars().next() {
        Some(quote @ ('"' | '\'')) => address.get(1..)?.split(quote).next()?,
        _ => address,
    };
    Some(format!("{seconds}; url={}", within(site, address)?))
}

/// Keeps the links that stay within I2P (RFC 8288 section 3).
fn link(value: &str, site: &Site) -> Option<String> {
    let mut kept = Vec::new();
    let mut rest = trim(value);
    while !rest.is_empty() {
        let (address, after) = rest.strip_prefix('<')?.split_once('>')?;
        let end = end_of_member(after);
        let (parameters, next) = after.split_at_checked(end)?;
        if let Some(address) = within(site, address) {
            kept.push(format!("<{address}>{}", trim(parameters)));
        }
        rest = next.trim_start_matches([',', ' ', '\t']);
    }
    (!kept.is_empty()).then(|| kept.join(", "))
}

/// Where the comma is that no quotes surround.
fn end_of_member(text: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => return i,
            _ => {}
        }
    }
    text.len()
}

/// The site allows the origin that it was told.
fn allowed_origin(value: &str, asked: &Asked) -> String {
    match &asked.foreign_origin {
        Some(origin) if value == "null" => origin.clone(),
        _ => asked.site.renamed(value),
    }
}

/// A domain of the base32 name would be refused by a browser that knows the site by another, and
/// one of all of I2P would be told to every site.
fn cookie(value: &str, site: &Site) -> String {
    let parts = value.split(';').enumerate().filter(|(i, part)| {
        let own = part.split_once('=').is_some_and(|(name, domain)| {
            trim(name).eq_ignore_ascii_case("domain") && site.is_own_domain(trim(domain))
        });
        *i == 0 || !own
    });
    parts.map(|(_, part)| part).collect::<Vec<_>>().join(";")
}

/// With these a browser may answer by itself, and name its user.
fn authenticate(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    !["ntlm", "negotiate", "kerberos"]
        .iter()
        .any(|s| value.contains(s))
}
