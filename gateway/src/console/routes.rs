//! Which request does what, and who may ask: one table, judged in one place.
//!
//! Whatever changes something is a POST from a page of this very host, with the token of a session;
//! what an I2P site makes a browser ask is refused, read or not (GATEWAY threats 22 to 24).

use super::access::{Access, Denied};
use super::form::Form;
use super::history::{History, Span};
use super::views;
use super::{Asked, Reply, UPDATE};
use crate::backup::{self as identity, Entry};
use crate::channel::ShortId;
use crate::config::Interface;
use crate::web::Facts;
use crate::web::router_state::RouterState;
use std::time::Instant;

/// What the console asks and tells others.
pub trait Others {
    /// A request of the supervisor's socket, and its answer.
    fn supervisor(&mut self, line: &str) -> String;
    /// What the router says of itself.
    fn router(&mut self) -> Option<RouterState>;
    /// A reseed file for the router: what it said to it, or why it did not take it.
    fn reseed(&mut self, file: &[u8]) -> Result<String, String>;
    /// Leaves what is to be restored for the supervisor.
    fn stage(&mut self, entries: &[Entry]) -> Result<(), String>;
    /// Keeps the password's hash.
    fn keep(&mut self, hash: &str) -> Result<(), String>;
    /// From the system; a session's secret.
    fn random(&mut self) -> Option<[u8; 32]>;
}

/// What the console knows.
pub struct Console {
    /// What does not change.
    pub facts: Facts,
    /// Who may do what.
    pub access: Access,
    /// What the router was like.
    pub history: History,
}

/// One request with what has been found out about it.
pub struct Visit<'a> {
    /// The request.
    pub asked: &'a Asked,
    /// What it sends along.
    pub form: Form,
    /// The session's secret and the token of its forms.
    pub session: Option<([u8; 16], String)>,
    /// When.
    pub now: Instant,
}

