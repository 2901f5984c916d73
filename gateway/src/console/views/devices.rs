//! The devices of the LAN, each with its identity.

use super::{framed, token};
use crate::channel::ShortId;
use crate::console::Reply;
use crate::console::routes::Visit;
use ramson_ipc::page::escape;

/// One device: what `ramson ctl devices` says in a line.
#[derive(Debug, PartialEq, Eq)]
struct Device<'a> {
    id: ShortId,
    /// Name, if it has one, and addresses.
    called: &'a str,
    rest: Vec<&'a str>,
}

fn parse(line: &str) -> Option<Device<'_>> {
    let (id, rest) = line.split_once(": ")?;
    let (called, rest) = rest.split_once("; ")?;
    Some(Device {
        id: id.parse().ok()?,
        called,
        rest: rest.split("; ").flat_map(|part| part.split(", ")).collect(),
    })
}

/// The page; `lines` are the supervisor's answer.
#[must_use]
pub fn page(lines: &str, visit: &Visit<'_>) -> Reply {
    let mut body = String::from(
        "<p>To sites, each device is somebody else. With a new identity its next connections come \
         from somebody new; those that are open keep the old one.</p>",
    );
    if visit.asked.query == "done" {
        body.push_str(
            "<p role=\"status\"><span class=\"badge good\">Done</span> New identity.</p>",
        );
    }
    if let Some(why) = lines.strip_prefix("error: ") {
        body.push_str(&format!(
            "<p><span class=\"badge bad\">Error</span> {}</p>",
            escape(why)
        ));
    }
    let devices: Vec<_> = lines.lines().filter_map(parse).collect();
    if devices.is_empty() {
        body.push_str("<p>No device was seen lately.</p>");
        return framed(200, "Devices", &body, visit);
    }
    body.push_str("<ul class=\"list\">");
    for device in &devices {
        let own = if device.id.to_string() == visit.asked.device {
            " <span class=\"badge good\">this device</span>"
        } else {
            ""
        };
        body.push_str(&format!(
            "<li><b>{}</b>{own}<br><span class=\"quiet\">{}</span>{}</li>",
            escape(device.called),
            escape(&device.rest.join(", ")),
            button(&device.id.to_string(), "New identity", visit)
        ));
    }
    body.push_str("</ul>");
    body.push_str(&button("all", "New identities for all", visit));
    framed(200, "Devices", &body, visit)
}

fn button(device: &str, words: &str, visit: &Visit<'_>) -> String {
    format!(
        "<form method=\"post\" action=\"/devices/new-identity\">{}<input type=\"hidden\" \
         name=\"device\" value=\"{device}\"><button class=\"button second\">{words}</button>\
         </form>",
        token(visit)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_devices_are_read() {
        let line = "0a0b0c0d: phone 192.168.77.20 and 3 more; seen 3 s ago; names 1, streams 2, \
                    identity 1";
        let device = parse(line).unwrap();
        assert_eq!(device.id.to_string(), "0a0b0c0d");
        assert_eq!(device.called, "phone 192.168.77.20 and 3 more");
        assert_eq!(
            device.rest,
            ["seen 3 s ago", "names 1", "streams 2", "identity 1"]
        );
        for bad in ["", "error: gatewayd is down", "x: y; z", "0a0b0c0d: only"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
