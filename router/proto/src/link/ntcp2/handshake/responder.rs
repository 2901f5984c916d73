//! Bob: message 1 in, message 2 out, message 3 in.
//!
//! A caller whose clock is wrong still gets message 2, so that he learns the time; the result
//! then carries the skew and the link is to be terminated. After any error the connection is
//! kept for a random while and never answered. A caller who proved that the RouterInfo is his, but
//! whose RouterInfo is not acceptable, is told so by a termination, as i2pd does.

use super::{HEAD, HandshakeError, Local, OUR_PADDING, PART1, SKEW_MAX, Step, VERSION};
use crate::crypto::aead;
use crate::crypto::aes::{CbcDecrypt, CbcEncrypt};
use crate::crypto::noise::Noise;
use crate::crypto::x25519::PrivateKey;
use crate::limits;
use crate::link::ntcp2::block;
use crate::link::ntcp2::frame::Session;
use crate::link::ntcp2::reason;
use crate::link::ntcp2::replay::ReplayCache;
use crate::relay::limit::Meter;
use crate::rng::Rng;
use crate::secret::Secret;
use crate::time::Now;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::router_info::RouterInfo;
use core::time::Duration;
use std::net::IpAddr;
use std::sync::Arc;

/// Age of a caller's RouterInfo that is accepted; i2pd takes none older
/// (`NETDB_MIN_EXPIRATION_TIMEOUT`).
const INFO_AGE_MAX: Duration = Duration::from_secs(90 * 60);
/// How far in the future its date may be.
const INFO_AHEAD_MAX: Duration = Duration::from_secs(120);

/// A finished handshake.
pub struct Accepted {
    /// The data phase; bytes after message 3 are in it already.
    pub session: Session,
    /// The caller's RouterInfo, verified; or the reason to end the link with.
    pub info: Result<Arc<RouterInfo>, u8>,
    /// The caller's clock minus ours in seconds; above [`super::SKEW_MAX`] the link must end.
    pub skew: i64,
}

/// What our side draws before message 2.
pub struct Draw {
    /// Ephemeral key.
    pub ephemeral: PrivateKey,
    /// Padding of message 2, at most 65,471 bytes.
    pub padding: Vec<u8>,
}

impl Draw {
    /// A new ephemeral key and a little padding.
    #[must_use]
    pub fn new(rng: &mut Rng) -> Self {
        let n = rng.below(OUR_PADDING);
        Self {
            ephemeral: PrivateKey::random(rng),
            padding: rng.bytes(n),
        }
    }
}

/// The states of Bob.
pub enum Responder {
    /// The key and options of message 1 are missing.
    AwaitRequest(AwaitRequest),
    /// The padding of message 1 is missing.
    AwaitPadding(Box<AwaitPadding>),
    /// Message 2 is out.
    AwaitConfirmed(Box<AwaitConfirmed>),
}

/// Nothing of message 1 is understood.
#[derive(Default)]
pub struct AwaitRequest {
    buf: Vec<u8>,
}

/// The options of message 1 are read.
pub struct AwaitPadding {
    noise: Noise,
    x: [u8; 32],
    tail: [u8; 16],
    padding: usize,
    part2: usize,
    skew: i64,
    buf: Vec<u8>,
}

/// Message 2 is out.
pub struct AwaitConfirmed {
    noise: Noise,
    key: Secret<32>,
    ephemeral: PrivateKey,
    part2: usize,
    skew: i64,
    buf: Vec<u8>,
}

/// What the states need of their surroundings.
pub struct Around<'a> {
    /// Ourselves.
    pub local: &'a Local,
    /// Values of earlier handshakes.
    pub replay: &'a mut ReplayCache,
    /// What key agreements are taken from.
    pub handshakes: &'a mut Meter,
    /// Where the caller calls from.
    pub remote: IpAddr,
    /// The time.
    pub now: Now,
}

type Answer = Result<Step<Responder, Accepted>, HandshakeError>;

impl Default for Responder {
    fn default() -> Self {
        Self::AwaitRequest(AwaitRequest::default())
    }
}

impl Responder {
    /// Takes bytes of messages 1 and 3; `draw` is asked for at most once.
    ///
    /// # Errors
    /// The handshake is over.
    pub fn read(
        self,
        around: &mut Around<'_>,
        draw: impl FnOnce() -> Draw,
        bytes: &[u8],
    ) -> Answer {
        match self {
            Self::AwaitRequest(s) => s.read(around, draw, bytes),
            Self::AwaitPadding(s) => s.read(around, draw, bytes),
            Self::AwaitConfirmed(s) => s.read(around, bytes),
        }
    }
}