type Handler = fn(&mut Console, &mut dyn Others, &Visit<'_>) -> Reply;

/// One path.
struct Route {
    path: &'static str,
    get: Option<Handler>,
    post: Option<Handler>,
    /// Also without a session.
    open: bool,
}

const ROUTES: &[Route] = &[
    route("/", Some(home), None, true),
    route("/login", Some(login), Some(log_in), true),
    route("/setup", Some(setup), Some(set_up), true),
    route("/logout", None, Some(log_out), false),
    route("/router", Some(router), None, false),
    route("/devices", Some(devices), None, false),
    route("/devices/new-identity", None, Some(new_identity), false),
    route("/reseed", Some(reseed_form), Some(reseed), false),
    route("/clock", Some(clock), Some(set_clock), false),
    route("/ports", Some(ports), Some(choose_ports), false),
    route("/ports/confirm", None, Some(confirm_ports), false),
    route("/log", Some(log), None, false),
    route("/machine", Some(machine), None, false),
    // What is sent there never comes as a whole: see `Console::upload`.
    route(UPDATE, Some(update), None, false),
    route("/machine/reboot", None, Some(reboot), false),
    route("/machine/power-off", None, Some(power_off), false),
    route("/machine/backup", None, Some(backup), false),
    route("/machine/restore", None, Some(restore), false),
    route("/machine/forget", None, Some(forget), false),
    route("/password", Some(password), Some(change_password), false),
    route("/reload", None, Some(reload), false),
];

const fn route(
    path: &'static str,
    get: Option<Handler>,
    post: Option<Handler>,
    open: bool,
) -> Route {
    Route {
        path,
        get,
        post,
        open,
    }
}

/// Name of the cookie.
const COOKIE: &str = "ramson";

impl Console {
    /// Answers one request.
    pub fn answer(&mut self, others: &mut dyn Others, asked: &Asked, now: Instant) -> Reply {
        if let Some(why) = outside(asked) {
            return views::refused(403, why);
        }
        let Some(route) = ROUTES.iter().find(|route| route.path == asked.path) else {
            return views::refused(404, "There is no such page here.");
        };
        let handler = if asked.post { route.post } else { route.get };
        let Some(handler) = handler else {
            let allow = if asked.post { "GET, HEAD" } else { "POST" };
            return views::refused(405, "This cannot be asked for in this way.")
                .with("Allow", allow.into());
        };
        let form = match asked.post {
            true => match Form::parse(&asked.content_type, &asked.body) {
                Some(form) => form,
                None => return views::refused(400, "What was sent is not a form."),
            },
            false => Form::default(),
        };
        let session = cookie(asked).and_then(|id| Some((id, self.access.token(&id, now)?)));
        let session = session.map(|(id, token)| (id, hex(&token)));
        let token_fits = session
            .as_ref()
            .is_some_and(|(_, t)| *t == form.get("token"));
        if !route.open && session.is_none() {
            return Reply::go("/login");
        }
        if !route.open && asked.post && !token_fits {
            return views::refused(403, "The form is too old. Open the page again.");
        }
        let visit = Visit {
            asked,
            form,
            session,
            now,
        };
        handler(self, others, &visit)
    }

    /// Whether a visitor may send an update, of which nothing but the head is there. The token of
    /// the form is its query.
    ///
    /// # Errors
    /// The answer: he may not.
    pub fn upload(&mut self, asked: &Asked, now: Instant) -> Result<(), Reply> {
        if let Some(why) = outside(asked) {
            return Err(views::refused(403, why));
        }
        let token = cookie(asked).and_then(|id| self.access.token(&id, now));
        match token {
            None => Err(Reply::go("/login")),
            Some(token) if hex(&token) == asked.query => Ok(()),
            Some(_) => {
                let why = "The form is too old. Open the page again.";
                Err(views::refused(403, why))
            }
        }
    }

    fn logged_in(&mut self, others: &mut dyn Others, now: Instant) -> Reply {
        match others.random() {
            Some(random) => begun(&self.access.begin(random, now)),
            None => views::refused(500, NO_RANDOM),
        }
    }
}

const NO_RANDOM: &str = "The system gives no random numbers.";

fn begun(id: &[u8; 16]) -> Reply {
    let cookie = format!("{COOKIE}={}; HttpOnly; SameSite=Strict; Path=/", hex(id));
    Reply::go("/").with("Set-Cookie", cookie)
}

/// Why a request is not this page's own; `None`: it is.
fn outside(asked: &Asked) -> Option<&'static str> {
    const FOREIGN: &str = "Another site made your browser ask this. Open this page by its own \
                           address instead.";
    let own = format!("http://{}", asked.host);
    let is_own = |from: &str| {
        let rest = from.strip_prefix(&own);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let i2p = |from: &str| {
        let host = from.split("://").nth(1).unwrap_or(from);
        let host = host.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        let name = host.split(':').next().unwrap_or_default();
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        name.ends_with(".i2p") || name.ends_with(".i2p.alt")
    };
    let from = [asked.origin.as_deref(), asked.referer.as_deref()];
    if from.into_iter().flatten().any(i2p) {
        return Some(FOREIGN);
    }
    match asked.origin.as_deref() {
        Some(origin) if !is_own(origin) => Some(FOREIGN),
        None if asked.post => Some("Your browser does not say which page this comes from."),
        _ => None,
    }
}

fn cookie(asked: &Asked) -> Option<[u8; 16]> {
    let cookies = asked.cookie.as_deref()?.split(';');
    let mut pairs = cookies.filter_map(|pair| pair.trim().split_once('='));
    let value = pairs.find_map(|(name, value)| (name == COOKIE).then_some(value))?;
    let number = u128::from_str_radix(value, 16).ok();
    let number = number.filter(|_| value.len() == 32 && !value.starts_with('+'))?;
    Some(number.to_be_bytes())
}

fn hex(bytes: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*bytes))
}

