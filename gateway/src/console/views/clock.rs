//! The clock: what time it is here, and a form to set it.
//!
//! A browser says what time it is only to a script, and there is none: the visitor reads his own
//! clock off. His zone is asked for, too, since the box has none.

use super::{framed, token, value};
use crate::clock::date;
use crate::console::Reply;
use crate::console::routes::Visit;
use ramson_ipc::page::escape;

/// Zones that there are, as minutes from UTC: the full hours, and the others.
const HOURS: std::ops::RangeInclusive<i64> = -12..=14;
const OTHERS: [i64; 10] = [-570, -210, 210, 270, 330, 345, 390, 525, 570, 765];

/// Whether the router waits for the clock.
#[must_use]
pub fn waits(status: &str) -> bool {
    value(status, "clock").is_some_and(|clock| clock.starts_with("not set"))
}

/// What a form says: seconds since 1970; `None` when it says no time.
#[must_use]
pub fn moment(time: &str, zone: &str) -> Option<i64> {
    let zone: i64 = zone.parse().ok()?;
    let known = zones().contains(&zone);
    date::parse(time)
        .filter(|_| known)
        .map(|secs| secs - 60 * zone)
}

fn zones() -> Vec<i64> {
    let mut zones: Vec<_> = HOURS.map(|h| 60 * h).chain(OTHERS).collect();
    zones.sort_unstable();
    zones
}

fn zone_name(minutes: i64) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
    format!("UTC{sign}{hours:02}:{rest:02}")
}

/// The page. `lines` is what the supervisor said.
#[must_use]
pub fn page(lines: &str, visit: &Visit<'_>) -> Reply {
    let mut body = String::new();
    if waits(lines) {
        body.push_str(
            "<p><span class=\"badge bad\">Not set</span> This machine does not remember the time, \
             and no time server has told it. A router whose clock is more than a minute off is \
             refused by all others, so it has not been started.</p>",
        );
    }
    body.push_str("<dl class=\"facts\">");
    for (key, name) in [("clock", "The time here"), ("time servers", "Time servers")] {
        let said = value(lines, key).unwrap_or("no answer");
        body.push_str(&format!("<dt>{name}</dt><dd>{}</dd>", escape(said)));
    }
    body.push_str("</dl>");
    let options: String = zones()
        .into_iter()
        .map(|zone| {
            let chosen = if zone == 0 { " selected" } else { "" };
            format!(
                "<option value=\"{zone}\"{chosen}>{}</option>",
                zone_name(zone)
            )
        })
        .collect();
    body.push_str(&format!(
        "<h2>Set it</h2><p>Enter what your own clock shows, within half a minute.</p>\
         <form method=\"post\" action=\"/clock\">{}\
         <p><label>Date and time<input type=\"datetime-local\" name=\"time\" min=\"{}\" required>\
         </label></p><p><label>Your time zone, with summer time\
         <select name=\"zone\">{options}</select></label></p>\
         <p><button class=\"button\">Set the clock</button></p></form>",
        token(visit),
        date::show(crate::clock::floor() - 86_400)
            .replace(' ', "T")
            .split_at(16)
            .0,
    ));
    framed(200, "Clock", &body, visit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitors_time_is_that_of_his_zone() {
        let utc = date::parse("2026-11-26T20:05").unwrap();
        assert_eq!(moment("2026-11-26T20:05", "0"), Some(utc));
        assert_eq!(moment("2026-11-26T21:05", "60"), Some(utc));
        assert_eq!(moment("2026-11-27T01:50", "345"), Some(utc));
        assert_eq!(moment("2026-11-26T15:05", "-300"), Some(utc));
        for (time, zone) in [
            ("", "0"),
            ("2026-11-26T20:05", ""),
            ("2026-11-26T20:05", "61"),
        ] {
            assert_eq!(moment(time, zone), None);
        }
        assert_eq!(zone_name(-210), "UTC-03:30");
        assert!(waits("clock: not set, the router waits\n") && !waits("clock: 2026\n"));
    }
}
