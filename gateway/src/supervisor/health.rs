//! Whether a system that is on trial is good: rules that read back, names and the page answered,
//! a router that runs, for a minute without a break. Nobody else says so. One that does not come
//! to it starts the machine anew, and after the last try the boot loader starts the other system.

use super::child::Child;
use super::update::Updates;
use super::{Supervisor, machine};
use crate::channel::Question;
use crate::update::slots::Places;
use crate::web::router_state::{self, RouterState};
use nix::time::{ClockId, clock_gettime};
use ramson_layout::state::{Health, Slot};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// How long all has to be well.
const WELL: Duration = Duration::from_secs(60);

/// How long after the machine was switched on it may take to come to that. The first links of a
/// router that is new to the network take two or three minutes.
const TRIAL: Duration = Duration::from_secs(420);

/// How long the page may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What one look has shown.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// The rules read back.
    pub rules: bool,
    /// `gatewayd` has answered for its names and its page.
    pub gateway: bool,
    /// There is a WAN.
    pub wan: bool,
    /// It is known what time it is; the router does not run before.
    pub clock: bool,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing yet, or nothing more.
    Wait,
    /// The slot has shown that it is good.
    Good(Slot),
    /// The time is over.
    Failed,
}

/// The judge. Time is `tokio`'s.
#[derive(Debug, Default)]
pub struct Judge {
    places: Option<Places>,
    trial: Option<Slot>,
    /// When it began to look: who has just begun gives the others a minute to start.
    began: Option<Instant>,
    well_since: Option<Instant>,
    router: Option<JoinHandle<Others>>,
    wrong: &'static str,
}

/// What others than `gatewayd` have answered.
#[derive(Debug, Default)]
struct Others {
    router: Option<RouterState>,
    page: bool,
}

impl Judge {
    /// For what runs, if it is on trial.
    #[must_use]
    pub fn new(places: Option<Places>) -> Self {
        let trial = places.as_ref().and_then(|places| {
            let running = places.running?;
            let state = places.state().ok()?;
            (state.health(running) == Health::Trial).then_some(running)
        });
        Self {
            places,
            trial,
            began: Some(Instant::now()),
            ..Self::default()
        }
    }

    /// For what the boot script has found.
    #[must_use]
    pub fn of(boot: &Path) -> Self {
        Self::new(Places::read(boot).ok().flatten())
    }

    /// Whether there is anything to judge.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.trial.is_some()
    }

    /// Whether what has failed to start at all has had its time.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_open() && switched_on() >= TRIAL
    }

    /// One look of many; asks the router and the page until the next one.
    pub async fn look(&mut self, seen: Seen, control: &Path, page: Option<PathBuf>) -> Verdict {
        if self.trial.is_none() {
            return Verdict::Wait;
        }
        let others = match self.router.take() {
            Some(task) if task.is_finished() => task.await.ok(),
            Some(task) => {
                self.router = Some(task);
                return Verdict::Wait;
            }
            None => None,
        };
        let control = control.to_owned();
        self.router = Some(tokio::spawn(async move {
            let router = router_state::ask(&control).await;
            let page = match page {
                Some(page) => timeout(PATIENCE, answers(&page)).await.unwrap_or(false),
                None => true,
            };
            Others { router, page }
        }));
        match others {
            Some(others) => self.judge(seen, &others, switched_on()),
            // Nobody was asked before the first look.
            None => Verdict::Wait,
        }
    }

    fn judge(&mut self, seen: Seen, others: &Others, on: Duration) -> Verdict {
        let Some(slot) = self.trial else {
            return Verdict::Wait;
        };
        let wrong = wrong(seen, others);
        if wrong.is_empty() {
            let since = *self.well_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= WELL {
                self.trial = None;
                return Verdict::Good(slot);
            }
        } else {
            self.well_since = None;
            if wrong != self.wrong {
                eprintln!("supervisor: on trial: {wrong}");
            }
            let looked = self.began.is_none_or(|began| began.elapsed() >= WELL);
            if on >= TRIAL && looked {
                self.trial = None;
                return Verdict::Failed;
            }
        }
        self.wrong = wrong;
        Verdict::Wait
    }

    /// The slot is good from now on.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn confirm(&self, slot: Slot) -> Result<(), String> {
        let places = self.places.as_ref().ok_or("there are no slots")?;
        let written = places.change(|state| state.good(slot));
        written.map(|_| ()).map_err(|e| e.to_string())
    }
}

impl Supervisor {
    /// Where updates come in. Who judges what runs begins.
    pub(super) fn updates(&mut self, program: PathBuf) -> Result<Updates, String> {
        self.judge = Judge::of(&self.options.update.boot);
        let files = self.options.update.clone();
        Updates::new(&self.config, program, files, self.page_user)
    }

