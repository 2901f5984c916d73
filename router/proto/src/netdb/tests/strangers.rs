//! Made-up routers: fresh, well signed, as many as one likes, and none of them is there.

use super::*;
use crate::netdb::routers::{Arrival, Origin, Put, Routers};
use crate::wire::router_info::RouterInfo;

fn no_tunnels(db: &mut NetDb, now: Now) -> Vec<NetDbOutput> {
    let mut rng = Rng::from_number(3);
    db.handle_timeout(now, &mut rng, &Tunnels::default());
    core::iter::from_fn(|| db.poll_output()).collect()
}

/// A netDb that knows 200 routers from its disk, every fourth a floodfill.
fn settled() -> (NetDb, Now, Vec<Arc<RouterInfo>>) {
    let mut net = Net::new();
    let us = net.add(1, "XR");
    let now = net.now;
    let mut db = net.nodes.remove(&us).unwrap().db;
    let published = now.wall - Duration::from_secs(3600);
    let known: Vec<_> = (0..200)
        .map(|n| {
            let caps = if n % 4 == 0 { "XfR" } else { "XR" };
            Draft::new(1000 + n, caps, published).build()
        })
        .collect();
    for info in &known {
        assert!(db.load(now, Arc::clone(info), true));
    }
    (db, now, known)
}

fn push(db: &mut NetDb, now: Now, link: RouterHash, info: &RouterInfo) -> bool {
    let mut rng = Rng::from_number(9);
    let m = DatabaseStore::router(info, None);
    let m = m.to_message(MessageId(1), now.wall).unwrap();
    let before = db.router_count();
    let source = Source::Link(link);
    let _ = db.handle_message(now, &mut rng, Context::Router, source, &m);
    db.router_count() > before
}

#[test]
fn six_thousand_made_up_routers_replace_nobody() {
    let (mut db, start, known) = settled();
    let link = RouterHash([0xee; 32]);
    let mut now = start;
    let (mut taken, mut written) = (0, 0);
    for n in 0..6000 {
        now = now.after(Duration::from_millis(10));
        let info = Draft::new(10_000 + n, "XfR", now.wall).build();
        taken += usize::from(push(&mut db, now, link, &info));
        if n % 100 == 0 {
            let outputs = no_tunnels(&mut db, now);
            written += outputs
                .iter()
                .filter(|o| matches!(o, NetDbOutput::Persist(_)))
                .count();
        }
    }
    assert!(known.iter().all(|i| db.router(&i.hash()).is_some()));
    assert!(db.router_count() <= 200 + limits::ROUTERS_PER_GIVER);
    // Four signatures a second after the first 64.
    assert!((64..=64 + 4 * 60 + 4).contains(&taken), "{taken}");
    assert!(written <= taken * 2, "{written}");
    assert!(db.refused() > 5000, "{}", db.refused());
}

fn arrival(info: Arc<RouterInfo>, origin: Origin) -> Arrival {
    Arrival {
        info,
        origin,
        served: true,
        settled: Instant(0),
    }
}

/// The same from many links at once, and without any metering: who proved to be a router, who is
/// linked, and what others gave stays.
#[test]
fn made_up_routers_of_many_links_replace_one_another() {
    let now = START_WALL;
    let old = now - Duration::from_secs(7200);
    let mut all = Routers::default();
    let put = |all: &mut Routers, n: u64, at: Date, origin: Origin| {
        let mut draft = Draft::new(n, "XR", at);
        draft.host = None;
        let info = draft.build();
        let hash = info.hash();
        (hash, all.put(now, arrival(info, origin)).0)
    };
    let proven = put(&mut all, 1, old, Origin::Caller).0;
    all.prove(&proven);
    let linked = put(&mut all, 2, old, Origin::Caller).0;
    all.set_linked(linked, true);
    let by = |n: u8| Origin::Given {
        by: RouterHash([n; 32]),
        asked: false,
    };
    let honest: Vec<_> = (0..20)
        .map(|n| put(&mut all, 10 + n, old, by(200)).0)
        .collect();
    for n in 0..6500u64 {
        put(&mut all, 1000 + n, now, by((n % 50) as u8));
    }
    assert!(all.count() <= limits::ROUTERS_MAX);
    assert!(all.count() > limits::ROUTERS_MAX - 10);
    for hash in honest.iter().chain([&proven, &linked]) {
        assert!(all.get(hash).is_some());
    }
    // Callers have their share too.
    for n in 0..limits::ROUTERS_CALLERS_MAX as u64 + 50 {
        put(&mut all, 20_000 + n, now, Origin::Caller);
    }
    assert!(all.count() <= limits::ROUTERS_MAX);
    assert!(honest.iter().all(|h| all.get(h).is_some()));
}

