//! Buildroot's tables of users and of permissions, and what passwd and its kin look like.
//!
//! The syntax is Buildroot's; of it only what the project's tables need is understood, and the
//! rest is an error, so that nothing is lost in silence.

use crate::fault::{About, Outcome};
use std::fmt::Write;

/// A user with a group of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Of the user and of the group.
    pub name: String,
    /// Of the user and of the group.
    pub id: u32,
    /// For the reader of passwd.
    pub comment: String,
}

/// What a path has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// From the root, without the first slash.
    pub path: String,
    /// A directory, not a file.
    pub is_dir: bool,
    /// The bits of the mode.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The owning group.
    pub gid: u32,
}

fn rows(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    let numbered = (1..).zip(text.lines());
    let rows = numbered.filter(|(_, line)| !line.trim_start().starts_with('#'));
    rows.map(|(number, line)| (number, line.split_whitespace().collect()))
        .filter(|(_, fields): &(_, Vec<&str>)| !fields.is_empty())
}

/// Reads a table of users.
///
/// # Errors
/// Which line is none, or is not understood here.
pub fn users(text: &str) -> Outcome<Vec<User>> {
    let mut found: Vec<User> = Vec::new();
    for (number, fields) in rows(text) {
        let wrong = |what: &str| format!("users, line {number}: {what}");
        let [
            name,
            uid,
            group,
            gid,
            password,
            home,
            shell,
            groups,
            comment @ ..,
        ] = &fields[..]
        else {
            return Err(wrong("has too few fields"));
        };
        if (name, uid) != (group, gid) {
            return Err(wrong("the group is not the user's own"));
        }
        if [*password, *home, *shell, *groups] != ["*", "-", "-", "-"] {
            return Err(wrong(
                "nobody has a password, a home, a shell or more groups",
            ));
        }
        let id: u32 = uid.parse().map_err(|_| wrong("the number is none"))?;
        if id == 0 || found.iter().any(|u| u.id == id || u.name == *name) {
            return Err(wrong("the name or number is taken"));
        }
        found.push(User {
            name: (*name).to_owned(),
            id,
            comment: comment.join(" "),
        });
    }
    Ok(found)
}

/// Reads a table of permissions.
///
/// # Errors
/// Which line is none, or is not understood here.
pub fn permissions(text: &str) -> Outcome<Vec<Permission>> {
    let mut found = Vec::new();
    for (number, fields) in rows(text) {
        let wrong = |what: &str| format!("permissions, line {number}: {what}");
        let [path, kind, mode, uid, gid, "-", "-", "-", "-", "-"] = &fields[..] else {
            return Err(wrong("is not of ten fields, the last five of them -"));
        };
        let path = path.strip_prefix('/').ok_or_else(|| wrong("no path"))?;
        let parse = |text: &str| text.parse().map_err(|_| wrong("no number"));
        found.push(Permission {
            path: path.to_owned(),
            is_dir: match *kind {
                "d" => true,
                "f" => false,
                _ => return Err(wrong("is neither f nor d")),
            },
            mode: u32::from_str_radix(mode, 8).about(wrong("mode"))?,
            uid: parse(uid)?,
            gid: parse(gid)?,
        });
    }
    Ok(found)
}

/// `/etc/passwd`, `/etc/group` and `/etc/shadow`: root, who cannot log in, nobody, and these.
#[must_use]
pub fn accounts(users: &[User]) -> [(&'static str, String); 3] {
    let mut passwd = String::from("root:x:0:0:root:/:/bin/sh\n");
    let mut group = String::from("root:x:0:\n");
    let mut shadow = String::from("root:*:::::::\n");
    let nobody = User {
        name: "nobody".into(),
        id: 65534,
        comment: "nobody".into(),
    };
    for User { name, id, comment } in users.iter().chain([&nobody]) {
        // Writing to a String cannot fail.
        let _ = writeln!(passwd, "{name}:x:{id}:{id}:{comment}:/:/bin/false");
        let _ = writeln!(group, "{name}:x:{id}:");
        let _ = writeln!(shadow, "{name}:*:::::::");
    }
    [("passwd", passwd), ("group", group), ("shadow", shadow)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_become_accounts_that_nobody_logs_in_to() {
        let users = users("# a comment\n\ni2p 110 i2p 110 * - - - The router\n").unwrap();
        assert_eq!(users.len(), 1);
        let [(_, passwd), (_, group), (_, shadow)] = accounts(&users);
        assert!(passwd.contains("\ni2p:x:110:110:The router:/:/bin/false\n"));
        assert!(group.contains("\ni2p:x:110:\n"));
        assert!(shadow.lines().all(|line| line.contains(":*:")));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in [
            "i2p 110 i2p",
            "i2p 110 other 110 * - - - x",
            "i2p 110 i2p 110 =secret - - - x",
            "i2p 110 i2p 110 * - /bin/sh - x",
            "i2p 0 i2p 0 * - - - x",
            "i2p -1 i2p -1 * - - - x",
            "a 5 a 5 * - - - x\nb 5 b 5 * - - - x",
        ] {
            assert!(users(line).is_err(), "{line}");
        }
        for line in [
            "/x f 644 0 0 - - - -",
            "/x c 644 0 0 5 1 - - -",
            "/x f 9 0 0 - - - - -",
            "x f 644 0 0 - - - - -",
            "/x f 644 i2p 0 - - - - -",
        ] {
            assert!(permissions(line).is_err(), "{line}");
        }
    }

    #[test]
    fn permissions_are_read() {
        let found = permissions("/data d 750 1 2 - - - - -\n").unwrap();
        let wanted = Permission {
            path: "data".into(),
            is_dir: true,
            mode: 0o750,
            uid: 1,
            gid: 2,
        };
        assert_eq!(found, [wanted]);
    }
}
