//! Bytes on their way into a local socket, and what the socket did.

use super::super::local::Local;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncWrite, ReadBuf};

/// What the socket did.
pub enum Moved {
    /// All bytes for it are written, and the end if there is one.
    Written,
    /// So many bytes were read; none at its end.
    Read(usize),
}

/// Bytes on their way into the socket, and then its end.
#[derive(Default)]
pub struct Out {
    bytes: Vec<u8>,
    written: usize,
    /// Bytes were written and not flushed.
    dirty: bool,
    /// The end is to follow.
    closing: bool,
    /// Bytes were written since the last look.
    moved: bool,
    /// Something waited at the last look.
    waited: bool,
}

impl Out {
    pub fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub const fn close(&mut self) {
        self.closing = true;
    }

    /// What the socket has not taken.
    pub fn unsent(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    pub const fn is_idle(&self) -> bool {
        self.bytes.is_empty() && !self.dirty && !self.closing
    }

    /// Whether something has waited since this was asked last, and nothing has moved.
    pub const fn is_stalled(&mut self) -> bool {
        let waits = !self.is_idle();
        let waited = std::mem::replace(&mut self.waited, waits);
        let moved = std::mem::replace(&mut self.moved, false);
        waited && waits && !moved
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
pub async fn moved<S: Local>(
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
