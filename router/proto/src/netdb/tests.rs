//! Small networks of netDbs under virtual time. Tunnels are a table: what is sent into one comes
//! out at its owner, garlic is opened by its tag.

mod contexts;
mod duties;
mod hostile;
mod silence;
mod strangers;
mod ways;

use super::*;
use crate::crypto::sig::SigningKey;
use crate::garlic::clove::{Block, parse_blocks};
use crate::garlic::{content, one_time};
use crate::peer::testing::Draft;
use crate::secret::Secret;
use crate::time::Date;
use crate::wire::hash::TunnelId;
use crate::wire::i2np::store::Entry;
use crate::wire::identity::{Destination, KeysAndCert};
use crate::wire::lease_set2::{EncKey, Lease, LeaseSetDraft};
use std::collections::{BTreeSet, HashMap};

const START_WALL: Date = Date::from_secs(1_800_000_000);
const LATENCY: Duration = Duration::from_millis(80);
const CLIENT: Context = Context::Client(1);

/// Tunnels of one node: which contexts have a pair, and its number in the table; and one more
/// inbound tunnel for all of them, for when the gateway of theirs is asked.
#[derive(Default)]
struct Tunnels(BTreeMap<Context, ReplyPath>, Option<ReplyPath>);

impl Paths for Tunnels {
    fn reply_path(
        &self,
        ctx: Context,
        asked: Option<RouterHash>,
        _: &mut Rng,
    ) -> Option<ReplyPath> {
        let own = self.0.get(&ctx).copied()?;
        let other = self.1.filter(|_| asked == Some(own.gateway));
        Some(other.unwrap_or(own))
    }
    fn has_outbound(&self, ctx: Context) -> bool {
        self.0.contains_key(&ctx)
    }
}

struct Node {
    db: NetDb,
    info: Arc<RouterInfo>,
    tunnels: Tunnels,
    tags: BTreeMap<[u8; 8], (Context, Secret<32>)>,
    seen: Vec<NetDbOutput>,
    deaf: bool,
}

enum Parcel {
    Link(RouterHash, Message),
    Garlic(RouterHash, Message),
    Tunnel(TunnelId, Message),
}

struct Net {
    nodes: BTreeMap<RouterHash, Node>,
    tunnels: BTreeMap<TunnelId, (RouterHash, Context)>,
    mail: BTreeMap<(Instant, u64), (RouterHash, Parcel)>,
    now: Now,
    seq: u64,
    rng: Rng,
    /// Direct messages by sender, with the key that they are about.
    direct: Vec<(RouterHash, [u8; 32])>,
}

impl Net {
    fn new() -> Self {
        Self {
            nodes: BTreeMap::new(),
            tunnels: BTreeMap::new(),
            mail: BTreeMap::new(),
            now: Now {
                mono: Instant(1_000_000),
                wall: START_WALL,
            },
            seq: 0,
            rng: Rng::from_number(42),
            direct: Vec::new(),
        }
    }

    fn add(&mut self, number: u64, caps: &'static str) -> RouterHash {
        let published = START_WALL - Duration::from_secs(60);
        let info = Draft::new(number, caps, published).build();
        let us = info.hash();
        let mut db = NetDb::new(NetDbConfig {
            us,
            net_id: 77,
            floodfill: info.is_floodfill(),
            min_floodfill_version: 58,
            reach: Reach {
                ipv6: false,
                private: true,
            },
        });
        db.set_own(Arc::clone(&info));
        let node = Node {
            db,
            info,
            tunnels: Tunnels::default(),
            tags: BTreeMap::new(),
            seen: Vec::new(),
            deaf: false,
        };
        self.nodes.insert(us, node);
        us
    }

    fn node(&mut self, h: RouterHash) -> &mut Node {
        self.nodes.get_mut(&h).unwrap()
    }

    fn introduce(&mut self, who: RouterHash, to: RouterHash) {
        let info = Arc::clone(&self.nodes[&to].info);
        let now = self.now;
        self.node(who).db.load(now, info, true);
    }

