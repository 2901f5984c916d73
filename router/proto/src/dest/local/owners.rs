//! Whose static key it is. A LeaseSet can name any key, so more than one destination may claim
//! one; who holds the private key shows by what arrives under it.

use crate::garlic::ratchet::PeerKey;
use crate::wire::hash::DestHash;
use std::collections::BTreeMap;

/// Destinations by the static key that their LeaseSet names; of several, first the one that has
/// shown that the key is its own. Bounded by the remotes, each of which claims one key.
#[derive(Default)]
pub(super) struct Owners(BTreeMap<PeerKey, Vec<DestHash>>);

impl Owners {
    /// Who claims the key, most believed first.
    pub(super) fn of(&self, key: &PeerKey) -> &[DestHash] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// A LeaseSet names the key.
    pub(super) fn claim(&mut self, key: PeerKey, hash: DestHash) {
        let claims = self.0.entry(key).or_default();
        if !claims.contains(&hash) {
            claims.push(hash);
        }
    }

    /// What came under the key could come from this one alone.
    pub(super) fn prove(&mut self, key: PeerKey, hash: DestHash) {
        let Some(claims) = self.0.get_mut(&key) else {
            return;
        };
        if let Some(at) = claims.iter().position(|h| *h == hash) {
            claims[..=at].rotate_right(1);
        }
    }

    /// The destination has another key, or is forgotten.
    pub(super) fn release(&mut self, key: &PeerKey, hash: &DestHash) {
        if let Some(claims) = self.0.get_mut(key) {
            claims.retain(|h| h != hash);
            if claims.is_empty() {
                self.0.remove(key);
            }
        }
    }

    /// Keys that are claimed.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_shown_it_comes_first_and_nobody_is_pushed_out() {
        let (key, hash) = (PeerKey([1; 32]), |n| DestHash([n; 32]));
        let mut owners = Owners::default();
        for n in [1, 2, 3, 2] {
            owners.claim(key, hash(n));
        }
        owners.prove(key, hash(3));
        owners.prove(key, hash(9));
        assert_eq!(owners.of(&key), [hash(3), hash(1), hash(2)]);
        for n in 1..=3 {
            owners.release(&key, &hash(n));
        }
        assert!(owners.of(&key).is_empty() && owners.len() == 0);
    }
}
