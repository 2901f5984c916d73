//! The gzip wrapper around everything that destinations say to each other: protocol and ports
//! stand in its header (i2p docs/protocol/i2cp, I2CP message payload).
//!
//! What the payload means is decided by the protocol: [`crate::stream`] for 6.

use crate::limits::ENVELOPE_MAX;
use crate::wire::error::Result;
use crate::wire::inflate::{GzipHeader, gunzip, gzip, gzip_stored};

/// Protocol number of streaming packets.
pub const STREAMING: u8 = 6;
/// Protocol number of repliable datagrams.
pub const DATAGRAM: u8 = 17;
/// Protocol number of raw datagrams.
pub const DATAGRAM_RAW: u8 = 18;
/// Protocol number of Datagram2.
pub const DATAGRAM2: u8 = 19;
/// Protocol number of Datagram3.
pub const DATAGRAM3: u8 = 20;

/// Java's value of the extra flags, so that routers look alike.
const XFL: u8 = 2;
/// Bytes of the front of a payload that are looked at to guess whether it compresses.
const SAMPLE: usize = 512;
/// Payloads below this many bytes are stored: deflate would win nothing.
const SMALL: usize = 200;

/// One message between destinations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Protocol number.
    pub protocol: u8,
    /// Port of the sender; 0 is none.
    pub from_port: u16,
    /// Port at the receiver; 0 is any.
    pub to_port: u16,
    /// The streaming packet or datagram.
    pub payload: Vec<u8>,
}

impl Envelope {
    /// Unpacks the payload of a Data message (without its four length bytes).
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        Self::parse_within(bytes, ENVELOPE_MAX)
    }

    /// The protocol in the header, without unpacking anything.
    #[must_use]
    pub fn protocol_of(bytes: &[u8]) -> Option<u8> {
        bytes.get(9).copied()
    }

    /// The same, of a payload of at most `max` bytes.
    ///
    /// # Errors
    /// The field that is wrong; the payload is larger.
    pub fn parse_within(bytes: &[u8], max: usize) -> Result<Self> {
        let (header, payload) = gunzip(bytes, max.min(ENVELOPE_MAX))?;
        let [a, b, c, d] = header.mtime;
        Ok(Self {
            protocol: header.os,
            from_port: u16::from_be_bytes([a, b]),
            to_port: u16::from_be_bytes([c, d]),
            payload,
        })
    }

    /// Packs the message: stored, unless a look at its front says that it compresses and the
    /// result is clearly smaller.
    ///
    /// # Errors
    /// The payload is above 65,535 bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let [a, b] = self.from_port.to_be_bytes();
        let [c, d] = self.to_port.to_be_bytes();
        let header = GzipHeader {
            mtime: [a, b, c, d],
            xfl: XFL,
            os: self.protocol,
        };
        let stored = gzip_stored(header, &self.payload)?;
        if !looks_compressible(&self.payload) {
            return Ok(stored);
        }
        let packed = gzip(header, &self.payload);
        // A tenth is what it takes to save a fragment now and then.
        Ok(if packed.len() < stored.len() - stored.len() / 10 {
            packed
        } else {
            stored
        })
    }
}

/// Whether the front of the payload repeats itself, as the padding of a destination or text does:
/// most distinct byte values of random data occur, of compressible data few do.
fn looks_compressible(payload: &[u8]) -> bool {
    if payload.len() < SMALL {
        return false;
    }
    let mut seen = [false; 256];
    let sample = payload.get(..SAMPLE).unwrap_or(payload);
    for b in sample {
        if let Some(s) = seen.get_mut(usize::from(*b)) {
            *s = true;
        }
    }
    let distinct = seen.iter().filter(|s| **s).count();
    // 512 random bytes show about 221 values, 200 of them about 139.
    distinct * 2 < sample.len().min(256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_protocol_have_their_places() {
        let e = Envelope {
            protocol: STREAMING,
            from_port: 0x0102,
            to_port: 80,
            payload: b"hello".to_vec(),
        };
        let bytes = e.to_bytes().unwrap();
        assert_eq!(&bytes[..10], &[0x1f, 0x8b, 8, 0, 1, 2, 0, 80, 2, 6]);
        assert_eq!(Envelope::parse(&bytes).unwrap(), e);
        for n in 0..bytes.len() {
            assert!(Envelope::parse(&bytes[..n]).is_err());
        }
    }

    #[test]
    fn text_is_packed_and_noise_is_stored() {
        let mut rng = crate::rng::Rng::from_number(1);
        for (payload, smaller) in [
            (b"GET / HTTP/1.1\r\n".repeat(50), true),
            (rng.bytes(1800), false),
            (rng.bytes(200), false),
            (Vec::new(), false),
        ] {
            let e = Envelope {
                protocol: 18,
                from_port: 0,
                to_port: 0,
                payload,
            };
            let bytes = e.to_bytes().unwrap();
            assert_eq!(bytes.len() < e.payload.len(), smaller);
            assert_eq!(Envelope::parse(&bytes).unwrap(), e);
        }
        let bomb = gzip(GzipHeader::default(), &vec![0; ENVELOPE_MAX + 1]);
        assert!(Envelope::parse(&bomb).is_err());
    }
}