    fn tunnel(&mut self, who: RouterHash, ctx: Context) {
        self.seq += 1;
        let tunnel = TunnelId(self.seq as u32);
        self.tunnels.insert(tunnel, (who, ctx));
        let gateway = RouterHash([0xaa; 32]);
        let path = ReplyPath { gateway, tunnel };
        self.node(who).tunnels.0.insert(ctx, path);
    }

    fn lookup(&mut self, who: RouterHash, ctx: Context, target: Target) -> LookupId {
        let now = self.now;
        self.node(who).db.lookup(now, ctx, target)
    }

    /// Runs for this long.
    fn run(&mut self, time: Duration) {
        let end = self.now.mono + time;
        loop {
            let nodes = self.nodes.values().filter_map(|n| n.db.deadline()).min();
            let mail = self.mail.keys().next().map(|(t, _)| *t);
            let next = nodes.into_iter().chain(mail).min().unwrap();
            if next > end {
                let rest = end.since(self.now.mono);
                self.now = self.now.after(rest);
                return;
            }
            self.now = self.now.after(next.since(self.now.mono));
            self.step();
        }
    }

    fn step(&mut self) {
        while let Some(entry) = self.mail.first_entry() {
            if entry.key().0 > self.now.mono {
                break;
            }
            let (to, parcel) = entry.remove();
            self.deliver(to, parcel);
        }
        let hashes: Vec<RouterHash> = self.nodes.keys().copied().collect();
        for h in hashes {
            let (now, node) = (self.now, self.nodes.get_mut(&h).unwrap());
            if node.db.deadline().is_some_and(|t| t <= now.mono) {
                node.db.handle_timeout(now, &mut self.rng, &node.tunnels);
            }
            while let Some(out) = self.node(h).db.poll_output() {
                self.route(h, out);
            }
        }
    }

    fn route(&mut self, from: RouterHash, out: NetDbOutput) {
        let parcel = match &out {
            NetDbOutput::Send {
                to,
                message,
                seal,
                direct,
                ctx,
            } => {
                if *direct {
                    let key = message.body.first_chunk().copied().unwrap_or_default();
                    self.direct.push((from, key));
                    Some((*to, Parcel::Link(from, message.clone())))
                } else {
                    assert_eq!(*seal, self.nodes[to].info.enc_key());
                    assert!(self.nodes[&from].tunnels.has_outbound(*ctx));
                    // It comes out of the tunnel at some router.
                    Some((*to, Parcel::Garlic(RouterHash([0xbb; 32]), message.clone())))
                }
            }
            NetDbOutput::SendTunnel {
                tunnel, message, ..
            } => {
                let (to, _) = self.tunnels[tunnel];
                Some((to, Parcel::Tunnel(*tunnel, message.clone())))
            }
            NetDbOutput::ExpectTag { ctx, tag, key, .. } => {
                self.node(from).tags.insert(*tag, (*ctx, key.clone()));
                None
            }
            _ => None,
        };
        if let Some((to, parcel)) = parcel {
            self.seq += 1;
            let at = self.now.mono + LATENCY;
            self.mail.insert((at, self.seq), (to, parcel));
        }
        self.node(from).seen.push(out);
    }

