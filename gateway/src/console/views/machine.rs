//! The machine as a whole: its log, its end, its identity.

use super::{code, complaint, field, framed, message, token};
use crate::console::Reply;
use crate::console::access::Denied;
use crate::console::routes::Visit;
use ramson_ipc::page::escape;

/// The newest lines of the log, newest first.
#[must_use]
pub fn log(lines: &str, visit: &Visit<'_>) -> Reply {
    if let Some(why) = lines.strip_prefix("error: ") {
        return message(500, "No log", why.trim(), visit);
    }
    let mut newest: Vec<_> = lines.lines().collect();
    newest.reverse();
    let body = format!(
        "<p>The newest lines first. It is kept in memory only, and names no sites.</p>\
         <pre class=\"log\" tabindex=\"0\">{}</pre>",
        newest
            .into_iter()
            .map(|line| escape(line) + "\n")
            .collect::<String>()
    );
    framed(200, "Log", &body, visit)
}

fn form(to: &str, kind: &str, inside: &str, button: &str, visit: &Visit<'_>) -> String {
    format!(
        "<form method=\"post\" action=\"/machine/{to}\"{kind}>{}{inside}\
         <p><button class=\"button second\">{button}</button></p></form>",
        token(visit)
    )
}

/// What can be done with it.
#[must_use]
pub fn page(visit: &Visit<'_>) -> Reply {
    let password = field(
        "Password of this page",
        "password",
        "password",
        "autocomplete=\"current-password\"",
    );
    let file = "<p><label>Backup<input type=\"file\" name=\"file\" accept=\".txt\" required>\
                </label></p>";
    let sure = "<p><label><input type=\"checkbox\" name=\"sure\" value=\"yes\" required> \
                I mean it</label></p>";
    let body = [
        "<h2>Power</h2>".to_owned(),
        form("reboot", "", "", "Begin anew", visit),
        form("power-off", "", "", "Switch it off", visit),
        "<h2>Identity</h2><p>The router's identity, those of sites and devices, and the settings, \
         in one file. Without it they are lost with the machine. The file is not encrypted: \
         whoever has it can be this box. The password of this page is not in it.</p>"
            .to_owned(),
        form("backup", "", &password, "Save it to a file", visit),
        "<p>A saved identity takes the place of this one. Only one box at a time may have it.</p>"
            .to_owned(),
        form(
            "restore",
            " enctype=\"multipart/form-data\"",
            &format!("{file}{password}"),
            "Restore it and begin anew",
            visit,
        ),
        "<h2>Forget everything</h2><p>As it came from the factory: the identities of the router, \
         of sites and of devices are lost, as are passwords, settings, and what the router knows \
         of others. Files are deleted, not overwritten.</p>"
            .to_owned(),
        form(
            "forget",
            "",
            &format!("{sure}{password}"),
            "Forget and begin anew",
            visit,
        ),
    ];
    framed(200, "Machine", &body.concat(), visit)
}

/// It ends; or why not.
#[must_use]
pub fn ended(said: &str, title: &str, visit: &Visit<'_>) -> Reply {
    match said.strip_prefix("error: ") {
        Some(why) => message(500, "Nothing was done", why.trim(), visit),
        None => message(200, title, "This page is away for a while then.", visit),
    }
}

/// The password was not right.
#[must_use]
pub fn denied(why: Denied, visit: &Visit<'_>) -> Reply {
    let body = format!(
        "{}<p><a class=\"button\" href=\"/machine\">Back</a></p>",
        complaint(Some(why))
    );
    framed(code(Some(why)), "Machine", &body, visit)
}
