//! Pages the router writes itself: what happened at which site, who says so, whether it tries
//! again, and what can be done.
//!
//! Scripts of the site can read such a page as if it were the site's: it tells nothing about the
//! router, its network or its machine that a site may not know.

mod refusal;

use super::http_head::HeadError;
use super::http_request::{Request, RequestError};
use super::http_response::AnswerError;

pub use refusal::refused;

/// A page with its status line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Status code and phrase.
    status: &'static str,
    /// Heading.
    title: &'static str,
    /// What happened.
    text: &'static str,
    /// What can be done.
    advice: &'static str,
    /// Names and values, from outside or counted.
    facts: Vec<(&'static str, String)>,
    /// Seconds after which the browser asks again; 0 for never.
    retry_secs: u32,
}

/// What the page is the answer to.
#[derive(Clone, Copy, Debug, Default)]
pub struct For<'a> {
    /// The site as the browser calls it.
    pub site: Option<&'a str>,
    /// Asking again does no harm.
    pub safe: bool,
    /// A HEAD: the page stays unsaid.
    pub head_only: bool,
}

impl<'a> From<&'a Request> for For<'a> {
    fn from(request: &'a Request) -> Self {
        Self {
            site: Some(request.shown()),
            safe: request.safe,
            head_only: request.is_head(),
        }
    }
}

const STYLE: &str = ":root{color-scheme:light dark}\
    body{font:1em/1.5 system-ui,sans-serif;max-width:36em;margin:2em auto;padding:0 1em;\
    overflow-wrap:anywhere;background:#fff;color:#222}a{color:#05a}\
    h1{font-size:1.4em;line-height:1.25}dt{float:left;clear:left;margin-right:.5em}\
    dd{margin:0;font-weight:bold}footer{margin-top:2em;font-size:.85em;opacity:.8}\
    @media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}a{color:#8bf}}";

impl Page {
    fn new(status: &'static str, title: &'static str, text: &'static str) -> Self {
        Self {
            status,
            title,
            text,
            advice: "",
            facts: Vec::new(),
            retry_secs: 0,
        }
    }

    fn advice(mut self, advice: &'static str) -> Self {
        self.advice = advice;
        self
    }

    fn fact(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.facts.push((name, value.into()));
        self
    }

    const fn retry(mut self, secs: u32) -> Self {
        self.retry_secs = secs;
        self
    }

    /// The whole response.
    #[must_use]
    pub fn to_bytes(&self, to: For<'_>) -> Vec<u8> {
        let body = self.body(to);
        let refresh = match self.retry_secs {
            0 => String::new(),
            n if to.safe => format!("Retry-After: {n}\r\nRefresh: {n}\r\n"),
            n => format!("Retry-After: {n}\r\n"),
        };
        let mut bytes = format!(
            "HTTP/1.1 {}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\nConnection: close\r\nReferrer-Policy: same-origin\r\n\
             {refresh}X-Content-Type-Options: nosniff\r\n\
             Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n\r\n",
            self.status,
            body.len()
        )
        .into_bytes();
        if !to.head_only {
            bytes.extend_from_slice(body.as_bytes());
        }
        bytes
    }

    fn body(&self, to: For<'_>) -> String {
        let (title, text, advice) = (self.title, self.text, self.advice);
        let site = to.site.map(|s| ("Site:", s.to_owned()));
        let facts = site.iter().chain(&self.facts);
        let facts: String = facts
            .map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>", escape(value)))
            .collect();
        let again = match (self.retry_secs, to.safe) {
            (0, _) => "This page does not try again by itself.".to_owned(),
            (n, true) => format!("This page tries again by itself in {n} seconds."),
            (_, false) => "This page does not try again by itself: what you sent would be sent \
                           twice."
                .to_owned(),
        };
        let link = if to.safe {
            "<a href=\"\">Try again now</a>"
        } else {
            "<a href=\"/\">Open the front page of the site</a>"
        };
        format!(
            "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>\
             <dl>{facts}</dl><p>{text}</p><p>{advice}</p><p>{again} {link}.</p>\
             <footer>Written by Ramson, the I2P router that this device uses for names under .i2p; \
             the site did not send it.</footer></body></html>\n"
        )
    }
}

