//! Messages with descriptors over a Unix socket: how root hands a process what it cannot make
//! itself.

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Most descriptors of one message.
const MAX: usize = 16;

/// Sends one message.
///
/// # Errors
/// The other end is gone, or there are too many descriptors.
pub fn send(channel: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let iov = [IoSlice::new(bytes)];
    let sent = sendmsg(channel, &iov, &mut control, SendFlags::NOSIGNAL)?;
    if sent == bytes.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}

/// Receives what [`send`] sent: a message of exactly `LEN` bytes with `FDS` descriptors.
///
/// # Errors
/// Something else came, or the other end is gone.
pub fn receive<const LEN: usize, const FDS: usize>(
    channel: impl AsFd,
) -> io::Result<([u8; LEN], [OwnedFd; FDS])> {
    let mut bytes = [0; LEN];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut iov = [IoSliceMut::new(&mut bytes)];
    let got = recvmsg(channel, &mut iov, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut fds: Vec<OwnedFd> = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    if got.bytes != LEN {
        return Err(bad());
    }
    Ok((bytes, fds.try_into().map_err(|_| bad())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn descriptors_arrive_and_nothing_else_will_do() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut a, b) = UnixStream::pair().unwrap();
        send(&ours, b"abc", &[b.as_fd()]).unwrap();
        let (bytes, [got]) = receive::<3, 1>(&theirs).unwrap();
        assert_eq!(&bytes, b"abc");
        drop(b);
        UnixStream::from(got).write_all(b"x").unwrap();
        let mut read = Vec::new();
        a.read_to_end(&mut read).unwrap();
        assert_eq!(read, b"x");
        send(&ours, b"abc", &[a.as_fd()]).unwrap();
        assert!(receive::<3, 2>(&theirs).is_err());
        send(&ours, b"ab", &[a.as_fd()]).unwrap();
        assert!(receive::<3, 1>(&theirs).is_err());
        drop(ours);
        assert!(receive::<3, 1>(&theirs).is_err());
    }
}
