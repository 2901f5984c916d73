//! A link after its handshake: messages in, frames out, and the reverse.

use super::block::{self, Block};
use super::frame::{FrameError, Opener, PLAIN_MAX, Sealer, Session};
use super::reason;
use crate::limits;
use crate::link::queue::{Drops, SendQueue};
use crate::rng::Rng;
use crate::time::{Instant, Now};
use crate::wire::cursor::{Reader, Writer};
use crate::wire::i2np::Message;

/// Random padding of a frame is below this many bytes.
const PADDING: usize = 48;

/// Sizes of RouterInfos that are worth an event: smaller ones cannot hold an identity.
const INFO_SIZES: core::ops::RangeInclusive<usize> = 387..=limits::ROUTER_INFO_MAX;

/// What a frame of the peer brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A message.
    I2np(Message),
    /// A RouterInfo that was not parsed.
    Router {
        /// The serialised RouterInfo.
        bytes: Vec<u8>,
        /// The peer asks to have it flooded.
        flood: bool,
    },
    /// The peer's clock in seconds since 1970.
    Clock(u32),
    /// The peer ended the link for this reason.
    Terminated(u8),
}

/// One link in its data phase.
pub struct Established {
    sealer: Sealer,
    opener: Opener,
    /// What waits to be sent.
    pub queue: SendQueue,
    heard: Instant,
    spoke: Instant,
    used: Instant,
    carried: Instant,
    begun: Option<Instant>,
}

impl Established {
    /// From a finished handshake.
    #[must_use]
    pub fn new(session: Session, now: Instant) -> Self {
        Self {
            sealer: session.sealer,
            opener: session.opener,
            queue: SendQueue::default(),
            heard: now,
            spoke: now,
            used: now,
            carried: now,
            begun: None,
        }
    }

    /// When the last frame came in.
    #[must_use]
    pub const fn heard(&self) -> Instant {
        self.heard
    }

    /// When the last frame went out.
    #[must_use]
    pub const fn spoke(&self) -> Instant {
        self.spoke
    }

    /// When something other than our own keep-alive last went in either direction.
    #[must_use]
    pub const fn used(&self) -> Instant {
        self.used
    }

    /// When a message last went in either direction.
    #[must_use]
    pub const fn carried(&self) -> Instant {
        self.carried
    }

    /// Since when the peer owes us the rest of a frame.
    #[must_use]
    pub const fn begun(&self) -> Option<Instant> {
        self.begun
    }

    /// The next frame of queued messages; `None` when nothing waits.
    pub fn next_frame(&mut self, now: Now, rng: &mut Rng, drops: &mut Drops) -> Option<Vec<u8>> {
        let mut w = Writer::with_capacity(limits::NTCP2_FRAME_TARGET + PADDING);
        let mut room = PLAIN_MAX - block::HEADER;
        let mut messages = 0;
        while messages < limits::NTCP2_FRAME_MESSAGES
            && let Some(next) = self.queue.pop(now.mono, room, drops)
        {
            block::i2np(&mut w, &next);
            messages += 1;
            room = limits::NTCP2_FRAME_TARGET.saturating_sub(w.len());
        }
        if messages == 0 {
            return None;
        }
        self.used = now.mono;
        self.carried = now.mono;
        self.seal(now.mono, rng, w)
    }

    /// A frame that only shows that we are here.
    pub fn keep_alive(&mut self, now: Now, rng: &mut Rng) -> Option<Vec<u8>> {
        let mut w = Writer::with_capacity(64);
        block::date_time(&mut w, now.wall.secs_u32_rounded());
        self.seal(now.mono, rng, w)
    }

    /// The last frame: why the link ends.
    pub fn terminate(&mut self, now: Now, rng: &mut Rng, reason: u8) -> Option<Vec<u8>> {
        let mut w = Writer::with_capacity(64);
        block::termination(&mut w, self.opener.received(), reason);
        self.seal(now.mono, rng, w)
    }

    fn seal(&mut self, now: Instant, rng: &mut Rng, mut w: Writer) -> Option<Vec<u8>> {
        let n = rng
            .below(PADDING)
            .min(PLAIN_MAX.saturating_sub(w.len() + block::HEADER));
        block::padding(&mut w, &rng.bytes(n));
        self.spoke = now;
        self.sealer.seal(w.into_vec())
    }

