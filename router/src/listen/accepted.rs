//! Names that people took from links, each for the client that took it, until the router ends.
//! They are kept in memory only: a file of them would say who visits what.

use ramson_proto::client::helper;
use ramson_proto::wire::hash::DestHash;
use std::collections::VecDeque;

/// Clients with names; one more takes the place of the one that took a name longest ago.
const CLIENTS: usize = 64;
/// Names of one client; one more takes the place of its oldest.
const NAMES: usize = 64;

/// The names of one client, the newest last.
struct Client {
    tag: Vec<u8>,
    names: VecDeque<(String, DestHash)>,
}

/// The names of all clients.
pub struct Accepted {
    key: [u8; 32],
    clients: VecDeque<Client>,
}

impl Accepted {
    /// None; `key` makes the tokens of forms, and is to be random.
    pub const fn new(key: [u8; 32]) -> Self {
        Self {
            key,
            clients: VecDeque::new(),
        }
    }

    /// What a client has to bring to take a name.
    pub fn token(&self, tag: &[u8], name: &str, dest: &DestHash) -> String {
        helper::token(&self.key, tag, name, dest)
    }

    /// Takes a name.
    pub fn insert(&mut self, tag: &[u8], name: &str, dest: DestHash) {
        let mut client = self.take(tag).unwrap_or_else(|| Client {
            tag: tag.to_vec(),
            names: VecDeque::new(),
        });
        let name = name.to_ascii_lowercase();
        client.names.retain(|(known, _)| *known != name);
        if client.names.len() >= NAMES {
            client.names.pop_front();
        }
        client.names.push_back((name, dest));
        if self.clients.len() >= CLIENTS {
            self.clients.pop_front();
        }
        self.clients.push_back(client);
    }

    fn take(&mut self, tag: &[u8]) -> Option<Client> {
        let at = self.clients.iter().position(|c| c.tag == tag)?;
        self.clients.remove(at)
    }

    /// What a name means to a client that took it.
    pub fn get(&self, tag: &[u8], name: &str) -> Option<DestHash> {
        let client = self.clients.iter().find(|c| c.tag == tag)?;
        let name = name.trim_end_matches('.');
        let mut names = client.names.iter();
        let found = names.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, dest)| *dest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_names_and_both_are_bounded() {
        let mut accepted = Accepted::new([0; 32]);
        let (one, two) = (DestHash([1; 32]), DestHash([2; 32]));
        accepted.insert(b"a", "X.i2p", one);
        assert_eq!(accepted.get(b"a", "x.i2p."), Some(one));
        assert_eq!(accepted.get(b"b", "x.i2p"), None);
        accepted.insert(b"a", "x.i2p", two);
        assert_eq!(accepted.get(b"a", "x.i2p"), Some(two));
        for n in 0..NAMES {
            accepted.insert(b"a", &format!("n{n}.i2p"), one);
        }
        assert_eq!(accepted.get(b"a", "x.i2p"), None);
        assert_eq!(accepted.get(b"a", "n0.i2p"), Some(one));
        for n in 0..CLIENTS {
            accepted.insert(&[7, n.to_le_bytes()[0]], "x.i2p", one);
        }
        assert_eq!(accepted.clients.len(), CLIENTS);
        assert_eq!(accepted.get(b"a", "n0.i2p"), None);
        assert_eq!(accepted.get(&[7, 0], "x.i2p"), Some(one));
    }
}
