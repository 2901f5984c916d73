//! Updates: what runs, what the last one came to, and a form for the next.

use super::{framed, token, value};
use crate::console::Reply;
use crate::console::routes::Visit;
use crate::web::FOOTER;
use ramson_ipc::page::{Sheet, escape};

/// What the supervisor says while one is under way.
const UNDER_WAY: [&str; 3] = ["begins", "writing", "reading back"];

/// The page; `status` is the supervisor's.
#[must_use]
pub fn page(status: &str, visit: &Visit<'_>) -> Reply {
    let Some(update) = value(status, "update") else {
        let body = "<p>This machine is not updated from here: it has other owners than this \
                    box.</p>";
        return framed(200, "Update", body, visit);
    };
    let busy = UNDER_WAY.iter().any(|word| update.starts_with(word));
    let (class, word) = match (busy, update.starts_with("error: ")) {
        (true, _) => ("wait", "Under way"),
        (_, true) => ("bad", "Not done"),
        _ => ("good", "Last update"),
    };
    let text = escape(update.trim_start_matches("error: "));
    let mut body = String::from("<dl class=\"facts\">");
    for (key, name) in [("version", "Version"), ("slot", "System")] {
        let value = value(status, key).map(escape).unwrap_or_default();
        body.push_str(&format!("<dt>{name}</dt><dd>{value}</dd>"));
    }
    body.push_str(&format!(
        "</dl><p role=\"status\"><span class=\"badge {class}\">{word}</span> {text}</p>"
    ));
    if busy {
        body.push_str("<p>Leave the box switched on. This page looks again by itself.</p>");
        return framed(200, "Update", &body, visit).with("Refresh", "2".into());
    }
    if update.ends_with("starts next") {
        body.push_str(&format!(
            "<form method=\"post\" action=\"/machine/reboot\">{}<p><button class=\"button\">\
             Restart now</button></p></form><p>If it does not come up, the system that \
             runs now is started again.</p>",
            token(visit)
        ));
    }
    let token = visit.session.as_ref().map_or("", |(_, token)| token);
    body.push_str(&format!(
        "<h2>From a file</h2><p>Its signature is verified before anything is written. It goes to \
         the system that does not run.</p><form method=\"post\" action=\"/update?{token}\" \
         enctype=\"multipart/form-data\"><p><label>File<input type=\"file\" name=\"file\" \
         accept=\".update\" required></label></p><p><button class=\"button second\">Send it and \
         write it</button></p></form>"
    ));
    framed(200, "Update", &body, visit)
}

/// Why one was not taken; said when nobody knows any more who asked.
#[must_use]
pub fn failed(why: &str) -> Reply {
    let body = format!(
        "<p role=\"alert\"><span class=\"badge bad\">Not done</span> {}</p><p>What runs is \
         unchanged.</p><p><a class=\"button\" href=\"/update\">Back</a></p>",
        escape(why)
    );
    let sheet = Sheet {
        title: "The update is not taken",
        about: Some("Ramson"),
        body: &body,
        footer: FOOTER,
    };
    Reply::page(422, &sheet)
}
