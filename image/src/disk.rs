//! The whole disk: boot loader, boot state, the same system three times, room for what is kept.
//!
//! Made of files alone: without root and without loop devices.

use crate::arch::Arch;
use crate::debian;
use crate::fault::{About, Outcome};
use crate::places;
use crate::run::output;
use ramson_layout::parts::{self, Part};
use ramson_layout::state::{COPIES, State};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What of GRUB is in its image.
const MODULES: &[&str] = &[
    "boot", "chain", "datehook", "echo", "fat", "gzio", "loadenv", "memdisk", "normal", "part_gpt",
    "probe", "reboot", "regexp", "sleep", "tar", "test", "true",
];

/// The disk in the forms that are handed out.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Byte for byte, with holes.
    pub raw: PathBuf,
    /// The same, packed.
    pub packed: PathBuf,
    /// For QEMU and what is built on it.
    pub qcow2: PathBuf,
    /// For other machines that are not real.
    pub vmdk: PathBuf,
    /// The image of a system's boot partition, as far as it is used.
    pub boot: PathBuf,
}

/// Makes it out of a kernel and a root file system.
///
/// # Errors
/// What is missing, does not fit into its partition, or what a tool said.
pub fn make(arch: Arch, kernel: &Path, root: &Path, told: &mut dyn FnMut(&str)) -> Outcome<Disk> {
    let folder = places::built(arch);
    let esp = esp(arch, &folder)?;
    let state = state(&folder)?;
    let boot = boot(kernel, &folder)?;
    let data = data(&folder)?;
    let named = |end: &str| folder.join(format!("ramson-{}.{end}", arch.name()));
    let raw = named("img");
    table(&raw)?;
    let mut disk = OpenOptions::new().write(true).open(&raw).at(&raw)?;
    for part in Part::ALL {
        let from = match part {
            Part::Esp => &esp,
            Part::State => &state,
            Part::BootA | Part::BootB | Part::BootR => &boot,
            Part::RootA | Part::RootB | Part::RootR => root,
            Part::Data => &data,
        };
        place(&mut disk, part, from)?;
    }
    told("the disk is put together");
    let disk = Disk {
        packed: named("img.zst"),
        qcow2: named("qcow2"),
        vmdk: named("vmdk"),
        boot,
        raw,
    };
    hand_out(&disk)?;
    told("the disk is packed");
    Ok(disk)
}

/// A file of this size, all holes.
fn blank(path: &Path, size: u64) -> Outcome<()> {
    let file = File::create(path).at(path)?;
    file.set_len(size).at(path)
}

/// The system partition of EFI with GRUB in it, where firmware looks on any disk.
fn esp(arch: Arch, folder: &Path) -> Outcome<PathBuf> {
    let (package, kind, name) = arch.grub();
    let modules = debian::parts(arch, "grub", &[package])?
        .join("usr/lib/grub")
        .join(kind);
    let memory = folder.join("grub.tar");
    let tree = folder.join("grub-memory/boot/grub");
    fs::create_dir_all(&tree).at(&tree)?;
    let config = places::common().join("grub.cfg");
    fs::copy(&config, tree.join("grub.cfg")).at(&config)?;
    let mut tar = Command::new("tar");
    tar.args([
        "--sort=name",
        "--mtime=@0",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
    ]);
    tar.args(["--mode=u=rwX,go=rX", "-C"])
        .arg(folder.join("grub-memory"));
    output(tar.arg("-cf").arg(&memory).arg("boot"))?;
    let core = folder.join("grub.efi");
    let mut make = Command::new("grub-mkimage");
    make.arg("-d")
        .arg(&modules)
        .args(["-O", kind, "-p", "(memdisk)/boot/grub"]);
    make.arg("-m")
        .arg(&memory)
        .arg("-o")
        .arg(&core)
        .args(MODULES);
    output(&mut make)?;
    let image = folder.join("esp.img");
    blank(&image, Part::Esp.size())?;
    fat(&image, &["-F", "32", "-s", "1", "-n", "ESP"], "52414d45")?;
    for part in ["::/EFI", "::/EFI/BOOT"] {
        output(mtools("mmd", &image).arg(part))?;
    }
    let to = format!("::/EFI/BOOT/{name}");
    output(mtools("mcopy", &image).arg(&core).arg(to))?;
    Ok(image)
}

