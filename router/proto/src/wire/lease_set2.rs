//! LeaseSet2: where a destination can be reached, and with which keys
//! (i2p spec/common-structures, LeaseSet2; store type 3).

use super::cert::ENC_X25519;
use super::checked::{Signed, Unverified};
use super::cursor::{Reader, Writer};
use super::error::{Result, WireError};
use super::hash::{DestHash, RouterHash, TunnelId};
use super::identity::Destination;
use super::mapping::Mapping;
use super::offline;
use crate::crypto::sig::SigningKey;
use crate::limits;
use crate::time::Date;
use core::time::Duration;

/// DatabaseStore type of a LeaseSet2; also the byte before the signed data.
pub const STORE_TYPE: u8 = 3;
/// Encryption keys of one LeaseSet.
const KEYS_MAX: usize = 8;

/// One way in: the gateway of an inbound tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lease {
    /// Inbound gateway.
    pub gateway: RouterHash,
    /// Tunnel id at the gateway.
    pub tunnel: TunnelId,
    /// When the tunnel ends, in whole seconds.
    pub expires: Date,
}

/// An encryption key with its type number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncKey {
    /// Type number; unknown ones are carried.
    pub kind: u16,
    /// The key.
    pub key: Vec<u8>,
}

/// A LeaseSet2 with the bytes it came from; a value of this type has a valid signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseSet2 {
    raw: Vec<u8>,
    hash: DestHash,
    destination: Destination,
    published: Date,
    expires: Date,
    flags: u16,
    keys: Vec<EncKey>,
    leases: Vec<Lease>,
}

/// What [`LeaseSet2::build`] puts together.
#[derive(Clone, Debug)]
pub struct LeaseSetDraft<'a> {
    /// Whose it is.
    pub destination: &'a Destination,
    /// Published, in whole seconds.
    pub published: Date,
    /// Seconds that it holds.
    pub lifetime: u16,
    /// Not to be published in the netDb (flag bit 1).
    pub unpublished: bool,
    /// Encryption keys, preferred first.
    pub keys: &'a [EncKey],
    /// At most 16 leases.
    pub leases: &'a [Lease],
}

impl LeaseSet2 {
    /// Parses exactly these bytes (without the store type byte), at most
    /// [`limits::LEASE_SET_MAX`].
    pub fn parse(bytes: &[u8]) -> Result<Unverified<Self>> {
        if bytes.len() > limits::LEASE_SET_MAX {
            return Err(WireError::too_large("LeaseSet2"));
        }
        let mut r = Reader::new(bytes);
        let destination = Destination::read(&mut r)?;
        let published_secs = u64::from(r.u32("LeaseSet2.published")?);
        let lifetime = u64::from(r.u16("LeaseSet2.expires")?);
        let flags = r.u16("LeaseSet2.flags")?;
        let own = (
            destination.keys().sig_type(),
            destination.keys().signing_key(),
        );
        let signer = offline::read(&mut r, flags, own)?;
        Mapping::read(&mut r)?;
        let keys = read_keys(&mut r)?;
        let leases = read_leases(&mut r)?;
        let mut signed = vec![STORE_TYPE];
        signed.extend_from_slice(r.since(0));
        let signature = r
            .take(signer.kind.signature_len(), "LeaseSet2.signature")?
            .to_vec();
        r.finish("LeaseSet2")?;
        let value = Self {
            raw: bytes.to_vec(),
            hash: destination.hash(),
            destination,
            published: Date::from_secs(published_secs),
            expires: Date::from_secs(published_secs + lifetime).min(signer.ends),
            flags,
            keys,
            leases,
        };
        let signed = Signed {
            kind: signer.kind,
            key: signer.key,
            bytes: signed,
            signature,
            field: "LeaseSet2.signature",
        };
        Ok(Unverified::new(value, signed).with_offline(signer.vouched))
    }

