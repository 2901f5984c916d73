//! The whole image, step by step.

use crate::arch::Arch;
use crate::disk::{self, Disk};
use crate::fault::{About, Outcome};
use crate::{agreement, kernel, programs, root, update};
use std::fs;
use std::path::{Path, PathBuf};

/// All that was built.
#[derive(Clone, Debug)]
pub struct Image {
    /// The machine it is for.
    pub arch: Arch,
    /// The kernel.
    pub kernel: PathBuf,
    /// The root file system.
    pub root: PathBuf,
    /// The disk with both of them on it.
    pub disk: Disk,
    /// The file that updates a box to it.
    pub update: PathBuf,
}

impl Image {
    /// Bytes of kernel and root file system.
    ///
    /// # Errors
    /// One of them is not there.
    pub fn sizes(&self) -> Outcome<(u64, u64)> {
        let size = |path: &Path| fs::metadata(path).map(|m| m.len()).at(path);
        Ok((size(&self.kernel)?, size(&self.root)?))
    }
}

/// Builds what is not built yet; `told` hears of each step when it is begun or done.
///
/// # Errors
/// What is missing, does not build or does not fit together.
pub fn build(arch: Arch, told: &mut dyn FnMut(&str)) -> Outcome<Image> {
    build_signed(arch, None, told)
}

/// As [`build`], with a key of one's own for updates.
///
/// # Errors
/// As [`build`].
pub fn build_signed(arch: Arch, key: Option<&Path>, told: &mut dyn FnMut(&str)) -> Outcome<Image> {
    let key = update::signing(key)?;
    let complaints = agreement::complaints()?;
    if !complaints.is_empty() {
        return Err(complaints.join("\n"));
    }
    let kernel = kernel::get(arch, told)?;
    told("the kernel is there");
    let programs = programs::build(arch)?;
    told("the programs are built, static");
    let root = root::make(arch, &programs, &key)?;
    told("the root file system is packed");
    let disk = disk::make(arch, &kernel, &root, told)?;
    let update = update::write(arch, &key, &disk.boot, &root)?;
    Ok(Image {
        arch,
        kernel,
        root,
        disk,
        update,
    })
}
