//! The servers that are in force: what the core serves, and what the client thread connects.

use crate::config_file::ConfigFile;
use crate::config_file::servers::Server;
use crate::data_dir::DataDir;
use crate::dest_keys::DestFile;
use ramson_proto::rng::Rng;
use ramson_proto::router::Router;
use ramson_proto::router::served::Serving;
use ramson_proto::time::Now;
use ramson_proto::wire::hash::DestHash;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// One server, and what became of its visitors.
#[derive(Debug)]
pub struct Running {
    /// Its settings.
    pub server: Server,
    /// Counters.
    pub visits: Arc<Visits>,
}

/// Counters of one server.
#[derive(Debug, Default)]
pub struct Visits {
    /// Streams now.
    pub streams: AtomicU64,
    /// Streams that were connected.
    pub accepted: AtomicU64,
    /// Those that a list or a limit refused, or that were no HTTP.
    pub refused: AtomicU64,
    /// Those for which the local service was not there.
    pub unanswered: AtomicU64,
}

/// All servers by their destinations.
pub type Table = Arc<BTreeMap<DestHash, Running>>;

/// What the core is to change.
#[derive(Default)]
pub struct Change {
    /// Destinations that are served no more.
    pub remove: Vec<DestHash>,
    /// New ones.
    pub add: Vec<Serving>,
}

impl Change {
    /// Tells the core.
    pub fn apply(self, router: &mut Router, now: Now) {
        for dest in self.remove {
            router.unserve(now, dest);
        }
        for serving in self.add {
            router.serve(now, serving);
        }
    }
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} removed, {} added", self.remove.len(), self.add.len())
    }
}

/// What the core has to know anew between two servers of one destination.
fn core_part(server: &Server) -> (u8, u8, &[u16]) {
    (server.hops, server.quantity, &server.ports)
}

/// From the servers in force to those of a configuration; key files that are missing are made.
///
/// # Errors
/// A key file cannot be used; nothing is to be changed.
pub fn plan(
    config: &ConfigFile,
    dir: &DataDir,
    old: &Table,
    rng: &mut Rng,
) -> Result<(Table, Change), String> {
    let (mut table, mut change) = (BTreeMap::new(), Change::default());
    for server in &config.servers {
        let file = DestFile::load_or_create(dir, &server.key_file(), rng)
            .map_err(|e| format!("server {:?}: {e}", server.name))?;
        let dest = file.destination().hash();
        let before = old.get(&dest);
        let same = before.is_some_and(|b| core_part(&b.server) == core_part(server));
        if !same {
            change.remove.extend(before.map(|_| dest));
            change.add.push(Serving {
                keys: file.keys(rng),
                pool: server.pool(),
                ports: server.ports.clone(),
            });
        }
        let running = Running {
            server: server.clone(),
            visits: before.map_or_else(Arc::default, |b| Arc::clone(&b.visits)),
        };
        if table.insert(dest, running).is_some() {
            let name = &server.name;
            return Err(format!("server {name:?}: another one has the same keys"));
        }
    }
    let gone = old.keys().filter(|dest| !table.contains_key(dest));
    change.remove.extend(gone.copied());
    Ok((Arc::new(table), change))
}

/// Looks at the key files and makes none.
pub fn problems(config: &ConfigFile, dir: &DataDir) -> Vec<String> {
    let judged = config.servers.iter().filter_map(|server| {
        let e = DestFile::load(dir, &server.key_file()).err()?;
        Some(format!("server {:?}: {e}", server.name))
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Log;
    use ramson_proto::trace::Level;
    use std::fs;

    fn config(servers: &[(&str, &str)]) -> ConfigFile {
        let text: String = servers
            .iter()
            .map(|(name, more)| {
                format!(
                    "[[servers]]\nname = \"{name}\"\nkind = \"tcp\"\n\
                     target = \"127.0.0.1:1\"\n{more}\n"
                )
            })
            .collect();
        ConfigFile::parse(&text, "c").unwrap()
    }

    /// What only the client thread has to know costs no tunnels, and what was counted stays.
    #[test]
    fn a_change_touches_what_changed() {
        let place = std::env::temp_dir().join(format!("ramson-servers-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        let dir = DataDir::open(&place, Log::new(Level::Error)).unwrap();
        let mut rng = Rng::from_number(1);
        let mut next = |old: &Table, servers: &[(&str, &str)]| {
            let (table, change) = plan(&config(servers), &dir, old, &mut rng).unwrap();
            (table, change.remove.len(), change.add.len())
        };
        let (two, removed, added) = next(&Table::default(), &[("a", ""), ("b", "")]);
        assert_eq!((two.len(), removed, added), (2, 0, 2));
        let (listed, removed, added) = next(&two, &[("a", "streams = 40"), ("b", "")]);
        assert_eq!((removed, added), (0, 0));
        for (dest, running) in listed.iter() {
            assert!(Arc::ptr_eq(&running.visits, &two[dest].visits));
        }
        let (shorter, removed, added) = next(&listed, &[("a", "hops = 1"), ("b", "")]);
        assert_eq!((shorter.len(), removed, added), (2, 1, 1));
        let (one, removed, added) = next(&shorter, &[("b", "")]);
        assert_eq!((one.len(), removed, added), (1, 1, 0));
        let (back, ..) = next(&one, &[("a", ""), ("b", "")]);
        assert!(back.keys().eq(two.keys()), "the same keys");

        fs::copy(dir.path("a.dat"), dir.path("b.dat")).unwrap();
        let same = config(&[("a", ""), ("b", "")]);
        let e = plan(&same, &dir, &one, &mut rng).err().unwrap();
        assert!(e.contains("same keys"), "{e}");
        fs::write(dir.path("b.dat"), "x").unwrap();
        assert_eq!(problems(&same, &dir).len(), 1);
        assert!(plan(&same, &dir, &one, &mut rng).is_err());
        fs::remove_dir_all(&place).unwrap();
    }
}