/// Text from outside, so that it is nothing but text.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Neither lines that are none nor writing that turns around.
            c if c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}') =>
            {
                out.push(' ');
            }
            c => out.push(c),
        }
    }
    out
}

/// The page for a request that the filter refused.
#[must_use]
pub fn bad_request(why: RequestError) -> Page {
    match why {
        RequestError::Head(HeadError::TooLarge) => Page::new(
            "431 Request Header Fields Too Large",
            "The request is too large",
            "The head of the request is above this router's limit of 32 KiB and 128 lines.",
        )
        .advice("Large cookies are the usual cause: delete those of this site."),
        RequestError::Head(HeadError::Malformed) | RequestError::RequestLine => Page::new(
            "400 Bad Request",
            "The request is malformed",
            "What came from this device is not a request of HTTP/1.0 or HTTP/1.1.",
        )
        .advice("Check the address, and that the program speaks HTTP to this router."),
        RequestError::NoHost => Page::new(
            "400 Bad Request",
            "The request names no site",
            "It has no host, or more than one.",
        )
        .advice("Start the address with http:// and the name of a site."),
        RequestError::NotI2p => Page::new(
            "403 Forbidden",
            "Only I2P sites can be opened here",
            "This is not a name under .i2p, and there is no way out to the Internet from here.",
        )
        .advice("Open sites of the Internet with a browser that does not go through this router."),
        RequestError::BadName => bad_name(),
        RequestError::Length => Page::new(
            "400 Bad Request",
            "The length of the request is unclear",
            "It has no readable length, or says it in more than one way.",
        )
        .advice("Send either one Content-Length, or chunks as HTTP/1.1 has them."),
        RequestError::Scheme => Page::new(
            "400 Bad Request",
            "Only http can be opened here",
            "The tunnels of I2P encrypt everything already.",
        )
        .advice("Start the address with http://"),
    }
}

fn bad_name() -> Page {
    Page::new(
        "400 Bad Request",
        "This is not an I2P name",
        "Names under .i2p consist of letters, digits and hyphens, with no hyphen at either end of \
         a part. Base32 names have 52 characters, a to z and 2 to 7, before .b32.i2p.",
    )
    .advice("Compare the name with the place that you have it from, letter by letter.")
}

/// The page for an answer that is not passed on.
#[must_use]
pub fn bad_answer(why: AnswerError) -> Page {
    match why {
        AnswerError::Malformed => Page::new(
            "502 Bad Gateway",
            "The site's answer is malformed",
            "What came back is not a response of HTTP/1.0 or HTTP/1.1, or ended within its head.",
        )
        .advice("It may be another service than a web server. If it happens again, tell the site."),
        AnswerError::TooLarge => Page::new(
            "502 Bad Gateway",
            "The head of the answer is above this router's limit",
            "The site answered, but this router takes at most 128 KiB and 1024 lines of headers.",
        )
        .advice(
            "The limit is ours. Deleting the cookies of the site may make its answers smaller.",
        ),
        AnswerError::Elsewhere(to) => Page::new(
            "403 Forbidden",
            "The site sends its visitors out of I2P",
            "It answered with a redirect to an address that is not under .i2p. Whoever follows it \
             shows the site's operator, or others, who asks.",
        )
        .fact("It leads to:", to)
        .advice("If you trust it, open that address with a browser of its own."),
    }
}

/// The page for a site that took a request and then said nothing for so many seconds.
#[must_use]
pub fn silent(secs: u64) -> Page {
    Page::new(
        "504 Gateway Timeout",
        "The site took the request and says nothing",
        "The connection stands, but no answer began in this time. The site's server is busy or \
         stuck.",
    )
    .fact("Waited:", format!("{} minutes", secs / 60))
    .advice("Wait a little before you ask it again.")
}

#[cfg(test)]
mod tests;
