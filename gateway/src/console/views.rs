//! The pages. Each is a form or a list and says what it does; none needs a script.

pub mod clock;
pub mod devices;
pub mod machine;
pub mod ports;
pub mod router;
pub mod update;

use super::Reply;
use super::access::{Denied, PASSWORD};
use super::routes::Visit;
use crate::rogue::Other;
use crate::web::router_state::RouterState;
use crate::web::{self, FOOTER, Facts, State};
use ramson_ipc::page::{Sheet, escape};

/// Pages of who has logged in, in the order of the list.
const PAGES: &[(&str, &str)] = &[
    ("/", "Overview"),
    ("/router", "Router"),
    ("/devices", "Devices"),
    ("/reseed", "Reseed"),
    ("/clock", "Clock"),
    ("/ports", "Ports"),
    ("/log", "Log"),
    ("/machine", "Machine"),
    ("/update", "Update"),
    ("/password", "Password"),
];

/// What the supervisor and the router said.
#[must_use]
pub fn state(status: &str, router: Option<RouterState>) -> State {
    let rogue = value(status, "lan").and_then(|v| v.strip_prefix("not served, "));
    let rogue = rogue.and_then(Other::parse);
    State { rogue, router }
}

/// The value of a line `key: value`.
fn value<'a>(status: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = status.lines().filter_map(|line| line.split_once(": "));
    lines.find_map(|(k, v)| (k == key).then_some(v))
}

/// The hidden field that proves that a form is ours.
fn token(visit: &Visit<'_>) -> String {
    let token = visit.session.as_ref().map_or("", |(_, token)| token);
    format!("<input type=\"hidden\" name=\"token\" value=\"{token}\">")
}

fn framed(status: u16, title: &str, body: &str, visit: &Visit<'_>) -> Reply {
    let mut whole = String::new();
    if visit.session.is_some() {
        whole.push_str("<nav aria-label=\"Pages\">");
        for (path, name) in PAGES {
            let here = if visit.asked.path == *path {
                " aria-current=\"page\""
            } else {
                ""
            };
            whole.push_str(&format!("<a href=\"{path}\"{here}>{name}</a> "));
        }
        whole.push_str(&format!(
            "<form method=\"post\" action=\"/logout\">{}<button>Log out</button></form></nav>",
            token(visit)
        ));
    }
    whole.push_str(body);
    let sheet = Sheet {
        title,
        about: (title != "Ramson").then_some("Ramson"),
        body: &whole,
        footer: FOOTER,
    };
    Reply::page(status, &sheet)
}

/// A refusal, for whoever asks.
#[must_use]
pub fn refused(status: u16, why: &str) -> Reply {
    let body = format!(
        "<p>{}</p><p><a href=\"/\">To the first page</a></p>",
        escape(why)
    );
    let sheet = Sheet {
        title: "Not here",
        about: Some("Ramson"),
        body: &body,
        footer: FOOTER,
    };
    Reply::page(status, &sheet)
}

/// What came of something.
#[must_use]
pub fn message(status: u16, title: &str, text: &str, visit: &Visit<'_>) -> Reply {
    let lines: String = text
        .lines()
        .map(|line| format!("<p>{}</p>", escape(line)))
        .collect();
    let back = &visit.asked.path;
    let back = PAGES
        .iter()
        .rev()
        .find(|(path, _)| back.starts_with(path))
        .map_or("/", |(path, _)| path);
    let body = format!("{lines}<p><a class=\"button\" href=\"{back}\">Back</a></p>");
    framed(status, title, &body, visit)
}

/// The first page: for everybody, and more for who has logged in. `first`: there is no password
/// yet; `open`: one can be set.
#[must_use]
pub fn home(
    facts: &Facts,
    state: &State,
    status: &str,
    visit: &Visit<'_>,
    first: bool,
    open: bool,
) -> Reply {
    let mut body = String::new();
    if first {
        body.push_str(match open {
            true => {
                "<p><span class=\"badge wait\">New</span> This box has no password yet. \
                 <a href=\"/setup\">Set one now</a>, before somebody else on this network does.</p>"
            }
            false => {
                "<p><span class=\"badge wait\">No password</span> This box cannot be configured: \
                 nobody has set a password in the first minutes. \
                 <a href=\"/setup\">What to do</a></p>"
            }
        });
    } else if open {
        body.push_str("<p><a href=\"/setup\">Set a new password with the code</a></p>");
    }
    if clock::waits(status) {
        body.push_str(
            "<p><span class=\"badge bad\">Clock</span> This box does not know what time it is, and \
             without that its router cannot start. <a href=\"/clock\">Set the clock</a></p>",
        );
    }
    body.push_str(&web::home(facts, state));
    if visit.session.is_none() {
        if !first {
            body.push_str("<p><a class=\"button second\" href=\"/login\">Log in</a></p>");
        }
        return framed(200, "Ramson", &body, visit).with("Refresh", "15".into());
    }
    body.push_str("<h2>This box</h2><dl class=\"facts\">");
    for (key, name) in [
        ("lan address", "Its address"),
        ("lan", "This network"),
        ("wan", "The Internet"),
        ("clock", "Its clock"),
        ("devices", "Devices seen lately"),
        ("leases", "Addresses given out"),
        ("streams opened", "Connections opened"),
        ("rule loads", "Rules were set"),
        ("settings corrected", "Settings put right"),
    ] {
        if let Some(value) = value(status, key) {
            body.push_str(&format!("<dt>{name}</dt><dd>{}</dd>", escape(value)));
        }
    }
    body.push_str("</dl>");
    body.push_str(&drops(status));
    body.push_str(&format!(
        "<form method=\"post\" action=\"/reload\">{}<button class=\"button second\">Set all rules \
         again</button></form>",
        token(visit)
    ));
    framed(200, "Ramson", &body, visit).with("Refresh", "15".into())
}

