//! `[users]`, and what names a user.

use super::{Error, Wrong};
use serde::Deserialize;

/// `[users]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Users {
    /// Who may open connections on the WAN.
    pub router: User,
    /// Who `gatewayd` runs as.
    pub gateway: User,
    /// Who the WAN's DHCP client runs as; needed where there is one.
    pub wan: User,
    /// Who the console runs as; needed where there is one.
    pub console: User,
    /// Who the client of time servers runs as; needed where the clock is kept here.
    pub clock: User,
}

impl Default for Users {
    fn default() -> Self {
        Self {
            router: User::Name("ramson".into()),
            gateway: User::Name("ramson-gw".into()),
            wan: User::Name("ramson-wan".into()),
            console: User::Name("ramson-www".into()),
            clock: User::Name("ramson-ntp".into()),
        }
    }
}
/// A user by name or number.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum User {
    /// Numeric user id; the group id is the same number.
    Id(u32),
    /// Looked up in the user data base, with its primary group.
    Name(String),
}

impl User {
    /// User and group id.
    ///
    /// # Errors
    /// The user does not exist or is root.
    pub fn resolve(&self) -> Result<(u32, u32), Error> {
        let (uid, gid) = match self {
            Self::Id(id) => (*id, *id),
            Self::Name(name) => match nix::unistd::User::from_name(name) {
                Ok(Some(user)) => (user.uid.as_raw(), user.gid.as_raw()),
                Ok(None) => return Err(Error(format!("user {name} does not exist"))),
                Err(e) => return Err(Error(format!("user {name}: {e}"))),
            },
        };
        if uid == 0 || gid == 0 {
            Err(Error("root is not allowed here".into()))
        } else {
            Ok((uid, gid))
        }
    }
}

impl Users {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        for (key, user) in [
            ("router", &self.router),
            ("gateway", &self.gateway),
            ("wan", &self.wan),
            ("console", &self.console),
            ("clock", &self.clock),
        ] {
            if [User::Id(0), User::Name("root".into())].contains(user) {
                return Err(("users", key, "cannot be root"));
            }
            if *user == User::Name(String::new()) {
                return Err(("users", key, "is empty"));
            }
        }
        if self.router == self.gateway {
            return Err(("users", "gateway", "must differ from users.router"));
        }
        if [&self.router, &self.gateway].contains(&&self.wan) {
            return Err((
                "users",
                "wan",
                "must differ from users.router and users.gateway",
            ));
        }
        if [&self.router, &self.gateway, &self.wan].contains(&&self.console) {
            return Err(("users", "console", "must differ from the other users"));
        }
        if [&self.router, &self.gateway, &self.wan, &self.console].contains(&&self.clock) {
            return Err(("users", "clock", "must differ from the other users"));
        }
        Ok(())
    }
}
