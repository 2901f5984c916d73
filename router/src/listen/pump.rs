//! Bytes between a local socket and a stream, with credit in both directions and half-close.
//!
//! Neither direction waits for the other: while the socket takes no bytes it is still read, or
//! two peers that both write first would wait for each other for ever.

mod out;

pub mod detect;
pub mod exchange;

use super::conn::Conn;
use super::local::Local;
use detect::Detect;
use exchange::Exchange;
use out::{Moved, Out, moved};
use ramson_proto::client::http_response::AnswerError;
use ramson_proto::client::visit::Visit;
use ramson_proto::router::input::ClientCmd;
use ramson_proto::router::output::{ClientEvent, Readiness, Refusal};
use ramson_proto::wire::hash::DestHash;
use std::io;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Bytes read from the socket at once.
const CHUNK: usize = 16 * 1024;

/// A socket that takes nothing of what waits for it between two looks this far apart is given up:
/// each holds a receive window full of bytes. Whoever pauses a film for ten minutes is not gone.
const STALL: Duration = Duration::from_secs(900);

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides finished.
    Finished,
    /// Refused before any byte of an answer.
    Refused(Refusal),
    /// The remote's answer is not to be passed on; nothing of it was.
    BadAnswer(AnswerError),
    /// The client's chunks are malformed.
    BadBody,
    /// The remote took the request and did not begin to answer.
    Silent,
    /// The client asks by HTTP; nothing of it has gone out.
    Http,
    /// Reset by the remote, the core or the socket.
    Reset,
}

/// What stands between socket and stream.
pub enum Filter {
    /// Bytes pass; these are written first, as soon as the stream is open.
    Raw(Vec<u8>),
    /// The client's first bytes decide.
    Detect(Box<Detect>),
    /// One request and its answer.
    Http(Box<Exchange>),
    /// The socket is a web server's, the stream a visitor's.
    Visit(Box<Visit>),
}

/// One socket and its stream.
pub struct Pump<S> {
    /// The local socket.
    pub socket: S,
    /// The stream.
    pub conn: Conn,
    /// Bytes for the stream that came before the pump or wait for credit.
    pub pending: Vec<u8>,
    /// What the stream's name is resolved to.
    pub dest: Option<DestHash>,
    /// What the router lacks while the stream is not open.
    pub lacks: Option<Readiness>,
    /// Why the stream will not open.
    pub refused: Option<Refusal>,
    filter: Filter,
    out: Out,
    /// Bytes of the remote that are in `out` or went before it; told when `out` is written.
    owed: usize,
    credit: usize,
    /// The stream is open.
    opened: bool,
    /// Something of the remote reached the socket.
    answered: bool,
    local_done: bool,
    remote_done: bool,
    /// An HTTP answer is complete, and the client was told its end.
    over: bool,
}

impl<S: Local> Pump<S> {
    /// A pump that has moved nothing yet.
    pub fn new(socket: S, conn: Conn, filter: Filter) -> Self {
        Self {
            socket,
            conn,
            pending: Vec::new(),
            dest: None,
            lacks: None,
            refused: None,
            filter,
            out: Out::default(),
            owed: 0,
            credit: 0,
            opened: false,
            answered: false,
            local_done: false,
            remote_done: false,
            over: false,
        }
    }

    /// Puts a filter between socket and stream before the pump runs.
    pub fn filter(&mut self, filter: Filter) {
        self.filter = filter;
        if self.opened {
            self.filter.opened();
        }
    }

    /// Gives the stream up.
    pub fn into_socket(self) -> S {
        self.socket
    }

    /// Grants credit that came before the pump ran.
    pub const fn grant(&mut self, n: usize) {
        self.credit += n;
    }

    /// Bytes for the socket that a page may not come among.
    pub fn unsent(&self) -> &[u8] {
        self.out.unsent()
    }

