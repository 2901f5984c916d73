//! The views as they are kept over restarts.

use super::{CLIENTS_MAX, ClientId, NAMES_TOTAL_MAX, Slot, View, Vip};
use crate::saved::Keep;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Instant;

/// One client's view: whether it is proven, and names with their index and tail, the one used
/// longest ago first.
#[derive(Serialize, Deserialize)]
struct Kept {
    client: [u8; 16],
    proven: bool,
    names: Vec<(String, u32, u64)>,
}

impl Keep for RefCell<Vip> {
    fn changes(&self) -> u64 {
        self.borrow().changes
    }

    fn snapshot(&self) -> Vec<u8> {
        let vip = self.borrow();
        let views = vip.clients.iter().map(|(client, view)| {
            let mut slots: Vec<_> = view.slots.iter().collect();
            slots.sort_by_key(|(_, slot)| slot.used);
            let names = slots.into_iter();
            Kept {
                client: client.0,
                proven: view.proven,
                names: names
                    .map(|(index, slot)| (slot.name.clone(), *index, slot.tail))
                    .collect(),
            }
        });
        // Fails for lack of memory only; then nothing is kept.
        postcard::to_allocvec(&views.collect::<Vec<_>>()).unwrap_or_default()
    }
}

impl Vip {
    /// Takes over what was kept. Ages are not: every name counts as used now. What does not fit
    /// the range or the bounds any more is left out.
    pub fn restore(&mut self, bytes: &[u8], now: Instant) {
        let Ok(views) = postcard::from_bytes::<Vec<Kept>>(bytes) else {
            return;
        };
        let size = 1u64 << (32 - u32::from(self.v4.prefix_len()));
        let mut total = 0;
        for kept in views.into_iter().take(CLIENTS_MAX) {
            let client = ClientId(kept.client);
            if self.owner(client) != client {
                continue;
            }
            let mut view = View {
                proven: kept.proven,
                names: BTreeMap::new(),
                slots: BTreeMap::new(),
                tails: BTreeMap::new(),
            };
            for (name, index, tail) in kept.names.into_iter().take(self.names_max()) {
                let taken = view.slots.contains_key(&index) || view.tails.contains_key(&tail);
                let known = view.names.contains_key(&name);
                if taken || known || u64::from(index) >= size || total >= NAMES_TOTAL_MAX {
                    continue;
                }
                total += 1;
                view.names.insert(name.clone(), index);
                view.tails.insert(tail, index);
                let slot = Slot {
                    name,
                    tail,
                    used: now,
                    open: 0,
                };
                view.slots.insert(index, slot);
            }
            self.clients.insert(client, view);
        }
    }
}
