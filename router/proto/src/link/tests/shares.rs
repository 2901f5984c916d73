//! What others may have of our links, and that ours have their place.

use super::world::{self, NEIGHBOURS, World, message};
use super::*;
use crate::link::waiting::Cause;
use crate::router::output::Class;
use core::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn hash(n: u32) -> RouterHash {
    let mut hash = RouterHash::default();
    hash.0[..4].copy_from_slice(&n.to_be_bytes());
    hash
}

/// Whether the first node has a link with this one.
fn linked(w: &World, n: usize) -> bool {
    w.nodes[0].peers.contains_key(&w.hash(n))
}

/// Classes of the routers that were asked for.
fn wanted(links: &mut Links) -> Vec<Class> {
    let outputs = core::iter::from_fn(|| links.poll_output());
    let classes = outputs.filter_map(|o| match o {
        LinksOutput::Event(LinkEvent::WantRouter { class, .. }) => Some(class),
        _ => None,
    });
    classes.collect()
}

fn transit(from: u32) -> Cause {
    Cause {
        class: Class::Transit,
        from: Some(hash(from)),
    }
}

#[test]
fn what_others_wait_for_has_a_part_and_ours_takes_its_place() {
    let mut w = World::new(1);
    let links = &mut w.nodes[0];
    let at = |n: u32| Now {
        mono: w.now.mono + Duration::from_millis(100 * u64::from(n)),
        ..w.now
    };
    for n in 0..100 {
        links.queue(at(0), hash(1000 + n), transit(1), message(n, 10));
    }
    assert_eq!(wanted(links).len(), limits::LINK_WAIT_PER_CAUSE);
    for n in 0..1000 {
        links.queue(at(n), hash(2000 + n), transit(2 + n % 100), message(n, 10));
        let answer = Cause::of(Class::Answer);
        links.queue(at(n), hash(4000 + n), answer, message(n, 10));
    }
    let asked = wanted(links);
    let of = |class| asked.iter().filter(|c| **c == class).count();
    let before = limits::LINK_WAIT_PER_CAUSE;
    assert_eq!(of(Class::Transit), limits::LINK_WAIT_TRANSIT - before);
    assert_eq!(of(Class::Answer), limits::LINK_WAIT_ANSWERS);
    for n in 0..limits::LINK_WAIT_TARGETS as u32 {
        links.queue(at(0), hash(n), Cause::of(Class::Control), message(n, 10));
    }
    assert_eq!(wanted(links).len(), limits::LINK_WAIT_TARGETS);
    assert_eq!(links.stats().dropped[2..], [0, 0]);
    links.queue(at(0), hash(999), Cause::of(Class::Control), message(1, 10));
    assert_eq!(links.stats().dropped[3], 1);
}

#[test]
fn what_one_routers_transit_makes_us_look_for_has_a_rate() {
    let mut w = World::new(1);
    let links = &mut w.nodes[0];
    let mut asked = 0;
    for n in 0..600u32 {
        let now = w.now.after(Duration::from_millis(100 * u64::from(n)));
        links.queue(now, hash(1000 + n), transit(1), message(n, 10));
        links.handle_cmd(
            now,
            &mut Rng::from_number(1),
            LinkCmd::NoRouter(hash(1000 + n)),
        );
        asked += wanted(links).len();
    }
    assert!((32 + 118..=32 + 120).contains(&asked), "{asked}");
}

#[test]
fn our_message_for_a_router_that_others_wait_for_is_ours() {
    let mut w = World::new(1);
    let links = &mut w.nodes[0];
    for n in 0..20 {
        links.queue(w.now, hash(5), transit(1), message(n, 1000));
    }
    assert_eq!(wanted(links), [Class::Transit]);
    links.queue(w.now, hash(5), Cause::of(Class::Control), message(50, 1000));
    assert_eq!(wanted(links), [Class::Control]);
    for n in 0..100 {
        links.queue(w.now, hash(5), transit(1), message(n, 1000));
    }
    assert_eq!(links.stats().dropped[1..], [0; 3]);
    // That others' question found nothing is no reason to refuse ours.
    let now = w.now;
    links.handle_cmd(now, &mut Rng::from_number(1), LinkCmd::NoRouter(hash(5)));
    links.queue(now, hash(5), transit(1), message(1, 10));
    assert_eq!(wanted(links), []);
    links.queue(now, hash(5), Cause::of(Class::Own), message(1, 10));
    assert_eq!(wanted(links), [Class::Own]);
}