    /// Moves bytes until both sides are done or one is gone. After [`End::Reset`] closing the
    /// socket is seen as a cut.
    pub async fn run(&mut self) -> End {
        self.socket.arm();
        let mut chunk = vec![0; CHUNK];
        let mut watch = tokio::time::interval(STALL);
        // The first look would be at once, when nothing can have moved.
        watch.reset();
        let end = loop {
            self.flush_pending().await;
            if self.over && !self.local_done && self.out.is_idle() {
                self.finish_local().await;
            }
            if self.local_done && self.remote_done && self.out.is_idle() {
                self.conn.done();
                break End::Finished;
            }
            // One piece is read without credit, so that an end is seen without, too.
            let read = !self.local_done && self.pending.is_empty() && self.filter.reads();
            let buf = chunk.get_mut(..if read { CHUNK } else { 0 });
            let (idle, ended) = (self.out.is_idle(), self.local_done && !self.over);
            // A client that takes its time is the watch's business.
            let limit = self.filter.deadline().filter(|_| idle);
            let end = tokio::select! {
                event = self.conn.event(idle) => self.on_event(event).await,
                moved = moved(&mut self.socket, &mut self.out, buf.unwrap_or_default(), ended) => {
                    self.on_moved(moved, &chunk).await
                }
                _ = watch.tick() => self.out.is_stalled().then_some(End::Reset),
                () = until(limit) => self.overdue(),
            };
            if let Some(end) = end {
                break end;
            }
        };
        if end != End::Reset {
            self.socket.settle();
        }
        end
    }

    async fn flush_pending(&mut self) {
        let n = self.pending.len().min(self.credit);
        if n == 0 {
            return;
        }
        let bytes: Vec<u8> = self.pending.drain(..n).collect();
        self.credit -= n;
        self.filter.moved();
        let id = self.conn.id;
        self.conn.send(ClientCmd::Data { id, bytes }).await;
    }

    async fn on_moved(&mut self, moved: io::Result<Moved>, chunk: &[u8]) -> Option<End> {
        match moved {
            Ok(Moved::Written) => {
                self.filter.moved();
                self.consumed().await;
            }
            // Bytes that were held go first; the end is read again behind them.
            Ok(Moved::Read(0)) => {
                if !self.pass() {
                    self.finish_local().await;
                }
            }
            Ok(Moved::Read(n)) => {
                let bytes = chunk.get(..n).unwrap_or_default();
                return self.upload(bytes).err();
            }
            Err(_) => return Some(End::Reset),
        }
        None
    }

    /// Takes bytes of the client.
    pub fn upload(&mut self, bytes: &[u8]) -> Result<(), End> {
        match &mut self.filter {
            Filter::Raw(_) => self.pending.extend_from_slice(bytes),
            Filter::Detect(_) => return self.judge(bytes),
            Filter::Visit(visit) => {
                let mut released = Vec::new();
                let answered = visit.answered(bytes, &mut released);
                self.out.put(&released);
                self.pending.extend_from_slice(bytes);
                return answered.map_err(|_| End::Reset);
            }
            Filter::Http(exchange) => {
                if exchange.upload(bytes, &mut self.pending).is_err() {
                    let late = exchange.answers.has_begun();
                    return Err(if late { End::Reset } else { End::BadBody });
                }
            }
        }
        Ok(())
    }

    async fn finish_local(&mut self) {
        self.local_done = true;
        self.conn.send(ClientCmd::Finish { id: self.conn.id }).await;
    }

    /// Tells the core what has left `out`.
    async fn consumed(&mut self) {
        let n = std::mem::take(&mut self.owed);
        if n > 0 {
            let id = self.conn.id;
            self.conn.send(ClientCmd::Consumed { id, n }).await;
        }
    }

