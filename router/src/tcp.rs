//! TCP sockets of the link thread: a reading and a writing task each, which report to one queue.
//!
//! A socket has at most one unhandled read under way: it reads on when the loop has given it
//! credit for the next one, so that a paused socket fills the kernel's buffer and slows its peer
//! down. What is written waits in one buffer per socket, which `Links` keeps small.

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket,
    sockopt,
};
use ramson_proto::link::SocketId;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;
use tokio::task::{AbortHandle, spawn_local};

/// Bytes of one read.
const READ: usize = 16 * 1024;
/// Read buffers kept for the next reads.
const POOL: usize = 64;
/// How long a closed socket may take for its last bytes.
const LINGER: Duration = Duration::from_secs(1);
/// Pause after a failed accept: the process is out of descriptors, or the peer is gone already.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What happened to a socket.
pub enum Net {
    /// A peer connected.
    Accepted(TcpStream, SocketAddr),
    /// A connect of ours ended; `None` when it failed.
    Connected(SocketId, Option<TcpStream>),
    /// Bytes of the peer.
    Read(SocketId, Vec<u8>),
    /// Some bytes were written, so many are left.
    Written(SocketId, usize),
    /// The socket is closed or broken.
    Closed(SocketId),
}

/// Read buffers that are used again.
#[derive(Clone, Default)]
pub struct Pool(Rc<RefCell<Vec<Vec<u8>>>>);

impl Pool {
    fn take(&self) -> Vec<u8> {
        let kept = self.0.borrow_mut().pop();
        kept.unwrap_or_else(|| Vec::with_capacity(READ))
    }

    /// Gives a buffer back.
    pub fn give(&self, mut buffer: Vec<u8>) {
        let mut pool = self.0.borrow_mut();
        if pool.len() < POOL {
            buffer.clear();
            pool.push(buffer);
        }
    }
}

#[derive(Default)]
struct Outbox {
    bytes: RefCell<Vec<u8>>,
    closing: Cell<bool>,
    wake: Notify,
}

/// One connected socket. Dropping it closes the socket when its bytes are out, or after a second.
pub struct Socket {
    outbox: Rc<Outbox>,
    credit: Rc<Notify>,
    reader: AbortHandle,
}

impl Socket {
    /// Starts the tasks of a connected stream; the first read has its credit.
    pub fn start(s: SocketId, stream: TcpStream, net: Sender<Net>, pool: Pool) -> Self {
        // Frames are written whole; waiting for more to write would only add delay.
        let _ = stream.set_nodelay(true);
        let (read, write) = stream.into_split();
        let outbox = Rc::new(Outbox::default());
        let credit = Rc::new(Notify::new());
        credit.notify_one();
        let reading = read_all(s, read, credit.clone(), net.clone(), pool);
        let reader = spawn_local(reading).abort_handle();
        spawn_local(write_all(s, write, outbox.clone(), net));
        Self {
            outbox,
            credit,
            reader,
        }
    }

    /// Queues bytes to be written.
    pub fn write(&self, bytes: &[u8]) {
        self.outbox.bytes.borrow_mut().extend_from_slice(bytes);
        self.outbox.wake.notify_one();
    }

    /// Allows the next read when notified.
    pub fn credit(&self) -> Rc<Notify> {
        self.credit.clone()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.reader.abort();
        self.outbox.closing.set(true);
        self.outbox.wake.notify_one();
    }
}

async fn read_all(
    s: SocketId,
    read: OwnedReadHalf,
    credit: Rc<Notify>,
    net: Sender<Net>,
    pool: Pool,
) {
    loop {
        credit.notified().await;
        let Some(bytes) = read_some(&read, &pool).await else {
            break;
        };
        if net.send(Net::Read(s, bytes)).await.is_err() {
            return;
        }
    }
    let _ = net.send(Net::Closed(s)).await;
}

/// The next bytes; a buffer is held only while there is something to read.
async fn read_some(read: &OwnedReadHalf, pool: &Pool) -> Option<Vec<u8>> {
    loop {
        read.readable().await.ok()?;
        let mut buffer = pool.take();
        match read.try_read_buf(&mut buffer) {
            Ok(0) => return None,
            Ok(_) => return Some(buffer),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => pool.give(buffer),
            Err(_) => return None,
        }
    }
}

async fn write_all(s: SocketId, mut write: OwnedWriteHalf, outbox: Rc<Outbox>, net: Sender<Net>) {
    loop {
        let bytes = core::mem::take(&mut *outbox.bytes.borrow_mut());
        if bytes.is_empty() {
            if outbox.closing.get() {
                break;
            }
            outbox.wake.notified().await;
            continue;
        }
        let writing = write_reporting(s, &mut write, &bytes, &outbox, &net);
        let written = if outbox.closing.get() {
            tokio::time::timeout(LINGER, writing).await.unwrap_or(false)
        } else {
            writing.await
        };
        if !written {
            let _ = net.send(Net::Closed(s)).await;
            return;
        }
    }
    let _ = write.shutdown().await;
}

/// Writes all bytes and reports after each piece how many are left. When the socket is being
/// closed meanwhile, what is left has [`LINGER`] from then on.
async fn write_reporting(
    s: SocketId,
    write: &mut OwnedWriteHalf,
    mut bytes: &[u8],
    outbox: &Outbox,
    net: &Sender<Net>,
) -> bool {
    while !bytes.is_empty() {
        let n = tokio::select! {
            n = write.write(bytes) => n,
            () = closed(outbox) => return false,
        };
        let Ok(n @ 1..) = n else {
            return false;
        };
        bytes = bytes.get(n..).unwrap_or_default();
        let left = bytes.len() + outbox.bytes.borrow().len();
        if net.send(Net::Written(s, left)).await.is_err() {
            return false;
        }
    }
    true
}

async fn closed(outbox: &Outbox) {
    while !outbox.closing.get() {
        outbox.wake.notified().await;
    }
    tokio::time::sleep(LINGER).await;
}

/// Connects and reports; aborting the answer's task gives up.
pub fn connect(s: SocketId, addr: SocketAddr, net: Sender<Net>) -> AbortHandle {
    let task = async move {
        let stream = TcpStream::connect(addr).await.ok();
        let _ = net.send(Net::Connected(s, stream)).await;
    };
    spawn_local(task).abort_handle()
}

/// Accepts for ever.
pub async fn accept_all(listener: TcpListener, net: Sender<Net>) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                if net.send(Net::Accepted(stream, remote)).await.is_err() {
                    return;
                }
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Binds a listener; an IPv6 one takes IPv6 only, so that both families can share a port.
///
/// # Errors
/// What the operating system says.
pub fn bind_listener(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    let (family, v6) = match addr {
        SocketAddr::V4(_) => (AddressFamily::Inet, false),
        SocketAddr::V6(_) => (AddressFamily::Inet6, true),
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(family, SockType::Stream, flags, None)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    if v6 {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(addr))?;
    // The kernel's own bound: C libraries differ, and a number above theirs is refused.
    listen(&fd, Backlog::MAXALLOWABLE)?;
    Ok(fd.into())
}
