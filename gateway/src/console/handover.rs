//! What `supervisor` hands the console over its standard input: the socket that `gatewayd` passes
//! visitors on to, the directory of the password, and how a password may be set. The socket of
//! the handover stays: over it the console asks the supervisor.

use super::access::Window;
use crate::fds;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

/// First bytes: a name and a version.
const MAGIC: [u8; 4] = *b"RGP1";

/// Magic, seconds, flags, code.
const LEN: usize = 4 + 4 + 1 + 8;

/// Flags.
const CODE: u8 = 1;
const REPLACES: u8 = 2;

/// What is handed over.
pub struct Handed {
    /// Where visitors come from.
    pub listener: UnixListener,
    /// Where the password is kept, the console's own.
    pub dir: OwnedFd,
    /// How one may be set.
    pub window: Window,
}

/// Sends everything.
///
/// # Errors
/// The other end is gone.
pub fn send(channel: impl AsFd, handed: &Handed, now: Instant) -> io::Result<()> {
    let Window {
        until,
        code,
        replaces,
    } = &handed.window;
    let secs = until.saturating_duration_since(now).as_secs();
    let secs = u32::try_from(secs).unwrap_or(u32::MAX);
    let mut flags = if code.is_some() { CODE } else { 0 };
    if *replaces {
        flags |= REPLACES;
    }
    let bytes = [
        &MAGIC[..],
        &secs.to_be_bytes(),
        &[flags],
        &code.unwrap_or_default(),
    ]
    .concat();
    let fds = [handed.listener.as_fd(), handed.dir.as_fd()];
    fds::send(channel, &bytes, &fds)
}

/// Receives what [`send`] sent.
///
/// # Errors
/// Something else came, or the other end is gone.
pub fn receive(channel: impl AsFd, now: Instant) -> io::Result<Handed> {
    let (bytes, [listener, dir]) = fds::receive::<LEN, 2>(channel)?;
    let [m0, m1, m2, m3, s0, s1, s2, s3, flags, code @ ..] = bytes;
    if [m0, m1, m2, m3] != MAGIC || flags & !(CODE | REPLACES) != 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let secs = u64::from(u32::from_be_bytes([s0, s1, s2, s3]));
    Ok(Handed {
        listener: listener.into(),
        dir,
        window: Window {
            until: now + Duration::from_secs(secs),
            code: (flags & CODE != 0).then_some(code),
            replaces: flags & REPLACES != 0,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::clock;
    use std::os::unix::net::UnixStream;

    #[test]
    fn how_a_password_may_be_set_arrives() {
        let dir = std::env::temp_dir().join(format!("ramson-console-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let now = clock();
        for (secs, code, replaces) in [(900, Some(*b"01234567"), false), (0, None, true)] {
            let path = dir.join(format!("{secs}.sock"));
            let handed = Handed {
                listener: UnixListener::bind(&path).unwrap(),
                dir: std::fs::File::open(&dir).unwrap().into(),
                window: Window {
                    until: now + Duration::from_secs(secs),
                    code,
                    replaces,
                },
            };
            let (ours, theirs) = UnixStream::pair().unwrap();
            send(&ours, &handed, now).unwrap();
            let got = receive(&theirs, now).unwrap();
            assert_eq!(got.window, handed.window);
            assert!(UnixStream::connect(&path).is_ok());
        }
        let (ours, theirs) = UnixStream::pair().unwrap();
        let file = std::fs::File::open(&dir).unwrap();
        fds::send(&ours, &[0; LEN], &[file.as_fd(), file.as_fd()]).unwrap();
        assert!(receive(&theirs, now).is_err());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
