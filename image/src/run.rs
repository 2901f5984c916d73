//! Runs programs: short ones for what they print, long ones with a log and signs of life.

use crate::fault::{About, Outcome};
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Write, stdout};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The words of a command, for errors.
fn words(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for word in command.get_args() {
        line.push(' ');
        line.push_str(&word.to_string_lossy());
    }
    line
}

/// Runs a short command to its end and gives back what it printed.
///
/// # Errors
/// What it complained of.
pub fn output(command: &mut Command) -> Outcome<String> {
    let line = words(command);
    let done = command.stdin(Stdio::null()).output().about(&line)?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&done.stderr);
    Err(format!("{line}: {} ({})", done.status, complaint.trim()))
}

/// Runs a long command: what it prints goes to the log, the count of its lines and the time to
/// whoever waits.
///
/// # Errors
/// The end of the log.
pub fn long(name: &str, command: &mut Command, log: &Path) -> Outcome<()> {
    let line = words(command);
    let mut file = File::create(log).at(log)?;
    let errors = file.try_clone().at(log)?;
    let piped = command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = piped.stderr(errors).spawn().about(&line)?;
    let mut progress = Progress::new(name);
    if let Some(out) = child.stdout.take() {
        for text in BufReader::new(out).lines() {
            let text = text.about(&line)?;
            writeln!(file, "{text}").at(log)?;
            progress.line();
        }
    }
    let status = child.wait().about(&line)?;
    progress.end();
    if status.success() {
        return Ok(());
    }
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(15)..].join("\n");
    Err(format!(
        "{line}: {status}\n{last}\n(all of it: {})",
        log.display()
    ))
}

/// A line that says how far it is: rewritten on a terminal, printed now and then elsewhere.
struct Progress<'a> {
    name: &'a str,
    start: Instant,
    said: Instant,
    lines: u64,
    terminal: bool,
}

impl<'a> Progress<'a> {
    fn new(name: &'a str) -> Self {
        let now = now();
        Self {
            name,
            start: now,
            said: now,
            lines: 0,
            terminal: stdout().is_terminal(),
        }
    }

    fn line(&mut self) {
        self.lines += 1;
        let pause = Duration::from_secs(if self.terminal { 1 } else { 60 });
        if now().duration_since(self.said) < pause {
            return;
        }
        self.said = now();
        let text = format!(
            "    {}: {} lines, {:.0} s",
            self.name,
            self.lines,
            self.seconds()
        );
        if self.terminal {
            print!("\r{text}");
        } else {
            println!("{text}");
        }
        // Who waits sees it later otherwise.
        let _ = stdout().flush();
    }

    fn seconds(&self) -> f64 {
        now().duration_since(self.start).as_secs_f64()
    }

    fn end(&self) {
        if self.terminal && self.said > self.start {
            println!();
        }
    }
}

#[allow(clippy::disallowed_methods)] // builders run on real time
fn now() -> Instant {
    Instant::now()
}
