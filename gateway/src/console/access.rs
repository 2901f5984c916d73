//! Who may change things: the first password and the code that allows it, logging in, sessions.
//!
//! Time and randomness are arguments; the password's file is `serve`'s.

use crate::policy::rate::{Bucket, Rate};
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Shortest and longest password, characters.
pub const PASSWORD: std::ops::RangeInclusive<usize> = 8..=128;

/// Memory of one hash in KiB, and rounds: what a small board does in a fifth of a second.
const COST: (u32, u32) = (2048, 6);

/// A session ends when nothing was asked for this long, and after the second time in any case.
const SESSION: (Duration, Duration) =
    (Duration::from_secs(30 * 60), Duration::from_secs(12 * 3600));

/// Sessions at a time; the one that was idle longest makes room.
const SESSIONS_MAX: usize = 16;

/// Tries at the password: in all, since each costs a hash, and of one device until it is forgotten.
/// Who shows many MACs can use up what all have, and keep others from logging in while he goes on.
const TRIES: (Rate, u32) = (Rate::new(1, 20), 5);
const FORGOTTEN: Duration = Duration::from_secs(300);

/// Devices whose tries are remembered; further ones are refused until some are forgotten.
const DEVICES_MAX: usize = 1024;

/// Tries at the code, in all: it has eight digits.
const CODE_TRIES: u32 = 20;

/// Why something is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// Not the password, or not the code.
    Wrong,
    /// Too many tries; later ones are judged again.
    TooOften,
    /// The time for it is over, or the code has been tried too often.
    Closed,
    /// Too short or too long.
    Length,
    /// The two are not the same.
    Differ,
}

/// How the first password, or a new one in place of one that is lost, may be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Until then.
    pub until: Instant,
    /// What has to be known; `None`: nothing.
    pub code: Option<[u8; 8]>,
    /// Whether it replaces a password, too.
    pub replaces: bool,
}

/// What is known of a visitor who has logged in.
struct Session {
    token: [u8; 16],
    since: Instant,
    last: Instant,
}

/// All of it.
pub struct Access {
    hash: Option<String>,
    window: Window,
    code_tries: u32,
    sessions: BTreeMap<[u8; 16], Session>,
    tries: Bucket,
    by_device: BTreeMap<String, (u32, Instant)>,
}

fn hasher() -> Argon2<'static> {
    let params = Params::new(COST.0, COST.1, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Whether two have the same bytes, in a time that does not tell where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differ = a.iter().zip(b).fold(0, |d, (a, b)| d | (a ^ b));
    a.len() == b.len() && differ == 0
}

impl Access {
    /// `hash` is what was kept of the password.
    #[must_use]
    pub fn new(hash: Option<String>, window: Window, now: Instant) -> Self {
        Self {
            hash,
            window,
            code_tries: 0,
            sessions: BTreeMap::new(),
            tries: TRIES.0.bucket(now),
            by_device: BTreeMap::new(),
        }
    }

    /// Whether there is a password.
    #[must_use]
    pub const fn has_password(&self) -> bool {
        self.hash.is_some()
    }

    /// How a password may be set now without knowing one; `None`: not.
    #[must_use]
    pub fn window(&self, now: Instant) -> Option<&Window> {
        let wanted = self.hash.is_none() || self.window.replaces;
        let open = wanted && now < self.window.until && self.code_tries < CODE_TRIES;
        open.then_some(&self.window)
    }

    /// Sets the first password, or a new one: what is to be kept of it.
    ///
    /// # Errors
    /// The time is over, the code is wrong, or the password is none.
    pub fn set_first(
        &mut self,
        code: &str,
        pair: (&str, &str),
        now: Instant,
    ) -> Result<String, Denied> {
        let window = self.window(now).ok_or(Denied::Closed)?.clone();
        if let Some(wanted) = window.code {
            let digits: Vec<u8> = code.bytes().filter(u8::is_ascii_digit).collect();
            if !same(&digits, &wanted) {
                self.code_tries += 1;
                return Err(Denied::Wrong);
            }
        }
        let hash = self.set(pair)?;
        // Used up.
        self.window.until = now;
        self.window.replaces = false;
        Ok(hash)
    }

