//! A stream of a port where any protocol may be spoken: raw, unless the client's first bytes are
//! a request of HTTP.
//!
//! The site's bytes pass at once, so that a protocol in which it speaks first loses no time. The
//! client's first bytes are judged nevertheless: browsers connect before they have anything to
//! ask, and a site that says a word early must not get their requests unfiltered for it. Such a
//! request ends the connection. Once the first bytes are of another protocol the client is no
//! browser, or one that speaks TLS or WebSocket, and whatever follows passes: a later request
//! among such bytes is the business of that protocol.

use super::{End, Filter, Pump};
use crate::listen::local::Local;
use ramson_proto::client::sniff::{Sniffer, Verdict};
use ramson_proto::limits::HTTP_HEAD_MAX;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, timeout};

/// A client that has begun and not finished what may be a request line has this long for its
/// next bytes.
const QUIET: Duration = Duration::from_secs(10);

/// So many bytes without a space are a word after [`QUIET`], and pass: the first segment of a
/// browser's request always holds more.
const WORD: usize = 64;

/// A client whose stream is refused before it has said anything may be a browser that is about
/// to: it gets its page if it speaks within this time.
const LATE: Duration = Duration::from_millis(100);

/// A connection whose client has not been judged.
pub struct Detect {
    /// Written first, as soon as the stream is open.
    pub greeting: Vec<u8>,
    /// The site has spoken or ended.
    pub spoken: bool,
    sniffer: Sniffer,
    held: Vec<u8>,
    /// When the client last said something.
    since: Instant,
}

impl Detect {
    /// Nothing has come.
    pub fn new(greeting: Vec<u8>) -> Self {
        Self {
            greeting,
            spoken: false,
            sniffer: Sniffer::default(),
            held: Vec::new(),
            since: Instant::now(),
        }
    }

    /// When patience with a client that has begun to speak ends.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.held.is_empty()).then(|| self.since + QUIET)
    }

    /// Takes bytes of the client; what is too long for a request line that would be taken is one.
    fn push(&mut self, bytes: &[u8]) -> Option<Verdict> {
        self.since = Instant::now();
        self.held.extend_from_slice(bytes);
        let long = self.held.len() > HTTP_HEAD_MAX;
        self.sniffer
            .push(bytes)
            .or_else(|| long.then_some(Verdict::Http))
    }
}

impl<S: Local> Pump<S> {
    /// Takes bytes of a client that has not been judged.
    pub(super) fn judge(&mut self, bytes: &[u8]) -> Result<(), End> {
        let Filter::Detect(detect) = &mut self.filter else {
            return Ok(());
        };
        match detect.push(bytes) {
            None => {}
            Some(Verdict::Other) => {
                self.pass();
            }
            Some(Verdict::Http) if detect.spoken => return Err(End::Reset),
            Some(Verdict::Http) => return Err(End::Http),
        }
        Ok(())
    }

    /// The client's bytes pass from now on, those that were held first; whether there were any.
    pub(super) fn pass(&mut self) -> bool {
        let Filter::Detect(detect) = &mut self.filter else {
            return false;
        };
        self.pending.append(&mut detect.held);
        self.filter = Filter::Raw(std::mem::take(&mut detect.greeting));
        !self.pending.is_empty()
    }

    /// What the end of patience means.
    pub(super) fn overdue(&mut self) -> Option<End> {
        if let Filter::Detect(detect) = &self.filter
            && detect.sniffer.is_word()
            && detect.held.len() <= WORD
        {
            self.pass();
            return None;
        }
        self.filter.overdue()
    }

    /// After [`End::Http`]: the first bytes of the request. An exchange may follow.
    pub fn claim(&mut self) -> Vec<u8> {
        let held = match &mut self.filter {
            Filter::Detect(detect) => std::mem::take(&mut detect.held),
            _ => Vec::new(),
        };
        self.filter = Filter::Raw(Vec::new());
        // The greeting is no part of an answer.
        self.answered = false;
        held
    }

    /// After [`End::Refused`]: whether the client turns out to ask by HTTP.
    pub async fn asks_late(&mut self) -> bool {
        let mut chunk = [0; 4096];
        while matches!(self.filter, Filter::Detect(_)) {
            let n = match timeout(LATE, self.socket.read(&mut chunk)).await {
                Ok(Ok(n @ 1..)) => n,
                _ => return false,
            };
            if self.judge(chunk.get(..n).unwrap_or_default()) == Err(End::Http) {
                return true;
            }
        }
        false
    }
}
