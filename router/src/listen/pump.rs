//! Bytes between a local socket and a stream, with credit in both directions and half-close.
//!
//! Neither direction waits for the other: while the socket takes no bytes it is still read, or
//! two peers that both write first would wait for each other for ever.

use super::conn::Conn;
use super::local::Local;
use ramson_proto::client::http_head::HeadError;
use ramson_proto::client::http_response::{self, Progress};
use ramson_proto::router::input::ClientCmd;
use ramson_proto::router::output::{ClientEvent, Refusal};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncWrite, ReadBuf};

/// Bytes read from the socket at once.
const CHUNK: usize = 16 * 1024;

/// A socket that takes nothing of what waits for it between two looks this far apart is given up:
/// each holds a receive window full of bytes.
const STALL: Duration = Duration::from_secs(300);

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides finished.
    Finished,
    /// Refused before any byte of an answer.
    Refused(Refusal),
    /// The remote answered something that is no HTTP response; none of it was passed on.
    Malformed,
    /// Reset by the remote, the core or the socket.
    Reset,
}

/// What stands between socket and stream.
pub enum Filter {
    /// Bytes pass; these are written first, as soon as the stream is open.
    Raw(Vec<u8>),
    /// The response's head is filtered; so far these bytes of it came.
    ResponseHead(Vec<u8>),
}

/// What the socket did.
enum Moved {
    /// All bytes for it are written, and the end if there is one.
    Written,
    Read(usize),
}

/// One socket and its stream.
pub struct Pump<S> {
    /// The local socket.
    pub socket: S,
    /// The stream.
    pub conn: Conn,
    /// Bytes for the stream that came before the pump or wait for credit.
    pub pending: Vec<u8>,
    /// Bytes of the socket that may still be sent; what comes after them is ignored.
    pub body_left: u64,
    filter: Filter,
    out: Out,
    /// Bytes of the remote that are in `out` or went before it; told when `out` is written.
    owed: usize,
    credit: usize,
    /// Something of the remote reached the socket.
    answered: bool,
    local_done: bool,
    remote_done: bool,
}

impl<S: Local> Pump<S> {
    /// A pump that has moved nothing yet.
    pub fn new(socket: S, conn: Conn, filter: Filter) -> Self {
        Self {
            socket,
            conn,
            pending: Vec::new(),
            body_left: u64::MAX,
            filter,
            out: Out::default(),
            owed: 0,
            credit: 0,
            answered: false,
            local_done: false,
            remote_done: false,
        }
    }

