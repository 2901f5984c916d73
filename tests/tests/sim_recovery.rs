//! How long it takes until everything works again, in virtual time: after a burst of losses, after
//! routers have ended, after one side has lost its session. The bounds are golden: what was
//! measured for sixty seeds, with a little room; `RAMSON_SEEDS=FROM..TO` runs others.

use ramson_tests::sim::app::Transfer;
use ramson_tests::sim::world::World;
use ramson_tests::sim::{Sim, seeds};
use std::time::Duration;

const CLIENT: usize = 5;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn world(seed: u64) -> World {
    World {
        seed,
        hops: 2,
        quantity: 3,
        ..World::default()
    }
}

fn page(sim: &mut Sim, at: Duration, server: usize, bytes: usize) {
    let transfer = Transfer {
        client: CLIENT,
        server,
        tag: b"a".to_vec(),
        bytes,
    };
    sim.plan(at, transfer);
}

/// Hops of the tunnels of these nodes that are nobody's end.
fn hops(sim: &Sim, of: &[usize]) -> Vec<usize> {
    let hops: Vec<_> = of
        .iter()
        .flat_map(|n| sim.nodes()[*n].router.paths())
        .flat_map(|p| p.hops)
        .collect();
    let is_hop = |n: &usize| !of.contains(n) && hops.contains(&sim.nodes()[*n].router.hash());
    (0..sim.nodes().len()).filter(is_hop).collect()
}

fn received(sim: &Sim) -> usize {
    sim.apps().transfers().map(|(_, p)| p.received).sum()
}

/// Pages of one site, one every two seconds for a minute; something happens after 20 s of them. The
/// answer is how long after it the last page came that was asked for before it could have healed,
/// and the longest wait for a page that was asked for ten seconds later or more.
fn pages(sim: &mut Sim, server: usize, what: impl FnOnce(&mut Sim)) -> (Duration, Duration) {
    let start = secs(30);
    for n in 0..40 {
        page(sim, start + secs(2) * n, server, 20_000);
    }
    let fault = start + secs(20) + Duration::from_millis(700);
    sim.run(fault);
    let at = sim.now().mono;
    what(sim);
    sim.run(start + secs(160));
    let broken = sim.checks().faults();
    assert!(broken.is_empty(), "{broken:?}");
    let (mut healed, mut later) = (Duration::ZERO, Duration::ZERO);
    for (t, p) in sim.apps().transfers() {
        let Some(begun) = p.started else {
            continue;
        };
        // A page that was under way may end with the side that lost everything.
        if begun < at {
            continue;
        }
        let Some(finished) = p.finished else {
            assert!(
                begun < at + secs(10),
                "{t:?} at {:?}: {p:?}",
                begun.since(at)
            );
            continue;
        };
        if begun < at + secs(10) {
            let first = healed.is_zero();
            healed = if first {
                finished.since(at)
            } else {
                healed.min(finished.since(at))
            };
        } else {
            later = later.max(finished.since(begun));
        }
    }
    assert!(!healed.is_zero(), "no page within ten seconds");
    (healed, later)
}

/// A hop loses twenty cells in a row in the middle of a transfer: how many were lost before its
/// end, and the longest time without a byte.
fn burst(seed: u64, which: usize) -> Option<(u64, Duration)> {
    const STEP: Duration = Duration::from_millis(100);
    let mut sim = world(seed).build();
    let server = 11;
    page(&mut sim, secs(30), server, 2_000_000);
    let mut now = secs(30);
    while received(&sim) < 200_000 {
        now += STEP;
        sim.run(now);
    }
    let hop = *hops(&sim, &[server, CLIENT]).get(which)?;
    let lost = sim.lost;
    sim.drop_burst(hop, 20);
    let (mut still, mut longest) = (Duration::ZERO, Duration::ZERO);
    while received(&sim) < 2_000_000 && now < secs(120) {
        let before = received(&sim);
        now += STEP;
        sim.run(now);
        let moved = received(&sim) > before;
        still = if moved { Duration::ZERO } else { still + STEP };
        longest = longest.max(still);
    }
    assert_eq!(sim.faults(), Vec::<String>::new());
    Some((sim.lost - lost, longest))
}

#[test]
fn a_burst_of_losses_stops_nobody() {
    let (mut bursts, mut longest) = (0, Duration::ZERO);
    for seed in seeds(0..4) {
        for which in 0..12 {
            let Some((lost, still)) = burst(seed, which) else {
                break;
            };
            println!("burst, seed {seed}, hop {which}: {lost} lost, {still:?}");
            bursts += usize::from(lost == 20);
            longest = longest.max(still);
        }
    }
    assert!(bursts >= 4, "only {bursts} hops carried the transfer");
    assert!(longest <= secs(3), "nothing for {longest:?}");
}

#[test]
fn two_of_twelve_routers_end() {
    let (mut firsts, mut worst) = (Vec::new(), Duration::ZERO);
    for seed in seeds(0..20) {
        let mut sim = world(seed).build();
        let server = 11;
        let (healed, later) = pages(&mut sim, server, |sim| {
            let victims = hops(sim, &[server, CLIENT]);
            let victims = victims.into_iter().filter(|v| *v >= 4);
            for victim in victims.take(2) {
                sim.kill(victim, Duration::from_millis(100));
            }
        });
        println!("two end, seed {seed}: {healed:?} {later:?}");
        firsts.push(healed);
        worst = worst.max(later);
    }
    firsts.sort_unstable();
    println!("two end: {firsts:?}, later {worst:?}");
    let nth = |part: usize| firsts[(firsts.len() - 1) * part / 100];
    assert!(nth(50) <= secs(5) && nth(95) <= secs(10), "{firsts:?}");
    assert!(nth(100) <= secs(13), "{firsts:?}");
    assert!(worst <= secs(2), "a later one took {worst:?}");
}

#[test]
fn a_site_starts_again() {
    let (mut first, mut worst) = (Duration::ZERO, Duration::ZERO);
    for seed in seeds(0..6) {
        let mut sim = world(seed).build();
        let server = 11;
        let (healed, later) = pages(&mut sim, server, |sim| sim.restart(server));
        println!("site again, seed {seed}: {healed:?} {later:?}");
        (first, worst) = (first.max(healed), worst.max(later));
    }
    assert!(first <= secs(10), "the first page after {first:?}");
    assert!(worst <= secs(2), "a later one took {worst:?}");
}

#[test]
fn a_client_starts_again() {
    let (mut first, mut worst) = (Duration::ZERO, Duration::ZERO);
    for seed in seeds(0..6) {
        let mut sim = world(seed).build();
        let (healed, later) = pages(&mut sim, 11, |sim| sim.restart(CLIENT));
        println!("client again, seed {seed}: {healed:?} {later:?}");
        (first, worst) = (first.max(healed), worst.max(later));
    }
    assert!(first <= secs(10), "the first page after {first:?}");
    assert!(worst <= secs(2), "a later one took {worst:?}");
}
