//! What `gatewayd` tells root about the LAN.

use crate::channel::{Question, ShortId};
use crate::dhcp4::serve::Watch;
use crate::dns::Dns;
use crate::lan_service::LanService;
use crate::listen::Gate;
use crate::rogue::Other;
use std::fmt::Write;
use std::net::IpAddr;

/// The answer to a question of the supervisor's.
#[must_use]
pub fn answer(gate: &Gate, dns: &Dns, lan: &LanService, question: Question) -> String {
    match question {
        Question::Status => status(gate, lan),
        Question::Devices => devices(gate, lan),
        Question::NewIdentity(of) => renew(gate, of),
        Question::Health => match (dns.answers_for_itself(), gate.web.answers()) {
            (true, true) => "well\n".into(),
            (false, _) => "names are not answered\n".into(),
            (_, false) => "the first page is not answered\n".into(),
        },
        Question::BothPorts => {
            let now = tokio::time::Instant::now().into_std();
            lan.rogue.saw(Other::BothPorts, now);
            String::new()
        }
        Question::MaybeBothPorts => {
            lan.rogue.elsewhere();
            String::new()
        }
    }
}

fn status(gate: &Gate, lan: &LanService) -> String {
    let now = tokio::time::Instant::now().into_std();
    let count = gate.clients.borrow().devices(now).len();
    let leases = lan.leases.borrow().live(now);
    let (served, counters) = (lan.rogue.status(), gate.counters.to_text());
    format!("{served}devices: {count}\nleases: {leases}\n{counters}")
}

/// One line for each device, the latest first.
fn devices(gate: &Gate, lan: &LanService) -> String {
    let now = tokio::time::Instant::now().into_std();
    let devices = gate.clients.borrow().devices(now);
    let mut rows: Vec<_> = devices.into_iter().collect();
    rows.sort_by_key(|(id, addresses)| (addresses.first().map(|(_, ago)| *ago), *id));
    let mut text = String::new();
    for (id, addresses) in rows {
        let ago = addresses.first().map_or(0, |(_, ago)| ago.as_secs());
        let names = lan.names.borrow();
        let called = addresses.iter().find_map(|(address, _)| match address {
            IpAddr::V4(v4) => names.label(*v4),
            IpAddr::V6(_) => None,
        });
        let shown: Vec<_> = called
            .map(str::to_owned)
            .into_iter()
            .chain(addresses.iter().take(4).map(|(a, _)| a.to_string()))
            .collect();
        let more = addresses.len().saturating_sub(4);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}: {}{more}; seen {ago} s ago; names {}, streams {}, identity {}",
            id.short(),
            shown.join(" "),
            gate.vip.borrow().names(id),
            gate.budget.held(id),
            gate.identities.borrow().number(id) + 1,
        );
    }
    text
}

fn renew(gate: &Gate, of: Option<ShortId>) -> String {
    let now = tokio::time::Instant::now().into_std();
    let devices = gate.clients.borrow().devices(now);
    let chosen: Vec<_> = devices
        .into_keys()
        .filter(|id| of.is_none_or(|of| id.short() == of))
        .collect();
    if let (Some(of), true) = (of, chosen.is_empty()) {
        return format!("error: no device {of} was seen lately\n");
    }
    let mut given_up = Vec::new();
    for id in &chosen {
        let mut identities = gate.identities.borrow_mut();
        given_up.push(identities.tag(*id));
        identities.renew(*id);
    }
    let router = gate.router.clone();
    tokio::task::spawn_local(async move {
        for tag in given_up {
            router.forget(tag).await;
        }
    });
    format!("new identities: {}\n", chosen.len())
}