    fn deliver(&mut self, to: RouterHash, parcel: Parcel) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&to).filter(|n| !n.deaf) else {
            return;
        };
        let (ctx, source, message) = match parcel {
            Parcel::Link(from, m) => (Context::Router, Source::Link(from), m),
            Parcel::Garlic(from, m) => (Context::Router, Source::RouterGarlic(from), m),
            Parcel::Tunnel(id, m) => {
                let ctx = self.tunnels[&id].1;
                if m.kind == kind::GARLIC {
                    let sealed = content(&m.body).unwrap();
                    let tag: [u8; 8] = sealed[..8].try_into().unwrap();
                    let (owner, key) = node.tags.remove(&tag).expect("an expected tag");
                    assert_eq!(owner, ctx);
                    let payload = one_time::open(&key, &tag, sealed).unwrap();
                    let blocks = parse_blocks(&payload).unwrap();
                    let [Block::Clove(c)] = blocks.as_slice() else {
                        panic!("one clove")
                    };
                    (ctx, Source::Reply(tag), c.message.clone())
                } else {
                    let path = node.tunnels.0[&ctx];
                    (ctx, Source::Tunnel(path), m)
                }
            }
        };
        let _ = node
            .db
            .handle_message(now, &mut self.rng, ctx, source, &message);
    }

    fn ended(&self, who: RouterHash, id: LookupId) -> Option<bool> {
        self.nodes[&who].seen.iter().find_map(|o| match o {
            NetDbOutput::Found { id: i, .. } if *i == id => Some(true),
            NetDbOutput::NotFound { id: i, .. } if *i == id => Some(false),
            _ => None,
        })
    }
}

fn lease_set(number: u64, published: Date, unpublished: bool) -> LeaseSet2 {
    let mut rng = Rng::from_number(number);
    let key = SigningKey::random(&mut rng);
    let keys = KeysAndCert::ed25519(0, &[5; 256], &[6; 96], &key.public()).unwrap();
    let destination = Destination(keys);
    let lease = Lease {
        gateway: RouterHash([1; 32]),
        tunnel: TunnelId(7),
        expires: published + Duration::from_secs(600),
    };
    let draft = LeaseSetDraft {
        destination: &destination,
        published,
        lifetime: 600,
        unpublished,
        keys: &[EncKey {
            kind: 4,
            key: vec![8; 32],
        }],
        leases: &[lease],
    };
    LeaseSet2::build(&draft, &key).unwrap()
}

/// Six floodfills that know each other, a site and a client that know one or two of them.
fn network() -> (Net, Vec<RouterHash>, RouterHash, RouterHash) {
    let mut net = Net::new();
    let ffs: Vec<_> = (0..6).map(|n| net.add(n, "XfR")).collect();
    let site = net.add(100, "XR");
    let client = net.add(101, "XR");
    for a in &ffs {
        for b in &ffs {
            if a != b {
                net.introduce(*a, *b);
            }
        }
        net.introduce(site, *a);
    }
    net.introduce(client, ffs[0]);
    (net, ffs, site, client)
}

fn publish(net: &mut Net, site: RouterHash) -> DestHash {
    net.tunnel(site, CLIENT);
    let ls = Arc::new(lease_set(7, net.now.wall, false));
    let (now, dest) = (net.now, ls.hash());
    net.node(site).db.publish_lease_set(now, CLIENT, ls);
    dest
}

#[test]
fn a_published_lease_set_is_confirmed_flooded_verified_and_found() {
    let (mut net, ffs, site, client) = network();
    let dest = publish(&mut net, site);
    net.run(Duration::from_secs(1));
    assert!(net.nodes[&site].db.is_published(CLIENT));
    let holders = ffs
        .iter()
        .filter(|f| net.nodes[f].db.served_lease_set(&dest).is_some())
        .count();
    assert_eq!(holders, 4, "one was stored to, three were flooded");
    net.run(Duration::from_secs(20));
    let stores = net.nodes[&site].seen.iter().filter(
        |o| matches!(o, NetDbOutput::Send { message, .. } if message.kind == kind::DATABASE_STORE),
    );
    assert_eq!(stores.count(), 1, "verification found it");
    assert!(net.nodes[&site].db.lease_set(CLIENT, &dest).is_some());

    net.tunnel(client, CLIENT);
    net.tunnel(client, Context::Router);
    let id = net.lookup(client, CLIENT, Target::LeaseSet(dest));
    assert_eq!(net.lookup(client, CLIENT, Target::LeaseSet(dest)), id);
    net.run(Duration::from_secs(6));
    assert_eq!(net.ended(client, id), Some(true));
    let db = &net.nodes[&client].db;
    assert!(db.lease_set(CLIENT, &dest).is_some());
    assert!(db.lease_set(Context::Client(2), &dest).is_none());
    assert!(db.lease_set(Context::Router, &dest).is_none());
    // Neither the site nor the client said anything about it over a link of its own.
    let said =
        |(from, key): &(RouterHash, [u8; 32])| *key == dest.0 && (*from == site || *from == client);
    assert!(!net.direct.iter().any(said));
    assert!(net.direct.iter().any(|(_, key)| *key == dest.0), "floods");
}

