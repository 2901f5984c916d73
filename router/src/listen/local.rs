//! What a pump needs of a local socket besides reading and writing.

use nix::sys::socket::{setsockopt, sockopt};
use std::io;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A local socket.
pub trait Local: AsyncRead + AsyncWrite + Unpin {
    /// From now on closing the socket, by whatever happens to us, is seen as a cut.
    fn arm(&mut self) {}

    /// From now on closing it is seen as an end.
    fn settle(&mut self) {}

    /// Ready once the peer is gone altogether. Asked only after its direction has ended; a socket
    /// that cannot know stays pending, and the next write tells.
    fn poll_gone(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    /// Writes what is said before the stream's own bytes begin.
    fn write_plain(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<()>>;
}

impl Local for TcpStream {
    fn arm(&mut self) {
        linger(self, 1);
    }

    fn settle(&mut self) {
        linger(self, 0);
    }

    async fn write_plain(&mut self, bytes: &[u8]) -> io::Result<()> {
        tokio::io::AsyncWriteExt::write_all(self, bytes).await
    }
}

/// With `on`, closing is a reset.
fn linger(socket: &TcpStream, on: i32) {
    let linger = nix::libc::linger {
        l_onoff: on,
        l_linger: 0,
    };
    // Fails only for a connection that is reset already.
    let _ = setsockopt(socket, sockopt::Linger, &linger);
}
