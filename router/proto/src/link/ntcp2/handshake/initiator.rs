//! Alice: message 1 out, message 2 in, message 3 out.

use super::{HEAD, HandshakeError, Local, OUR_PADDING, SKEW_MAX, Step};
use crate::crypto::aead;
use crate::crypto::aes::{CbcDecrypt, CbcEncrypt};
use crate::crypto::noise::Noise;
use crate::crypto::x25519::PrivateKey;
use crate::limits;
use crate::link::ntcp2::block;
use crate::link::ntcp2::frame::Session;
use crate::rng::Rng;
use crate::secret::Secret;
use crate::time::Now;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::hash::RouterHash;

/// Whom we call.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its router hash.
    pub hash: RouterHash,
    /// `s` of its address.
    pub static_key: [u8; 32],
    /// `i` of its address.
    pub iv: [u8; 16],
}

/// What our side draws and fixes before message 1, whose options announce the size of message 3.
pub struct Draw {
    /// Ephemeral key.
    pub ephemeral: PrivateKey,
    /// Padding of message 1, at most 65,471 bytes.
    pub padding: Vec<u8>,
    /// Blocks of message 3, at most 65,471 bytes.
    pub payload: Vec<u8>,
}

impl Draw {
    /// A new ephemeral key, a little padding, and our RouterInfo as it is now.
    #[must_use]
    pub fn new(local: &Local, rng: &mut Rng) -> Self {
        let mut payload = Writer::with_capacity(1024);
        block::router_info(&mut payload, false, local.info.as_bytes());
        let n = rng.below(64);
        block::padding(&mut payload, &rng.bytes(n));
        let n = rng.below(OUR_PADDING);
        Self {
            ephemeral: PrivateKey::random(rng),
            padding: rng.bytes(n),
            payload: payload.into_vec(),
        }
    }
}

/// A finished handshake.
pub struct Connected {
    /// The data phase.
    pub session: Session,
    /// To be written.
    pub message3: Vec<u8>,
    /// The peer's clock minus ours in seconds, within [`SKEW_MAX`].
    pub skew: i64,
}

/// The states of Alice.
pub enum Initiator {
    /// Message 1 is out; the key and options of message 2 are missing.
    AwaitCreated(Box<AwaitCreated>),
    /// The padding of message 2 is missing.
    AwaitPadding(Box<AwaitPadding>),
}

/// Message 1 is out.
pub struct AwaitCreated {
    noise: Noise,
    ephemeral: PrivateKey,
    static_key: PrivateKey,
    payload: Vec<u8>,
    obfuscation: CbcDecrypt,
    buf: Vec<u8>,
}

/// The options of message 2 are read.
pub struct AwaitPadding {
    noise: Noise,
    peer_ephemeral: [u8; 32],
    key: Secret<32>,
    static_key: PrivateKey,
    payload: Vec<u8>,
    padding: usize,
    skew: i64,
    buf: Vec<u8>,
}

type Answer = Result<Step<Initiator, Connected>, HandshakeError>;

impl Initiator {
    /// Makes message 1.
    ///
    /// # Errors
    /// The target's key is of small order.
    pub fn new(
        local: &Local,
        target: &Target,
        now: Now,
        draw: Draw,
    ) -> Result<(Self, Vec<u8>), HandshakeError> {
        let mut noise = super::start(&target.static_key);
        let mut x = *draw.ephemeral.public();
        noise.mix_hash(&x);
        let shared = draw.ephemeral.agree(&target.static_key);
        let key = noise.mix_key(&shared.ok_or(HandshakeError::BadKey)?);
        let part2 = draw.payload.len() + aead::TAG;
        let options = super::request_options(local.net_id, draw.padding.len(), part2, now);
        let options = noise.seal(&key, 0, &options);
        super::mix_padding(&mut noise, &draw.padding);
        CbcEncrypt::new(target.hash.as_bytes(), &target.iv).encrypt(&mut x);
        let mut out = Writer::with_capacity(HEAD + draw.padding.len());
        out.put(&x).put(&options).put(&draw.padding);
        let state = AwaitCreated {
            noise,
            ephemeral: draw.ephemeral,
            static_key: local.static_key.clone(),
            payload: draw.payload,
            obfuscation: CbcDecrypt::new(target.hash.as_bytes(), &super::last_block(&x)),
            buf: Vec::new(),
        };
        Ok((Self::AwaitCreated(Box::new(state)), out.into_vec()))
    }

    /// Takes bytes of message 2.
    ///
    /// # Errors
    /// The handshake is over; close the connection without an answer.
    pub fn read(self, now: Now, bytes: &[u8]) -> Answer {
        match self {
            Self::AwaitCreated(s) => s.read(now, bytes),
            Self::AwaitPadding(s) => s.read(bytes),
        }
    }
}

impl AwaitCreated {
    fn read(mut self: Box<Self>, now: Now, bytes: &[u8]) -> Answer {
        self.buf.extend_from_slice(bytes);
        let mut r = Reader::new(&self.buf);
        if r.remaining() < HEAD {
            return Ok(Step::Wait(Initiator::AwaitCreated(self)));
        }
        let mut y = r.array::<32>("SessionCreated.Y")?;
        self.obfuscation.decrypt(&mut y);
        self.noise.mix_hash(&y);
        let shared = self.ephemeral.agree(&y);
        let key = self.noise.mix_key(&shared.ok_or(HandshakeError::BadKey)?);
        let sealed = r.take(32, "SessionCreated.options")?;
        let options = self.noise.open(&key, 0, sealed);
        let options = options.ok_or(HandshakeError::Aead(2))?;
        let mut o = Reader::new(&options);
        o.take(2, "SessionCreated.reserved")?;
        let padding = usize::from(o.u16("SessionCreated.padLen")?);
        o.take(4, "SessionCreated.reserved")?;
        let skew = super::skew(now, o.u32("SessionCreated.tsB")?);
        if padding > limits::NTCP2_PADDING_MAX {
            return Err(HandshakeError::TooLong(padding));
        }
        let rest = r.rest().to_vec();
        let next = AwaitPadding {
            noise: self.noise,
            peer_ephemeral: y,
            key,
            static_key: self.static_key,
            payload: self.payload,
            padding,
            skew,
            buf: Vec::new(),
        };
        Box::new(next).read(&rest)
    }
}

impl AwaitPadding {
    fn read(mut self: Box<Self>, bytes: &[u8]) -> Answer {
        self.buf.extend_from_slice(bytes);
        if self.buf.len() < self.padding {
            return Ok(Step::Wait(Initiator::AwaitPadding(self)));
        }
        if self.buf.len() > self.padding {
            return Err(HandshakeError::Surplus);
        }
        // Checked here, so that a peer with a wrong clock is told apart from a broken one.
        if self.skew.abs() > SKEW_MAX {
            return Err(HandshakeError::Skew(self.skew));
        }
        let mut noise = self.noise;
        super::mix_padding(&mut noise, &self.buf);
        let mut message3 = noise.seal(&self.key, 1, self.static_key.public());
        let shared = self.static_key.agree(&self.peer_ephemeral);
        let key = noise.mix_key(&shared.ok_or(HandshakeError::BadKey)?);
        message3.extend_from_slice(&noise.seal(&key, 0, &self.payload));
        Ok(Step::Done(Connected {
            session: Session::split(&noise, true),
            message3,
            skew: self.skew,
        }))
    }
}