    /// Takes bytes of the peer; what they brought is appended to `out`, up to the fault if there
    /// is one.
    ///
    /// # Errors
    /// The termination reason that the link is to be ended with.
    pub fn receive(
        &mut self,
        now: Instant,
        bytes: &[u8],
        out: &mut Vec<Received>,
    ) -> Result<(), u8> {
        self.opener.feed(bytes);
        loop {
            let frame = match self.opener.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    let part = self.opener.is_within_frame();
                    self.begun = part.then(|| self.begun.unwrap_or(now));
                    return Ok(());
                }
                Err(FrameError::Aead) => return Err(reason::AEAD),
                Err(FrameError::Length) => return Err(reason::FRAMING),
            };
            self.heard = now;
            self.used = now;
            self.begun = None;
            let before = out.len();
            let read = read_blocks(&frame, out);
            let mut new = out.iter().skip(before);
            if new.any(|r| matches!(r, Received::I2np(_))) {
                self.carried = now;
            }
            if read.is_err() {
                return Err(reason::PAYLOAD);
            }
            if matches!(out.last(), Some(Received::Terminated(_))) {
                return Ok(());
            }
        }
    }
}

fn read_blocks(frame: &[u8], out: &mut Vec<Received>) -> crate::wire::error::Result<()> {
    let mut r = Reader::new(frame);
    while !r.is_empty() {
        match Block::read(&mut r)? {
            Block::I2np(bytes) => out.push(Received::I2np(Message::parse_short(bytes)?)),
            Block::RouterInfo { flood, bytes } if INFO_SIZES.contains(&bytes.len()) => {
                out.push(Received::Router {
                    bytes: bytes.to_vec(),
                    flood,
                });
            }
            Block::DateTime(secs) => out.push(Received::Clock(secs)),
            Block::Termination { reason, .. } => {
                out.push(Received::Terminated(reason));
                return Ok(());
            }
            Block::RouterInfo { .. } | Block::Options(_) | Block::Padding | Block::Unknown(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::noise::Noise;
    use crate::router::output::Class;
    use crate::time::Date;
    use crate::wire::hash::MessageId;

    fn pair() -> (Established, Established) {
        let noise = Noise::new(b"a finished handshake");
        let end = |initiator| Established::new(Session::split(&noise, initiator), Instant(0));
        (end(true), end(false))
    }

    fn message(id: u32, n: usize) -> Message {
        Message {
            kind: 20,
            id: MessageId(id),
            expires: Date::from_secs(9),
            body: vec![7; n],
        }
    }

    #[test]
    fn messages_share_frames_and_the_largest_has_its_own() {
        let (mut a, mut b) = pair();
        let (mut rng, mut drops) = (Rng::from_number(1), Drops::default());
        let now = Now::default();
        for id in 0..40 {
            a.queue
                .push(now.mono, Class::Own, message(id, 1028), &mut drops);
        }
        let largest = message(40, limits::I2NP_BODY_MAX);
        a.queue.push(now.mono, Class::Own, largest, &mut drops);
        let (mut frames, mut out) = (0, Vec::new());
        while let Some(frame) = a.next_frame(now, &mut rng, &mut drops) {
            frames += 1;
            for chunk in frame.chunks(1000) {
                assert_eq!(b.receive(now.mono, chunk, &mut out), Ok(()));
            }
        }
        assert_eq!(frames, 4);
        let ids = out.iter().map(|r| match r {
            Received::I2np(m) => m.id.0,
            other => panic!("{other:?}"),
        });
        assert!(ids.eq(0..=40));
        assert_eq!(drops, Drops::default());
    }

    #[test]
    fn frames_of_the_smallest_messages_are_closed_by_bytes_and_by_count() {
        for (first, n) in [
            (16_000, 0),
            (16_000, 1),
            (0, 0),
            (1, 1),
            (limits::I2NP_BODY_MAX, 0),
        ] {
            let (mut a, mut b) = pair();
            let (mut rng, mut drops) = (Rng::from_number(1), Drops::default());
            let now = Now::default();
            let mut push = |id, n| {
                let q = &mut a.queue;
                q.push(now.mono, Class::Transit, message(id, n), &mut drops);
            };
            push(0, first);
            (1..=1500).for_each(|id| push(id, n));
            let (mut most, mut out) = (0, Vec::new());
            while let Some(frame) = a.next_frame(now, &mut rng, &mut drops) {
                let before = out.len();
                assert_eq!(b.receive(now.mono, &frame, &mut out), Ok(()));
                let alone = out.len() - before == 1;
                let bound = limits::NTCP2_FRAME_TARGET + PADDING + block::HEADER + 18;
                assert!(alone || frame.len() <= bound, "{} bytes", frame.len());
                most = most.max(out.len() - before);
            }
            assert_eq!(out.len(), 1501);
            assert!(most <= limits::NTCP2_FRAME_MESSAGES);
        }
    }

    #[test]
    fn a_plaintext_that_is_too_long_is_no_frame() {
        let (mut a, _) = pair();
        assert!(a.sealer.seal(vec![0; PLAIN_MAX + 1]).is_none());
        assert!(a.sealer.seal(vec![0; PLAIN_MAX]).is_some());
    }

    #[test]
    fn a_frame_that_is_begun_has_a_time_and_frames_without_messages_carry_nothing() {
        let (mut a, mut b) = pair();
        let (mut rng, mut out, now) = (Rng::from_number(1), Vec::new(), Now::default());
        let later = |secs| Instant(0) + core::time::Duration::from_secs(secs);
        let frame = a.keep_alive(now, &mut rng).unwrap();
        let (first, rest) = frame.split_at(1);
        assert_eq!(b.receive(later(1), first, &mut out), Ok(()));
        assert_eq!(b.receive(later(2), &rest[..5], &mut out), Ok(()));
        assert_eq!(b.begun(), Some(later(1)));
        assert_eq!(b.receive(later(3), &rest[5..], &mut out), Ok(()));
        assert_eq!(
            (b.begun(), b.used(), b.carried()),
            (None, later(3), later(0))
        );
        let mut drops = Drops::default();
        a.queue
            .push(now.mono, Class::Own, message(1, 0), &mut drops);
        let frame = a.next_frame(now, &mut rng, &mut drops).unwrap();
        let half = a.keep_alive(now, &mut rng).unwrap();
        let bytes = [&frame, &half[..9]].concat();
        assert_eq!(b.receive(later(9), &bytes, &mut out), Ok(()));
        assert_eq!((b.begun(), b.carried()), (Some(later(9)), later(9)));
    }

    #[test]
    fn altered_and_malformed_frames_have_their_reasons() {
        let (mut a, mut b) = pair();
        let mut rng = Rng::from_number(1);
        let mut frame = a.keep_alive(Now::default(), &mut rng).unwrap();
        *frame.last_mut().unwrap() ^= 1;
        let mut out = Vec::new();
        let refused = b.receive(Instant(0), &frame, &mut out);
        assert_eq!(refused, Err(reason::AEAD));
        let (mut a, mut b) = pair();
        let frame = a.sealer.seal(vec![3, 0, 9, 1]).unwrap();
        let refused = b.receive(Instant(0), &frame, &mut out);
        assert_eq!(refused, Err(reason::PAYLOAD));
        let (mut a, mut b) = pair();
        let mut short = a.keep_alive(Now::default(), &mut rng).unwrap();
        // The length under its mask, made 15: below a tag.
        let n = (short.len() as u16 - 2) ^ 15;
        short[0] ^= n.to_be_bytes()[0];
        short[1] ^= n.to_be_bytes()[1];
        let refused = b.receive(Instant(0), &short, &mut out);
        assert_eq!(refused, Err(reason::FRAMING));
        assert_eq!(out, []);
    }

    #[test]
    fn nothing_is_read_after_a_termination() {
        let (mut a, mut b) = pair();
        let mut rng = Rng::from_number(1);
        let now = Now::default();
        let mut bytes = a.terminate(now, &mut rng, reason::NORMAL).unwrap();
        bytes.extend_from_slice(&a.keep_alive(now, &mut rng).unwrap());
        let mut out = Vec::new();
        assert_eq!(b.receive(Instant(0), &bytes, &mut out), Ok(()));
        assert_eq!(out, [Received::Terminated(reason::NORMAL)]);
    }
}
