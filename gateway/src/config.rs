//! The one configuration file of `supervisor` and `gatewayd`: text to checked values.
//!
//! Every key has a default; unknown keys are refused; errors carry line numbers. The shipped
//! `gateway.toml` spells the defaults out, a test keeps the two equal.

mod clock;
mod console;
mod dhcp;
mod lan;
mod lines;
mod machine;
mod paths;
mod users;
mod wan;
mod watchdog;

pub use clock::Clock;
pub use console::{Console, FirstPassword};
pub use dhcp::{Dhcp, Mac, Static};
pub use lan::{Lan, Views, Virtual};
pub use machine::Machine;
pub use paths::{Limits, Paths};
pub use users::{User, Users};
pub use wan::{Wan, WanMode};
pub use watchdog::Watchdog;

use lines::{key_at, line_at, line_of};
use serde::Deserialize;
use std::fmt;
use std::path::Path;

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The side of the clients.
    pub lan: Lan,
    /// The side of the Internet.
    pub wan: Wan,
    /// Addresses for the clients.
    pub dhcp: Dhcp,
    /// The addresses names are mapped to.
    #[serde(rename = "virtual")]
    pub vip: Virtual,
    /// The time.
    pub clock: Clock,
    /// What starts the machine anew when this hangs.
    pub watchdog: Watchdog,
    /// The machine itself.
    pub machine: Machine,
    /// The page that configures the box.
    pub console: Console,
    /// Who the processes are.
    pub users: Users,
    /// Files and sockets.
    pub paths: Paths,
    /// Bounds of `gatewayd`.
    pub limits: Limits,
}
/// A network interface's name: it ends up in rules and paths, so its alphabet is narrow.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Interface(String);

impl Interface {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Interface {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let good = |b: u8| b.is_ascii_alphanumeric() || b"-_.@".contains(&b);
        let long = name.is_empty() || name.len() > 15;
        if long || name.starts_with('.') || !name.bytes().all(good) {
            return Err("not an interface name (1 to 15 of letters, digits, - _ . @)");
        }
        if ["lo", "all", "default"].contains(&name.as_str()) {
            return Err("this interface name is reserved");
        }
        Ok(Self(name))
    }
}
/// What is wrong with a configuration, in words for its author, with the line where known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// The file cannot be read, or [`Config::parse`] refuses it.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text =
            std::fs::read_to_string(path).map_err(|e| Error(format!("{}: {e}", path.display())))?;
        Self::parse(&text).map_err(|e| Error(format!("{}: {e}", path.display())))
    }

    /// Checked values from the file's text.
    ///
    /// # Errors
    /// Names the first thing that is wrong and its line.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let config: Self = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(0, |span| line_at(text, span.start));
            let key = key_at(text, line).map_or(String::new(), |key| format!("{key}: "));
            Error(format!("line {line}: {key}{}", e.message()))
        })?;
        config.check().map_err(|(section, key, what)| {
            let line = line_of(text, section, key);
            Error(format!("line {line}: {section}.{key} {what}"))
        })?;
        Ok(config)
    }

    /// The configuration with what the state directory decides where the file does not: the LAN's
    /// IPv6 prefix. Both processes come to the same.
    #[must_use]
    pub fn completed(mut self, secrets: &crate::handover::Secrets) -> Self {
        if self.lan.ipv6 && self.lan.address6.is_none() {
            self.lan.address6 = Some(secrets.lan6());
        }
        self
    }

    fn check(&self) -> Result<(), Wrong> {
        self.lan.check()?;
        self.vip.check(&self.lan)?;
        self.dhcp.check(self.lan.address)?;
        if self.lan.interface == self.wan.interface {
            return Err(("wan", "interface", "is the same as lan.interface"));
        }
        self.wan.check(self.lan.port)?;
        self.clock.check()?;
        self.watchdog.check()?;
        self.machine.check()?;
        self.users.check()?;
        self.paths.check()?;
        self.limits.check()
    }
}

/// Section, key, and what is wrong with it.
type Wrong = (&'static str, &'static str, &'static str);

#[cfg(test)]
mod tests;
