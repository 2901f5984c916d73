//! Connections to the gateway's own address.

use super::forward::{Forward, Unfit};
use super::{Asked, Facts, HEAD_MAX, State, answer, asked, router_state};
use crate::counters::{Count, Counters};
use crate::policy::{Budget, Refused};
use crate::rogue::Rogue;
use crate::vip::ClientId;
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// A request has to be there within this time, and its answer taken.
const PATIENCE: Duration = Duration::from_secs(10);

/// Nothing takes longer: a file that is sent up to the console.
const WHOLE: Duration = Duration::from_secs(150);

/// Connections at once, in all and of one client.
const CONNECTIONS: (usize, usize) = (64, 8);

/// Files on their way to the console, in all and of one client: each is held in memory.
const UPLOADS: (usize, usize) = (2, 1);

/// How long what the router said is good.
const FRESH: Duration = Duration::from_secs(1);

/// Whom it asks.
#[derive(Debug, Clone)]
pub struct Sockets {
    /// The router.
    pub control: PathBuf,
    /// The console, where there is one.
    pub console: PathBuf,
}

/// The page and who may ask for it.
pub struct Web {
    /// What does not change.
    pub facts: Facts,
    budget: Rc<Budget>,
    uploads: Rc<Budget>,
    sockets: Sockets,
    rogue: Rc<Rogue>,
    counters: Rc<Counters>,
    router: RefCell<Option<(Instant, State)>>,
}

impl Web {
    /// Nobody has asked yet.
    #[must_use]
    pub fn new(facts: Facts, sockets: Sockets, rogue: Rc<Rogue>, counters: Rc<Counters>) -> Self {
        Self {
            facts,
            budget: Budget::new(CONNECTIONS.0, CONNECTIONS.1),
            uploads: Budget::new(UPLOADS.0, UPLOADS.1),
            sockets,
            rogue,
            counters,
            router: RefCell::new(None),
        }
    }

    /// Whether the first page is answered.
    #[must_use]
    pub fn answers(&self) -> bool {
        let state = State {
            rogue: None,
            router: None,
        };
        answer(&Asked::Page, true, &self.facts, &state).starts_with(b"HTTP/1.1 200")
    }

    /// One connection of a client. One that has its share gives its oldest up for it.
    ///
    /// # Errors
    /// Nothing is left: the connection is to be reset.
    pub fn open(self: &Rc<Self>, client: ClientId, stream: TcpStream) -> Result<(), Refused> {
        let permit = self.budget.take_over(client, Instant::now().into_std())?;
        let web = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let touch = || permit.touch(Instant::now().into_std());
            tokio::select! {
                // A client that is late or gone just ends.
                _ = timeout(WHOLE, web.serve(client, stream, &touch)) => {}
                () = permit.taken() => web.counters.add(Count::PageShare),
            }
        });
        Ok(())
    }

    async fn serve(
        &self,
        client: ClientId,
        mut stream: TcpStream,
        touch: &dyn Fn(),
    ) -> std::io::Result<()> {
        let (mut head, mut verdict) = (Vec::new(), None);
        let reading = async {
            while verdict.is_none() && head.len() < HEAD_MAX {
                let mut piece = [0; 1024];
                let n = stream.read(&mut piece).await?;
                if n == 0 {
                    break;
                }
                head.extend_from_slice(piece.get(..n).unwrap_or_default());
                // Only what ends a line can end a head.
                if piece.get(..n).is_some_and(|p| p.contains(&b'\n')) {
                    verdict = asked(&head, &self.facts);
                }
            }
            Ok::<_, std::io::Error>(())
        };
        timeout(PATIENCE, reading).await??;
        let (mut what, head_only) = verdict.unwrap_or((Asked::Malformed, false));
        touch();
        let mut answered = false;
        if let Asked::Console(forward) = &what {
            let early = head.get(forward.taken..).unwrap_or_default();
            match self.forward(forward, client, early, &mut stream).await {
                Ok(done) => answered = done?,
                Err(why) => what = Asked::Unfit(why),
            }
        }
        if !answered {
            let state = match what {
                Asked::Page | Asked::Console(_) => self.state().await,
                _ => State {
                    rogue: None,
                    router: None,
                },
            };
            let bytes = answer(&what, head_only, &self.facts, &state);
            timeout(PATIENCE, stream.write_all(&bytes)).await??;
        }
        crate::flow::orderly(&stream);
        stream.shutdown().await?;
        // What is still coming is read, for closing over it would be a reset that destroys the
        // answer on its way.
        let mut rest = [0; 1024];
        let drain = async {
            for _ in 0..64 {
                if !stream.read(&mut rest).await.is_ok_and(|n| n > 0) {
                    break;
                }
            }
        };
        let _ = timeout(PATIENCE / 10, drain).await;
        Ok(())
    }

    async fn forward(
        &self,
        forward: &Forward,
        client: ClientId,
        early: &[u8],
        stream: &mut TcpStream,
    ) -> Result<std::io::Result<bool>, Unfit> {
        let now = Instant::now().into_std();
        let _upload = match forward.is_long() {
            true => Some(
                self.uploads
                    .take_over(client, now)
                    .map_err(|_| Unfit::Busy)?,
            ),
            false => None,
        };
        let console = &self.sockets.console;
        Ok(forward.run(console, client.short(), early, stream).await)
    }

    async fn state(&self) -> State {
        let kept = self.router.borrow().clone();
        if let Some((at, state)) = kept
            && at.elapsed() < FRESH
        {
            return state;
        }
        let state = State {
            rogue: self.rogue.other(Instant::now().into_std()),
            router: router_state::ask(&self.sockets.control).await,
        };
        self.router.replace(Some((Instant::now(), state.clone())));
        state
    }
}
