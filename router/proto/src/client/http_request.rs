//! The one HTTP filter: what of a browser's request reaches a site
//! (i2p docs/api/i2ptunnel, HTTP client header filtering).

mod headers;

use super::http_body::Framing;
use super::http_head::{Head, HeadError, is_token};
use super::http_response::Asked;
use super::site::Site;
use super::url::default_port;
use crate::names::hosts::is_host_name;

/// The least length of a destination in base64 (i2p spec/common-structures, Destination).
const BASE64_MIN: usize = 516;

/// A request that may be sent on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Destination name, in lower case unless it is a destination in base64.
    pub host: String,
    /// Port at the destination.
    pub port: u16,
    /// What travels.
    pub kind: RequestKind,
    /// It may be asked again without being asked: it is a GET or HEAD.
    pub safe: bool,
    /// The host as the browser says it.
    shown: String,
    method: String,
    path: String,
    version: Version,
    head: Head,
}

/// What follows the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// One request with such a body; the connection closes after the answer.
    Message(Framing),
    /// A request to speak another protocol from the answer on, such as WebSocket.
    Upgrade,
    /// A CONNECT: bytes both ways.
    Tunnel,
}

/// The version of HTTP/1 that the browser speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: it knows neither chunks nor interim answers.
    V10,
    /// HTTP/1.1.
    V11,
}

/// Why a request is answered by the proxy itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// The head is not HTTP/1 or too large.
    Head(HeadError),
    /// The request line is malformed.
    RequestLine,
    /// Neither the request line nor a Host header names a host, or there are two.
    NoHost,
    /// The host is not under `.i2p`: this proxy has no way out.
    NotI2p,
    /// The host is under `.i2p`, but no name can look like this.
    BadName,
    /// The connection was opened to one name, and the request is for another: the browser holds
    /// an address that has gone to another site since.
    Misdirected,
    /// The body's length is malformed, or said in two ways.
    Length,
    /// A scheme other than http.
    Scheme,
}

impl From<HeadError> for RequestError {
    fn from(e: HeadError) -> Self {
        Self::Head(e)
    }
}

impl Request {
    /// Judges a head. `fixed` is the destination that a transparent connection was opened to;
    /// otherwise the request itself has to name its host.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn filter(head: Head, fixed: Option<(&str, u16)>) -> Result<Self, RequestError> {
        let (method, target, version) = request_line(&head.start)?;
        if head.count("host") > 1 {
            return Err(RequestError::NoHost);
        }
        let connect = method == "CONNECT";
        if connect && fixed.is_some() {
            return Err(RequestError::RequestLine);
        }
        let (authority, path) = if connect {
            (Some(target.clone()), String::new())
        } else {
            split_target(&target)?
        };
        let default = if connect { 443 } else { 80 };
        let absolute = authority.is_some();
        let named = authority.or_else(|| head.get("host").map(str::to_owned));
        let named = named.map(|n| split_authority(&n, default));
        let (host, port, shown) = match (fixed, named) {
            (Some((host, port)), named) => {
                let shown = named.and_then(Result::ok).map(|(h, _)| h);
                if !absolute && shown.as_deref().is_some_and(|s| is_another(s, host)) {
                    return Err(RequestError::Misdirected);
                }
                (host.to_owned(), port, shown)
            }
            (None, Some(named)) => {
                let (host, port) = named?;
                (host.clone(), port, Some(host))
            }
            (None, None) => return Err(RequestError::NoHost),
        };
        let host = check(&host)?;
        let shown = shown
            .filter(|s| is_plain(s))
            .unwrap_or_else(|| host.clone());
        let kind = if connect {
            RequestKind::Tunnel
        } else {
            match framing(&head, version)? {
                Framing::Length(0) if version == Version::V11 && headers::upgrades(&head) => {
                    RequestKind::Upgrade
                }
                framing => RequestKind::Message(framing),
            }
        };
        Ok(Self {
            safe: ["GET", "HEAD"].contains(&method.as_str()),
            host,
            port,
            kind,
            shown,
            method,
            path,
            version,
            head,
        })
    }

    /// The host as the browser says it.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The path and query that it asks for.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.path
    }

    /// How many bytes of a form follow, if this sends one.
    #[must_use]
    pub fn form_len(&self) -> Option<usize> {
        let kind = self.head.get("content-type")?.split(';').next()?;
        let form = kind.eq_ignore_ascii_case("application/x-www-form-urlencoded");
        match self.kind {
            RequestKind::Message(Framing::Length(n)) if form && self.method == "POST" => {
                usize::try_from(n).ok()
            }
            _ => None,
        }
    }

    /// Whether the answer has no body whatever it says.
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// The head to send, once the destination's base32 name is known, and what the answer has to
    /// be read with. An address-book name would tell the site what its visitor calls it.
    #[must_use]
    pub fn to_send(&self, b32: &str) -> (Vec<u8>, Asked) {
        let site = Site::new(&self.shown, &self.host, b32);
        let mut out = Head {
            start: format!("{} {} HTTP/1.1", self.method, self.path),
            headers: Vec::new(),
        };
        let host = match self.port {
            p if p == default_port("http") => b32.to_owned(),
            p => format!("{b32}:{p}"),
        };
        out.add("Host", host);
        headers::copy(&self.head, &site, self.kind, &mut out);
        let asked = Asked {
            foreign_origin: headers::foreign_origin(&self.head, &site),
            expects: self.version == Version::V11 && headers::expects(&self.head),
            upgrade: self.kind == RequestKind::Upgrade,
            head_only: self.is_head(),
            version: self.version,
            site,
        };
        (out.to_bytes(), asked)
    }
}