#[test]
fn dials_that_others_cause_leave_room_for_ours_and_nobody_is_blamed() {
    let mut w = World::new(1);
    let (links, mut rng) = (&mut w.nodes[0], Rng::from_number(1));
    for n in 1..=200u32 {
        let now = w.now.after(Duration::from_millis(100 * u64::from(n)));
        let info = world::config(n as usize).1;
        links.queue(now, info.hash(), transit(n), message(n, 10));
        if wanted(links) == [Class::Transit] {
            links.handle_cmd(now, &mut rng, LinkCmd::Dial(info));
        }
    }
    assert_eq!(links.dials.len(), limits::LINK_DIALS_TRANSIT);
    let downs = |links: &mut Links| {
        let outputs = core::iter::from_fn(|| links.poll_output());
        let downs = outputs.filter_map(|o| match o {
            LinksOutput::Event(LinkEvent::Down { why, .. }) => Some(why),
            _ => None,
        });
        downs.collect::<Vec<_>>()
    };
    // What they waited for too long counts as theirs, too.
    links
        .waiting
        .expire(w.now.mono + SECOND * 60, &mut Default::default());
    let late = world::config(500).1;
    links.queue(w.now, late.hash(), transit(1), message(1, 10));
    links.handle_cmd(w.now, &mut rng, LinkCmd::Dial(late));
    assert_eq!(downs(links), [LinkDown::NoRoom]);
    for n in 201..=400 {
        let info = world::config(n).1;
        links.handle_cmd(w.now, &mut rng, LinkCmd::Dial(info));
    }
    let ours = links.dials.values().filter(|d| d.class == Class::Control);
    assert_eq!(ours.count(), 200);
    assert_eq!(links.dials.len(), limits::LINK_PENDING_MAX);
    let displaced = limits::LINK_DIALS_TRANSIT + 200 - limits::LINK_PENDING_MAX;
    assert_eq!(downs(links), vec![LinkDown::NoRoom; displaced]);
}

#[test]
fn what_others_wanted_and_was_found_too_late_is_not_our_own_dial() {
    let mut w = World::new(1);
    let info = world::config(7).1;
    let mut rng = Rng::from_number(1);
    w.nodes[0].queue(w.now, info.hash(), transit(1), message(1, 10));
    w.run(SECOND * 20);
    w.nodes[0].handle_cmd(w.now, &mut rng, LinkCmd::Dial(info));
    let dials = w.nodes[0].dials.values().map(|d| d.class);
    assert_eq!(dials.collect::<Vec<_>>(), [Class::Transit]);
}

#[test]
fn one_address_has_a_share_of_the_links_and_its_idle_ones_give_way() {
    let mut w = World::new(NEIGHBOURS + 20);
    for n in 0..15 {
        w.dial(NEIGHBOURS + n, 0);
    }
    assert_eq!(w.nodes[0].stats().inbound, limits::LINKS_PER_IP_MIN);
    assert_eq!(w.nodes[0].stats().refused, 7);
    w.dial(1, 0);
    assert!(linked(&w, 1));
    w.run(SECOND * 20);
    w.send(NEIGHBOURS, 0, Class::Own, message(1, 10));
    w.dial(NEIGHBOURS + 15, 0);
    assert!(linked(&w, NEIGHBOURS + 15));
    assert!(linked(&w, NEIGHBOURS), "it has traffic");
    assert!(!linked(&w, NEIGHBOURS + 1));
    assert!(linked(&w, 1), "of another address");
    assert_eq!(w.nodes[0].stats().inbound, limits::LINKS_PER_IP_MIN + 1);
}

#[test]
fn when_all_links_are_taken_idle_ones_that_we_do_not_need_give_way() {
    let mut w = World::new(8);
    w.nodes[0].links_max = 3;
    for n in 1..=3 {
        w.dial(n, 0);
    }
    let (id, from) = (TunnelId(9), w.hash(1));
    w.cmd(0, LinkCmd::InstallOwn { id, from });
    w.dial(4, 0);
    assert!(!linked(&w, 4), "none is idle yet");
    w.run(SECOND * 20);
    w.send(2, 0, Class::Own, message(1, 10));
    w.dial(5, 0);
    assert!(linked(&w, 5));
    for (n, kept) in [(1, true), (2, true), (3, false)] {
        assert_eq!(linked(&w, n), kept);
    }
    // Transit ends no link that is in use, our own tunnels do.
    let info = world::config(6).1;
    w.nodes[0].queue(w.now, info.hash(), transit(1), message(1, 10));
    w.dial(0, 6);
    assert_eq!(w.downs(0).last(), Some(&(6, LinkDown::NoRoom)));
    w.dial(0, 7);
    assert!(linked(&w, 7));
    assert!(linked(&w, 1));
    assert_eq!(w.nodes[0].peers.len(), 3);
}

#[test]
fn one_link_has_a_share_of_what_the_router_looks_at() {
    let mut w = World::new(3);
    w.dial(1, 0);
    w.dial(2, 0);
    for n in 0..5000 {
        w.send(1, 0, Class::Control, message(n, 10));
    }
    let got = |w: &World, peer| w.received(0).iter().filter(|m| m.0 == peer).count();
    assert_eq!(got(&w, 1), 2048);
    assert_eq!(w.nodes[0].stats().flooded, 5000 - 2048);
    w.send(2, 0, Class::Control, message(1, 10));
    assert_eq!(got(&w, 2), 1);
    w.run(SECOND);
    w.send(1, 0, Class::Control, message(1, 60_000));
    assert_eq!(got(&w, 1), 2049);
}

