//! Identities: what the router tells devices apart by. A device keeps its own until it is given
//! a new one; its virtual addresses stay.

use crate::channel::ShortId;
use crate::saved::Keep;
use crate::vip::ClientId;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::Hasher;

/// Devices with an identity that is not their first. Beyond it the one renewed longest ago gets
/// its first one back.
const RENEWED_MAX: usize = 1024;

/// Which identity each device has.
pub struct Identities {
    key: [u8; 16],
    /// Number of the identity, and of the change that made it.
    renewed: BTreeMap<ClientId, (u32, u64)>,
    changes: u64,
}

impl Identities {
    /// `key` is secret.
    #[must_use]
    pub const fn new(key: [u8; 16]) -> Self {
        Self {
            key,
            renewed: BTreeMap::new(),
            changes: 0,
        }
    }

    /// The isolation tag of a device's streams.
    #[must_use]
    pub fn tag(&self, client: ClientId) -> [u8; 16] {
        let number = self.number(client);
        if number == 0 {
            return client.0;
        }
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(b"identity");
        hasher.write(&client.0);
        hasher.write(&number.to_be_bytes());
        hasher.finish128().as_bytes()
    }

    /// How many identities a device has given up.
    #[must_use]
    pub fn number(&self, client: ClientId) -> u32 {
        self.renewed.get(&client).map_or(0, |(number, _)| *number)
    }

    /// Gives a device a new identity. Streams that are open keep theirs to their end.
    pub fn renew(&mut self, client: ClientId) {
        self.changes += 1;
        if self.renewed.len() >= RENEWED_MAX && !self.renewed.contains_key(&client) {
            let oldest = self.renewed.iter().min_by_key(|(_, (_, at))| *at);
            let oldest = oldest.map(|(client, _)| *client);
            oldest.and_then(|client| self.renewed.remove(&client));
        }
        let (number, at) = self.renewed.entry(client).or_default();
        *number = number.wrapping_add(1).max(1);
        *at = self.changes;
    }

    /// Takes over what was kept; nonsense changes nothing.
    pub fn restore(&mut self, bytes: &[u8]) {
        let kept = postcard::from_bytes::<Vec<([u8; 16], u32, u64)>>(bytes);
        for (client, number, at) in kept.unwrap_or_default().into_iter().take(RENEWED_MAX) {
            self.changes = self.changes.max(at);
            self.renewed.insert(ClientId(client), (number, at));
        }
    }
}

impl Keep for RefCell<Identities> {
    fn changes(&self) -> u64 {
        self.borrow().changes
    }

    /// One that was given up must not come back with the power.
    fn urgent(&self) -> u64 {
        self.borrow().changes
    }

    fn snapshot(&self) -> Vec<u8> {
        let all = self.borrow();
        let rows = all
            .renewed
            .iter()
            .map(|(client, (n, at))| (client.0, *n, *at));
        // Fails for lack of memory only; then nothing is kept.
        postcard::to_allocvec(&rows.collect::<Vec<_>>()).unwrap_or_default()
    }
}

impl ClientId {
    /// What people call it by.
    #[must_use]
    pub const fn short(self) -> ShortId {
        let [a, b, c, d, ..] = self.0;
        ShortId([a, b, c, d])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ClientId = ClientId([1; 16]);
    const B: ClientId = ClientId([2; 16]);

    #[test]
    fn a_new_identity_is_the_devices_own_and_stays() {
        let mut all = Identities::new([5; 16]);
        assert_eq!(all.tag(A), A.0);
        all.renew(A);
        let second = all.tag(A);
        all.renew(A);
        let third = all.tag(A);
        assert!(second != A.0 && third != second && third != A.0);
        assert_eq!(all.tag(B), B.0);
        let kept = RefCell::new(all).snapshot();
        let mut after = Identities::new([5; 16]);
        after.restore(&kept);
        assert_eq!((after.tag(A), after.number(A)), (third, 2));
        after.restore(b"nonsense");
        assert_eq!(after.tag(A), third);
        assert_eq!(A.short().to_string(), "01010101");
    }

    #[test]
    fn the_table_is_bounded() {
        let mut all = Identities::new([5; 16]);
        for n in 0..u128::try_from(RENEWED_MAX).unwrap() + 5 {
            all.renew(ClientId(n.to_be_bytes()));
        }
        assert_eq!(all.renewed.len(), RENEWED_MAX);
        assert_eq!(all.number(ClientId(4_u128.to_be_bytes())), 0);
        assert_eq!(all.number(ClientId(5_u128.to_be_bytes())), 1);
    }
}
