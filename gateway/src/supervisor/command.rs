//! Runs `nft` and `ip`. Their input is ours alone: nothing from a network reaches it.

use std::io::Write;
use std::process::{Command, Stdio};

/// Loads rules in one transaction.
///
/// # Errors
/// What `nft` said.
pub fn nft(rules: &str) -> Result<(), String> {
    let mut command = Command::new("nft");
    command.args(["-f", "-"]);
    run(command, rules).map(|_| ())
}

/// The loaded rules as text, without counters.
///
/// # Errors
/// What `nft` said.
pub fn nft_list() -> Result<String, String> {
    let mut command = Command::new("nft");
    command.args(["-s", "list", "ruleset"]);
    run(command, "")
}

/// All counters of the rules, as text.
///
/// # Errors
/// What `nft` said.
pub fn nft_counters() -> Result<String, String> {
    let mut command = Command::new("nft");
    command.args(["list", "counters"]);
    run(command, "")
}

/// Runs `ip` with the words of a line. A line that starts with `-` and a space may fail.
///
/// # Errors
/// What `ip` said.
pub fn ip(line: &str) -> Result<(), String> {
    let (words, may_fail) = match line.strip_prefix("- ") {
        Some(words) => (words, true),
        None => (line, false),
    };
    let mut command = Command::new("ip");
    command.args(words.split_whitespace());
    let done = run(command, "").map(|_| ());
    if may_fail { Ok(()) } else { done }
}

fn run(mut command: Command, input: &str) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let fail = |e: &dyn std::fmt::Display| format!("{name}: {e}");
    let piped = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = piped.spawn().map_err(|e| fail(&e))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends before it has read everything says why on its own.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|e| fail(&e))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(fail(&String::from_utf8_lossy(&output.stderr).trim()))
}
