//! What must hold at every moment of a simulation, whatever the routers and the network do.
//!
//! - Anonymity: on no link does a hash or key of a destination appear in clear, but for the
//!   floods of published LeaseSets between floodfills.
//! - Isolation: destinations of one router share no tunnel, and a server sees clients of
//!   different tags as different destinations.
//! - Paths: no tunnel has a router, family or /16 twice, or the router that built it.
//! - Timers: no machine wants to be woken at once again and again without anything coming of it.
//! - Bounds: what is kept stays within [`ramson_proto::limits`].
//!
//! That streams bring every byte once and in order is checked by [`super::app`].

use super::app::Apps;
use super::node::Node;
use ramson_proto::limits;
use ramson_proto::peer::constraint::conflict;
use ramson_proto::router::inspect::DestView;
use ramson_proto::time::Now;
use ramson_proto::wire::hash::RouterHash;
use ramson_proto::wire::i2np::store::{DatabaseStore, Entry};
use ramson_proto::wire::i2np::{Message, kind};
use std::collections::{BTreeMap, BTreeSet};

/// Broken rules that are described; further ones are counted.
const FAULTS_MAX: usize = 20;
/// Bytes of a hash or key that identify it.
const NEEDLE: usize = 16;

/// Values that are searched for in messages.
struct Needles {
    /// Whether a value starts with these two bytes.
    starts: Vec<bool>,
    all: BTreeSet<[u8; NEEDLE]>,
}

impl Needles {
    fn new() -> Self {
        Self {
            starts: vec![false; 1 << 16],
            all: BTreeSet::new(),
        }
    }

    fn add(&mut self, value: &[u8]) {
        if let Some(needle) = value.first_chunk::<NEEDLE>()
            && self.all.insert(*needle)
        {
            self.starts[start(value)] = true;
        }
    }

    fn are_in(&self, body: &[u8]) -> bool {
        body.windows(NEEDLE)
            .any(|w| self.starts[start(w)] && w.first_chunk().is_some_and(|w| self.all.contains(w)))
    }
}

/// The first two bytes as a number.
fn start(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// The checkers and what they found.
pub struct Checks {
    /// Of destinations that are published.
    served: Needles,
    /// Of clients' destinations.
    hidden: Needles,
    faults: Vec<String>,
    count: u64,
    /// How often in a row a node was woken in vain and wants to be woken at once.
    overdue: BTreeMap<usize, u32>,
    /// The most tunnels that were seen at once.
    pub paths_max: usize,
    /// LeaseSets seen in clear where they may be.
    pub floods: u64,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            served: Needles::new(),
            hidden: Needles::new(),
            faults: Vec::new(),
            count: 0,
            overdue: BTreeMap::new(),
            paths_max: 0,
            floods: 0,
        }
    }
}

