//! The two frames of `stream.sock`: what the client asks for, what the router answers.

use crate::frame::{self, Fields, FrameError};
use std::fmt;

/// Longest isolation tag, bytes.
pub const TAG_MAX: usize = 64;

/// Longest name, bytes: a base64 destination with a large certificate fits.
pub const NAME_MAX: usize = 4096;

/// What the router does with the stream's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: bytes pass as they are.
    Raw,
    /// The router's HTTP filter stands in between and writes error pages; such a stream is
    /// [`Answer::Opened`] at once, for failures are told inside it.
    Http,
    /// The stream is opened at once, and the client's first bytes decide: a request of HTTP goes
    /// through the filter as with [`Kind::Http`], everything else passes as with [`Kind::Raw`].
    /// The client's bytes are wanted before the [`Answer`].
    Detect,
}

/// The request to open one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Isolation tag, 1 to [`TAG_MAX`] bytes: streams of different tags share no destination.
    pub tag: Vec<u8>,
    /// Host name, b32 name or base64 destination: 1 to [`NAME_MAX`] printable ASCII bytes.
    pub name: String,
    /// I2P port to connect to.
    pub port: u16,
    /// How the bytes are treated.
    pub kind: Kind,
}

/// Why a stream was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The name is malformed.
    BadName,
    /// The name is well formed but nobody knows it.
    UnknownName,
    /// The router has no tunnels yet.
    NotReady,
    /// The destination is known, its lease set was not found.
    NoLeaseSet,
    /// There is a lease set, but none we can use (encryption type, encrypted, signature).
    Unusable,
    /// The destination did not answer in time.
    NoAnswer,
    /// The destination answered with a reset.
    Rejected,
    /// Too many streams or isolation tags.
    Limit,
    /// The router is shutting down.
    Closing,
    /// The frame did not parse.
    BadFrame,
    /// The frame has a version the router does not speak; this is the one it does.
    Unsupported(u8),
}

/// The router's answer to an [`Open`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// From here on the connection carries the stream's bytes.
    Opened,
    /// No stream; the router closes the connection.
    Refused(Reason),
}

/// Why an [`Open`] cannot be written: the field is outside its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeError(pub &'static str);

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad value of {}", self.0)
    }
}

impl std::error::Error for EncodeError {}

fn tag_ok(tag: &[u8]) -> bool {
    (1..=TAG_MAX).contains(&tag.len())
}

fn name_ok(name: &[u8]) -> bool {
    (1..=NAME_MAX).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic)
}

impl Open {
    /// The frame's bytes.
    ///
    /// # Errors
    /// Names the field that is outside its bounds.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        if !tag_ok(&self.tag) {
            return Err(EncodeError("tag"));
        }
        if !name_ok(self.name.as_bytes()) {
            return Err(EncodeError("name"));
        }
        let tag_len = u8::try_from(self.tag.len()).map_err(|_| EncodeError("tag"))?;
        let name_len = u16::try_from(self.name.len()).map_err(|_| EncodeError("name"))?;
        let mut body = Vec::with_capacity(6 + self.tag.len() + self.name.len());
        body.push(match self.kind {
            Kind::Raw => 0,
            Kind::Http => 1,
            Kind::Detect => 2,
        });
        body.extend(self.port.to_be_bytes());
        body.push(tag_len);
        body.extend(&self.tag);
        body.extend(name_len.to_be_bytes());
        body.extend(self.name.as_bytes());
        frame::wrap(&body).ok_or(EncodeError("length"))
    }

    /// Reads one frame off the front of `bytes`: the frame and how many bytes it took. `None`
    /// needs more, never beyond [`crate::FRAME_MAX`] in total; what follows is the stream's.
    ///
    /// # Errors
    /// The bytes can never become a frame.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, FrameError> {
        let Some((body, total)) = frame::unwrap(bytes)? else {
            return Ok(None);
        };
        let mut fields = Fields(body);
        let kind = match fields.u8("kind")? {
            0 => Kind::Raw,
            1 => Kind::Http,
            2 => Kind::Detect,
            _ => return Err(FrameError::Value("kind")),
        };
        let port = fields.u16("port")?;
        let tag_len = fields.u8("tag")?;
        let tag = fields.take(usize::from(tag_len), "tag")?;
        let name_len = fields.u16("name")?;
        let name = fields.take(usize::from(name_len), "name")?;
        fields.end()?;
        if !tag_ok(tag) {
            return Err(FrameError::Value("tag"));
        }
        if !name_ok(name) {
            return Err(FrameError::Value("name"));
        }
        let name = str::from_utf8(name).map_err(|_| FrameError::Value("name"))?;
        Ok(Some((
            Self {
                tag: tag.to_vec(),
                name: name.to_owned(),
                port,
                kind,
            },
            total,
        )))
    }
}

impl Reason {
    fn code(self) -> u8 {
        match self {
            Self::BadName => 1,
            Self::UnknownName => 2,
            Self::NotReady => 3,
            Self::NoLeaseSet => 4,
            Self::Unusable => 5,
            Self::NoAnswer => 6,
            Self::Rejected => 7,
            Self::Limit => 8,
            Self::Closing => 9,
            Self::BadFrame => 10,
            Self::Unsupported(_) => 11,
        }
    }
}

impl From<FrameError> for Reason {
    /// The reason to refuse a frame that did not decode.
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Version(_) => Self::Unsupported(crate::VERSION),
            _ => Self::BadFrame,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadName => "bad name",
            Self::UnknownName => "unknown name",
            Self::NotReady => "router not ready",
            Self::NoLeaseSet => "no lease set found",
            Self::Unusable => "lease set not usable",
            Self::NoAnswer => "no answer",
            Self::Rejected => "rejected by the destination",
            Self::Limit => "too many streams",
            Self::Closing => "router is closing",
            Self::BadFrame => "bad frame",
            Self::Unsupported(v) => return write!(f, "only version {v} is supported"),
        })
    }
}

impl Answer {
    /// The frame's bytes.
    ///
    /// # Errors
    /// None in practice: every answer fits.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let body: &[u8] = match self {
            Self::Opened => &[0],
            Self::Refused(Reason::Unsupported(v)) => &[Reason::Unsupported(*v).code(), *v],
            Self::Refused(reason) => &[reason.code()],
        };
        frame::wrap(body).ok_or(EncodeError("length"))
    }

    /// Reads one frame off the front of `bytes`, as [`Open::decode`] does.
    ///
    /// # Errors
    /// The bytes can never become a frame.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, FrameError> {
        let Some((body, total)) = frame::unwrap(bytes)? else {
            return Ok(None);
        };
        let mut fields = Fields(body);
        let answer = match fields.u8("answer")? {
            0 => Self::Opened,
            1 => Self::Refused(Reason::BadName),
            2 => Self::Refused(Reason::UnknownName),
            3 => Self::Refused(Reason::NotReady),
            4 => Self::Refused(Reason::NoLeaseSet),
            5 => Self::Refused(Reason::Unusable),
            6 => Self::Refused(Reason::NoAnswer),
            7 => Self::Refused(Reason::Rejected),
            8 => Self::Refused(Reason::Limit),
            9 => Self::Refused(Reason::Closing),
            10 => Self::Refused(Reason::BadFrame),
            11 => Self::Refused(Reason::Unsupported(fields.u8("version")?)),
            _ => return Err(FrameError::Value("answer")),
        };
        fields.end()?;
        Ok(Some((answer, total)))
    }
}

#[cfg(test)]
mod tests;
