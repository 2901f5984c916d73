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
    "wan-dhcp",
    "console",
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
