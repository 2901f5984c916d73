//! RouterInfo: what a router says of itself, signed (i2p spec/common-structures, RouterInfo).

use super::checked::{Signed, Unverified};
use super::cursor::{Reader, Writer};
use super::error::{Result, WireError};
use super::hash::RouterHash;
use super::identity::RouterIdentity;
use super::mapping::{Mapping, MappingView};
use super::router_address::{AddressView, Addresses, Ntcp2Address, RouterAddress};
use crate::crypto::sig::SigningKey;
use crate::limits;
use crate::time::Date;
use core::fmt;

/// A RouterInfo as the bytes it came from; a value of this type has a valid signature. Thousands
/// are held, so what is asked for is read out of the bytes, which were checked.
#[derive(Clone, PartialEq, Eq)]
pub struct RouterInfo {
    raw: Box<[u8]>,
    hash: RouterHash,
    published: Date,
    /// Where the number of addresses stands.
    addresses_at: u16,
    /// Where the options stand.
    options_at: u16,
    floodfill: bool,
    x25519: bool,
}

impl fmt::Debug for RouterInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RouterInfo({:?}, {:?})", self.hash, self.published)
    }
}

impl RouterInfo {
    /// Parses exactly these bytes, at most [`limits::ROUTER_INFO_MAX`].
    pub fn parse(bytes: &[u8]) -> Result<Unverified<Self>> {
        if bytes.len() > limits::ROUTER_INFO_MAX {
            return Err(WireError::too_large("RouterInfo"));
        }
        let mut r = Reader::new(bytes);
        let identity = RouterIdentity::read(&mut r)?;
        let published = Date(r.u64("RouterInfo.published")?);
        let addresses_at = r.position() as u16;
        let count = usize::from(r.u8("RouterInfo.size")?);
        if count > limits::ROUTER_ADDRESSES_MAX {
            return Err(WireError::too_large("RouterInfo.size"));
        }
        for _ in 0..count {
            AddressView::read(&mut r)?;
        }
        // Peers that never came to be: the count is zero today, old files may have some.
        let peers = usize::from(r.u8("RouterInfo.peer_size")?);
        r.take(32 * peers, "RouterInfo.peers")?;
        let options_at = r.position() as u16;
        let options = MappingView::read(&mut r)?;
        let signed = r.since(0).to_vec();
        let kind = identity.keys().sig_type();
        let signature = r
            .take(kind.signature_len(), "RouterInfo.signature")?
            .to_vec();
        r.finish("RouterInfo")?;
        let key = identity.keys().signing_key();
        let hash = identity.hash();
        let value = Self {
            raw: bytes.into(),
            hash,
            published,
            addresses_at,
            options_at,
            floodfill: options.get("caps").is_some_and(|c| c.contains('f')),
            x25519: identity.keys().x25519_key().is_some(),
        };
        Ok(Unverified::new(
            value,
            Signed {
                kind,
                key,
                bytes: signed,
                signature,
                field: "RouterInfo.signature",
            },
        ))
    }

    /// Builds and signs a RouterInfo of an Ed25519 identity.
    ///
    /// # Errors
    /// Too many addresses, a string or the whole too long, or a key of another identity.
    pub fn build(
        identity: &RouterIdentity,
        published: Date,
        addresses: &[RouterAddress],
        options: &Mapping,
        key: &SigningKey,
    ) -> Result<Self> {
        if addresses.len() > limits::ROUTER_ADDRESSES_MAX {
            return Err(WireError::too_large("RouterInfo.size"));
        }
        let mut w = Writer::with_capacity(1024);
        w.put(identity.as_bytes())
            .u64(published.0)
            .u8(addresses.len() as u8);
        for a in addresses {
            a.write(&mut w)?;
        }
        w.u8(0);
        options.write(&mut w)?;
        let signature = key.sign(&[w.as_slice()]);
        w.put(&signature);
        Self::parse(w.as_slice())?.verify()
    }

    /// The bytes as they were signed, with the signature.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.raw
    }

    /// The router's hash.
    #[must_use]
    pub const fn hash(&self) -> RouterHash {
        self.hash
    }

    /// The router's identity.
    ///
    /// # Errors
    /// None: it was read before.
    pub fn identity(&self) -> Result<RouterIdentity> {
        RouterIdentity::read(&mut Reader::new(&self.raw))
    }

    /// When it was published.
    #[must_use]
    pub const fn published(&self) -> Date {
        self.published
    }

    /// Transport addresses in the published order.
    pub fn addresses(&self) -> Addresses<'_> {
        Addresses(self.from(self.addresses_at))
    }

    /// Options.
    #[must_use]
    pub fn options(&self) -> MappingView<'_> {
        MappingView::skim(&mut Reader::new(self.from(self.options_at))).unwrap_or_default()
    }

    fn from(&self, at: u16) -> &[u8] {
        self.raw.get(usize::from(at)..).unwrap_or_default()
    }

    /// The X25519 key of the identity; `None` for ElGamal routers.
    #[must_use]
    pub fn enc_key(&self) -> Option<[u8; 32]> {
        self.raw.first_chunk().copied().filter(|_| self.x25519)
    }

    /// Capability letters; empty when none are published.
    #[must_use]
    pub fn caps(&self) -> &str {
        self.options().get("caps").unwrap_or_default()
    }

    /// Whether the capability letter is published.
    #[must_use]
    pub fn has_cap(&self, letter: char) -> bool {
        self.caps().contains(letter)
    }

    /// Whether it is a floodfill.
    #[must_use]
    pub const fn is_floodfill(&self) -> bool {
        self.floodfill
    }

    /// Network id; 2 is the live network.
    #[must_use]
    pub fn net_id(&self) -> Option<u8> {
        self.options().get("netId")?.parse().ok()
    }

    /// The last part of a version `0.9.NN`; `None` for any other form.
    #[must_use]
    pub fn version(&self) -> Option<u16> {
        self.options()
            .get("router.version")?
            .strip_prefix("0.9.")?
            .parse()
            .ok()
    }

    /// Dialable NTCP2 addresses in the published order.
    pub fn ntcp2_addresses(&self) -> impl Iterator<Item = Ntcp2Address> + '_ {
        self.addresses().iter().filter_map(AddressView::ntcp2)
    }

    /// Whether `key` is the static key of one of its NTCP2 addresses.
    #[must_use]
    pub fn has_ntcp2_key(&self, key: &[u8; 32]) -> bool {
        self.addresses()
            .iter()
            .any(|a| a.is_ntcp2() && a.static_key().as_ref() == Some(key))
    }
}

/// Parses and verifies in one step.
///
/// # Errors
/// What [`RouterInfo::parse`] and the signature say.
pub fn parse_verified(bytes: &[u8]) -> Result<RouterInfo> {
    RouterInfo::parse(bytes)?.verify()
}
