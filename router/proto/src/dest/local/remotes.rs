//! Which remotes a destination keeps: those that it talks to stay, whoever else turns up.

use super::{LocalDest, REMOTE_IDLE};
use crate::dest::remote::Remote;
use crate::garlic::ratchet::PeerKey;
use crate::limits;
use crate::time::Now;
use crate::wire::hash::DestHash;
use crate::wire::lease_set2::LeaseSet2;
use std::sync::Arc;

impl LocalDest {
    /// The remote, made if need be; `ours`: we want to talk to it. `None` when there is no room
    /// and all that are kept are in use.
    pub(super) fn admit(&mut self, now: Now, hash: DestHash, ours: bool) -> Option<&mut Remote> {
        if !self.remotes.contains_key(&hash) && !self.make_room(ours) {
            return None;
        }
        let remote = self.remotes.entry(hash);
        let remote = remote.or_insert_with(|| Remote::new(hash, now));
        remote.used = now.mono;
        Some(remote)
    }

    /// Makes room for one remote. Strangers, who are known only because they talked to us, have a
    /// share of the places and give way among themselves first. Of those that nothing goes on with
    /// the one that was not used for longest goes.
    fn make_room(&mut self, ours: bool) -> bool {
        let strangers = self.remotes.values().filter(|r| !r.wanted).count();
        let full = self.remotes.len() >= limits::REMOTES_MAX;
        let crowded = strangers >= limits::REMOTES_STRANGERS_MAX;
        if !full && (ours || !crowded) {
            return true;
        }
        let talking = self.streams.peers();
        let unused = |r: &&Remote| r.waiting.is_empty() && !r.looking && !talking.contains(&r.hash);
        let mut unused: Vec<&Remote> = self.remotes.values().filter(unused).collect();
        if !ours {
            unused.retain(|r| !r.wanted);
        }
        let oldest = unused.into_iter().min_by_key(|r| (r.wanted, r.used));
        let Some(oldest) = oldest.map(|r| r.hash) else {
            return false;
        };
        self.forget(&oldest);
        true
    }

    fn forget(&mut self, hash: &DestHash) {
        self.agenda.forget(hash);
        let ls = self.remotes.remove(hash).and_then(|r| r.lease_set);
        if let Some(key) = ls.and_then(|ls| ls.x25519_key()) {
            self.by_key.release(&PeerKey(key), hash);
        }
    }

    /// Forgets remotes that were not used for long.
    pub(super) fn sweep(&mut self, now: Now) {
        let idle = |r: &&Remote| now.mono.since(r.used) >= REMOTE_IDLE;
        let idle = self.remotes.values().filter(idle).map(|r| r.hash);
        for hash in idle.collect::<Vec<_>>() {
            self.forget(&hash);
        }
    }

    /// Takes a LeaseSet whose signature was verified. A remote has one key at a time.
    pub(super) fn learn(&mut self, now: Now, ls: Arc<LeaseSet2>, ours: bool) {
        let (hash, key) = (ls.hash(), ls.x25519_key());
        let Some(remote) = self.admit(now, hash, ours) else {
            return;
        };
        if ours {
            remote.looking = false;
            remote.wanted = true;
        }
        let old = remote.lease_set.as_ref().and_then(|ls| ls.x25519_key());
        if remote.learn(ls) {
            remote.retry_at = remote.retry_at.filter(|_| remote.tries > 0);
            if let Some(old) = old.filter(|old| key != Some(*old)) {
                self.by_key.release(&PeerKey(old), &hash);
            }
            if let Some(key) = key {
                self.by_key.claim(PeerKey(key), hash);
                if !ours {
                    // It came under this very key.
                    self.by_key.prove(PeerKey(key), hash);
                }
            }
        }
        self.agenda.wake(hash);
    }
}
