//! One context's business does not start, stop or show another's.

use super::*;

const OTHER: Context = Context::Client(2);

/// Messages that a node sent in a context.
fn sent(net: &Net, who: RouterHash, ctx: Context) -> usize {
    let of = |o: &&NetDbOutput| matches!(o, NetDbOutput::Send { ctx: c, .. } if *c == ctx);
    net.nodes[&who].seen.iter().filter(of).count()
}

/// No exploration: everything that is sent belongs to the lookup.
fn quiet(net: &mut Net, who: RouterHash) {
    net.node(who).db.explorer.due = Instant(u64::MAX);
}

#[test]
fn a_referral_stays_with_the_destination_that_got_it() {
    let (mut net, ffs, site, client) = network();
    quiet(&mut net, client);
    let dest = publish(&mut net, site);
    net.run(Duration::from_secs(1));
    net.tunnel(client, CLIENT);
    let known = net.nodes[&client].db.router_count();
    net.direct.clear();
    // The floodfill that the client knows has nothing and names others.
    let holder = net.nodes[&ffs[0]].db.served_lease_set(&dest).is_some();
    let dest = if holder { DestHash([0x42; 32]) } else { dest };
    let id = net.lookup(client, CLIENT, Target::LeaseSet(dest));
    net.run(Duration::from_secs(21));
    assert_eq!(net.ended(client, id), Some(!holder));
    // More than the only one that was known to begin with was asked, all through the
    // destination's own tunnels.
    assert!(sent(&net, client, CLIENT) > 2);
    assert_eq!(sent(&net, client, Context::Router), 0);
    assert!(net.direct.iter().all(|(from, _)| *from != client));
    // The router knows no more than before, and so does another destination.
    let db = &net.nodes[&client].db;
    assert_eq!(db.router_count(), known);
    assert!(db.floodfills_of(CLIENT).count() > db.floodfills_of(OTHER).count());
    let observed = net.nodes[&client].seen.iter();
    let strangers =
        observed.filter(|o| matches!(o, NetDbOutput::Observed { router, .. } if *router != ffs[0]));
    assert_eq!(strangers.count(), 0, "nor is anything remembered of them");
    net.node(client).db.drop_context(CLIENT);
    let db = &net.nodes[&client].db;
    assert_eq!(db.floodfills_of(CLIENT).count(), 1);
}

/// Who pushes a floodfill to us that nobody else knows does not see a destination ask it.
#[test]
fn a_planted_floodfill_is_not_asked_by_destinations() {
    let (mut net, ffs, _, client) = network();
    quiet(&mut net, client);
    let spy = net.add(500, "XfR");
    let info = Arc::clone(&net.nodes[&spy].info);
    let now = net.now;
    let mut rng = Rng::from_number(1);
    let bytes = info.as_bytes();
    let db = &mut net.node(client).db;
    let pushed = db.insert_router_bytes(now, &mut rng, RouterHash([0xcc; 32]), bytes, false);
    assert_eq!(pushed, Ok(true));
    net.tunnel(client, CLIENT);
    net.tunnel(client, Context::Router);
    let asked = |net: &Net, ctx: Context| {
        let to_spy = |o: &NetDbOutput| match o {
            NetDbOutput::Send { ctx: c, to, .. } => *c == ctx && *to == spy,
            _ => false,
        };
        net.nodes[&client].seen.iter().any(to_spy)
    };
    net.lookup(client, CLIENT, Target::LeaseSet(DestHash([1; 32])));
    net.run(Duration::from_secs(21));
    assert!(!asked(&net, CLIENT));
    let written = |net: &Net| {
        let of_spy = |o: &NetDbOutput| match o {
            NetDbOutput::Persist(Persist::Router { hash, .. }) => *hash == spy,
            _ => false,
        };
        net.nodes[&client].seen.iter().any(of_spy)
    };
    // That the router itself has tried it out changes nothing, nor does that it comes again without
    // having been asked for, by whomever: nobody else may know it.
    net.lookup(client, Context::Router, Target::Router(RouterHash([2; 32])));
    net.run(Duration::from_secs(21));
    assert!(asked(&net, Context::Router));
    for by in [RouterHash([0xcc; 32]), RouterHash([0xcd; 32]), spy] {
        let (now, db) = (net.now, &mut net.node(client).db);
        let bytes = info.as_bytes();
        let again = db.insert_router_bytes(now, &mut Rng::from_number(1), by, bytes, false);
        assert_eq!(again, Ok(false));
    }
    net.lookup(client, CLIENT, Target::LeaseSet(DestHash([4; 32])));
    net.run(Duration::from_secs(21));
    assert!(!asked(&net, CLIENT));
    assert!(!written(&net), "a start would take it for known");
    // Other routers name it in their answers: then it is one like others.
    for ff in &ffs {
        net.introduce(*ff, spy);
    }
    for n in 5..8 {
        net.lookup(client, Context::Router, Target::Router(RouterHash([n; 32])));
        net.run(Duration::from_secs(21));
    }
    assert!(written(&net));
    net.lookup(client, CLIENT, Target::LeaseSet(DestHash([3; 32])));
    net.run(Duration::from_secs(21));
    assert!(asked(&net, CLIENT));
}

