use super::*;
use crate::peer::constraint::conflict;
use crate::peer::profile::Observation;
use crate::peer::testing::Draft;
use crate::time::Instant;

const WALL: Date = Date::from_secs(1_800_000_000);
const NOW: Now = Now {
    mono: Instant(0),
    wall: WALL,
};

struct World {
    routers: Vec<Arc<RouterInfo>>,
    profiles: Profiles,
    usage: BTreeMap<RouterHash, u32>,
    tunnels: u32,
    avoid: BTreeSet<RouterHash>,
    connected: BTreeSet<RouterHash>,
    selector: Selector,
}

impl World {
    fn of(drafts: impl IntoIterator<Item = Draft>) -> Self {
        Self {
            routers: drafts.into_iter().map(|d| d.build()).collect(),
            profiles: Profiles::new(),
            usage: BTreeMap::new(),
            tunnels: 0,
            avoid: BTreeSet::new(),
            connected: BTreeSet::new(),
            selector: Selector {
                us: RouterHash([0xee; 32]),
                min_version: 58,
                reach: Reach {
                    ipv6: false,
                    private: true,
                },
            },
        }
    }

    fn choose(
        &self,
        way: Way,
        hops: usize,
        exploratory: bool,
        rng: &mut Rng,
    ) -> Option<Vec<Arc<RouterInfo>>> {
        let wish = Wish {
            hops,
            way,
            exploratory,
            avoid: &self.avoid,
            connected: &self.connected,
            usage: &self.usage,
            tunnels: self.tunnels,
        };
        self.selector
            .choose(self.routers.iter(), &self.profiles, &wish, NOW, rng)
    }

    fn hash(&self, n: usize) -> RouterHash {
        self.routers[n].hash()
    }
}

fn draft(n: u64, caps: &'static str) -> Draft {
    Draft::new(n, caps, WALL - Duration::from_secs(600))
}

fn assert_legal(path: &[Arc<RouterInfo>]) {
    for (i, a) in path.iter().enumerate() {
        for b in &path[..i] {
            assert!(!conflict(a, b), "{a:?} {b:?}");
        }
    }
}

#[test]
fn a_thousand_tunnels_are_legal_and_spread() {
    let mut world = World::of((0..60).map(|n| {
        let mut d = draft(n, ["XfR", "OR", "LR", "PR"][n as usize % 4]);
        if n % 10 == 0 {
            d.family = Some("Clan");
        }
        d
    }));
    let mut rng = Rng::from_number(1);
    let mut count = BTreeMap::<RouterHash, u32>::new();
    for n in 0..1000 {
        let way = if n % 2 == 0 {
            Way::Inbound
        } else {
            Way::Outbound
        };
        let path = world.choose(way, 3, false, &mut rng).unwrap();
        assert_eq!(path.len(), 3);
        assert_legal(&path);
        for hop in &path {
            assert!(!hop.has_cap('L'), "clients take no slow routers");
            *count.entry(hop.hash()).or_default() += 1;
        }
        world.tunnels += 1;
        world.usage.clone_from(&count);
    }
    // 45 routers share 3000 places; the clan's share is smaller, one of them a path.
    assert_eq!(count.len(), 45);
    let (low, high) = (count.values().min(), count.values().max());
    assert!(
        *low.unwrap() > 30 && *high.unwrap() < 120,
        "{low:?} {high:?}"
    );
    let exploratory: BTreeSet<_> = (0..300)
        .flat_map(|_| world.choose(Way::Outbound, 2, true, &mut rng).unwrap())
        .map(|r| r.hash())
        .collect();
    assert!(exploratory.len() > 55, "{}", exploratory.len());
}

#[test]
fn nobody_is_in_more_than_a_third_while_there_are_others() {
    let mut world = World::of((0..12).map(|n| draft(n, "XR")));
    let mut rng = Rng::from_number(2);
    for _ in 0..200 {
        let path = world.choose(Way::Outbound, 3, false, &mut rng).unwrap();
        for hop in path {
            *world.usage.entry(hop.hash()).or_default() += 1;
        }
        world.tunnels += 1;
    }
    for used in world.usage.values() {
        assert!(*used * 3 <= world.tunnels + 2, "{used}");
    }
}

