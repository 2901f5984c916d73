//! What one flow may hold while its reader stands still, and the socket options that keep it so.
//!
//! The scarcest memory is the kernel's for TCP, which all sockets share: a machine with 128 MiB
//! sets `tcp_mem` to about 1,320 / 1,760 / 2,640 pages (a sixteenth of its free buffer pages and
//! the quarters around it), so pressure begins at 5.1 MiB and 10.3 MiB are the end. Without bounds
//! one socket may take 4 MiB to send and 6 MiB to receive, and three stopped readers are enough.
//!
//! | held by | bound | bytes of one flow, overhead counted |
//! | --- | --- | --- |
//! | TCP, to a reader that stands still | [`UNSENT`] and one piece | at most 26 KiB |
//! | TCP, to a reader that vanished | [`TCP_SEND`] and one piece | at most 49 KiB |
//! | TCP, from a client whose site stands still | [`TCP_RECEIVE`] | at most 28 KiB |
//! | Unix sockets, each direction | [`UNIX_SEND`] and one piece | at most 40 KiB |
//! | `gatewayd`, each direction | [`BUFFER`](super::BUFFER) | 8 KiB |
//!
//! 200 readers that stand still hold 2 to 3.5 MiB of TCP memory, which is below the pressure, and
//! 9.6 MiB if all of them vanish in the middle of a transfer, which is below the end. That takes
//! writing piece by piece, see [`write_all`].

use nix::libc;
use socket2::SockRef;
use std::io;
use std::os::fd::AsFd;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// What is written and not sent yet, bytes: a reader that stands still closes its window, and then
/// this is all that waits.
pub const UNSENT: u32 = 8 * 1024;

/// What is written and not acknowledged, bytes; the kernel counts its overhead too, and allows the
/// double. Enough for 5 MB/s at 5 ms.
pub const TCP_SEND: usize = 20 * 1024;

/// What has come and was not read, bytes; counted like [`TCP_SEND`]. Enough for 2 MB/s at 5 ms.
pub const TCP_RECEIVE: usize = 12 * 1024;

/// What is written to the router and was not read, bytes; counted like [`TCP_SEND`].
pub const UNIX_SEND: usize = 12 * 1024;

/// Bounds the connections of a listener: they inherit, so that no window is offered that would
/// have to be taken back.
pub fn bound_listener(listener: &impl AsFd) {
    let socket = SockRef::from(listener);
    // Failing changes how much is held, and nothing that a client could see.
    let _ = socket.set_send_buffer_size(TCP_SEND);
    let _ = socket.set_recv_buffer_size(TCP_RECEIVE);
}

/// Bounds what waits to be sent on one connection.
pub fn bound_stream(stream: &impl AsFd) {
    // As above.
    let _ = SockRef::from(stream).set_tcp_notsent_lowat(UNSENT);
}

/// Bounds what waits on the way to the router.
pub fn bound_unix(stream: &impl AsFd) {
    // As above.
    let _ = SockRef::from(stream).set_send_buffer_size(UNIX_SEND);
}

/// Writes all of it, each piece as a record of its own: into a segment that is not full the kernel
/// would copy up to 64 KiB more without asking whether there is room.
///
/// # Errors
/// Those of `send`.
pub async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    let flags = libc::MSG_EOR | libc::MSG_NOSIGNAL;
    while !bytes.is_empty() {
        let send = || SockRef::from(stream).send_with_flags(bytes, flags);
        let n = stream.async_io(Interest::WRITABLE, send).await?;
        bytes = bytes.get(n..).unwrap_or_default();
    }
    Ok(())
}
