//! What is published about our load.

use super::router;
use crate::config::{Config, PoolConfig};
use crate::router::Router;
use crate::router::input::LinkEvent;
use crate::router::output::{LinkCmd, Output};
use crate::time::Now;
use core::time::Duration;

/// Lets `minutes` pass with this load of transit; the capabilities that the links were given.
fn pass(router: &mut Router, now: &mut Now, minutes: u64, load: u64) -> Vec<String> {
    let mut given = Vec::new();
    for _ in 0..minutes * 60 {
        *now = now.after(Duration::from_secs(1));
        let event = LinkEvent::Load {
            transit_bytes_per_sec: load,
            limited: false,
        };
        router.handle_link(*now, event);
        router.handle_timeout(*now);
        while let Some(output) = router.poll_output() {
            if let Output::Link(LinkCmd::OwnInfo(info)) = output {
                given.push(info.caps().to_owned());
            }
        }
    }
    given
}

#[test]
fn load_is_published_when_it_lasts_and_taken_back() {
    let mut router = router(Config {
        transit_bytes_per_sec: 1000,
        exploratory: PoolConfig {
            hops: 0,
            quantity: 1,
        },
        spare_destination: false,
        ..Config::default()
    });
    let mut now = Now::default();
    assert!(
        pass(&mut router, &mut now, 10, 950).is_empty(),
        "not at the start"
    );
    assert_eq!(pass(&mut router, &mut now, 15, 800), ["OUD"]);
    assert_eq!(router.info().caps(), "OUD");
    assert_eq!(pass(&mut router, &mut now, 15, 0).last().unwrap(), "OU");
}
