//! One site under its two names: the one that the browser used, and the base32 name that the site
//! hears. What belongs to the `Host` header is rewritten with it, in both directions.

use super::url::{self, Target};

/// A site of one exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Host as the browser says it, in lower case.
    shown: String,
    /// Other names that the browser may have used for it.
    also: String,
    /// The base32 name.
    b32: String,
}

/// What becomes of an address in a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Led {
    /// It stays within I2P, and reads like this.
    Within(String),
    /// It leads out of I2P.
    Out,
}

impl Site {
    /// A site that the browser calls `shown`, opened as `also`, with this base32 name.
    #[must_use]
    pub fn new(shown: &str, also: &str, b32: &str) -> Self {
        Self {
            shown: shown.to_ascii_lowercase(),
            also: also.to_ascii_lowercase(),
            b32: b32.to_owned(),
        }
    }

    fn is_own(&self, host: &str) -> bool {
        [&self.shown, &self.also, &self.b32].contains(&&host.to_owned())
    }

    /// An address in a request: as the site may see it, or `None` when it names another site.
    #[must_use]
    pub fn to_site(&self, text: &str) -> Option<String> {
        match url::parse(text) {
            Target::Relative(text) => Some(text),
            Target::I2p(found) if self.is_own(&found.host) => Some(found.at(&self.b32)),
            // A device of the LAN may have used the address of the name.
            Target::Elsewhere if !self.shown.ends_with(".i2p") => self.by_address(text),
            Target::I2p(_) | Target::Elsewhere => None,
        }
    }

    fn by_address(&self, text: &str) -> Option<String> {
        let rest = text.strip_prefix("http://")?.strip_prefix(&self.shown)?;
        let ends = rest.is_empty() || rest.starts_with(['/', '?']);
        ends.then(|| format!("http://{}{rest}", self.b32))
    }

    /// An address in a response: the site's own gets back the name that the browser used.
    #[must_use]
    pub fn to_browser(&self, text: &str) -> Led {
        match url::parse(text) {
            Target::Relative(text) => Led::Within(text),
            Target::I2p(found) if found.host == self.b32 => Led::Within(found.at(&self.shown)),
            Target::I2p(found) => Led::Within(found.at(&found.host)),
            Target::Elsewhere => Led::Out,
        }
    }

    /// A text of a response in which the site may name itself as a host.
    #[must_use]
    pub fn renamed(&self, text: &str) -> String {
        text.replace(&self.b32, &self.shown)
    }

    /// Whether a cookie's domain is the site itself or all of I2P, so that the cookie is to belong
    /// to the host alone.
    #[must_use]
    pub fn is_own_domain(&self, domain: &str) -> bool {
        let domain = domain.trim_start_matches('.').to_ascii_lowercase();
        self.is_own(&domain) || ["i2p", "b32.i2p"].contains(&domain.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_belong_to_the_site() {
        let site = Site::new("Site.i2p", "site.i2p", "b.b32.i2p");
        for (from, to) in [
            ("http://site.i2p/x", Some("http://b.b32.i2p/x")),
            ("http://SITE.i2p:8080", Some("http://b.b32.i2p:8080")),
            ("http://b.b32.i2p/", Some("http://b.b32.i2p/")),
            ("/x", Some("/x")),
            ("http://other.i2p/", None),
            ("http://example.com/", None),
            ("moz-extension://id/", None),
        ] {
            assert_eq!(site.to_site(from).as_deref(), to, "{from}");
        }
        for (from, to) in [
            ("http://b.b32.i2p/x", Some("http://site.i2p/x")),
            ("//b.b32.i2p:81/x", Some("http://site.i2p:81/x")),
            ("http://other.i2p/", Some("http://other.i2p/")),
            ("x", Some("x")),
            ("https://example.com/", None),
        ] {
            let to = to.map_or(Led::Out, |t| Led::Within(t.to_owned()));
            assert_eq!(site.to_browser(from), to, "{from}");
        }
        let by_address = Site::new("10.1.2.3", "site.i2p", "b.b32.i2p");
        let origin = by_address.to_site("http://10.1.2.3");
        assert_eq!(origin.as_deref(), Some("http://b.b32.i2p"));
        assert_eq!(by_address.to_site("http://10.1.2.34"), None);
    }
}
