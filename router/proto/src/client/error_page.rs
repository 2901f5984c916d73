//! Pages the router writes itself: what happened at which site, who says so, whether it tries
//! again, and what can be done.
//!
//! Scripts of the site can read such a page as if it were the site's: it tells nothing about the
//! router, its network or its machine that a site may not know.

mod asking;
mod message;
mod refusal;

use super::http_request::Request;
use ramson_ipc::page::{Acts, Sheet, escape, response};

pub use asking::{Offer, bad_helper, confirm, conflict};
pub use message::{bad_answer, bad_request, moved, silent};
pub use refusal::refused;

const FOOTER: &str = "Written by Ramson, the I2P router that this device uses for names under \
    .i2p; the site did not send it.";

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
    /// What has to happen first, and whether it has.
    steps: Vec<(&'static str, String, bool)>,
    /// HTML of this page alone.
    more: String,
    /// What can be clicked.
    ends: Ends,
    /// Seconds after which the browser asks again; 0 for never.
    retry_secs: u32,
    /// Where the browser goes at once, if it does.
    leads: Option<String>,
}

/// What stands below the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// A way to ask again.
    Again,
    /// A form; the page's own HTML holds it.
    Form,
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

impl Page {
    fn new(status: &'static str, title: &'static str, text: &'static str) -> Self {
        Self {
            status,
            title,
            text,
            advice: "",
            facts: Vec::new(),
            steps: Vec::new(),
            more: String::new(),
            ends: Ends::Again,
            retry_secs: 0,
            leads: None,
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

    fn step(mut self, name: &'static str, value: impl Into<String>, done: bool) -> Self {
        self.steps.push((name, value.into(), done));
        self
    }

    /// HTML between the text and the advice.
    fn more(mut self, html: String) -> Self {
        self.more = html;
        self
    }

    const fn retry(mut self, secs: u32) -> Self {
        self.retry_secs = secs;
        self
    }

    /// The whole response.
    #[must_use]
    pub fn to_bytes(&self, to: For<'_>) -> Vec<u8> {
        let seconds = self.retry_secs.to_string();
        let mut headers = Vec::new();
        if self.retry_secs > 0 {
            headers.push(("Retry-After", seconds.as_str()));
            if to.safe {
                headers.push(("Refresh", seconds.as_str()));
            }
        }
        headers.extend(self.leads.as_deref().map(|leads| ("Location", leads)));
        let acts = match self.ends {
            Ends::Again => Acts::Reads,
            Ends::Form => Acts::Asks,
        };
        response(self.status, &headers, &self.html(to), acts, to.head_only)
    }

    fn html(&self, to: For<'_>) -> String {
        let (text, more) = (self.text, &self.more);
        let (facts, steps) = (self.facts(), self.steps());
        let advice = match self.advice {
            "" => String::new(),
            advice => format!("<p>{advice}</p>"),
        };
        let end = match self.ends {
            Ends::Again => self.again(to.safe),
            Ends::Form => String::new(),
        };
        let body = format!("<p>{text}</p>{facts}{steps}{more}{advice}{end}");
        Sheet {
            title: self.title,
            about: to.site,
            body: &body,
            footer: FOOTER,
        }
        .html()
    }

    fn facts(&self) -> String {
        let fact =
            |(name, value): &(&str, String)| format!("<dt>{name}</dt><dd>{}</dd>", escape(value));
        match self.facts.as_slice() {
            [] => String::new(),
            facts => {
                let facts: String = facts.iter().map(fact).collect();
                format!("<dl class=\"facts\">{facts}</dl>")
            }
        }
    }

    fn steps(&self) -> String {
        let (all, done) = (
            self.steps.len(),
            self.steps.iter().filter(|(_, _, done)| *done).count(),
        );
        if all == 0 {
            return String::new();
        }
        let step = |(name, value, done): &(&str, String, bool)| {
            let class = if *done { " class=\"done\"" } else { "" };
            format!("<li{class}>{name}: <b>{}</b></li>", escape(value))
        };
        let steps: String = self.steps.iter().map(step).collect();
        format!(
            "<progress max=\"{all}\" value=\"{done}\" aria-label=\"Steps done\"></progress>\
             <ul class=\"steps\">{steps}</ul>"
        )
    }

    fn again(&self, safe: bool) -> String {
        let again = match (self.retry_secs, safe) {
            (0, _) => "This page does not try again by itself.".to_owned(),
            (n, true) => format!("This page tries again by itself in {n} seconds."),
            (_, false) => "This page does not try again by itself: what you sent would be sent \
                           twice."
                .to_owned(),
        };
        let link = if safe {
            "<a class=\"button\" href=\"\">Try again now</a>"
        } else {
            "<a class=\"button\" href=\"/\">Open the front page of the site</a>"
        };
        format!("<p>{link}</p><p class=\"quiet\">{again}</p>")
    }
}

#[cfg(test)]
mod tests;