/// The two copies of the boot state, each a file of its own, for GRUB writes files in place only.
fn state(folder: &Path) -> Outcome<PathBuf> {
    let image = folder.join("state.img");
    blank(&image, Part::State.size())?;
    let shape = [
        "-F", "12", "-s", "8", "-r", "112", "-f", "1", "-R", "8", "-n", "STATE",
    ];
    fat(&image, &shape, "52414d53")?;
    let copy = folder.join("state.copy");
    fs::write(&copy, State::FACTORY.encode()).at(&copy)?;
    for name in ["::/state0", "::/state1"] {
        output(mtools("mcopy", &image).arg(&copy).arg(name))?;
    }
    let made = fs::read(&image).at(&image)?;
    let is_there = |at: &u64| {
        let from = usize::try_from(*at).unwrap_or(usize::MAX);
        made.get(from..)
            .is_some_and(|rest| rest.starts_with(&State::FACTORY.encode()))
    };
    if COPIES.iter().all(is_there) {
        return Ok(image);
    }
    Err("the copies of the boot state do not lie where ramson-layout says".to_owned())
}

/// The partition with the kernel, cut off behind it: what an update writes.
fn boot(kernel: &Path, folder: &Path) -> Outcome<PathBuf> {
    let image = folder.join("boot.img");
    blank(&image, Part::BootA.size())?;
    fat(&image, &["-F", "16", "-s", "4", "-n", "BOOT"], "52414d42")?;
    output(mtools("mcopy", &image).arg(kernel).arg("::/vmlinuz"))?;
    let (kernel, made) = (fs::read(kernel).at(kernel)?, fs::read(&image).at(&image)?);
    let begin = made
        .windows(kernel.len())
        .position(|window| window == kernel);
    let begin = begin.ok_or("the kernel does not lie in one piece")?;
    let end = (begin + kernel.len())
        .next_multiple_of(4096)
        .min(made.len());
    let file = OpenOptions::new().write(true).open(&image).at(&image)?;
    file.set_len(u64::try_from(end).unwrap_or(u64::MAX))
        .at(&image)?;
    Ok(image)
}

/// An empty file system, with blocks of a size that it can grow with.
fn data(folder: &Path) -> Outcome<PathBuf> {
    let image = folder.join("data.img");
    blank(&image, Part::Data.size())?;
    let mut make = Command::new("mke2fs");
    make.args([
        "-q", "-F", "-t", "ext4", "-b", "4096", "-L", "data", "-m", "0",
    ]);
    let seed = format!("hash_seed={}", guid("data hash seed"));
    make.args(["-U", &guid("data file system"), "-E", &seed]);
    make.env("E2FSPROGS_FAKE_TIME", "1");
    make.arg(&image);
    output(&mut make)?;
    Ok(image)
}

/// The table of partitions.
fn table(raw: &Path) -> Outcome<()> {
    let _ = fs::remove_file(raw);
    blank(raw, parts::disk_size())?;
    let mut sgdisk = Command::new("sgdisk");
    sgdisk.args(["-a", "1", "-o", "-U", &guid("disk")]);
    for part in Part::ALL {
        let (number, sector) = (part.number(), |bytes: u64| bytes / 512);
        let (first, end) = (sector(part.start()), sector(part.start() + part.size()));
        sgdisk.args(["-n", &format!("{number}:{first}:{}", end - 1)]);
        sgdisk.args(["-t", &format!("{number}:{}", part.kind())]);
        sgdisk.args(["-c", &format!("{number}:{}", part.name())]);
        sgdisk.args(["-u", &format!("{number}:{}", guid(part.name()))]);
    }
    output(sgdisk.arg(raw)).map(|_| ())
}

