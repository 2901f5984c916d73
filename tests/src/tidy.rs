//! Checks of the source tree that no compiler makes: sizes, headers, words, and who may depend on
//! whom. Run as a test (`tests/tidy.rs`), so that a change that breaks a rule fails like any other.
//!
//! Not a formatter or a linter: rustfmt and clippy have their own steps in `cargo ci`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fault::{About, Fault, Outcome};
use crate::process;

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;
const COLUMNS: usize = 100;

/// Markers of unfinished work. Written apart so that this file does not hold them.
const WORDS: &[&str] = &[
    concat!("XX", "X"),
    concat!("FIX", "ME"),
    concat!("todo", "!"),
    concat!("unimplemented", "!"),
];

/// What each package may use of the workspace.
const MAY_USE: &[(&str, &[&str])] = &[
    ("ramson-ipc", &[]),
    ("ramson-proto", &["ramson-ipc"]),
    ("ramson-router", &["ramson-ipc", "ramson-proto"]),
    ("ramson-gateway", &["ramson-ipc", "ramson-layout"]),
    ("ramson-layout", &[]),
    ("ramson-image", &["ramson-layout"]),
];

/// Crates with effects, which the pure core must not know.
const IMPURE: &[&str] = &[
    "tokio",
    "sled",
    "nix",
    "rustls",
    "tiny_http",
    "mio",
    "socket2",
    "rand",
];

/// Everything wrong with the tree, one sentence each.
pub fn complaints(root: &Path) -> Outcome<Vec<String>> {
    let mut found = Vec::new();
    for file in sources(root)? {
        let name = file
            .strip_prefix(root)
            .unwrap_or(&file)
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&file).about(&name)?;
        found.extend(judge_file(&name, &text));
    }
    found.extend(judge_documents(root)?);
    found.extend(judge_packages(&packages(root)?));
    Ok(found)
}

/// Files of Rust that a document names by their whole path have to be there.
fn judge_documents(root: &Path) -> Outcome<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if path.extension().is_none_or(|end| end != "md") {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(&path).about(&name)?;
        for word in named_sources(&text) {
            if !root.join(word).is_file() {
                found.push(format!("{name} names {word}, which is not there"));
            }
        }
    }
    Ok(found)
}

/// What stands in backticks and looks like a path of a Rust file from the root.
fn named_sources(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let tops = ["router/", "gateway/", "image/", "tests/"];
    quoted.filter(move |word| word.ends_with(".rs") && tops.iter().any(|top| word.starts_with(top)))
}

/// All Rust files of the repository, build output aside.
fn sources(root: &Path) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).about(&folder.to_string_lossy())? {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The rules for one file.
pub fn judge_file(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    if name.ends_with("/mod.rs") {
        found.push(format!("{name}: modules are foo.rs beside foo/"));
    }
    if lines.len() > FILE_LINES {
        found.push(format!(
            "{name}: {} lines, at most {FILE_LINES}",
            lines.len()
        ));
    }
    let first = lines
        .iter()
        .find(|line| !line.trim().is_empty())
        .unwrap_or(&"");
    if !name.ends_with("tests.rs") && !first.starts_with("//!") {
        found.push(format!("{name}: starts without a module header (//!)"));
    }
    for (number, line) in (1..).zip(&lines) {
        if line.chars().count() > COLUMNS {
            found.push(format!("{name}:{number}: wider than {COLUMNS} columns"));
        }
        if let Some(word) = WORDS.iter().find(|word| line.contains(**word)) {
            found.push(format!("{name}:{number}: {word}"));
        }
    }
    for (number, length) in functions(&lines) {
        if length > FUNCTION_LINES {
            let limit = FUNCTION_LINES;
            found.push(format!(
                "{name}:{number}: function of {length} lines, at most {limit}"
            ));
        }
    }
    found
}

/// First line number and length of each function: rustfmt closes a body at its `fn`'s indent.
fn functions(lines: &[&str]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let body = line.trim_start();
        let indent = line.len() - body.len();
        let words = ["pub", "const", "async", "pub(crate)", "pub(super)"];
        let is_function = body.split(' ').find(|w| !words.contains(w)) == Some("fn");
        if !is_function || body.ends_with(';') || body.ends_with('}') {
            continue;
        }
        let rest = lines.iter().skip(index + 1);
        let end = rest.take_while(|l| {
            let inner = l.trim_start();
            !(inner.starts_with('}') && l.len() - inner.len() == indent)
        });
        found.push((index + 1, end.count() + 2));
    }
    found
}

