//! The way to the router: one connection to `stream.sock` for each stream. No connection is kept
//! or retried; a router that is gone refuses everything until it is back.

use ramson_ipc::{Answer, FRAME_MAX, Open, Reason};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// How long the router may take to open a stream; its own limits are shorter.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// Where the router listens.
#[derive(Debug, Clone)]
pub struct RouterClient {
    path: PathBuf,
}

/// Why there is no stream.
#[derive(Debug)]
pub enum OpenError {
    /// The router says no.
    Refused(Reason),
    /// The router is not there, or broke off.
    Gone(io::Error),
    /// The router does not speak the protocol.
    Protocol,
    /// No answer in time.
    Timeout,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => write!(f, "router refuses: {reason}"),
            Self::Gone(e) => write!(f, "router is gone: {e}"),
            Self::Protocol => write!(f, "router answers nonsense"),
            Self::Timeout => write!(f, "router does not answer"),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

/// An open stream and the bytes that came right behind the answer.
pub struct Opened {
    /// Chunks from here on, in both directions.
    pub stream: UnixStream,
    /// Chunks to be delivered before anything else.
    pub first: Vec<u8>,
}

impl RouterClient {
    /// `path` is that of `stream.sock`.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Asks for a stream and waits for the answer.
    ///
    /// # Errors
    /// There is none; the connection is closed.
    pub async fn open(&self, open: &Open) -> Result<Opened, OpenError> {
        let frame = open
            .encode()
            .map_err(|_| OpenError::Refused(Reason::BadName))?;
        let exchange = async {
            let mut stream = UnixStream::connect(&self.path).await?;
            stream.write_all(&frame).await?;
            read_answer(stream).await
        };
        tokio::time::timeout(ANSWER_TIMEOUT, exchange)
            .await
            .unwrap_or(Err(OpenError::Timeout))
    }
}

async fn read_answer(mut stream: UnixStream) -> Result<Opened, OpenError> {
    let mut buf = Vec::with_capacity(FRAME_MAX);
    loop {
        if stream.read_buf(&mut buf).await? == 0 {
            return Err(OpenError::Gone(io::ErrorKind::UnexpectedEof.into()));
        }
        match Answer::decode(&buf) {
            Err(_) => return Err(OpenError::Protocol),
            Ok(Some((Answer::Refused(reason), _))) => return Err(OpenError::Refused(reason)),
            Ok(Some((Answer::Opened, n))) => {
                return Ok(Opened {
                    stream,
                    first: buf.split_off(n),
                });
            }
            Ok(None) if buf.len() >= FRAME_MAX => return Err(OpenError::Protocol),
            Ok(None) => {}
        }
    }
}
