//! Where an address leads, as a browser reads it on a page of `http:` (WHATWG URL, basic parser).
//!
//! Only as much as decides whether it stays within I2P: what is in doubt counts as leading out.

/// Where an address leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the same host.
    Relative(String),
    /// To a host under `.i2p`.
    I2p(Absolute),
    /// Anywhere else.
    Elsewhere,
}

/// An address with its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absolute {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// In lower case, without a final dot.
    pub host: String,
    /// Unless it is the scheme's own.
    pub port: Option<u16>,
    /// Path, query and fragment as they came; may be empty.
    pub rest: String,
}

impl Absolute {
    /// The address, with another host.
    #[must_use]
    pub fn at(&self, host: &str) -> String {
        let port = self.port.map_or_else(String::new, |p| format!(":{p}"));
        format!("{}://{host}{port}{}", self.scheme, self.rest)
    }
}

/// Reads an address.
#[must_use]
pub fn parse(text: &str) -> Target {
    // Browsers drop these wherever they stand.
    let text: String = text
        .trim_matches(|c: char| c <= ' ')
        .chars()
        .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
        .collect();
    let Some((scheme, rest)) = split_scheme(&text) else {
        return match authority(&text, 2) {
            Some(rest) => absolute("http", rest),
            None => Target::Relative(text),
        };
    };
    match scheme.to_ascii_lowercase().as_str() {
        // Of the page's own scheme: `http:path` is relative.
        "http" => match authority(rest, 2) {
            Some(rest) => absolute("http", rest),
            None => Target::Relative(rest.to_owned()),
        },
        "https" => absolute("https", authority(rest, 0).unwrap_or_default()),
        _ => Target::Elsewhere,
    }
}

fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let first = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    (first && scheme.chars().all(good)).then_some((scheme, rest))
}

/// What follows the slashes, if there are at least so many; either kind counts, and more of them
/// are skipped.
fn authority(text: &str, least: usize) -> Option<&str> {
    let rest = text.trim_start_matches(['/', '\\']);
    (text.len() - rest.len() >= least).then_some(rest)
}

fn absolute(scheme: &'static str, text: &str) -> Target {
    let at = text.find(['/', '\\', '?', '#']).unwrap_or(text.len());
    let (authority, rest) = text.split_at_checked(at).unwrap_or((text, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, h)| h);
    let (host, port) = match host.split_once(':') {
        None | Some((_, "")) => (host.trim_end_matches(':'), Some(None)),
        Some((host, port)) => (host, port.parse().ok().map(Some)),
    };
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let inside = host.ends_with(".i2p") && host.chars().all(plain);
    let (true, Some(port)) = (inside, port) else {
        return Target::Elsewhere;
    };
    Target::I2p(Absolute {
        scheme,
        host: host.to_owned(),
        port: port.filter(|p| *p != default_port(scheme)),
        rest: rest.to_owned(),
    })
}

/// The port that is not written.
#[must_use]
pub fn default_port(scheme: &str) -> u16 {
    if scheme == "https" { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_addresses_lead() {
        for here in [
            "/a",
            "a?b#c",
            "",
            "?q",
            "http:a",
            "http:/a",
            "a/b:c",
            "./http://x.com/",
            " /a ",
        ] {
            assert!(matches!(parse(here), Target::Relative(_)), "{here:?}");
        }
        for (text, as_read) in [
            ("http://a.i2p", "http://h"),
            ("HTTP://A.i2p./x?y#z", "http://h/x?y#z"),
            ("https://a.i2p:443/", "https://h/"),
            ("http://a.i2p:8080/", "http://h:8080/"),
            ("http://a.i2p:/", "http://h/"),
            ("//a.i2p/x", "http://h/x"),
            ("\\\\a.i2p\\x", "http://h\\x"),
            ("http://u:p@a.i2p/", "http://h/"),
            ("h\tttp://a.\ni2p/", "http://h/"),
            ("https:a.i2p/", "https://h/"),
        ] {
            let Target::I2p(found) = parse(text) else {
                panic!("{text:?}");
            };
            assert_eq!(
                (found.host.as_str(), found.at("h").as_str()),
                ("a.i2p", as_read)
            );
        }
        for out in [
            "http://example.com/",
            "https://example.com",
            "//192.168.1.1/",
            "/\\example.com",
            "///example.com",
            "\t//example.com",
            "/\t/example.com",
            "http:\\\\example.com",
            "https:example.com",
            "https:/example.com",
            "http://a.i2p@example.com/",
            "http://example.com#.i2p",
            "http://example.com\\.i2p",
            "http://example.com%2f.i2p",
            "http://[::1]/",
            "http://a.i2p:99999/",
            "http://a.\u{ff49}2p/",
            "ftp://a.i2p/",
            "javascript:alert(1)",
            "data:text/html,x",
        ] {
            assert_eq!(parse(out), Target::Elsewhere, "{out:?}");
        }
    }
}
