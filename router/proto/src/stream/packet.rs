//! One streaming packet: fields, options in their fixed order, signature over the whole packet
//! (i2p spec/streaming, Packet Format). No state of a stream is known here.

use crate::crypto::sig::{self, SigningKey};
use crate::time::Date;
use crate::wire::cert::SigType;
use crate::wire::cursor::{Reader, Writer};
use crate::wire::error::{Result, WireError};
use crate::wire::hash::DestHash;
use crate::wire::identity::Destination;

/// First packet of either direction.
pub(crate) const SYN: u16 = 1;
/// Last packet of a direction.
pub(crate) const CLOSE: u16 = 1 << 1;
/// Abnormal end.
pub(crate) const RESET: u16 = 1 << 2;
/// The signature is the last option.
pub(crate) const SIGNED: u16 = 1 << 3;
/// The sender's destination is among the options.
pub(crate) const FROM: u16 = 1 << 5;
/// A delay is among the options.
pub(crate) const DELAY: u16 = 1 << 6;
/// A largest payload is among the options.
pub(crate) const MAX_SIZE: u16 = 1 << 7;
/// Ping or pong.
pub(crate) const ECHO: u16 = 1 << 9;
/// The acknowledgement field means nothing.
pub(crate) const NO_ACK: u16 = 1 << 10;
/// An offline signature is among the options.
pub(crate) const OFFLINE: u16 = 1 << 11;

/// Delays from here on say "send nothing more"; it is also the value that is sent.
pub(crate) const CHOKE: u16 = 60_000;

/// Words of a destination hash in the NACK field of a SYN.
const HASH_WORDS: usize = 8;

/// A key that verifies a peer's packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerKey {
    kind: SigType,
    key: Vec<u8>,
}

/// A transient key and the destination's signature over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offline {
    expires: u32,
    kind: SigType,
    key: Vec<u8>,
    signature: Vec<u8>,
}

/// The signature option: where it stands in the packet, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    at: usize,
    bytes: Vec<u8>,
}

/// The fields that say where a packet belongs.
pub(crate) struct Head {
    pub send_id: u32,
    pub recv_id: u32,
    pub seq: u32,
    pub flags: u16,
}

impl Head {
    /// Whether the packet does nothing but acknowledge.
    pub(crate) const fn is_plain_ack(&self) -> bool {
        self.seq == 0 && self.flags & (SYN | CLOSE | RESET) == 0
    }
}

/// A parsed packet, or one to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Packet {
    /// The receiver's id of the stream; 0 while it is unknown.
    pub send_id: u32,
    /// The sender's id of the stream.
    pub recv_id: u32,
    /// Sequence number; 0 without SYN is a plain acknowledgement.
    pub seq: u32,
    /// Everything up to here has arrived, but for `nacks`.
    pub ack_through: u32,
    /// Missing sequence numbers, or the words of a destination hash in a SYN.
    pub nacks: Vec<u32>,
    /// Seconds until the sender would send again.
    pub resend_delay: u8,
    /// Flag bits; those of the options below are set by [`Packet::write`].
    pub flags: u16,
    /// Milliseconds, or a choke from [`CHOKE`] on.
    pub delay: Option<u16>,
    /// The sender.
    pub from: Option<Destination>,
    /// Largest payload that the sender takes.
    pub max_size: Option<u16>,
    /// The sender's transient key.
    pub offline: Option<Offline>,
    /// The signature as it was received.
    pub signature: Option<Signature>,
    /// Stream bytes.
    pub payload: Vec<u8>,
}

impl PeerKey {
    /// The key that verifies the packets of `from`, through its offline signature if it has one;
    /// `None` when that is expired or wrong.
    pub(crate) fn new(from: &Destination, offline: Option<&Offline>, now: Date) -> Option<Self> {
        let own = Self {
            kind: from.keys().sig_type(),
            key: from.keys().signing_key(),
        };
        let Some(o) = offline else { return Some(own) };
        let mut w = Writer::new();
        w.u32(o.expires).u16(o.kind as u16).put(&o.key);
        let good = u64::from(o.expires) > now.secs()
            && sig::verify(own.kind, &own.key, &[w.as_slice()], &o.signature);
        good.then(|| Self {
            kind: o.kind,
            key: o.key.clone(),
        })
    }
}

