//! A directory of its own for a `routerd` that a test starts.

// Each test program uses some of it; helpers of a test may panic.
#![allow(dead_code, clippy::disallowed_methods, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/vectors")
        .join(name)
}

/// A directory of its own with a configuration in it.
pub struct Place(pub PathBuf);

impl Place {
    pub fn new(name: &str, more: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("ramson-bad-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let at = dir.display();
        let config = format!(
            "data_dir = \"{at}/data\"\n[network]\nnet_id = 99\n[http_proxy]\nenabled = false\n\
             [sockets]\nstream = \"{at}/s.sock\"\ncontrol = \"{at}/c.sock\"\n{more}"
        );
        fs::write(dir.join("routerd.toml"), config).unwrap();
        Self(dir)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_routerd"));
        command
            .args(words)
            .arg("--config")
            .arg(self.file("routerd.toml"));
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .stdin(Stdio::null());
        command
    }

    /// Runs to its own end, which has to come by itself.
    pub fn run(&self, words: &[&str]) -> Output {
        let child = self.command(words).spawn().unwrap();
        ended(child)
    }

    /// Starts it and waits until its core runs.
    pub fn start(&self) -> Child {
        let mut child = self.command(&[]).spawn().unwrap();
        let start = Instant::now();
        while !self.status().contains("uptime_seconds") {
            if start.elapsed() > PATIENCE || child.try_wait().unwrap().is_some() {
                let _ = child.kill();
                let output = child.wait_with_output().unwrap();
                panic!("routerd did not start: {}", words(&output));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        child
    }

    /// What it says of itself; empty while it does not.
    pub fn status(&self) -> String {
        String::from_utf8_lossy(&self.run(&["status"]).stdout).into_owned()
    }

    /// Asks a running one to stop.
    pub fn stop(&self, child: Child) -> Output {
        assert!(self.run(&["shutdown"]).status.success());
        ended(child)
    }

    /// Runs until its core runs, then asks it to stop.
    pub fn start_and_stop(&self) -> Output {
        let child = self.start();
        self.stop(child)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn ended(mut child: Child) -> Output {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("routerd did not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

pub fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
