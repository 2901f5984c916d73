//! The machine's clock: what it begins with, who is asked, and who sets it. The client of time
//! servers is another user's process that reads what comes from the network; what it says is of
//! fixed size and judged (`crate::clock::judge`) before the clock is set here.
//!
//! The router waits until the time is known: one that is a minute off is refused by all others.

mod hand;

pub use hand::Hand;

use super::directory::Directory;
use super::pace::Pace;
use crate::clock::judge::{self, Source, Verdict};
use crate::clock::report::{self, LEN, Report};
use crate::clock::{NANOS, date};
use crate::config::Config;
use std::io::Write;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

/// Name of the time that is kept, in the state directory, and of what is known of the clock, beside
/// the admin socket: one lasts longer than the machine runs, the other no longer.
const KEPT: &str = "time";
const KNOWN: &str = "clock-known";

/// How often the time is kept.
const KEEP: Duration = Duration::from_secs(24 * 3600);

/// A step that the router does not get over: it begins anew.
const ROUTER: i64 = 30 * NANOS;

/// How much faster or slower the clock goes while it is brought nearer, millionths.
const SLEW_PPM: i64 = 500;

const PATIENCE: Duration = Duration::from_millis(500);

/// The clock and the client of time servers.
pub struct Clock {
    program: PathBuf,
    /// Uid and gid of the client; `None`: the clock is not kept here.
    user: Option<(u32, u32)>,
    running: Option<(std::process::Child, tokio::net::UnixStream)>,
    /// What has come of the next report.
    got: Vec<u8>,
    pace: Pace,
    servers: Vec<IpAddr>,
    /// What came of the last round.
    said: String,
    hand: Hand,
    source: Source,
    slow_until: Option<Instant>,
    keep_at: Instant,
    state_dir: PathBuf,
    run_dir: PathBuf,
}

/// What setting the clock has changed for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changed {
    /// The router has to begin anew.
    pub router: bool,
}

impl Clock {
    /// Looks at the clock; sets it to what is certain if it is earlier. `user`: `None` where the
    /// clock is not kept here.
    ///
    /// # Errors
    /// In words: directories of root's are in others' hands.
    pub fn new(
        config: &Config,
        program: PathBuf,
        user: Option<(u32, u32)>,
        hand: Hand,
    ) -> Result<Self, String> {
        let run_dir = config.paths.admin_sock.parent().unwrap_or(Path::new("/"));
        let mut this = Self {
            program,
            user,
            running: None,
            got: Vec::new(),
            pace: Pace::default(),
            servers: Vec::new(),
            said: String::new(),
            hand,
            source: Source::Machine,
            slow_until: None,
            keep_at: Instant::now() + KEEP,
            state_dir: config.paths.state_dir.clone(),
            run_dir: run_dir.to_owned(),
        };
        if user.is_some() {
            this.begin()?;
        }
        Ok(this)
    }

    fn begin(&mut self) -> Result<(), String> {
        // One that is damaged is none.
        let kept = Directory::open(&self.state_dir)?
            .read::<8>(KEPT)
            .ok()
            .flatten();
        let before = Directory::open(&self.run_dir)?
            .read::<1>(KNOWN)
            .ok()
            .flatten();
        let now = self.hand.now();
        let (set, mut source) = judge::begin(now / NANOS, kept.map(i64::from_be_bytes));
        if let Some(secs) = set {
            self.step(secs * NANOS - now);
        } else if before == Some([0]) {
            // Set to what was certain by the supervisor before this one, and nothing better since.
            source = Source::Nobody;
        }
        self.known(source);
        eprintln!("supervisor: clock: {}", self.line());
        Ok(())
    }

