//! Two destinations against each other, recorded conversations, hostile input.

mod hostile;
mod recorded;
mod sessions;
mod soak;

use super::*;
use crate::garlic::clove::{Clove, Delivery};
use crate::time::Date;
use crate::wire::hash::MessageId;
use crate::wire::i2np::Message;

fn start() -> Now {
    Now {
        mono: Instant(1_000_000_000),
        wall: Date::from_secs(1_800_000_000),
    }
}

/// A clove that is told apart by its number.
fn clove(id: u32, body: usize) -> Block {
    Block::Clove(Clove {
        delivery: Delivery::Local,
        message: Message {
            kind: 20,
            id: MessageId(id),
            expires: Date::from_secs(1_800_000_060),
            body: vec![7; body],
        },
    })
}

fn ids(opened: &Opened) -> Vec<u32> {
    let id = |b: &Block| match b {
        Block::Clove(c) => Some(c.message.id.0),
        _ => None,
    };
    opened.blocks.iter().filter_map(id).collect()
}

/// Two destinations at one time.
struct Two {
    a: Ratchets,
    b: Ratchets,
    ka: PeerKey,
    kb: PeerKey,
    rng: Rng,
    now: Now,
}

impl Two {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::from_number(seed);
        let a = Ratchets::new(PrivateKey::random(&mut rng));
        let b = Ratchets::new(PrivateKey::random(&mut rng));
        Self {
            ka: PeerKey(*a.public()),
            kb: PeerKey(*b.public()),
            a,
            b,
            rng,
            now: start(),
        }
    }

    /// A to B, as sealed.
    fn a_seals(&mut self, id: u32, ack: bool) -> Sealed {
        let blocks = [clove(id, 100)];
        let sealed = self.a.seal(self.now, &mut self.rng, &self.kb, &blocks, ack);
        sealed.unwrap()
    }

    fn b_seals(&mut self, id: u32, ack: bool) -> Sealed {
        let blocks = [clove(id, 100)];
        let sealed = self.b.seal(self.now, &mut self.rng, &self.ka, &blocks, ack);
        sealed.unwrap()
    }

    /// A New Session from A although there is a session.
    fn a_seals_afresh(&mut self, id: u32) -> Sealed {
        let blocks = [clove(id, 100)];
        let sealed = self
            .a
            .seal_afresh(self.now, &mut self.rng, &self.kb, &blocks);
        sealed.unwrap()
    }

    fn a_opens(&mut self, sealed: &Sealed) -> Result<Opened, OpenError> {
        self.a.open(self.now, &mut self.rng, &sealed.content)
    }

    fn b_opens(&mut self, sealed: &Sealed) -> Result<Opened, OpenError> {
        self.b.open(self.now, &mut self.rng, &sealed.content)
    }

    /// Message from A to B that has to arrive, and back.
    fn a_to_b(&mut self, kind: SentKind) -> Opened {
        let id = self.rng.u32();
        let sealed = self.a_seals(id, false);
        assert_eq!(sealed.kind, kind);
        let opened = self.b_opens(&sealed).unwrap();
        assert_eq!((opened.kind, opened.peer), (kind, Some(self.ka)));
        assert_eq!(ids(&opened), [id]);
        opened
    }

    fn b_to_a(&mut self, kind: SentKind) -> Opened {
        let id = self.rng.u32();
        let sealed = self.b_seals(id, false);
        assert_eq!(sealed.kind, kind);
        let opened = self.a_opens(&sealed).unwrap();
        assert_eq!((opened.kind, opened.peer), (kind, Some(self.kb)));
        assert_eq!(ids(&opened), [id]);
        opened
    }

    /// The handshake, A calls.
    fn meet(&mut self) {
        self.a_to_b(SentKind::NewSession);
        self.b_to_a(SentKind::NewSessionReply);
        self.a_to_b(SentKind::Existing);
        self.b_to_a(SentKind::Existing);
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
        self.a.handle_timeout(self.now);
        self.b.handle_timeout(self.now);
    }
}
