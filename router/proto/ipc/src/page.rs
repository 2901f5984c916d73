//! The frame of every page that the router and the gateway write themselves: one look, readable
//! on a phone, in light and dark, without scripts and without anything from outside.
//!
//! What the page says is its writer's business. Inside the frame these classes are known:
//! `facts` (a `dl` of names and values), `button` (a link or button to act on), `quiet` (less
//! important text), `badge` with `good`, `wait` or `bad` (a state in a word or two), `steps` (a
//! list whose items of class `done` are ticked), `address` (a long address, in a box), `list`
//! (things one below the other), `plot` (a figure with lines of class `l0` to `l2`), `legend`.

/// The style sheet. Colours have a contrast of at least 4.5 to 1 in both schemes (WCAG 2.2, AA).
pub const STYLE: &str = include_str!("page.css");

/// What a page may do: show its own style, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'";

/// One page.
#[derive(Clone, Copy, Debug)]
pub struct Sheet<'a> {
    /// Heading and title of the window, plain text.
    pub title: &'a str,
    /// Whom the page is about, plain text above the heading.
    pub about: Option<&'a str>,
    /// What it says, HTML; see the module's classes.
    pub body: &'a str,
    /// Who says so, HTML.
    pub footer: &'a str,
}

impl Sheet<'_> {
    /// The page as HTML.
    #[must_use]
    pub fn html(&self) -> String {
        let (title, body, footer) = (escape(self.title), self.body, self.footer);
        let about = self.about.map_or_else(String::new, |about| {
            format!("<p class=\"about\">{}</p>", escape(about))
        });
        let style: String = STYLE.lines().map(str::trim).collect();
        format!(
            "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>{title}</title><style>{style}</style></head><body><main>{about}\
             <h1>{title}</h1>{body}</main><footer>{footer}</footer></body></html>\n"
        )
    }
}

/// What a page may do besides being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acts {
    /// Nothing. Other I2P sites may show it in a frame, as they would have shown what it stands
    /// for.
    Reads,
    /// It has forms, for its own host only; nobody may frame it, so that a click is meant for it.
    Asks,
}

/// The value of `Content-Security-Policy` for a page.
#[must_use]
pub fn policy(acts: Acts) -> String {
    let (forms, framed) = match acts {
        Acts::Reads => ("'none'", "'self' http://*.i2p:*"),
        Acts::Asks => ("'self'", "'none'"),
    };
    format!("{POLICY}; form-action {forms}; frame-ancestors {framed}")
}

/// A whole HTTP response. `status` is code and phrase, `more` are further headers with their
/// values; neither may hold line ends. With `head_only` the body stays unsaid.
#[must_use]
pub fn response(
    status: &str,
    more: &[(&str, &str)],
    html: &str,
    acts: Acts,
    head_only: bool,
) -> Vec<u8> {
    let mut out = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\nReferrer-Policy: same-origin\r\n\
         X-Content-Type-Options: nosniff\r\n\
         Content-Security-Policy: {}\r\n",
        html.len(),
        policy(acts)
    );
    for (name, value) in more {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("\r\n");
    if !head_only {
        out.push_str(html);
    }
    out.into_bytes()
}

/// Text from outside, so that it is nothing but text.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Neither lines that are none nor writing that turns around.
            c if c.is_control() || is_unseen(c) => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

const fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet<'static> {
        Sheet {
            title: "A <title>",
            about: Some("\"site\".i2p\u{202e}\r\n"),
            body: "<p>text</p>",
            footer: "who",
        }
    }

    #[test]
    fn what_is_text_stays_text() {
        let html = sheet().html();
        assert_eq!(html.matches("A &lt;title&gt;").count(), 2);
        assert!(html.contains("&quot;site&quot;.i2p   </p>"), "{html}");
        assert!(html.contains("</h1><p>text</p></main>"));
    }

    #[test]
    fn a_page_is_for_phones_for_light_and_dark_and_asks_nobody() {
        let html = sheet().html();
        for part in [
            "name=\"viewport\"",
            "color-scheme:light dark",
            "prefers-color-scheme:dark",
        ] {
            assert!(html.contains(part), "{part}");
        }
        for part in [
            "<script", "src=", "http:", "https:", "url(", "@import", "\n",
        ] {
            assert!(!html.trim_end().contains(part), "{part}");
        }
    }

    #[test]
    fn only_a_page_that_asks_has_forms_and_nobody_frames_it() {
        let text = |acts| {
            let bytes = response("200 OK", &[("Retry-After", "5")], "<p>", acts, false);
            String::from_utf8(bytes).unwrap()
        };
        let reads = text(Acts::Reads);
        assert!(reads.starts_with("HTTP/1.1 200 OK\r\n") && reads.ends_with("\r\n\r\n<p>"));
        assert!(
            reads.contains("\r\nContent-Length: 3\r\n") && reads.contains("\r\nRetry-After: 5\r\n")
        );
        assert!(reads.contains("form-action 'none'; frame-ancestors 'self' http://*.i2p:*"));
        assert!(text(Acts::Asks).contains("form-action 'self'; frame-ancestors 'none'"));
        let head = response("200 OK", &[], "<p>", Acts::Reads, true);
        assert!(head.ends_with(b"\r\n\r\n"));
    }
}
