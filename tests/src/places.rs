//! Where things lie: the repository, its build directory, and the folders kept inside it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fault::{About, Fault, Outcome};

/// The repository's root, found from this package's manifest.
pub fn repository() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// The build directory this executable was built into (cargo marks it with a tag file).
pub fn target() -> PathBuf {
    if let Ok(exe) = std::env::current_exe() {
        for folder in exe.ancestors() {
            if folder.join("CACHEDIR.TAG").is_file() {
                return folder.to_path_buf();
            }
        }
    }
    repository().join("target")
}

/// Where running networks keep their files: reachable for the unprivileged users that the programs
/// under test run as, which a build directory in someone's home is not.
pub fn scratch() -> PathBuf {
    std::env::temp_dir()
}

/// Makes a folder (and its parents) and gives it back.
pub fn folder(path: PathBuf) -> Outcome<PathBuf> {
    fs::create_dir_all(&path).about(&path.to_string_lossy())?;
    Ok(path)
}

/// Writes a file, naming it in the fault.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Outcome<()> {
    fs::write(path, bytes).about(&path.to_string_lossy())
}

/// Reads a file, naming it in the fault.
pub fn read(path: &Path) -> Outcome<Vec<u8>> {
    fs::read(path).about(&path.to_string_lossy())
}

/// The last `count` characters of a log, for fault texts.
pub fn tail(path: &Path, count: usize) -> String {
    let text = fs::read(path).map(|b| String::from_utf8_lossy(&b).into_owned());
    let text = text.unwrap_or_default();
    let skip = text.chars().count().saturating_sub(count);
    text.chars()
        .skip(skip)
        .collect::<String>()
        .trim()
        .to_string()
}

/// Finds a program in PATH or the system's usual folders.
pub fn program(name: &str) -> Outcome<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"])
        .map(|folder| Path::new(folder).join(name))
        .find(|file| file.is_file())
        .ok_or_else(|| Fault::new(format!("{name} is not installed")))
}

/// The program behind `cargo NAME`, if it is installed.
pub fn cargo_command(name: &str) -> Option<PathBuf> {
    program(&format!("cargo-{name}")).ok()
}