/// What the rules refused, by its meaning, where there was anything.
fn drops(status: &str) -> String {
    let pairs = status.lines().filter_map(|line| line.rsplit_once(": "));
    let rows: String = pairs
        .filter(|(what, n)| (what.contains("dropped") || what.contains("refused")) && *n != "0")
        .map(|(what, n)| format!("<tr><td>{}</td><td>{}</td></tr>", escape(what), escape(n)))
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<h2>Kept back</h2><table><thead><tr><th>What</th><th>Times</th></tr></thead>\
         <tbody>{rows}</tbody></table>"
    )
}

pub(super) fn complaint(why: Option<Denied>) -> String {
    let text = match why {
        None => return String::new(),
        Some(Denied::Wrong) => "That is not right.",
        Some(Denied::TooOften) => "Too many tries. Wait five minutes and try again.",
        Some(Denied::Closed) => "It is too late for this.",
        Some(Denied::Length) => "A password has 8 to 128 characters.",
        Some(Denied::Differ) => "The two passwords are not the same.",
    };
    format!("<p role=\"alert\"><span class=\"badge bad\">No</span> {text}</p>")
}

pub(super) fn code(why: Option<Denied>) -> u16 {
    match why {
        None => 200,
        Some(Denied::TooOften) => 429,
        Some(Denied::Length | Denied::Differ) => 422,
        Some(Denied::Wrong | Denied::Closed) => 403,
    }
}

pub(super) fn field(label: &str, name: &str, kind: &str, hint: &str) -> String {
    format!("<p><label>{label}<input type=\"{kind}\" name=\"{name}\" {hint} required></label></p>")
}

fn new_password() -> String {
    let hint = format!(
        "autocomplete=\"new-password\" minlength=\"{}\" maxlength=\"{}\"",
        PASSWORD.start(),
        PASSWORD.end()
    );
    field("New password", "new", "password", &hint)
        + &field("Once more", "again", "password", &hint)
}

/// For who has a password.
#[must_use]
pub fn login(visit: &Visit<'_>, why: Option<Denied>) -> Reply {
    let body = format!(
        "{}<form method=\"post\" action=\"/login\">{}<p><button class=\"button\">Log in</button>\
         </p></form><p class=\"quiet\">A password that is lost is replaced on the box itself: \
         <code>ramson ctl password-code</code></p>",
        complaint(why),
        field(
            "Password",
            "password",
            "password",
            "autocomplete=\"current-password\" autofocus"
        ),
    );
    framed(code(why), "Log in", &body, visit)
}

/// The first password. `with_code`: whether a code is needed; `None`: it is too late.
#[must_use]
pub fn setup(visit: &Visit<'_>, with_code: Option<bool>, why: Option<Denied>) -> Reply {
    let Some(with_code) = with_code else {
        let body = "<p>A password can be set in the first 15 minutes after the box was switched \
                    on, with the code that it shows. Switch it off and on again, or, on the box \
                    itself, say <code>ramson ctl password-code</code>.</p>";
        let status = if why.is_some() { 403 } else { 200 };
        return framed(status, "Set a password", body, visit);
    };
    let digits = if with_code {
        let hint = "inputmode=\"numeric\" autocomplete=\"one-time-code\" autofocus";
        field("Code that the box shows (8 digits)", "code", "text", hint)
    } else {
        String::new()
    };
    let body = format!(
        "{}<p>Whoever knows the password can see which devices use this box and give them new \
         identities. It cannot show which sites they visit.</p>\
         <form method=\"post\" action=\"/setup\">{digits}{}<p><button class=\"button\">Set the \
         password</button></p></form>",
        complaint(why),
        new_password()
    );
    framed(code(why), "Set a password", &body, visit)
}

/// Another password.
#[must_use]
pub fn password(visit: &Visit<'_>, why: Option<Denied>) -> Reply {
    let body = format!(
        "{}<form method=\"post\" action=\"/password\">{}{}{}<p><button class=\"button\">Change it\
         </button></p></form><p class=\"quiet\">Everybody else who has logged in is logged out.\
         </p>",
        complaint(why),
        token(visit),
        field(
            "Password so far",
            "old",
            "password",
            "autocomplete=\"current-password\""
        ),
        new_password(),
    );
    framed(code(why), "Password", &body, visit)
}

/// A file with routers to start from.
#[must_use]
pub fn reseed(router: Option<&RouterState>, visit: &Visit<'_>) -> Reply {
    let known = match router {
        None => "The router does not answer.".to_owned(),
        Some(r) => format!(
            "The router knows {} others and is connected to {}.",
            r.known, r.peers
        ),
    };
    let waiting = router
        .and_then(|r| r.waiting.as_deref())
        .map_or_else(String::new, |why| {
            format!(
                "<p><span class=\"badge wait\">Waiting</span> {}</p>",
                escape(why)
            )
        });
    let body = format!(
        "<p>{known}</p>{waiting}<p>A router that knows nobody needs a first list of others. Where \
         it cannot get one by itself, give it a reseed file (<code>i2pseeds.su3</code>) from \
         somebody who runs a router. Its signature is verified.</p>\
         <form method=\"post\" action=\"/reseed\" enctype=\"multipart/form-data\">{}\
         <p><label>File<input type=\"file\" name=\"file\" accept=\".su3\" required></label></p>\
         <p><button class=\"button\">Give it to the router</button></p></form>",
        token(visit)
    );
    framed(200, "Reseed", &body, visit)
}
