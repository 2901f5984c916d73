//! The kernel: Debian's source, our fragments over the kernel's own defaults, no modules.
//!
//! Buildroot does the same with the same fragments. What was built is kept by the hash of all that
//! went into it.

use crate::arch::Arch;
use crate::debian::Apt;
use crate::fault::{About, Outcome};
use crate::fragment::Fragment;
use crate::places;
use crate::run::{long, output};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's package: a long-term release that waits for its root for a bounded time.
const SOURCE: &str = "linux-source-6.12";

/// Part of the kernel's version line instead of who built it where and when.
const BUILDER: [(&str, &str); 3] = [
    ("KBUILD_BUILD_TIMESTAMP", "@0"),
    ("KBUILD_BUILD_USER", "ramson"),
    ("KBUILD_BUILD_HOST", "ramson"),
];

/// The texts of the fragments.
fn fragments(arch: Arch) -> Outcome<String> {
    let mut texts = String::new();
    for path in places::kernel_fragments(arch) {
        texts += &fs::read_to_string(&path).at(&path)?;
    }
    Ok(texts)
}

/// A built kernel; built now unless the same was built before. `told` hears what is being done.
///
/// # Errors
/// What could not be fetched or built, or which line of the fragments does not hold.
pub fn get(arch: Arch, told: &mut dyn FnMut(&str)) -> Outcome<PathBuf> {
    let fragments = fragments(arch)?;
    let compiler = output(Command::new(compiler(arch)).arg("--version"))?;
    let wanted = Fragment::parse(&fragments)?;
    let hash = |version: &str| {
        let form = arch.kernel_image().0;
        let all = [arch.name(), form, SOURCE, version, &fragments, &compiler].join("\n");
        data_encoding::HEXLOWER.encode(&Sha256::digest(all.as_bytes())[..8])
    };
    // Without asking the mirror, as long as nothing else has changed.
    let newest = places::built(arch).join("kernel-source");
    let known = fs::read_to_string(&newest).unwrap_or_default();
    let cached = |version: &str| places::built(arch).join(format!("kernel-{}", hash(version)));
    if !known.is_empty() && cached(&known).is_dir() {
        check(&cached(&known), &wanted)?;
        return Ok(cached(&known).join("kernel"));
    }
    let apt = Apt::new(arch)?;
    let version = apt.version(SOURCE)?;
    let source = source(&apt, &version, told)?;
    let objects = places::built(arch).join("kernel-objects");
    told(&format!(
        "building the kernel, {SOURCE} {version}: some minutes"
    ));
    build(arch, &source, &objects, &fragments)?;
    check(&objects, &wanted)?;
    let kept = cached(&version);
    let part = kept.with_extension("part");
    fs::create_dir_all(&part).at(&part)?;
    for (from, to) in [(arch.kernel_image().1, "kernel"), (".config", ".config")] {
        let from = objects.join(from);
        fs::copy(&from, part.join(to)).at(&from)?;
    }
    let _ = fs::remove_dir_all(&kept);
    fs::rename(&part, &kept).at(&kept)?;
    fs::write(&newest, &version).at(&newest)?;
    Ok(kept.join("kernel"))
}

fn compiler(arch: Arch) -> &'static str {
    if arch.is_host() {
        "gcc"
    } else {
        arch.cross_compiler()
    }
}

/// The unpacked source, which all architectures share.
fn source(apt: &Apt, version: &str, told: &mut dyn FnMut(&str)) -> Outcome<PathBuf> {
    let folder = places::target().join("image").join("source");
    let stamp = folder.join("version");
    let tree = folder.join(SOURCE);
    if fs::read_to_string(&stamp).is_ok_and(|text| text == version) {
        return Ok(tree);
    }
    told(&format!("fetching {SOURCE} {version} (some 150 MB)"));
    let _ = fs::remove_dir_all(&folder);
    apt.unpack(&[SOURCE.to_owned()], &folder)?;
    let archive = folder.join("usr/src").join(format!("{SOURCE}.tar.xz"));
    told("unpacking it");
    output(
        Command::new("tar")
            .arg("-xf")
            .arg(&archive)
            .arg("-C")
            .arg(&folder),
    )?;
    fs::remove_dir_all(folder.join("usr")).at(&folder)?;
    fs::write(&stamp, version).at(&stamp)?;
    Ok(tree)
}

fn build(arch: Arch, source: &Path, objects: &Path, fragments: &str) -> Outcome<()> {
    fs::create_dir_all(objects).at(objects)?;
    let config = objects.join(".config");
    fs::write(&config, fragments).at(&config)?;
    let make = || {
        let mut command = Command::new("make");
        command.arg("-C").arg(source);
        command.arg(format!("O={}", objects.display()));
        command.arg(format!("ARCH={}", arch.kernel()));
        if !arch.is_host() {
            let prefix = arch.cross_compiler().trim_end_matches("gcc");
            command.arg(format!("CROSS_COMPILE={prefix}"));
        }
        command.envs(BUILDER).env_remove("MAKEFLAGS");
        command
    };
    output(make().arg("olddefconfig"))?;
    let jobs = std::thread::available_parallelism().map_or(2, |n| n.get());
    let mut command = make();
    command.arg(format!("-j{jobs}")).arg(arch.kernel_image().0);
    long("kernel", &mut command, &objects.join("build.log"))
}

/// Whether each line of the fragments holds in a built kernel.
fn check(folder: &Path, wanted: &Fragment) -> Outcome<()> {
    let path = folder.join(".config");
    let built = Fragment::parse(&fs::read_to_string(&path).at(&path)?).at(&path)?;
    let missing = wanted.missing_in(&built);
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the kernel is not as the fragments say: {}",
        missing.join("; ")
    ))
}