fn request_line(start: &str) -> Result<(String, String, Version), RequestError> {
    let mut parts = start.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(RequestError::RequestLine);
    };
    let version = match version {
        "HTTP/1.0" => Version::V10,
        // A minor version of later is spoken to as the latest that we know.
        v if v.len() == 8 && v.starts_with("HTTP/1.") => Version::V11,
        _ => return Err(RequestError::RequestLine),
    };
    if !is_token(method) || target.is_empty() || !target.is_ascii() {
        return Err(RequestError::RequestLine);
    }
    Ok((method.to_owned(), target.to_owned(), version))
}

fn check(host: &str) -> Result<String, RequestError> {
    let host = host.trim_end_matches('.');
    let label = host.strip_suffix(".i2p").unwrap_or(host);
    if label.len() >= BASE64_MIN && label.bytes().all(is_base64) {
        return Ok(host.to_owned());
    }
    let host = host.to_ascii_lowercase();
    if is_host_name(&host) {
        return Ok(host);
    }
    Err(if host.ends_with(".i2p") {
        RequestError::BadName
    } else {
        RequestError::NotI2p
    })
}

/// Whether a browser that asks for `shown` means another site than `host`. Names outside of I2P
/// are what a LAN may call it.
fn is_another(shown: &str, host: &str) -> bool {
    let shown = shown.trim_end_matches('.').to_ascii_lowercase();
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    shown != host && is_host_name(&shown)
}

/// The alphabet of I2P's base64 (i2p docs/naming, Base 64).
const fn is_base64(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'~' | b'=')
}

/// A host that can be written into a response without changing its meaning.
fn is_plain(host: &str) -> bool {
    let plain = |b: u8| is_base64(b) || matches!(b, b'.' | b'_');
    !host.is_empty() && host.bytes().all(plain)
}

fn split_target(target: &str) -> Result<(Option<String>, String), RequestError> {
    let target = target.split('#').next().unwrap_or_default();
    if target.starts_with('/') || target == "*" {
        return Ok((None, target.to_owned()));
    }
    let Some((scheme, rest)) = target.split_once("://") else {
        return Err(RequestError::RequestLine);
    };
    if !["http", "ws"]
        .iter()
        .any(|s| scheme.eq_ignore_ascii_case(s))
    {
        return Err(RequestError::Scheme);
    }
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(at).ok_or(RequestError::RequestLine)?;
    let path = match path.strip_prefix('?') {
        Some(query) => format!("/?{query}"),
        None if path.is_empty() => "/".to_owned(),
        None => path.to_owned(),
    };
    Ok((Some(authority.to_owned()), path))
}

fn split_authority(text: &str, default: u16) -> Result<(String, u16), RequestError> {
    let host = text.rsplit_once('@').map_or(text, |(_, h)| h);
    let (host, port) = match host.split_once(':') {
        None | Some((_, "")) => (host.trim_end_matches(':'), default),
        Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) => {
            let port = port.parse().ok().filter(|p| *p > 0);
            (host, port.ok_or(RequestError::RequestLine)?)
        }
        Some(_) => return Err(RequestError::RequestLine),
    };
    if host.is_empty() {
        return Err(RequestError::NoHost);
    }
    Ok((host.to_owned(), port))
}

/// Anything that two readers could read in two ways is refused (RFC 9112 section 6.3).
pub(super) fn framing(head: &Head, version: Version) -> Result<Framing, RequestError> {
    let lengths = head.count("content-length");
    if head.count("transfer-encoding") > 0 {
        let chunked = head.get("transfer-encoding");
        let plain = chunked.is_some_and(|c| c.eq_ignore_ascii_case("chunked"));
        let once = head.count("transfer-encoding") == 1;
        return if plain && once && lengths == 0 && version == Version::V11 {
            Ok(Framing::Chunked)
        } else {
            Err(RequestError::Length)
        };
    }
    if lengths > 1 {
        return Err(RequestError::Length);
    }
    match head.get("content-length") {
        Some(n) if !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit()) => {
            let n = n.parse().map_err(|_| RequestError::Length)?;
            Ok(Framing::Length(n))
        }
        Some(_) => Err(RequestError::Length),
        None => Ok(Framing::Length(0)),
    }
}

#[cfg(test)]
mod tests;