/// A RouterInfo that comes in by a link does not make a destination ask at that moment.
#[test]
fn news_of_the_router_wake_no_destination() {
    let (mut net, ffs, _, client) = network();
    quiet(&mut net, client);
    net.tunnel(client, CLIENT);
    net.node(ffs[0]).deaf = true;
    net.lookup(client, CLIENT, Target::LeaseSet(DestHash([1; 32])));
    net.run(Duration::from_millis(900));
    let before = sent(&net, client, CLIENT);
    let (now, info) = (net.now, Arc::clone(&net.nodes[&ffs[1]].info));
    let due: Vec<_> = net.nodes[&client]
        .db
        .lookups
        .values()
        .map(|l| l.due)
        .collect();
    net.node(client).db.insert_router(now, info);
    let after: Vec<_> = net.nodes[&client]
        .db
        .lookups
        .values()
        .map(|l| l.due)
        .collect();
    assert_eq!(due, after);
    assert_eq!(sent(&net, client, CLIENT), before);
}

/// A floodfill that ignores one destination learns nothing about the others.
#[test]
fn silence_is_noted_for_each_context() {
    let (mut net, ffs, _, client) = network();
    quiet(&mut net, client);
    net.node(ffs[0]).deaf = true;
    net.tunnel(client, CLIENT);
    for n in 0..3 {
        net.lookup(client, CLIENT, Target::LeaseSet(DestHash([n; 32])));
        net.run(Duration::from_secs(21));
    }
    let db = &net.nodes[&client].db;
    assert!(db.strikes.is_out(net.now.mono, CLIENT, &ffs[0]));
    assert!(!db.strikes.is_out(net.now.mono, OTHER, &ffs[0]));
    assert!(!db.strikes.is_out(net.now.mono, Context::Router, &ffs[0]));
}

#[test]
fn lookups_for_others_take_nothing_from_ours() {
    let (mut net, _, site, client) = network();
    let dest = publish(&mut net, site);
    net.run(Duration::from_secs(1));
    net.tunnel(client, CLIENT);
    net.tunnel(client, Context::Router);
    let now = net.now;
    for n in 0..1000u32 {
        let mut h = [7; 32];
        h[..4].copy_from_slice(&n.to_be_bytes());
        let target = Target::Router(RouterHash(h));
        net.node(client).db.lookup_for_others(now, target);
    }
    let running = net.nodes[&client].db.lookups.len();
    assert!(running <= limits::OTHERS_LOOKUPS_MAX, "{running}");
    // Another destination with as many as it likes is no hindrance either.
    for n in 0..200 {
        net.lookup(client, OTHER, Target::LeaseSet(DestHash([n; 32])));
    }
    let id = net.lookup(client, CLIENT, Target::LeaseSet(dest));
    net.run(Duration::from_secs(8));
    assert_eq!(net.ended(client, id), Some(true));
}

