//! What the bench needs from the system, and its installation on a bare Debian machine.
//!
//! Only packages are installed, and only after asking, unless root or `--yes`. The peers are not
//! installed at all (see `peers`).

use std::io::{BufRead, IsTerminal, Write, stdin, stdout};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::geteuid;

use crate::fault::{About, Fault, Outcome};
use crate::peers::{self, Suite};
use crate::{places, process};

/// Program looked for → Debian package that has it.
const NEEDED: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("curl", "curl"),
    ("udhcpc", "udhcpc"),
    ("dhcpcd", "dhcpcd-base"),
    ("dnsmasq", "dnsmasq-base"),
    ("chromium", "chromium"),
    ("dig", "bind9-dnsutils"),
    ("git", "git"),
    ("ssh", "openssh-client"),
    ("dropbear", "dropbear-bin"),
    ("cc", "gcc libc6-dev"),
    ("dpkg", "dpkg"),
];

/// Packages that are missing.
pub fn missing() -> Vec<&'static str> {
    let absent = NEEDED
        .iter()
        .filter(|(program, _)| places::program(program).is_err());
    absent
        .flat_map(|(_, packages)| packages.split(' '))
        .collect()
}

/// Installs what is missing and unpacks the peers; says what it does.
pub fn ready(suites: &[Suite], yes: bool) -> Outcome<()> {
    install(&missing(), yes)?;
    if !geteuid().is_root() {
        return Err(Fault::new("network namespaces need root: run this as root"));
    }
    for suite in suites {
        let version = peers::get(*suite)?.version()?;
        println!("peer: {version} ({})", suite.name());
    }
    Ok(())
}

/// Installs packages, if there are any; says what it does.
pub fn install(packages: &[&str], yes: bool) -> Outcome<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    let root = geteuid().is_root();
    println!("missing Debian packages: {list}");
    if !root && !yes && !confirmed()? {
        return Err(Fault::new(format!("not installed: {list}")));
    }
    let apt = |words: &[&str]| {
        let mut command = Command::new(if root { "apt-get" } else { "sudo" });
        if !root {
            command.arg("apt-get");
        }
        command.env("DEBIAN_FRONTEND", "noninteractive").args(words);
        process::output(&mut command)
    };
    println!("installing {list}");
    apt(&["-qq", "update"])?;
    apt(&[
        &["-qq", "-y", "--no-install-recommends", "install"],
        packages,
    ]
    .concat())?;
    Ok(())
}

fn confirmed() -> Outcome<bool> {
    if !stdin().is_terminal() {
        return Ok(false);
    }
    print!("install them with apt-get? [y/N] ");
    stdout().flush()?;
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Programs that only tests of the LAN need; of those whose packages would start a service, the
/// programs alone.
pub fn tools() -> Outcome<()> {
    if !Path::new("/usr/lib/systemd/systemd-networkd").exists() {
        install(&["systemd"], true)?;
    }
    peers::tool("unbound").map(|_| ())
}

/// The toolchain's formatter and linter, added with rustup where they are missing.
pub fn toolchain() -> Outcome<()> {
    for (probe, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let mut check = Command::new("cargo");
        check
            .args([probe, "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if check.status().is_ok_and(|status| status.success()) {
            continue;
        }
        println!("installing {component}");
        process::run(&["rustup", "component", "add", component]).about(component)?;
    }
    Ok(())
}
