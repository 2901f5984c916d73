//! `cargo ci`: everything a change is held to, in one run, the same here and on a build machine.
//!
//! Arguments name steps to run only those. The last line counts tests, and steps without tests
//! as one each.

use std::io::{BufRead, BufReader, Write, stdout};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use ramson_tests::fault::{About, Fault, Outcome};
use ramson_tests::peers::Suite;
use ramson_tests::{places, setup, stop, wall};

/// One step: its name, what it runs, and how long it may take.
struct Step {
    name: &'static str,
    words: &'static [&'static str],
    minutes: u64,
}

const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        words: &["fmt", "--all", "--", "--check"],
        minutes: 2,
    },
    Step {
        name: "clippy",
        words: &[
            "clippy",
            "-q",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
        minutes: 20,
    },
    Step {
        name: "doc",
        words: &["doc", "-q", "--workspace", "--no-deps"],
        minutes: 10,
    },
    // Skipped where cargo-deny is not installed: building it takes longer than everything else.
    Step {
        name: "deny",
        words: &["deny", "--offline", "check", "bans", "licenses", "sources"],
        minutes: 5,
    },
    Step {
        name: "test",
        words: &["test", "-q", "--workspace"],
        minutes: 30,
    },
    Step {
        name: "browser",
        words: &[
            "test",
            "-q",
            "-p",
            "ramson-router",
            "-p",
            "ramson-tests",
            "--test",
            "browser",
            "--test",
            "pages",
            "--",
            "--ignored",
            "--test-threads=1",
        ],
        minutes: 5,
    },
    Step {
        name: "interop",
        words: &[
            "test",
            "-q",
            "-p",
            "ramson-tests",
            "--test",
            "interop",
            "--test",
            "interop_transit",
            "--test",
            "interop_lan",
            "--",
            "--ignored",
            "--test-threads=1",
            "--nocapture",
        ],
        minutes: 30,
    },
    // The first run on a machine builds two kernels.
    Step {
        name: "image",
        words: &[
            "test",
            "-q",
            "-p",
            "ramson-tests",
            "--test",
            "image",
            "--test",
            "image_disk",
            "--",
            "--ignored",
            "--test-threads=1",
            "--nocapture",
        ],
        minutes: 45,
    },
];

#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
}

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    match run_all(&wanted) {
        Ok(tally) => {
            println!("{} passed, {} failed", tally.passed, tally.failed);
            if tally.failed == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(fault) => {
            println!("ci: {fault}");
            println!("0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}

fn run_all(wanted: &[String]) -> Outcome<Tally> {
    if let Some(name) = wanted.iter().find(|w| STEPS.iter().all(|s| s.name != *w)) {
        let names: Vec<&str> = STEPS.iter().map(|s| s.name).collect();
        return Err(Fault::new(format!(
            "no step {name}; there are {}",
            names.join(", ")
        )));
    }
    stop::install()?;
    let start = wall::now();
    setup::ready(&Suite::ALL, true)?;
    setup::tools()?;
    setup::toolchain()?;
    println!("--- setup: {:.0} s", wall::since(start));
    let mut tally = Tally::default();
    let mut lines = Vec::new();
    for step in STEPS
        .iter()
        .filter(|s| wanted.is_empty() || wanted.iter().any(|w| w == s.name))
    {
        stop::check()?;
        if step.name == "deny" && places::cargo_command("deny").is_none() {
            lines.push("deny     skipped: cargo-deny is not installed".to_string());
            continue;
        }
        println!("--- {}: cargo {}", step.name, step.words.join(" "));
        let begin = wall::now();
        let ok = run_step(step, &mut tally)?;
        let verdict = if ok { "ok" } else { "FAILED" };
        lines.push(format!(
            "{:8} {verdict:6} {:6.0} s",
            step.name,
            wall::since(begin)
        ));
    }
    println!(
        "---\n{}\ntotal {:.0} s",
        lines.join("\n"),
        wall::since(start)
    );
    Ok(tally)
}

/// Runs one step and adds its tests to the tally.
fn run_step(step: &Step, tally: &mut Tally) -> Outcome<bool> {
    let mut command = Command::new("cargo");
    command.args(step.words).current_dir(places::repository());
    command.env("CARGO_TARGET_DIR", places::target());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0);
    let mut child = command.spawn().about("cargo")?;
    let out = child.stdout.take().ok_or_else(|| Fault::new("no output"))?;
    let (sender, lines) = sync_channel(1024);
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(out).lines().map_while(Result::ok);
        lines
            .take_while(|line| sender.send(line.clone()).is_ok())
            .count()
    });
    let mut counted = Tally::default();
    follow(&lines, &mut child, step, &mut counted)?;
    drop(lines);
    let status = child.wait()?;
    let _ = reader.join();
    if !status.success() && counted.failed == 0 {
        counted.failed = 1; // it did not build, hung, or is no test at all
    }
    if status.success() && counted.passed == 0 {
        counted.passed = 1;
    }
    tally.passed += counted.passed;
    tally.failed += counted.failed;
    Ok(status.success())
}

/// Prints and counts until the output ends; ends the step when its time is over or on Ctrl-C.
fn follow(
    lines: &Receiver<String>,
    child: &mut Child,
    step: &Step,
    tally: &mut Tally,
) -> Outcome<()> {
    let mut limit = wall::now() + Duration::from_secs(60 * step.minutes);
    let mut signals = [Signal::SIGINT, Signal::SIGKILL].into_iter();
    let mut asked = false;
    loop {
        match lines.recv_timeout(Duration::from_millis(200)) {
            Ok(line) => {
                println!("{line}");
                count(&line, tally);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => stdout().flush()?,
        }
        let interrupted = stop::asked() && !asked;
        if interrupted || wall::now() >= limit {
            asked = true;
            limit = wall::now() + Duration::from_secs(60);
            let (Some(signal), Ok(id)) = (signals.next(), i32::try_from(child.id())) else {
                break;
            };
            println!("--- ending {}", step.name);
            let _ = killpg(Pid::from_raw(id), signal);
        }
    }
    Ok(())
}

/// Reads lines such as `test result: ok. 9 passed; 0 failed; …`.
fn count(line: &str, tally: &mut Tally) {
    let Some(rest) = line.strip_prefix("test result: ") else {
        return;
    };
    let number = |word: &str| {
        let before = rest.split(word).next().unwrap_or("");
        before
            .split_whitespace()
            .next_back()
            .and_then(|n| n.parse::<u64>().ok())
            .unwrap_or(0)
    };
    tally.passed += number(" passed");
    tally.failed += number(" failed");
}