/// Peers that read nothing, for whom others keep sending.
#[test]
fn what_waits_on_all_links_is_bounded() {
    const PEERS: usize = 99;
    let mut w = World::new(PEERS + 1);
    for n in 1..=PEERS {
        w.dial(0, n);
    }
    w.stuck = true;
    let held = |w: &World| w.nodes[0].queued + w.nodes[0].unsent;
    for round in 0..200 {
        for n in 1..=PEERS {
            let (to, now) = (w.hash(n), w.now);
            w.nodes[0].queue(now, to, transit(1), message(round, 2000));
        }
        w.run(Duration::ZERO);
        w.nodes[0].flush(w.now, &mut Rng::from_number(1));
        let most = limits::LINKS_BYTES + PEERS * (limits::LINK_BYTES_WHEN_FULL + 3000);
        assert!(held(&w) <= most, "{}", held(&w));
    }
    assert!(held(&w) > limits::LINKS_BYTES);
    let dropped = w.nodes[0].stats().dropped;
    assert!(dropped[0] > 1000);
    for n in 1..=PEERS {
        w.send(0, n, Class::Control, message(1, 100));
    }
    assert_eq!(w.nodes[0].stats().dropped[1..], [0; 3]);
    let sum = |f: &dyn Fn(&Conn) -> usize| w.nodes[0].conns.values().map(f).sum::<usize>();
    assert_eq!(sum(&|c| c.unsent), w.nodes[0].unsent);
    let queued = |c: &Conn| match &c.state {
        State::Open(link) => link.established.queue.bytes(),
        _ => 0,
    };
    assert_eq!(sum(&queued), w.nodes[0].queued);
    w.run(SECOND * 60);
    assert_eq!((held(&w), w.nodes[0].conns.len()), (0, 0));
}

/// Whoever makes RouterInfos could have us connect to a third party at any rate.
#[test]
fn others_make_us_dial_no_host_twice_at_once_or_again_soon() {
    let mut w = World::new(1);
    let (links, mut rng) = (&mut w.nodes[0], Rng::from_number(1));
    let dial = |links: &mut Links, rng: &mut Rng, now: Now, n: usize, cause: Cause| {
        let info = world::config(NEIGHBOURS + n).1;
        links.queue(now, info.hash(), cause, message(n as u32, 10));
        links.handle_cmd(now, rng, LinkCmd::Dial(info));
        let outputs = core::iter::from_fn(|| links.poll_output());
        let connects = outputs.filter_map(|o| match o {
            LinksOutput::Connect { socket, .. } => Some(socket),
            _ => None,
        });
        connects.last()
    };
    let first = dial(links, &mut rng, w.now, 0, transit(1)).unwrap();
    assert_eq!(dial(links, &mut rng, w.now, 1, transit(2)), None);
    assert_eq!(
        dial(links, &mut rng, w.now, 2, Cause::of(Class::Answer)),
        None
    );
    assert!(dial(links, &mut rng, w.now, 3, Cause::of(Class::Own)).is_some());
    links.handle_connected(w.now, &mut rng, first, false);
    let later = w.now.after(SECOND * 19);
    links.handle_timeout(later, &mut rng);
    // Our own dial failed for time now, which is no matter of theirs: the first was at the start.
    let end = w.now.after(SECOND * 19);
    assert_eq!(dial(links, &mut rng, end, 4, transit(1)), None);
    let theirs = dial(links, &mut rng, later.after(SECOND), 5, transit(1));
    links.handle_connected(later.after(SECOND), &mut rng, theirs.unwrap(), false);
    let end = later.after(SECOND * 20);
    assert_eq!(dial(links, &mut rng, end, 6, transit(1)), None);
    let end = later.after(SECOND * 21);
    assert!(dial(links, &mut rng, end, 7, transit(1)).is_some());
}

/// Eight blocks of addresses can hold all handshakes, but not keep others out.
#[test]
fn handshakes_that_stand_still_give_way() {
    let mut w = World::new(2);
    let mut rng = Rng::from_number(1);
    let mut held = Vec::new();
    for n in 0..limits::LINK_PENDING_MAX {
        let from = SocketAddr::from(([198, 51, (n / 32) as u8, (n % 32) as u8], 9));
        held.extend(w.nodes[0].handle_accepted(w.now, &mut rng, from));
    }
    assert_eq!(held.len(), limits::LINK_PENDING_MAX);
    w.dial(1, 0);
    assert!(!linked(&w, 1), "all are new");
    w.run(SECOND * 3);
    w.dial(1, 0);
    assert!(linked(&w, 1));
    assert!(!w.nodes[0].conns.contains_key(&held[0]));
    assert_eq!(w.nodes[0].stats().pending, limits::LINK_PENDING_MAX - 1);
}