    /// The next report of the client; keeps it running meanwhile. Nothing is lost when this is
    /// cancelled.
    pub async fn next(&mut self) -> Report {
        if self.user.is_none() || self.servers.is_empty() {
            return std::future::pending().await;
        }
        loop {
            if self.running.is_none() {
                tokio::time::sleep(self.pace.left()).await;
                self.pace.start();
                match self.start() {
                    Ok(running) => self.running = Some(running),
                    Err(e) => {
                        eprintln!("supervisor: clock: {e}");
                        self.pace.failed();
                        continue;
                    }
                }
            }
            match self.read().await {
                Some(report) => return report,
                None => {
                    eprintln!("supervisor: clock: its client ended, or said what it cannot say");
                    self.end_client();
                    self.pace.ended();
                }
            }
        }
    }

    async fn read(&mut self) -> Option<Report> {
        let (_, channel) = self.running.as_mut()?;
        while self.got.len() < LEN {
            let left = u64::try_from(LEN - self.got.len()).unwrap_or(0);
            let mut limited = channel.take(left);
            if limited.read_buf(&mut self.got).await.ok()? == 0 {
                return None;
            }
        }
        let bytes = <[u8; LEN]>::try_from(std::mem::take(&mut self.got)).ok()?;
        Report::decode(&bytes).ok()
    }

    /// Asks these from now on. The rules have to know them already.
    pub async fn set_servers(&mut self, servers: Vec<IpAddr>) {
        if self.servers != servers {
            self.servers = servers;
            self.tell().await;
        }
    }

    async fn tell(&mut self) {
        let list = report::encode_servers(&self.servers);
        if let Some((_, channel)) = self.running.as_mut() {
            // One that does not listen is noticed at the next read.
            let _ = tokio::time::timeout(PATIENCE, channel.write_all(&list)).await;
        }
    }

    /// Time servers have been asked.
    pub fn hear(&mut self, report: Report) -> Changed {
        let Report::Time { base, agree, asked } = report else {
            self.say(match report {
                Report::Refused => "they do not want to be asked",
                Report::Disagree => "they do not agree with each other",
                _ => "no answer that can be used",
            });
            return Changed::default();
        };
        // The time now, whatever was set since it was measured.
        let stopwatch = crate::clock::serve::stopwatch().as_nanos();
        let said = base.saturating_add(i64::try_from(stopwatch).unwrap_or(i64::MAX));
        let by = Source::Servers(agree, asked);
        match self.set(said, by) {
            Ok(changed) => {
                self.said = format!("{agree} of {asked} agree");
                changed
            }
            Err(why) => {
                self.say(why);
                Changed::default()
            }
        }
    }

    /// Somebody says what time it is, seconds since 1970; what to tell him.
    pub fn set_by_hand(&mut self, secs: i64) -> (Changed, String) {
        if self.user.is_none() {
            let text = "error: the clock is not kept here: clock.enabled is false\n";
            return (Changed::default(), text.into());
        }
        match self.set(secs.saturating_mul(NANOS), Source::Visitor) {
            Ok(changed) => (changed, self.status()),
            Err(why) => (Changed::default(), format!("error: {why}\n")),
        }
    }

