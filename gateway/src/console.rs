//! The page that configures the box: a process of its own user that holds the password, asks the
//! router and the supervisor, and does what a visitor who knows the password wants.
//!
//! Requests reach it through `gatewayd` alone (`web::forward`), which has judged the name they are
//! for, bounds connections and time, and waits for a whole request before it passes one on: the
//! HTTP library behind the socket has no limits of its own. Works without scripts.

pub mod access;
pub mod form;
pub mod handover;
pub mod history;
pub mod plot;
pub mod routes;
pub mod serve;
pub mod upload;
pub mod views;

use ramson_ipc::page::{Acts, Sheet, policy};
use std::time::Instant;

/// Header by which `gatewayd` says which device asks: eight digits, as `ramson ctl devices` shows
/// them.
pub const DEVICE: &str = "X-Ramson-Device";

/// Longest body of a request, bytes: a reseed file with some room.
pub const BODY_MAX: usize = 4 << 20;

/// Where an update is sent, which is longer and never whole in memory.
pub const UPDATE: &str = "/update";

/// Longest body there, bytes: an update with what a form has around it.
pub const UPDATE_MAX: usize = 321 << 20;

/// What time it is: for the process that serves, and for nothing below it.
#[must_use]
pub fn clock() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// One request.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Whether something is to be changed; else it is only read.
    pub post: bool,
    /// Without the query.
    pub path: String,
    /// What follows the question mark.
    pub query: String,
    /// The name in the browser's address bar, with the port if it has one.
    pub host: String,
    /// Where the page comes from that makes the browser ask.
    pub origin: Option<String>,
    /// See `origin`.
    pub referer: Option<String>,
    /// Cookies.
    pub cookie: Option<String>,
    /// Kind of the body.
    pub content_type: String,
    /// Which device asks.
    pub device: String,
    /// What is sent along, at most [`BODY_MAX`].
    pub body: Vec<u8>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Code of HTTP.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
    /// The page.
    pub html: String,
}

impl Reply {
    /// A page with forms, for its own host only.
    #[must_use]
    pub fn page(status: u16, sheet: &Sheet<'_>) -> Self {
        Self {
            status,
            headers: vec![
                ("Content-Type", "text/html; charset=utf-8".into()),
                ("Cache-Control", "no-store".into()),
                ("Referrer-Policy", "same-origin".into()),
                ("X-Content-Type-Options", "nosniff".into()),
                ("Content-Security-Policy", policy(Acts::Asks)),
            ],
            html: sheet.html(),
        }
    }

    /// A file to be kept by the visitor.
    #[must_use]
    pub fn file(name: &str, text: String) -> Self {
        Self {
            status: 200,
            headers: vec![
                ("Content-Type", "text/plain; charset=utf-8".into()),
                (
                    "Content-Disposition",
                    format!("attachment; filename=\"{name}\""),
                ),
                ("Cache-Control", "no-store".into()),
                ("X-Content-Type-Options", "nosniff".into()),
            ],
            html: text,
        }
    }

    /// Nothing to say: it may be done.
    #[must_use]
    pub const fn nothing() -> Self {
        Self {
            status: 204,
            headers: Vec::new(),
            html: String::new(),
        }
    }

    /// To another page, by GET.
    #[must_use]
    pub fn go(path: &str) -> Self {
        Self {
            status: 303,
            headers: vec![
                ("Location", path.into()),
                ("Cache-Control", "no-store".into()),
            ],
            html: String::new(),
        }
    }

    /// With one header more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}