    /// Builds and signs a LeaseSet2 of an Ed25519 destination.
    ///
    /// # Errors
    /// Too many keys or leases, or a key of another destination.
    pub fn build(draft: &LeaseSetDraft<'_>, key: &SigningKey) -> Result<Self> {
        if draft.leases.len() > limits::LEASES_MAX {
            return Err(WireError::too_large("LeaseSet2.num_leases"));
        }
        if draft.keys.is_empty() || draft.keys.len() > KEYS_MAX {
            return Err(WireError::invalid("LeaseSet2.numk"));
        }
        let mut w = Writer::with_capacity(1024);
        w.put(draft.destination.as_bytes())
            .u32(draft.published.secs() as u32);
        w.u16(draft.lifetime)
            .u16(if draft.unpublished { 2 } else { 0 });
        w.u16(0).u8(draft.keys.len() as u8);
        for k in draft.keys {
            w.u16(k.kind).u16(k.key.len() as u16).put(&k.key);
        }
        w.u8(draft.leases.len() as u8);
        for l in draft.leases {
            w.put(&l.gateway.0)
                .u32(l.tunnel.0)
                .u32(l.expires.secs() as u32);
        }
        let signature = key.sign(&[&[STORE_TYPE], w.as_slice()]);
        w.put(&signature);
        Self::parse(w.as_slice())?.verify()
    }

    /// The bytes as they were signed, with the signature, without the store type.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.raw
    }

    /// Hash of the destination.
    #[must_use]
    pub const fn hash(&self) -> DestHash {
        self.hash
    }

    /// The destination.
    #[must_use]
    pub const fn destination(&self) -> &Destination {
        &self.destination
    }

    /// When it was published, in whole seconds.
    #[must_use]
    pub const fn published(&self) -> Date {
        self.published
    }

    /// When it ends, at the latest with its transient key.
    #[must_use]
    pub const fn expires(&self) -> Date {
        self.expires
    }

    /// Whether it must not be published (flag bit 1).
    #[must_use]
    pub const fn is_unpublished(&self) -> bool {
        self.flags & 2 != 0
    }

    /// Encryption keys in their order of preference.
    #[must_use]
    pub fn keys(&self) -> &[EncKey] {
        &self.keys
    }

    /// The first X25519 key.
    #[must_use]
    pub fn x25519_key(&self) -> Option<[u8; 32]> {
        let k = self.keys.iter().find(|k| k.kind == ENC_X25519)?;
        k.key.as_slice().try_into().ok()
    }

    /// The leases.
    #[must_use]
    pub fn leases(&self) -> &[Lease] {
        &self.leases
    }

    /// The end of the last lease; the LeaseSet's own end when there is none.
    #[must_use]
    pub fn last_lease(&self) -> Date {
        self.leases
            .iter()
            .map(|l| l.expires)
            .max()
            .unwrap_or(self.expires)
    }

    /// How long it still holds at `now`.
    #[must_use]
    pub fn life_left(&self, now: Date) -> Duration {
        self.expires.min(self.last_lease()).since(now)
    }
}

fn read_keys(r: &mut Reader<'_>) -> Result<Vec<EncKey>> {
    let count = usize::from(r.u8("LeaseSet2.numk")?);
    if count == 0 || count > KEYS_MAX {
        return Err(WireError::invalid("LeaseSet2.numk"));
    }
    let mut keys = Vec::with_capacity(count);
    for _ in 0..count {
        let kind = r.u16("LeaseSet2.keytype")?;
        let len = usize::from(r.u16("LeaseSet2.keylen")?);
        let key = r.take(len, "LeaseSet2.encryption_key")?.to_vec();
        if kind == ENC_X25519 && len != 32 {
            return Err(WireError::invalid("LeaseSet2.keylen"));
        }
        keys.push(EncKey { kind, key });
    }
    Ok(keys)
}

fn read_leases(r: &mut Reader<'_>) -> Result<Vec<Lease>> {
    let count = usize::from(r.u8("LeaseSet2.num_leases")?);
    if count > limits::LEASES_MAX {
        return Err(WireError::too_large("LeaseSet2.num_leases"));
    }
    let mut leases = Vec::with_capacity(count);
    for _ in 0..count {
        leases.push(Lease {
            gateway: RouterHash(r.array("Lease2.tunnel_gw")?),
            tunnel: TunnelId(r.u32("Lease2.tunnel_id")?),
            expires: Date::from_secs(u64::from(r.u32("Lease2.end_date")?)),
        });
    }
    Ok(leases)
}
