//! Data-phase frames: masked length, ciphertext, tag (i2p spec/ntcp2, Data Phase and Key
//! Derivation Function (for data phase)).

use crate::crypto::aead::{self, Key};
use crate::crypto::hkdf;
use crate::crypto::noise::Noise;
use crate::crypto::siphash::LengthMask;

/// Largest plaintext of one frame in bytes.
pub const PLAIN_MAX: usize = 65_519;

/// Bytes of an empty read buffer that are kept for the next frame.
const KEPT: usize = 4096;

/// Why the byte stream of a link cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The length is smaller than a tag.
    Length,
    /// The frame does not verify.
    Aead,
}

/// One direction, sending.
pub struct Sealer {
    key: Key,
    n: u64,
    mask: LengthMask,
}

/// One direction, receiving; buffers what is not a whole frame yet.
pub struct Opener {
    key: Key,
    n: u64,
    mask: LengthMask,
    buf: Vec<u8>,
    pos: usize,
    need: Option<usize>,
}

/// Both directions of a link after its handshake.
pub struct Session {
    /// For what we send.
    pub sealer: Sealer,
    /// For what we receive.
    pub opener: Opener,
}

impl Session {
    /// Derives both directions from the finished handshake.
    #[must_use]
    pub fn split(noise: &Noise, initiator: bool) -> Self {
        let (k_ab, k_ba) = noise.split();
        let ask_master = hkdf::hkdf1(noise.ck().expose(), &[], b"ask");
        let mut ikm = noise.h().to_vec();
        ikm.extend_from_slice(b"siphash");
        let sip_master = hkdf::hkdf1(ask_master.expose(), &ikm, &[]);
        let (sip_ab, sip_ba) = hkdf::hkdf2(sip_master.expose(), &[], &[]);
        let ab = (Key::new(k_ab.expose()), LengthMask::new(sip_ab.expose()));
        let ba = (Key::new(k_ba.expose()), LengthMask::new(sip_ba.expose()));
        let (ours, theirs) = if initiator { (ab, ba) } else { (ba, ab) };
        Self {
            sealer: Sealer {
                key: ours.0,
                n: 0,
                mask: ours.1,
            },
            opener: Opener {
                key: theirs.0,
                n: 0,
                mask: theirs.1,
                buf: Vec::new(),
                pos: 0,
                need: None,
            },
        }
    }
}

impl Sealer {
    /// Seals one frame with its length in front; `None`, and nothing changed, when `plain` is
    /// longer than [`PLAIN_MAX`].
    #[must_use]
    pub fn seal(&mut self, mut plain: Vec<u8>) -> Option<Vec<u8>> {
        if plain.len() > PLAIN_MAX {
            return None;
        }
        self.key.seal(self.n, &[], &mut plain);
        self.n += 1;
        let masked = (plain.len() as u16) ^ self.mask.next_mask();
        let mut out = Vec::with_capacity(2 + plain.len());
        out.extend_from_slice(&masked.to_be_bytes());
        out.extend_from_slice(&plain);
        Some(out)
    }
}

impl Opener {
    /// Frames received so far.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.n
    }

    /// Whether a frame is begun and not whole.
    #[must_use]
    pub const fn is_within_frame(&self) -> bool {
        self.need.is_some() || self.pos < self.buf.len()
    }

    /// Takes bytes off the stream; call [`Opener::next_frame`] until it answers `None` before the
    /// next ones, so that less than one frame stays buffered.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.pos > 0 {
            self.buf.drain(..self.pos);
            self.pos = 0;
        }
        self.buf.extend_from_slice(bytes);
    }

    /// The plaintext of the next whole frame. After an error the stream is unusable.
    ///
    /// # Errors
    /// The length is not allowed, or the frame does not verify.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let need = match self.need {
            Some(n) => n,
            None => {
                let Some(masked) = self.take(2) else {
                    return Ok(None);
                };
                let masked = u16::from_be_bytes([masked[0], masked[1]]);
                let n = usize::from(masked ^ self.mask.next_mask());
                if n < aead::TAG {
                    return Err(FrameError::Length);
                }
                self.need = Some(n);
                n
            }
        };
        let Some(mut frame) = self.take(need) else {
            return Ok(None);
        };
        self.need = None;
        if !self.key.open(self.n, &[], &mut frame) {
            return Err(FrameError::Aead);
        }
        self.n += 1;
        Ok(Some(frame))
    }

    fn take(&mut self, n: usize) -> Option<Vec<u8>> {
        let out = self.buf.get(self.pos..self.pos + n)?.to_vec();
        self.pos += n;
        // A link at rest holds no memory of its largest frame.
        if self.pos == self.buf.len() && self.buf.capacity() > KEPT {
            (self.buf, self.pos) = (Vec::new(), 0);
        }
        Some(out)
    }
}
