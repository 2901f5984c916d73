//! The pages for links that bring the address of their name along.

use super::{Ends, Page};
use crate::client::helper::FIELD;
use crate::names::NameError;
use crate::wire::hash::DestHash;
use ramson_ipc::page::escape;

/// What a link offers.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// The destination in it.
    pub dest: &'a DestHash,
    /// Path and query behind the name.
    pub path: &'a str,
    /// The port that the browser asks.
    pub port: u16,
}

impl Offer<'_> {
    /// The address that works without a name.
    fn by_b32(&self) -> String {
        let port = match self.port {
            80 => String::new(),
            port => format!(":{port}"),
        };
        let path = escape(self.path.trim_start_matches(['/', '\\']));
        format!("http://{}{port}/{path}", self.dest.b32())
    }

    fn b32_button(&self, second: bool) -> String {
        let class = if second { "button second" } else { "button" };
        let link = self.by_b32();
        format!("<a class=\"{class}\" href=\"{link}\">Open the link's address</a>")
    }
}

/// Asks whether a name that nobody knows may get the address of a link. The form has to bring
/// `token` back.
#[must_use]
pub fn confirm(offer: Offer<'_>, token: &str) -> Page {
    let mut page = Page::new(
        "200 OK",
        "Remember a new name?",
        "The link that you followed brings an address for a name that this router does not know. \
         Anybody can write such a link, with any name in it: the name does not say who runs the \
         site.",
    )
    .more(format!(
        "<p class=\"quiet\">The link's address:</p><code class=\"address\">{}</code>\
         <form method=\"post\"><input type=\"hidden\" name=\"{FIELD}\" value=\"{token}\">\
         <button class=\"button\">Remember the name and open it</button>{}</form>\
         <p class=\"quiet\">It is remembered for this device until the router starts anew. What is \
         to stay belongs into the router's hosts.txt.</p>",
        offer.dest.b32(),
        offer.b32_button(true),
    ));
    page.ends = Ends::Form;
    page
}

/// The name is known, and not by the address of the link.
#[must_use]
pub fn conflict(known: &DestHash, offer: Offer<'_>) -> Page {
    let path = escape(offer.path.trim_start_matches(['/', '\\']));
    let mut page = Page::new(
        "409 Conflict",
        "This name belongs to another address",
        "The link that you followed brings an address for a name that this router knows already, \
         and it is a different one. Perhaps the site has moved; perhaps somebody wants to be taken \
         for it.",
    )
    .more(format!(
        "<p class=\"quiet\">The address that is known:</p><code class=\"address\">{}</code>\
         <p class=\"quiet\">The link's address:</p><code class=\"address\">{}</code>\
         <p><a class=\"button\" href=\"/{path}\">Open the known site</a>{}</p>\
         <p class=\"quiet\">What is known is not replaced from here: that is done in the \
         router's hosts.txt.</p>",
        known.b32(),
        offer.dest.b32(),
        offer.b32_button(true),
    ));
    page.ends = Ends::Form;
    page
}

/// The link's address is none, and its name is not known.
#[must_use]
pub fn bad_helper(why: NameError) -> Page {
    let text = match why {
        NameError::Encrypted => {
            "The link brings an address of an encrypted entry, which takes a key that this router \
             has no place for."
        }
        NameError::Bad | NameError::Unknown => {
            "The link that you followed brings an address for a name that this router does not \
             know, but the address is damaged."
        }
    };
    Page::new("400 Bad Request", "The link's address cannot be used", text)
        .advice("Ask for the link again where you have it from.")
}
