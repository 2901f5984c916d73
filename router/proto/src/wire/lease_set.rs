//! The old LeaseSet (i2p spec/common-structures, LeaseSet; store type 1): read, never made.

use super::checked::{Signed, Unverified};
use super::cursor::Reader;
use super::error::{Result, WireError};
use super::hash::{DestHash, RouterHash, TunnelId};
use super::identity::Destination;
use super::lease_set2::Lease;
use crate::limits;
use crate::time::Date;

/// DatabaseStore type of an old LeaseSet.
pub const STORE_TYPE: u8 = 1;

/// An old LeaseSet; a value of this type has a valid signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseSet {
    destination: Destination,
    elgamal: Vec<u8>,
    leases: Vec<Lease>,
}

impl LeaseSet {
    /// Parses exactly these bytes, at most [`limits::LEASE_SET_MAX`].
    pub fn parse(bytes: &[u8]) -> Result<Unverified<Self>> {
        if bytes.len() > limits::LEASE_SET_MAX {
            return Err(WireError::too_large("LeaseSet"));
        }
        let mut r = Reader::new(bytes);
        let destination = Destination::read(&mut r)?;
        let kind = destination.keys().sig_type();
        let elgamal = r.take(256, "LeaseSet.encryption_key")?.to_vec();
        r.take(kind.key_len(), "LeaseSet.signing_key")?;
        let count = usize::from(r.u8("LeaseSet.num")?);
        if count > limits::LEASES_MAX {
            return Err(WireError::too_large("LeaseSet.num"));
        }
        let mut leases = Vec::with_capacity(count);
        for _ in 0..count {
            leases.push(Lease {
                gateway: RouterHash(r.array("Lease.tunnel_gw")?),
                tunnel: TunnelId(r.u32("Lease.tunnel_id")?),
                expires: Date(r.u64("Lease.end_date")?),
            });
        }
        let signed = r.since(0).to_vec();
        let signature = r.take(kind.signature_len(), "LeaseSet.signature")?.to_vec();
        r.finish("LeaseSet")?;
        let key = destination.keys().signing_key();
        let value = Self {
            destination,
            elgamal,
            leases,
        };
        Ok(Unverified::new(
            value,
            Signed {
                kind,
                key,
                bytes: signed,
                signature,
                field: "LeaseSet.signature",
            },
        ))
    }

    /// Hash of the destination.
    #[must_use]
    pub fn hash(&self) -> DestHash {
        self.destination.hash()
    }

    /// The destination.
    #[must_use]
    pub const fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The ElGamal key, 256 bytes.
    #[must_use]
    pub fn elgamal_key(&self) -> &[u8] {
        &self.elgamal
    }

    /// The leases.
    #[must_use]
    pub fn leases(&self) -> &[Lease] {
        &self.leases
    }

    /// The end of the last lease; the epoch when there is none.
    #[must_use]
    pub fn expires(&self) -> Date {
        self.leases
            .iter()
            .map(|l| l.expires)
            .max()
            .unwrap_or_default()
    }
}
