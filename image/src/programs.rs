//! Our own programs, static.

use crate::arch::Arch;
use crate::fault::{About, Outcome};
use crate::places;
use crate::run::output;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the image carries of the workspace.
pub const PROGRAMS: &[&str] = &[
    "routerd",
    "gatewayd",
    "supervisor",
    "console",
    "updater",
    "ramson",
];

/// Builds them; the folder they lie in.
///
/// # Errors
/// What rustup or cargo said.
pub fn build(arch: Arch) -> Outcome<PathBuf> {
    let triple = arch.triple();
    add_target(triple)?;
    let mut command = Command::new("cargo");
    command.args([
        "build",
        "-q",
        "--release",
        "--locked",
        "--bins",
        "--target",
        triple,
    ]);
    command.args(["-p", "ramson-router", "-p", "ramson-gateway"]);
    command.current_dir(places::repository());
    command.env("CARGO_TARGET_DIR", places::target());
    // Before then it is not: the same for the same sources.
    if let Some(made) = last_change() {
        command.env("SOURCE_DATE_EPOCH", made);
    }
    if !arch.is_host() {
        let key = triple.replace('-', "_");
        let linker = format!("CARGO_TARGET_{}_LINKER", key.to_uppercase());
        command.env(linker, "rust-lld");
        command.env(format!("CC_{key}"), arch.cross_compiler());
    }
    let status = command.status().about("cargo build")?;
    if !status.success() {
        return Err(format!("the programs do not build for {triple}"));
    }
    Ok(places::target().join(triple).join("release"))
}

/// When the sources were changed last, seconds since 1970; `None` outside of a repository.
pub(crate) fn last_change() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"])
        .current_dir(places::repository());
    let secs = output(&mut git).ok()?.trim().to_owned();
    secs.parse::<u64>().ok().map(|secs| secs.to_string())
}

/// The standard library for a target, where it is missing.
fn add_target(triple: &str) -> Outcome<()> {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    if Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(triple)
        .is_dir()
    {
        return Ok(());
    }
    output(Command::new("rustup").args(["target", "add", triple])).map(|_| ())
}
