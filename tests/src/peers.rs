//! Other people's routers to test against: i2pd as packaged by Debian, unpacked beside the system.
//!
//! The same for a program whose package would start a service where it is installed (`tool`).
//!
//! Nothing is installed: apt runs on a state directory of its own with the machine's own mirror
//! and keyring, and the peer runs on the libraries it was packaged with, by its own loader.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fault::{About, Fault, Outcome};
use crate::{places, process};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Which Debian suite an i2pd comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suite {
    /// i2pd 2.56
    Trixie,
    /// i2pd 2.59
    Forky,
}

impl Suite {
    pub const ALL: [Suite; 2] = [Suite::Trixie, Suite::Forky];

    pub fn name(self) -> &'static str {
        match self {
            Suite::Trixie => "trixie",
            Suite::Forky => "forky",
        }
    }

    /// From an argument: a suite, or `both`.
    pub fn parse(text: &str) -> Outcome<Vec<Suite>> {
        match text {
            "trixie" => Ok(vec![Suite::Trixie]),
            "forky" => Ok(vec![Suite::Forky]),
            "both" => Ok(Suite::ALL.to_vec()),
            _ => Err(Fault::new(format!("{text}: trixie, forky or both"))),
        }
    }
}

/// A runnable i2pd, or another program.
#[derive(Clone, Debug)]
pub struct Peer {
    loader: PathBuf,
    libraries: String,
    program: PathBuf,
}

impl Peer {
    /// The words that start it, before its own arguments.
    pub fn words(&self) -> Vec<String> {
        let path = |p: &Path| p.to_string_lossy().into_owned();
        vec![
            path(&self.loader),
            "--library-path".to_string(),
            self.libraries.clone(),
            path(&self.program),
        ]
    }

    pub fn version(&self) -> Outcome<String> {
        let words = self.words();
        let (first, rest) = words.split_first().ok_or_else(|| Fault::new("no peer"))?;
        let text = process::output(Command::new(first).args(rest).arg("--version"))?;
        Ok(text.lines().next().unwrap_or("").trim().to_string())
    }
}

/// The peer of a suite, unpacked on first use into the build directory.
pub fn get(suite: Suite) -> Outcome<Peer> {
    unpacked(suite, "i2pd", suite.name())
}

/// A package's program of the same name, which `peers/bin` in the build directory then starts.
pub fn tool(package: &str) -> Outcome<PathBuf> {
    let program = unpacked(Suite::Trixie, package, package)?;
    let start = places::folder(places::target().join("peers/bin"))?.join(package);
    let words: Vec<String> = program.words().iter().map(|w| format!("'{w}'")).collect();
    places::write(
        &start,
        format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" ")),
    )?;
    fs::set_permissions(&start, fs::Permissions::from_mode(0o755))?;
    Ok(start)
}

fn unpacked(suite: Suite, package: &str, name: &str) -> Outcome<Peer> {
    let folder = places::target().join("peers").join(name);
    if !folder.join("root").is_dir() {
        let part = folder.with_file_name(format!("{name}.{}.part", std::process::id()));
        let made = unpack(suite, package, &part);
        let moved = made.and_then(|()| fs::rename(&part, &folder).about("peer folder"));
        let _ = fs::remove_dir_all(&part);
        // Another run may have been faster: its result serves as well.
        if !folder.join("root").is_dir() {
            moved.about(&format!("{package} of {}", suite.name()))?;
        }
    }
    find(&folder.join("root"), package)
}

fn unpack(suite: Suite, package: &str, folder: &Path) -> Outcome<()> {
    let apt = Apt::new(suite, folder)?;
    apt.run("apt-get", &["-qq", "update"])?;
    let packages = apt.closure(package)?;
    let mut words = vec!["-qq", "download"];
    words.extend(packages.iter().map(String::as_str));
    apt.run("apt-get", &words)?;
    let root = places::folder(folder.join("root"))?;
    for entry in fs::read_dir(&apt.folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "deb") {
            process::output(Command::new("dpkg").arg("-x").arg(&path).arg(&root))?;
        }
    }
    fs::remove_dir_all(&apt.folder)?;
    Ok(())
}