fn home(console: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    let status = others.supervisor("status");
    let state = views::state(&status, others.router());
    let first = !console.access.has_password();
    let open = console.access.window(visit.now).is_some();
    views::home(&console.facts, &state, &status, visit, first, open)
}

fn login(console: &mut Console, _: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    if !console.access.has_password() {
        return Reply::go("/setup");
    }
    views::login(visit, None)
}

fn log_in(console: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    let (password, device) = (visit.form.get("password"), &visit.asked.device);
    let Some(random) = others.random() else {
        return views::refused(500, NO_RANDOM);
    };
    match console.access.log_in(password, device, random, visit.now) {
        Ok(id) => begun(&id),
        Err(Denied::Closed) => Reply::go("/setup"),
        Err(why) => views::login(visit, Some(why)),
    }
}

fn setup(console: &mut Console, _: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    let window = console.access.window(visit.now);
    views::setup(visit, window.map(|w| w.code.is_some()), None)
}

fn set_up(console: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    let form = &visit.form;
    let pair = (form.get("new"), form.get("again"));
    match console.access.set_first(form.get("code"), pair, visit.now) {
        Ok(hash) => keep(console, others, visit, &hash),
        Err(why) => {
            let window = console.access.window(visit.now);
            views::setup(visit, window.map(|w| w.code.is_some()), Some(why))
        }
    }
}

/// A password that is not kept would be gone with the power: the visitor has to know.
fn keep(console: &mut Console, others: &mut dyn Others, visit: &Visit<'_>, hash: &str) -> Reply {
    match others.keep(hash) {
        Ok(()) => console.logged_in(others, visit.now),
        Err(e) => views::message(
            500,
            "The password is not kept",
            &format!("It is good until the box starts anew, and then the old one: {e}."),
            visit,
        ),
    }
}

fn log_out(console: &mut Console, _: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    if let Some((id, _)) = &visit.session {
        console.access.log_out(id);
    }
    let gone = format!("{COOKIE}=; Max-Age=0; HttpOnly; SameSite=Strict; Path=/");
    Reply::go("/").with("Set-Cookie", gone)
}

fn router(console: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    let state = others.router();
    let span = match visit.asked.query.as_str() {
        "day" => Span::Day,
        _ => Span::Hour,
    };
    views::router::page(state.as_ref(), &console.history, span, visit)
}

fn devices(_: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    let lines = others.supervisor("devices");
    views::devices::page(&lines, visit)
}

fn new_identity(_: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    let which = visit.form.get("device");
    let line = match which {
        "all" => "new-identity all".to_owned(),
        id => match id.parse::<ShortId>() {
            Ok(id) => format!("new-identity {id}"),
            Err(e) => return views::refused(400, &format!("{id} {e}")),
        },
    };
    let said = others.supervisor(&line);
    match said.strip_prefix("error: ") {
        Some(why) => views::message(409, "No new identity", why.trim(), visit),
        None => Reply::go("/devices?done"),
    }
}

fn reseed_form(_: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    views::reseed(others.router().as_ref(), visit)
}

fn reseed(_: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    let Some(file) = &visit.form.file else {
        return views::message(400, "No file", "Choose a reseed file first.", visit);
    };
    match others.reseed(file) {
        Ok(said) => views::message(200, "The router has read the file", said.trim(), visit),
        Err(why) => views::message(422, "The file cannot be used", why.trim(), visit),
    }
}

fn clock(_: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    views::clock::page(&others.supervisor("clock"), visit)
}

fn set_clock(_: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    let form = &visit.form;
    let Some(secs) = views::clock::moment(form.get("time"), form.get("zone")) else {
        return views::message(422, "The clock", "That is no date with a time.", visit);
    };
    let said = others.supervisor(&format!("clock-set {secs}"));
    match said.strip_prefix("error: ") {
        Some(why) => views::message(422, "The clock is not set", why.trim(), visit),
        None => Reply::go("/clock?done"),
    }
}

