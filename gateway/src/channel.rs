//! What the supervisor asks `gatewayd` over the socket of the handover: a request of fixed size,
//! answered by the magic, a length and text. The supervisor passes the text on to root and reads
//! nothing in it.

use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Start of an answer: a name and a version.
const MAGIC: [u8; 4] = *b"RGC2";

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(300);

/// Longest answer, bytes: the devices of a full table fit.
pub const TEXT_MAX: usize = 128 * 1024;

/// The first bytes of a client's identity, enough to tell devices apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShortId(pub [u8; 4]);

impl std::fmt::Display for ShortId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl std::str::FromStr for ShortId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = u32::from_str_radix(text, 16).ok();
        let id = id.filter(|_| text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit()));
        id.map(|id| Self(id.to_be_bytes()))
            .ok_or("is no device: eight digits of 0-9 and a-f, as devices lists them")
    }
}

/// What may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Lines for the status.
    Status,
    /// A line for each device.
    Devices,
    /// A new identity for a device; for all without one.
    NewIdentity(Option<ShortId>),
    /// Whether names and the first page are answered: `well`.
    Health,
    /// Not one: a question of ours at the LAN's port has come in by the WAN's.
    BothPorts,
    /// Not one: frames as of one port have come in by the other, which anybody can send.
    MaybeBothPorts,
}

/// Length of a request.
const QUESTION_LEN: usize = 5;

impl Question {
    fn to_bytes(self) -> [u8; QUESTION_LEN] {
        let (kind, id) = match self {
            Self::Status => (0, [0; 4]),
            Self::Devices => (1, [0; 4]),
            Self::NewIdentity(Some(id)) => (2, id.0),
            Self::NewIdentity(None) => (3, [0; 4]),
            Self::BothPorts => (4, [0; 4]),
            Self::MaybeBothPorts => (5, [0; 4]),
            Self::Health => (6, [0; 4]),
        };
        let [a, b, c, d] = id;
        [kind, a, b, c, d]
    }

    fn from_bytes([kind, id @ ..]: [u8; QUESTION_LEN]) -> Option<Self> {
        match kind {
            0 => Some(Self::Status),
            1 => Some(Self::Devices),
            2 => Some(Self::NewIdentity(Some(ShortId(id)))),
            3 => Some(Self::NewIdentity(None)),
            4 => Some(Self::BothPorts),
            5 => Some(Self::MaybeBothPorts),
            6 => Some(Self::Health),
            _ => None,
        }
    }
}

/// Answers the supervisor until it is gone.
///
/// # Errors
/// It is gone, or says something else.
pub async fn serve(
    mut supervisor: UnixStream,
    answer: impl Fn(Question) -> String,
) -> io::Result<()> {
    loop {
        let mut question = [0; QUESTION_LEN];
        supervisor.read_exact(&mut question).await?;
        let question = Question::from_bytes(question).ok_or(io::ErrorKind::InvalidData)?;
        let mut text = answer(question);
        while text.len() > TEXT_MAX {
            let cut = text.rfind('\n').unwrap_or(0);
            text.truncate(cut);
        }
        let len = u32::try_from(text.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        let bytes = [&MAGIC[..], &len.to_be_bytes(), text.as_bytes()].concat();
        supervisor.write_all(&bytes).await?;
    }
}

/// Asks `gatewayd`: its text, or a line that says that there is no answer.
pub async fn ask(gatewayd: &mut UnixStream, question: Question) -> String {
    match tokio::time::timeout(PATIENCE, exchange(gatewayd, question)).await {
        Ok(Ok(text)) => text,
        _ => "error: gatewayd does not answer\n".into(),
    }
}

async fn exchange(gatewayd: &mut UnixStream, question: Question) -> io::Result<String> {
    // Answers that came too late; not more than a socket holds.
    let mut late = [0; 4096];
    for _ in 0..128 {
        if !gatewayd.try_read(&mut late).is_ok_and(|n| n > 0) {
            break;
        }
    }
    gatewayd.write_all(&question.to_bytes()).await?;
    let mut magic = MAGIC;
    gatewayd.read_exact(&mut magic).await?;
    let len = usize::try_from(gatewayd.read_u32().await?).unwrap_or(usize::MAX);
    if magic != MAGIC || len > TEXT_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = vec![0; len];
    gatewayd.read_exact(&mut text).await?;
    // Names of devices come from devices: nothing but plain text reaches a terminal.
    let plain = |b: u8| b == b'\n' || b == b' ' || b.is_ascii_graphic();
    Ok(text
        .into_iter()
        .map(|b| if plain(b) { char::from(b) } else { '?' })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn questions_are_answered_with_plain_text() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let id: ShortId = "0a0b0c0d".parse().unwrap();
        let answer = |question| match question {
            Question::Status => "all: well\n".to_owned(),
            Question::Devices => "line of a device \u{1b}[31m\n".repeat(10_000),
            Question::NewIdentity(Some(id)) => format!("{id}\n"),
            Question::NewIdentity(None) => "everybody\n".into(),
            Question::BothPorts | Question::MaybeBothPorts => String::new(),
            Question::Health => "well\n".into(),
        };
        let asked = async {
            let status = ask(&mut ours, Question::Status).await;
            let devices = ask(&mut ours, Question::Devices).await;
            let one = ask(&mut ours, Question::NewIdentity(Some(id))).await;
            let all = ask(&mut ours, Question::NewIdentity(None)).await;
            drop(ours);
            (status, devices, one, all)
        };
        let ((status, devices, one, all), ended) = tokio::join!(asked, serve(theirs, answer));
        assert!(ended.is_err());
        assert_eq!(
            (&*status, &*one, &*all),
            ("all: well\n", "0a0b0c0d\n", "everybody\n")
        );
        assert!(devices.len() <= TEXT_MAX && devices.starts_with("line of a device ?[31m\n"));
        for bad in ["", "0a0b0c0", "0a0b0c0d0", "+a0b0c0d", "0a0b0c0g"] {
            assert!(bad.parse::<ShortId>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn nonsense_and_silence_are_no_answer() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let silent = ask(&mut ours, Question::Status).await;
        let nonsense = async {
            let mut question = [0; QUESTION_LEN];
            theirs.read_exact(&mut question).await.unwrap();
            theirs.read_exact(&mut question).await.unwrap();
            theirs.write_all(&[7; 200]).await.unwrap();
        };
        let (nonsense, ()) = tokio::join!(ask(&mut ours, Question::Status), nonsense);
        for answer in [silent, nonsense] {
            assert_eq!(answer, "error: gatewayd does not answer\n");
        }
        // What is left of that, or comes late, does not spoil the next answer.
        tokio::select! {
            answer = ask(&mut ours, Question::Status) => assert_eq!(answer, "well\n"),
            ended = serve(theirs, |_| "well\n".into()) => panic!("{ended:?}"),
        }
    }
}
