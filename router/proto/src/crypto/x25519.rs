//! X25519 key agreement (RFC 7748).

use crate::rng::Rng;
use crate::secret::Secret;
use aws_lc_rs::agreement::{PrivateKey as Inner, UnparsedPublicKey, X25519, agree};

/// A private key and its public half.
#[derive(Clone)]
pub struct PrivateKey {
    bytes: Secret<32>,
    public: [u8; 32],
}

impl PrivateKey {
    /// From 32 bytes, clamped when used.
    ///
    /// # Panics
    /// Never: every 32 bytes are a private key.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        let public = Inner::from_private_key(&X25519, &bytes)
            .ok()
            .and_then(|k| k.compute_public_key().ok())
            .and_then(|p| <[u8; 32]>::try_from(p.as_ref()).ok());
        match public {
            Some(public) => Self {
                bytes: Secret::new(bytes),
                public,
            },
            None => unreachable!("an X25519 key is 32 bytes"),
        }
    }

    /// A new key.
    #[must_use]
    pub fn random(rng: &mut Rng) -> Self {
        Self::new(rng.array())
    }

    /// The public key.
    #[must_use]
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The private bytes, for key files.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        self.bytes.expose()
    }

    /// The shared secret with `peer`; `None` when the peer's key is of small order.
    #[must_use]
    pub fn agree(&self, peer: &[u8; 32]) -> Option<Secret<32>> {
        let key = Inner::from_private_key(&X25519, self.bytes.expose()).ok()?;
        let peer = UnparsedPublicKey::new(&X25519, peer);
        agree(&key, peer, (), |shared| {
            <[u8; 32]>::try_from(shared)
                .map(Secret::new)
                .map_err(|_| ())
        })
        .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn h(s: &str) -> [u8; 32] {
        hex::decode(s).unwrap().try_into().unwrap()
    }

    #[test]
    fn rfc7748_section_5_2() {
        let scalar = h("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
        let u = h("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
        let out = h("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
        assert!(PrivateKey::new(scalar).agree(&u).unwrap().ct_eq(&out));
    }

    #[test]
    fn both_sides_agree_and_small_order_is_refused() {
        let a = PrivateKey::new([8; 32]);
        let b = PrivateKey::new([9; 32]);
        let (x, y) = (a.agree(b.public()).unwrap(), b.agree(a.public()).unwrap());
        assert_eq!(x.expose(), y.expose());
        assert!(a.agree(&[0; 32]).is_none());
    }
}
