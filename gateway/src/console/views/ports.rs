//! The ports: which is the LAN's, which the WAN's, and another choice.

use super::{framed, token, value};
use crate::console::Reply;
use crate::console::routes::Visit;
use ramson_ipc::page::escape;

/// One port: what the supervisor says in a line.
struct Port<'a> {
    name: &'a str,
    mac: &'a str,
    role: &'a str,
    link: &'a str,
}

fn parse(line: &str) -> Option<Port<'_>> {
    let mut parts = line.strip_prefix("port: ")?.split("; ");
    Some(Port {
        name: parts.next()?,
        mac: parts.next()?,
        role: parts.next()?,
        link: parts.next()?,
    })
}

/// Whether the cables seem to be the wrong way round: somebody gives out addresses on the LAN, and
/// nobody does on the WAN.
fn is_crossed(status: &str) -> bool {
    let lan = value(status, "lan").is_some_and(|lan| lan.contains("gives out addresses"));
    lan && value(status, "wan").is_some_and(|wan| wan.contains("no answer"))
}

/// The page. `lines` are what the supervisor says of the ports.
#[must_use]
pub fn page(lines: &str, status: &str, visit: &Visit<'_>) -> Reply {
    let ports: Vec<_> = lines.lines().filter_map(parse).collect();
    let mut body = String::new();
    if visit.asked.query == "done" {
        body.push_str("<p role=\"status\"><span class=\"badge good\">Done</span> It stays so.</p>");
    }
    if let Some(left) = value(lines, "to be confirmed within") {
        body.push_str(&format!(
            "<p role=\"status\"><span class=\"badge wait\">New</span> The ports have changed, and \
             you are here: confirm it, or it is undone in {}.</p>\
             <form method=\"post\" action=\"/ports/confirm\">{}<p><button class=\"button\">Keep \
             it</button></p></form>",
            escape(left),
            token(visit)
        ));
    }
    if is_crossed(status) {
        body.push_str(
            "<p><span class=\"badge bad\">Crossed?</span> Somebody gives out addresses on this \
             network, and nobody does at the other port: the cables may be the wrong way round. \
             Swap them, or the ports here.</p>",
        );
    }
    body.push_str(
        "<table><thead><tr><th>Port</th><th>Address</th><th>For</th><th>Cable</th></tr></thead>\
         <tbody>",
    );
    for port in &ports {
        let role = match port.role {
            "lan" => "this network (LAN)",
            "wan" => "the Internet (WAN)",
            other => other,
        };
        body.push_str(&format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(port.name),
            escape(port.mac),
            escape(role),
            escape(port.link)
        ));
    }
    body.push_str("</tbody></table>");
    if ports.len() < 2 {
        body.push_str("<p>With one port only this box cannot stand between two networks.</p>");
        return framed(200, "Ports", &body, visit);
    }
    body.push_str(&format!(
        "<h2>Change it</h2><p>The cable to this network has to be in its new port within a minute, \
         and this page has to be opened from there to keep the change. Else it is undone.</p>\
         <form method=\"post\" action=\"/ports\">{}{}{}\
         <p><button class=\"button second\">Change the ports</button></p></form>",
        token(visit),
        choice("This network (LAN)", "lan", "wan", &ports),
        choice("The Internet (WAN)", "wan", "lan", &ports),
    ));
    framed(200, "Ports", &body, visit)
}

/// A choice among the ports. The one that has the other role now is first: a swap is what is wanted
/// most.
fn choice(label: &str, field: &str, other: &str, ports: &[Port<'_>]) -> String {
    let options: String = ports
        .iter()
        .map(|port| {
            let chosen = if port.role == other { " selected" } else { "" };
            let name = escape(port.name);
            format!(
                "<option value=\"{name}\"{chosen}>{name}, {}</option>",
                escape(port.mac)
            )
        })
        .collect();
    format!("<p><label>{label}<select name=\"{field}\">{options}</select></label></p>")
}

/// They change in a moment.
#[must_use]
pub fn changing(visit: &Visit<'_>) -> Reply {
    let body = "<p>Put the cable of this network into its new port now. Then open this page again \
                and keep the change; in a minute and a half it is undone.</p>\
                <p><a class=\"button\" href=\"/ports\">Open it</a></p>";
    framed(200, "The ports change", body, visit).with("Refresh", "15; url=/ports".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crossed_cables_are_noticed() {
        let crossed =
            "lan: not served, 10.0.0.1 gives out addresses there\nwan: by dhcp, no answer yet\n";
        assert!(is_crossed(crossed));
        assert!(!is_crossed(
            &crossed.replace("no answer yet", "10.0.0.7/24")
        ));
        assert!(!is_crossed("lan: served\nwan: by dhcp, no answer yet\n"));
    }
}
