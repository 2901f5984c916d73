//! The root file system: what Buildroot would make of the same tables, overlay and touches.

use crate::arch::Arch;
use crate::debian;
use crate::elf::Parts;
use crate::fault::{About, Outcome};
use crate::fragment::Fragment;
use crate::places;
use crate::programs::PROGRAMS;
use crate::run::output;
use crate::tables::{self, Permission};
use crate::update;
use ed25519_dalek::SigningKey;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the image carries of Debian, and its packages.
const BUSYBOX: &str = "busybox-static";
const DYNAMIC: &[(&str, &str, &str)] = &[
    ("nftables", "nft", "usr/sbin/nft"),
    ("iproute2", "ip", "sbin/ip"),
];

/// Times in the file system, the same for all builds.
const TIME: &str = "0";

/// Makes the file system's image; what it is made of is left beside it, to be looked at.
///
/// # Errors
/// What is missing or does not fit together.
pub fn make(arch: Arch, programs: &Path, key: &SigningKey) -> Outcome<PathBuf> {
    let root = places::built(arch).join("root");
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root).at(&root)?;
    let common = places::common();
    let text = |name: &str| {
        let path = common.join(name);
        fs::read_to_string(&path).at(&path)
    };
    output(
        Command::new("cp")
            .args(["-R", "--preserve=mode"])
            .arg(common.join("rootfs-overlay/."))
            .arg(&root),
    )?;
    for (name, lines) in tables::accounts(&tables::users(&text("users.table")?)?) {
        write(&root.join("etc").join(name), lines)?;
    }
    busybox(arch, &root, &Fragment::parse(&text("busybox.fragment")?)?)?;
    dynamic_programs(arch, &root)?;
    for name in PROGRAMS {
        copy(&programs.join(name), &root.join("usr/bin").join(name))?;
    }
    for (name, text) in update::files(key)? {
        write(&root.join(name), text)?;
    }
    output(Command::new(common.join("post-build.sh")).arg(&root))?;
    let permissions = tables::permissions(&text("permissions.table")?)?;
    squash(arch, &root, &permissions)
}

fn write(path: &Path, text: String) -> Outcome<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).at(folder)?;
    }
    fs::write(path, text).at(path)
}

/// Copies a program or library, to be executed by all.
fn copy(from: &Path, to: &Path) -> Outcome<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).at(folder)?;
    }
    fs::copy(from, to).at(from)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).at(to)
}

/// busybox, with names for the applets of the fragment and for no others.
fn busybox(arch: Arch, root: &Path, fragment: &Fragment) -> Outcome<()> {
    let parts = debian::parts(arch, "busybox", &[BUSYBOX])?;
    copy(
        Parts::of(&parts)?.find("busybox")?,
        &root.join("bin/busybox"),
    )?;
    let places = applets()?;
    for applet in fragment.applets() {
        let place = places.get(&applet).ok_or_else(|| {
            format!("Debian's busybox has no {applet}, which busybox.fragment names")
        })?;
        let link = root.join(place);
        if let Some(folder) = link.parent() {
            fs::create_dir_all(folder).at(folder)?;
        }
        symlink("/bin/busybox", &link).at(&link)?;
    }
    // What the kernel starts when nothing is said.
    let init = root.join("init");
    symlink("/sbin/init", &init).at(&init)
}

/// Applet → where it belongs. Asked of the busybox that this machine can run: all architectures
/// have the same.
fn applets() -> Outcome<BTreeMap<String, String>> {
    let host = Arch::ALL.into_iter().find(|arch| arch.is_host());
    let host = host.ok_or("images are built on x86_64 or aarch64")?;
    let parts = debian::parts(host, "busybox", &[BUSYBOX])?;
    let busybox = Parts::of(&parts)?.find("busybox")?.to_path_buf();
    let list = output(Command::new(busybox).arg("--list-full"))?;
    let named = list.lines().filter_map(|path| {
        let name = path.rsplit('/').next()?;
        Some((name.to_owned(), path.to_owned()))
    });
    Ok(named.collect())
}

/// nft and ip with their loader and libraries.
fn dynamic_programs(arch: Arch, root: &Path) -> Outcome<()> {
    let packages: Vec<&str> = DYNAMIC.iter().map(|(package, _, _)| *package).collect();
    let parts = Parts::of(&debian::parts(arch, "dynamic", &packages)?)?;
    let mut files = Vec::new();
    for (_, name, to) in DYNAMIC {
        let from = parts.find(name)?;
        copy(from, &root.join(to))?;
        files.push(from);
    }
    let folder = format!("usr/lib/{}-linux-gnu", arch.name());
    for (to, from) in parts.needed_by(&files, &folder)? {
        copy(&from, &root.join(to))?;
    }
    Ok(())
}

/// Gives all to root, then to whom the table says, and packs it. Without fakeroot only root could.
fn squash(arch: Arch, root: &Path, permissions: &[Permission]) -> Outcome<PathBuf> {
    let image = places::built(arch).join("root.squashfs");
    let mut script = String::from("set -e\nchown -hR 0:0 .\nchmod -R u=rwX,go=rX .\n");
    for Permission {
        path,
        is_dir,
        mode,
        uid,
        gid,
    } in permissions
    {
        let real = root.join(path);
        if real.is_symlink() || real.is_dir() != *is_dir || !real.exists() {
            return Err(format!("/{path} is not what permissions.table says"));
        }
        // Writing to a String cannot fail. The table has no quotes, nor do its paths.
        let _ = writeln!(
            script,
            "chown {uid}:{gid} '{path}'\nchmod {mode:o} '{path}'"
        );
    }
    let _ = writeln!(
        script,
        "exec mksquashfs . '{}' -noappend -quiet -no-progress -no-xattrs -comp zstd \
         -Xcompression-level 19 -mkfs-time {TIME} -all-time {TIME}",
        image.display()
    );
    let mut command = Command::new("fakeroot");
    command.args(["sh", "-c", &script]).current_dir(root);
    // Times come from here alone.
    command.env_remove("SOURCE_DATE_EPOCH");
    output(&mut command)?;
    Ok(image)
}