/// Package → its direct dependencies (development ones aside).
fn packages(root: &Path) -> Outcome<BTreeMap<String, Vec<String>>> {
    let mut command = Command::new("cargo");
    command.args([
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ]);
    let text = process::output(command.current_dir(root))?;
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| Fault::new(error.to_string()))?;
    let list = |value: &serde_json::Value, key: &str| {
        value
            .get(key)
            .and_then(|v| v.as_array())
            .cloned()
            .unwrap_or_default()
    };
    let name_of = |v: &serde_json::Value| v["name"].as_str().unwrap_or_default().to_string();
    let used = |package: &serde_json::Value| {
        let all = list(package, "dependencies");
        all.iter()
            .filter(|d| d["kind"] != "dev")
            .map(name_of)
            .collect()
    };
    Ok(list(&json, "packages")
        .iter()
        .map(|p| (name_of(p), used(p)))
        .collect())
}

/// The rules for who uses whom.
pub fn judge_packages(packages: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, may) in MAY_USE {
        let Some(used) = packages.get(*name) else {
            continue;
        };
        let ours = used.iter().filter(|u| u.starts_with("ramson-"));
        for wrong in ours.filter(|u| !may.contains(&u.as_str())) {
            found.push(format!("{name} must not depend on {wrong}"));
        }
        if *name == "ramson-ipc" && !used.is_empty() {
            found.push(format!("{name} has dependencies: {used:?}"));
        }
        if *name == "ramson-proto" {
            for wrong in used.iter().filter(|u| IMPURE.contains(&u.as_str())) {
                found.push(format!("{name} must not know {wrong}"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_that_documents_name_are_seen() {
        let text = "see `tests/a.rs`, `b.rs` and `x` (tests/c.rs), `router/d/e.rs`";
        let found: Vec<&str> = named_sources(text).collect();
        assert_eq!(found, ["tests/a.rs", "router/d/e.rs"]);
    }

    #[test]
    fn sizes_and_headers_are_seen() {
        let fine = "//! A module.\n\nfn short() {\n    let x = 1;\n\n    drop(x);\n}\n";
        assert_eq!(judge_file("a/b.rs", fine), Vec::<String>::new());
        assert_eq!(judge_file("a/mod.rs", "//! x\n").len(), 1);
        assert_eq!(judge_file("a/b.rs", "fn x() {}\n").len(), 1);
        assert_eq!(
            judge_file("a/b.rs", &format!("//! x\n// {}\n", "y".repeat(98))).len(),
            1
        );
        let long = format!(
            "//! x\npub fn long() {{\n{}}}\n",
            "    call();\n".repeat(69)
        );
        assert_eq!(
            judge_file("a/b.rs", &long),
            ["a/b.rs:2: function of 71 lines, at most 70"]
        );
        assert_eq!(
            judge_file("a/b.rs", &format!("//! x\n{}", "\n".repeat(600))).len(),
            1
        );
        assert_eq!(
            judge_file("a/b.rs", &format!("//! x\n// {}\n", WORDS[0])).len(),
            1
        );
    }

    #[test]
    fn wrong_directions_are_seen() {
        let uses = |name: &str, used: &[&str]| {
            let used = used.iter().map(|u| u.to_string()).collect();
            judge_packages(&BTreeMap::from([(name.to_string(), used)]))
        };
        assert!(uses("ramson-router", &["ramson-proto", "tokio"]).is_empty());
        assert_eq!(uses("ramson-proto", &["tokio"]).len(), 1);
        assert_eq!(uses("ramson-gateway", &["ramson-proto"]).len(), 1);
        assert_eq!(uses("ramson-ipc", &["serde"]).len(), 1);
    }
}
