//! The router: figures, and plots of the last hour or day.

use super::framed;
use crate::console::Reply;
use crate::console::history::{History, Sample, Span};
use crate::console::plot::{Line, Unit, plot};
use crate::console::routes::Visit;
use crate::web::router_state::RouterState;
use ramson_ipc::page::escape;

/// The page. `state` is `None` when the router does not answer.
#[must_use]
pub fn page(
    state: Option<&RouterState>,
    history: &History,
    span: Span,
    visit: &Visit<'_>,
) -> Reply {
    let mut body = match state {
        None => "<p><span class=\"badge bad\">Not running</span> The router does not answer.</p>"
            .to_owned(),
        Some(state) => facts(state),
    };
    let (here, other) = match span {
        Span::Hour => ("hour", "<a href=\"/router?day\">The last day</a>"),
        Span::Day => ("day", "<a href=\"/router\">The last hour</a>"),
    };
    body.push_str(&format!("<h2>The last {here}</h2>"));
    body.push_str(&plots(history, span, here));
    body.push_str(&format!("<p>{other}</p>"));
    framed(200, "Router", &body, visit).with("Refresh", "30".into())
}

fn facts(state: &RouterState) -> String {
    let clock = match state.clock.as_str() {
        "ok" => "<span class=\"badge good\">Right</span>".to_owned(),
        wrong => format!("<span class=\"badge bad\">Wrong</span> {}", escape(wrong)),
    };
    let (hours, minutes) = (state.uptime / 3600, state.uptime / 60 % 60);
    let rows = [
        ("Clock", clock),
        ("Known routers", state.known.to_string()),
        ("Connected", state.peers.to_string()),
        ("Tunnels", state.tunnels.to_string()),
        (
            "Tunnels built of those tried",
            format!("{} %", state.success),
        ),
        ("Running for", format!("{hours} h {minutes} min")),
        ("Memory", format!("{:.1} MB", state.memory as f64 / 1024.0)),
    ];
    let rows: String = rows
        .into_iter()
        .map(|(name, value)| format!("<dt>{name}</dt><dd>{value}</dd>"))
        .collect();
    format!("<dl class=\"facts\">{rows}</dl>")
}

fn plots(history: &History, span: Span, words: &str) -> String {
    let line = |name, of: fn(&Sample) -> f32| Line {
        name,
        values: history.samples(span).map(|s| s.as_ref().map(of)).collect(),
    };
    let len = span.len();
    let traffic = [
        line("received", |s| s.received),
        line("sent", |s| s.sent),
        line("for others", |s| s.transit),
    ];
    [
        plot(
            "Connected routers",
            words,
            Unit::Count,
            len,
            &[line("peers", |s| s.peers)],
        ),
        plot(
            "Tunnels",
            words,
            Unit::Count,
            len,
            &[line("tunnels", |s| s.tunnels)],
        ),
        plot(
            "Tunnels built",
            words,
            Unit::Percent,
            len,
            &[line("built", |s| s.success)],
        ),
        plot("Traffic", words, Unit::Rate, len, &traffic),
    ]
    .concat()
}
