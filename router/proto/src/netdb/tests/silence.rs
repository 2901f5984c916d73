//! Questions and stores that nobody answers, and answers that would be lost.

use super::*;

fn questions(net: &Net, who: RouterHash) -> Vec<RouterHash> {
    let seen = net.nodes[&who].seen.iter();
    let asked = seen.filter_map(|o| match o {
        NetDbOutput::Send {
            ctx: CLIENT,
            to,
            message,
            ..
        } if message.kind == kind::DATABASE_LOOKUP => Some(*to),
        _ => None,
    });
    asked.collect()
}

/// A client that knows all floodfills, and what it looks for.
fn asking() -> (Net, Vec<RouterHash>, RouterHash, Target) {
    let (mut net, ffs, site, client) = network();
    let dest = publish(&mut net, site);
    net.run(Duration::from_secs(1));
    for f in &ffs {
        net.introduce(client, *f);
    }
    net.tunnel(client, CLIENT);
    (net, ffs, client, Target::LeaseSet(dest))
}

#[test]
fn who_said_nothing_is_asked_once_more() {
    let (mut net, ffs, client, target) = asking();
    for f in &ffs {
        net.node(*f).deaf = true;
    }
    let id = net.lookup(client, CLIENT, target);
    net.run(Duration::from_secs(7));
    assert_eq!(net.ended(client, id), None);
    assert_eq!(questions(&net, client).len(), ffs.len());
    for f in &ffs {
        net.node(*f).deaf = false;
    }
    net.run(Duration::from_secs(6));
    assert_eq!(net.ended(client, id), Some(true));
}

#[test]
fn nobody_is_asked_three_times() {
    let (mut net, ffs, site, client) = network();
    let dest = publish(&mut net, site);
    net.run(Duration::from_secs(1));
    net.introduce(client, ffs[1]);
    net.tunnel(client, CLIENT);
    for f in &ffs {
        net.node(*f).deaf = true;
    }
    let id = net.lookup(client, CLIENT, Target::LeaseSet(dest));
    net.run(Duration::from_secs(19));
    assert_eq!(net.ended(client, id), Some(false));
    let asked = questions(&net, client);
    let times = |f: &RouterHash| asked.iter().filter(|a| *a == f).count();
    assert_eq!((times(&ffs[0]), times(&ffs[1])), (2, 2));
}

/// Java's floodfills hand an answer to themselves unsealed, and such a one is not known for what
/// it is.
#[test]
fn the_gateway_of_the_only_tunnel_is_asked_last() {
    let (mut net, ffs, client, target) = asking();
    let key = routing_key::RoutingKey::of(target.key(), net.now.wall);
    let infos: Vec<_> = ffs.iter().map(|f| Arc::clone(&net.nodes[f].info)).collect();
    let near = closest::nearest(infos.iter(), &key, 1)
        .pop()
        .unwrap()
        .hash();
    let tunnel = net.nodes[&client].tunnels.0[&CLIENT].tunnel;
    let path = ReplyPath {
        gateway: near,
        tunnel,
    };
    net.node(client).tunnels.0.insert(CLIENT, path);
    for f in &ffs {
        net.node(*f).deaf = true;
    }
    net.lookup(client, CLIENT, target);
    net.run(Duration::from_secs(9));
    let asked = questions(&net, client);
    assert_eq!(asked.iter().position(|a| *a == near), Some(ffs.len() - 1));
}

fn stores(net: &Net, who: RouterHash) -> usize {
    let seen = net.nodes[&who].seen.iter();
    let kinds = seen.filter_map(|o| match o {
        NetDbOutput::Send { message, .. } => Some(message.kind),
        _ => None,
    });
    kinds.filter(|k| *k == kind::DATABASE_STORE).count()
}

#[test]
fn a_new_lease_set_does_not_wait_long_for_one_that_was_lost() {
    let (mut net, ffs, site, _) = network();
    for f in &ffs {
        net.node(*f).deaf = true;
    }
    let dest = publish(&mut net, site);
    net.run(Duration::from_secs(1));
    for f in &ffs {
        net.node(*f).deaf = false;
    }
    let ls = Arc::new(lease_set(7, net.now.wall, false));
    let (now, published) = (net.now, ls.published());
    net.node(site).db.publish_lease_set(now, CLIENT, ls);
    net.run(Duration::from_secs(2));
    let newest = ffs
        .iter()
        .filter_map(|f| net.nodes[f].db.served_lease_set(&dest));
    assert_eq!(newest.map(|ls| ls.published()).max(), Some(published));
}

#[test]
fn lease_sets_that_change_for_ever_are_stored_seldom() {
    let (mut net, _, site, _) = network();
    net.tunnel(site, CLIENT);
    for _ in 0..200 {
        let ls = Arc::new(lease_set(7, net.now.wall, false));
        let now = net.now;
        net.node(site).db.publish_lease_set(now, CLIENT, ls);
        net.run(Duration::from_secs(1));
    }
    let stored = stores(&net, site);
    assert!((10..=13).contains(&stored), "{stored}");
}

#[test]
fn lease_sets_in_a_row_are_stored_as_one() {
    let (mut net, _, site, _) = network();
    publish(&mut net, site);
    net.run(Duration::from_millis(100));
    for _ in 0..3 {
        let now = net.now;
        let ls = Arc::new(lease_set(7, now.wall + Duration::from_secs(1), false));
        net.node(site).db.publish_lease_set(now, CLIENT, ls);
        net.run(Duration::from_millis(500));
    }
    assert_eq!(stores(&net, site), 1);
    net.run(Duration::from_secs(1));
    assert_eq!(stores(&net, site), 2);
}