impl Offline {
    fn read(r: &mut Reader<'_>, from: &Destination) -> Result<Self> {
        let expires = r.u32("OfflineSignature.expires")?;
        let kind = SigType::from_number(r.u16("OfflineSignature.sigtype")?)
            .ok_or(WireError::invalid("OfflineSignature.sigtype"))?;
        let key = r.take(kind.key_len(), "OfflineSignature.transient_key")?;
        let own = from.keys().sig_type().signature_len();
        let signature = r.take(own, "OfflineSignature.signature")?;
        Ok(Self {
            expires,
            kind,
            key: key.to_vec(),
            signature: signature.to_vec(),
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u32(self.expires).u16(self.kind as u16);
        w.put(&self.key).put(&self.signature);
    }
}

impl Packet {
    /// Whether all of `bits` are set.
    pub(crate) const fn has(&self, bits: u16) -> bool {
        self.flags & bits == bits
    }

    /// Reads where a packet belongs without parsing the rest.
    pub(crate) fn peek(bytes: &[u8]) -> Result<Head> {
        let mut r = Reader::new(bytes);
        let send_id = r.u32("Packet.sendStreamId")?;
        let recv_id = r.u32("Packet.receiveStreamId")?;
        let seq = r.u32("Packet.sequenceNum")?;
        r.u32("Packet.ackThrough")?;
        let nacks = usize::from(r.u8("Packet.nackCount")?);
        r.take(nacks * 4 + 1, "Packet.nacks")?;
        Ok(Head {
            send_id,
            recv_id,
            seq,
            flags: r.u16("Packet.flags")?,
        })
    }

    /// Parses a packet; nothing is verified.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(bytes);
        let mut p = Self {
            send_id: r.u32("Packet.sendStreamId")?,
            recv_id: r.u32("Packet.receiveStreamId")?,
            seq: r.u32("Packet.sequenceNum")?,
            ack_through: r.u32("Packet.ackThrough")?,
            ..Self::default()
        };
        for _ in 0..r.u8("Packet.nackCount")? {
            p.nacks.push(r.u32("Packet.nacks")?);
        }
        p.resend_delay = r.u8("Packet.resendDelay")?;
        p.flags = r.u16("Packet.flags")?;
        let size = usize::from(r.u16("Packet.optionSize")?);
        let start = r.position();
        let mut o = r.sub(size, "Packet.options")?;
        p.read_options(&mut o, start)?;
        p.payload = r.rest().to_vec();
        Ok(p)
    }

    fn read_options(&mut self, o: &mut Reader<'_>, start: usize) -> Result<()> {
        if self.has(DELAY) {
            self.delay = Some(o.u16("Packet.delay")?);
        }
        if self.has(FROM) {
            self.from = Some(Destination::read(o)?);
        }
        if self.has(MAX_SIZE) {
            self.max_size = Some(o.u16("Packet.maxSize")?);
        }
        if self.has(OFFLINE) {
            let from = self.from.as_ref();
            let from = from.ok_or(WireError::invalid("Packet.offlineSignature"))?;
            self.offline = Some(Offline::read(o, from)?);
        }
        if self.has(SIGNED) {
            let kind = match (&self.offline, &self.from) {
                (Some(o), _) => Some(o.kind),
                (None, Some(from)) => Some(from.keys().sig_type()),
                (None, None) => None,
            };
            // Without a sender the signature is what is left: it is the last option.
            let n = kind.map_or(o.remaining(), SigType::signature_len);
            self.signature = Some(Signature {
                at: start + o.position(),
                bytes: o.take(n, "Packet.signature")?.to_vec(),
            });
        }
        Ok(())
    }

    /// Writes the packet, signed by `key` if there is one, else with the signature it holds.
    /// Flags of the options are set from the options.
    ///
    /// # Errors
    /// More than 255 NACKs, or options above 65,535 bytes.
    pub(crate) fn write(&self, key: Option<&SigningKey>) -> Result<Vec<u8>> {
        let nacks = u8::try_from(self.nacks.len());
        let nacks = nacks.map_err(|_| WireError::too_large("Packet.nacks"))?;
        let mut w = Writer::with_capacity(self.payload.len() + 600);
        w.u32(self.send_id).u32(self.recv_id);
        w.u32(self.seq).u32(self.ack_through).u8(nacks);
        for n in &self.nacks {
            w.u32(*n);
        }
        w.u8(self.resend_delay).u16(self.wire_flags(key.is_some()));
        let mut at = None;
        w.len_u16("Packet.options", |w| {
            if let Some(d) = self.delay {
                w.u16(d);
            }
            if let Some(from) = &self.from {
                w.put(from.as_bytes());
            }
            if let Some(n) = self.max_size {
                w.u16(n);
            }
            if let Some(o) = &self.offline {
                o.write(w);
            }
            if key.is_some() {
                at = Some(w.len());
                w.put(&[0; 64]);
            } else if let Some(s) = &self.signature {
                w.put(&s.bytes);
            }
        })?;
        w.put(&self.payload);
        let mut bytes = w.into_vec();
        if let (Some(key), Some(at)) = (key, at) {
            let signature = key.sign(&[&bytes]);
            if let Some(slot) = bytes.get_mut(at..at + signature.len()) {
                slot.copy_from_slice(&signature);
            }
        }
        Ok(bytes)
    }

    fn wire_flags(&self, signed: bool) -> u16 {
        let mut flags = self.flags;
        for (bit, present) in [
            (DELAY, self.delay.is_some()),
            (FROM, self.from.is_some()),
            (MAX_SIZE, self.max_size.is_some()),
            (OFFLINE, self.offline.is_some()),
            (SIGNED, signed || self.signature.is_some()),
        ] {
            flags = if present { flags | bit } else { flags & !bit };
        }
        flags
    }

    /// Whether the packet is signed and the signature verifies; `bytes` are what it was parsed
    /// from.
    pub(crate) fn verify(&self, bytes: &[u8], key: &PeerKey) -> bool {
        let Some(s) = &self.signature else {
            return false;
        };
        let (Some(front), Some(back)) = (bytes.get(..s.at), bytes.get(s.at + s.bytes.len()..))
        else {
            return false;
        };
        let zeros = vec![0; s.bytes.len()];
        sig::verify(key.kind, &key.key, &[front, &zeros, back], &s.bytes)
    }

    /// Puts the receiver's hash into the NACK field, as a first SYN carries it.
    pub(crate) fn set_replay_hash(&mut self, to: &DestHash) {
        let words = to.0.as_chunks::<4>().0;
        self.nacks = words.iter().map(|w| u32::from_be_bytes(*w)).collect();
    }

    /// Whether the packet is meant for `me` as far as it says: a SYN with eight NACKs names its
    /// receiver.
    pub(crate) fn is_for(&self, me: &DestHash) -> bool {
        if !self.has(SYN) || self.nacks.len() != HASH_WORDS {
            return true;
        }
        let named = self.nacks.iter().flat_map(|w| w.to_be_bytes());
        named.eq(me.0)
    }
}

#[cfg(test)]
mod tests;