    fn set(&mut self, said: i64, by: Source) -> Result<Changed, &'static str> {
        let verdict = judge::judge(self.hand.now(), said, self.source, by);
        let mut changed = Changed::default();
        match verdict {
            Verdict::Keep => {}
            Verdict::Slew(by) => self.slew(by),
            Verdict::Step(by) => {
                self.end_slew();
                self.step(by);
                changed.router = by.abs() > ROUTER;
                let secs = by as f64 / NANOS as f64;
                eprintln!("supervisor: clock: set by {secs:+.3} s");
            }
            Verdict::Refuse(why) => return Err(why),
        }
        self.hand.settled();
        let first = !self.source.is_known();
        self.known(by);
        if first || changed.router {
            self.keep();
        }
        Ok(changed)
    }

    fn say(&mut self, why: &str) {
        if self.said != why {
            eprintln!("supervisor: clock: {why}");
            self.said = why.to_owned();
        }
    }

    fn step(&self, by: i64) {
        if let Err(e) = self.hand.step(by) {
            eprintln!("supervisor: clock: cannot be set: {e}");
        }
    }

    fn slew(&mut self, by: i64) {
        let ppm = if by > 0 { SLEW_PPM } else { -SLEW_PPM };
        match self.hand.drift(ppm) {
            Ok(()) => {
                let time = by.unsigned_abs() * 1_000_000 / SLEW_PPM.unsigned_abs();
                self.slow_until = Some(Instant::now() + Duration::from_nanos(time));
            }
            Err(e) => eprintln!("supervisor: clock: {e}"),
        }
    }

    fn end_slew(&mut self) {
        if self.slow_until.take().is_some()
            && let Err(e) = self.hand.drift(0)
        {
            eprintln!("supervisor: clock: {e}");
        }
    }

    fn known(&mut self, source: Source) {
        if self.source != source || source == Source::Nobody {
            self.source = source;
            let byte = [u8::from(source.is_known())];
            let written = Directory::open(&self.run_dir)
                .and_then(|dir| dir.write(KNOWN, &byte).map_err(|e| e.to_string()));
            if let Err(e) = written {
                eprintln!("supervisor: clock: {e}");
            }
        }
    }

    /// Keeps the time for a machine that does not remember it itself.
    fn keep(&mut self) {
        self.keep_at = Instant::now() + KEEP;
        if self.user.is_none() || !self.source.is_known() {
            return;
        }
        let secs = (self.hand.now() / NANOS).to_be_bytes();
        let written = Directory::open(&self.state_dir)
            .and_then(|dir| dir.write(KEPT, &secs).map_err(|e| e.to_string()));
        if let Err(e) = written {
            eprintln!("supervisor: clock: the time is not kept: {e}");
        }
    }

    /// What is due; how long until something is again.
    pub fn tend(&mut self) -> Duration {
        let now = Instant::now();
        if self.slow_until.is_some_and(|until| until <= now) {
            self.end_slew();
        }
        if self.keep_at <= now {
            self.keep();
        }
        let next = self
            .slow_until
            .map_or(self.keep_at, |until| until.min(self.keep_at));
        next - now
    }

    /// Whether the router may run.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.user.is_none() || self.source.is_known()
    }

    /// Ends the client; keeps the time.
    pub fn stop(&mut self) {
        self.end_client();
        self.end_slew();
        self.keep();
    }

    fn end_client(&mut self) {
        self.got.clear();
        if let Some((mut process, channel)) = self.running.take() {
            drop(channel);
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    fn line(&self) -> String {
        let now = date::show(self.hand.now() / NANOS);
        match self.source {
            Source::Nobody => format!("not set, the router waits; it is later than {now} UTC"),
            source => format!("{now} UTC, {source}"),
        }
    }

    /// Lines for the status.
    #[must_use]
    pub fn status(&self) -> String {
        if self.user.is_none() {
            return "clock: kept by something else\n".into();
        }
        let servers: Vec<_> = self.servers.iter().map(ToString::to_string).collect();
        let servers = match (servers.is_empty(), self.said.as_str()) {
            (true, _) => "none known".to_owned(),
            (_, "") => servers.join(", "),
            (_, said) => format!("{}: {said}", servers.join(", ")),
        };
        format!("clock: {}\ntime servers: {servers}\n", self.line())
    }

    fn start(&self) -> Result<(std::process::Child, tokio::net::UnixStream), String> {
        let text = |e: std::io::Error| e.to_string();
        let (uid, gid) = self.user.ok_or("users.clock does not exist")?;
        let (mut ours, theirs) = UnixStream::pair().map_err(text)?;
        // Into an empty socket: nothing is waited for.
        ours.write_all(&report::encode_servers(&self.servers))
            .map_err(text)?;
        ours.set_nonblocking(true).map_err(text)?;
        let channel = tokio::net::UnixStream::from_std(ours).map_err(text)?;
        let process = Command::new(&self.program)
            .arg0("clock")
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .uid(uid)
            .gid(gid)
            .spawn()
            .map_err(|e| format!("{}: {e}", self.program.display()))?;
        Ok((process, channel))
    }
}

#[cfg(test)]
mod tests;