    /// Judges a system that is on trial; `clock`: whether it is known what time it is.
    pub(super) async fn look(&mut self, child: &mut Child, clock: bool) {
        if !self.judge.is_open() {
            return;
        }
        let seen = Seen {
            rules: self.intact,
            gateway: child.ask(Question::Health).await == "well\n",
            wan: !self.wan.is_empty(),
            clock,
        };
        let paths = &self.config.paths;
        let page = self.page_user.map(|_| paths.console_sock.clone());
        match self.judge.look(seen, &paths.control_sock, page).await {
            Verdict::Wait => {}
            Verdict::Good(slot) => match self.judge.confirm(slot) {
                Ok(()) => eprintln!("supervisor: slot {slot} has shown that it works"),
                Err(e) => eprintln!("supervisor: slot {slot} works, but: boot state: {e}"),
            },
            Verdict::Failed => {
                eprintln!("supervisor: what runs does not come up: the machine begins anew");
                if let Err(e) = machine::end(&self.config, true) {
                    eprintln!("supervisor: {e}");
                }
            }
        }
    }
}

/// What keeps it from being good; empty: nothing.
fn wrong(seen: Seen, others: &Others) -> &'static str {
    let router = match &others.router {
        Some(router) => router.peers > 0 || !seen.wan,
        // It waits for the time, which nobody can tell it without a WAN.
        None => !seen.wan && !seen.clock,
    };
    match (seen.rules, seen.gateway, others.page, router) {
        (false, _, _, _) => "the rules do not read back",
        (_, false, _, _) => "names or the first page are not answered",
        (_, _, false, _) => "the page does not answer",
        (_, _, _, false) => "the router does not run, or has no peers",
        _ => "",
    }
}

/// Whether the console answers a visitor. What it is asked needs nothing of the supervisor.
async fn answers(socket: &Path) -> bool {
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await?;
        let head = "GET /login HTTP/1.1\r\nHost: ramson\r\nConnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).await?;
        let mut first = [0; 10];
        stream.read_exact(&mut first).await?;
        Ok::<_, std::io::Error>(first)
    };
    let first = exchange.await;
    first.is_ok_and(|first| first == *b"HTTP/1.1 2" || first == *b"HTTP/1.1 3")
}

/// How long the machine has been on.
fn switched_on() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: Seen = Seen {
        rules: true,
        gateway: true,
        wan: true,
        clock: true,
    };

    fn others(peers: Option<u64>, page: bool) -> Others {
        let router = peers.map(|peers| RouterState {
            peers,
            ..RouterState::default()
        });
        Others { router, page }
    }

    fn on_trial() -> Judge {
        Judge {
            trial: Some(Slot::B),
            ..Judge::default()
        }
    }

    #[test]
    fn everything_has_to_be_well() {
        let fine = others(Some(1), true);
        assert_eq!(wrong(SEEN, &fine), "");
        assert_ne!(
            wrong(
                Seen {
                    rules: false,
                    ..SEEN
                },
                &fine
            ),
            ""
        );
        assert_ne!(
            wrong(
                Seen {
                    gateway: false,
                    ..SEEN
                },
                &fine
            ),
            ""
        );
        assert_ne!(wrong(SEEN, &others(Some(1), false)), "");
        assert_ne!(wrong(SEEN, &others(Some(0), true)), "");
        assert_ne!(wrong(SEEN, &others(None, true)), "");
        // Without a WAN nobody has peers; the router runs all the same once it knows the time.
        let cut = Seen { wan: false, ..SEEN };
        assert_eq!(wrong(cut, &others(Some(0), true)), "");
        assert_ne!(wrong(cut, &others(None, true)), "");
        let timeless = Seen {
            clock: false,
            ..cut
        };
        assert_eq!(wrong(timeless, &others(None, true)), "");
        assert_ne!(
            wrong(
                Seen {
                    clock: false,
                    ..SEEN
                },
                &others(None, true)
            ),
            ""
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_minute_without_a_break_is_good_and_too_late_is_failed() {
        let mut judge = on_trial();
        let (fine, bad) = (others(Some(3), true), others(None, true));
        let on = Duration::from_secs(100);
        for second in 0..300u64 {
            // A break every fifty seconds.
            let now = if second % 50 == 49 { &bad } else { &fine };
            assert_eq!(judge.judge(SEEN, now, on), Verdict::Wait, "{second}");
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let mut seconds = 0;
        while judge.judge(SEEN, &fine, on) == Verdict::Wait {
            tokio::time::advance(Duration::from_secs(1)).await;
            seconds += 1;
        }
        assert_eq!(seconds, 60);
        assert!(!judge.is_open());
        assert_eq!(judge.judge(SEEN, &bad, TRIAL), Verdict::Wait);
        let mut judge = on_trial();
        let nearly = TRIAL - Duration::from_secs(1);
        assert_eq!(judge.judge(SEEN, &bad, nearly), Verdict::Wait);
        // What is well by then is given its minute.
        assert_eq!(judge.judge(SEEN, &fine, TRIAL), Verdict::Wait);
        assert_eq!(judge.judge(SEEN, &bad, TRIAL), Verdict::Failed);
    }
}