impl AwaitRequest {
    fn read(
        mut self,
        around: &mut Around<'_>,
        draw: impl FnOnce() -> Draw,
        bytes: &[u8],
    ) -> Answer {
        self.buf.extend_from_slice(bytes);
        let local = around.local;
        let mut r = Reader::new(&self.buf);
        if r.remaining() < HEAD {
            return Ok(Step::Wait(Responder::AwaitRequest(self)));
        }
        let sealed_x = r.array::<32>("SessionRequest.X")?;
        if around.replay.contains(around.now.mono, &sealed_x) {
            return Err(HandshakeError::Replay);
        }
        if !around.handshakes.admit(around.now, 1) {
            return Err(HandshakeError::Busy);
        }
        let mut x = sealed_x;
        CbcDecrypt::new(local.hash.as_bytes(), &local.iv).decrypt(&mut x);
        // The top bit announces a hybrid handshake, which is another protocol.
        if x[31] & 0x80 != 0 {
            return Err(HandshakeError::BadKey);
        }
        let mut noise = super::start(local.static_key.public());
        noise.mix_hash(&x);
        let shared = local.static_key.agree(&x);
        let key = noise.mix_key(&shared.ok_or(HandshakeError::BadKey)?);
        let sealed = r.take(32, "SessionRequest.options")?;
        let options = noise.open(&key, 0, sealed).ok_or(HandshakeError::Aead(1))?;
        around.replay.insert(around.now.mono, sealed_x);
        let mut next = AwaitPadding {
            noise,
            x,
            tail: super::last_block(&sealed_x),
            padding: 0,
            part2: 0,
            skew: 0,
            buf: Vec::new(),
        };
        next.options(around, &options)?;
        Box::new(next).read(around, draw, r.rest())
    }
}

impl AwaitPadding {
    fn options(&mut self, around: &Around<'_>, options: &[u8]) -> Result<(), HandshakeError> {
        let mut r = Reader::new(options);
        let net_id = r.u8("SessionRequest.id")?;
        let version = r.u8("SessionRequest.ver")?;
        self.padding = usize::from(r.u16("SessionRequest.padLen")?);
        self.part2 = usize::from(r.u16("SessionRequest.m3p2len")?);
        r.take(2, "SessionRequest.reserved")?;
        self.skew = super::skew(around.now, r.u32("SessionRequest.tsA")?);
        // Zero is what routers sent before the field had a meaning.
        if net_id != 0 && net_id != around.local.net_id {
            return Err(HandshakeError::NetId(net_id));
        }
        if version != VERSION {
            return Err(HandshakeError::Version(version));
        }
        if self.padding > limits::NTCP2_PADDING_MAX {
            return Err(HandshakeError::TooLong(self.padding));
        }
        if !(aead::TAG..=limits::NTCP2_PART2_MAX).contains(&self.part2) {
            return Err(HandshakeError::TooLong(self.part2));
        }
        Ok(())
    }

    fn read(
        mut self: Box<Self>,
        around: &mut Around<'_>,
        draw: impl FnOnce() -> Draw,
        bytes: &[u8],
    ) -> Answer {
        self.buf.extend_from_slice(bytes);
        if self.buf.len() < self.padding {
            return Ok(Step::Wait(Responder::AwaitPadding(self)));
        }
        if self.buf.len() > self.padding {
            return Err(HandshakeError::Surplus);
        }
        self.answer(around, draw())
    }

    fn answer(self, around: &Around<'_>, draw: Draw) -> Answer {
        let mut noise = self.noise;
        super::mix_padding(&mut noise, &self.buf);
        let mut y = *draw.ephemeral.public();
        noise.mix_hash(&y);
        let shared = draw.ephemeral.agree(&self.x);
        let key = noise.mix_key(&shared.ok_or(HandshakeError::BadKey)?);
        let options = super::created_options(draw.padding.len(), around.now);
        let options = noise.seal(&key, 0, &options);
        super::mix_padding(&mut noise, &draw.padding);
        CbcEncrypt::new(around.local.hash.as_bytes(), &self.tail).encrypt(&mut y);
        let mut out = Writer::with_capacity(HEAD + draw.padding.len());
        out.put(&y).put(&options).put(&draw.padding);
        let next = AwaitConfirmed {
            noise,
            key,
            ephemeral: draw.ephemeral,
            part2: self.part2,
            skew: self.skew,
            buf: Vec::new(),
        };
        Ok(Step::Reply(
            Responder::AwaitConfirmed(Box::new(next)),
            out.into_vec(),
        ))
    }
}

