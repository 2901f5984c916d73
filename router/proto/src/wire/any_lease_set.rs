//! A LeaseSet of any type as a floodfill holds it: its bytes, and what decides about keeping it.
//! What is in an encrypted or a meta LeaseSet is none of a floodfill's business
//! (i2p spec/common-structures, spec/encryptedleaseset).

use super::cert::SigType;
use super::checked::{Signed, Unverified};
use super::cursor::Reader;
use super::error::{Cause, Result, WireError};
use super::hash::{DestHash, sha256};
use super::identity::Destination;
use super::lease_set::{self, LeaseSet};
use super::lease_set2::{self, LeaseSet2};
use super::mapping::Mapping;
use super::offline;
use crate::limits;
use crate::time::Date;
use core::time::Duration;

/// DatabaseStore type of an encrypted LeaseSet.
pub const ENCRYPTED: u8 = 5;
/// DatabaseStore type of a meta LeaseSet.
pub const META: u8 = 7;
/// An old LeaseSet says only when it ends; its tunnels lived this long.
const OLD_LIFE: Duration = Duration::from_secs(600);
/// Bytes of an entry of a meta LeaseSet.
const META_LEASE: usize = 40;

/// A LeaseSet of type 1, 3, 5 or 7; a value of this type has a valid signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyLeaseSet {
    kind: u8,
    hash: DestHash,
    raw: Box<[u8]>,
    published: Date,
    ends: Date,
    last_lease: Date,
    unpublished: bool,
}

impl AnyLeaseSet {
    /// Parses exactly these bytes as the store type `kind`.
    pub fn parse(kind: u8, bytes: &[u8]) -> Result<Unverified<Self>> {
        match kind {
            lease_set::STORE_TYPE => Ok(LeaseSet::parse(bytes)?.map(|ls| Self {
                kind,
                hash: ls.hash(),
                raw: bytes.into(),
                published: ls.expires() - OLD_LIFE,
                ends: ls.expires(),
                last_lease: ls.expires(),
                unpublished: false,
            })),
            lease_set2::STORE_TYPE => Ok(LeaseSet2::parse(bytes)?.map(|ls| Self {
                kind,
                hash: ls.hash(),
                raw: bytes.into(),
                published: ls.published(),
                ends: ls.expires().min(ls.last_lease()),
                last_lease: ls.last_lease(),
                unpublished: ls.is_unpublished(),
            })),
            ENCRYPTED => encrypted(bytes),
            META => meta(bytes),
            _ => Err(WireError::new("DatabaseStore.type", Cause::Unsupported)),
        }
    }

    /// DatabaseStore type.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        self.kind
    }

    /// The key that it is stored under: the hash of the destination, or of the blinded key.
    #[must_use]
    pub const fn hash(&self) -> DestHash {
        self.hash
    }

    /// The bytes as they were signed, with the signature, without the store type.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.raw
    }

    /// When it was published; of an old LeaseSet, what its end says.
    #[must_use]
    pub const fn published(&self) -> Date {
        self.published
    }

    /// When it is no use any more.
    #[must_use]
    pub const fn ends(&self) -> Date {
        self.ends
    }

    /// The end of its last lease; its own end when leases cannot be seen.
    #[must_use]
    pub const fn last_lease(&self) -> Date {
        self.last_lease
    }

    /// Whether it must not be published.
    #[must_use]
    pub const fn is_unpublished(&self) -> bool {
        self.unpublished
    }
}

/// Published, lifetime and flags, and the signer after them.
fn header(
    r: &mut Reader<'_>,
    own: (SigType, Vec<u8>),
) -> Result<(Date, Date, u16, offline::Signer)> {
    let published = u64::from(r.u32("LeaseSet2.published")?);
    let lifetime = u64::from(r.u16("LeaseSet2.expires")?);
    let flags = r.u16("LeaseSet2.flags")?;
    let signer = offline::read(r, flags, own)?;
    let ends = Date::from_secs(published + lifetime).min(signer.ends);
    Ok((Date::from_secs(published), ends, flags, signer))
}

/// The end of the signed part: the signature, and nothing after it.
fn signature(
    mut r: Reader<'_>,
    kind: u8,
    signer: &offline::Signer,
    field: &'static str,
) -> Result<Signed> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(r.since(0));
    let signature = r.take(signer.kind.signature_len(), field)?.to_vec();
    r.finish(field)?;
    Ok(Signed {
        kind: signer.kind,
        key: signer.key.clone(),
        bytes,
        signature,
        field,
    })
}

fn encrypted(bytes: &[u8]) -> Result<Unverified<AnyLeaseSet>> {
    if bytes.len() > limits::LEASE_SET_MAX {
        return Err(WireError::too_large("EncryptedLeaseSet"));
    }
    let mut r = Reader::new(bytes);
    let kind = SigType::from_number(r.u16("EncryptedLeaseSet.sig_type")?)
        .ok_or(WireError::invalid("EncryptedLeaseSet.sig_type"))?;
    let key = r
        .take(kind.key_len(), "EncryptedLeaseSet.blinded_public_key")?
        .to_vec();
    let hash = DestHash(sha256(&[r.since(0)]));
    let (published, ends, flags, signer) = header(&mut r, (kind, key))?;
    let n = usize::from(r.u16("EncryptedLeaseSet.len")?);
    if n == 0 {
        return Err(WireError::invalid("EncryptedLeaseSet.len"));
    }
    r.take(n, "EncryptedLeaseSet.encrypted_data")?;
    let signed = signature(r, ENCRYPTED, &signer, "EncryptedLeaseSet.signature")?;
    let value = AnyLeaseSet {
        kind: ENCRYPTED,
        hash,
        raw: bytes.into(),
        published,
        ends,
        last_lease: ends,
        unpublished: flags & 2 != 0,
    };
    Ok(Unverified::new(value, signed).with_offline(signer.vouched))
}

fn meta(bytes: &[u8]) -> Result<Unverified<AnyLeaseSet>> {
    if bytes.len() > limits::LEASE_SET_MAX {
        return Err(WireError::too_large("MetaLeaseSet"));
    }
    let mut r = Reader::new(bytes);
    let destination = Destination::read(&mut r)?;
    let keys = destination.keys();
    let (published, ends, flags, signer) = header(&mut r, (keys.sig_type(), keys.signing_key()))?;
    Mapping::read(&mut r)?;
    let entries = usize::from(r.u8("MetaLeaseSet.num")?);
    if entries == 0 {
        return Err(WireError::invalid("MetaLeaseSet.num"));
    }
    let mut list = r.sub(META_LEASE * entries, "MetaLeaseSet.entries")?;
    let mut last = Date::default();
    while !list.is_empty() {
        // What it points to is for clients to follow.
        list.take(META_LEASE - 4, "MetaLease.tunnel_gw")?;
        let end = Date::from_secs(u64::from(list.u32("MetaLease.end_date")?));
        last = last.max(end);
    }
    let revoked = usize::from(r.u8("MetaLeaseSet.numr")?);
    r.take(32 * revoked, "MetaLeaseSet.revocations")?;
    let signed = signature(r, META, &signer, "MetaLeaseSet.signature")?;
    let value = AnyLeaseSet {
        kind: META,
        hash: destination.hash(),
        raw: bytes.into(),
        published,
        ends: ends.min(last),
        last_lease: ends,
        unpublished: flags & 2 != 0,
    };
    Ok(Unverified::new(value, signed).with_offline(signer.vouched))
}
