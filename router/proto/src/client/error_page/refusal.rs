//! The pages for streams that were refused.

use super::{Page, bad_name};
use crate::router::output::{Missing, Readiness, Refusal};

/// The page for a stream that was refused.
#[must_use]
pub fn refused(why: Refusal) -> Page {
    match why {
        Refusal::BadName => bad_name(),
        Refusal::UnknownName => Page::new(
            "404 Not Found",
            "This name is not in the address book",
            "The router knows no destination of this name.",
        )
        .advice(
            "Ask whoever gave you the name for the site's base32 address (….b32.i2p), which works \
             without an address book, or add the name to the router's hosts.txt.",
        ),
        Refusal::NotReady(readiness) => not_ready(readiness),
        Refusal::NoLeaseSet => Page::new(
            "504 Gateway Timeout",
            "The site cannot be found right now",
            "The network has no current entry for this destination. The site is probably offline.",
        )
        .advice("Sites that were only restarted are found again after a few minutes.")
        .retry(30),
        Refusal::Unusable => Page::new(
            "502 Bad Gateway",
            "The site uses a form of address that this router cannot reach",
            "Its entry in the network is encrypted, or has no key or lease that can be used.",
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
            "The router is still connecting",
            "It is building its tunnels. The site was not asked yet.",
            "Wait a little. If it stays so for minutes, check the Internet connection of the \
             machine on which the router runs.",
        ),
    };
    Page::new("503 Service Unavailable", title, text)
        .fact("Routers known:", some(r.routers))
        .fact("Connected to:", some(r.peers))
        .fact("Tunnels out:", some(r.outbound))
        .fact("Tunnels in:", some(r.inbound))
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