impl AwaitConfirmed {
    fn read(mut self: Box<Self>, around: &Around<'_>, bytes: &[u8]) -> Answer {
        self.buf.extend_from_slice(bytes);
        if self.buf.len() < PART1 + self.part2 {
            return Ok(Step::Wait(Responder::AwaitConfirmed(self)));
        }
        let mut noise = self.noise;
        let mut r = Reader::new(&self.buf);
        let part1 = r.take(PART1, "SessionConfirmed.part1")?;
        let static_key = noise.open(&self.key, 1, part1);
        let static_key = static_key.ok_or(HandshakeError::Aead(3))?;
        let static_key = Reader::new(&static_key).array::<32>("SessionConfirmed.S")?;
        let shared = self.ephemeral.agree(&static_key);
        let key = noise.mix_key(&shared.ok_or(HandshakeError::BadKey)?);
        let part2 = r.take(self.part2, "SessionConfirmed.part2")?;
        let payload = noise.open(&key, 0, part2);
        let payload = payload.ok_or(HandshakeError::Aead(3))?;
        let info = block::read_confirmed(&payload)?;
        let info = caller(around, &static_key, self.skew, info)?;
        let mut session = Session::split(&noise, false);
        session.opener.feed(r.rest());
        Ok(Step::Done(Accepted {
            session,
            info: info.map(Arc::new),
            skew: self.skew,
        }))
    }
}

/// Checks the caller's RouterInfo, the signature last. The inner error is the reason to end the
/// link with.
pub(super) fn caller(
    around: &Around<'_>,
    static_key: &[u8; 32],
    skew: i64,
    bytes: &[u8],
) -> Result<Result<RouterInfo, u8>, HandshakeError> {
    let unverified = RouterInfo::parse(bytes)?;
    let info = unverified.peek();
    if info.hash() == around.local.hash {
        return Err(HandshakeError::Ourselves);
    }
    if info.net_id() != Some(around.local.net_id) {
        return Err(HandshakeError::InfoNetId);
    }
    if !info.has_ntcp2_key(static_key) {
        return Err(HandshakeError::StaticKey);
    }
    let fault = fault(around, static_key, skew, info);
    let info = unverified.verify()?;
    Ok(fault.map_or(Ok(info), Err))
}

/// What other routers would not take either: i2pd `EstablishSessionAfterSessionConfirmed`, and
/// Java I2P, which bans for a static key or an address that is not the published one.
fn fault(around: &Around<'_>, key: &[u8; 32], skew: i64, info: &RouterInfo) -> Option<u8> {
    let (wall, published) = (around.now.wall, info.published());
    let untimely = published > wall + INFO_AHEAD_MAX || wall.since(published) > INFO_AGE_MAX;
    // When the clocks differ the age says nothing; the link ends for that.
    if untimely && skew.abs() <= SKEW_MAX {
        return Some(reason::MESSAGE_3);
    }
    let version = info.options().get("router.version").unwrap_or_default();
    if version.is_empty() || info.caps().is_empty() || info.enc_key().is_none() {
        return Some(reason::MESSAGE_3);
    }
    let remote = around.remote.to_canonical();
    let named = info.addresses().iter().filter(|a| {
        a.is_ntcp2() && a.static_key().as_ref() == Some(key) && a.options.get("host").is_some()
    });
    let (mut known, mut right) = (false, false);
    for address in named {
        let Some(published) = address.ntcp2() else {
            return Some(reason::ADDRESS);
        };
        let host = published.socket.ip().to_canonical();
        known |= host.is_ipv4() == remote.is_ipv4();
        right |= is_same_host(host, remote);
    }
    (known && !right).then_some(reason::BANNED)
}

/// IPv6 routers call from temporary addresses of their network.
fn is_same_host(published: IpAddr, remote: IpAddr) -> bool {
    match (published, remote) {
        (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() >> 64 == b.to_bits() >> 64,
        (a, b) => a == b,
    }
}
