//! Where things lie: the shared files, the build directory, and what is kept in it.

use crate::arch::Arch;
use std::path::{Path, PathBuf};

/// The repository's root, found from this package's manifest.
#[must_use]
pub fn repository() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// The external tree of Buildroot.
#[must_use]
pub fn external() -> PathBuf {
    repository().join("buildroot")
}

/// What is the same for all boards.
#[must_use]
pub fn common() -> PathBuf {
    external().join("board/common")
}

/// The kernel's fragments, in the order in which they are laid over each other.
#[must_use]
pub fn kernel_fragments(arch: Arch) -> [PathBuf; 2] {
    let own = external().join("board").join(arch.name());
    [common().join("linux.fragment"), own.join("linux.fragment")]
}

/// The build directory this executable was built into (cargo marks it with a tag file).
#[must_use]
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

/// What is built and kept here.
#[must_use]
pub fn built(arch: Arch) -> PathBuf {
    target().join("image").join(arch.name())
}
