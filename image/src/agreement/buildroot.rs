//! What a release of Buildroot itself says of the external tree.

use crate::arch::Arch;
use crate::fault::{About, Outcome};
use crate::places;
use crate::run::output;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Everything that a release complains of, given the folder it is unpacked in: lines of a
/// defconfig that it does not take, and what its check of packages finds.
///
/// # Errors
/// It is no release, or its tools do not run.
pub fn complaints(release: &Path) -> Outcome<Vec<String>> {
    let check = release.join("utils/check-package");
    if !check.is_file() || !release.join("package/Makefile.in").is_file() {
        return Err(format!("{}: no release of Buildroot", release.display()));
    }
    let mut found = Vec::new();
    for arch in Arch::ALL {
        found.extend(defconfig(release, arch)?);
    }
    found.extend(packages(&check)?);
    Ok(found)
}

/// Lines of a defconfig that are not in the configuration made of it.
fn defconfig(release: &Path, arch: Arch) -> Outcome<Vec<String>> {
    let name = format!("ramson_{}_defconfig", arch.name());
    let made = places::built(arch).join("buildroot");
    fs::create_dir_all(&made).at(&made)?;
    let mut make = Command::new("make");
    make.arg("-s").arg("-C").arg(release);
    make.arg(format!("O={}", made.display()));
    make.arg(format!("BR2_EXTERNAL={}", places::external().display()));
    output(make.arg(&name).env_remove("MAKEFLAGS"))?;
    let [wanted, taken] = [
        places::external().join("configs").join(&name),
        made.join(".config"),
    ]
    .map(|path| {
        let text = fs::read_to_string(&path).at(&path)?;
        Ok::<_, String>(text)
    });
    Ok(lost(&wanted?, &taken?)
        .map(|line| format!("Buildroot does not take this line of {name}: {line}"))
        .collect())
}

/// Settings of the first text that the second has not.
fn lost<'a>(wanted: &'a str, taken: &'a str) -> impl Iterator<Item = &'a str> {
    let taken: BTreeSet<&str> = taken.lines().collect();
    let settings = wanted.lines().filter(|line| {
        line.starts_with("BR2_") || (line.starts_with("# BR2_") && line.ends_with(" is not set"))
    });
    settings.filter(move |line| !taken.contains(line))
}

fn packages(check: &Path) -> Outcome<Vec<String>> {
    let mut files = Vec::new();
    files_below(&places::external(), &mut files)?;
    let mut command = Command::new(check);
    command.arg("-b").args(&files);
    let done = command.output().at(check)?;
    if done.status.success() {
        return Ok(Vec::new());
    }
    let said =
        String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    let lines = said.lines().filter(|line| !line.trim().is_empty());
    Ok(lines.map(|line| format!("check-package: {line}")).collect())
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) -> Outcome<()> {
    for entry in fs::read_dir(folder).at(folder)? {
        let path = entry.at(folder)?.path();
        if path.is_dir() {
            files_below(&path, files)?;
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_lines_are_those_that_were_not_taken() {
        let wanted = "# words\nBR2_a=y\n# BR2_b is not set\nBR2_c=\"x\"\n";
        let taken = "BR2_a=y\nBR2_c=\"y\"\n";
        let found: Vec<&str> = lost(wanted, taken).collect();
        assert_eq!(found, ["# BR2_b is not set", "BR2_c=\"x\""]);
    }

    #[test]
    fn another_folder_is_no_release() {
        let fault = complaints(&places::external()).unwrap_err();
        assert!(fault.contains("no release"), "{fault}");
    }
}
