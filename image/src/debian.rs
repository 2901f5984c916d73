//! Debian packages, unpacked beside the system: nothing is installed.
//!
//! apt runs on lists of its own, for whatever architecture, with the mirrors and keys that this
//! machine is set up with.

use crate::arch::Arch;
use crate::fault::{About, Outcome};
use crate::places;
use crate::run::output;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Parts that are older are fetched anew, for the sake of what was mended in them meanwhile.
const FRESH: Duration = Duration::from_secs(7 * 24 * 3600);

/// Suites name dependencies that nothing here runs with.
const NOT_FOLLOWED: &[&str] = &[
    "--no-recommends",
    "--no-suggests",
    "--no-conflicts",
    "--no-breaks",
    "--no-replaces",
    "--no-enhances",
];

/// apt for one architecture.
pub struct Apt {
    arch: Arch,
    folder: PathBuf,
}

impl Apt {
    /// With fresh lists.
    ///
    /// # Errors
    /// What apt said.
    pub fn new(arch: Arch) -> Outcome<Self> {
        let folder = places::built(arch).join("apt");
        for part in ["lists/partial", "cache/archives/partial"] {
            let part = folder.join(part);
            fs::create_dir_all(&part).at(&part)?;
        }
        let made = Self { arch, folder };
        made.run("apt-get", &["-qq", "update"])?;
        Ok(made)
    }

    fn run(&self, program: &str, words: &[&str]) -> Outcome<String> {
        let mut command = Command::new(program);
        let folder = self.folder.display();
        for option in [
            format!("APT::Architecture={}", self.arch.debian()),
            format!("APT::Architectures={}", self.arch.debian()),
            format!("Dir::State::Lists={folder}/lists"),
            format!("Dir::Cache={folder}/cache"),
            "Dir::State::status=/dev/null".to_owned(),
            // The folder may be out of the reach of apt's own user.
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command.env("DEBIAN_FRONTEND", "noninteractive");
        output(command.args(words).current_dir(&self.folder))
    }

    /// The newest version of a package.
    ///
    /// # Errors
    /// There is none.
    pub fn version(&self, package: &str) -> Outcome<String> {
        let text = self.run("apt-cache", &["show", "--no-all-versions", package])?;
        let version = text.lines().find_map(|l| l.strip_prefix("Version: "));
        version
            .map(str::to_owned)
            .ok_or_else(|| format!("no package {package} in this machine's Debian"))
    }

    /// Packages and the libraries they need.
    fn closure(&self, packages: &[&str]) -> Outcome<BTreeSet<String>> {
        let words = [&["depends", "--recurse"], NOT_FOLLOWED, packages].concat();
        let text = self.run("apt-cache", &words)?;
        let names = text.lines().filter(|l| !l.starts_with([' ', '<', '|']));
        Ok(names
            .map(|name| name.split(':').next().unwrap_or(name).to_owned())
            .filter(|name| is_library(name) || packages.contains(&name.as_str()))
            .collect())
    }

    /// Fetches packages, without what they need, and unpacks them into a folder.
    ///
    /// # Errors
    /// What apt or dpkg said.
    pub fn unpack(&self, packages: &[String], into: &Path) -> Outcome<()> {
        fs::create_dir_all(into).at(into)?;
        let mut words = vec!["-qq", "download"];
        words.extend(packages.iter().map(String::as_str));
        self.run("apt-get", &words)?;
        for entry in fs::read_dir(&self.folder).at(&self.folder)? {
            let path = entry.at(&self.folder)?.path();
            if path.extension().is_some_and(|e| e == "deb") {
                output(Command::new("dpkg").arg("-x").arg(&path).arg(into))?;
                fs::remove_file(&path).at(&path)?;
            }
        }
        Ok(())
    }
}

fn is_library(package: &str) -> bool {
    package.starts_with("lib") || package.starts_with("zlib")
}

/// A folder with packages, and the libraries they need, unpacked; fetched when it is not there or
/// has become old.
///
/// # Errors
/// What apt or dpkg said.
pub fn parts(arch: Arch, name: &str, packages: &[&str]) -> Outcome<PathBuf> {
    let folder = places::built(arch).join(name);
    if is_fresh(&folder) {
        return Ok(folder);
    }
    let apt = Apt::new(arch)?;
    let all: Vec<String> = apt.closure(packages)?.into_iter().collect();
    let part = folder.with_extension("part");
    let _ = fs::remove_dir_all(&part);
    apt.unpack(&all, &part)?;
    let _ = fs::remove_dir_all(&folder);
    // The age is that of the folder itself, which dpkg has given another one.
    let stamp = part.join("stamp");
    fs::write(&stamp, all.join("\n")).at(&stamp)?;
    fs::rename(&part, &folder).at(&folder)?;
    Ok(folder)
}

fn is_fresh(folder: &Path) -> bool {
    let age = fs::metadata(folder.join("stamp"))
        .and_then(|m| m.modified())
        .map(|time| time.elapsed().unwrap_or_default());
    age.is_ok_and(|age| age < FRESH)
}
