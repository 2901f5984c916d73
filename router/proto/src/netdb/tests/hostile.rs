//! Values that must not be taken: expired, early, renamed, forged, or come by a way that proves
//! nothing.

use super::*;

/// What the netDb of `who` says to a DatabaseStore.
fn send(
    net: &mut Net,
    who: RouterHash,
    source: Source,
    store: &DatabaseStore,
) -> core::result::Result<bool, &'static str> {
    let now = net.now;
    let m = store.to_message(MessageId(1), now.wall).unwrap();
    let node = net.nodes.get_mut(&who).unwrap();
    let mut rng = Rng::from_number(1);
    node.db
        .handle_message(now, &mut rng, Context::Router, source, &m)
        .map_err(|e| e.field)
}

fn tunnel() -> Source {
    Source::Tunnel(ReplyPath {
        gateway: RouterHash([0xcc; 32]),
        tunnel: TunnelId(5),
    })
}

#[test]
fn hostile_lease_sets_are_refused() {
    let (mut net, ffs, _, client) = network();
    let now = net.now;
    let old = now.wall - Duration::from_secs(700);
    let soon = now.wall + Duration::from_secs(300);
    let good = lease_set(9, now.wall, false);
    let link = Source::Link(client);
    let ls = |ls: &LeaseSet2| DatabaseStore::lease_set2(ls, None);
    let (over, early) = (lease_set(9, old, false), lease_set(9, soon, false));
    assert_eq!(
        send(&mut net, ffs[0], link, &ls(&over)),
        Err("LeaseSet2.expires")
    );
    assert_eq!(
        send(&mut net, ffs[0], link, &ls(&early)),
        Err("LeaseSet2.published")
    );
    let mut renamed = ls(&good);
    renamed.key = [1; 32];
    assert_eq!(
        send(&mut net, ffs[0], link, &renamed),
        Err("DatabaseStore.key")
    );
    // Out of a floodfill's own tunnel, or to a router that is none: left alone.
    assert_eq!(send(&mut net, ffs[0], tunnel(), &ls(&good)), Ok(true));
    assert_eq!(send(&mut net, client, link, &ls(&good)), Ok(true));
    for who in [ffs[0], client] {
        let kept = net.nodes[&who].db.served_lease_set(&good.hash());
        assert!(kept.is_none());
    }
    assert_eq!(
        send(&mut net, ffs[0], Source::RouterGarlic(client), &ls(&good)),
        Ok(true)
    );
    assert_eq!(net.nodes[&ffs[0]].db.lease_set_count(), 1);
}

#[test]
fn hostile_router_infos_are_refused() {
    let (mut net, _, _, client) = network();
    let now = net.now;
    let soon = now.wall + Duration::from_secs(300);
    let link = Source::Link(client);
    let router = |d: Draft| DatabaseStore::router(&d.build(), None);
    let mut foreign = Draft::new(50, "XR", now.wall);
    foreign.net_id = 2;
    assert_eq!(
        send(&mut net, client, link, &router(foreign)),
        Err("RouterInfo.netId")
    );
    let early = Draft::new(50, "XR", soon);
    assert_eq!(
        send(&mut net, client, link, &router(early)),
        Err("RouterInfo.published")
    );
    let mut forged = router(Draft::new(50, "XR", now.wall));
    if let Entry::Router(bytes) = &mut forged.entry {
        *bytes.last_mut().unwrap() ^= 1;
    }
    assert_eq!(
        send(&mut net, client, link, &forged),
        Err("RouterInfo.signature")
    );
    // Unasked out of a tunnel: left alone. Over a link: taken.
    let fine = router(Draft::new(50, "XR", now.wall));
    let before = net.nodes[&client].db.router_count();
    assert_eq!(send(&mut net, client, tunnel(), &fine), Ok(true));
    assert_eq!(net.nodes[&client].db.router_count(), before);
    assert_eq!(send(&mut net, client, link, &fine), Ok(true));
    assert_eq!(net.nodes[&client].db.router_count(), before + 1);
}
