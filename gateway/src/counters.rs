//! What `gatewayd` refused, by reason, and how the supervisor asks for it: one byte over the
//! socket of the handover, answered by the magic and one number a counter.

use std::cell::Cell;
use std::fmt::Write;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Start of an answer: a name and a version.
const MAGIC: [u8; 4] = *b"RGC1";

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(300);

/// What is counted. The names are the lines of the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// DNS questions answered.
    Questions,
    /// Questions of sources that nobody answers for, sent to TCP or dropped.
    Unproven,
    /// Questions above a client's rate.
    TooOften,
    /// Questions for which no virtual address was free.
    NoAddress,
    /// DNS connections above a client's share, or above all.
    DnsConnections,
    /// Streams opened.
    Opened,
    /// Connections to a virtual address that stands for no name.
    NoName,
    /// Connections above a client's share.
    Share,
    /// Connections when nothing was left.
    Full,
    /// Idle streams ended for a client that had none.
    Displaced,
    /// The router refused the stream.
    Refused,
    /// The router was not there, or broke off before its answer.
    RouterGone,
    /// The router's answer was no answer.
    RouterNonsense,
    /// The router did not answer in time.
    RouterSilent,
}

/// All of them with their names, in the order of the wire.
const NAMES: [(Count, &str); 14] = [
    (Count::Questions, "dns questions"),
    (Count::Unproven, "dns refused, source unknown"),
    (Count::TooOften, "dns refused, too often"),
    (Count::NoAddress, "dns refused, no address free"),
    (Count::DnsConnections, "dns refused, connections"),
    (Count::Opened, "streams opened"),
    (Count::NoName, "streams refused, no name"),
    (Count::Share, "streams refused, share of the client"),
    (Count::Full, "streams refused, full"),
    (Count::Displaced, "streams ended, idle"),
    (Count::Refused, "streams refused, by the router"),
    (Count::RouterGone, "streams refused, router gone"),
    (
        Count::RouterNonsense,
        "streams refused, router answers nonsense",
    ),
    (Count::RouterSilent, "streams refused, router silent"),
];

/// Counters since the start of the process.
#[derive(Debug, Default)]
pub struct Counters([Cell<u64>; NAMES.len()]);

impl Counters {
    /// One more.
    pub fn add(&self, what: Count) {
        for ((count, _), cell) in NAMES.iter().zip(&self.0) {
            if *count == what {
                cell.set(cell.get() + 1);
            }
        }
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, what: Count) -> u64 {
        let mut all = NAMES.iter().zip(&self.0);
        let cell = all.find_map(|((count, _), cell)| (*count == what).then_some(cell));
        cell.map_or(0, Cell::get)
    }

    /// All together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.0.iter().map(Cell::get).sum()
    }

    fn to_bytes(&self) -> Vec<u8> {
        let numbers = self.0.iter().flat_map(|cell| cell.get().to_be_bytes());
        MAGIC.into_iter().chain(numbers).collect()
    }

    /// Answers the supervisor until it is gone.
    ///
    /// # Errors
    /// It is gone.
    pub async fn serve(&self, mut supervisor: UnixStream) -> io::Result<()> {
        loop {
            supervisor.read_u8().await?;
            supervisor.write_all(&self.to_bytes()).await?;
        }
    }
}

/// Asks `gatewayd` for its counters: lines of the status, or one that says that there is no
/// answer.
pub async fn ask(gatewayd: &mut UnixStream) -> String {
    match tokio::time::timeout(PATIENCE, exchange(gatewayd)).await {
        Ok(Ok(text)) => text,
        _ => "gatewayd counters: no answer\n".into(),
    }
}

async fn exchange(gatewayd: &mut UnixStream) -> io::Result<String> {
    // Answers that came too late; not more than a socket holds.
    let mut late = [0; 4096];
    for _ in 0..64 {
        if !gatewayd.try_read(&mut late).is_ok_and(|n| n > 0) {
            break;
        }
    }
    gatewayd.write_u8(0).await?;
    let mut magic = MAGIC;
    gatewayd.read_exact(&mut magic).await?;
    if magic != MAGIC {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = String::new();
    for (_, name) in NAMES {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}: {}", gatewayd.read_u64().await?);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn counters_arrive_under_their_names() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let counters = Counters::default();
        counters.add(Count::NoName);
        counters.add(Count::RouterSilent);
        counters.add(Count::RouterSilent);
        let asked = async {
            let first = ask(&mut ours).await;
            let second = ask(&mut ours).await;
            drop(ours);
            (first, second)
        };
        let ((first, second), ended) = tokio::join!(asked, counters.serve(theirs));
        assert!(ended.is_err() && first == second);
        assert_eq!(first.lines().count(), NAMES.len());
        for line in [
            "streams refused, no name: 1",
            "streams refused, router silent: 2",
            "dns questions: 0",
        ] {
            assert!(first.lines().any(|l| l == line), "{first}");
        }
    }

    #[tokio::test]
    async fn nonsense_and_silence_are_no_counters() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let silent = ask(&mut ours).await;
        let nonsense = async {
            theirs.read_u8().await.unwrap();
            theirs.read_u8().await.unwrap();
            theirs.write_all(&[7; 200]).await.unwrap();
        };
        let (nonsense, ()) = tokio::join!(ask(&mut ours), nonsense);
        for answer in [silent, nonsense] {
            assert_eq!(answer, "gatewayd counters: no answer\n");
        }
        // What is left of that, or comes late, does not spoil the next answer.
        let counters = Counters::default();
        counters.add(Count::Opened);
        tokio::select! {
            answer = ask(&mut ours) => assert!(answer.contains("streams opened: 1\n"), "{answer}"),
            ended = counters.serve(theirs) => panic!("{ended:?}"),
        }
    }
}
