//! Whether the shared files name what is there: paths, users, ports, applets and programs, on
//! Buildroot's side and on this one.
//!
//! What only shows when something is built (symbols that a kernel does not have, applets that
//! Debian's busybox does not have) is an error where it is built.

use crate::arch::Arch;
use crate::fault::{About, Outcome};
use crate::fragment::Fragment;
use crate::places;
use crate::programs::PROGRAMS;
use crate::tables::{self, User};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

pub mod buildroot;
mod shell;

/// The variable that Buildroot has for the external tree.
const EXTERNAL: &str = "$(BR2_EXTERNAL_RAMSON_PATH)/";

/// Paths that are made when the root file system is put together, or at the start.
const MADE: &[&str] = &[
    "/data",
    "/etc/shadow",
    "/run/log",
    "/run/ramson",
    "/dev/null",
];

/// Programs that come from packages of both distributions.
const PACKAGED: &[&str] = &["ip", "nft"];

/// Everything that does not agree, one sentence each.
///
/// # Errors
/// A file that is not there or cannot be read at all.
pub fn complaints() -> Outcome<Vec<String>> {
    let common = places::common();
    let read = |name: &str| {
        let path = common.join(name);
        fs::read_to_string(&path).at(&path)
    };
    let users = tables::users(&read("users.table")?)?;
    let applets = Fragment::parse(&read("busybox.fragment")?)?;
    let applets: BTreeSet<String> = applets.applets().collect();
    let overlay = common.join("rootfs-overlay");
    let mut found = Vec::new();
    for permission in tables::permissions(&read("permissions.table")?)? {
        let path = format!("/{}", permission.path);
        if !MADE.contains(&path.as_str()) && !overlay.join(&permission.path).exists() {
            found.push(format!(
                "permissions.table names {path}, which nothing makes"
            ));
        }
    }
    for script in ["inittab"].map(|name| overlay.join("etc").join(name)) {
        found.extend(judge_script(&script, &overlay, &applets)?);
    }
    for folder in ["usr/libexec/ramson", "etc/acpi/PWRF"].map(|f| overlay.join(f)) {
        for entry in fs::read_dir(&folder).at(&folder)? {
            let path = entry.at(&folder)?.path();
            found.extend(judge_script(&path, &overlay, &applets)?);
        }
    }
    let configs =
        ["gateway", "routerd"].map(|name| format!("rootfs-overlay/etc/ramson/{name}.toml"));
    let [gateway, router] = configs.each_ref().map(|name| read(name));
    found.extend(judge_configs(&gateway?, &router?, &users));
    for arch in Arch::ALL {
        found.extend(judge_defconfig(arch)?);
        let texts = places::kernel_fragments(arch).map(|p| fs::read_to_string(&p).at(&p));
        let [one, two] = texts;
        Fragment::together([one?.as_str(), two?.as_str()])
            .about(format!("kernel of {}", arch.name()))?;
    }
    found.extend(judge_package(
        &places::external().join("package/ramson/ramson.mk"),
    )?);
    Ok(found)
}

/// Commands and paths of a script or an inittab.
fn judge_script(path: &Path, overlay: &Path, applets: &BTreeSet<String>) -> Outcome<Vec<String>> {
    let text = fs::read_to_string(path).at(path)?;
    let name = path
        .strip_prefix(overlay)
        .unwrap_or(path)
        .display()
        .to_string();
    let is_there =
        |word: &str| applets.contains(word) || PACKAGED.contains(&word) || PROGRAMS.contains(&word);
    let mut found = Vec::new();
    for command in shell::commands(&text, path.ends_with("inittab")) {
        // Where an applet lies differs between distributions: it is looked for.
        let there = match command.strip_prefix('/') {
            Some(path) => overlay.join(path).is_file(),
            None => is_there(&command),
        };
        if !there {
            found.push(format!(
                "{name} runs {command}, which the image does not have"
            ));
        }
    }
    for word in shell::paths(&text) {
        let last = word.rsplit('/').next().unwrap_or_default();
        let there = MADE.iter().any(|made| word.starts_with(made))
            || ["/proc", "/sys"]
                .iter()
                .any(|place| word.starts_with(place))
            || overlay.join(&word[1..]).exists()
            || ["/run", "/data"].contains(&word.as_str())
            || is_there(last);
        if !there {
            found.push(format!(
                "{name} names {word}, which the image does not have"
            ));
        }
    }
    Ok(found)
}

/// The value of a key in a TOML file as plain as ours; sections do not matter.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim() == key)?;
    Some(value.trim().trim_matches('"'))
}

/// Users and the port, which the two configurations have to agree on.
fn judge_configs(gateway: &str, router: &str, users: &[User]) -> Vec<String> {
    let mut found = Vec::new();
    for role in ["router", "gateway", "wan", "console", "clock"] {
        let name = value(gateway, role).unwrap_or_default();
        if !users.iter().any(|user| user.name == name) {
            found.push(format!(
                "gateway.toml: users.{role} {name:?} is not in users.table"
            ));
        }
    }
    for (role, key) in [("gateway", "uids"), ("console", "admins")] {
        let name = value(gateway, role).unwrap_or_default();
        let user = users.iter().find(|user| user.name == name);
        if value(router, key) != user.map(|user| format!("[{}]", user.id)).as_deref() {
            found.push(format!(
                "routerd.toml: sockets.{key} is not {name}'s number"
            ));
        }
    }
    // The gateway's own default.
    let let_in = value(gateway, "router_port").unwrap_or("9999");
    if value(router, "port") != Some(let_in) {
        found.push(format!(
            "routerd.toml: network.port is not {let_in}, which is let in"
        ));
    }
    found
}

/// Files that a defconfig names, and the files of ours that it has to name.
fn judge_defconfig(arch: Arch) -> Outcome<Vec<String>> {
    let name = format!("configs/ramson_{}_defconfig", arch.name());
    let path = places::external().join(&name);
    let text = fs::read_to_string(&path).at(&path)?;
    let mut found = Vec::new();
    let mut named = BTreeSet::new();
    for rest in text.split(EXTERNAL).skip(1) {
        let end = rest.find([' ', '"', '\n']).unwrap_or(rest.len());
        let file = places::external().join(&rest[..end]);
        if !file.exists() {
            found.push(format!("{name} names {}, which is not there", &rest[..end]));
        }
        named.insert(file);
    }
    let files = [
        "users.table",
        "permissions.table",
        "busybox.fragment",
        "rootfs-overlay",
        "post-build.sh",
    ];
    let files = files.map(|file| places::common().join(file));
    for file in files.iter().chain(&places::kernel_fragments(arch)) {
        if !named.contains(file) {
            found.push(format!("{name} does not name {}", file.display()));
        }
    }
    Ok(found)
}

/// The programs that Buildroot's package installs.
fn judge_package(path: &Path) -> Outcome<Vec<String>> {
    let text = fs::read_to_string(path).at(path)?;
    let list = text.split_once("$(foreach program,").map(|(_, rest)| rest);
    let list = list
        .and_then(|rest| rest.split_once(','))
        .map(|(list, _)| list);
    let installed: BTreeSet<&str> = list.unwrap_or_default().split_whitespace().collect();
    let ours: BTreeSet<&str> = PROGRAMS.iter().copied().collect();
    let differ = installed.symmetric_difference(&ours);
    Ok(differ
        .map(|name| format!("{name} is in only one of ramson.mk and programs.rs"))
        .collect())
}

#[cfg(test)]
mod tests;