#[test]
fn without_tunnels_a_client_lookup_waits_and_fails() {
    let (mut net, _, site, client) = network();
    let dest = publish(&mut net, site);
    net.run(Duration::from_secs(1));
    let id = net.lookup(client, CLIENT, Target::LeaseSet(dest));
    net.run(Duration::from_secs(19));
    assert_eq!(net.ended(client, id), None);
    let asked = |o: &NetDbOutput| matches!(o, NetDbOutput::Send { ctx: CLIENT, .. });
    assert!(!net.nodes[&client].seen.iter().any(asked));
    net.run(Duration::from_secs(2));
    assert_eq!(net.ended(client, id), Some(false));
    let id = net.lookup(client, CLIENT, Target::LeaseSet(dest));
    net.run(Duration::from_secs(5));
    net.tunnel(client, CLIENT);
    net.run(Duration::from_secs(5));
    assert_eq!(net.ended(client, id), Some(true));
}

#[test]
fn router_lookups_are_direct_before_tunnels_and_never_after() {
    let (mut net, ffs, site, client) = network();
    for f in &ffs {
        net.introduce(*f, site);
    }
    let id = net.lookup(client, Context::Router, Target::Router(site));
    net.run(Duration::from_secs(3));
    assert_eq!(net.ended(client, id), Some(true));
    assert!(net.nodes[&client].db.router(&site).is_some());
    net.direct.clear();
    net.tunnel(client, Context::Router);
    let gone = Target::Router(RouterHash([0x77; 32]));
    let id = net.lookup(client, Context::Router, gone);
    net.run(Duration::from_secs(21));
    assert_eq!(net.ended(client, id), Some(false));
    assert!(net.direct.iter().all(|(from, _)| *from != client));
    // The referrals made all floodfills known.
    assert_eq!(net.nodes[&client].db.floodfill_count(), 6);
}

#[test]
fn silent_floodfills_are_passed_over_and_scored() {
    let (mut net, ffs, site, client) = network();
    let dest = publish(&mut net, site);
    net.run(Duration::from_secs(1));
    for f in &ffs {
        net.introduce(client, *f);
    }
    net.tunnel(client, CLIENT);
    net.tunnel(client, Context::Router);
    let key = routing_key::RoutingKey::of(&dest.0, net.now.wall);
    let infos: Vec<_> = ffs.iter().map(|f| Arc::clone(&net.nodes[f].info)).collect();
    let near = closest::nearest(infos.iter(), &key, 2);
    for r in &near {
        net.node(r.hash()).deaf = true;
    }
    let from = net.now.mono;
    let id = net.lookup(client, CLIENT, Target::LeaseSet(dest));
    net.run(Duration::from_secs(8));
    assert_eq!(net.ended(client, id), Some(true));
    assert!(net.now.mono.since(from) <= Duration::from_secs(8));
    let failed: BTreeSet<_> = net.nodes[&client]
        .seen
        .iter()
        .filter_map(|o| match o {
            NetDbOutput::Observed {
                router,
                what: Observation::LookupFailed,
            } => Some(*router),
            _ => None,
        })
        .collect();
    assert!(failed.contains(&near[0].hash()));
}