impl Checks {
    /// Broken rules, in words.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    fn fault(&mut self, text: String) {
        self.count += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(text);
        }
    }

    /// A message as it travels over a link.
    pub fn message(&mut self, from: &Node, to: &Node, m: &Message) {
        let mut served = self.served.are_in(&m.body);
        if served && is_flood(from, to, m) {
            self.floods += 1;
            served = false;
        }
        if served || self.hidden.are_in(&m.body) {
            let whose = if served { "served" } else { "client's" };
            let (a, b) = (from.router.hash(), to.router.hash());
            self.fault(format!(
                "a {whose} destination in {m:?} from {a:?} to {b:?}"
            ));
        }
    }

    /// A node's deadline came, and everything due was called; answers whether the node may be
    /// woken again at once. What it did may have made more of it due, but not twice without
    /// anything coming out of it.
    pub fn woken(&mut self, i: usize, node: &Node, outputs: usize, now: Now) -> bool {
        let who = node.overdue(now.mono);
        if who.is_empty() || outputs > 0 {
            self.overdue.remove(&i);
            return true;
        }
        let times = self.overdue.entry(i).or_default();
        *times += 1;
        if *times < 2 {
            return true;
        }
        *times = 0;
        self.fault(format!(
            "node {i}: the deadline of {who:?} stays in the past"
        ));
        false
    }

    /// The state of all nodes, once in a while.
    pub fn nodes(&mut self, nodes: &[Node], index: &BTreeMap<RouterHash, usize>, now: Now) {
        let mut paths = 0;
        for (i, node) in nodes.iter().enumerate().filter(|(_, n)| n.alive) {
            let dests: Vec<DestView> = node.router.destinations().collect();
            for dest in &dests {
                self.learn(dest);
            }
            self.shared_tunnels(i, &dests);
            for path in node.router.paths() {
                paths += 1;
                if !is_apart(&path.hops, node, nodes, index) {
                    self.fault(format!("node {i} has {path:?}"));
                }
            }
            self.bounds(i, node, &dests, now);
        }
        self.paths_max = self.paths_max.max(paths);
    }

    fn learn(&mut self, dest: &DestView) {
        let needles = if dest.served {
            &mut self.served
        } else {
            &mut self.hidden
        };
        needles.add(&dest.hash.0);
        if let Some(ls) = &dest.lease_set {
            let keys = ls.destination().keys();
            needles.add(keys.as_bytes());
            needles.add(&keys.signing_key());
            for key in ls.keys() {
                needles.add(&key.key);
            }
        }
    }

    fn shared_tunnels(&mut self, i: usize, dests: &[DestView]) {
        let mut owner = BTreeMap::new();
        for dest in dests {
            let leases = dest.lease_set.iter().flat_map(|ls| ls.leases());
            for lease in leases {
                let other = owner.insert((lease.gateway, lease.tunnel), dest.pool);
                if other.is_some_and(|pool| pool != dest.pool) {
                    self.fault(format!("node {i}: two destinations in one tunnel"));
                }
            }
        }
    }

    fn bounds(&mut self, i: usize, node: &Node, dests: &[DestView], now: Now) {
        let s = node.router.snapshot(now);
        let pools = s.tunnels.pools.iter();
        let counts = pools.flat_map(|p| [p.inbound, p.outbound]);
        let (mut building, mut crowded) = (0, 0);
        for count in counts {
            building += count.building;
            crowded = crowded.max(count.up.saturating_sub(3 * count.wanted));
        }
        let waiting = dests.iter().map(|d| d.waiting_max).max().unwrap_or(0);
        let remotes = dests.iter().map(|d| d.remotes).max().unwrap_or(0);
        let rules = [
            ("routers", s.routers, limits::ROUTERS_MAX),
            ("LeaseSets", s.lease_sets, limits::LEASE_SETS_MAX),
            ("pools", s.tunnels.pools.len(), limits::POOLS_MAX),
            ("builds", building, limits::TUNNEL_BUILDS_MAX),
            ("tunnels beyond three times those wanted", crowded, 0),
            ("streams", s.streams, limits::CLIENT_STREAMS_MAX),
            ("messages to one remote", waiting, limits::REMOTE_QUEUE_MAX),
            ("remotes", remotes, limits::REMOTES_MAX),
        ];
        for (what, n, max) in rules {
            if n > max {
                self.fault(format!("node {i}: {n} {what}, at most {max}"));
            }
        }
    }

    /// Who the servers saw.
    pub fn apps(&mut self, apps: &Apps) {
        let mut seen = BTreeMap::new();
        for (t, p) in apps.transfers() {
            let Some(from) = p.seen_as else { continue };
            let who = (t.client, t.tag.clone());
            let other = seen.insert(from, who.clone());
            if other.as_ref().is_some_and(|other| *other != who) {
                self.fault(format!("one destination for {who:?} and {other:?}"));
            }
        }
    }
}

/// A LeaseSet that a floodfill hands on to another one.
fn is_flood(from: &Node, to: &Node, m: &Message) -> bool {
    let floodfills = [from, to].iter().all(|n| n.router.info().has_cap('f'));
    floodfills
        && m.kind == kind::DATABASE_STORE
        && DatabaseStore::parse(&m.body)
            .is_ok_and(|s| s.reply.is_none() && matches!(s.entry, Entry::LeaseSet2(_)))
}

/// Whether the hops are routers that one path may have.
fn is_apart(
    hops: &[RouterHash],
    owner: &Node,
    nodes: &[Node],
    index: &BTreeMap<RouterHash, usize>,
) -> bool {
    let infos: Option<Vec<_>> = hops
        .iter()
        .map(|h| index.get(h).map(|i| nodes[*i].router.info()))
        .collect();
    let Some(infos) = infos else {
        return false;
    };
    let pairs = (0..infos.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
    let mut pairs = pairs.filter(|(a, b)| conflict(infos[*a], infos[*b]));
    pairs.next().is_none() && !hops.contains(&owner.router.hash())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needles_are_found_wherever_they_are() {
        let mut n = Needles::new();
        n.add(&[7; 32]);
        let mut body = vec![1; 100];
        assert!(!n.are_in(&body));
        body[61..77].fill(7);
        assert!(n.are_in(&body));
        assert!(!n.are_in(&body[..76]));
        assert!(!n.are_in(&[]));
    }
}