#[test]
fn a_network_has_a_share() {
    let now = START_WALL;
    let mut all = Routers::default();
    let (mut hashes, mut puts) = (Vec::new(), Vec::new());
    for n in 0..limits::ROUTERS_PER_NET as u64 + 40 {
        let mut draft = Draft::new(n, "XR", now + Duration::from_secs(n));
        draft.host = Some(format!("8.8.{}.1", n % 250));
        let info = draft.build();
        hashes.push(info.hash());
        let by = RouterHash([n as u8; 32]);
        let origin = Origin::Given { by, asked: true };
        puts.push(all.put(now, arrival(info, origin)).0);
    }
    assert_eq!(all.count(), limits::ROUTERS_PER_NET);
    assert!(puts.iter().all(|p| *p == Put::Added));
    assert!(all.get(&hashes[0]).is_none(), "the oldest went");
    let mut late = Draft::new(9999, "XR", now - Duration::from_secs(1));
    late.host = Some("8.8.9.9".to_owned());
    let by = RouterHash([0xaa; 32]);
    let origin = Origin::Given { by, asked: true };
    assert_eq!(all.put(now, arrival(late.build(), origin)).0, Put::Full);
}

/// Hashes cost nothing, networks do: two answers of one network count as one.
#[test]
fn two_tellers_are_of_two_networks() {
    let now = START_WALL;
    let mut all = Routers::default();
    let mut add = |n: u64, host: &str, origin: Origin| {
        let mut draft = Draft::new(n, "XfR", now);
        draft.host = Some(host.to_owned());
        let info = draft.build();
        let hash = info.hash();
        all.put(now, arrival(info, origin));
        hash
    };
    let hosts = ["8.8.1.1", "8.8.2.1", "9.9.1.1"];
    let [first, same, other] = [0, 1, 2].map(|n| add(n, hosts[n as usize], Origin::Start));
    let by = |by| Origin::Given { by, asked: true };
    let named = add(7, "7.7.7.7", by(first));
    assert!(!all.named(&named, first) && !all.named(&named, named));
    assert!(!all.named(&named, same));
    assert!(!all.may_serve_clients(&named));
    assert!(all.named(&named, other));
    assert!(all.may_serve_clients(&named));
}

/// What goes is removed from the disk, whatever the pace; what never came there is not.
#[test]
fn the_disk_follows() {
    let (mut db, now, known) = settled();
    for info in &known {
        db.forget_router(now, &info.hash());
    }
    let stranger = Draft::new(5, "XR", now.wall).build();
    assert!(push(&mut db, now, RouterHash([1; 32]), &stranger));
    db.forget_router(now, &stranger.hash());
    let mut gone = BTreeSet::new();
    let mut now = now;
    for _ in 0..60 {
        now = now.after(Duration::from_secs(1));
        for o in no_tunnels(&mut db, now) {
            if let NetDbOutput::Persist(Persist::Router { hash, info }) = o {
                assert!(info.is_none());
                gone.insert(hash);
            }
        }
    }
    let all: BTreeSet<_> = known.iter().map(|i| i.hash()).collect();
    assert_eq!(gone, all);
    // Nothing more to write: nothing wakes up for it.
    assert!(db.deadline().is_some_and(|t| t > now.mono));
}

/// Seeds are not on the disk yet; they come there.
#[test]
fn seeds_are_written() {
    let mut net = Net::new();
    let us = net.add(1, "XR");
    let mut now = net.now;
    let mut db = net.nodes.remove(&us).unwrap().db;
    for n in 0..500 {
        let info = Draft::new(1000 + n, "XR", now.wall).build();
        assert!(db.load(now, info, false));
    }
    let mut written = 0;
    for _ in 0..30 {
        now = now.after(Duration::from_secs(1));
        let outputs = no_tunnels(&mut db, now);
        written += outputs
            .iter()
            .filter(|o| {
                matches!(
                    o,
                    NetDbOutput::Persist(Persist::Router { info: Some(_), .. })
                )
            })
            .count();
    }
    assert_eq!(written, 500);
}

