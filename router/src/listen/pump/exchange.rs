//! One HTTP request and its answer on their way through a pump, with the time that they may take.

use super::{End, Filter};
use ramson_proto::client::http_body::{BadChunk, Body};
use ramson_proto::client::http_request::RequestKind;
use ramson_proto::client::http_response::{AnswerError, Answers, Asked};
use std::time::Duration;
use tokio::time::Instant;

/// A site that took the request has this long to begin its answer.
pub const ANSWER_TIME: Duration = Duration::from_secs(180);
/// Between two bytes of an exchange at most so much time passes.
const IDLE: Duration = Duration::from_secs(900);
/// A site that has answered has this long to close.
const LAST: Duration = Duration::from_secs(10);

/// One exchange.
pub struct Exchange {
    /// What has come of the answer.
    pub answers: Answers,
    upload: Upload,
    /// The site took the stream.
    opened: bool,
    /// When something last moved.
    since: Instant,
}

/// What becomes of the client's bytes.
enum Upload {
    /// The request's body; what comes after it is dropped: the client was told that this request
    /// is the connection's last.
    Body(Body),
    /// They belong to the protocol that the site may switch to.
    Held(Vec<u8>),
}

impl Exchange {
    /// An exchange whose request is about to be sent.
    pub fn new(kind: RequestKind, asked: Asked) -> Self {
        Self {
            answers: Answers::new(asked),
            upload: match kind {
                RequestKind::Message(framing) => Upload::Body(Body::new(framing, false)),
                RequestKind::Upgrade | RequestKind::Tunnel => Upload::Held(Vec::new()),
            },
            opened: false,
            since: Instant::now(),
        }
    }

    /// Takes bytes of the client; what travels is appended to `out`.
    pub fn upload(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), BadChunk> {
        match &mut self.upload {
            Upload::Body(body) => body.push(bytes, out),
            Upload::Held(held) => {
                held.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Takes bytes of the site.
    pub fn answer(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), AnswerError> {
        (self.since, self.opened) = (Instant::now(), true);
        self.answers.push(bytes, out)
    }

    /// What waited for another protocol.
    pub fn release(&mut self) -> Vec<u8> {
        match &mut self.upload {
            Upload::Body(_) => Vec::new(),
            Upload::Held(held) => std::mem::take(held),
        }
    }
}

impl Filter {
    /// Whether bytes of the client have a place to go to.
    pub fn reads(&self) -> bool {
        match self {
            Self::Raw(_) | Self::Detect(_) | Self::Visit(_) => true,
            Self::Http(x) => !matches!(&x.upload, Upload::Held(held) if !held.is_empty()),
        }
    }

    /// The site took the stream.
    pub fn opened(&mut self) {
        if let Self::Http(x) = self {
            (x.since, x.opened) = (Instant::now(), true);
        }
    }

    /// Bytes of the request left.
    pub fn moved(&mut self) {
        if let Self::Http(x) = self {
            x.since = Instant::now();
        }
    }

    /// When patience ends; other protocols may be silent as long as they like.
    pub fn deadline(&self) -> Option<Instant> {
        let x = match self {
            Self::Raw(_) | Self::Visit(_) => return None,
            Self::Detect(detect) => return detect.deadline(),
            Self::Http(x) => x,
        };
        // Until then the core knows whether anything is to be expected.
        let time = match (x.answers.is_complete(), x.answers.has_begun()) {
            (true, _) => LAST,
            (false, true) => IDLE,
            (false, false) if x.opened => ANSWER_TIME,
            (false, false) => IDLE,
        };
        Some(x.since + time)
    }

    /// What the end of patience means.
    pub fn overdue(&self) -> Option<End> {
        let x = match self {
            Self::Raw(_) | Self::Visit(_) => return None,
            Self::Detect(_) => return Some(End::Reset),
            Self::Http(x) => x,
        };
        Some(match (x.answers.is_complete(), x.answers.has_begun()) {
            (true, _) => End::Finished,
            (false, true) => End::Reset,
            (false, false) => End::Silent,
        })
    }
}