#[test]
fn few_questions_are_asked_for_others() {
    let (mut net, ffs, _, client) = network();
    for f in &ffs {
        net.introduce(client, *f);
    }
    quiet(&mut net, client);
    net.tunnel(client, Context::Router);
    let now = net.now;
    for n in 0..1000u32 {
        let mut h = [7; 32];
        h[..4].copy_from_slice(&n.to_be_bytes());
        let target = Target::Router(RouterHash(h));
        net.node(client).db.lookup_for_others(now, target);
    }
    net.run(Duration::from_secs(21));
    let n = sent(&net, client, Context::Router);
    assert!((16..=3 * limits::OTHERS_LOOKUPS_MAX).contains(&n), "{n}");
    let ended = net.nodes[&client].seen.iter();
    let ended = ended.filter(|o| matches!(o, NetDbOutput::NotFound { .. }));
    assert_eq!(ended.count(), 1000, "who waits for them is told");
}

/// However much is stored to us, what a destination looks up has room.
#[test]
fn what_others_store_takes_no_room_from_a_destination() {
    use crate::netdb::lease_sets::LeaseSets;
    use crate::netdb::routers::Put;
    use crate::wire::any_lease_set::AnyLeaseSet;
    let now = START_WALL;
    let mut all = LeaseSets::default();
    let old = lease_set(1, now - Duration::from_secs(60), false);
    let any = |ls: &LeaseSet2| {
        let ls = AnyLeaseSet::parse(3, ls.as_bytes()).unwrap();
        Arc::new(ls.verify().unwrap())
    };
    assert_eq!(
        all.put_served(now, any(&old), RouterHash([9; 32])),
        Put::Added
    );
    for n in 0..limits::LEASE_SETS_MAX as u64 + 500 {
        let ls = lease_set(100 + n, now, false);
        all.put_served(now, any(&ls), RouterHash([(n % 8) as u8; 32]));
    }
    assert!(all.served_count() <= limits::LEASE_SETS_MAX);
    assert!(
        all.served(&old.hash()).is_some(),
        "other links do not push it out"
    );
    for n in 0..limits::LEASE_SETS_PER_GIVER as u64 + 100 {
        let ls = lease_set(9000 + n, now, false);
        all.put_served(now, any(&ls), RouterHash([9; 32]));
    }
    assert!(all.served_count() <= limits::LEASE_SETS_MAX);
    for n in 0..600 {
        let ls = Arc::new(lease_set(20_000 + n, now, false));
        let hash = ls.hash();
        assert_eq!(all.put_found(now, CLIENT, ls), Put::Added);
        assert!(all.found(CLIENT, &hash).is_some());
    }
    let ls = Arc::new(lease_set(50_000, now, false));
    assert_eq!(all.put_found(now, OTHER, ls), Put::Added);
}

/// Whoever can write into our tunnel, such as the other floodfill that was asked, does not answer
/// in a floodfill's place.
#[test]
fn answers_without_their_seal_count_for_nothing() {
    let (mut net, ffs, _, client) = network();
    quiet(&mut net, client);
    net.tunnel(client, CLIENT);
    net.node(ffs[0]).deaf = true;
    let dest = DestHash([5; 32]);
    net.lookup(client, CLIENT, Target::LeaseSet(dest));
    net.run(Duration::from_millis(200));
    let now = net.now;
    let mut rng = Rng::from_number(1);
    let no = DatabaseSearchReply {
        key: dest.0,
        peers: vec![RouterHash([1; 32])],
        from: ffs[0],
    };
    let no = no.to_message(MessageId(1), now.wall);
    let mut junk = DatabaseStore::lease_set2(&lease_set(5, now.wall, false), None);
    junk.key = dest.0;
    let junk = junk.to_message(MessageId(2), now.wall).unwrap();
    let tunnel = Source::Tunnel(net.nodes[&client].tunnels.0[&CLIENT]);
    let db = &mut net.node(client).db;
    for m in [no, junk] {
        let _ = db.handle_message(now, &mut rng, CLIENT, tunnel, &m);
    }
    let outputs: Vec<_> = core::iter::from_fn(|| db.poll_output()).collect();
    assert!(
        !outputs
            .iter()
            .any(|o| matches!(o, NetDbOutput::Observed { .. }))
    );
    assert_eq!(db.lookups.len(), 1, "nothing is followed");
}
