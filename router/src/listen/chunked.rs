//! A socket of the gateway behind its first frames: a plain stream of bytes outside, chunks with
//! an end that is said inside (see `ramson_ipc::Chunks`). A peer that closes without that end is
//! an error to the reader.

use super::local::Local;
use ramson_ipc::{CHUNK_END, Chunks, chunk_head};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

/// Most bytes of one chunk that we write.
const CHUNK: usize = 16 * 1024;

/// The adapter. Written bytes reach the socket with `flush`.
pub struct Chunked<S> {
    socket: S,
    chunks: Chunks,
    /// Came together with the first frame.
    early: Vec<u8>,
    /// One chunk on its way out, and how much of it is written.
    out: Vec<u8>,
    written: usize,
    closed: bool,
}

impl<S> Chunked<S> {
    /// `early` are bytes of chunks that were read already.
    pub fn new(socket: S, early: Vec<u8>) -> Self {
        Self {
            socket,
            chunks: Chunks::default(),
            early,
            out: Vec::new(),
            written: 0,
            closed: false,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Chunked<S> {
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest @ [_, ..]) = self.out.get(self.written..) {
            match ready!(Pin::new(&mut self.socket).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.written += n,
            }
        }
        self.out.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Moves bytes that came early into `buf`.
    fn take_early(&mut self, buf: &mut ReadBuf<'_>) {
        let n = self.early.len().min(buf.remaining());
        for byte in self.early.drain(..n) {
            buf.put_slice(&[byte]);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Chunked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        while !self.chunks.is_ended() && buf.remaining() > 0 {
            if self.early.is_empty() {
                ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
            } else {
                self.take_early(buf);
            }
            let fresh = buf.filled_mut().get_mut(before..).unwrap_or_default();
            if fresh.is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            let n = self.chunks.strip(fresh).map_err(io::Error::other)?;
            buf.set_filled(before + n);
            if n > 0 {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Chunked<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_out(cx))?;
        let bytes = buf.get(..CHUNK).unwrap_or(buf);
        if let Some(head) = chunk_head(bytes.len()) {
            self.out.extend_from_slice(&head);
            self.out.extend_from_slice(bytes);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_out(cx)
    }

    /// Says the end; the connection stays.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closed {
            self.closed = true;
            self.out.extend_from_slice(&CHUNK_END);
        }
        self.poll_out(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Local for Chunked<S> {
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut byte = [0];
        // Bytes after the end are as wrong as a closed socket.
        Pin::new(&mut self.socket)
            .poll_read(cx, &mut ReadBuf::new(&mut byte))
            .map(|_| ())
    }

    async fn write_plain(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, duplex};

    #[tokio::test]
    async fn what_is_written_is_read_and_the_end_is_said() {
        let (a, b) = duplex(100);
        let (mut a, mut b) = (Chunked::new(a, Vec::new()), Chunked::new(b, Vec::new()));
        let bytes: Vec<u8> = (0..100_000u32).map(|n| n.to_le_bytes()[1]).collect();
        let (sent, mut got) = (bytes.clone(), Vec::new());
        let write = async {
            a.write_all(&sent).await.unwrap();
            a.shutdown().await.unwrap();
        };
        let (_, read) = tokio::join!(write, b.read_to_end(&mut got));
        assert_eq!(read.unwrap(), bytes.len());
        assert!(got == bytes);
        // The other direction is still open.
        b.write_all(b"answer").await.unwrap();
        b.flush().await.unwrap();
        let mut six = [0; 6];
        a.read_exact(&mut six).await.unwrap();
        assert_eq!(&six, b"answer");
    }

    #[tokio::test]
    async fn a_close_without_an_end_is_an_error() {
        let (mut a, b) = duplex(100);
        a.write_all(&[0, 3, b'a', b'b']).await.unwrap();
        drop(a);
        let mut b = Chunked::new(b, vec![0, 2, b'x', b'y']);
        let mut got = Vec::new();
        let error = b.read_to_end(&mut got).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(got, b"xyab");
    }

    #[tokio::test]
    async fn an_early_end_is_an_end() {
        let (_a, b) = duplex(100);
        let mut b = Chunked::new(b, vec![0, 2, b'x', b'y', 0, 0]);
        let mut got = Vec::new();
        b.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"xy");
    }
}
