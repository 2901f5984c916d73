//! A site keeps answering while its tunnels and leases, and those of its visitors, end and come
//! anew: an hour of virtual time, and no page fails.

use ramson_tests::sim::app::Transfer;
use ramson_tests::sim::seeds;
use ramson_tests::sim::world::World;
use std::time::Duration;

const SITE: usize = 11;
const VISITORS: [usize; 3] = [5, 6, 7];
const BYTES: usize = 5_000;
/// A page that takes longer stands still for a reader.
const LONGEST: Duration = Duration::from_secs(20);

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn an_hour_of_visitors() {
    for seed in seeds(1..2) {
        let mut sim = World {
            seed,
            hops: 2,
            quantity: 3,
            ..World::default()
        }
        .build();
        let (mut at, mut n) = (secs(30), 0);
        while at < secs(3630) {
            let transfer = Transfer {
                client: VISITORS[n % VISITORS.len()],
                server: SITE,
                tag: b"a".to_vec(),
                bytes: BYTES,
            };
            sim.plan(at, transfer);
            // Now and then sessions and leases have time to end between two pages.
            at += secs(if n % 40 == 39 { 200 } else { 7 });
            n += 1;
        }
        sim.run(secs(3630) + LONGEST + secs(60));
        let broken = sim.checks().faults();
        assert!(broken.is_empty(), "{seed}: {broken:?}");
        let mut longest = Duration::ZERO;
        let mut pages = 0;
        for (t, p) in sim.apps().transfers() {
            let ends = p.started.zip(p.finished);
            let Some((begun, finished)) = ends else {
                panic!("{seed}: {t:?}: {p:?}");
            };
            assert_eq!(p.received, BYTES, "{seed}: {t:?}: {p:?}");
            longest = longest.max(finished.since(begun));
            pages += 1;
        }
        assert_eq!(pages, n, "all were asked for");
        println!("seed {seed}: {pages} pages, the longest {longest:?}");
        assert!(longest < LONGEST, "{seed}: {longest:?}");
    }
}