    /// Another password; every other session ends. What is to be kept of it.
    ///
    /// # Errors
    /// The old one is wrong or tried too often, or the new one is none.
    pub fn change(
        &mut self,
        old: &str,
        pair: (&str, &str),
        device: &str,
        now: Instant,
    ) -> Result<String, Denied> {
        self.check(old, device, now)?;
        self.set(pair)
    }

    fn set(&mut self, (new, again): (&str, &str)) -> Result<String, Denied> {
        if !PASSWORD.contains(&new.chars().count()) {
            return Err(Denied::Length);
        }
        if new != again {
            return Err(Denied::Differ);
        }
        let hash = hasher().hash_password(new.as_bytes());
        let hash = hash.map_err(|_| Denied::Closed)?.to_string();
        self.hash = Some(hash.clone());
        self.sessions.clear();
        Ok(hash)
    }

    /// Begins a session: its secret, for the cookie.
    ///
    /// # Errors
    /// The password is wrong, or was tried too often.
    pub fn log_in(
        &mut self,
        password: &str,
        device: &str,
        random: [u8; 32],
        now: Instant,
    ) -> Result<[u8; 16], Denied> {
        self.check(password, device, now)?;
        Ok(self.begin(random, now))
    }

    /// Whether somebody who has logged in knows the password.
    ///
    /// # Errors
    /// It is wrong, or was tried too often.
    pub fn confirm(&mut self, password: &str, device: &str, now: Instant) -> Result<(), Denied> {
        self.check(password, device, now)
    }

    fn check(&mut self, password: &str, device: &str, now: Instant) -> Result<(), Denied> {
        let hash = self.hash.clone().ok_or(Denied::Closed)?;
        self.by_device
            .retain(|_, (_, last)| now.saturating_duration_since(*last) < FORGOTTEN);
        let (own, all) = (self.by_device.get(device), self.by_device.len());
        if own.is_some_and(|(n, _)| *n >= TRIES.1) || (own.is_none() && all >= DEVICES_MAX) {
            return Err(Denied::TooOften);
        }
        if !TRIES.0.take(&mut self.tries, now) {
            return Err(Denied::TooOften);
        }
        // Longer ones cost time and are none.
        let right = password.len() <= 4 * PASSWORD.end()
            && hasher()
                .verify_password(password.as_bytes(), hash.as_str())
                .is_ok();
        if right {
            self.by_device.remove(device);
            return Ok(());
        }
        let tries = self.by_device.entry(device.to_owned()).or_insert((0, now));
        *tries = (tries.0 + 1, now);
        Err(Denied::Wrong)
    }

    /// A session without a password: right after one was set.
    pub fn begin(&mut self, random: [u8; 32], now: Instant) -> [u8; 16] {
        self.expire(now);
        if self.sessions.len() >= SESSIONS_MAX {
            let oldest = self.sessions.iter().min_by_key(|(_, s)| s.last);
            if let Some(id) = oldest.map(|(id, _)| *id) {
                self.sessions.remove(&id);
            }
        }
        let (mut id, mut token) = ([0; 16], [0; 16]);
        id.copy_from_slice(&random[..16]);
        token.copy_from_slice(&random[16..]);
        let session = Session {
            token,
            since: now,
            last: now,
        };
        self.sessions.insert(id, session);
        id
    }

    fn expire(&mut self, now: Instant) {
        let age = |t: Instant| now.saturating_duration_since(t);
        self.sessions
            .retain(|_, s| age(s.last) < SESSION.0 && age(s.since) < SESSION.1);
    }

    /// The token of a session's forms, if the session lives.
    pub fn token(&mut self, id: &[u8; 16], now: Instant) -> Option<[u8; 16]> {
        self.expire(now);
        // Looked for among all, so that time says nothing about how much of one was right.
        let mut all = self.sessions.iter_mut();
        let (_, session) = all.find(|(known, _)| same(&known[..], id))?;
        session.last = now;
        Some(session.token)
    }

    /// Ends one.
    pub fn log_out(&mut self, id: &[u8; 16]) {
        self.sessions.remove(id);
    }
}

#[cfg(test)]
mod tests;
