//! What both sides of the handshake share: who we are, what can go wrong, the options blocks.
//! The three messages themselves are in [`initiator`] and [`responder`]
//! (i2p spec/ntcp2, SessionRequest, SessionCreated, SessionConfirmed).

pub mod initiator;
pub mod responder;
#[cfg(test)]
mod tests;

use crate::crypto::noise::Noise;
use crate::crypto::x25519::PrivateKey;
use crate::time::Now;
use crate::wire::cursor::Writer;
use crate::wire::error::WireError;
use crate::wire::hash::RouterHash;
use crate::wire::router_info::RouterInfo;
use std::sync::Arc;

/// Longer than 32 bytes, so Noise hashes it.
const PROTOCOL: &[u8] = b"Noise_XKaesobfse+hs2+hs3_25519_ChaChaPoly_SHA256";
/// Protocol version in message 1.
const VERSION: u8 = 2;
/// Bytes of message 1 or 2 in front of the padding: key, then sealed options.
const HEAD: usize = 64;
/// Bytes of the sealed static key, the first part of message 3.
const PART1: usize = 48;
/// Padding that we send after messages 1 and 2, fewer than this many bytes: i2pd takes no
/// message above 287.
const OUR_PADDING: usize = 24;
/// Difference of the clocks in seconds that is fatal to a link.
pub const SKEW_MAX: i64 = 60;

/// Ourselves in handshakes.
pub struct Local {
    /// Our router hash.
    pub hash: RouterHash,
    /// The key of our NTCP2 addresses (`s`).
    pub static_key: PrivateKey,
    /// The obfuscation IV of our published address (`i`).
    pub iv: [u8; 16],
    /// Network id.
    pub net_id: u8,
    /// What is sent in message 3.
    pub info: Arc<RouterInfo>,
}

/// Why a handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeError {
    /// A key of small order, or one of an unknown variant of the protocol.
    BadKey,
    /// This message (1 to 3) does not verify.
    Aead(u8),
    /// Another version of the protocol.
    Version(u8),
    /// Another network.
    NetId(u8),
    /// More padding, or a larger last message, than is accepted.
    TooLong(usize),
    /// Bytes follow a message that awaits an answer.
    Surplus,
    /// Message 1 was seen before.
    Replay,
    /// The clocks differ by so many seconds (theirs minus ours).
    Skew(i64),
    /// A structure does not parse, or the RouterInfo does not verify.
    Wire(WireError),
    /// The RouterInfo is of another network.
    InfoNetId,
    /// The static key stands in none of the RouterInfo's NTCP2 addresses.
    StaticKey,
    /// The peer says it is us.
    Ourselves,
    /// Too many handshakes are begun.
    Busy,
}

impl From<WireError> for HandshakeError {
    fn from(e: WireError) -> Self {
        Self::Wire(e)
    }
}

/// What a state answers to bytes.
pub enum Step<S, D> {
    /// More bytes are needed.
    Wait(S),
    /// Write this, then wait for bytes.
    Reply(S, Vec<u8>),
    /// The handshake is complete.
    Done(D),
}

/// The state of Noise with the responder's static key mixed in.
fn start(responder_key: &[u8; 32]) -> Noise {
    let mut noise = Noise::new(PROTOCOL);
    noise.mix_hash(responder_key);
    noise
}

/// Padding is mixed in only when there is any.
fn mix_padding(noise: &mut Noise, padding: &[u8]) {
    if !padding.is_empty() {
        noise.mix_hash(padding);
    }
}

/// The peer's clock minus ours in seconds.
fn skew(now: Now, theirs: u32) -> i64 {
    i64::from(
        theirs
            .wrapping_sub(now.wall.secs_u32_rounded())
            .cast_signed(),
    )
}

/// Options of message 1; the lengths are bounded by their makers.
fn request_options(net_id: u8, padding: usize, part2: usize, now: Now) -> Vec<u8> {
    let mut w = Writer::with_capacity(16);
    w.u8(net_id).u8(VERSION);
    w.u16(padding as u16).u16(part2 as u16).u16(0);
    w.u32(now.wall.secs_u32_rounded()).u32(0);
    w.into_vec()
}

/// Options of message 2.
fn created_options(padding: usize, now: Now) -> Vec<u8> {
    let mut w = Writer::with_capacity(16);
    w.u16(0).u16(padding as u16).u32(0);
    w.u32(now.wall.secs_u32_rounded()).u32(0);
    w.into_vec()
}

/// The chaining value that encrypted bytes leave behind.
fn last_block(ciphertext: &[u8; 32]) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&ciphertext[16..]);
    out
}
