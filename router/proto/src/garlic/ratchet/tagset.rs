//! Tag sets: the session tag chain and the symmetric key chain of one direction
//! (i2p spec/ecies, DH Initialization KDF, Session Tag Ratchet, Symmetric Key Ratchet).
//!
//! Not here: windows of expected tags, see [`super::inbound`].

use crate::crypto::hkdf::{hkdf1, hkdf2};
use crate::secret::Secret;

/// A session tag.
pub type Tag = [u8; 8];

/// Entries of a tag set: message numbers are 0..=65535.
const ENTRIES: u32 = 65_536;

/// What one message is sealed with.
pub struct Entry {
    /// Message number.
    pub n: u16,
    /// Goes before the ciphertext, is its additional data.
    pub tag: Tag,
    /// Message key; the nonce is `n`.
    pub key: Secret<32>,
}

/// The chains of a tag set. The tag chain may run ahead of the key chain.
pub struct TagSet {
    id: u16,
    next_root: Secret<32>,
    tag_chain: Secret<32>,
    tag_constant: Secret<32>,
    key_chain: Secret<32>,
    tags: u32,
    keys: u32,
}

impl TagSet {
    /// DH_INITIALIZE(root, k): the tag set with this id.
    #[must_use]
    pub fn new(id: u16, root: &Secret<32>, k: &Secret<32>) -> Self {
        let (next_root, ck) = hkdf2(root.expose(), k.expose(), b"KDFDHRatchetStep");
        let (tag_ck, key_chain) = hkdf2(ck.expose(), &[], b"TagAndKeyGenKeys");
        let (tag_chain, tag_constant) = hkdf2(tag_ck.expose(), &[], b"STInitialization");
        Self {
            id,
            next_root,
            tag_chain,
            tag_constant,
            key_chain,
            tags: 0,
            keys: 0,
        }
    }

    /// The tag set that follows this one after a DH ratchet
    /// (i2p spec/ecies, DH Ratchet KDF); `None` after the last id.
    #[must_use]
    pub fn following(&self, shared: &Secret<32>) -> Option<Self> {
        let k = hkdf1(shared.expose(), &[], b"XDHRatchetTagSet");
        Some(Self::new(self.id.checked_add(1)?, &self.next_root, &k))
    }

    /// Its id: 0 after a handshake, then counted up by next keys.
    #[must_use]
    pub const fn id(&self) -> u16 {
        self.id
    }

    /// Tags derived so far.
    #[must_use]
    pub const fn tags(&self) -> u32 {
        self.tags
    }

    /// Keys derived so far.
    #[must_use]
    pub const fn keys(&self) -> u32 {
        self.keys
    }

    /// Whether all tags were derived.
    #[must_use]
    pub const fn is_exhausted(&self) -> bool {
        self.tags >= ENTRIES
    }

    /// The next tag and its message number; `None` when all 65,536 were derived.
    pub fn next_tag(&mut self) -> Option<(u16, Tag)> {
        let n = u16::try_from(self.tags).ok()?;
        let (chain, out) = hkdf2(
            self.tag_chain.expose(),
            self.tag_constant.expose(),
            b"SessionTagKeyGen",
        );
        self.tag_chain = chain;
        self.tags += 1;
        let tag = *out.expose().first_chunk::<8>()?;
        Some((n, tag))
    }

    /// The next message key and its message number; `None` when all were derived.
    pub fn next_key(&mut self) -> Option<(u16, Secret<32>)> {
        let n = u16::try_from(self.keys).ok()?;
        let (chain, key) = hkdf2(self.key_chain.expose(), &[], b"SymmetricRatchet");
        self.key_chain = chain;
        self.keys += 1;
        Some((n, key))
    }

    /// The next entry of a set that is sent with, both chains in step.
    pub fn next_entry(&mut self) -> Option<Entry> {
        let (n, tag) = self.next_tag()?;
        let (_, key) = self.next_key()?;
        Some(Entry { n, tag, key })
    }
}

#[cfg(test)]
impl TagSet {
    /// next_root, key chain, tag chain, tag constant.
    pub fn chains(&self) -> [&[u8; 32]; 4] {
        [
            self.next_root.expose(),
            self.key_chain.expose(),
            self.tag_chain.expose(),
            self.tag_constant.expose(),
        ]
    }
}
