//! Runs `nft` and `ip`. Their input is ours alone: nothing from a network reaches it.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::ScopedJoinHandle;
use std::time::Duration;
use tokio::time::Instant;

/// How long one may take: rules take a tenth of a second, on a slow machine one or two.
const TIME: Duration = Duration::from_secs(20);

/// Longest output that is read, bytes.
const SAID_MAX: u64 = 4 << 20;

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

/// Runs a program without words; what it says.
///
/// # Errors
/// What it said then.
pub fn plain(program: &str) -> Result<String, String> {
    run(Command::new(program), "")
}

/// What the program says, if it ends well and in time.
fn run(command: Command, input: &str) -> Result<String, String> {
    run_within(command, input, TIME)
}

fn run_within(mut command: Command, input: &str, time: Duration) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let fail = |e: &dyn std::fmt::Display| format!("{name}: {e}");
    let piped = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = piped.spawn().map_err(|e| fail(&e))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let ended = std::thread::scope(|threads| {
        threads.spawn(|| {
            // A program that ends before it has read everything says why on its own.
            stdin.map(|mut stdin| stdin.write_all(input.as_bytes()))
        });
        let said = threads.spawn(|| read(stdout));
        let complained = threads.spawn(|| read(stderr));
        let status = wait(&mut child, time);
        // Whatever it started holds the pipes otherwise.
        if status.is_none() {
            kill_group(&mut child);
        }
        let text = |thread: ScopedJoinHandle<'_, Vec<u8>>| thread.join().unwrap_or_default();
        status.map(|status| (status, text(said), text(complained)))
    });
    match ended {
        None => Err(fail(&format!("has not ended in {time:?}, and was killed"))),
        Some((true, said, _)) => Ok(String::from_utf8_lossy(&said).into_owned()),
        Some((false, _, why)) => Err(fail(&String::from_utf8_lossy(&why).trim())),
    }
}

fn read(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What came until then is all there is.
        let _ = pipe.take(SAID_MAX).read_to_end(&mut bytes);
    }
    bytes
}

/// Whether it has ended well; `None`: not in time.
fn wait(child: &mut Child, time: Duration) -> Option<bool> {
    let stop = Instant::now() + time;
    let mut pause = Duration::from_micros(200);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.success()),
            Ok(None) if Instant::now() < stop => {}
            _ => return None,
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

fn kill_group(child: &mut Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // It may have ended by itself.
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, input: &str, time: Duration) -> Result<String, String> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run_within(command, input, time)
    }

    #[test]
    fn what_is_said_is_heard_and_failures_say_why() {
        let time = Duration::from_secs(20);
        assert_eq!(
            shell("cat; echo more", "some ", time),
            Ok("some more\n".into())
        );
        let long = "x".repeat(300_000);
        assert_eq!(shell("cat", &long, time), Ok(long.clone()));
        assert_eq!(
            shell("echo no >&2; exit 1", &long, time),
            Err("sh: no".into())
        );
        assert!(run(Command::new("no-such-program"), "").is_err());
    }

    #[test]
    fn what_hangs_is_killed_with_what_it_started() {
        let begun = Instant::now();
        let time = Duration::from_millis(200);
        for script in [
            "sleep 60",
            "sleep 60 & sleep 60",
            "trap '' TERM; sleep 60 & wait",
        ] {
            let said = shell(script, &"x".repeat(300_000), time);
            assert!(said.unwrap_err().contains("was killed"));
        }
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