    async fn on_event(&mut self, event: Option<ClientEvent>) -> Option<End> {
        match event {
            Some(ClientEvent::Credit { n, .. }) => self.credit += n,
            Some(ClientEvent::NotReady { readiness, .. }) => {
                // Other protocols have no pages: their clients wait.
                self.lacks = Some(readiness);
                let page = matches!(self.filter, Filter::Http(_)) && !self.answered;
                return page.then_some(End::Refused(Refusal::NotReady(readiness)));
            }
            Some(ClientEvent::Opened { .. }) => {
                (self.opened, self.lacks) = (true, None);
                self.filter.opened();
                return self.greet().await;
            }
            Some(ClientEvent::Data { bytes, .. }) => {
                if let Some(end) = self.greet().await {
                    return Some(end);
                }
                self.owed += bytes.len();
                if let Some(end) = self.deliver(&bytes) {
                    return Some(end);
                }
                if self.out.is_idle() {
                    self.consumed().await;
                }
            }
            Some(ClientEvent::Finished { .. }) => return self.on_finished(),
            Some(ClientEvent::Refused { .. } | ClientEvent::Reset { .. }) if self.over => {
                return Some(End::Finished);
            }
            Some(ClientEvent::Refused { why, .. }) if !self.answered => {
                return Some(End::Refused(why));
            }
            Some(ClientEvent::Reset { .. }) if !self.answered => {
                return Some(End::Refused(Refusal::NoAnswer));
            }
            None if !self.answered => return Some(End::Refused(Refusal::Closing)),
            Some(ClientEvent::Refused { .. } | ClientEvent::Reset { .. }) | None => {
                return Some(End::Reset);
            }
            Some(ClientEvent::Resolved { dest, .. }) => self.dest = Some(dest),
            Some(ClientEvent::Incoming { .. }) => {}
        }
        None
    }

    /// Writes what comes before the first byte.
    pub async fn greet(&mut self) -> Option<End> {
        let greeting = match &mut self.filter {
            Filter::Raw(greeting) => std::mem::take(greeting),
            Filter::Detect(detect) => std::mem::take(&mut detect.greeting),
            Filter::Http(_) | Filter::Visit(_) => return None,
        };
        if greeting.is_empty() {
            return None;
        }
        self.answered = true;
        let written = self.socket.write_plain(&greeting).await;
        written.is_err().then_some(End::Reset)
    }

    /// What is no response stays here: unfiltered, it could make the browser do anything.
    fn deliver(&mut self, bytes: &[u8]) -> Option<End> {
        if let Filter::Detect(detect) = &mut self.filter {
            detect.spoken = true;
        }
        if let Filter::Visit(visit) = &mut self.filter {
            self.answered = true;
            let mut out = Vec::new();
            let taken = visit.push(bytes, &mut out);
            self.out.put(&out);
            return taken.is_err().then_some(End::Reset);
        }
        let Filter::Http(exchange) = &mut self.filter else {
            self.answered = true;
            self.out.put(bytes);
            return None;
        };
        let mut out = Vec::new();
        let taken = exchange.answer(bytes, &mut out);
        let answers = &exchange.answers;
        let (begun, complete) = (answers.has_begun(), answers.is_complete());
        self.out.put(&out);
        self.answered |= begun;
        if let Err(why) = taken {
            // Of an answer that has begun the rest is missing, and that is to be seen.
            let late = self.answered;
            return Some(if late {
                End::Reset
            } else {
                End::BadAnswer(why)
            });
        }
        if exchange.answers.is_switched() {
            let held = exchange.release();
            self.pending.extend(held);
            self.filter = Filter::Raw(Vec::new());
        }
        if complete {
            self.end_exchange();
        }
        None
    }

    fn on_finished(&mut self) -> Option<End> {
        if let Filter::Http(exchange) = &self.filter {
            let answers = &exchange.answers;
            if answers.is_empty() {
                return Some(End::Refused(Refusal::Empty));
            }
            if !answers.has_begun() {
                return Some(End::BadAnswer(AnswerError::Malformed));
            }
            if !answers.shows_its_end() {
                return Some(End::Reset);
            }
            self.remote_done = true;
            self.end_exchange();
            return None;
        }
        if let Filter::Detect(detect) = &mut self.filter {
            detect.spoken = true;
        }
        self.remote_done = true;
        self.out.close();
        None
    }

    /// An HTTP exchange is over with its answer; the site may take a moment to close.
    const fn end_exchange(&mut self) {
        if !self.over {
            self.over = true;
            self.out.close();
        }
    }
}

/// Waits for a time limit, if there is one.
async fn until(limit: Option<Instant>) {
    match limit {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
