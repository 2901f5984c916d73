//! The programs under test: built once, found by name.
//!
//! `RAMSON_BIN_DIR` names a folder of ready programs and skips the build.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::fault::{About, Fault, Outcome};
use crate::places;

/// Which build of the programs to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// What `cargo test` shares its libraries with.
    Test,
    Release,
}

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// Builds the router's and the gateway's programs and remembers where they are.
pub fn build(profile: Profile) -> Outcome<PathBuf> {
    if let Some(folder) = std::env::var_os("RAMSON_BIN_DIR") {
        return Ok(FOLDER.get_or_init(|| PathBuf::from(folder)).clone());
    }
    if let Some(folder) = FOLDER.get() {
        return Ok(folder.clone());
    }
    let (name, folder) = match profile {
        Profile::Test => ("test", "debug"),
        Profile::Release => ("release", "release"),
    };
    let mut command = Command::new("cargo");
    command.args([
        "build",
        "-q",
        "--bins",
        "-p",
        "ramson-router",
        "-p",
        "ramson-gateway",
    ]);
    command
        .args(["--profile", name])
        .current_dir(places::repository());
    command.env("CARGO_TARGET_DIR", places::target());
    let status = command.status().about("cargo build")?;
    if !status.success() {
        return Err(Fault::new("the programs under test do not build"));
    }
    Ok(FOLDER.get_or_init(|| places::target().join(folder)).clone())
}

/// The path of one program.
pub fn find(name: &str) -> Outcome<PathBuf> {
    let path = build(Profile::Test)?.join(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(Fault::new(format!("no {}", path.display())))
    }
}
