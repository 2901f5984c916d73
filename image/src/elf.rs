//! What a dynamic program needs to run: its loader and its libraries, and theirs.

use crate::fault::{About, Outcome};
use crate::run::output;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs and libraries of a folder of unpacked packages, by their names.
pub struct Parts(BTreeMap<String, PathBuf>);

impl Parts {
    /// Looks through a folder. Links that lead out of it are left out: what they name is this
    /// machine's own.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(root: &Path) -> Outcome<Self> {
        let inside = root.canonicalize().at(root)?;
        let is_file = |path: &Path| {
            let real = path.canonicalize().unwrap_or_default();
            real.starts_with(&inside) && real.is_file()
        };
        let mut found = BTreeMap::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).at(&folder)? {
                let entry = entry.at(&folder)?;
                let is_dir = entry.file_type().at(&folder)?.is_dir();
                if is_dir
                    && !["share", "etc"]
                        .iter()
                        .any(|name| entry.file_name() == *name)
                {
                    folders.push(entry.path());
                } else if is_file(&entry.path()) {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    found.insert(name, entry.path());
                }
            }
        }
        Ok(Self(found))
    }

    /// A file by its name.
    ///
    /// # Errors
    /// There is none.
    pub fn find(&self, name: &str) -> Outcome<&Path> {
        let found = self.0.get(name).map(PathBuf::as_path);
        found.ok_or_else(|| format!("no package has brought {name}"))
    }

    /// All that programs need: (path in the root, file), the loader where it is looked for,
    /// libraries in `lib`.
    ///
    /// # Errors
    /// Something needed is in no package.
    pub fn needed_by(&self, programs: &[&Path], lib: &str) -> Outcome<BTreeMap<PathBuf, PathBuf>> {
        let mut files = BTreeMap::new();
        let mut known = BTreeSet::new();
        let mut left: Vec<PathBuf> = programs.iter().map(|p| p.to_path_buf()).collect();
        while let Some(file) = left.pop() {
            let text = output(Command::new("readelf").arg("-dlW").arg(&file))?;
            let Needs { loader, libraries } = needs(&text);
            if let Some(loader) = loader {
                let name = loader.rsplit('/').next().unwrap_or_default();
                let to = PathBuf::from(loader.trim_start_matches('/'));
                files.insert(to, self.find(name)?.to_path_buf());
                known.insert(name.to_owned());
            }
            for name in libraries {
                if known.insert(name.clone()) {
                    let from = self.find(&name)?.to_path_buf();
                    files.insert(Path::new(lib).join(&name), from.clone());
                    left.push(from);
                }
            }
        }
        Ok(files)
    }
}

/// What one file asks for.
struct Needs {
    loader: Option<String>,
    libraries: Vec<String>,
}

/// Out of what `readelf -dlW` says.
fn needs(text: &str) -> Needs {
    let within = |line: &str, before: &str| {
        let rest = line.split_once(before)?.1;
        Some(rest.split_once(']')?.0.to_owned())
    };
    let loader = text
        .lines()
        .find_map(|line| within(line, "[Requesting program interpreter: "));
    let needed = text.lines().filter(|line| line.contains("(NEEDED)"));
    Needs {
        loader,
        libraries: needed.filter_map(|line| within(line, "[")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_out_of_the_packages_are_not_followed() {
        let root = std::env::temp_dir().join(format!("ramson-parts-{}", std::process::id()));
        let [bin, sbin] = ["bin", "sbin"].map(|name| root.join(name));
        for folder in [&bin, &sbin] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(bin.join("tool"), "ours").unwrap();
        std::os::unix::fs::symlink("tool", bin.join("alias")).unwrap();
        std::os::unix::fs::symlink("/bin/sh", sbin.join("tool")).unwrap();
        std::os::unix::fs::symlink("/bin/sh", sbin.join("sh")).unwrap();
        let parts = Parts::of(&root).unwrap();
        let found = ["tool", "alias", "sh"].map(|name| parts.find(name).map(fs::read));
        fs::remove_dir_all(&root).unwrap();
        let [tool, alias, sh] = found;
        assert_eq!(tool.unwrap().unwrap(), b"ours");
        assert_eq!(alias.unwrap().unwrap(), b"ours");
        assert!(sh.is_err());
    }

    #[test]
    fn loader_and_libraries_are_read() {
        let text = "\
      [Requesting program interpreter: /lib64/ld-linux-x86-64.so.2]
 0x0000000000000001 (NEEDED)             Shared library: [libnftables.so.1]
 0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]
 0x000000000000000e (SONAME)             Library soname: [libmine.so.1]
";
        let Needs { loader, libraries } = needs(text);
        assert_eq!(loader.as_deref(), Some("/lib64/ld-linux-x86-64.so.2"));
        assert_eq!(libraries, ["libnftables.so.1", "libc.so.6"]);
    }
}