/// apt on a private state directory.
struct Apt {
    folder: PathBuf,
    config: PathBuf,
}

impl Apt {
    fn new(suite: Suite, parent: &Path) -> Outcome<Apt> {
        let folder = places::folder(parent.join("apt"))?;
        places::folder(folder.join("lists/partial"))?;
        places::folder(folder.join("cache/archives/partial"))?;
        places::write(&folder.join("status"), "")?;
        let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let keyring = if Path::new(KEYRING).is_file() {
            format!("[signed-by={KEYRING}] ")
        } else {
            String::new()
        };
        let source = format!("deb {keyring}{} {} main\n", mirror()?, suite.name());
        places::write(&folder.join("sources.list"), source)?;
        let config = format!(
            "Dir::Etc::SourceList \"{}\";\nDir::Etc::SourceParts \"/nonexistent\";\n\
             Dir::State::Lists \"{}\";\nDir::Cache \"{}\";\nDir::State::status \"{}\";\n\
             APT::Sandbox::User \"root\";\n",
            at("sources.list"),
            at("lists"),
            at("cache"),
            at("status"),
        );
        let file = folder.join("apt.conf");
        places::write(&file, config)?;
        Ok(Apt {
            folder,
            config: file,
        })
    }

    fn run(&self, program: &str, words: &[&str]) -> Outcome<String> {
        let mut command = Command::new(program);
        command
            .args(words)
            .env("APT_CONFIG", &self.config)
            .current_dir(&self.folder);
        process::output(&mut command)
    }

    /// `package` and the libraries it needs, and theirs. What its install scripts would need is
    /// left out: they are never run.
    fn closure(&self, package: &str) -> Outcome<BTreeSet<String>> {
        let mut known = BTreeSet::from([package.to_string()]);
        let mut fresh = known.clone();
        while !fresh.is_empty() {
            let mut words = vec!["depends", "--important"];
            words.extend(fresh.iter().map(String::as_str));
            let text = self.run("apt-cache", &words)?;
            let depends = text
                .lines()
                .filter_map(|l| l.trim().strip_prefix("Depends: "));
            fresh = depends
                .filter(|name| name.starts_with("lib") || name.starts_with("zlib"))
                .map(str::to_string)
                .filter(|name| !known.contains(name))
                .collect();
            known.extend(fresh.iter().cloned());
        }
        Ok(known)
    }
}

/// The Debian mirror this machine is set up with.
fn mirror() -> Outcome<String> {
    let is_mirror =
        |word: &str| word.starts_with("http") && word.trim_end_matches('/').ends_with("/debian");
    let policy = process::run(&["apt-cache", "policy"]).unwrap_or_default();
    let mut texts = vec![policy];
    let lists = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten();
    let files = lists.filter_map(|e| Some(e.ok()?.path()));
    for file in files.chain([PathBuf::from("/etc/apt/sources.list")]) {
        texts.push(fs::read_to_string(file).unwrap_or_default());
    }
    texts
        .iter()
        .flat_map(|text| text.lines().filter(|l| !l.trim_start().starts_with('#')))
        .flat_map(str::split_whitespace)
        .find(|word| is_mirror(word))
        .map(str::to_string)
        .ok_or_else(|| Fault::new("apt has no Debian mirror configured"))
}

/// Finds loader, library folders and program under an unpacked root.
fn find(root: &Path, program: &str) -> Outcome<Peer> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    let mut libraries = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("lib") && name.contains(".so") {
                libraries.insert(folder.to_string_lossy().into_owned());
            }
            let is_loader = name.starts_with("ld-linux") && name.contains(".so");
            let is_program = name == program && folder.ends_with("bin") | folder.ends_with("sbin");
            if is_loader {
                files.insert("loader", path);
            } else if is_program {
                files.insert("program", path);
            }
        }
    }
    let take = |what: &str| {
        let file = files.get(what).cloned();
        file.ok_or_else(|| Fault::new(format!("no {what} in {}", root.display())))
    };
    let libraries: Vec<String> = libraries.into_iter().collect();
    Ok(Peer {
        loader: take("loader")?,
        libraries: libraries.join(":"),
        program: take("program")?,
    })
}
