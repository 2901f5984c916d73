//! The DH ratchet: keys exchanged for the next tag set of one direction
//! (i2p spec/ecies, 4a DH Ratchet).
//!
//! Key ids follow from the id `s` of the new set: the sender's is s / 2, the receiver's
//! (s - 1) / 2. A fresh sender key comes with set 1 and the even ones, a fresh receiver key with
//! the odd ones.

use super::tagset::TagSet;
use crate::crypto::x25519::PrivateKey;
use crate::garlic::clove::NextKey;

const fn sender_is_fresh(set: u16) -> bool {
    set == 1 || set.is_multiple_of(2)
}

const fn receiver_is_fresh(set: u16) -> bool {
    !set.is_multiple_of(2)
}

/// Keys of the direction we send in.
#[derive(Default)]
pub struct Sending {
    ours: Option<PrivateKey>,
    theirs: Option<[u8; 32]>,
    asked: Option<NextKey>,
}

impl Sending {
    /// Asks for the set after `current`, unless that is under way; `fresh` makes a key where one
    /// is due. No set follows the last id.
    pub fn start(&mut self, current: &TagSet, fresh: impl FnOnce() -> PrivateKey) {
        let Some(new) = current.id().checked_add(1) else {
            return;
        };
        if self.asked.is_some() {
            return;
        }
        let mut key = None;
        if sender_is_fresh(new) {
            let ours = fresh();
            key = Some(*ours.public());
            self.ours = Some(ours);
        }
        self.asked = Some(NextKey {
            key,
            reverse: false,
            request_reverse: receiver_is_fresh(new),
            id: new / 2,
        });
    }

    /// The forward key to send with every message until it is answered.
    #[must_use]
    pub const fn block(&self) -> Option<NextKey> {
        self.asked
    }

    /// The new set to send with, when `reverse` answers what was asked; late copies of earlier
    /// answers do not.
    pub fn answered(&mut self, current: &TagSet, reverse: &NextKey) -> Option<TagSet> {
        self.asked?;
        let new = current.id().checked_add(1)?;
        let fits = reverse.id == (new - 1) / 2 && reverse.key.is_some() == receiver_is_fresh(new);
        if !fits {
            return None;
        }
        let theirs = reverse.key.or(self.theirs)?;
        let set = current.following(&self.ours.as_ref()?.agree(&theirs)?)?;
        self.theirs = Some(theirs);
        self.asked = None;
        Some(set)
    }
}

/// Keys of the direction we receive in.
#[derive(Default)]
pub struct Receiving {
    ours: Option<PrivateKey>,
    theirs: Option<[u8; 32]>,
    reply: Option<NextKey>,
}

impl Receiving {
    /// The set after `newest`, when `forward` asks for it; the reply to it is [`Self::block`].
    /// `fresh` makes a key where one is due.
    pub fn asked(
        &mut self,
        newest: &TagSet,
        forward: &NextKey,
        fresh: impl FnOnce() -> PrivateKey,
    ) -> Option<TagSet> {
        let new = newest.id().checked_add(1)?;
        let fits = forward.id == new / 2
            && forward.key.is_some() == sender_is_fresh(new)
            && forward.request_reverse == receiver_is_fresh(new);
        if !fits {
            return None;
        }
        let theirs = forward.key.or(self.theirs)?;
        let fresh = receiver_is_fresh(new).then(fresh);
        let ours = fresh.as_ref().or(self.ours.as_ref())?;
        let set = newest.following(&ours.agree(&theirs)?)?;
        self.reply = Some(NextKey {
            key: fresh.as_ref().map(|k| *k.public()),
            reverse: true,
            request_reverse: false,
            id: (new - 1) / 2,
        });
        self.theirs = Some(theirs);
        self.ours = fresh.or(self.ours.take());
        Some(set)
    }

    /// The reverse key to send with every message until the new set is used.
    #[must_use]
    pub const fn block(&self) -> Option<NextKey> {
        self.reply
    }

    /// The new set is in use.
    pub fn done(&mut self) {
        self.reply = None;
    }
}