#[test]
fn a_silent_floodfill_does_not_stop_publishing() {
    let (mut net, ffs, site, _) = network();
    for f in &ffs[..3] {
        net.node(*f).deaf = true;
    }
    let dest = publish(&mut net, site);
    let (now, own) = (net.now, Arc::clone(&net.nodes[&site].info));
    net.node(site).db.publish_router(now, own);
    net.run(Duration::from_secs(30));
    let db = &net.nodes[&site].db;
    assert!(db.is_published(CLIENT) && db.is_published(Context::Router));
    let alive = || ffs[3..].iter().map(|f| &net.nodes[f].db);
    assert!(alive().any(|db| db.served_lease_set(&dest).is_some()));
    assert!(alive().any(|db| db.router(&site).is_some()));
}

#[test]
fn exploration_meets_the_whole_network() {
    let (mut net, ffs, _, client) = network();
    let others: Vec<_> = (200..220).map(|n| net.add(n, "LR")).collect();
    for (n, o) in others.iter().enumerate() {
        net.introduce(ffs[n % 6], *o);
    }
    net.run(Duration::from_secs(300));
    assert_eq!(net.nodes[&client].db.floodfill_count(), 6);
    let known = net.nodes[&client].db.router_count();
    assert!(known >= 15, "{known}");
    let persisted = net.nodes[&client].seen.iter().filter(|o| {
        matches!(
            o,
            NetDbOutput::Persist(Persist::Router { info: Some(_), .. })
        )
    });
    // Floodfills that one router alone has told of stay off the disk.
    let routers = &net.nodes[&client].db.routers;
    let alone = routers
        .floodfills()
        .map(|f| routers.may_serve_clients(&f.hash()));
    let alone = alone.filter(|common| !common).count();
    assert!(alone <= 1, "{alone}");
    assert_eq!(persisted.count(), known - 1 - alone);
}

#[test]
fn same_seed_same_outcome() {
    let run = || {
        let (mut net, _, site, client) = network();
        publish(&mut net, site);
        net.tunnel(client, Context::Router);
        net.run(Duration::from_secs(60));
        let seen: Vec<usize> = net.nodes.values().map(|n| n.seen.len()).collect();
        (net.seq, seen)
    };
    assert_eq!(run(), run());
}

#[test]
fn lookups_are_bounded() {
    let (mut net, _, _, client) = network();
    net.tunnel(client, CLIENT);
    let ids: BTreeSet<_> = (0..300u32)
        .map(|n| {
            let mut h = [0; 32];
            h[..4].copy_from_slice(&n.to_be_bytes());
            net.lookup(client, CLIENT, Target::LeaseSet(DestHash(h)))
        })
        .collect();
    assert_eq!(ids.len(), 300);
    net.run(Duration::from_secs(21));
    let ends: HashMap<_, _> = ids.iter().map(|id| (*id, net.ended(client, *id))).collect();
    assert!(ids.iter().all(|id| ends[id] == Some(false)));
    assert_eq!(net.nodes[&client].db.lookups.len(), 0);
}

#[test]
fn a_router_that_is_no_floodfill_answers_for_itself_only() {
    let (mut net, ffs, site, _) = network();
    let now = net.now;
    let ask = |key: RouterHash, from: RouterHash| DatabaseLookup {
        key: key.0,
        kind: crate::wire::i2np::lookup::LookupKind::Router,
        from,
        tunnel: None,
        excluded: Vec::new(),
        reply_key: None,
    };
    let answers = |net: &mut Net, q: DatabaseLookup, from: RouterHash| {
        let m = q.to_message(MessageId(1), now.wall);
        let node = net.node(site);
        while node.db.poll_output().is_some() {}
        let source = Source::Link(from);
        let mut rng = Rng::from_number(1);
        node.db
            .handle_message(now, &mut rng, Context::Router, source, &m)
            .unwrap();
        node.db.poll_output().is_some()
    };
    assert!(answers(&mut net, ask(site, ffs[0]), ffs[0]));
    assert!(!answers(&mut net, ask(ffs[1], ffs[0]), ffs[0]));
    // The answer would go to somebody else than who asks.
    assert!(!answers(&mut net, ask(site, ffs[1]), ffs[0]));
}