    /// Grants credit that came before the pump ran.
    pub const fn grant(&mut self, n: usize) {
        self.credit += n;
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
            if self.local_done && self.remote_done && self.out.is_idle() {
                self.conn.done();
                break End::Finished;
            }
            // One piece is read without credit, so that an end is seen without, too.
            let want = self.body_left.clamp(1, CHUNK as u64) as usize;
            let read = !self.local_done && self.pending.is_empty();
            let buf = chunk.get_mut(..if read { want } else { 0 });
            let (idle, ended) = (self.out.is_idle(), self.local_done);
            let end = tokio::select! {
                event = self.conn.event(idle) => self.on_event(event).await,
                moved = moved(&mut self.socket, &mut self.out, buf.unwrap_or_default(), ended) => {
                    self.on_moved(moved, &chunk).await
                }
                _ = watch.tick() => self.out.is_stalled().then_some(End::Reset),
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
        let id = self.conn.id;
        self.conn.send(ClientCmd::Data { id, bytes }).await;
    }

    async fn on_moved(&mut self, moved: io::Result<Moved>, chunk: &[u8]) -> Option<End> {
        match moved {
            Ok(Moved::Written) => self.consumed().await,
            Ok(Moved::Read(0)) => self.finish_local().await,
            Ok(Moved::Read(n)) if self.body_left > 0 => {
                self.body_left = self.body_left.saturating_sub(n as u64);
                self.pending
                    .extend_from_slice(chunk.get(..n).unwrap_or_default());
            }
            // A second request on the connection: it was told that this one closes.
            Ok(Moved::Read(_)) => {}
            Err(_) => return Some(End::Reset),
        }
        None
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
            Some(ClientEvent::Opened { .. }) => return self.greet().await,
            Some(ClientEvent::Data { bytes, .. }) => {
                if let Some(end) = self.greet().await {
                    return Some(end);
                }
                self.owed += bytes.len();
                if self.deliver(&bytes).is_err() {
                    return Some(End::Malformed);
                }
                if self.out.is_idle() {
                    self.consumed().await;
                }
            }
            Some(ClientEvent::Finished { .. }) => {
                match &self.filter {
                    Filter::Raw(_) => {}
                    Filter::ResponseHead(head) if head.is_empty() => {
                        return Some(End::Refused(Refusal::NoAnswer));
                    }
                    Filter::ResponseHead(_) => return Some(End::Malformed),
                }
                self.remote_done = true;
                self.out.close();
                // An HTTP exchange is over with its answer.
                if !self.local_done && self.body_left != u64::MAX {
                    self.finish_local().await;
                }
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
            Some(ClientEvent::Resolved { .. } | ClientEvent::Incoming { .. }) => {}
        }
        None
    }

    /// Writes what comes before the first byte.
    async fn greet(&mut self) -> Option<End> {
        let Filter::Raw(greeting) = &mut self.filter else {
            return None;
        };
        let greeting = std::mem::take(greeting);
        if greeting.is_empty() {
            return None;
        }
        self.answered = true;
        let written = self.socket.write_plain(&greeting).await;
        written.is_err().then_some(End::Reset)
    }

    /// What is no response stays here: unfiltered, it could make the browser do anything.
    fn deliver(&mut self, bytes: &[u8]) -> Result<(), HeadError> {
        let Filter::ResponseHead(head) = &mut self.filter else {
            self.answered = true;
            self.out.put(bytes);
            return Ok(());
        };
        head.extend_from_slice(bytes);
        loop {
            match http_response::read(head)? {
                Progress::Wait => return Ok(()),
                Progress::Interim(n) => drop(head.drain(..n)),
                Progress::Head(out, n) => {
                    self.out.put(&out);
                    self.out.put(head.get(n..).unwrap_or_default());
                    self.filter = Filter::Raw(Vec::new());
                    self.answered = true;
                    return Ok(());
                }
            }
        }
    }
}

/// Bytes on their way into the socket, and then its end.
#[derive(Default)]
struct Out {
    bytes: Vec<u8>,
    written: usize,
    /// Bytes were written and not flushed.
    dirty: bool,
    /// The end is to follow.
    closing: bool,
    /// Bytes were written since the last look.
    moved: bool,
}

impl Out {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    const fn close(&mut self) {
        self.closing = true;
    }

    const fn is_idle(&self) -> bool {
        self.bytes.is_empty() && !self.dirty && !self.closing
    }

    /// Whether something waits and nothing has moved since this was asked last.
    const fn is_stalled(&mut self) -> bool {
        !std::mem::replace(&mut self.moved, false) && !self.is_idle()
    }

    /// Ready when something was to be done and all is; pending without.
    fn poll<S: AsyncWrite + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_idle() {
            return Poll::Pending;
        }
        while let Some(rest @ [_, ..]) = self.bytes.get(self.written..) {
            match ready!(Pin::new(&mut *socket).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.written += n,
            }
            (self.dirty, self.moved) = (true, true);
        }
        self.bytes.clear();
        self.written = 0;
        ready!(Pin::new(&mut *socket).poll_flush(cx))?;
        self.dirty = false;
        if self.closing {
            ready!(Pin::new(&mut *socket).poll_shutdown(cx))?;
            self.closing = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// Waits for the socket to take all of `out`, or to give bytes into `buf` unless that is empty;
/// with `ended`, also for it to be gone.
async fn moved<S: Local>(
    socket: &mut S,
    out: &mut Out,
    buf: &mut [u8],
    ended: bool,
) -> io::Result<Moved> {
    poll_fn(|cx| {
        if let Poll::Ready(done) = out.poll(socket, cx) {
            return Poll::Ready(done.map(|()| Moved::Written));
        }
        if ended && socket.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if buf.is_empty() {
            return Poll::Pending;
        }
        let mut into = ReadBuf::new(buf);
        ready!(Pin::new(&mut *socket).poll_read(cx, &mut into))?;
        Poll::Ready(Ok(Moved::Read(into.filled().len())))
    })
    .await
}

#[cfg(test)]
mod tests;
