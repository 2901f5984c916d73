//! Answers that come another way than the question named.

use super::*;

/// The last store of `who` that asks for a confirmation, and whom it went to.
fn last_store(net: &Net, who: RouterHash) -> (RouterHash, DatabaseStore) {
    let mut stores = net.nodes[&who].seen.iter().rev().filter_map(|o| match o {
        NetDbOutput::Send { to, message, .. } if message.kind == kind::DATABASE_STORE => {
            Some((*to, DatabaseStore::parse(&message.body).unwrap()))
        }
        _ => None,
    });
    stores.next().expect("a store")
}

/// Whether a confirmation under this token is taken.
fn confirm(net: &mut Net, who: RouterHash, ctx: Context, source: Source, token: u32) -> bool {
    let status = DeliveryStatus {
        id: MessageId(token),
        at: net.now.wall,
    };
    let m = status.to_message(MessageId(3), net.now.wall);
    let (now, node) = (net.now, net.nodes.get_mut(&who).unwrap());
    let mut rng = Rng::from_number(1);
    let taken = node.db.handle_message(now, &mut rng, ctx, source, &m);
    taken.unwrap()
}

#[test]
fn a_lease_set_is_confirmed_by_the_tunnel_that_the_store_named() {
    let (mut net, ffs, site, _) = network();
    for ff in &ffs {
        net.node(*ff).deaf = true;
    }
    net.tunnel(site, Context::Router);
    net.tunnel(site, Context::Client(2));
    publish(&mut net, site);
    net.run(Duration::from_millis(1));
    let (ff, store) = last_store(&net, site);
    let token = store.reply.unwrap().token;
    let tunnels = net.nodes[&site].tunnels.0.clone();
    let [own, router, other] = [CLIENT, Context::Router, Context::Client(2)].map(|c| tunnels[&c]);
    for (ctx, source) in [
        (Context::Router, Source::Link(ff)),
        (CLIENT, Source::Link(ff)),
        (
            Context::Router,
            Source::RouterGarlic(RouterHash([0xbb; 32])),
        ),
        (Context::Router, Source::Tunnel(router)),
        (Context::Client(2), Source::Tunnel(other)),
        (CLIENT, Source::Tunnel(other)),
        (CLIENT, Source::Reply([0; 8])),
    ] {
        assert!(!confirm(&mut net, site, ctx, source, token), "{source:?}");
    }
    assert!(!net.nodes[&site].db.is_published(CLIENT));
    assert!(confirm(&mut net, site, CLIENT, Source::Tunnel(own), token));
    assert!(net.nodes[&site].db.is_published(CLIENT));
}

#[test]
fn our_router_info_names_no_tunnel_and_is_confirmed_by_the_link() {
    let (mut net, ffs, site, _) = network();
    for ff in &ffs {
        net.node(*ff).deaf = true;
    }
    net.tunnel(site, Context::Router);
    let (now, info) = (net.now, Arc::clone(&net.nodes[&site].info));
    net.node(site).db.publish_router(now, info);
    net.run(Duration::from_millis(1));
    let (ff, store) = last_store(&net, site);
    let reply = store.reply.unwrap();
    assert_eq!((reply.gateway, reply.tunnel), (site, TunnelId(0)));
    let tunnel = net.nodes[&site].tunnels.0[&Context::Router];
    let other = *ffs.iter().find(|f| **f != ff).unwrap();
    for source in [
        Source::Link(other),
        Source::RouterGarlic(RouterHash([0xbb; 32])),
        Source::Tunnel(tunnel),
    ] {
        assert!(!confirm(
            &mut net,
            site,
            Context::Router,
            source,
            reply.token
        ));
    }
    let source = Source::Link(ff);
    assert!(confirm(
        &mut net,
        site,
        Context::Router,
        source,
        reply.token
    ));
}

#[test]
fn a_question_by_tunnel_is_not_answered_by_a_link() {
    let (mut net, ffs, _, client) = network();
    for ff in &ffs {
        net.node(*ff).deaf = true;
    }
    net.tunnel(client, Context::Router);
    let target = RouterHash([0x5a; 32]);
    net.lookup(client, Context::Router, Target::Router(target));
    net.run(Duration::from_millis(1));
    let reply = DatabaseSearchReply {
        key: target.0,
        peers: ffs[1..].to_vec(),
        from: ffs[0],
    };
    let m = reply.to_message(MessageId(4), net.now.wall);
    let tunnel = net.nodes[&client].tunnels.0[&Context::Router];
    for source in [Source::Link(ffs[0]), Source::Tunnel(tunnel)] {
        let (now, node) = (net.now, net.nodes.get_mut(&client).unwrap());
        let open = |db: &NetDb| db.lookups.values().map(Lookup::open).sum::<usize>();
        let before = (node.db.lookups.len(), open(&node.db));
        let mut rng = Rng::from_number(1);
        let taken = node
            .db
            .handle_message(now, &mut rng, Context::Router, source, &m);
        assert!(taken.is_ok());
        let after = (node.db.lookups.len(), open(&node.db));
        assert_eq!(after, before, "not followed, and still waited for");
    }
}

/// Whom the first question of `client` goes to, and the gateway of the answer that it names.
fn first_question(net: &mut Net, client: RouterHash) -> (RouterHash, RouterHash) {
    let target = Target::LeaseSet(DestHash([0x5a; 32]));
    net.lookup(client, CLIENT, target);
    net.run(Duration::from_millis(1));
    let mut asked = net.nodes[&client].seen.iter().filter_map(|o| match o {
        NetDbOutput::Send {
            ctx: CLIENT,
            to,
            message,
            ..
        } if message.kind == kind::DATABASE_LOOKUP => {
            let lookup = DatabaseLookup::parse(&message.body).unwrap();
            Some((*to, lookup.from))
        }
        _ => None,
    });
    asked.next().expect("a question")
}

#[test]
fn no_answer_is_asked_for_by_way_of_the_floodfill_that_gives_it() {
    for other in [None, Some(RouterHash([0xbb; 32]))] {
        let (mut net, ffs, _, client) = network();
        // The only one that it knows.
        let nearest = ffs[0];
        net.tunnel(client, CLIENT);
        let path = net.nodes[&client].tunnels.0[&CLIENT];
        let with = |gateway| ReplyPath { gateway, ..path };
        net.node(client).tunnels.0.insert(CLIENT, with(nearest));
        net.node(client).tunnels.1 = other.map(with);
        let gateway = other.unwrap_or(nearest);
        assert_eq!(first_question(&mut net, client), (nearest, gateway));
    }
}
