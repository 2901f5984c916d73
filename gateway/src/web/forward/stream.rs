//! A body that is passed on as it comes: an update is larger than what there is memory for. The
//! console gives leave first, by the head alone, and may answer before the end.

use super::{ANSWER_MAX, BODY, CONSOLE, DEVICE, Forward};
use crate::channel::ShortId;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// How long a visitor may say nothing, and the console take nothing: it waits for a disk.
const STILL: Duration = Duration::from_secs(30);

/// Bytes at a time.
const PIECE: usize = 16 << 10;

/// Longest head of an answer.
const HEAD_MAX: usize = 8192;

/// The console's answer; `None` when it is away or broke off.
///
/// # Errors
/// The visitor is gone, or late.
pub(super) async fn pass_on(
    forward: &Forward,
    console: &Path,
    device: ShortId,
    early: &[u8],
    visitor: &mut TcpStream,
) -> io::Result<Option<Vec<u8>>> {
    let early = early.get(..forward.length).unwrap_or(early);
    let mut left = forward.length - early.len();
    // By the head alone: what is refused is not sent at all.
    let allowed = match timeout(CONSOLE, forward.ask(console, device, &[])).await {
        Ok(Ok(answer)) if !answer.is_empty() => answer,
        _ => return Ok(None),
    };
    if !allowed.starts_with(b"HTTP/1.1 204") {
        if !forward.waits {
            drain(visitor, &mut left).await;
        }
        return Ok(Some(allowed));
    }
    let Ok(mut there) = UnixStream::connect(console).await else {
        return Ok(None);
    };
    let head = format!(
        "{}Content-Length: {}\r\n{DEVICE}: {device}\r\nExpect: 100-continue\r\n\
         Connection: close\r\n\r\n",
        forward.head, forward.length
    );
    let asked = async {
        there.write_all(head.as_bytes()).await?;
        leave(&mut there).await
    };
    let mut answer = match timeout(CONSOLE, asked).await {
        Ok(Ok(answer)) => answer,
        _ => return Ok(None),
    };
    let (mut from, mut to) = there.split();
    let is_given = answer.is_empty();
    if is_given {
        if forward.waits && left > 0 {
            visitor.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        tokio::select! {
            sent = send(early, &mut left, visitor, &mut to) => sent?,
            // It has answered already: it does not want the rest.
            read = from.read_buf(&mut answer) => { read?; }
        }
    }
    // What the visitor still sends is read: closing over it would destroy the answer on its way.
    let rest = async {
        if !forward.waits || is_given {
            drain(visitor, &mut left).await;
        }
    };
    let answered = async {
        let done = async {
            if !is_given || !answer.is_empty() {
                // The library reads on until it hears that nothing follows.
                to.shutdown().await?;
            }
            from.take(ANSWER_MAX).read_to_end(&mut answer).await
        };
        timeout(BODY, done).await
    };
    let (answered, ()) = tokio::join!(answered, rest);
    Ok(matches!(answered, Ok(Ok(_))).then_some(answer))
}

/// Waits until the console says that it takes the body, or answers: what it has said of that.
async fn leave(there: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    loop {
        let end = said.windows(4).position(|w| w == b"\r\n\r\n");
        if let Some(end) = end {
            let given = said.starts_with(b"HTTP/1.1 100");
            return Ok(if given { said.split_off(end + 4) } else { said });
        }
        if said.len() > HEAD_MAX || there.read_buf(&mut said).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// Passes on what is there and what comes.
async fn send(
    early: &[u8],
    left: &mut usize,
    visitor: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut broken = to.write_all(early).await.is_err();
    let mut piece = vec![0; PIECE];
    while *left > 0 && !broken {
        let most = PIECE.min(*left);
        let room = piece.get_mut(..most).unwrap_or_default();
        let n = timeout(STILL, visitor.read(room)).await??;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *left -= n;
        let taken = timeout(STILL, to.write_all(piece.get(..n).unwrap_or_default())).await?;
        // It has answered then, or is gone.
        broken = taken.is_err();
    }
    Ok(())
}

async fn drain(visitor: &mut (impl AsyncRead + Unpin), left: &mut usize) {
    let mut piece = vec![0; PIECE];
    while *left > 0 {
        match timeout(STILL, visitor.read(&mut piece)).await {
            Ok(Ok(n)) if n > 0 => *left = left.saturating_sub(n),
            _ => return,
        }
    }
}
