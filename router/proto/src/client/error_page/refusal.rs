//! The pages for streams that were refused.

use super::Page;
use crate::names::hosts::is_host_name;
use crate::router::output::{Missing, Readiness, Refusal};

/// Directories of names, as i2ptunnel and i2pd offer them.
const DIRECTORIES: &[(&str, &str)] = &[
    ("stats.i2p", "/cgi-bin/jump.cgi?a="),
    ("reg.i2p", "/jump/"),
    ("notbob.i2p", "/cgi-bin/jump.cgi?q="),
];

/// The page for a stream to `site` that was refused.
#[must_use]
pub fn refused(why: Refusal, site: Option<&str>) -> Page {
    match why {
        Refusal::BadName => match site.and_then(|s| s.strip_suffix(".b32.i2p")) {
            Some(label) => bad_b32(label),
            None => bad_name(),
        },
        Refusal::UnknownName => unknown_name(site),
        Refusal::Encrypted => Page::new(
            "502 Bad Gateway",
            "This site needs a key",
            "Its address is one of an encrypted entry: who may find it is decided by its operator, \
             who gives out keys. This router cannot open such entries.",
        )
        .advice("Ask the operator for an address of 52 characters before .b32.i2p."),
        Refusal::NotReady(readiness) => not_ready(readiness),
        Refusal::NoLeaseSet => Page::new(
            "504 Gateway Timeout",
            "The site seems to be offline",
            "It has no current entry in the network, so nobody can reach it right now.",
        )
        .advice("Sites that were only restarted are found again after a few minutes.")
        .retry(30),
        Refusal::Unusable => Page::new(
            "502 Bad Gateway",
            "The site uses a form of address that this router cannot reach",
            "Its entry in the network has no key or lease that can be used.",
        )
        .advice("Ask the site for an address of 52 characters before .b32.i2p."),
        Refusal::NoAnswer => Page::new(
            "504 Gateway Timeout",
            "The site does not answer",
            "It is known to the network, but no answer came back through the tunnels.",
        )
        .advice("Try again: it uses other tunnels."),
        Refusal::Rejected => Page::new(
            "502 Bad Gateway",
            "The site refused the connection",
            "The destination is reachable, but does not accept connections to this port.",
        )
        .advice("Check the port in the address; most sites have none there."),
        Refusal::Empty => Page::new(
            "502 Bad Gateway",
            "The site's web server is down",
            "The site's I2P router is reachable and took the connection, then closed it without a \
             byte: there is no web server behind it right now.",
        )
        .advice("Only the site's operator can start it.")
        .retry(60),
        Refusal::Limit => Page::new(
            "503 Service Unavailable",
            "Too many connections at once",
            "A limit of this router is reached; the site was not asked.",
        )
        .advice("Close other pages and transfers, or wait until they are done.")
        .retry(10),
        Refusal::Closing => Page::new(
            "503 Service Unavailable",
            "The router is shutting down",
            "It accepts no new connections.",
        )
        .advice("Wait until it runs again."),
    }
}

fn unknown_name(site: Option<&str>) -> Page {
    let page = Page::new(
        "404 Not Found",
        "This name is not known to this router",
        "No address is stored for it here, so the router cannot tell which site is meant. There is \
         no directory that all of I2P shares.",
    )
    .advice(
        "Or ask whoever gave you the name for the site's base32 address (….b32.i2p), which works \
         everywhere, or add the name to the router's hosts.txt.",
    );
    match site.filter(|s| is_host_name(s)) {
        Some(site) => page.more(format!(
            "<p>Sites that keep directories of names can be asked; what they say is their word, \
             and they see the question:</p><ul>{}</ul>",
            DIRECTORIES
                .iter()
                .map(|(host, path)| {
                    format!("<li><a href=\"http://{host}{path}{site}\">{host}</a></li>")
                })
                .collect::<String>()
        )),
        None => page,
    }
}

pub(super) fn bad_name() -> Page {
    Page::new(
        "400 Bad Request",
        "This is not an I2P name",
        "Names under .i2p consist of letters, digits and hyphens, with no hyphen at either end of \
         a part.",
    )
    .advice("Compare the name with the place that you have it from, letter by letter.")
}

fn bad_b32(label: &str) -> Page {
    let foreign = label
        .bytes()
        .any(|b| !matches!(b.to_ascii_lowercase(), b'a'..=b'z' | b'2'..=b'7'));
    let wrong = match (label.len(), foreign) {
        (_, true) => "characters that base32 does not have".to_owned(),
        (52, false) => "52 characters, but not an address".to_owned(),
        (n, false) => format!("{n} characters"),
    };
    Page::new(
        "400 Bad Request",
        "This base32 address is damaged",
        "Before .b32.i2p stand 52 characters of a to z and 2 to 7 (sites that need a key have 56 \
         or more). A single one too few or too many, and it names nothing.",
    )
    .fact("This one has", wrong)
    .advice("Copy the address again from the place that you have it from, as a whole.")
}

fn not_ready(r: Readiness) -> Page {
    let (title, text, advice) = match r.missing {
        Missing::Clock => (
            "The clock of the router is wrong",
            "Nothing can be opened in I2P with a wrong clock: every entry of the network looks \
             expired or not yet valid. The site was not asked.",
            "Set the date and time of the machine on which the router runs, or let it fetch the \
             time (NTP).",
        ),
        Missing::Routers => (
            "The router knows nobody in the network",
            "It has no router of the network to begin with. The site was not asked.",
            "Give the router a reseed file or seeds, as its README describes.",
        ),
        Missing::Peers => (
            "The router is not connected",
            "It knows routers of the network, but reaches none of them. The site was not asked.",
            "Check the Internet connection of the machine on which the router runs, and its \
             firewall.",
        ),
        Missing::Tunnels => (
            "The router is starting",
            "It is building its tunnels into the network. The site was not asked yet.",
            "Wait a little. If it stays so for minutes, check the Internet connection of the \
             machine on which the router runs.",
        ),
    };
    let clock = r.missing != Missing::Clock;
    Page::new("503 Service Unavailable", title, text)
        .step("Clock", if clock { "right" } else { "wrong" }, clock)
        .step("Routers known", some(r.routers), r.routers > 0)
        .step("Connected to", some(r.peers), r.peers > 0)
        .step("Tunnels out", some(r.outbound), r.outbound > 0)
        .step("Tunnels in", some(r.inbound), r.inbound > 0)
        .advice(advice)
        .retry(5)
}

/// Roughly: exact numbers over time would tell a site's script which router this is.
const fn some(n: usize) -> &'static str {
    match n {
        0 => "none",
        1..=9 => "a few",
        _ => "many",
    }
}