#[test]
fn who_never_comes_in() {
    let mut old = draft(10, "XR");
    old.version = "0.9.57";
    let mut hidden = draft(11, "XU");
    hidden.host = None;
    let congested = draft(12, "XRE");
    let closed = draft(13, "XRG");
    let mut drafts: Vec<Draft> = (0..4).map(|n| draft(n, "XR")).collect();
    drafts.extend([old, hidden, congested, closed]);
    let mut world = World::of(drafts);
    world.avoid.insert(world.hash(3));
    let mut rng = Rng::from_number(3);
    let good: BTreeSet<_> = (0..3).map(|n| world.hash(n)).collect();
    for n in 0..200 {
        let way = if n % 2 == 0 {
            Way::Inbound
        } else {
            Way::Outbound
        };
        let path = world.choose(way, 3, n % 3 == 0, &mut rng).unwrap();
        assert!(path.iter().all(|r| good.contains(&r.hash())));
    }
    assert!(world.choose(Way::Inbound, 4, false, &mut rng).is_none());
    assert_eq!(
        world
            .choose(Way::Inbound, 0, false, &mut rng)
            .unwrap()
            .len(),
        0
    );
}

#[test]
fn one_network_and_one_family_only_once() {
    let mut same_net = draft(1, "XR");
    same_net.host = Some("10.1.77.7".to_owned());
    let mut a = draft(2, "XR");
    let mut b = draft(3, "XR");
    (a.family, b.family) = (Some("clan"), Some("CLAN"));
    let world = World::of([draft(0, "XR"), same_net, a, b]);
    let mut rng = Rng::from_number(4);
    for _ in 0..100 {
        let path = world.choose(Way::Outbound, 2, false, &mut rng).unwrap();
        assert_legal(&path);
    }
    assert!(world.choose(Way::Outbound, 3, false, &mut rng).is_none());
}

#[test]
fn failing_and_slow_routers_only_when_needed() {
    let mut world = World::of((0..5).map(|n| draft(n, if n < 3 { "XR" } else { "LR" })));
    let mut rng = Rng::from_number(5);
    world
        .profiles
        .observe(WALL, world.hash(0), Observation::Unreachable);
    let bad = world.hash(0);
    for _ in 0..100 {
        let path = world.choose(Way::Outbound, 2, false, &mut rng).unwrap();
        assert!(path.iter().all(|r| r.hash() != bad && !r.has_cap('L')));
    }
    // Three hops: a slow one comes before the unreachable one.
    for _ in 0..100 {
        let path = world.choose(Way::Outbound, 3, false, &mut rng).unwrap();
        assert!(path.iter().all(|r| r.hash() != bad));
    }
    let path = world.choose(Way::Outbound, 5, false, &mut rng).unwrap();
    assert!(path.iter().any(|r| r.hash() == bad));
}

#[test]
fn gateways_are_published_and_our_neighbour_can_be_dialled() {
    let mut drafts: Vec<Draft> = (0..6).map(|n| draft(n, "XR")).collect();
    for d in drafts.iter_mut().take(3) {
        d.host = None;
        d.caps = "XU";
    }
    let mut world = World::of(drafts);
    let mut rng = Rng::from_number(6);
    for _ in 0..100 {
        let path = world.choose(Way::Inbound, 3, true, &mut rng).unwrap();
        assert!(path.iter().all(|r| !r.has_cap('U')));
    }
    // A router that nobody can dial is our first hop only over a link that is there.
    world.connected.insert(world.hash(0));
    world.routers.drain(1..4);
    let path = (0..20).find_map(|_| world.choose(Way::Outbound, 3, false, &mut rng));
    let path = path.unwrap();
    assert!(path[0].has_cap('U') && !path[1].has_cap('U') && !path[2].has_cap('U'));
    assert!(world.choose(Way::Inbound, 3, false, &mut rng).is_none());
}

#[test]
fn private_addresses_only_in_test_networks() {
    let mut world = World::of((0..3).map(|n| draft(n, "XR")));
    world.selector.reach.private = false;
    let mut rng = Rng::from_number(7);
    assert!(world.choose(Way::Outbound, 1, true, &mut rng).is_none());
}
