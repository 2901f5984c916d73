//! Connections to the gateway's own address.

use super::{Asked, Facts, HEAD_MAX, State, answer, asked, router_state};
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

/// Connections at once, in all and of one client.
const CONNECTIONS: (usize, usize) = (64, 8);

/// How long what the router said is good.
const FRESH: Duration = Duration::from_secs(1);

/// The page and who may ask for it.
pub struct Web {
    /// What does not change.
    pub facts: Facts,
    budget: Rc<Budget>,
    control: PathBuf,
    rogue: Rc<Rogue>,
    router: RefCell<Option<(Instant, State)>>,
}

impl Web {
    /// `control` is the router's socket.
    #[must_use]
    pub fn new(facts: Facts, control: PathBuf, rogue: Rc<Rogue>) -> Self {
        Self {
            facts,
            budget: Budget::new(CONNECTIONS.0, CONNECTIONS.1),
            control,
            rogue,
            router: RefCell::new(None),
        }
    }

    /// One connection of a client.
    ///
    /// # Errors
    /// The client has its share, or nothing is left: the connection is to be reset.
    pub fn open(self: &Rc<Self>, client: ClientId, stream: TcpStream) -> Result<(), Refused> {
        let permit = self.budget.take(client, Instant::now().into_std())?;
        let web = Rc::clone(self);
        tokio::task::spawn_local(async move {
            tokio::select! {
                // A client that is late or gone just ends.
                _ = timeout(2 * PATIENCE, web.serve(stream)) => {}
                () = permit.taken() => {}
            }
        });
        Ok(())
    }

    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
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
        let (what, head_only) = verdict.unwrap_or((Asked::Malformed, false));
        let state = match what {
            Asked::Page => self.state().await,
            _ => State {
                rogue: None,
                router: None,
            },
        };
        let bytes = answer(&what, head_only, &self.facts, &state);
        stream.write_all(&bytes).await?;
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

    async fn state(&self) -> State {
        let kept = self.router.borrow().clone();
        if let Some((at, state)) = kept
            && at.elapsed() < FRESH
        {
            return state;
        }
        let state = State {
            rogue: self.rogue.other(Instant::now().into_std()),
            router: router_state::ask(&self.control).await,
        };
        self.router.replace(Some((Instant::now(), state.clone())));
        state
    }
}
