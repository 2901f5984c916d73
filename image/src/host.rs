//! What this machine needs in order to build and to boot images: looked for, not installed here.

use crate::arch::Arch;
use std::path::Path;

/// A program or header, and the Debian packages that bring it.
const TO_BUILD: &[(&str, &str)] = &[
    ("cc", "gcc libc6-dev"),
    ("make", "make"),
    ("bc", "bc"),
    ("bison", "bison"),
    ("flex", "flex"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
    ("perl", "perl"),
    ("readelf", "binutils"),
    ("fakeroot", "fakeroot"),
    ("mksquashfs", "squashfs-tools"),
    ("mke2fs", "e2fsprogs"),
    ("dpkg", "dpkg"),
    ("grub-mkimage", "grub-common"),
    ("mcopy", "mtools"),
    ("mkfs.fat", "dosfstools"),
    ("sgdisk", "gdisk"),
    ("qemu-img", "qemu-utils"),
    ("/usr/include/libelf.h", "libelf-dev"),
];

/// Packages that are missing for building.
#[must_use]
pub fn missing_to_build(arch: Arch) -> Vec<&'static str> {
    let mut missing: Vec<&str> = TO_BUILD
        .iter()
        .filter(|(what, _)| !is_here(what))
        .flat_map(|(_, packages)| packages.split(' '))
        .collect();
    if arch.is_host() {
        if arch == Arch::X86_64 && !is_here("musl-gcc") {
            missing.push("musl-tools");
        }
    } else if !is_here(arch.cross_compiler()) || !is_here(arch.cross_headers()) {
        missing.extend(arch.cross_packages());
    }
    missing
}

/// Packages that are missing for booting.
#[must_use]
pub fn missing_to_boot(arch: Arch) -> Vec<&'static str> {
    let (program, package) = match arch {
        Arch::X86_64 => ("qemu-system-x86_64", "qemu-system-x86"),
        Arch::Aarch64 => ("qemu-system-aarch64", "qemu-system-arm"),
    };
    let firmware = match arch {
        Arch::X86_64 => "ovmf",
        Arch::Aarch64 => "qemu-efi-aarch64",
    };
    let [code, _] = arch.firmware();
    [(program, package), (code, firmware)]
        .into_iter()
        .filter(|(what, _)| !is_here(what))
        .map(|(_, package)| package)
        .collect()
}

/// A path, or a program in PATH or in the system's usual folders.
fn is_here(what: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"])
        .any(|folder| Path::new(folder).join(what).exists())
}
