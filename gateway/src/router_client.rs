//! The way to the router: one connection to `stream.sock` for each stream. No connection is kept
//! or retried; a router that is gone refuses everything until it is back.

use crate::flow::buffers;
use ramson_ipc::control::Request;
use ramson_ipc::{Answer, FRAME_MAX, Open, Reason};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// How long the router may take to open a stream; its own limits are shorter.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// How long it may take to hear that a tag is given up.
const FORGET_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the router listens.
#[derive(Debug, Clone)]
pub struct RouterClient {
    path: PathBuf,
    control: PathBuf,
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

impl RouterClient {
    /// `path` is that of `stream.sock`, `control` that of `control.sock`.
    #[must_use]
    pub fn new(path: PathBuf, control: PathBuf) -> Self {
        Self { path, control }
    }

    /// Tells the router that a tag is not used any more. One that does not hear of it ends the
    /// tag's destination when it has been idle for long.
    pub async fn forget(&self, tag: [u8; 16]) {
        let telling = async {
            let mut stream = UnixStream::connect(&self.control).await?;
            stream.write_all(&Request::Forget(tag).encode()).await?;
            stream.read_to_end(&mut Vec::new()).await
        };
        let _ = tokio::time::timeout(FORGET_TIMEOUT, telling).await;
    }

    /// Asks for a stream. Its answer comes on the connection, see [`Answers`]; chunks may be sent
    /// before it.
    ///
    /// # Errors
    /// The router is not there, or the name cannot be one.
    pub async fn ask(&self, open: &Open) -> Result<UnixStream, OpenError> {
        let frame = open
            .encode()
            .map_err(|_| OpenError::Refused(Reason::BadName))?;
        let mut stream = UnixStream::connect(&self.path).await?;
        buffers::bound_unix(&stream);
        stream.write_all(&frame).await?;
        Ok(stream)
    }
}

/// Reads the answer to one request.
#[derive(Debug, Default)]
pub struct Answers(Vec<u8>);

impl Answers {
    /// Waits for the stream to be open: the bytes of chunks that came right behind the answer.
    ///
    /// # Errors
    /// There is no stream.
    pub async fn wait(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
    ) -> Result<Vec<u8>, OpenError> {
        tokio::time::timeout(ANSWER_TIMEOUT, self.read(from))
            .await
            .unwrap_or(Err(OpenError::Timeout))
    }

    async fn read(&mut self, from: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, OpenError> {
        let buf = &mut self.0;
        loop {
            match Answer::decode(buf) {
                Err(_) => return Err(OpenError::Protocol),
                Ok(Some((Answer::Refused(reason), _))) => return Err(OpenError::Refused(reason)),
                Ok(Some((Answer::Opened, n))) => return Ok(buf.split_off(n)),
                Ok(None) if buf.len() >= FRAME_MAX => return Err(OpenError::Protocol),
                Ok(None) => {}
            }
            if from.read_buf(buf).await? == 0 {
                return Err(OpenError::Gone(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}