/// One router that says something new every second is written at the pace of the disk.
#[test]
fn writes_are_metered() {
    let (mut db, mut now, _) = settled();
    let mut written = 0;
    for n in 0..3000u64 {
        now = now.after(Duration::from_millis(100));
        let info = Draft::new(7 + n % 30, "XR", now.wall).build();
        // Of its own link: the rate of signature checks is not what is tested here.
        db.insert_router(now, info);
        written += no_tunnels(&mut db, now)
            .iter()
            .filter(|o| matches!(o, NetDbOutput::Persist(_)))
            .count();
    }
    // 300 s; 30 routers each with ten changes a second would be 3,000 writes.
    assert!((30..=2048 + 600).contains(&written), "{written}");
    let (mut db, mut now, _) = settled();
    let mut late = 0;
    for n in 0..6000u64 {
        now = now.after(Duration::from_secs(1));
        let info = Draft::new(7 + n % 30, "XR", now.wall).build();
        db.insert_router(now, info);
        let wrote = no_tunnels(&mut db, now);
        let wrote = wrote
            .iter()
            .filter(|o| matches!(o, NetDbOutput::Persist(_)));
        late += if n > 3000 { wrote.count() } else { 0 };
    }
    assert!(late <= 2 * 3000, "{late}");
}

/// Our clock is behind: everything is from the future, and nobody is to blame for it.
#[test]
fn a_wrong_clock_of_ours_blames_nobody() {
    for ahead in [3600 * 24 * 365, 0] {
        let (mut net, ffs, site, client) = network();
        for f in &ffs {
            net.introduce(*f, site);
        }
        let wall = net.now.wall;
        // The client alone lives a year ago (or in the year in which all others are).
        let ours = Now {
            wall: wall - Duration::from_secs(ahead),
            ..net.now
        };
        let mut rng = Rng::from_number(1);
        let target = Target::Router(site);
        let db = &mut net.node(client).db;
        db.lookup(ours, Context::Router, target);
        db.handle_timeout(ours, &mut rng, &Tunnels::default());
        let asked = core::iter::from_fn(|| db.poll_output()).find_map(|o| match o {
            NetDbOutput::Send { to, .. } => Some(to),
            _ => None,
        });
        let info = Arc::clone(&net.nodes[&site].info);
        let m = DatabaseStore::router(&info, None);
        let m = m.to_message(MessageId(1), wall).unwrap();
        let source = Source::Link(asked.unwrap());
        let db = &mut net.node(client).db;
        let took = db.handle_message(ours, &mut rng, Context::Router, source, &m);
        assert_eq!(took.is_ok(), ahead == 0);
        let blamed = core::iter::from_fn(|| db.poll_output()).any(|o| {
            matches!(
                o,
                NetDbOutput::Observed {
                    what: Observation::LookupFailed,
                    ..
                }
            )
        });
        assert!(!blamed);
    }
}

/// The clock ran years ahead for a while: nobody's netDb expires for it, and what it took for
/// current then gives way to what is.
#[test]
fn a_clock_that_was_ahead_leaves_nothing_behind() {
    let (mut db, mut now, known) = settled();
    no_tunnels(&mut db, now);
    now = now.after(Duration::from_secs(2 * 3600));
    no_tunnels(&mut db, now);
    let before = db.router_count();
    let years = Duration::from_secs(3 * 365 * 24 * 3600);
    let wrong = Now {
        wall: now.wall + years,
        mono: now.mono + Duration::from_secs(61),
    };
    no_tunnels(&mut db, wrong);
    assert_eq!(db.router_count(), before, "an hour of grace");
    // Somebody whose clock is as wrong as ours is.
    let number = known.iter().position(|i| !i.is_floodfill()).unwrap() as u64;
    let ahead = Draft::new(1000 + number, "XR", wrong.wall).build();
    assert!(db.insert_router(wrong, Arc::clone(&ahead)));
    let right = now.after(Duration::from_secs(120));
    let current = Draft::new(1000 + number, "XR", right.wall).build();
    assert!(db.insert_router(right, Arc::clone(&current)));
    let kept = db.router(&ahead.hash()).unwrap();
    assert_eq!(kept.published(), current.published());
}