fn ports(_: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    let status = others.supervisor("status");
    views::ports::page(&others.supervisor("ports"), &status, visit)
}

fn choose_ports(_: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    let name = |role| Interface::try_from(visit.form.get(role).to_owned());
    let (Ok(lan), Ok(wan)) = (name("lan"), name("wan")) else {
        return views::message(400, "The ports", "Choose two ports.", visit);
    };
    let said = others.supervisor(&format!("ports-set {lan} {wan}"));
    match said.strip_prefix("error: ") {
        Some(why) => views::message(409, "The ports stay as they are", why.trim(), visit),
        None => views::ports::changing(visit),
    }
}

fn confirm_ports(_: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    let said = others.supervisor("ports-confirm");
    match said.strip_prefix("error: ") {
        Some(why) => views::message(409, "Not confirmed", why.trim(), visit),
        None => Reply::go("/ports?done"),
    }
}

fn log(_: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    views::machine::log(&others.supervisor("log"), visit)
}

fn machine(_: &mut Console, _: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    views::machine::page(visit)
}

fn reboot(_: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    views::machine::ended(&others.supervisor("reboot"), "It begins anew", visit)
}

fn power_off(_: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    views::machine::ended(&others.supervisor("power-off"), "It is switched off", visit)
}

fn update(_: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    views::update::page(&others.supervisor("version"), visit)
}

/// Whether the visitor knows the password still: a session alone is not enough to take the identity
/// away, or to forget it. Else the answer.
fn knows(console: &mut Console, visit: &Visit<'_>) -> Option<Reply> {
    let (password, device) = (visit.form.get("password"), &visit.asked.device);
    let known = console.access.confirm(password, device, visit.now);
    let why = known.err()?;
    Some(views::machine::denied(why, visit))
}

fn backup(console: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    if let Some(denied) = knows(console, visit) {
        return denied;
    }
    let text = others.supervisor("backup");
    match text.strip_prefix("error: ") {
        Some(why) => views::message(500, "No backup", why.trim(), visit),
        None => Reply::file("ramson-backup.txt", text),
    }
}

fn restore(console: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    if let Some(denied) = knows(console, visit) {
        return denied;
    }
    let entries = match visit.form.file.as_deref().map(identity::decode) {
        None => return views::message(400, "No file", "Choose a backup first.", visit),
        Some(Err(why)) => {
            let why = format!("This file {why}.");
            return views::message(422, "The file cannot be used", &why, visit);
        }
        Some(Ok(entries)) => entries,
    };
    if let Err(why) = others.stage(&entries) {
        return views::message(500, "Nothing is restored", &why, visit);
    }
    views::machine::ended(&others.supervisor("restore"), "It is restored", visit)
}

fn forget(console: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    if visit.form.get("sure") != "yes" {
        let why = "Tick the box to say that you mean it.";
        return views::message(400, "Nothing is forgotten", why, visit);
    }
    if let Some(denied) = knows(console, visit) {
        return denied;
    }
    views::machine::ended(
        &others.supervisor("factory-reset"),
        "It forgets everything",
        visit,
    )
}

fn password(_: &mut Console, _: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    views::password(visit, None)
}

fn change_password(console: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    let form = &visit.form;
    let pair = (form.get("new"), form.get("again"));
    let device = &visit.asked.device;
    match console
        .access
        .change(form.get("old"), pair, device, visit.now)
    {
        Ok(hash) => keep(console, others, visit, &hash),
        Err(why) => views::password(visit, Some(why)),
    }
}

fn reload(_: &mut Console, others: &mut dyn Others, visit: &Visit<'_>) -> Reply {
    let said = others.supervisor("reload");
    match said.as_str() {
        "reload: ok\n" => Reply::go("/?done"),
        other => views::message(500, "The rules were not set", other.trim(), visit),
    }
}

#[cfg(test)]
mod tests;