/// The same for the same name in all builds.
fn guid(name: &str) -> String {
    let hash = Sha256::digest(format!("ramson factory {name}").as_bytes());
    let hex = data_encoding::HEXUPPER.encode(&hash[..16]);
    let [a, b, c, d] = [&hex[..8], &hex[8..12], &hex[13..16], &hex[17..20]];
    format!("{a}-{b}-4{c}-8{d}-{}", &hex[20..32])
}

/// Copies an image to its partition; what is zero stays a hole.
fn place(disk: &mut File, part: Part, from: &Path) -> Outcome<()> {
    let mut file = File::open(from).at(from)?;
    let size = file.metadata().at(from)?.len();
    if size > part.size() {
        let (name, room) = (part.name(), part.size());
        return Err(format!(
            "{} has {size} bytes, {name} room for {room}",
            from.display()
        ));
    }
    let mut buffer = vec![0; 1 << 16];
    let mut at = part.start();
    loop {
        let count = file.read(&mut buffer).at(from)?;
        if count == 0 {
            return Ok(());
        }
        if buffer[..count].iter().any(|byte| *byte != 0) {
            disk.seek(SeekFrom::Start(at)).at(from)?;
            disk.write_all(&buffer[..count]).at(from)?;
        }
        at += u64::try_from(count).unwrap_or(0);
    }
}

/// The forms besides the raw one. The copies of the system cost next to nothing: what repeats
/// within 128 MiB is said once.
fn hand_out(disk: &Disk) -> Outcome<()> {
    let mut zstd = Command::new("zstd");
    zstd.args(["-q", "-f", "-12", "--long=27", "-T0", "-o"])
        .arg(&disk.packed);
    output(zstd.arg(&disk.raw))?;
    for (form, to) in [("qcow2", &disk.qcow2), ("vmdk", &disk.vmdk)] {
        let mut convert = Command::new("qemu-img");
        convert.args(["convert", "-f", "raw", "-O", form]);
        if form == "qcow2" {
            convert.arg("-c");
        } else {
            convert.args(["-o", "subformat=streamOptimized"]);
        }
        output(convert.arg(&disk.raw).arg(to))?;
    }
    Ok(())
}

fn fat(image: &Path, shape: &[&str], serial: &str) -> Outcome<()> {
    let mut make = Command::new("mkfs.fat");
    make.args(shape)
        .args(["--invariant", "-i", serial])
        .arg(image);
    output(&mut make).map(|_| ())
}

/// A tool of mtools on an image, with times of its own.
fn mtools(name: &str, image: &Path) -> Command {
    let mut command = Command::new(name);
    command.env("SOURCE_DATE_EPOCH", "1").env("TZ", "UTC");
    command.env("MTOOLS_SKIP_CHECK", "1").arg("-i").arg(image);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guids_are_guids() {
        let all: std::collections::BTreeSet<String> =
            Part::ALL.iter().map(|part| guid(part.name())).collect();
        assert_eq!(all.len(), Part::ALL.len());
        for one in all {
            let lengths: Vec<usize> = one.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12], "{one}");
        }
    }

    #[test]
    fn scripts_name_the_numbers_of_the_partitions() {
        let read = |name: &str| fs::read_to_string(places::common().join(name)).unwrap();
        let grub = read("grub.cfg");
        for (letter, [boot, root]) in [
            ("a", [Part::BootA, Part::RootA]),
            ("b", [Part::BootB, Part::RootB]),
            ("r", [Part::BootR, Part::RootR]),
        ] {
            let (boot, root) = (boot.number(), root.number());
            let line = format!("= {letter} ]; then set boot={boot}; set part={root}; fi");
            assert!(grub.contains(&line), "{line}");
        }
        let state = Part::State.number();
        assert_eq!(grub.matches("/state$").count(), 2);
        assert_eq!(
            grub.matches(&format!("($disk,gpt{state})/state$")).count(),
            2
        );
        let boot = read("rootfs-overlay/usr/libexec/ramson/boot");
        for part in [
            Part::State,
            Part::BootA,
            Part::RootA,
            Part::BootB,
            Part::RootB,
            Part::Data,
        ] {
            let line = format!("{}) key={} ;;", part.number(), part.name());
            assert!(boot.contains(&line), "{line}");
        }
    }
}
